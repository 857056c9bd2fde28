//! A sealed part's chunks, as the store holds them. A gateway need not know the part: to it, an
//! index is a block that lists links to raw blocks of one size. Source: spec §5.5, §8.2.

use bellwether_formats::car::{self, Car};
use bellwether_formats::cbor::Reader;
use bellwether_formats::cid::{Block, Cid, Codec};
use bellwether_formats::limit::MAX_SEALED_CHUNKS;

use crate::store::{Snapshot, StoreError};

/// Largest chunk that is served, in bytes.
const MAX_CHUNK_BYTES: usize = 16 * 1024;

/// Most bytes of a part's chunks together (7.5 MiB).
pub(super) const MAX_BODY_BYTES: usize = MAX_SEALED_CHUNKS * MAX_CHUNK_BYTES;

/// Most bytes that making a bundle takes: the chunks, and generously their names, the index, the
/// header and the chunk in hand.
pub(super) const CAR_BYTES: usize = MAX_BODY_BYTES + 128 * 1024;

/// An index of which at least the first chunk is held.
pub(super) struct Index {
    block: Block,
    chunks: Vec<Cid>,
    chunk_bytes: usize,
}

impl Index {
    /// Reads an index; `None` if nothing is held under this name, or something else.
    pub(super) fn read(snapshot: &Snapshot, cid: &Cid) -> Result<Option<Self>, StoreError> {
        if cid.codec() != Codec::DagCbor {
            return Ok(None);
        }
        let Some(block) = snapshot.block(cid)? else {
            return Ok(None);
        };
        let Some(chunks) = parse(block.bytes()) else {
            return Ok(None);
        };
        let first = match chunks.first() {
            Some(first) => snapshot.bytes(first)?,
            None => None,
        };
        let chunk_bytes = first.map_or(0, |first| first.len());
        let served = (1..=MAX_CHUNK_BYTES).contains(&chunk_bytes);
        Ok(served.then_some(Self {
            block,
            chunks,
            chunk_bytes,
        }))
    }

    /// How many chunks there are.
    pub(super) const fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Size of each chunk, in bytes.
    pub(super) const fn chunk_bytes(&self) -> usize {
        self.chunk_bytes
    }

    /// Hands out the chunks in order, each hashed again. Gives whether that were all of them: it
    /// ends early if one is not held or has another size, and then the part is not to be served.
    pub(super) fn read_chunks(
        &self,
        snapshot: &Snapshot,
        mut take: impl FnMut(&Block),
    ) -> Result<bool, StoreError> {
        for cid in &self.chunks {
            match snapshot.block(cid)? {
                Some(chunk) if chunk.bytes().len() == self.chunk_bytes => take(&chunk),
                _ => return Ok(false),
            }
        }
        Ok(true)
    }
}

fn parse(bytes: &[u8]) -> Option<Vec<Cid>> {
    let mut reader = Reader::new(bytes);
    let most = u64::try_from(MAX_SEALED_CHUNKS).ok()?;
    let chunks = reader.list("chunks", most, Reader::link).ok()?;
    reader.finish().ok()?;
    let raw = |cid: &Cid| cid.codec() == Codec::Raw;
    chunks.iter().all(raw).then_some(chunks)
}

/// A bundle of an index and all its chunks, in order; `None` if they are not held, or are none.
pub(super) fn bundle(snapshot: &Snapshot, cid: &Cid) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(index) = Index::read(snapshot, cid)? else {
        return Ok(None);
    };
    let head = Car {
        roots: vec![*cid],
        blocks: vec![index.block.clone()],
    };
    let mut bytes = head.encode();
    bytes.reserve_exact(index.len() * car::section_len_of(index.chunk_bytes()));
    let whole = index.read_chunks(snapshot, |chunk| car::append(&mut bytes, chunk))?;
    Ok(whole.then_some(bytes))
}
