//! What is put together from a snapshot of the store. Source: spec §8.3 to §8.5.

use std::collections::BTreeSet;

use bellwether_formats::car::{self, Car};
use bellwether_formats::cid::{Block, Cid};
use bellwether_formats::descriptor::Descriptor;
use bellwether_formats::id::{FeedId, ProviderId, Zone};
use bellwether_formats::limit::{MAX_CAR_BYTES, MAX_CAR_ROOTS};
use bellwether_formats::signed::Signed;

use super::Made;
use crate::store::{BatchRow, Snapshot, StoreError};

/// Bytes of a bundle's header without its roots, generously.
const HEADER_BYTES: usize = 64;

/// Bytes that a root takes in a bundle's header, generously: a link.
const ROOT_BYTES: usize = 48;

/// Rows read at once: a few hundred KiB.
const PAGE: usize = 256;

/// The newest batch of every feed in a zone, each after its descriptor.
pub(super) fn heads(snapshot: &Snapshot, zone: &Zone) -> Result<Made, StoreError> {
    let mut bundle = Bundle::default();
    let mut fresh_until = u64::MAX;
    for head in snapshot.heads_in(zone)? {
        let mut batch = bundle.next();
        batch.descriptor(snapshot, &head.row)?;
        batch.envelope(snapshot, &head.row)?;
        fresh_until = fresh_until.min(head.head.next_by);
        if !bundle.take(batch) {
            tracing::warn!(%zone, "more feeds than one answer holds; the last are left out");
            break;
        }
    }
    Ok(bundle.made(fresh_until))
}

/// The batches of a feed after `seq`, with what a phone needs of them; `None` if the feed is not
/// carried. Never ends in the middle of a batch, unless that is the first.
pub(super) fn after(
    snapshot: &Snapshot,
    feed: &FeedId,
    seq: u64,
) -> Result<Option<Made>, StoreError> {
    let Some(head) = snapshot.head(feed)? else {
        return Ok(None);
    };
    let mut bundle = Bundle::default();
    let mut seq = seq;
    'pages: loop {
        let rows = snapshot.batches_after(feed, seq, PAGE)?;
        let Some(last) = rows.last() else { break };
        seq = last.seq;
        for row in &rows {
            let mut batch = bundle.next();
            if names_another_descriptor(snapshot, feed, row)? {
                batch.descriptor(snapshot, row)?;
            }
            batch.envelope(snapshot, row)?;
            for body in row.bodies()? {
                batch.body(snapshot, &body)?;
            }
            if !bundle.take(batch) {
                break 'pages;
            }
        }
    }
    Ok(Some(bundle.made(head.head.next_by)))
}

/// A provider's newest descriptor.
pub(super) fn descriptor(
    snapshot: &Snapshot,
    provider: &ProviderId,
) -> Result<Option<Made>, StoreError> {
    let Some(bytes) = snapshot.descriptor(provider)? else {
        return Ok(None);
    };
    let fresh_until = Signed::<Descriptor>::open(&bytes)?.expires_at;
    Ok(Some(Made { bytes, fresh_until }))
}

/// Whether a reader of the feed has not seen the batch's descriptor: it differs from that of the
/// batch before, or that one is not kept.
fn names_another_descriptor(
    snapshot: &Snapshot,
    feed: &FeedId,
    row: &BatchRow,
) -> Result<bool, StoreError> {
    let before = match row.seq.checked_sub(1) {
        Some(seq) => snapshot.row(feed, seq)?,
        None => None,
    };
    match before {
        Some(before) => Ok(before.desc()? != row.desc()?),
        None => Ok(true),
    }
}

/// A bundle that grows batch by batch.
#[derive(Default)]
struct Bundle {
    car: Car,
    /// Blocks that are in it: none is sent twice.
    has: BTreeSet<Cid>,
    bytes: usize,
}

/// The blocks of one batch on their way into a bundle.
struct Addition {
    root: Option<Cid>,
    blocks: Vec<Block>,
    bytes: usize,
    /// What the bundle has left.
    room: usize,
    /// Whether a body did not fit.
    cut: bool,
    has: BTreeSet<Cid>,
}

impl Bundle {
    fn next(&mut self) -> Addition {
        Addition {
            root: None,
            blocks: Vec::new(),
            bytes: ROOT_BYTES,
            room: MAX_CAR_BYTES.saturating_sub(HEADER_BYTES + self.bytes),
            cut: false,
            has: std::mem::take(&mut self.has),
        }
    }

    /// Takes a batch, if it fits or is the first: that one may lack bodies. Gives whether another
    /// may follow.
    fn take(&mut self, batch: Addition) -> bool {
        self.has = batch.has;
        let first = self.car.roots.is_empty();
        if (batch.cut || batch.bytes > batch.room) && !first {
            return false;
        }
        self.bytes += batch.bytes;
        self.car.roots.extend(batch.root);
        self.car.blocks.extend(batch.blocks);
        let roots = u64::try_from(self.car.roots.len()).unwrap_or(u64::MAX);
        !batch.cut && roots < MAX_CAR_ROOTS
    }

    fn made(&self, fresh_until: u64) -> Made {
        Made {
            bytes: self.car.encode(),
            fresh_until,
        }
    }
}

impl Addition {
    fn descriptor(&mut self, snapshot: &Snapshot, row: &BatchRow) -> Result<(), StoreError> {
        self.add(snapshot, &row.desc()?).map(|_| ())
    }

    fn envelope(&mut self, snapshot: &Snapshot, row: &BatchRow) -> Result<(), StoreError> {
        let cid = row.cid()?;
        if !self.add(snapshot, &cid)? {
            return Err(StoreError::Row {
                error: format!("the envelope {cid} of a batch is missing"),
            });
        }
        self.root = Some(cid);
        Ok(())
    }

    /// Adds a body unless one, this or another, does not fit.
    fn body(&mut self, snapshot: &Snapshot, cid: &Cid) -> Result<(), StoreError> {
        if self.cut || self.has.contains(cid) {
            return Ok(());
        }
        if let Some(block) = snapshot.block(cid)? {
            self.cut = self.bytes + car::section_len(&block) > self.room;
            if !self.cut {
                self.push(block);
            }
        }
        Ok(())
    }

    /// Adds a block, once; gives whether it is there. What is not is left out: a reader asks for
    /// it by name, elsewhere if need be.
    fn add(&mut self, snapshot: &Snapshot, cid: &Cid) -> Result<bool, StoreError> {
        if self.has.contains(cid) {
            return Ok(true);
        }
        let Some(block) = snapshot.block(cid)? else {
            return Ok(false);
        };
        self.push(block);
        Ok(true)
    }

    fn push(&mut self, block: Block) {
        self.bytes += car::section_len(&block);
        self.has.insert(block.cid());
        self.blocks.push(block);
    }
}
