//! node
pub mod network;
