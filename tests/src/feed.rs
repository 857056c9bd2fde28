//! A feed as a gateway shows it.

use std::collections::BTreeMap;
use std::io;

use bellwether_formats::batch::{Batch, Part};
use bellwether_formats::body::open::OpenBody;
use bellwether_formats::car::Car;
use bellwether_formats::cid::{Block, Cid};
use bellwether_formats::id::Level;
use bellwether_formats::signed::Signed;

use crate::web;

/// Batches and blocks of a feed.
#[derive(Clone, Debug, Default)]
pub struct Feed {
    /// Ascending.
    pub batches: Vec<Signed<Batch>>,
    /// What came with them.
    pub blocks: BTreeMap<Cid, Block>,
}

/// A notification as it was published.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Said {
    /// In which batch.
    pub seq: u64,
    /// At which level.
    pub level: Level,
    /// The seed.
    pub unit: Vec<u8>,
}

impl Feed {
    /// Everything that a gateway has of a feed (`id/zone`) after a batch.
    ///
    /// # Errors
    ///
    /// [`io::Error`] if the gateway does not answer, or not with 200.
    pub fn after(gateway: &str, feed: &str, mut seq: u64) -> io::Result<Self> {
        let mut all = Self::default();
        loop {
            let url = format!("{gateway}/v1/feeds/{feed}/after/{seq}");
            let answer = web::get(&url)?;
            if answer.status != 200 {
                return Err(io::Error::other(format!("{url}: {}", answer.status)));
            }
            let car = Car::decode(&answer.body, 8 * 1024 * 1024).map_err(io::Error::other)?;
            if car.roots.is_empty() {
                return Ok(all);
            }
            all.blocks.extend(car.blocks.into_iter().map(|block| (block.cid(), block)));
            for root in &car.roots {
                let block = &all.blocks[root];
                all.batches.push(Signed::open(block.bytes()).map_err(io::Error::other)?);
            }
            seq = all.batches.last().map_or(seq, |batch| batch.seq);
        }
    }

    /// Every notification of every open part, dummies included.
    pub fn said(&self) -> Vec<Said> {
        let mut said = Vec::new();
        for batch in &self.batches {
            for part in &batch.parts {
                let Part::Open(part) = part else { continue };
                let block = &self.blocks[&part.body.cid];
                let body = OpenBody::decode(part.scheme, block.bytes()).unwrap();
                said.extend(body.units().map(|(terms, unit)| Said {
                    seq: batch.seq,
                    level: terms.level,
                    unit: unit.to_vec(),
                }));
            }
        }
        said
    }
}
