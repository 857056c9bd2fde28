//! Foreign batches and descriptors: all of a batch's blocks with it, or nothing.

use bellwether_formats::batch::Batch;
use bellwether_formats::chain::ChainError;
use bellwether_formats::cid::{Block, Cid};
use bellwether_formats::descriptor::Descriptor;
use bellwether_formats::id::{FeedId, ProviderId};
use bellwether_formats::signed::Signed;
use redb::{ReadableTable, WriteTransaction};

use super::rows::{BatchRow, batch_key, batches_of, feed_key};
use super::{
    BATCHES, BLOCKS, DESCRIPTORS, FORKS, HEADS, Store, StoreError, blocks, feed, prefix_end, row,
    to_row,
};

/// Why a batch was not kept.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum ReplicateError {
    #[error("the block {cid} of the batch is missing")]
    Missing { cid: Cid },
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

macro_rules! through_store {
    ($($error:ident),*) => {$(
        impl From<redb::$error> for ReplicateError {
            fn from(error: redb::$error) -> Self {
                Self::Store(error.into())
            }
        }
    )*};
}
through_store!(CommitError, StorageError, TableError);

impl Store {
    /// Keeps a descriptor if its epoch is the highest known of its provider. Gives whether it is.
    /// Older ones stay as blocks as long as a kept batch names them.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn put_descriptor(&self, descriptor: &Signed<Descriptor>) -> Result<bool, StoreError> {
        let tx = self.write()?;
        // Read under the write lock: of two that arrive together the higher one stays.
        let known = descriptor_in(&tx, &descriptor.provider)?;
        let newest = known.is_none_or(|known| descriptor.replaces(&known));
        let cid = descriptor.cid().to_bytes();
        blocks::put(&tx, &cid, descriptor.envelope())?;
        if newest {
            let provider = descriptor.provider.as_bytes().as_slice();
            tx.open_table(DESCRIPTORS)?
                .insert(provider, cid.as_slice())?;
        }
        tx.commit()?;
        Ok(newest)
    }

    /// Those of `cids` that are not kept.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn lacking(&self, cids: &[Cid]) -> Result<Vec<Cid>, StoreError> {
        let blocks = self.read()?.open_table(BLOCKS)?;
        let mut lacking = Vec::new();
        for cid in cids {
            if blocks.get(cid.to_bytes().as_slice())?.is_none() {
                lacking.push(*cid);
            }
        }
        Ok(lacking)
    }

    /// Keeps blocks ahead of the batch that links to them, when they are too many to hold. Should
    /// it never come, pruning removes them.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn put_blocks(&self, blocks: &[Block]) -> Result<(), StoreError> {
        let tx = self.write()?;
        for block in blocks {
            blocks::put(&tx, &block.cid().to_bytes(), block.bytes())?;
        }
        Ok(tx.commit()?)
    }

    /// Keeps a batch with its blocks as the head of its feed. In a feed of which nothing is kept
    /// it may have any number. `blocks` are those that the store lacks.
    ///
    /// # Errors
    ///
    /// [`ReplicateError`]; then nothing has changed.
    pub fn replicate(
        &self,
        batch: &Signed<Batch>,
        blocks: &[Block],
    ) -> Result<BatchRow, ReplicateError> {
        let tx = self.write()?;
        if let Some(head) = head_in(&tx, &batch.feed())? {
            feed::head_of(&head).check_next(batch)?;
        }
        let named: Vec<Cid> = batch.links().into_iter().chain([batch.desc]).collect();
        for block in blocks.iter().filter(|block| named.contains(&block.cid())) {
            blocks::put(&tx, &block.cid().to_bytes(), block.bytes())?;
        }
        {
            let table = tx.open_table(BLOCKS)?;
            for cid in named {
                if table.get(cid.to_bytes().as_slice())?.is_none() {
                    return Err(ReplicateError::Missing { cid });
                }
            }
        }
        let row = insert_batch(&tx, batch)?;
        tx.commit()?;
        Ok(row)
    }

    /// Drops the batches of a feed after `seq`, or all: an anchor says that they are not true, or
    /// the chain has a gap that nobody can fill.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn truncate(&self, feed: &FeedId, seq: u64) -> Result<(), StoreError> {
        let tx = self.write()?;
        {
            let mut batches = tx.open_table(BATCHES)?;
            let first = batch_key(feed, seq.saturating_add(1));
            let end = prefix_end(&batches_of(feed));
            batches.retain_in(first.as_slice()..end.as_slice(), |_, _| false)?;
            let start = batches_of(feed);
            let last = batches
                .range(start.as_slice()..end.as_slice())?
                .next_back()
                .transpose()?;
            let last: Option<BatchRow> = last.map(|(_, value)| row(value.value())).transpose()?;
            let mut heads = tx.open_table(HEADS)?;
            match last {
                Some(row) => {
                    let seq = row.seq.to_be_bytes();
                    heads.insert(feed_key(feed).as_slice(), seq.as_slice())?;
                }
                None => {
                    heads.remove(feed_key(feed).as_slice())?;
                }
            }
            tx.open_table(FORKS)?.remove(feed_key(feed).as_slice())?;
        }
        Ok(tx.commit()?)
    }

    /// Keeps the proof that a provider signed two batches of one number.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn put_fork(&self, one: &Signed<Batch>, other: &Signed<Batch>) -> Result<(), StoreError> {
        let tx = self.write()?;
        let proof = [one.cid().to_bytes(), other.cid().to_bytes()].concat();
        for batch in [one, other] {
            blocks::put(&tx, &batch.cid().to_bytes(), batch.envelope())?;
        }
        tx.open_table(FORKS)?
            .insert(feed_key(&one.feed()).as_slice(), proof.as_slice())?;
        Ok(tx.commit()?)
    }
}

/// Writes a batch and moves the head.
pub(super) fn insert_batch(
    tx: &WriteTransaction,
    batch: &Signed<Batch>,
) -> Result<BatchRow, StoreError> {
    let feed = batch.feed();
    let row = BatchRow::of(batch);
    blocks::put(tx, &batch.cid().to_bytes(), batch.envelope())?;
    let key = batch_key(&feed, batch.seq);
    tx.open_table(BATCHES)?
        .insert(key.as_slice(), to_row(&row).as_slice())?;
    let seq = batch.seq.to_be_bytes();
    tx.open_table(HEADS)?
        .insert(feed_key(&feed).as_slice(), seq.as_slice())?;
    Ok(row)
}

/// The head of a feed as a running transaction sees it.
pub(super) fn head_in(
    tx: &WriteTransaction,
    feed: &FeedId,
) -> Result<Option<BatchRow>, StoreError> {
    let heads = tx.open_table(HEADS)?;
    let seq = heads
        .get(feed_key(feed).as_slice())?
        .map(|value| feed::u64_of(value.value()));
    let Some(seq) = seq.transpose()? else {
        return Ok(None);
    };
    row_in(tx, feed, seq)
}

/// A batch of a feed as a running transaction sees it.
pub(super) fn row_in(
    tx: &WriteTransaction,
    feed: &FeedId,
    seq: u64,
) -> Result<Option<BatchRow>, StoreError> {
    let batches = tx.open_table(BATCHES)?;
    let found = batches.get(batch_key(feed, seq).as_slice())?;
    found.map(|value| row(value.value())).transpose()
}

/// The current descriptor as a running transaction sees it.
fn descriptor_in(
    tx: &WriteTransaction,
    provider: &ProviderId,
) -> Result<Option<Signed<Descriptor>>, StoreError> {
    let descriptors = tx.open_table(DESCRIPTORS)?;
    let Some(cid) = descriptors.get(provider.as_bytes().as_slice())? else {
        return Ok(None);
    };
    let blocks = tx.open_table(BLOCKS)?;
    let envelope = blocks.get(cid.value())?;
    Ok(envelope
        .map(|envelope| Signed::open(envelope.value()))
        .transpose()?)
}
