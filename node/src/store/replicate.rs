//! Foreign batches and descriptors: all of a batch's blocks with it, or nothing.

use std::collections::BTreeMap;

use bellwether_formats::batch::Batch;
use bellwether_formats::chain::ChainError;
use bellwether_formats::cid::{Block, Cid};
use bellwether_formats::descriptor::Descriptor;
use bellwether_formats::id::{FeedId, ProviderId};
use bellwether_formats::signed::Signed;
use redb::{ReadableTable, WriteTransaction};

use super::blocks::Shelf;
use super::rows::{BatchRow, batch_key, batches_of, feed_key};
use super::{
    BATCHES, BLOCKS, DESCRIPTORS, FORKS, HEADS, LOOSE, SIZES, Store, StoreError, feed, prefix_end,
    row, sealed, to_row,
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
        let newest = put_descriptor_in(&tx, descriptor)?;
        tx.commit()?;
        Ok(newest)
    }

    /// Those of `cids` that are not kept.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn lacking(&self, cids: &[Cid]) -> Result<Vec<Cid>, StoreError> {
        let sizes = self.read()?.open_table(SIZES)?;
        let mut lacking = Vec::new();
        for cid in cids {
            if sizes.get(cid.to_bytes().as_slice())?.is_none() {
                lacking.push(*cid);
            }
        }
        Ok(lacking)
    }

    /// The same, and those of `cids` that are kept though nothing names them do not get old: their
    /// batch is being fetched.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn look_up(&self, cids: &[Cid]) -> Result<Vec<Cid>, StoreError> {
        let loose = self.read()?.open_table(LOOSE)?;
        let mut any = false;
        for cid in cids {
            any |= loose.get(cid.to_bytes().as_slice())?.is_some();
        }
        if any {
            let tx = self.write()?;
            {
                let mut shelf = Shelf::open(&tx)?;
                for cid in cids {
                    shelf.touch(&cid.to_bytes())?;
                }
            }
            tx.commit()?;
        }
        self.lacking(cids)
    }

    /// Keeps blocks ahead of the batch that leads to them, when they are too many to hold. Should
    /// it never come, pruning removes them once they are old.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn put_blocks(&self, blocks: &[Block]) -> Result<(), StoreError> {
        let tx = self.write()?;
        {
            let mut shelf = Shelf::open(&tx)?;
            for block in blocks {
                shelf.put(&block.cid().to_bytes(), block.bytes())?;
            }
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
        self.replicate_without(batch, blocks, &BTreeMap::new())
    }

    /// The same without the chunks of some sealed parts, by position in the batch: they are not what
    /// chunks must be, and not worth the place. One that shows it is kept of each.
    ///
    /// # Errors
    ///
    /// [`ReplicateError`]; then nothing has changed.
    pub fn replicate_without(
        &self,
        batch: &Signed<Batch>,
        blocks: &[Block],
        broken: &BTreeMap<usize, Cid>,
    ) -> Result<BatchRow, ReplicateError> {
        let tx = self.write()?;
        if let Some(head) = head_in(&tx, &batch.feed())? {
            feed::head_of(&head).check_next(batch)?;
        }
        let row = keep(&tx, batch, blocks, broken)?;
        move_head(&tx, &batch.feed(), batch.seq)?;
        tx.commit()?;
        Ok(row)
    }

    /// Drops the batches of a feed after `seq`: the chain has a gap that nobody can fill.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn truncate(&self, feed: &FeedId, seq: u64) -> Result<(), StoreError> {
        let tx = self.write()?;
        truncate_in(&tx, feed, seq)?;
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
        {
            let mut shelf = Shelf::open(&tx)?;
            for batch in [one, other] {
                let cid = batch.cid().to_bytes();
                shelf.put(&cid, batch.envelope())?;
                shelf.name(&cid)?;
            }
        }
        {
            let mut forks = tx.open_table(FORKS)?;
            let before = forks.insert(feed_key(&one.feed()).as_slice(), proof.as_slice())?;
            if let Some(before) = before {
                unname_proof(&tx, before.value())?;
            }
        }
        Ok(tx.commit()?)
    }
}

/// Keeps a descriptor if its epoch is the highest known. Gives whether it is.
pub(super) fn put_descriptor_in(
    tx: &WriteTransaction,
    descriptor: &Signed<Descriptor>,
) -> Result<bool, StoreError> {
    // Read under the write lock: of two that arrive together the higher one stays.
    let known = descriptor_in(tx, &descriptor.provider)?;
    let newest = known.is_none_or(|known| descriptor.replaces(&known));
    let cid = descriptor.cid().to_bytes();
    let mut shelf = Shelf::open(tx)?;
    shelf.put(&cid, descriptor.envelope())?;
    if newest {
        let provider = descriptor.provider.as_bytes().as_slice();
        let mut descriptors = tx.open_table(DESCRIPTORS)?;
        shelf.name(&cid)?;
        if let Some(before) = descriptors.insert(provider, cid.as_slice())? {
            shelf.unname(before.value())?;
        }
    }
    Ok(newest)
}

/// Drops the batches of a feed after number `seq`, and proofs of equivocation.
pub(super) fn truncate_in(
    tx: &WriteTransaction,
    feed: &FeedId,
    seq: u64,
) -> Result<(), StoreError> {
    let first = batch_key(feed, seq.saturating_add(1));
    let end = prefix_end(&batches_of(feed));
    while let Some(row) = last_in(tx, &first, &end)? {
        let key = batch_key(feed, row.seq);
        tx.open_table(BATCHES)?.remove(key.as_slice())?;
        Shelf::open(tx)?.unname_batch(&row)?;
        sealed::forget(tx, &key)?;
    }
    {
        let last = last_in(tx, &batches_of(feed), &end)?;
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
        let mut forks = tx.open_table(FORKS)?;
        if let Some(proof) = forks.remove(feed_key(feed).as_slice())? {
            unname_proof(tx, proof.value())?;
        }
    }
    Ok(())
}

/// The blocks of a proof are no longer needed for it.
fn unname_proof(tx: &WriteTransaction, proof: &[u8]) -> Result<(), StoreError> {
    let mut shelf = Shelf::open(tx)?;
    for cid in proof.chunks(Cid::LEN) {
        shelf.unname(cid)?;
    }
    Ok(())
}

/// The last batch from key `first` until before key `end`.
fn last_in(
    tx: &WriteTransaction,
    first: &[u8],
    end: &[u8],
) -> Result<Option<BatchRow>, StoreError> {
    let batches = tx.open_table(BATCHES)?;
    if first >= end {
        return Ok(None);
    }
    let last = batches.range(first..end)?.next_back().transpose()?;
    last.map(|(_, value)| row(value.value())).transpose()
}

/// Keeps a batch with all its blocks, of which `blocks` came with it.
pub(super) fn keep(
    tx: &WriteTransaction,
    batch: &Signed<Batch>,
    blocks: &[Block],
    broken: &BTreeMap<usize, Cid>,
) -> Result<BatchRow, ReplicateError> {
    let mut new = Vec::new();
    {
        let mut shelf = Shelf::open(tx)?;
        for block in blocks {
            let cid = block.cid().to_bytes();
            if shelf.put(&cid, block.bytes())? {
                new.push(cid);
            }
        }
        for cid in batch.links().into_iter().chain([batch.desc]) {
            if !shelf.has(&cid.to_bytes())? {
                return Err(ReplicateError::Missing { cid });
            }
        }
    }
    let row = insert_batch_without(tx, batch, broken)?;
    let mut shelf = Shelf::open(tx)?;
    if let Some(cid) = sealed::missing_block(&shelf, &row)? {
        return Err(ReplicateError::Missing { cid });
    }
    // What the batch does not lead to came by mistake.
    for cid in new {
        if !shelf.is_named(&cid)? {
            shelf.remove(&cid)?;
        }
    }
    Ok(row)
}

/// Writes a batch whose blocks are kept, names them, and moves the head.
pub(super) fn insert_batch(
    tx: &WriteTransaction,
    batch: &Signed<Batch>,
) -> Result<BatchRow, StoreError> {
    let row = insert_batch_without(tx, batch, &BTreeMap::new())?;
    move_head(tx, &batch.feed(), batch.seq)?;
    Ok(row)
}

fn move_head(tx: &WriteTransaction, feed: &FeedId, seq: u64) -> Result<(), StoreError> {
    let seq = seq.to_be_bytes();
    let mut heads = tx.open_table(HEADS)?;
    heads.insert(feed_key(feed).as_slice(), seq.as_slice())?;
    Ok(())
}

/// Writes a batch whose blocks are kept, and names them but for the chunks of some sealed parts, by
/// position in the batch.
fn insert_batch_without(
    tx: &WriteTransaction,
    batch: &Signed<Batch>,
    broken: &BTreeMap<usize, Cid>,
) -> Result<BatchRow, StoreError> {
    let feed = batch.feed();
    let key = batch_key(&feed, batch.seq);
    let mut row = BatchRow::of(batch);
    {
        let mut shelf = Shelf::open(tx)?;
        shelf.put(&batch.cid().to_bytes(), batch.envelope())?;
        for part in row.sealed().to_vec() {
            let proof = broken.get(&part.part).copied();
            if proof.is_some() || shelf.chunks(&part)?.is_none() {
                row.without_chunks(part.part, proof);
            }
        }
        shelf.name_batch(&row)?;
    }
    if !row.sealed().is_empty() {
        sealed::to_check(tx, &key)?;
    }
    tx.open_table(BATCHES)?
        .insert(key.as_slice(), to_row(&row).as_slice())?;
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
pub(super) fn descriptor_in(
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
