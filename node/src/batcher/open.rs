//! Open parts: units as they are, padded with others. Source: spec §4.6, §6.

use std::collections::BTreeMap;

use bellwether_formats::batch::{BlockRef, OpenPart, Window};
use bellwether_formats::body::open::{OpenBody, Terms};
use bellwether_formats::cid::{Block, Codec};
use bellwether_formats::id::{Level, RecordId, Scheme};
use bellwether_formats::limit;

use super::{Content, DraftError, Policy};
use crate::store::{Mode, NoteRow};

/// Most bytes of units in an open body: under 1 MiB with what surrounds them.
pub(super) const MAX_BODY_BYTES: usize = 1_000_000;

/// Most groups in an open body. Their heads, of 19 bytes at most, fit what [`MAX_BODY_BYTES`]
/// leaves of a block; the format's own limit is higher.
const MAX_BODY_GROUPS: usize = 2048;

/// A unit with its terms, in the order in which they stand in bodies.
type Unit = (Terms, Vec<u8>);

/// The units of a scheme, and which of them are new.
type Units = (Vec<Unit>, Vec<bool>);

/// The open parts of a batch.
#[derive(Debug, Default)]
pub(super) struct Open {
    pub(super) parts: Vec<OpenPart>,
    pub(super) blocks: Vec<Block>,
    pub(super) dummies: Vec<NoteRow>,
}

/// Makes the open parts of a batch that is published at `at`.
pub(super) fn parts(
    policy: &Policy,
    window: Window,
    content: &Content,
    at: u64,
    random: &mut impl FnMut(&mut [u8]),
) -> Result<Open, DraftError> {
    let mut open = Open::default();
    for (scheme, units) in by_scheme(&content.open, at) {
        let dummies = dummies(policy, scheme, &units, random);
        let (units, _) = units;
        open.dummies.extend(
            dummies
                .iter()
                .map(|(terms, unit)| dummy_note(scheme, *terms, unit, at)),
        );
        let mut all: Vec<Unit> = units.into_iter().chain(dummies).collect();
        all.sort();
        for units in all.chunks(part_len(&all)) {
            let body = OpenBody::build(scheme, units.iter().cloned())?;
            let block = Block::of(Codec::DagCbor, body.encode())?;
            let size = u64::try_from(block.bytes().len()).unwrap_or(u64::MAX);
            open.parts.push(OpenPart {
                scheme,
                window,
                body: BlockRef {
                    cid: block.cid(),
                    size,
                },
                count: body.count(),
            });
            open.blocks.push(block);
        }
    }
    Ok(open)
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
    // A batch of more parts is refused in the end, as one that no reader takes.
    lens.next().unwrap_or(1)
}

/// The units of each scheme with their terms. What is new closes its window with this batch.
fn by_scheme(notes: &[(RecordId, NoteRow)], at: u64) -> BTreeMap<Scheme, Units> {
    let mut schemes: BTreeMap<Scheme, Units> = BTreeMap::new();
    for (_, note) in notes {
        let terms = Terms {
            level: Level(note.level),
            grade: note.grade_now(),
            observed_before: note.observed_before_at(at),
        };
        let (units, new) = schemes.entry(Scheme(note.scheme)).or_default();
        units.push((terms, note.unit.clone()));
        new.push(note.published_level.is_none());
    }
    schemes
}

/// Random units up to the policy's `k`, each with the terms of a real one and like it in all that is
/// not random, so that nothing in the batch tells them apart. They are like new ones where there are any: a unit that was
/// never seen before and claims an older publication would be known for a dummy.
/// Source: spec §4.6.
fn dummies(
    policy: &Policy,
    scheme: Scheme,
    (real, new): &Units,
    random: &mut impl FnMut(&mut [u8]),
) -> Vec<Unit> {
    let Some(rules) = scheme.rules() else {
        return Vec::new();
    };
    let any_new = new.contains(&true);
    let models = real.iter().zip(new).filter(|(_, new)| **new || !any_new);
    let missing = policy.k.saturating_sub(real.len());
    models
        .cycle()
        .take(missing)
        .filter_map(|((terms, like), _)| Some((*terms, rules.dummy(like, random)?)))
        .collect()
}

/// What is kept of padding that a batch published at `at` has.
fn dummy_note(scheme: Scheme, terms: Terms, unit: &[u8], at: u64) -> NoteRow {
    NoteRow {
        scheme: scheme.0,
        unit: unit.to_vec(),
        level: terms.level.0,
        issue: 0,
        accepted_at: terms.observed_before,
        published_level: Some(terms.level.0),
        observed_before: terms.observed_before,
        published_at: at,
        dummy: true,
        mode: Mode::Open,
        batch: None,
        grade: terms.grade,
        next_grade: None,
        publish_from: 0,
        public_at: None,
        owner: None,
    }
}
