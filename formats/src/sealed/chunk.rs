//! A chunk of a body. Source: spec §5.5.

use super::hash::xor;
use super::{IdHash, Payload, SealedError, Shape, Tag};

/// Which part of its scheme in its batch a part is. Source: spec §5.3.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Place {
    /// How many sealed parts the scheme has in the batch.
    pub parts: usize,
    /// The number of this one, counted from 0.
    pub part: usize,
}

impl Place {
    /// The place of a part that is its scheme's only one.
    pub const ONLY: Self = Self { parts: 1, part: 0 };

    /// Whether an entry of this tag lies in the part at all.
    pub fn holds(&self, tag: &Tag) -> bool {
        tag.part(self.parts) == self.part
    }
}

/// A chunk that keeps every rule: its entries stand in order, and they belong here.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    entries: &'a [[u8; Shape::ENTRY_BYTES]],
}

impl<'a> Chunk<'a> {
    /// Length of the number of entries, in bytes.
    pub const COUNT_BYTES: usize = 2;

    /// Reads chunk `number` (counted from 0) of a part of this shape and place. Nothing is
    /// allocated.
    ///
    /// # Errors
    ///
    /// [`SealedError`]: size, number of entries, their order, whether each belongs into this chunk,
    /// and the zeros after them, in this order.
    pub fn decode(
        bytes: &'a [u8],
        shape: &Shape,
        place: Place,
        number: usize,
    ) -> Result<Self, SealedError> {
        let size = SealedError::Size {
            found: bytes.len(),
            expected: shape.chunk_bytes(),
        };
        if bytes.len() != shape.chunk_bytes() {
            return Err(size);
        }
        let (count, rest) = bytes.split_first_chunk().ok_or(size)?;
        let (found, limit) = (usize::from(u16::from_le_bytes(*count)), shape.capacity());
        let too_many = SealedError::Count { found, limit };
        if found > limit {
            return Err(too_many);
        }
        let (entries, tail) = rest
            .split_at_checked(found * Shape::ENTRY_BYTES)
            .ok_or(too_many)?;
        let (entries, _) = entries.as_chunks();
        let chunk = Self { entries };
        let mut last = None;
        for (entry, tag) in chunk.tags().enumerate() {
            if last.is_some_and(|last| last >= tag) {
                return Err(SealedError::Order { entry });
            }
            if !place.holds(&tag) || tag.chunk(place.parts, shape.chunks()) != number {
                return Err(SealedError::Place { entry });
            }
            last = Some(tag);
        }
        if tail.iter().any(|byte| *byte != 0) {
            return Err(SealedError::Tail);
        }
        Ok(chunk)
    }

    /// How many entries it has, padding included.
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has no entries.
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The tags of its entries, in order.
    pub fn tags(&self) -> impl ExactSizeIterator<Item = Tag> + '_ {
        self.entries.iter().map(|entry| split(entry).0)
    }

    /// Opens the entry of an identifier, if it is here.
    ///
    /// # Errors
    ///
    /// [`SealedError::Reserved`], inside, if the entry is here and its payload is malformed.
    pub fn open(&self, hash: &IdHash) -> Option<Result<Payload, SealedError>> {
        let tag = hash.tag();
        let at = self
            .entries
            .binary_search_by_key(&tag, |entry| split(entry).0)
            .ok()?;
        let (_, sealed) = split(self.entries.get(at)?);
        Some(Payload::decode(xor(sealed, hash.keystream()), hash.day()))
    }
}

/// An entry's tag and its sealed payload.
fn split(entry: &[u8; Shape::ENTRY_BYTES]) -> (Tag, [u8; Payload::LEN]) {
    let (mut tag, mut sealed) = ([0; Tag::LEN], [0; Payload::LEN]);
    let bytes = tag.iter_mut().chain(&mut sealed).zip(entry);
    bytes.for_each(|(to, byte)| *to = *byte);
    (Tag::from_bytes(tag), sealed)
}
