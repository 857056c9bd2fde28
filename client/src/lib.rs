//! The phone's side of Bellwether: follow providers, remember what was observed, sync over little
//! bandwidth, and learn of exposures. Source: spec §11.
//!
//! [`Client`] is all that an app needs. Its API has no lifetimes, generics or async, so that
//! bindings to other languages stay possible. Below it: what is believed ([`trust`]), what is
//! fetched and what is not ([`sync`], [`policy`]), what is a match ([`matcher`]), how it is asked
//! for ([`http`]). A sealed part is told by its filter and two looks at its body ([`sealed`]); how
//! much that tells others is a [`Policy`](policy::Policy). An app that has an HTTP stack of its own
//! drives a sync as [`Client::begin_sync`] shows. [`device`] plays the phone that broadcasts and
//! reports.
//!
//! ```no_run
//! use bellwether_client::observations::{ContactId, Family, Observation};
//! use bellwether_client::{Client, Share};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let mut client = Client::open("state".as_ref())?;
//!     // Once for each provider: its share string, from its site or a code on its wall.
//!     let share: Share = std::fs::read_to_string("share.txt")?.trim().parse()?;
//!     client.follow(&share)?;
//!     // Whenever something was near: an identifier, and when.
//!     let seen = Observation {
//!         id: ContactId::from([7; 16]),
//!         at: bellwether_client::time::now(),
//!         family: Family::Cx,
//!     };
//!     client.observe(&[seen])?;
//!     // A few times a day, whether or not anything was near.
//!     client.sync()?;
//!     let alerts = client.alerts()?;
//!     for found in &alerts.matches {
//!         println!("{}: {} times", found.level, found.observations.len());
//!     }
//!     // Only without a doubt does "no match" mean that there was none.
//!     for doubt in &alerts.doubts {
//!         println!("{}: {}", doubt.feed.zone, doubt.answer);
//!     }
//!     Ok(())
//! }
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

pub mod answers;
pub mod bundle;
mod client;
mod confirm;
pub mod device;
pub mod error;
mod horizon;
pub mod http;
pub mod matcher;
pub mod observations;
pub mod policy;
pub mod sealed;
mod serial;
pub mod state;
pub mod status;
pub mod sync;
pub mod time;
pub mod trust;

#[cfg(test)]
#[path = "../tests/fixture/mod.rs"]
mod fixture;

pub use bellwether_formats::cid::Cid;
pub use bellwether_formats::descriptor::Gateway;
pub use bellwether_formats::id::FeedId;
pub use bellwether_formats::share::Share;
pub use client::{Candidate, Client, Synced};
