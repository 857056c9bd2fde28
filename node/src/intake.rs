//! What a provider takes in: who may submit, and what counts as well submitted.

pub mod code;
pub mod report;
