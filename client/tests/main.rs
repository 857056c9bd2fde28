//! The tests of the client against gateways on loopback.
//! One binary, so that it links once: a new file is named here.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may panic, reads the clock, and prints what it measured"
)]

mod bundles;
mod cli;
mod fixture;
mod phone;
