//! What sealing costs: a million identifiers hashed, planned and built, and answers to queries.
//!
//! Peak memory is that of the process: `/usr/bin/time -v` with `--profile-time 1`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench may panic"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;
use std::time::Duration;

use bellwether_formats::id::{Level, Scheme};
use bellwether_formats::pir::{Mask, xor_into};
use bellwether_formats::sealed::{BuiltPart, Entry, IdHash, Payload, Plan, Shape};
use common::{NOW, random};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const IDS: u32 = 1_000_000;

fn identifiers() -> Vec<[u8; 16]> {
    let mut ids = vec![[0; 16]; usize::try_from(IDS).unwrap()];
    random(1)(ids.as_flattened_mut());
    ids
}

fn entries(ids: &[[u8; 16]]) -> Vec<Entry> {
    let payload = Payload {
        level: Level::DIAGNOSED,
        grade_step: 0,
        observed_before: NOW,
        span: None,
    };
    let seal = |id: &[u8; 16]| Entry::seal(&IdHash::of(Scheme::CX1, &[7; 16], None, id), payload);
    ids.iter().map(seal).collect()
}

fn build(plan: &Plan) -> Vec<BuiltPart> {
    let part = |number| plan.part(number, 18, &mut random(1 + u64::try_from(number).unwrap()));
    (0..plan.parts())
        .map(part)
        .collect::<Result<_, _>>()
        .unwrap()
}

fn sealing(c: &mut Criterion) {
    let ids = identifiers();
    let mut group = c.benchmark_group("seal-1000000");
    group.throughput(Throughput::Elements(u64::from(IDS)));
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(12));
    group.bench_function("hash", |b| b.iter(|| entries(black_box(&ids))));
    let hashed = entries(&ids);
    group.bench_function("plan", |b| {
        b.iter_batched(
            || hashed.clone(),
            |entries| Plan::new(entries).unwrap(),
            BatchSize::LargeInput,
        );
    });
    let plan = Plan::new(hashed.clone()).unwrap();
    group.bench_function("build-on-one-thread", |b| b.iter(|| build(&plan)));
    group.bench_function("build-on-two-threads", |b| {
        b.iter(|| {
            let part = |number: usize| plan.part(number, 18, &mut random(1)).unwrap();
            let every_other = |first| {
                (first..plan.parts())
                    .step_by(2)
                    .map(part)
                    .collect::<Vec<_>>()
            };
            std::thread::scope(|scope| {
                let other = scope.spawn(|| every_other(1));
                (every_other(0), other.join().unwrap())
            })
        });
    });
    group.finish();
}

/// A half of a query over a body in memory, as a relay answers it: it takes every other chunk.
fn answering(c: &mut Criterion) {
    let mut group = c.benchmark_group("pir-answer");
    for ids in [8192, 98_304, 196_608] {
        let shape = Shape::of(ids).unwrap();
        let mut body = vec![0; shape.body_bytes()];
        random(1)(&mut body);
        let mut drawn = vec![0; Mask::len_of(shape.chunks())];
        random(2)(&mut drawn);
        let mask = Mask::of_bytes(&drawn, shape.chunks()).unwrap();
        let chunks: Vec<&[u8]> = body.chunks(shape.chunk_bytes()).collect();
        group.throughput(Throughput::Bytes(u64::try_from(body.len()).unwrap()));
        let id = BenchmarkId::from_parameter(format!("{} KB", body.len() / 1000));
        group.bench_function(id, |b| {
            b.iter(|| {
                let mut answer = vec![0; shape.chunk_bytes()];
                for number in black_box(&mask).chosen() {
                    xor_into(&mut answer, chunks[number]).unwrap();
                }
                answer
            });
        });
    }
    group.finish();
}

criterion_group!(benches, sealing, answering);
criterion_main!(benches);
