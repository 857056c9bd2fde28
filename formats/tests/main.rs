//! The tests of the formats: their bytes, rules and vectors.
//! One binary, so that it links once: a new file is named here.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may panic, reads the clock, and prints what it measured"
)]

mod bytes;
mod common;
#[path = "common/counting.rs"]
mod counting;
mod filter;
mod filter_fuzz;
mod linking;
mod mutation;
mod properties;
mod schemes;
mod schemes_fuzz;
mod sealed;
mod sealed_fuzz;
mod sealed_vectors;
mod sizes;
#[path = "common/units.rs"]
mod units;
mod vectors;
