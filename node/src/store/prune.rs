//! What is deleted, and when: batches by age and by disk, blocks when no kept batch names them.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_formats::cid::Cid;
use redb::{ReadableTable, Table, WriteTransaction};

use super::rows::{BatchRow, PreparedRow};
use super::{BATCHES, DESCRIPTORS, FORKS, PREPARED, SIZES, Store, StoreError, blocks, row};

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
        self.snapshot()?.used_bytes()
    }

    /// Deletes batches by time and disk cap only, and blocks that nothing names any more. A feed's
    /// head stays, whatever its age: it is what tells a client that the feed is stale, and what
    /// the next batch is judged by.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; then nothing was deleted.
    pub fn prune(&self, policy: RetainPolicy) -> Result<Pruned, StoreError> {
        let tx = self.write()?;
        let mut pruned = Pruned::default();
        {
            let mut batches = tx.open_table(BATCHES)?;
            let sizes = blocks::sizes(&tx.open_table(SIZES)?)?;
            let kept = kept(&batches)?;
            let mut names = names(&tx, &kept)?;
            // What nothing names goes first: it must not cost a batch its place.
            let size = |cid: &Vec<u8>| sizes.get(cid).copied().unwrap_or_default();
            let mut used: u64 = names.keys().map(size).sum();
            for (at, old) in kept {
                if at.0 >= policy.before && used <= policy.max_bytes {
                    break;
                }
                if old.is_head {
                    continue;
                }
                batches.remove(at.1.as_slice())?;
                pruned.batches += 1;
                for cid in named_by(&old.row)? {
                    if let Some(count) = names.get_mut(&cid) {
                        *count -= 1;
                        if *count == 0 {
                            names.remove(&cid);
                            used = used.saturating_sub(size(&cid));
                        }
                    }
                }
            }
            for cid in sizes.keys().filter(|cid| !names.contains_key(*cid)) {
                blocks::remove(&tx, cid)?;
                pruned.blocks += 1;
            }
        }
        if pruned != Pruned::default() {
            tx.commit()?;
        }
        Ok(pruned)
    }
}

/// Order of deletion: time of publication, then the key.
type Age = (u64, Vec<u8>);

struct Kept {
    row: BatchRow,
    is_head: bool,
}

/// All batches, oldest first over all feeds. Those of a feed stand together in the table, and the
/// last of them is its head.
fn kept(batches: &Table<'_, &[u8], &[u8]>) -> Result<BTreeMap<Age, Kept>, StoreError> {
    let mut kept: BTreeMap<Age, Kept> = BTreeMap::new();
    let mut last: Option<Age> = None;
    for entry in batches.iter()? {
        let (key, value) = entry?;
        let row: BatchRow = row(value.value())?;
        let key = key.value().to_vec();
        let same_feed = |before: &Age| feed_part(&before.1) == feed_part(&key);
        if let Some(before) = last.take_if(|before| same_feed(before))
            && let Some(before) = kept.get_mut(&before)
        {
            before.is_head = false;
        }
        let age = (row.published_at, key);
        last = Some(age.clone());
        let is_head = true;
        kept.insert(age, Kept { row, is_head });
    }
    Ok(kept)
}

/// A batch's key without its number.
fn feed_part(key: &[u8]) -> &[u8] {
    key.split_last_chunk::<8>().map_or(key, |(feed, _)| feed)
}

/// How often each block is named: by batches, by what is prepared, as a current descriptor, as a
/// proof of a fork.
fn names(
    tx: &WriteTransaction,
    kept: &BTreeMap<Age, Kept>,
) -> Result<BTreeMap<Vec<u8>, usize>, StoreError> {
    let mut all = Vec::new();
    for batch in kept.values() {
        all.extend(named_by(&batch.row)?);
    }
    for table in [DESCRIPTORS, FORKS] {
        for entry in tx.open_table(table)?.iter()? {
            let (_, cids) = entry?;
            all.extend(cids.value().chunks(Cid::LEN).map(<[u8]>::to_vec));
        }
    }
    for entry in tx.open_table(PREPARED)?.iter()? {
        let prepared: PreparedRow = row(entry?.1.value())?;
        all.push(prepared.batch()?.desc.to_bytes().to_vec());
    }
    let mut names = BTreeMap::new();
    for cid in all {
        *names.entry(cid).or_default() += 1;
    }
    Ok(names)
}

/// The blocks of a batch: its envelope, its descriptor, its parts' blocks; each once.
fn named_by(row: &BatchRow) -> Result<BTreeSet<Vec<u8>>, StoreError> {
    let cids = row.links()?.into_iter().chain([row.cid()?, row.desc()?]);
    Ok(cids.map(|cid| cid.to_bytes().to_vec()).collect())
}
