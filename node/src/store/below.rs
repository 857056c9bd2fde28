//! Foreign batches below the oldest that is kept: what joined late, or was deleted by a clock that was
//! wrong, is filled in downwards. A feed has no holes.

use std::collections::BTreeMap;

use bellwether_formats::batch::Batch;
use bellwether_formats::chain::{ChainError, Head};
use bellwether_formats::cid::{Block, Cid};
use bellwether_formats::id::FeedId;
use bellwether_formats::signed::Signed;
use redb::{ReadableTable, WriteTransaction};

use super::replicate::{ReplicateError, keep};
use super::rows::{BatchRow, batch_key, batches_of};
use super::{BATCHES, BLOCKS, Store, StoreError, prefix_end, row};
use crate::replicator::Oldest;

impl Store {
    /// Keeps a batch with its blocks as the oldest of its feed: the one that the oldest kept names
    /// before it.
    ///
    /// # Errors
    ///
    /// [`ReplicateError`]; then nothing has changed.
    pub fn replicate_below(
        &self,
        batch: &Signed<Batch>,
        blocks: &[Block],
        broken: &BTreeMap<usize, Cid>,
    ) -> Result<BatchRow, ReplicateError> {
        let tx = self.write()?;
        let oldest = first_in(&tx, &batch.feed())?;
        let oldest = oldest.ok_or(ChainError::Seq {
            found: batch.seq,
            after: 0,
        })?;
        Head::from(batch).check_next(&oldest)?;
        let row = keep(&tx, batch, blocks, broken)?;
        tx.commit()?;
        Ok(row)
    }

    /// The oldest batch of a feed that is kept, unless it is the first of all.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn oldest(&self, feed: &FeedId) -> Result<Option<Oldest>, StoreError> {
        let first = self.rows_after(feed, 0, 1)?;
        let batch = first.first().map(|row| self.batch(row)).transpose()?;
        Ok(batch.flatten().and_then(|batch| {
            Some(Oldest {
                seq: batch.seq,
                prev: batch.prev?,
                published_at: batch.published_at,
            })
        }))
    }
}

/// The oldest batch of a feed as a running transaction sees it.
fn first_in(tx: &WriteTransaction, feed: &FeedId) -> Result<Option<Signed<Batch>>, StoreError> {
    let (first, end) = (batch_key(feed, 0), prefix_end(&batches_of(feed)));
    let batches = tx.open_table(BATCHES)?;
    let Some(entry) = batches.range(first.as_slice()..end.as_slice())?.next() else {
        return Ok(None);
    };
    let row: BatchRow = row(entry?.1.value())?;
    let blocks = tx.open_table(BLOCKS)?;
    let envelope = blocks.get(row.cid()?.to_bytes().as_slice())?;
    Ok(envelope
        .map(|envelope| Signed::open(envelope.value()))
        .transpose()?)
}
