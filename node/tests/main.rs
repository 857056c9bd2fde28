//! The tests of the node against its files: crashes, and the formats of others.
//! One binary, so that it links once: a new file is named here.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may panic, reads the clock, and prints what it measured"
)]

#[path = "../../formats/tests/common/counting.rs"]
mod counting;
mod crash;
mod dp3t_list;
mod gaen_export;
