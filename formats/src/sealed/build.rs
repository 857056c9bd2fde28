//! From a plan to blocks; and from blocks back to the filter. Source: spec §5.5, §5.9.

use alloc::vec::Vec;

use super::plan::range;
use super::{Again, BuildError, Chunk, Entry, Index, Place, Plan, SealedError, Shape, Tag};
use crate::cid::{Block, Codec};
use crate::filter::{self, FilterBuildError};

/// The blocks of a sealed part.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BuiltPart {
    /// Identifiers, padding included: what the signed part says.
    pub ids: u64,
    /// The filter (raw).
    pub filter: Block,
    /// The list of the chunks (dag-cbor).
    pub index: Block,
    /// The body (raw), in order.
    pub chunks: Vec<Block>,
}

impl Plan {
    /// Builds part `number` (counted from 0) with a filter of `bits` bits a fingerprint. `random`
    /// writes random bytes over all that it is given.
    ///
    /// It is filled with dummies up to the rung. They are drawn as real entries fall: tags evenly
    /// over the part's range, payloads evenly over all bytes. A dummy that does not fit is not drawn
    /// again: that would spare full chunks, and tell dummies from real entries. Everything starts
    /// again then, for which the reason is the same whichever of the entries are real.
    ///
    /// # Errors
    ///
    /// [`BuildError::Again`] if a chunk overflows, two filter keys are equal or the filter cannot be
    /// built; others are final.
    pub fn part(
        &self,
        number: usize,
        bits: u8,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Result<BuiltPart, BuildError> {
        let parts = self.parts();
        if number >= parts {
            return Err(BuildError::Number { number, parts });
        }
        let (shape, part) = (self.shape(), number);
        let entries = self.padded(Place { parts, part }, random);
        let tags = || entries.iter().map(tag);
        let keys: Vec<u64> = tags().map(|tag| tag.key()).collect();
        // Ascending by tag, so equal keys, which are its first bytes, stand side by side.
        if keys.iter().zip(keys.iter().skip(1)).any(|(a, b)| a == b) {
            return Err(Again::Keys.into());
        }
        let chunks = fill(&entries, shape, parts)?;
        let filter = filter::build(&keys, bits).map_err(refused)?;
        let index = chunks.iter().map(Block::cid).collect();
        let index = Index::of(index, shape).expect("one raw block a chunk");
        Ok(BuiltPart {
            ids: shape.ids(),
            filter: Block::of(Codec::Raw, filter)?,
            index: Block::of(Codec::DagCbor, index.encode())?,
            chunks,
        })
    }

    /// A part's entries and dummies, sealed, ascending by tag.
    fn padded(
        &self,
        place: Place,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Vec<[u8; Shape::ENTRY_BYTES]> {
        let ids = usize::try_from(self.shape().ids()).unwrap_or(usize::MAX);
        let mut entries = Vec::with_capacity(ids);
        entries.extend(self.entries(place.part).iter().map(Entry::sealed));
        let (first, size) = range(place);
        let mut buffer = [[0; Shape::ENTRY_BYTES]; 256];
        while entries.len() < ids {
            random(buffer.as_flattened_mut());
            for drawn in &buffer {
                if entries.len() < ids {
                    entries.extend(dummy(drawn, first, size));
                }
            }
        }
        // Entries that begin alike have one key, with which nothing is built.
        entries.sort_unstable_by_key(|entry| tag(entry).position());
        entries
    }
}

/// A dummy of random bytes whose tag begins with one of the `size` numbers from `first`; nothing in
/// less than half of the cases, so that each number is equally likely.
fn dummy(
    random: &[u8; Shape::ENTRY_BYTES],
    first: u64,
    size: u128,
) -> Option<[u8; Shape::ENTRY_BYTES]> {
    let (drawn, rest) = random.split_first_chunk()?;
    let mask = size.next_power_of_two() - 1;
    let offset = u128::from(u64::from_be_bytes(*drawn)) & mask;
    if offset >= size {
        return None;
    }
    let position = first.checked_add(u64::try_from(offset).ok()?)?;
    let mut entry = [0; Shape::ENTRY_BYTES];
    let bytes = position
        .to_be_bytes()
        .into_iter()
        .chain(rest.iter().copied());
    entry
        .iter_mut()
        .zip(bytes)
        .for_each(|(to, byte)| *to = byte);
    Some(entry)
}

/// Cuts a part's entries into its chunks.
fn fill(
    entries: &[[u8; Shape::ENTRY_BYTES]],
    shape: &Shape,
    parts: usize,
) -> Result<Vec<Block>, BuildError> {
    let chunk_of = |entry: &_| tag(entry).chunk(parts, shape.chunks());
    let mut rest = entries;
    let mut chunks = Vec::with_capacity(shape.chunks());
    for number in 0..shape.chunks() {
        let count = rest.partition_point(|entry| chunk_of(entry) <= number);
        let (inside, after) = rest.split_at_checked(count).ok_or(Again::Chunk)?;
        if count > shape.capacity() {
            return Err(Again::Chunk.into());
        }
        let mut bytes = Vec::with_capacity(shape.chunk_bytes());
        let count = u16::try_from(count).map_err(|_| Again::Chunk)?;
        bytes.extend_from_slice(&count.to_le_bytes());
        bytes.extend_from_slice(inside.as_flattened());
        bytes.resize(shape.chunk_bytes(), 0);
        chunks.push(Block::of(Codec::Raw, bytes)?);
        rest = after;
    }
    Ok(chunks)
}

/// An entry's tag.
fn tag(entry: &[u8; Shape::ENTRY_BYTES]) -> Tag {
    let (tag, _) = entry.split_first_chunk().expect("12 of 24 bytes");
    Tag::from_bytes(*tag)
}

/// What it means for a part that its filter was not built.
fn refused(error: FilterBuildError) -> BuildError {
    match error {
        FilterBuildError::EqualKeys => Again::Keys.into(),
        FilterBuildError::NoLayout => Again::Filter.into(),
        FilterBuildError::Bits { .. } | FilterBuildError::TooMany { .. } => {
            BuildError::Filter(error)
        }
    }
}

/// Makes the filter of a part again from its body, so that a relay can compare the two.
///
/// `chunks` are all of the part's, in order; each is let go before the next is asked for.
///
/// # Errors
///
/// The first rule that a chunk breaks; [`RebuildError::Ids`] if they have more or fewer entries than
/// the part has identifiers.
pub fn rebuild_filter<C: AsRef<[u8]>>(
    chunks: impl IntoIterator<Item = C>,
    shape: &Shape,
    place: Place,
    bits: u8,
) -> Result<Vec<u8>, RebuildError> {
    let mut keys = Vec::new();
    let mut count = 0;
    for (number, chunk) in chunks.into_iter().take(shape.chunks()).enumerate() {
        let chunk = Chunk::decode(chunk.as_ref(), shape, place, number)?;
        keys.extend(chunk.tags().map(|tag| tag.key()));
        count += 1;
    }
    let found = u64::try_from(keys.len()).unwrap_or(u64::MAX);
    if count != shape.chunks() || found != shape.ids() {
        let expected = shape.ids();
        return Err(RebuildError::Ids { found, expected });
    }
    Ok(filter::build(&keys, bits)?)
}

/// Why the filter of a body cannot be made.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum RebuildError {
    #[error(transparent)]
    Chunk(#[from] SealedError),
    #[error("{0}")]
    Filter(#[from] FilterBuildError),
    #[error("the body has {found} entries, the part {expected} identifiers")]
    Ids { found: u64, expected: u64 },
}
