//! Reading feeds: heads, chains, blocks, descriptors.

use bellwether_formats::batch::Batch;
use bellwether_formats::chain::Head;
use bellwether_formats::cid::Cid;
use bellwether_formats::descriptor::Descriptor;
use bellwether_formats::id::{FeedId, ProviderId};
use bellwether_formats::signed::Signed;
use redb::{ReadTransaction, ReadableTable};

use super::rows::{BatchRow, batch_key, batches_of, feed_key, parse_feed};
use super::{BATCHES, BLOCKS, DESCRIPTORS, FORKS, HEADS, Store, StoreError, get, prefix_end, row};

/// The newest batch of a feed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FeedHead {
    /// The feed.
    pub feed: FeedId,
    /// What the next batch is judged by.
    pub head: Head,
    /// Its row.
    pub row: BatchRow,
}

impl Store {
    /// The bytes of a block.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the disk fails; so for all that follows.
    pub fn block(&self, cid: &Cid) -> Result<Option<Vec<u8>>, StoreError> {
        get(&self.read()?, BLOCKS, &cid.to_bytes())
    }

    /// The newest batch of a feed.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn head(&self, feed: &FeedId) -> Result<Option<FeedHead>, StoreError> {
        head(&self.read()?, feed)
    }

    /// The newest batch of every feed.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn heads(&self) -> Result<Vec<FeedHead>, StoreError> {
        let tx = self.read()?;
        let mut heads = Vec::new();
        for entry in tx.open_table(HEADS)?.iter()? {
            let feed = parse_feed(entry?.0.value())?;
            heads.extend(head(&tx, &feed)?);
        }
        Ok(heads)
    }

    /// The batches of a feed after `seq` that are kept, oldest first, `max` at most.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn rows_after(
        &self,
        feed: &FeedId,
        seq: u64,
        max: usize,
    ) -> Result<Vec<BatchRow>, StoreError> {
        let tx = self.read()?;
        let table = tx.open_table(BATCHES)?;
        let first = batch_key(feed, seq.saturating_add(1));
        let end = prefix_end(&batches_of(feed));
        table
            .range(first.as_slice()..end.as_slice())?
            .take(max)
            .map(|entry| row(entry?.1.value()))
            .collect()
    }

    /// The newest batches of a feed that are kept, newest first: those published after `since`
    /// (seconds of UTC) and the one before them, `max` at most.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn rows_since(
        &self,
        feed: &FeedId,
        since: u64,
        max: usize,
    ) -> Result<Vec<BatchRow>, StoreError> {
        let tx = self.read()?;
        let table = tx.open_table(BATCHES)?;
        let first = batch_key(feed, 0);
        let end = prefix_end(&batches_of(feed));
        let mut rows = Vec::new();
        for entry in table
            .range(first.as_slice()..end.as_slice())?
            .rev()
            .take(max)
        {
            let found: BatchRow = row(entry?.1.value())?;
            let before = found.published_at <= since;
            rows.push(found);
            if before {
                break;
            }
        }
        Ok(rows)
    }

    /// The row of one batch.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn row(&self, feed: &FeedId, seq: u64) -> Result<Option<BatchRow>, StoreError> {
        let bytes = get(&self.read()?, BATCHES, &batch_key(feed, seq))?;
        bytes.map(|bytes| row(&bytes)).transpose()
    }

    /// A batch, verified again.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn batch(&self, row: &BatchRow) -> Result<Option<Signed<Batch>>, StoreError> {
        let envelope = self.block(&row.cid()?)?;
        Ok(envelope
            .map(|envelope| Signed::open(&envelope))
            .transpose()?)
    }

    /// The descriptor of the highest epoch known.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn descriptor(
        &self,
        provider: &ProviderId,
    ) -> Result<Option<Signed<Descriptor>>, StoreError> {
        let tx = self.read()?;
        let Some(cid) = get(&tx, DESCRIPTORS, provider.as_bytes())? else {
            return Ok(None);
        };
        let envelope = get(&tx, BLOCKS, &cid)?;
        Ok(envelope
            .map(|envelope| Signed::open(&envelope))
            .transpose()?)
    }

    /// Whether two batches of the feed are known that contradict each other.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn is_forked(&self, feed: &FeedId) -> Result<bool, StoreError> {
        Ok(get(&self.read()?, FORKS, &feed_key(feed))?.is_some())
    }
}

pub(super) fn head(tx: &ReadTransaction, feed: &FeedId) -> Result<Option<FeedHead>, StoreError> {
    let Some(seq) = get(tx, HEADS, &feed_key(feed))? else {
        return Ok(None);
    };
    let seq = u64_of(&seq)?;
    let Some(bytes) = get(tx, BATCHES, &batch_key(feed, seq))? else {
        return Ok(None);
    };
    let row: BatchRow = row(&bytes)?;
    Ok(Some(FeedHead {
        feed: feed.clone(),
        head: head_of(&row),
        row,
    }))
}

/// What the next batch is judged by.
pub(super) const fn head_of(row: &BatchRow) -> Head {
    Head {
        seq: row.seq,
        id: row.id(),
        epoch: row.epoch,
        published_at: row.published_at,
        next_by: row.next_by,
    }
}

pub(super) fn u64_of(bytes: &[u8]) -> Result<u64, StoreError> {
    let bytes = bytes.try_into();
    let bytes = bytes.map_err(|_| StoreError::Row {
        error: "a number".to_owned(),
    })?;
    Ok(u64::from_be_bytes(bytes))
}
