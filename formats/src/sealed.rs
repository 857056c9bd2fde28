//! Sealed parts: identifiers that only a device which observed them can open. Source: spec §5.
//!
//! [`IdHash`] is what both sides make of an identifier; [`Shape`] is what `ids` alone decides;
//! [`Index`] and [`Chunk`] read a body's blocks. With feature `build`, `Plan` makes parts, and
//! `rebuild_filter` lets a relay compare a filter with the body.

mod chunk;
mod hash;
mod index;

#[cfg(feature = "build")]
mod build;
#[cfg(feature = "build")]
mod plan;

pub use chunk::{Chunk, Place};
pub use hash::{IdHash, Payload, Tag};
pub use index::Index;

#[cfg(feature = "build")]
pub use build::{BuiltPart, RebuildError, rebuild_filter};
#[cfg(feature = "build")]
pub use plan::{Again, BuildError, Entry, Plan};

use crate::error::rules;
use crate::limit;

/// Every number of identifiers that a sealed part may have, padding included, ascending: from 2^13
/// to 2^18 in steps of 25 % or less, so that a part's size tells little. Source: spec §5.5.
pub const LADDER: [u64; 21] = [
    8192, 10_240, 12_288, 14_336, 16_384, 20_480, 24_576, 28_672, 32_768, 40_960, 49_152, 57_344,
    65_536, 81_920, 98_304, 114_688, 131_072, 163_840, 196_608, 229_376, 262_144,
];

/// What a part's number of identifiers decides: how many chunks there are, and their size.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shape {
    ids: u64,
    chunks: usize,
    chunk_bytes: usize,
}

impl Shape {
    /// Length of an entry: a tag and a payload, in bytes.
    pub const ENTRY_BYTES: usize = 24;

    /// The shape of a part of `ids` identifiers, padding included.
    ///
    /// # Errors
    ///
    /// [`SealedError::Ladder`] if `ids` is not a rung of [`LADDER`].
    pub fn of(ids: u64) -> Result<Self, SealedError> {
        if !LADDER.contains(&ids) {
            return Err(SealedError::Ladder { found: ids });
        }
        let (chunks, chunk_bytes) = if ids <= 1 << 14 {
            (ids / 128, 4096)
        } else {
            (ids.div_ceil(545), 16_384)
        };
        let chunks = usize::try_from(chunks).map_err(|_| SealedError::Ladder { found: ids })?;
        Ok(Self {
            ids,
            chunks,
            chunk_bytes,
        })
    }

    /// The smallest rung of [`LADDER`] that holds `ids` identifiers, if there is one.
    pub fn rung(ids: u64) -> Option<u64> {
        LADDER.into_iter().find(|rung| ids <= *rung)
    }

    /// Identifiers of the part, padding included.
    pub const fn ids(&self) -> u64 {
        self.ids
    }

    /// How many chunks the body has.
    pub const fn chunks(&self) -> usize {
        self.chunks
    }

    /// Size of each chunk, in bytes.
    pub const fn chunk_bytes(&self) -> usize {
        self.chunk_bytes
    }

    /// How many entries a chunk can hold. On average it holds 80 % of them, or fewer.
    pub const fn capacity(&self) -> usize {
        (self.chunk_bytes - Chunk::COUNT_BYTES) / Self::ENTRY_BYTES
    }

    /// Size of the whole body, in bytes.
    pub const fn body_bytes(&self) -> usize {
        self.chunks * self.chunk_bytes
    }
}

/// Why the blocks of a sealed part are not what they should be. Source: spec §5.5.
///
/// (An index that is malformed is a [`DecodeError`](crate::error::DecodeError).)
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum SealedError {
    #[error("a chunk with {found} entries, it holds {limit} at most")]
    Count { found: usize, limit: usize },
    #[error("a part of {found} identifiers, which is not a rung of the ladder")]
    Ladder { found: u64 },
    #[error("entry {entry} of a chunk does not come after the one before it")]
    Order { entry: usize },
    #[error(
        "the sealed parts of a scheme have one `ids` and stand side by side, {} at most",
        limit::MAX_PARTS
    )]
    Parts,
    #[error("entry {entry} of a chunk belongs into another chunk")]
    Place { entry: usize },
    #[error("reserved bits of a payload are set")]
    Reserved,
    #[error("a chunk of {found} bytes, here each has {expected}")]
    Size { found: usize, expected: usize },
    #[error("after a chunk's entries there is something else than zeros")]
    Tail,
}

rules!(SealedError {
    Self::Count { .. } => "chunk-count",
    Self::Ladder { .. } => "ladder",
    Self::Order { .. } => "tag-order",
    Self::Parts => "sealed-parts",
    Self::Place { .. } => "tag-place",
    Self::Reserved => "reserved",
    Self::Size { .. } => "chunk-size",
    Self::Tail => "chunk-tail"
});

#[cfg(test)]
mod tests;
