//! What is deleted, and when: batches by age and by disk, blocks when no kept batch names them.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_formats::cid::Cid;
use bellwether_formats::id::FeedId;
use redb::{ReadableTable, ReadableTableMetadata};

use super::rows::BatchRow;
use super::{BATCHES, BLOCKS, DESCRIPTORS, FORKS, Store, StoreError, row};

/// How much a node keeps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RetainPolicy {
    /// Batches published before this time go, in seconds of UTC.
    pub before: u64,
    /// Most bytes of blocks; above it the oldest batches of all feeds go.
    pub max_bytes: u64,
}

/// What a pruning removed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Pruned {
    /// Batches.
    pub batches: usize,
    /// Blocks.
    pub blocks: usize,
}

impl Store {
    /// Bytes of blocks that are kept.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn used_bytes(&self) -> Result<u64, StoreError> {
        Ok(self.read()?.open_table(BLOCKS)?.stats()?.stored_bytes())
    }

    /// Deletes by time and disk cap only. A feed's head stays, whatever its age: it is what tells
    /// a client that the feed is stale, and what the next batch is judged by.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; then nothing was deleted.
    pub fn prune(&self, policy: RetainPolicy) -> Result<Pruned, StoreError> {
        let tx = self.write()?;
        let mut pruned = Pruned::default();
        {
            let mut batches = tx.open_table(BATCHES)?;
            let mut blocks = tx.open_table(BLOCKS)?;
            let mut sizes = BTreeMap::new();
            for entry in blocks.iter()? {
                let (cid, bytes) = entry?;
                sizes.insert(
                    cid.value().to_vec(),
                    u64::try_from(bytes.value().len()).unwrap_or(0),
                );
            }
            // Oldest first over all feeds; the last of each feed is its head.
            let mut kept: BTreeMap<(u64, Vec<u8>), BatchRow> = BTreeMap::new();
            let mut heads: BTreeMap<Vec<u8>, (u64, Vec<u8>)> = BTreeMap::new();
            for entry in batches.iter()? {
                let (key, value) = entry?;
                let row: BatchRow = row(value.value())?;
                let key = key.value().to_vec();
                let feed = key
                    .get(..key.len().saturating_sub(8))
                    .unwrap_or_default()
                    .to_vec();
                heads.insert(feed, (row.published_at, key.clone()));
                kept.insert((row.published_at, key), row);
            }
            let heads: BTreeSet<(u64, Vec<u8>)> = heads.into_values().collect();
            let mut used: u64 = sizes.values().sum();
            let mut gone = Vec::new();
            for (at, row) in &kept {
                if at.0 >= policy.before && used <= policy.max_bytes {
                    break;
                }
                if !heads.contains(at) {
                    let own = row.links()?.into_iter().chain([row.cid()?]);
                    let freed = own.filter_map(|cid| sizes.get(cid.to_bytes().as_slice()));
                    used = used.saturating_sub(freed.sum());
                    gone.push(at.clone());
                }
            }
            for at in &gone {
                batches.remove(at.1.as_slice())?;
                kept.remove(at);
            }
            pruned.batches = gone.len();
            if pruned.batches > 0 {
                let live = live_blocks(&kept)?;
                let pinned = pinned(&tx)?;
                let lives = |cid: &[u8]| live.contains(cid) || pinned.contains(cid);
                for cid in sizes.keys().filter(|cid| !lives(cid)) {
                    blocks.remove(cid.as_slice())?;
                    pruned.blocks += 1;
                }
            }
        }
        tx.commit()?;
        Ok(pruned)
    }

    /// Every fault of the store that can be seen by reading it whole: a head without its batch, a
    /// chain with a hole, a batch without a block. For `check`; empty when all is well.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the disk fails.
    pub fn faults(&self) -> Result<Vec<String>, StoreError> {
        let mut faults = Vec::new();
        for head in self.heads()? {
            let rows = self.rows_after(&head.feed, 0, usize::MAX)?;
            faults.extend(self.feed_faults(&head.feed, &rows)?);
            if rows.last().map(|row| row.seq) != Some(head.head.seq) {
                faults.push(format!("{}: the head is not the newest batch", head.feed));
            }
        }
        Ok(faults)
    }

    fn feed_faults(&self, feed: &FeedId, rows: &[BatchRow]) -> Result<Vec<String>, StoreError> {
        let mut faults = Vec::new();
        let mut before: Option<&BatchRow> = None;
        for row in rows {
            let name = format!("{feed} batch {}", row.seq);
            match self.batch(row) {
                Ok(Some(batch)) => {
                    let head = before.map(super::feed::head_of);
                    if let Some(Err(error)) = head.map(|head| head.check_next(&batch)) {
                        faults.push(format!("{name}: {error}"));
                    }
                    for cid in batch.links().into_iter().chain([batch.desc]) {
                        match self.block(&cid)? {
                            Some(bytes) if Cid::of(cid.codec(), &bytes) == cid => {}
                            Some(_) => faults.push(format!("{name}: block {cid} is damaged")),
                            None => faults.push(format!("{name}: block {cid} is missing")),
                        }
                    }
                }
                Ok(None) => faults.push(format!("{name}: the envelope is missing")),
                Err(StoreError::Object(error)) => faults.push(format!("{name}: {error}")),
                Err(error) => return Err(error),
            }
            before = Some(row);
        }
        Ok(faults)
    }
}

/// The blocks that kept batches name.
fn live_blocks(kept: &BTreeMap<(u64, Vec<u8>), BatchRow>) -> Result<BTreeSet<Vec<u8>>, StoreError> {
    let mut live = BTreeSet::new();
    for row in kept.values() {
        let cids = row.links()?.into_iter().chain([row.cid()?, row.desc()?]);
        live.extend(cids.map(|cid| cid.to_bytes().to_vec()));
    }
    Ok(live)
}

/// The blocks that stay without a batch: current descriptors and proofs of forks.
fn pinned(tx: &redb::WriteTransaction) -> Result<BTreeSet<Vec<u8>>, StoreError> {
    let mut pinned = BTreeSet::new();
    for table in [DESCRIPTORS, FORKS] {
        for entry in tx.open_table(table)?.iter()? {
            let (_, cids) = entry?;
            pinned.extend(cids.value().chunks(Cid::LEN).map(<[u8]>::to_vec));
        }
    }
    Ok(pinned)
}
