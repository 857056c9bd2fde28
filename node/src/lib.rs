//! node

pub mod intake;
