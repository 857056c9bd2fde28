//! `bellwether bench cx`: identifiers a second on one thread, with a checksum that says they are
//! the right ones.

use bellwether_formats::scheme::cx::{Generator, bench_checksum};
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
    }
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
}
