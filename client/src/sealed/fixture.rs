//! A sealed part that was published, with all its blocks.

use std::sync::Arc;

use bellwether_formats::batch::{BlockRef, SealedPart as WirePart};
use bellwether_formats::cid::Block;
use bellwether_formats::filter::{Filter, MIN_CLIENT_BITS};
use bellwether_formats::id::ObjectId;
use bellwether_formats::sealed::{Chunk, Entry, Index, Plan};

use super::*;
use crate::confirm::{Key, Operators, Task, What};
use crate::fixture::Provider;
use crate::observations::ContactId;

/// When the batches of these tests are published, in seconds of UTC.
pub(crate) const AT: u64 = 1_900_000_000;

/// A batch with one sealed part of scheme cx1, and the part's blocks.
pub(crate) struct Published {
    pub(crate) batch: Batch,
    pub(crate) key: Key,
    pub(crate) filter: Filter,
    pub(crate) index: Block,
    pub(crate) listed: Arc<Index>,
    pub(crate) chunks: Vec<Vec<u8>>,
}

pub(crate) fn id(number: u64) -> ContactId {
    let mut id = [7; 16];
    id[..8].copy_from_slice(&number.to_le_bytes());
    id.into()
}

pub(crate) fn seen(number: u64, at: u64) -> Observation {
    Observation {
        id: id(number),
        at,
        family: Family::Cx,
    }
}

pub(crate) fn observed(all: &[Observation]) -> Observations {
    let mut observations = Observations::default();
    observations.record(all, AT).unwrap();
    observations
}

pub(crate) fn payload(level: Level) -> Payload {
    Payload {
        level,
        grade_step: 2,
        observed_before: AT,
        span: None,
    }
}

/// Random bytes that are the same on every run.
pub(crate) fn chance(seed: u64) -> impl FnMut(&mut [u8]) {
    use sha2::{Digest, Sha256};
    let mut count = 0_u64;
    move |bytes: &mut [u8]| {
        for piece in bytes.chunks_mut(32) {
            let hash = Sha256::new()
                .chain_update(seed.to_le_bytes())
                .chain_update(count.to_le_bytes())
                .finalize();
            piece.copy_from_slice(&hash[..piece.len()]);
            count += 1;
        }
    }
}

impl Published {
    /// Publishes identifiers, by number, under a salt of its own; padded to the first rung.
    pub(crate) fn new(salt: u8, ids: &[(u64, Payload)]) -> Self {
        Self::padded(salt, ids, 0)
    }

    /// As [`new`](Self::new), with `more` identifiers that nobody looks for.
    pub(crate) fn padded(salt: u8, ids: &[(u64, Payload)], more: u64) -> Self {
        let salt = [salt; 16];
        let more = (1 << 40..(1 << 40) + more).map(|number| (number, payload(Level::DIAGNOSED)));
        let entries = ids.iter().copied().chain(more).map(|(number, payload)| {
            Entry::seal(
                &IdHash::of(Scheme::CX1, &salt, None, id(number).as_bytes()),
                payload,
            )
        });
        let plan = Plan::new(entries.collect()).unwrap();
        let built = plan.part(0, 18, &mut chance(u64::from(salt[0]))).unwrap();
        let part = Part::Sealed(WirePart {
            scheme: Scheme::CX1,
            window: Window {
                from: AT - 14 * 86_400,
                to: AT,
            },
            filter: BlockRef {
                cid: built.filter.cid(),
                size: u64::try_from(built.filter.bytes().len()).unwrap(),
            },
            index: built.index.cid(),
            ids: built.ids,
        });
        let mut batch: Batch = (*Provider::new(1, AT).batch(None, AT, vec![part])).clone();
        batch.salt = salt;
        let shape = Shape::of(built.ids).unwrap();
        Self {
            key: Key {
                provider: batch.provider,
                zone: batch.zone.clone(),
                seq: batch.seq,
                batch: ObjectId::from_bytes([salt[0]; 32]),
                part: 0,
            },
            batch,
            filter: Filter::decode(built.filter.bytes(), built.ids, MIN_CLIENT_BITS).unwrap(),
            listed: Arc::new(Index::decode(built.index.bytes(), &shape).unwrap()),
            index: built.index,
            chunks: built.chunks.into_iter().map(Block::into_bytes).collect(),
        }
    }

    /// The part as a client holds it that made these observations.
    pub(crate) fn held(&self, observations: &Observations) -> SealedPart {
        let mut part = SealedPart::of(&self.batch, 0).unwrap();
        part.stage = Stage::Held;
        self.test(&mut part, observations);
        part
    }

    pub(crate) fn test(&self, part: &mut SealedPart, observations: &Observations) -> bool {
        part.test(observations, |key| self.filter.contains(key))
    }

    /// In which chunk an identifier lies, or would.
    pub(crate) fn chunk(&self, number: u64) -> usize {
        let shape = self.shape();
        let hash = IdHash::of(Scheme::CX1, &self.batch.salt, None, id(number).as_bytes());
        hash.tag().chunk(1, shape.chunks())
    }

    pub(crate) fn shape(&self) -> Shape {
        SealedPart::of(&self.batch, 0).unwrap().shape().unwrap()
    }

    /// What a look at `chunk` brings.
    pub(crate) fn looked(&self, chunk: usize) -> What {
        What::Verified(vec![(chunk, self.chunks[chunk].clone())])
    }

    pub(crate) fn tasks(&self, part: &SealedPart, operators: &Arc<Operators>) -> Vec<Task> {
        Task::of(part, &self.key, &self.listed, operators)
    }

    /// The blocks are what a client expects them to be.
    pub(crate) fn check(&self) {
        for (number, bytes) in self.chunks.iter().enumerate() {
            Chunk::decode(bytes, &self.shape(), Place::ONLY, number).unwrap();
        }
    }
}
