//! Blocks, how often each is named, and how much place they take.
//!
//! A block is named by every kept batch that leads to it (its envelope, its descriptor, the links
//! of its parts, the chunks of its sealed parts), by the current descriptors, by proofs of forks
//! and by what is prepared. Each naming is one count in [`REFS`], changed in the transaction that
//! makes or ends it. A block that nothing names stands in [`LOOSE`] with the time since when:
//! blocks that came ahead of their batch, and those whose batch was dropped. Pruning takes them
//! when they are old.
//!
//! Counts are kept of names, whether or not the block is here; nothing here walks through more than
//! one index block at a time.

use bellwether_formats::cid::Cid;
use redb::{ReadableTable, WriteTransaction};

use super::feed::u64_of;
use super::rows::{BatchRow, SealedRow};
use super::{BLOCKS, LOOSE, REFS, SIZES, StoreError, TOTALS, sealed};
use crate::clock;

type Table<'t> = redb::Table<'t, &'static [u8], &'static [u8]>;

/// The row of [`TOTALS`] that says how many bytes all blocks have.
const BYTES: &[u8] = b"bytes";

/// The tables of blocks in one transaction. No other code opens them for writing.
pub(super) struct Shelf<'t> {
    blocks: Table<'t>,
    sizes: Table<'t>,
    refs: Table<'t>,
    loose: Table<'t>,
    totals: Table<'t>,
}

impl<'t> Shelf<'t> {
    pub(super) fn open(tx: &'t WriteTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            blocks: tx.open_table(BLOCKS)?,
            sizes: tx.open_table(SIZES)?,
            refs: tx.open_table(REFS)?,
            loose: tx.open_table(LOOSE)?,
            totals: tx.open_table(TOTALS)?,
        })
    }

    /// Keeps a block under the bytes of its CID. Gives whether it was not there.
    pub(super) fn put(&mut self, cid: &[u8], bytes: &[u8]) -> Result<bool, StoreError> {
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        // A copy that rotted on the disk is replaced.
        self.blocks.insert(cid, bytes)?;
        let before = self.sizes.insert(cid, size.to_be_bytes().as_slice())?;
        let before = before.map(|size| u64_of(size.value())).transpose()?;
        let new = before.is_none();
        self.count(size, before.unwrap_or_default())?;
        if new && self.refs.get(cid)?.is_none() {
            let now = clock::now().to_be_bytes();
            self.loose.insert(cid, now.as_slice())?;
        }
        Ok(new)
    }

    /// Whether a block is kept.
    pub(super) fn has(&self, cid: &[u8]) -> Result<bool, StoreError> {
        Ok(self.sizes.get(cid)?.is_some())
    }

    /// Whether something names it.
    pub(super) fn is_named(&self, cid: &[u8]) -> Result<bool, StoreError> {
        Ok(self.refs.get(cid)?.is_some())
    }

    /// Bytes of all blocks.
    pub(super) fn bytes(&self) -> Result<u64, StoreError> {
        total(&self.totals)
    }

    /// One more names a block.
    pub(super) fn name(&mut self, cid: &[u8]) -> Result<(), StoreError> {
        let count = self.names(cid)?.saturating_add(1);
        self.refs.insert(cid, count.to_be_bytes().as_slice())?;
        if count == 1 {
            self.loose.remove(cid)?;
        }
        Ok(())
    }

    /// One less names a block. If it was the last, the block is loose from now on.
    pub(super) fn unname(&mut self, cid: &[u8]) -> Result<(), StoreError> {
        match self.names(cid)?.saturating_sub(1) {
            0 => {
                self.refs.remove(cid)?;
                if self.has(cid)? {
                    let now = clock::now().to_be_bytes();
                    self.loose.insert(cid, now.as_slice())?;
                }
            }
            count => {
                self.refs.insert(cid, count.to_be_bytes().as_slice())?;
            }
        }
        Ok(())
    }

    /// A batch is kept: it names its blocks, the chunks of its sealed parts included.
    pub(super) fn name_batch(&mut self, row: &BatchRow) -> Result<(), StoreError> {
        self.each_name(row, |shelf, cid| shelf.name(cid))
    }

    /// A batch is dropped, and its blocks are loose where nothing else names them.
    pub(super) fn unname_batch(&mut self, row: &BatchRow) -> Result<(), StoreError> {
        self.each_name(row, |shelf, cid| shelf.unname(cid))
    }

    /// A batch is deleted, with the blocks that nothing else names. Gives how many went.
    pub(super) fn delete_batch(&mut self, row: &BatchRow) -> Result<usize, StoreError> {
        let mut gone = 0;
        self.each_name(row, |shelf, cid| {
            shelf.unname(cid)?;
            if !shelf.is_named(cid)? {
                gone += usize::from(shelf.remove(cid)?);
            }
            Ok(())
        })?;
        Ok(gone)
    }

    /// Goes through all that a batch names. Chunks come before the index block that lists them.
    fn each_name(
        &mut self,
        row: &BatchRow,
        mut each: impl FnMut(&mut Self, &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for part in row.sealed().iter().filter(|part| part.chunks) {
            for cid in self.chunks(part)?.unwrap_or_default() {
                each(self, &cid.to_bytes())?;
            }
        }
        for part in row.sealed() {
            if let Some(cid) = part.proof()? {
                each(self, &cid.to_bytes())?;
            }
        }
        for cid in row.links()?.into_iter().chain([row.cid()?, row.desc()?]) {
            each(self, &cid.to_bytes())?;
        }
        Ok(())
    }

    /// The chunks of a sealed part; none if its index block is missing or lists no chunks of such a
    /// part.
    pub(super) fn chunks(&self, part: &SealedRow) -> Result<Option<Vec<Cid>>, StoreError> {
        let cid = part.index()?.to_bytes();
        let index = self.blocks.get(cid.as_slice())?;
        Ok(index.and_then(|index| sealed::chunks(part.ids, index.value())))
    }

    /// A block that nothing names was asked for: it does not get old while its batch is fetched.
    pub(super) fn touch(&mut self, cid: &[u8]) -> Result<(), StoreError> {
        if self.loose.get(cid)?.is_some() {
            let now = clock::now().to_be_bytes();
            self.loose.insert(cid, now.as_slice())?;
        }
        Ok(())
    }

    /// Removes a block if nothing names it and it is loose since before `before`, in seconds of UTC.
    pub(super) fn remove_loose(&mut self, cid: &[u8], before: u64) -> Result<bool, StoreError> {
        let since = self.loose.get(cid)?.map(|since| u64_of(since.value()));
        match since.transpose()? {
            Some(since) if since < before => self.remove(cid),
            _ => Ok(false),
        }
    }

    /// Removes a block. Gives whether it was there.
    pub(super) fn remove(&mut self, cid: &[u8]) -> Result<bool, StoreError> {
        self.blocks.remove(cid)?;
        self.loose.remove(cid)?;
        let size = self.sizes.remove(cid)?.map(|size| u64_of(size.value()));
        let Some(size) = size.transpose()? else {
            return Ok(false);
        };
        self.count(0, size)?;
        Ok(true)
    }

    /// Counts everything anew, which a store of format 1 did not: all blocks that nothing names yet
    /// are loose from now on. To be called once all names are in.
    pub(super) fn count_all(&mut self) -> Result<(), StoreError> {
        let now = clock::now().to_be_bytes();
        let mut bytes = 0_u64;
        for entry in self.sizes.iter()? {
            let (cid, size) = entry?;
            bytes = bytes.saturating_add(u64_of(size.value())?);
            if self.refs.get(cid.value())?.is_none() {
                self.loose.insert(cid.value(), now.as_slice())?;
            }
        }
        self.totals.insert(BYTES, bytes.to_be_bytes().as_slice())?;
        Ok(())
    }

    fn names(&self, cid: &[u8]) -> Result<u64, StoreError> {
        let count = self.refs.get(cid)?.map(|count| u64_of(count.value()));
        Ok(count.transpose()?.unwrap_or_default())
    }

    fn count(&mut self, more: u64, less: u64) -> Result<(), StoreError> {
        let bytes = self.bytes()?.saturating_add(more).saturating_sub(less);
        self.totals.insert(BYTES, bytes.to_be_bytes().as_slice())?;
        Ok(())
    }
}

/// Bytes of all blocks.
pub(super) fn total(
    totals: &impl ReadableTable<&'static [u8], &'static [u8]>,
) -> Result<u64, StoreError> {
    let bytes = totals.get(BYTES)?.map(|bytes| u64_of(bytes.value()));
    Ok(bytes.transpose()?.unwrap_or_default())
}

/// Keeps a block under the bytes of its CID; something must come to name it.
pub(super) fn put(tx: &WriteTransaction, cid: &[u8], bytes: &[u8]) -> Result<(), StoreError> {
    Shelf::open(tx)?.put(cid, bytes)?;
    Ok(())
}
