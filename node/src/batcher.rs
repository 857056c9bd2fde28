//! When a batch closes, and what it says. Pure: no I/O, no clock, no randomness of its own.
//! Source: spec §4.3 "Clocks", §4.6 "Padding", §4.7.

use bellwether_formats::batch::{Batch, Part, Window};
use bellwether_formats::chain::Head;
use bellwether_formats::cid::{Block, BlockError, Cid};
use bellwether_formats::error::DecodeError;
use bellwether_formats::id::{ProviderId, PublicKey, RecordId, Scheme, Zone};
use bellwether_formats::limit;
use bellwether_formats::sealed::BuildError;
use bellwether_formats::signed::{Content as _, Unverified, assemble, inner_bytes};

use crate::store::{Draft, NoteRow};

mod content;
mod open;
pub mod plan;
mod sealed;
pub mod turn;

pub use content::Content;

/// How a zone is published; durations in seconds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    /// Time between two batches.
    pub interval_s: u64,
    /// Notifications that an open part which is not empty is padded up to.
    pub k: usize,
    /// Notifications that close a batch before its time.
    pub max_notifications: usize,
    /// Observation times that a batch speaks of, before its publication.
    pub window_s: u64,
    /// How long batches are kept; information for readers.
    pub retain_s: u64,
    /// Bits of a filter's fingerprints.
    pub filter_bits: u8,
}

/// How far a batch's time may run ahead of the clock, in seconds, when batches are closed by hand
/// faster than one a second. Far below what readers take for a wrong clock (600 s).
pub(crate) const MAX_RUN_AHEAD_S: u64 = 60;

/// Shortest promise of a next batch, in seconds. Source: spec §4.3.
const MIN_NEXT_BY_S: u64 = 3600;

/// When the next batch of a zone is due, in seconds of UTC: an interval after the newest, but at
/// once if there is none yet, or if it is `urgent`: enough is pending, or the descriptor is newer
/// than the newest batch.
pub fn due(policy: &Policy, head: Option<&Head>, urgent: bool) -> u64 {
    match head {
        Some(head) if !urgent => head.published_at.saturating_add(policy.interval_s),
        _ => 0,
    }
}

/// The publication time of the batch after `head`: now, and later than the head's.
///
/// # Errors
///
/// [`DraftError::ClockBack`] if the clock is behind the newest batch.
pub fn publication_time(head: Option<&Head>, now: u64) -> Result<u64, DraftError> {
    let Some(head) = head else {
        return Ok(now);
    };
    let at = now.max(head.published_at.saturating_add(1));
    let behind = at - now;
    if behind > MAX_RUN_AHEAD_S {
        return Err(DraftError::ClockBack { behind });
    }
    Ok(at)
}

/// Where a batch stands: its feed, its place in the chain, its signer.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// The provider.
    pub provider: ProviderId,
    /// The zone.
    pub zone: &'a Zone,
    /// The key that will sign.
    pub key: PublicKey,
    /// Epoch and envelope of the current descriptor.
    pub desc: (u64, Cid),
    /// The newest batch of the feed.
    pub head: Option<&'a Head>,
    /// When the batch will have been published, from [`publication_time`].
    pub at: u64,
    /// Drawn for this batch alone, after it was closed.
    pub salt: [u8; 16],
}

/// Draws up the next batch of a zone from what is pending, with all its blocks. `random` gives bytes
/// for dummies.
///
/// # Errors
///
/// [`DraftError`] if the result would not be accepted by a reader.
pub fn draft(
    policy: &Policy,
    place: Place<'_>,
    pending: &[(RecordId, NoteRow)],
    random: impl FnMut(&mut [u8]),
) -> Result<Draft, DraftError> {
    whole(policy, place, &Content::new(pending), random)
}

/// Draws up a batch of some content, with all its blocks.
///
/// # Errors
///
/// [`DraftError`], as [`draw`].
pub fn whole(
    policy: &Policy,
    place: Place<'_>,
    content: &Content,
    random: impl FnMut(&mut [u8]),
) -> Result<Draft, DraftError> {
    let mut blocks = Vec::new();
    let mut draft = draw(policy, place, content, random, |more| {
        blocks.extend(more);
        Ok::<_, DraftError>(())
    })?;
    draft.blocks.extend(blocks);
    Ok(draft)
}

/// Draws up a batch of some content. The blocks of its sealed parts, which may be hundreds of
/// megabytes, go to `sink` as they are made; after an error they are of no use.
///
/// # Errors
///
/// [`DraftError`] if the result would not be accepted by a reader, and what `sink` says. After
/// [`BuildError::Again`] another salt may do.
pub fn draw<E: From<DraftError>>(
    policy: &Policy,
    place: Place<'_>,
    content: &Content,
    mut random: impl FnMut(&mut [u8]),
    sink: impl FnMut(Vec<Block>) -> Result<(), E>,
) -> Result<Draft, E> {
    let own_window = Window {
        from: place.at.saturating_sub(policy.window_s),
        to: place.at,
    };
    let window = content.window.unwrap_or(own_window);
    let mut batch = heartbeat(policy, &place);
    batch.covers = content.covers;
    let open = open::parts(policy, window, content, place.at, &mut random)?;
    batch.parts.extend(open.parts.into_iter().map(Part::Open));
    let sealed = sealed::Maker {
        salt: place.salt,
        bits: policy.filter_bits,
        window,
    };
    let sealed = sealed.parts(content, place.at, &mut random, sink)?;
    batch.parts.extend(sealed.into_iter().map(Part::Sealed));
    // What a reader would refuse must never be prepared: it could be neither published nor, once
    // it is signed, replaced.
    let inner = inner_bytes(&batch);
    Unverified::<Batch>::decode(&assemble(Batch::KIND, &inner, &[0; 64]))
        .map_err(DraftError::from)?;
    Ok(Draft {
        batch,
        blocks: open.blocks,
        says: content.says.clone(),
        dummies: open.dummies,
    })
}

/// A batch that says nothing but that the provider is there.
pub(crate) fn heartbeat(policy: &Policy, place: &Place<'_>) -> Batch {
    let next_by = policy.interval_s.saturating_mul(3);
    let next_by = next_by.clamp(MIN_NEXT_BY_S, limit::MAX_NEXT_BY_S);
    let next_after = policy.interval_s.min(limit::MAX_NEXT_AFTER_S);
    Batch {
        provider: place.provider,
        zone: place.zone.clone(),
        key: place.key,
        epoch: place.desc.0,
        seq: place.head.map_or(1, |head| head.seq.saturating_add(1)),
        prev: place.head.map(|head| head.id),
        published_at: place.at,
        next_after: place.at.saturating_add(next_after),
        next_by: place.at.saturating_add(next_by),
        retain_from: place.at.saturating_sub(policy.retain_s),
        desc: place.desc.1,
        salt: place.salt,
        covers: None,
        parts: Vec::new(),
    }
}

/// Why no batch can be drawn up.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum DraftError {
    #[error("a block: {0}")]
    Block(#[from] BlockError),
    #[error("a sealed part: {0}")]
    Build(#[from] BuildError),
    #[error("the batch: {0}")]
    Decode(#[from] DecodeError),
    #[error("scheme {} cannot be sealed here", scheme.0)]
    Scheme { scheme: Scheme },
    #[error("the newest batch is {behind} s ahead of the clock")]
    ClockBack { behind: u64 },
}

#[cfg(test)]
mod tests;
