//! CX: identifiers a second by the fastest engine of the machine and by the portable one, in the
//! same run and held to the same checksum; and matching as a phone does it.
//!
//! Before criterion's figures it prints the best of several turns, which is what a machine that has
//! other work to do can be compared by.

use bellwether_formats::scheme::WantedIds;
use bellwether_formats::scheme::cx::{Engine, Generator, Identifier, bench_seed, matches};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// Both generators, with the names of their schemes.
const GENERATORS: [(Generator, &str); 2] = [(Generator::Aes128, "cx1"), (Generator::Aes256, "cx2")];

/// Seeds of a busy zone, and what a phone observed in two weeks.
const ZONE: u64 = 40_000;
const OBSERVATIONS: usize = 5000;

/// Both engines; one if there is no faster one here.
fn engines() -> Vec<Engine> {
    let mut engines = vec![Engine::fastest(), Engine::PORTABLE];
    engines.dedup_by_key(|engine| engine.name());
    engines
}

/// The first `count` seeds of the benchmark, concatenated.
fn seeds(generator: Generator, count: u64) -> Vec<u8> {
    (0..count)
        .flat_map(|number| bench_seed(generator, number).as_bytes().to_vec())
        .collect()
}

/// XOR of all identifiers.
fn checksum(engine: Engine, generator: Generator, seeds: &[u8]) -> u128 {
    let mut sum = 0;
    let mut add = |_, _, id: Identifier| sum ^= u128::from_be_bytes(*id.as_bytes());
    let expanded = engine.expand(generator, seeds, &mut add);
    assert_eq!(expanded, Ok(()));
    sum
}

/// Turns of [`ratio`]: short, so that some of them are not interrupted. The engines take turns.
const TURNS: usize = 500;
const SEEDS_A_TURN: u16 = 8;

/// Prints what the engines make in their best turns, and how they compare.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#[expect(clippy::print_stdout, reason = "a benchmark prints")]
fn ratio(_: &mut Criterion) {
    for (generator, name) in GENERATORS {
        let some = seeds(generator, SEEDS_A_TURN.into());
        let identifiers = f64::from(SEEDS_A_TURN) * 2048.0;
        let engines = engines();
        let mut best = vec![Duration::MAX; engines.len()];
        for _ in 0..TURNS {
            for (engine, best) in engines.iter().zip(&mut best) {
                let start = Instant::now();
                black_box(checksum(*engine, generator, black_box(&some)));
                *best = (*best).min(start.elapsed());
            }
        }
        let slowest = best.last().map_or(0.0, Duration::as_secs_f64);
        for (engine, best) in engines.iter().zip(&best) {
            let seconds = best.as_secs_f64();
            println!(
                "{name} {}: {:.1} million identifiers/s, {:.1} times the portable path (best of {TURNS})",
                engine.name(),
                identifiers / seconds / 1e6,
                slowest / seconds
            );
        }
    }
}

fn expansion(criterion: &mut Criterion) {
    for (generator, name) in GENERATORS {
        let mut group = criterion.benchmark_group(format!("expand-{name}"));
        let some = seeds(generator, 64);
        let many = seeds(generator, 200);
        group.throughput(Throughput::Elements(64 * 2048));
        for engine in engines() {
            let sum = match generator {
                Generator::Aes128 => 0x3a22_7b1d_102a_0943_1690_6e04_707d_1351,
                Generator::Aes256 => 0xf5e2_c96e_a27d_099a_1114_7e51_29bb_15a3,
            };
            assert_eq!(checksum(engine, generator, &many), sum);
            group.bench_function(engine.name(), |bencher| {
                bencher.iter(|| checksum(engine, generator, black_box(&some)));
            });
        }
        group.finish();
    }
}

fn matching(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("match-40000-seeds-5000-observations");
    group.sample_size(10);
    group.warm_up_time(Duration::from_millis(100));
    for (generator, name) in GENERATORS {
        let seeds = seeds(generator, ZONE);
        let strangers: Vec<Identifier> = (ZONE..ZONE + 3)
            .flat_map(|number| bench_seed(generator, number).identifiers())
            .take(OBSERVATIONS)
            .collect();
        let wanted = WantedIds::new(strangers);
        group.throughput(Throughput::Elements(ZONE * 2048));
        let id = BenchmarkId::new(name, Engine::fastest().name());
        group.bench_function(id, |bencher| {
            bencher.iter(|| {
                let mut hit = |_, _, hit| panic!("{hit} is a stranger's");
                matches(generator, &seeds, &wanted, &mut hit)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, ratio, expansion, matching);
criterion_main!(benches);
