//! The tests of the formats: their bytes, rules and vectors.
//! One binary, so that it links once: a new file is named here.

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
