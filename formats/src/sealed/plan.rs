//! Which entries lie in which part. Source: spec §5.3, §5.9.

use alloc::vec::Vec;
use core::cmp::Reverse;

use super::hash::xor;
use super::{IdHash, Payload, Place, Shape, Tag};
use crate::cid::BlockError;
use crate::filter::FilterBuildError;
use crate::limit;

/// An identifier's hash and what its entry will say: 31 bytes.
///
/// It is sealed when its part is built, since equal identifiers must be told apart by what they
/// say before that.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Entry {
    tag: Tag,
    keystream: [u8; Payload::LEN],
    payload: [u8; 11],
}

impl Entry {
    /// The entry of an identifier.
    pub fn seal(hash: &IdHash, payload: Payload) -> Self {
        let [payload @ .., _] = payload.encode(hash.day());
        Self {
            tag: hash.tag(),
            keystream: hash.keystream(),
            payload,
        }
    }

    /// By it the entry is found, and placed.
    pub const fn tag(&self) -> Tag {
        self.tag
    }

    /// The 24 bytes in a chunk.
    pub(super) fn sealed(&self) -> [u8; Shape::ENTRY_BYTES] {
        let mut plain = [0; Payload::LEN];
        plain
            .iter_mut()
            .zip(self.payload)
            .for_each(|(to, byte)| *to = byte);
        join(self.tag, xor(plain, self.keystream))
    }

    /// Which of the entries of one identifier counts: the highest level; among these the latest
    /// time, so that whoever is warned by one of them is warned by the one that is left; then the
    /// highest grade.
    fn weight(&self) -> (u8, [u8; 5], u8) {
        let [level, grade, a, b, c, d, e, ..] = self.payload;
        (level, [a, b, c, d, e], grade)
    }

    const fn hash(&self) -> (Tag, [u8; Payload::LEN]) {
        (self.tag, self.keystream)
    }
}

/// Says nothing of the identifier.
impl core::fmt::Debug for Entry {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Entry(…)")
    }
}

/// An entry's 24 bytes.
pub(super) fn join(tag: Tag, sealed: [u8; Payload::LEN]) -> [u8; Shape::ENTRY_BYTES] {
    let mut entry = [0; Shape::ENTRY_BYTES];
    let bytes = tag.as_bytes().iter().chain(&sealed);
    entry
        .iter_mut()
        .zip(bytes)
        .for_each(|(to, byte)| *to = *byte);
    entry
}

/// The entries of one scheme in a batch, each identifier once, and how they are cut into parts.
///
/// Parts are built one at a time ([`Plan::part`]), in any order and on any number of threads, so
/// that memory is the entries' and that of the parts under way.
#[derive(Debug)]
pub struct Plan {
    /// Ascending by tag, so a part's entries stand side by side.
    entries: Vec<Entry>,
    parts: usize,
    shape: Shape,
}

impl Plan {
    /// Plans the parts for these entries, which may be none.
    ///
    /// # Errors
    ///
    /// [`BuildError::Parts`] for more than a batch can hold; [`BuildError::Again`] if two
    /// identifiers have one filter key or a part has too many.
    pub fn new(mut entries: Vec<Entry>) -> Result<Self, BuildError> {
        // The number that tags begin with decides almost always, and is compared at once.
        entries.sort_unstable_by(|one, other| {
            let whole = |entry: &Entry| (entry.hash(), Reverse(entry.weight()));
            let first = one.tag.position().cmp(&other.tag.position());
            first.then_with(|| whole(one).cmp(&whole(other)))
        });
        entries.dedup_by_key(|entry| entry.hash());
        let keys = || entries.iter().map(|entry| entry.tag.key());
        if keys().zip(keys().skip(1)).any(|(one, next)| one == next) {
            return Err(Again::Keys.into());
        }
        let parts = parts_for(entries.len());
        if parts > limit::MAX_PARTS {
            return Err(BuildError::Parts { found: parts });
        }
        let parts = usize::try_from(parts).map_err(|_| BuildError::Parts { found: parts })?;
        let fullest = (0..parts)
            .map(|part| slice(&entries, Place { parts, part }).len())
            .max()
            .unwrap_or_default();
        let ids = Shape::rung(u64::try_from(fullest).unwrap_or(u64::MAX)).ok_or(Again::Part)?;
        let shape = Shape::of(ids).map_err(|_| Again::Part)?;
        Ok(Self {
            entries,
            parts,
            shape,
        })
    }

    /// How many parts there are.
    pub const fn parts(&self) -> usize {
        self.parts
    }

    /// The shape that all parts have.
    pub const fn shape(&self) -> &Shape {
        &self.shape
    }

    /// How many entries there are, padding not included.
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether all will be padding.
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries of part `number`, ascending by tag.
    pub(super) fn entries(&self, number: usize) -> &[Entry] {
        let place = Place {
            parts: self.parts,
            part: number,
        };
        slice(&self.entries, place)
    }
}

/// The entries of a part, among all that are sorted by tag.
fn slice(entries: &[Entry], place: Place) -> &[Entry] {
    let part = |entry: &Entry| entry.tag.part(place.parts);
    let from = entries.partition_point(|entry| part(entry) < place.part);
    let to = entries.partition_point(|entry| part(entry) <= place.part);
    entries.get(from..to).unwrap_or_default()
}

/// The first number with which a tag of the part begins, and how many there are. Source: spec §5.3.
pub(super) fn range(place: Place) -> (u64, u128) {
    let wide = |number: usize| u128::try_from(number).unwrap_or(u128::MAX);
    let parts = wide(place.parts).clamp(1, u128::from(limit::MAX_PARTS));
    // Position u lies in part k if and only if k·2^64 <= u·P < (k + 1)·2^64.
    let start = |part: u128| (part.min(parts) << 64).div_ceil(parts);
    let (first, end) = (
        start(wide(place.part)),
        start(wide(place.part).saturating_add(1)),
    );
    (u64::try_from(first).unwrap_or(u64::MAX), end - first)
}

/// How many parts so many identifiers take: max(1, ceil(1.02·n / 2^18)), by integers.
pub(super) fn parts_for(ids: usize) -> u64 {
    let ids = u128::try_from(ids).unwrap_or(u128::MAX / 102);
    let parts = (ids * 102)
        .div_ceil(100 * u128::from(limit::MAX_SEALED_IDS))
        .max(1);
    u64::try_from(parts).unwrap_or(u64::MAX)
}

/// Why a part was not built.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum BuildError {
    /// Chance, or somebody who prepared identifiers: all parts of the batch start again.
    #[error("{0}: draw a new salt and start again")]
    Again(#[from] Again),
    #[error("a block cannot be made: {0}")]
    Block(#[from] BlockError),
    #[error("the filter cannot be made: {0}")]
    Filter(FilterBuildError),
    #[error("{found} sealed parts, a batch holds {}", limit::MAX_PARTS)]
    Parts { found: u64 },
    #[error("there is no part {number}, the plan has {parts}")]
    Number { number: usize, parts: usize },
}

/// What a new salt cures.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum Again {
    #[error("a chunk has more entries than it can hold")]
    Chunk,
    #[error("the filter of these keys cannot be built")]
    Filter,
    #[error("two entries have one filter key")]
    Keys,
    #[error("a part has more entries than the highest rung")]
    Part,
}
