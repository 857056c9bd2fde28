//! The harness of the end-to-end tests: real processes on loopback, everything of a test in one
//! temporary folder, every port a free one.
//!
//! [`World`] is that folder. From it come [`Provider`] and [`Relay`] (directories that `init` made),
//! which `run` turns into a [`Running`] node; [`Phone`]s, which are `bellwether` with a state of
//! their own; and [`Device`]s, which broadcast and report. What goes wrong in the harness panics:
//! it is a test that failed.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a harness panics where a test fails, and a test of processes reads the clock"
)]

pub mod command;
pub mod feed;
pub mod gate;
pub mod invented;
mod node;
mod phone;
pub mod proxy;
pub mod random;
mod running;
pub mod sealed;
pub mod server;
pub mod shim;
pub mod vectors;
pub mod web;
mod world;

pub use node::{Init, Provider, Relay, conditions};
pub use phone::{Device, Phone};
pub use running::{Running, Starting};
pub use world::{World, eventually, repository, utc};
