//! Every scheme beside CX: identifiers a second that are derived, and that are derived and compared
//! with what a phone observed.
//!
//! Before criterion's figures it prints the best of several turns, which is what a machine that has
//! other work to do can be compared by.
#![allow(
    clippy::as_conversions,
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench may panic"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;
use std::time::{Duration, Instant};

use bellwether_formats::id::Scheme;
use bellwether_formats::scheme::cx::Identifier;
use bellwether_formats::scheme::{Rules, Units, WantedIds, dp3t, fanny, gaen, tcn};
use common::random;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// What a phone observed in two weeks.
const OBSERVATIONS: usize = 5000;
/// Identifiers of a turn, about: short, so that some turns are not interrupted.
const IDENTIFIERS: usize = 1 << 14;
const TURNS: usize = 300;

/// A usual unit of a random key: a CX seed, 6 hours of TCN, 14 days, an epoch or 4 hours of DP-3T, a
/// day of GAEN, a token.
fn unit(scheme: Scheme, random: &mut dyn FnMut(&mut [u8])) -> Vec<u8> {
    let mut key = [0; 48];
    random(&mut key);
    let secret: [u8; 32] = *key.first_chunk().unwrap();
    let short: [u8; 16] = *key.first_chunk().unwrap();
    match scheme {
        Scheme::CX1 => key[..24].to_vec(),
        Scheme::CX2 => key.to_vec(),
        Scheme::TCN => tcn::report(&secret, &secret, (1, 24), 0, &[0; 20]).unwrap(),
        Scheme::DP3T_LOWCOST => dp3t::lowcost_unit(&secret, 20_400, 14),
        Scheme::DP3T_UNLINKABLE => dp3t::unlinkable_unit(1_958_400, &secret),
        Scheme::DP3T_HYBRID => dp3t::hybrid_unit(&short, 1_958_400, 16),
        Scheme::GAEN => gaen::Key {
            tek: short,
            rolling_start: 2_937_600,
            rolling_period: 144,
            transmission_risk: 0,
            days_since_onset: None,
        }
        .encode(),
        Scheme::FANNY => fanny::unit(&secret, 20_416, &short),
        other => panic!("{other}"),
    }
}

/// Units with about [`IDENTIFIERS`] identifiers, and how many they are exactly.
fn units(rules: &dyn Rules) -> (Units, usize) {
    let mut random = random(7);
    let mut units = Units::new(rules.width());
    let mut identifiers = 0;
    while identifiers < IDENTIFIERS {
        let unit = unit(rules.scheme(), &mut random);
        identifiers += usize::try_from(rules.check(&unit).unwrap().identifiers).unwrap();
        units.push(&unit);
    }
    (units, identifiers)
}

/// Those of strangers.
fn observed() -> WantedIds {
    let mut ids = vec![[0; 16]; OBSERVATIONS];
    random(9)(ids.as_flattened_mut());
    WantedIds::new(ids.into_iter().map(Identifier::from_bytes))
}

/// XOR of the first bytes of all identifiers.
fn expanded(rules: &dyn Rules, units: &Units) -> u8 {
    let mut sum = 0;
    rules.expand(units, &mut |_, identifier, _| {
        sum ^= identifier.first().copied().unwrap_or_default();
    });
    sum
}

fn matched(rules: &dyn Rules, units: &Units, wanted: &WantedIds) {
    rules.matches(units, wanted, &mut |_, identifier, _| {
        panic!("{identifier:?} is a stranger's");
    });
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn best_of(mut turn: impl FnMut()) -> Duration {
    let time = |_| {
        let start = Instant::now();
        turn();
        start.elapsed()
    };
    (0..TURNS).map(time).min().unwrap_or_default()
}

/// Prints what each scheme makes in its best turns.
#[expect(clippy::print_stdout, reason = "a benchmark prints")]
fn best(_: &mut Criterion) {
    let wanted = observed();
    for rules in Scheme::ALL.map(|scheme| scheme.rules().unwrap()) {
        let (units, identifiers) = units(rules);
        let million = |best: Duration| identifiers as f64 / best.as_secs_f64() / 1e6;
        let expand = million(best_of(|| {
            black_box(expanded(rules, black_box(&units)));
        }));
        let matching = (!rules.always_sealed()).then(|| {
            let best = best_of(|| matched(rules, black_box(&units), &wanted));
            format!("{:.1} compared as well", million(best))
        });
        println!(
            "{}: {expand:.1} million identifiers/s, {} (best of {TURNS})",
            rules.scheme(),
            matching.unwrap_or_else(|| "always sealed".to_owned()),
        );
    }
}

fn schemes(criterion: &mut Criterion) {
    let wanted = observed();
    for comparing in [false, true] {
        let name = if comparing {
            "match-5000-observations"
        } else {
            "expand"
        };
        let mut group = criterion.benchmark_group(name);
        group.warm_up_time(Duration::from_millis(300));
        group.measurement_time(Duration::from_secs(2));
        for rules in Scheme::ALL.map(|scheme| scheme.rules().unwrap()) {
            if comparing && rules.always_sealed() {
                continue;
            }
            let (units, identifiers) = units(rules);
            group.throughput(Throughput::Elements(u64::try_from(identifiers).unwrap()));
            let id = BenchmarkId::from_parameter(rules.scheme());
            group.bench_function(id, |bencher| {
                bencher.iter(|| match comparing {
                    false => drop(black_box(expanded(rules, black_box(&units)))),
                    true => matched(rules, black_box(&units), &wanted),
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, best, schemes);
criterion_main!(benches);
