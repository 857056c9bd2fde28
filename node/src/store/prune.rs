//! What is deleted, and when: batches by age and by disk, blocks when nothing names them.
//!
//! Many short transactions, each of which leaves the store whole: reports and batches that arrive
//! meanwhile wait for one of them at most. What is held in memory are the ages and keys of the
//! batches, never their blocks.

use redb::{ReadableTable, WriteTransaction};

use super::blocks::{Shelf, total};
use super::cut::{self, Cut};
use super::rows::BatchRow;
use super::{BATCHES, HEADS, LOOSE, Store, StoreError, TOTALS, feed, row, sealed};

/// Batches deleted in one transaction.
const BATCHES_AT_ONCE: usize = 64;

/// Blocks after which a transaction deletes no further batch.
const BLOCKS_AT_ONCE: usize = 1024;

/// How much a node keeps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RetainPolicy {
    /// Batches published before this time go, in seconds of UTC.
    pub before: u64,
    /// Most bytes of blocks; above it the oldest batches of all feeds go.
    pub max_bytes: u64,
    /// Blocks that nothing names since before this time go, in seconds of UTC.
    pub loose_before: u64,
    /// When the oldest fetch began that is under way, in seconds of UTC; now, if none is. What came
    /// since then is about to be named. What came before goes if there is no place.
    pub fetching_since: u64,
}

impl RetainPolicy {
    /// Nothing goes.
    pub const KEEP_ALL: Self = Self {
        before: 0,
        max_bytes: u64::MAX,
        loose_before: 0,
        fetching_since: 0,
    };
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
        total(&self.read()?.open_table(TOTALS)?)
    }

    /// Deletes batches by time and disk cap only, and blocks that nothing names any more. A feed's
    /// head stays, whatever its age and size: it is what tells a client that the feed is stale, and
    /// what the next batch is judged by. So does what is being fetched.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; what was deleted before stays deleted, and the store is whole.
    pub fn prune(&self, policy: RetainPolicy) -> Result<Pruned, StoreError> {
        let mut pruned = Pruned::default();
        let old = policy.loose_before.min(policy.fetching_since);
        pruned.blocks += self.remove_loose(old)?;
        if self.used_bytes()? > policy.max_bytes {
            // What nothing names must not cost a batch its place.
            pruned.blocks += self.remove_loose(policy.fetching_since)?;
        }
        let ages = self.ages()?;
        let mut rest = ages.as_slice();
        while !rest.is_empty() {
            let (done, more) = self.delete_oldest(rest, policy)?;
            pruned.batches += done.batches;
            pruned.blocks += done.blocks;
            rest = more;
        }
        Ok(pruned)
    }

    /// Removes the blocks that are loose since before `before`. Gives how many went.
    fn remove_loose(&self, before: u64) -> Result<usize, StoreError> {
        let mut gone = 0;
        let mut after: Vec<u8> = Vec::new();
        loop {
            let cids = self.loose(&after, before)?;
            let Some(last) = cids.last() else {
                return Ok(gone);
            };
            after.clone_from(last);
            after.push(0);
            let tx = self.write()?;
            {
                let mut shelf = Shelf::open(&tx)?;
                for cid in cids {
                    gone += usize::from(shelf.remove_loose(&cid, before)?);
                }
            }
            tx.commit()?;
        }
    }

    /// The next blocks from a key on that are loose since before `before`.
    fn loose(&self, from: &[u8], before: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        let loose = self.read()?.open_table(LOOSE)?;
        let mut cids = Vec::new();
        for entry in loose.range(from..)? {
            let (cid, since) = entry?;
            if feed::u64_of(since.value())? < before {
                cids.push(cid.value().to_vec());
            }
            if cids.len() >= BLOCKS_AT_ONCE {
                break;
            }
        }
        Ok(cids)
    }

    /// All batches, oldest first over all feeds.
    fn ages(&self) -> Result<Vec<Age>, StoreError> {
        let mut ages = Vec::new();
        for entry in self.read()?.open_table(BATCHES)?.iter()? {
            let (key, value) = entry?;
            let row: BatchRow = row(value.value())?;
            ages.push((row.published_at, key.value().to_vec()));
        }
        ages.sort_unstable();
        Ok(ages)
    }

    /// Deletes the first of `ages` as far as the policy says: one transaction. Gives what went, and
    /// what is left to be looked at.
    fn delete_oldest<'a>(
        &self,
        ages: &'a [Age],
        policy: RetainPolicy,
    ) -> Result<(Pruned, &'a [Age]), StoreError> {
        let mut pruned = Pruned::default();
        let mut rest = ages;
        let tx = self.write()?;
        while let Some(((published_at, key), more)) = rest.split_first() {
            if pruned.batches >= BATCHES_AT_ONCE || pruned.blocks >= BLOCKS_AT_ONCE {
                break;
            }
            let full = || Ok::<_, StoreError>(Shelf::open(&tx)?.bytes()? > policy.max_bytes);
            if *published_at >= policy.before && !full()? {
                rest = &[];
                break;
            }
            rest = more;
            if let Some((feed, row)) = take(&tx, key)? {
                if *published_at >= policy.before {
                    let (seq, published_at) = (row.seq, *published_at);
                    cut::keep(&tx, feed, Cut { seq, published_at })?;
                }
                pruned.blocks += Shelf::open(&tx)?.delete_batch(&row)?;
                sealed::forget(&tx, key)?;
                pruned.batches += 1;
            }
        }
        if pruned != Pruned::default() {
            tx.commit()?;
        }
        Ok((pruned, rest))
    }
}

/// Order of deletion: time of publication, then the key.
type Age = (u64, Vec<u8>);

/// Takes a batch out of its table, unless it is its feed's head. Gives its feed's key, too.
fn take<'a>(
    tx: &WriteTransaction,
    key: &'a [u8],
) -> Result<Option<(&'a [u8], BatchRow)>, StoreError> {
    let mut batches = tx.open_table(BATCHES)?;
    let feed_and_seq = key.split_last_chunk::<8>();
    let Some((feed, seq)) =
        feed_and_seq.and_then(|(feed, seq)| Some((feed.strip_suffix(&[0])?, seq)))
    else {
        return Err(StoreError::Row {
            error: "the key of a batch".to_owned(),
        });
    };
    let heads = tx.open_table(HEADS)?;
    if heads.get(feed)?.is_some_and(|head| head.value() == seq) {
        return Ok(None);
    }
    let Some(taken) = batches.remove(key)? else {
        return Ok(None);
    };
    Ok(Some((feed, row(taken.value())?)))
}
