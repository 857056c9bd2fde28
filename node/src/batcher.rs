//! When a batch closes, and what it says. Pure: no I/O, no clock, no randomness of its own.
//! Source: spec §4.3 "Clocks", §4.6 "Padding", §4.7.

use std::collections::BTreeMap;

use bellwether_formats::batch::{Batch, BlockRef, OpenPart, Part, Window};
use bellwether_formats::body::open::{OpenBody, Terms};
use bellwether_formats::chain::Head;
use bellwether_formats::cid::{Block, BlockError, Cid, Codec};
use bellwether_formats::error::DecodeError;
use bellwether_formats::id::{Level, ProviderId, PublicKey, RecordId, Scheme, Zone};
use bellwether_formats::limit;
use bellwether_formats::signed::{Content as _, Unverified, assemble, inner_bytes};

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

/// Most bytes of units in an open body: under 1 MiB with what surrounds them.
const MAX_BODY_BYTES: usize = 1_000_000;

/// Most groups in an open body. Their heads, of 19 bytes at most, fit what [`MAX_BODY_BYTES`]
/// leaves of a block; the format's own limit is higher.
const MAX_BODY_GROUPS: usize = 2048;

/// How far a batch's time may run ahead of the clock, in seconds, when batches are closed by hand
/// faster than one a second. Far below what readers take for a wrong clock (600 s).
const MAX_RUN_AHEAD_S: u64 = 60;

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

/// A unit with its terms, in the order in which they stand in bodies.
type Unit = (Terms, Vec<u8>);

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
        let dummies = dummies(policy, scheme, &units, place.at, &mut random);
        draft.dummies.extend(
            dummies
                .iter()
                .map(|(terms, unit)| dummy_note(scheme, *terms, unit)),
        );
        let mut all: Vec<Unit> = units.into_iter().chain(dummies).collect();
        all.sort();
        for units in all.chunks(part_len(&all)) {
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
    // What a reader would refuse must never be prepared: it could be neither published nor, once
    // it is signed, replaced.
    let inner = inner_bytes(&draft.batch);
    Unverified::<Batch>::decode(&assemble(Batch::KIND, &inner, &[0; 64]))?;
    Ok(draft)
}

/// How many units a part holds so that every part fits a block. All parts but the last are equally
/// long, so that none is a small remainder.
fn part_len(units: &[Unit]) -> usize {
    let fits = |part: &[Unit]| {
        let bytes: usize = part.iter().map(|(_, unit)| unit.len()).sum();
        let groups = part.chunk_by(|(one, _), (other, _)| one == other).count();
        bytes <= MAX_BODY_BYTES && groups <= MAX_BODY_GROUPS
    };
    let max_parts = usize::try_from(limit::MAX_PARTS).unwrap_or(usize::MAX);
    let lens = (1..=max_parts).map(|parts| units.len().div_ceil(parts).max(1));
    let mut lens = lens.skip_while(|len| !units.chunks(*len).all(fits));
    // A batch of more parts is refused below, as one that no reader takes.
    lens.next().unwrap_or(1)
}

/// A batch that says nothing but that the provider is there.
fn heartbeat(policy: &Policy, place: &Place<'_>) -> Batch {
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

/// The units of each scheme with their terms. What is new closes its window with this batch.
fn by_scheme(pending: &[(RecordId, NoteRow)], at: u64) -> BTreeMap<Scheme, Vec<Unit>> {
    let mut schemes: BTreeMap<Scheme, Vec<Unit>> = BTreeMap::new();
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
/// batch tells them apart. The terms are those of new ones where there are any: a unit that was
/// never seen before and claims an older publication would be known for a dummy.
/// Source: spec §4.6.
fn dummies(
    policy: &Policy,
    scheme: Scheme,
    real: &[Unit],
    at: u64,
    random: &mut impl FnMut(&mut [u8]),
) -> Vec<Unit> {
    let of = |new: bool| {
        let some = real.iter().map(|(terms, _)| *terms);
        some.filter(move |terms| !new || terms.observed_before == at)
    };
    let any_new = of(true).next().is_some();
    let missing = policy.k.saturating_sub(real.len());
    of(any_new)
        .cycle()
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
    #[error("the batch: {0}")]
    Decode(#[from] DecodeError),
    #[error("the clock is {behind} s behind the newest batch: set the clock right")]
    ClockBack { behind: u64 },
}

#[cfg(test)]
mod tests;
