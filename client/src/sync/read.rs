//! Reading a gateway's bundle: which blocks are batches, which descriptors, which bodies.

use std::collections::BTreeMap;

use bellwether_formats::batch::Batch;
use bellwether_formats::car::{Car, CarError};
use bellwether_formats::cid::{Block, Cid};
use bellwether_formats::descriptor::Descriptor;
use bellwether_formats::limit;
use bellwether_formats::signed::{OpenError, Signed};

/// Largest bundle that a gateway sends, in bytes: cut at 4 MiB, save that the first batch and what
/// belongs to it is always there. Source: spec §8.4.
pub(super) const MAX_CAR_BYTES: usize =
    limit::MAX_CAR_BYTES + limit::MAX_BLOCK_BYTES + limit::MAX_DESCRIPTOR_BYTES;

/// A bundle's blocks, by what they are. The signatures hold; who signed is another question.
pub(super) struct Contents {
    /// The roots, in the sender's order.
    pub(super) batches: Vec<Signed<Batch>>,
    pub(super) descriptors: Vec<Signed<Descriptor>>,
    pub(super) others: BTreeMap<Cid, Block>,
}

/// Reads an answer of which every root is a batch.
pub(super) fn read(bytes: &[u8]) -> Result<Contents, ReadError> {
    let car = Car::decode(bytes, MAX_CAR_BYTES)?;
    let mut others: BTreeMap<Cid, Block> = car
        .blocks
        .into_iter()
        .map(|block| (block.cid(), block))
        .collect();
    let mut batches = Vec::new();
    for root in car.roots {
        let block = others.remove(&root).ok_or(ReadError::Root { cid: root })?;
        batches.push(Signed::open(block.bytes())?);
    }
    let mut descriptors = Vec::new();
    others.retain(|_, block| {
        let descriptor = Signed::open(block.bytes());
        let is_body = descriptor.is_err();
        descriptors.extend(descriptor);
        is_body
    });
    Ok(Contents {
        batches,
        descriptors,
        others,
    })
}

/// Why an answer is not a bundle of batches.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error(transparent)]
    Car(#[from] CarError),
    #[error("a batch is not what it claims to be: {0}")]
    Open(#[from] OpenError),
    #[error("the root {cid} is missing, or stands twice")]
    Root { cid: Cid },
}

impl ReadError {
    pub(super) const fn rule(&self) -> &'static str {
        match self {
            Self::Car(error) => error.rule(),
            Self::Open(error) => error.rule(),
            Self::Root { .. } => "car",
        }
    }
}
