//! Bellwether's bytes and rules.
//!
//! Everything that providers sign and relays carry, as types with one spelling each: identities
//! ([`id`]), content-addressed blocks ([`cid`]), signed objects ([`signed`]: [`descriptor`] and
//! [`batch`]), the rules that chain batches to a feed ([`chain`]), bodies of notifications
//! ([`body`]), the schemes that expand them ([`scheme`]), bundles ([`car`]) and the one string that
//! is handed to followers ([`share`]).
//!
//! No I/O, no clock, no randomness: time and random bytes are arguments. The normative text is
//! `spec/`; a rule has the same name there, in the errors here and in `spec/vectors`.
#![no_std]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

extern crate alloc;
#[cfg(any(test, feature = "inspect"))]
extern crate std;

pub mod batch;
pub mod body;
pub mod car;
pub mod cbor;
pub mod chain;
pub mod cid;
pub mod descriptor;
pub mod error;
pub mod filter;
pub mod horizon;
pub mod id;
#[cfg(feature = "inspect")]
pub mod inspect;
pub mod limit;
pub mod pir;
pub mod scheme;
pub mod sealed;
pub mod share;
pub mod signed;
