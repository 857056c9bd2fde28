//! When a batch closes, and what it says. Pure: no I/O, no clock, no randomness of its own.
//! Source: spec §4.5 "Closing", §6.3 "Padding".

use std::collections::BTreeMap;

use bellwether_formats::batch::{Batch, BlockRef, OpenPart, Part, Window};
use bellwether_formats::body::open::{OpenBody, Terms};
use bellwether_formats::chain::Head;
use bellwether_formats::cid::{Block, BlockError, Cid, Codec};
use bellwether_formats::error::DecodeError;
use bellwether_formats::id::{Level, ProviderId, PublicKey, RecordId, Scheme, Zone};

use crate::store::{Draft, NoteRow};

/// How a zone is published; durations in seconds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    /// Time between two batches.
    pub interval_s: u64,
    /// Notifications that a part which is not empty is padded up to.
    pub k: usize,
    /// Notifications that close a batch before its time.
    pub max_notifications: usize,
    /// Observation times that a batch speaks of, before its publication.
    pub window_s: u64,
    /// How long batches are kept; information for readers.
    pub retain_s: u64,
}

/// Most bytes of an open body: under 1 MiB with its groups' heads.
const MAX_BODY_BYTES: usize = 1_000_000;

/// How far a batch's time may run ahead of the clock, in seconds, when batches are closed by hand
/// faster than one a second. Far below what readers take for a wrong clock (600 s).
const MAX_RUN_AHEAD_S: u64 = 60;

/// Shortest promise of a next batch, in seconds.
const MIN_NEXT_BY_S: u64 = 900;

/// When the next batch of a zone is due, in seconds of UTC: at once when there is no first one yet
/// or enough is pending, else an interval after the newest.
pub fn due(policy: &Policy, head: Option<&Head>, pending: usize, renewed: bool) -> u64 {
    match head {
        Some(head) if pending < policy.max_notifications && !renewed => {
            head.published_at.saturating_add(policy.interval_s)
        }
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
    /// Drawn for this batch alone.
    pub salt: [u8; 16],
}

/// Draws up the next batch of a zone from what is pending. `random` gives bytes for dummies.
///
/// # Errors
///
/// [`DraftError`] if the result would not be accepted by a reader.
pub fn draft(
    policy: &Policy,
    place: Place<'_>,
    pending: &[(RecordId, NoteRow)],
    mut random: impl FnMut(&mut [u8]),
) -> Result<Draft, DraftError> {
    let window = Window {
        from: place.at.saturating_sub(policy.window_s),
        to: place.at,
    };
    let mut draft = Draft {
        batch: heartbeat(policy, &place),
        blocks: Vec::new(),
        says: pending
            .iter()
            .map(|(record, note)| (*record, note.level))
            .collect(),
        dummies: Vec::new(),
    };
    for (scheme, units) in by_scheme(pending, place.at) {
        let dummies = dummies(policy, scheme, &units, &mut random);
        draft.dummies.extend(
            dummies
                .iter()
                .map(|(terms, unit)| dummy_note(scheme, *terms, unit)),
        );
        let mut all: Vec<(Terms, Vec<u8>)> = units.into_iter().chain(dummies).collect();
        all.sort_by(|(_, a), (_, b)| a.cmp(b));
        let width = scheme.unit_len().unwrap_or(1);
        for units in all.chunks(MAX_BODY_BYTES / width) {
            let body = OpenBody::build(scheme, units.iter().cloned())?;
            let block = Block::of(Codec::DagCbor, body.encode())?;
            let size = u64::try_from(block.bytes().len()).unwrap_or(u64::MAX);
            draft.batch.parts.push(Part::Open(OpenPart {
                scheme,
                window,
                body: BlockRef {
                    cid: block.cid(),
                    size,
                },
                count: body.count(),
            }));
            draft.blocks.push(block);
        }
    }
    Ok(draft)
}

/// A batch that says nothing but that the provider is there.
fn heartbeat(policy: &Policy, place: &Place<'_>) -> Batch {
    let next_by = (3 * policy.interval_s).clamp(MIN_NEXT_BY_S, 7 * 86_400);
    Batch {
        provider: place.provider,
        zone: place.zone.clone(),
        key: place.key,
        epoch: place.desc.0,
        seq: place.head.map_or(1, |head| head.seq.saturating_add(1)),
        prev: place.head.map(|head| head.id),
        published_at: place.at,
        next_after: place.at + policy.interval_s.min(86_400),
        next_by: place.at + next_by,
        retain_from: place.at.saturating_sub(policy.retain_s),
        desc: place.desc.1,
        salt: place.salt,
        covers: None,
        parts: Vec::new(),
    }
}

/// The units of each scheme with their terms. What is new closes its window with this batch.
fn by_scheme(pending: &[(RecordId, NoteRow)], at: u64) -> BTreeMap<Scheme, Vec<(Terms, Vec<u8>)>> {
    let mut schemes: BTreeMap<Scheme, Vec<(Terms, Vec<u8>)>> = BTreeMap::new();
    for (_, note) in pending {
        let observed_before = match note.published_level {
            Some(_) => note.observed_before,
            None => at,
        };
        let terms = Terms {
            level: Level(note.level),
            grade: None,
            observed_before,
        };
        schemes
            .entry(Scheme(note.scheme))
            .or_default()
            .push((terms, note.unit.clone()));
    }
    schemes
}

/// Random units up to the policy's `k`, each with the terms of a real one, so that nothing in the
/// batch tells them apart. Source: spec §6.3.
fn dummies(
    policy: &Policy,
    scheme: Scheme,
    real: &[(Terms, Vec<u8>)],
    random: &mut impl FnMut(&mut [u8]),
) -> Vec<(Terms, Vec<u8>)> {
    let terms = real.iter().map(|(terms, _)| *terms).cycle();
    let missing = policy.k.saturating_sub(real.len());
    terms
        .take(missing)
        .map(|terms| {
            let mut unit = vec![0; scheme.unit_len().unwrap_or(0)];
            random(&mut unit);
            (terms, unit)
        })
        .collect()
}

fn dummy_note(scheme: Scheme, terms: Terms, unit: &[u8]) -> NoteRow {
    NoteRow {
        scheme: scheme.0,
        unit: unit.to_vec(),
        level: terms.level.0,
        issue: 0,
        accepted_at: terms.observed_before,
        published_level: Some(terms.level.0),
        observed_before: terms.observed_before,
        dummy: true,
    }
}

/// Why no batch can be drawn up.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum DraftError {
    #[error("a block: {0}")]
    Block(#[from] BlockError),
    #[error("a body: {0}")]
    Body(#[from] DecodeError),
    #[error("the clock is {behind} s behind the newest batch: set the clock right")]
    ClockBack { behind: u64 },
}

#[cfg(test)]
mod tests;
