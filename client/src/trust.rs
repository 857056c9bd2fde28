//! What is believed, and why. Pure: no I/O, no clock. Source: spec §1.4, §4.3, §11.3.
//!
//! A client trusts the provider ids it was given by hand and nothing else. From them follows the
//! descriptor of the highest epoch, from that the batches that its keys vouch for, and from those
//! their ancestors.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_formats::batch::Batch;
use bellwether_formats::chain;
use bellwether_formats::descriptor::Descriptor;
use bellwether_formats::id::{ObjectId, ProviderId};
use bellwether_formats::limit;
use bellwether_formats::signed::Signed;

mod feed;

pub(crate) use feed::Wanted;
pub use feed::{
    Body, CLOCKS_S, Cause, Choice, Coverage, Feed, Fork, KnownBatch, KnownPart, Place, Seen,
};

/// Whether `new` takes the place of the descriptor held. A lower epoch, or the same bytes again,
/// is merely an old answer.
///
/// # Errors
///
/// [`DescriptorError`], by the rule broken.
pub fn replaces(
    held: Option<&Signed<Descriptor>>,
    provider: ProviderId,
    new: &Signed<Descriptor>,
    now: u64,
) -> Result<bool, DescriptorError> {
    if new.provider != provider {
        return Err(DescriptorError::Provider);
    }
    let ahead = new.issued_at.saturating_sub(now);
    if ahead > limit::MAX_FUTURE_S {
        return Err(DescriptorError::Future { ahead });
    }
    let Some(held) = held else {
        return Ok(true);
    };
    if new.epoch < held.epoch || new.id() == held.id() {
        return Ok(false);
    }
    if new.next_root != held.next_root {
        return Err(DescriptorError::NextRoot);
    }
    if !new.replaces(held) {
        return Err(DescriptorError::Epoch {
            found: new.epoch,
            held: held.epoch,
        });
    }
    Ok(true)
}

/// Whether the descriptor held vouches for `batch` itself, without its descendants: its key is
/// listed, and no anchor says that batches of its epoch are to be found among its ancestors alone;
/// or it is the anchored batch.
///
/// # Errors
///
/// The rule of spec §4.3 that stands against it.
pub fn vouches(descriptor: &Signed<Descriptor>, batch: &Signed<Batch>) -> Result<(), VouchError> {
    match descriptor.anchor(&batch.zone) {
        Some(anchor) if anchor.id == batch.id() => Ok(()),
        Some(anchor) if batch.epoch < anchor.epoch => Err(VouchError::OffAnchor),
        Some(_) | None => Ok(chain::check_listed(batch, descriptor)?),
    }
}

/// Tells whether a batch is one of the provider's newest that only the clock speaks against: it is of the
/// future, or this clock is behind. Source: spec §11.5.
pub(crate) fn is_ahead(descriptor: &Signed<Descriptor>, batch: &Signed<Batch>, now: u64) -> bool {
    vouches(descriptor, batch).is_ok() && chain::check_time(batch, now).is_err()
}

/// Which of `candidates` are to be believed: those that the descriptor vouches for, and their
/// ancestors. Ascending by (seq, id).
pub(crate) fn believed(
    candidates: &BTreeMap<ObjectId, Signed<Batch>>,
    descriptor: &Signed<Descriptor>,
    now: u64,
) -> Vec<ObjectId> {
    let vouched = |batch: &&Signed<Batch>| {
        vouches(descriptor, batch).is_ok() && chain::check_time(batch, now).is_ok()
    };
    let mut found = BTreeSet::new();
    for batch in candidates.values().filter(vouched) {
        let mut at = Some(batch);
        while let Some(batch) = at {
            if !found.insert((batch.seq, batch.id())) {
                break;
            }
            // An ancestor has a lower number; anything else is no chain, and might be a circle.
            at = batch
                .prev
                .and_then(|prev| candidates.get(&prev))
                .filter(|prev| prev.seq < batch.seq);
        }
    }
    found.into_iter().map(|(_, id)| id).collect()
}

/// Why a descriptor is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum DescriptorError {
    #[error("a descriptor of epoch {found} cannot follow the one held, of epoch {held}")]
    Epoch { found: u64, held: u64 },
    #[error("a descriptor that was signed {ahead} s in the future")]
    Future { ahead: u64 },
    #[error("the descriptor commits to another next root key than the one held")]
    NextRoot,
    #[error("the descriptor of another provider")]
    Provider,
}

impl DescriptorError {
    /// The broken rule's name, as in the spec.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::Epoch { .. } => "descriptor-epoch",
            Self::Future { .. } => "future",
            Self::NextRoot => "next-root",
            Self::Provider => "feed",
        }
    }
}

/// Why a batch is not believed by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum VouchError {
    #[error(transparent)]
    Chain(#[from] chain::ChainError),
    #[error("the provider's anchor says that batches of that epoch are not its own")]
    OffAnchor,
}

impl VouchError {
    /// The broken rule's name, as in the spec.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::Chain(error) => error.rule(),
            Self::OffAnchor => "key-not-listed",
        }
    }
}

#[cfg(test)]
mod tests;
