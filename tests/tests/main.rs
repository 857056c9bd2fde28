//! The end-to-end tests: real processes on loopback.
//! One binary, so that it links once: a new file is named here.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may panic, reads the clock, and prints what it measured"
)]

mod clocks;
mod conditions;
mod coverage;
mod demo;
mod disk;
mod disown;
mod documents;
mod hostile;
mod kill;
mod owners;
mod path;
mod phone_clock;
mod professional;
mod relays;
mod reports;
mod schemes;
mod sealed;
mod shim;
mod submissions;
