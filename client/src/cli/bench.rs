//! `bellwether bench`: identifiers a second on one thread; of CX with a checksum that says they are
//! the right ones, of any scheme that can be open as a client compares them.

use bellwether_formats::id::Scheme;
use bellwether_formats::scheme::cx::{Generator, Identifier, bench_checksum};
use bellwether_formats::scheme::{Units, WantedIds, dp3t, gaen, tcn};
use std::{
    io::{self, Write},
    time::Instant,
};

/// Most seeds of a run: some minutes of work on a slow machine.
const MAX_SEEDS: u64 = 1_000_000;

/// What to measure.
#[derive(Clone, Copy, Debug, clap::Subcommand)]
pub(crate) enum BenchCommand {
    /// CX identifiers a second on one thread; prints one line of JSON
    Cx {
        /// CX generator type
        #[arg(long = "type", value_name = "1|2", value_parser = parse_type, default_value = "1")]
        generator: Generator,
        /// How many seeds to expand, of 2048 identifiers each
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=MAX_SEEDS))]
        seeds: u64,
    },
    /// Identifiers a second on one thread, compared with observations as `sync` does; prints one
    /// line of JSON
    Match {
        /// cx1, cx2, tcn, dp3t-lowcost, dp3t-hybrid or gaen: what can be open
        #[arg(long, value_parser = parse_open)]
        scheme: Scheme,
        /// How many units to compare
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=MAX_SEEDS))]
        units: u64,
        /// With how many observations
        #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u64).range(..=MAX_SEEDS))]
        observations: u64,
    },
}

/// Reads a scheme that can be open.
fn parse_open(text: &str) -> Result<Scheme, String> {
    let scheme: Scheme = text.parse().map_err(|error| format!("{error}"))?;
    match like(scheme) {
        Some(_) => Ok(scheme),
        None => Err("it is never open".into()),
    }
}

/// Reads a generator's type as written on the command line.
pub(crate) fn parse_type(text: &str) -> Result<Generator, String> {
    text.parse()
        .ok()
        .and_then(Generator::from_code)
        .ok_or_else(|| "expected 1 (AES-128) or 2 (AES-256)".into())
}

/// Runs the verb.
pub(crate) fn run_command(command: &BenchCommand, out: &mut impl Write) -> io::Result<()> {
    match *command {
        BenchCommand::Cx { generator, seeds } => run(generator, seeds, out),
        BenchCommand::Match {
            scheme,
            units,
            observations,
        } => run_match(scheme, units, observations, out),
    }
}

/// Compares `count` units of a scheme with observations, one of which is of the first unit, and
/// writes `{"identifiers","ids_per_s","matches"}` as one line.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn run_match(
    scheme: Scheme,
    count: u64,
    observations: u64,
    out: &mut impl Write,
) -> io::Result<()> {
    let (Some(rules), Some(like)) = (scheme.rules(), like(scheme)) else {
        return Ok(());
    };
    let mut state = 0_u64;
    let mut random = |bytes: &mut [u8]| {
        for byte in bytes {
            // Knuth's MMIX generator: nothing here is secret.
            state = state.wrapping_mul(6_364_136_223_846_793_005);
            state = state.wrapping_add(1_442_695_040_888_963_407);
            let [.., high] = state.to_le_bytes();
            *byte = high;
        }
    };
    let mut units = Units::new(rules.width());
    for _ in 0..count {
        units.push(&rules.dummy(&like, &mut random).unwrap_or_default());
    }
    let mut observed = Vec::new();
    for _ in 1..observations {
        let mut id = [0; 16];
        random(&mut id);
        observed.push(Identifier::from_bytes(id));
    }
    let first = Units::of(rules.width(), units.get(0));
    let mut met = None;
    rules.expand(&first, &mut |_, id, _| met = id.try_into().ok());
    let met = met.filter(|_| observations > 0);
    observed.extend(met.map(Identifier::from_bytes));
    let wanted = WantedIds::new(observed);

    let start = Instant::now();
    let mut matches = 0_u64;
    rules.matches(&units, &wanted, &mut |_, _, _| matches += 1);
    let nanos = start.elapsed().as_nanos().max(1);
    let identifiers = rules.check(&like).map_or(0, |facts| facts.identifiers);
    let identifiers = u128::from(count) * u128::from(identifiers);
    let line = serde_json::json!({
        "identifiers": u64::try_from(identifiers).unwrap_or(u64::MAX),
        "ids_per_s": u64::try_from(identifiers * 1_000_000_000 / nanos).unwrap_or(u64::MAX),
        "matches": matches,
    });
    writeln!(out, "{line}")
}

/// A unit as a patient reports it: six hours of TCN and 14 days of a low-cost key, 2 hours of the
/// hybrid design, a day of GAEN. Nothing for what is never open.
fn like(scheme: Scheme) -> Option<Vec<u8>> {
    Some(match scheme {
        Scheme::CX1 => vec![0; Generator::Aes128.seed_len()],
        Scheme::CX2 => vec![0; Generator::Aes256.seed_len()],
        Scheme::TCN => tcn::report(&[0; 32], &[0; 32], (1, 24), 0, &[])?,
        Scheme::DP3T_LOWCOST => dp3t::lowcost_unit(&[0; 32], 0, 14),
        Scheme::DP3T_HYBRID => dp3t::hybrid_unit(&[0; 16], 0, 8),
        Scheme::GAEN => gaen::Key {
            tek: [0; 16],
            rolling_start: 0,
            rolling_period: gaen::MAX_PERIOD,
            transmission_risk: 0,
            days_since_onset: None,
        }
        .encode(),
        _ => return None,
    })
}

/// Expands the first `seeds` benchmark seeds and writes `{"ids_per_s","checksum"}` as one line.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
pub(crate) fn run(generator: Generator, seeds: u64, out: &mut impl Write) -> io::Result<()> {
    let start = Instant::now();
    let checksum = bench_checksum(generator, seeds);
    let nanos = start.elapsed().as_nanos().max(1);
    let identifiers = u128::from(seeds) * 2048;
    let line = serde_json::json!({
        "ids_per_s": u64::try_from(identifiers * 1_000_000_000 / nanos).unwrap_or(u64::MAX),
        "checksum": data_encoding::HEXLOWER.encode(&checksum),
    });
    writeln!(out, "{line}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_the_known_checksum() {
        for (generator, checksum) in [
            (Generator::Aes128, "3a227b1d102a094316906e04707d1351"),
            (Generator::Aes256, "f5e2c96ea27d099a11147e5129bb15a3"),
        ] {
            let mut out = Vec::new();
            run(generator, 200, &mut out).unwrap();
            assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
            let line: serde_json::Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(line["checksum"], checksum);
            assert!(line["ids_per_s"].as_u64().unwrap() > 0);
        }
    }

    #[test]
    fn every_scheme_that_can_be_open_is_compared() {
        for scheme in Scheme::ALL {
            let sealed = scheme.rules().unwrap().always_sealed();
            assert_eq!(parse_open(&scheme.to_string()).is_ok(), !sealed);
            let Some(like) = like(scheme) else {
                continue;
            };
            let facts = scheme.rules().unwrap().check(&like).unwrap();
            for (observations, matches) in [(0, 0), (1, 1), (50, 1)] {
                let mut out = Vec::new();
                run_match(scheme, 20, observations, &mut out).unwrap();
                let line: serde_json::Value = serde_json::from_slice(&out).unwrap();
                assert_eq!(line["identifiers"], 20 * facts.identifiers);
                assert_eq!(line["matches"], matches, "{scheme}");
                assert!(line["ids_per_s"].as_u64().unwrap() > 0);
            }
        }
    }
}
