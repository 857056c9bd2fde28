//! What publishing and syncing cost: an open batch of 10,000 cx1 seeds, and one envelope.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench may panic"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;

use bellwether_formats::batch::Batch;
use bellwether_formats::body::open::{OpenBody, Terms};
use bellwether_formats::id::{Level, Scheme};
use bellwether_formats::signed::Signed;
use common::{NOW, batch, open_part, sign, unit};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const SEEDS: u64 = 10_000;

fn build(c: &mut Criterion) {
    let terms = Terms {
        level: Level::DIAGNOSED,
        grade: None,
        observed_before: NOW,
    };
    let seeds: Vec<Vec<u8>> = (0..SEEDS).map(|seed| unit(seed, 24)).collect();
    let units = || seeds.iter().map(|seed| (terms, seed));
    let encoded = OpenBody::build(Scheme::CX1, units()).unwrap().encode();

    let mut group = c.benchmark_group("open-batch-10000-cx1");
    group.throughput(Throughput::Elements(SEEDS));
    group.bench_function("build-body-and-sign", |b| {
        b.iter(|| {
            let body = OpenBody::build(Scheme::CX1, units()).unwrap();
            sign(&batch(vec![open_part(&body)]))
        });
    });
    group.bench_function("decode-body", |b| {
        b.iter(|| OpenBody::decode(Scheme::CX1, black_box(&encoded)).unwrap());
    });
    group.finish();
}

fn open(c: &mut Criterion) {
    let body = common::body(150);
    let heartbeat = sign(&batch(Vec::new()));
    let full = sign(&batch(vec![open_part(&body); 32]));
    let mut group = c.benchmark_group("decode-and-verify");
    for (name, signed) in [("heartbeat", heartbeat), ("32-parts", full)] {
        group.bench_function(name, |b| {
            b.iter(|| Signed::<Batch>::open(black_box(signed.envelope())).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, build, open);
criterion_main!(benches);
