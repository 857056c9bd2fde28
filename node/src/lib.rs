//! Bellwether's provider, relay and gateway: one binary, by configuration.
//!
//! The path of a notification is told in `node/src/node.rs`, next to the code that starts the
//! tasks.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

pub mod admin;
pub mod batcher;
pub mod clock;
pub mod condition;
pub mod config;
pub mod cost;
pub mod dp3t_list;
pub mod files;
pub mod gaen_export;
pub mod gateway;
pub mod http;
pub mod init;
pub mod intake;
pub mod keys;
pub mod logging;
pub mod network;
pub mod node;
mod pem;
mod protobuf;
pub mod publisher;
pub mod relay;
pub mod replicator;
pub mod signer;
pub mod store;
