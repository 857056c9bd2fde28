//! Filters: building and asking, beside the library's own filter in memory.

use bellwether_formats::filter::{Filter, MIN_BITS, build};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use xorf::{BinaryFuse32, Filter as _};

/// Keys of a filter: a small part, and the parts of the two upper rungs.
const SIZES: [u64; 3] = [10_000, 1 << 17, 1 << 18];

/// The default width.
const BITS: u8 = 18;

/// How many observations are asked in a round.
const ASKED: u64 = 20_000;

/// Numbers that look random, another run of them for another state.
fn numbers(state: u64, count: u64) -> Vec<u64> {
    let number = |step: u64| {
        let z = (state << 32).wrapping_add(step.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    };
    (0..count).map(number).collect()
}

fn building(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("filter-build");
    group.sample_size(20);
    for count in SIZES {
        let keys = numbers(1, count);
        group.throughput(Throughput::Elements(count));
        group.bench_function(format!("{count}"), |bencher| {
            bencher.iter(|| build(black_box(&keys), BITS).expect("random keys"));
        });
        group.bench_function(format!("{count}-xorf"), |bencher| {
            bencher.iter(|| BinaryFuse32::try_from(black_box(&keys)).expect("random keys"));
        });
    }
    group.finish();
}

fn reading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("filter-decode");
    for count in SIZES {
        let bytes = build(&numbers(1, count), BITS).expect("random keys");
        group.throughput(Throughput::Elements(count));
        group.bench_function(format!("{count}"), |bencher| {
            bencher.iter(|| Filter::decode(black_box(&bytes), count, MIN_BITS).expect("built"));
        });
    }
    group.finish();
}

fn asking(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("filter-contains");
    let asked = numbers(2, ASKED);
    group.throughput(Throughput::Elements(ASKED));
    for count in SIZES {
        let keys = numbers(1, count);
        let bytes = build(&keys, BITS).expect("random keys");
        let ours = Filter::decode(&bytes, count, MIN_BITS).expect("built");
        let peer = BinaryFuse32::try_from(&keys).expect("random keys");
        group.bench_function(format!("{count}"), |bencher| {
            bencher.iter(|| asked.iter().filter(|key| ours.contains(**key)).count());
        });
        group.bench_function(format!("{count}-xorf"), |bencher| {
            bencher.iter(|| asked.iter().filter(|key| peer.contains(key)).count());
        });
    }
    group.finish();
}

criterion_group!(benches, building, reading, asking);
criterion_main!(benches);
