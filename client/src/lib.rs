//! client

pub mod device;
