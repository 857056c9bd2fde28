//! Deterministic CBOR that is valid DAG-CBOR, read and written with bounds. Source: spec §2.1.
//!
//! One value has one spelling. The reader refuses every other spelling with the name of the rule
//! it breaks, takes nothing whose size was not checked against a limit, and reads maps field by
//! field in canonical order, so that no generic tree is ever built.

mod map;
mod reader;
mod writer;

pub use map::MapReader;
pub use reader::Reader;
pub(crate) use reader::ascending;
pub use writer::Writer;

/// Whether `a` comes before `b` as a map key: shorter first, then bytewise. Source: spec §2.1.
pub fn key_before(a: &str, b: &str) -> bool {
    (a.len(), a.as_bytes()) < (b.len(), b.as_bytes())
}

#[cfg(test)]
mod tests;
