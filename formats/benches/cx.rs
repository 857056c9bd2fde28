//! CX: identifiers a second, and matching as a phone does it.

use bellwether_formats::scheme::cx::{
    Generator, Identifier, WantedIds, bench_seed, expand, matches,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

/// Both generators, with the names of their schemes.
const GENERATORS: [(Generator, &str); 2] = [(Generator::Aes128, "cx1"), (Generator::Aes256, "cx2")];

/// The first `count` seeds of the benchmark, concatenated.
fn seeds(generator: Generator, count: u64) -> Vec<u8> {
    (0..count)
        .flat_map(|number| bench_seed(generator, number).as_bytes().to_vec())
        .collect()
}

fn expansion(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("expand");
    for (generator, name) in GENERATORS {
        let seeds = seeds(generator, 16);
        group.throughput(Throughput::Elements(16 * 2048));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                expand(generator, &seeds, |_, _, identifier| {
                    black_box(identifier);
                })
            });
        });
    }
    group.finish();
}

fn matching(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("match-1000-seeds-5000-observations");
    group.sample_size(10);
    for (generator, name) in GENERATORS {
        let seeds = seeds(generator, 1000);
        let strangers: Vec<Identifier> = (1000..1003)
            .flat_map(|number| bench_seed(generator, number).identifiers())
            .take(5000)
            .collect();
        let wanted = WantedIds::new(strangers);
        group.throughput(Throughput::Elements(1000 * 2048));
        group.bench_function(name, |bencher| {
            bencher.iter(|| matches(generator, &seeds, &wanted, &mut |_, _, hit| panic!("{hit}")));
        });
    }
    group.finish();
}

criterion_group!(benches, expansion, matching);
criterion_main!(benches);
