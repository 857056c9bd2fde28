//! Sealed parts for tests: real ones, and such as no honest provider makes.

use bellwether_formats::batch::{Batch, BlockRef, Part, SealedPart, Window};
use bellwether_formats::cid::{Block, Cid, Codec};
use bellwether_formats::id::{Level, Scheme};
use bellwether_formats::sealed::{BuiltPart, Entry, IdHash, Index, Payload, Plan, Shape};
use bellwether_formats::signed::Signed;

use super::{Author, T0};

/// A sealed part with its blocks.
#[derive(Clone)]
pub(crate) struct Sealed {
    pub(crate) part: SealedPart,
    pub(crate) filter: Block,
    pub(crate) index: Block,
    pub(crate) chunks: Vec<Block>,
}

impl Sealed {
    /// The parts of so many identifiers: 64 chunks of 4 KiB for few, 481 of 16 KiB for the most.
    pub(crate) fn parts(seed: u64, ids: u64) -> Vec<Self> {
        let mut random = Random(seed | 1);
        for _ in 0..100 {
            let salt = std::array::from_fn(|_| random.byte());
            let entries = (0..ids).map(|id| {
                let mut identifier = [0; 16];
                identifier[..8].copy_from_slice(&id.to_be_bytes());
                let hash = IdHash::of(Scheme::CX1, &salt, None, &identifier);
                let payload = Payload {
                    level: Level::DIAGNOSED,
                    grade_step: 0,
                    observed_before: T0,
                    span: None,
                };
                Entry::seal(&hash, payload)
            });
            let Ok(plan) = Plan::new(entries.collect()) else {
                continue;
            };
            let mut draw = |bytes: &mut [u8]| bytes.fill_with(|| random.byte());
            let parts = (0..plan.parts()).map(|number| plan.part(number, 18, &mut draw));
            if let Ok(parts) = parts.collect::<Result<Vec<BuiltPart>, _>>() {
                return parts.into_iter().map(Self::of).collect();
            }
        }
        panic!("no part can be built")
    }

    /// A part of the smallest size.
    pub(crate) fn small(seed: u64) -> Self {
        Self::parts(seed, 0).remove(0)
    }

    fn of(built: BuiltPart) -> Self {
        let BuiltPart {
            ids,
            filter,
            index,
            chunks,
        } = built;
        Self {
            part: part(ids, &filter, index.cid()),
            filter,
            index,
            chunks,
        }
    }

    /// The same with another chunk in place of one.
    pub(crate) fn with_chunk(mut self, at: usize, bytes: Vec<u8>) -> Self {
        self.chunks[at] = Block::of(Codec::Raw, bytes).unwrap();
        let shape = Shape::of(self.part.ids).unwrap();
        let cids = self.chunks.iter().map(Block::cid).collect();
        let index = Index::of(cids, &shape).unwrap().encode();
        self.with_index(index)
    }

    /// The same with another index.
    pub(crate) fn with_index(mut self, bytes: Vec<u8>) -> Self {
        self.index = Block::of(Codec::DagCbor, bytes).unwrap();
        self.part.index = self.index.cid();
        self
    }

    /// The same with another filter.
    pub(crate) fn with_filter(mut self, bytes: Vec<u8>) -> Self {
        self.filter = Block::of(Codec::Raw, bytes).unwrap();
        self.part = part(self.part.ids, &self.filter, self.part.index);
        self
    }

    /// All its blocks.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        let links = [&self.filter, &self.index];
        links.into_iter().chain(&self.chunks).cloned().collect()
    }

    pub(crate) fn cids(&self) -> Vec<Cid> {
        self.blocks().iter().map(Block::cid).collect()
    }
}

fn part(ids: u64, filter: &Block, index: Cid) -> SealedPart {
    SealedPart {
        scheme: Scheme::CX1,
        window: Window { from: 1, to: T0 },
        filter: BlockRef {
            cid: filter.cid(),
            size: u64::try_from(filter.bytes().len()).unwrap(),
        },
        index,
        ids,
    }
}

/// The batch after `prev` with these sealed parts.
pub(crate) fn batch_with(
    author: &Author,
    prev: Option<&Signed<Batch>>,
    parts: &[&Sealed],
) -> Signed<Batch> {
    author.batch_of(prev, &[], |batch| {
        let parts = parts.iter().map(|sealed| Part::Sealed(sealed.part.clone()));
        batch.parts = parts.collect();
    })
}

/// A small generator of numbers (xorshift64*).
struct Random(u64);

impl Random {
    fn byte(&mut self) -> u8 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        u8::try_from(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 56).unwrap()
    }
}
