//! The store as it stood at one moment, for who serves it: what one answer says fits together,
//! whatever is published or pruned meanwhile.

use bellwether_formats::cid::{Block, Cid};
use bellwether_formats::id::{FeedId, ProviderId, Zone};
use redb::{ReadTransaction, ReadableTable};

use super::blocks;
use super::feed::{self, FeedHead};
use super::rows::{BatchRow, batch_key, batches_of, parse_feed};
use super::{BATCHES, BLOCKS, DESCRIPTORS, HEADS, Store, StoreError, TOTALS, get, prefix_end, row};

/// The store as it stood when [`Store::snapshot`] was called. Drop it soon: what is deleted takes
/// its place on the disk until then.
pub struct Snapshot(ReadTransaction);

impl Store {
    /// Takes a snapshot; it costs nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the disk fails; so for all that follows.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        Ok(Snapshot(self.read()?))
    }
}

impl Snapshot {
    /// The bytes of a block.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn bytes(&self, cid: &Cid) -> Result<Option<Vec<u8>>, StoreError> {
        get(&self.0, BLOCKS, &cid.to_bytes())
    }

    /// A block, hashed again: a rotten disk shows here.
    ///
    /// # Errors
    ///
    /// [`StoreError::Row`] if its bytes are not those it is named by.
    pub fn block(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        let block = self
            .bytes(cid)?
            .map(|bytes| Block::verify(*cid, bytes))
            .transpose();
        block.map_err(|error| StoreError::Row {
            error: error.to_string(),
        })
    }

    /// The newest batch of every feed, ascending by provider.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn heads(&self) -> Result<Vec<FeedHead>, StoreError> {
        self.heads_where(|_| true)
    }

    /// The newest batch of every feed in a zone, ascending by provider.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn heads_in(&self, zone: &Zone) -> Result<Vec<FeedHead>, StoreError> {
        self.heads_where(|feed| feed.zone == *zone)
    }

    fn heads_where(&self, wanted: impl Fn(&FeedId) -> bool) -> Result<Vec<FeedHead>, StoreError> {
        let mut heads = Vec::new();
        for entry in self.0.open_table(HEADS)?.iter()? {
            let feed = parse_feed(entry?.0.value())?;
            if wanted(&feed) {
                heads.extend(self.head(&feed)?);
            }
        }
        Ok(heads)
    }

    /// Bytes of blocks that are kept.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn used_bytes(&self) -> Result<u64, StoreError> {
        blocks::total(&self.0.open_table(TOTALS)?)
    }

    /// The newest batch of a feed.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn head(&self, feed: &FeedId) -> Result<Option<FeedHead>, StoreError> {
        feed::head(&self.0, feed)
    }

    /// The row of one batch, if it is kept.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn row(&self, feed: &FeedId, seq: u64) -> Result<Option<BatchRow>, StoreError> {
        let bytes = get(&self.0, BATCHES, &batch_key(feed, seq))?;
        bytes.map(|bytes| row(&bytes)).transpose()
    }

    /// The batches of a feed after `seq` that are kept, oldest first, `max` at most.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn batches_after(
        &self,
        feed: &FeedId,
        seq: u64,
        max: usize,
    ) -> Result<Vec<BatchRow>, StoreError> {
        let table = self.0.open_table(BATCHES)?;
        let first = batch_key(feed, seq.saturating_add(1));
        let end = prefix_end(&batches_of(feed));
        table
            .range(first.as_slice()..end.as_slice())?
            .take(max)
            .map(|entry| row(entry?.1.value()))
            .collect()
    }

    /// The envelope of a provider's descriptor of the highest epoch known.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn descriptor(&self, provider: &ProviderId) -> Result<Option<Vec<u8>>, StoreError> {
        match get(&self.0, DESCRIPTORS, provider.as_bytes())? {
            Some(cid) => get(&self.0, BLOCKS, &cid),
            None => Ok(None),
        }
    }
}
