//! Exposure key exports, as others write them, as nobody should, and as we do. Source: spec §14.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod cases;
mod craft;
mod keys;
mod mutation;
mod sets;
mod vectors;
mod writing;
