//! What the store has to know of sealed parts: which chunks an index block lists, which parts are to
//! be checked, and what was found.
//!
//! A batch with sealed parts stands in [`UNCHECKED`] from the moment it is kept until somebody has
//! compared its filters with its bodies, so nothing is forgotten over a restart. What was wrong
//! stands in [`FAULTS`] as long as the batch is kept: the provider is to blame, and it is served all
//! the same. Source: spec §5.4, §9.5.

use bellwether_formats::cid::Cid;
use bellwether_formats::id::FeedId;
use bellwether_formats::sealed::{Index, Shape};
use redb::{ReadableTable, ReadableTableMetadata, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::rows::{BatchRow, batches_of, parse_feed};
use super::{
    BATCHES, FAULTS, Store, StoreError, UNCHECKED, feed, get, prefix_end, replicate, row, to_row,
};

/// What is wrong with a sealed part of a kept batch.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct PartFault {
    /// Its position among all parts of the batch, counted from 0.
    pub part: usize,
    /// The broken rule's name, as in the spec.
    pub rule: String,
}

/// A kept batch whose sealed parts break rules.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FaultyBatch {
    /// Its number.
    pub seq: u64,
    /// What is wrong, by part.
    pub faults: Vec<PartFault>,
}

/// The chunks that an index block lists for a part of `ids` identifiers; none if there can be no
/// such part, or the block is not its index. Source: spec §5.5.
pub(super) fn chunks(ids: u64, index: &[u8]) -> Option<Vec<Cid>> {
    let index = Index::decode(index, &Shape::of(ids).ok()?).ok()?;
    Some(index.cids().to_vec())
}

impl Store {
    /// A batch whose sealed parts were not checked yet.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; so for all that follows.
    pub fn unchecked(&self) -> Result<Option<(FeedId, BatchRow)>, StoreError> {
        let tx = self.read()?;
        let unchecked = tx.open_table(UNCHECKED)?;
        let Some((key, _)) = unchecked.first()? else {
            return Ok(None);
        };
        let feed = key.value().split_last_chunk::<8>().map(|(feed, _)| feed);
        let feed = feed.and_then(|feed| feed.strip_suffix(&[0]));
        let feed = parse_feed(feed.unwrap_or_default())?;
        match get(&tx, BATCHES, key.value())? {
            Some(bytes) => Ok(Some((feed, row(&bytes)?))),
            None => Err(StoreError::Row {
                error: format!("{feed}: a batch that is to be checked is missing"),
            }),
        }
    }

    /// Keeps what was found in a batch's sealed parts, if the batch is still kept.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn checked(
        &self,
        feed: &FeedId,
        batch: &BatchRow,
        found: &[PartFault],
    ) -> Result<(), StoreError> {
        let tx = self.write()?;
        let kept = replicate::row_in(&tx, feed, batch.seq)?;
        if kept.is_some_and(|kept| kept.id() == batch.id()) {
            let key = super::rows::batch_key(feed, batch.seq);
            tx.open_table(UNCHECKED)?.remove(key.as_slice())?;
            if !found.is_empty() {
                let found = to_row(&found);
                tx.open_table(FAULTS)?
                    .insert(key.as_slice(), found.as_slice())?;
            }
        }
        Ok(tx.commit()?)
    }

    /// How many kept batches have sealed parts that break rules.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn faulty(&self) -> Result<u64, StoreError> {
        Ok(self.read()?.open_table(FAULTS)?.len()?)
    }

    /// The kept batches of a feed whose sealed parts break rules, newest first, `max` at most.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn faulty_batches(
        &self,
        feed: &FeedId,
        max: usize,
    ) -> Result<Vec<FaultyBatch>, StoreError> {
        let tx = self.read()?;
        let start = batches_of(feed);
        let end = prefix_end(&start);
        tx.open_table(FAULTS)?
            .range(start.as_slice()..end.as_slice())?
            .rev()
            .take(max)
            .map(|entry| {
                let (key, value) = entry?;
                let seq = key.value().split_last_chunk::<8>().map(|(_, seq)| seq);
                Ok(FaultyBatch {
                    seq: feed::u64_of(seq.map_or(&[], |seq| seq.as_slice()))?,
                    faults: row(value.value())?,
                })
            })
            .collect()
    }
}

/// Notes that the sealed parts of a batch are to be checked.
pub(super) fn to_check(tx: &WriteTransaction, key: &[u8]) -> Result<(), StoreError> {
    tx.open_table(UNCHECKED)?.insert(key, [].as_slice())?;
    Ok(())
}

/// Forgets what is known of a batch's sealed parts.
pub(super) fn forget(tx: &WriteTransaction, key: &[u8]) -> Result<(), StoreError> {
    tx.open_table(UNCHECKED)?.remove(key)?;
    tx.open_table(FAULTS)?.remove(key)?;
    Ok(())
}

/// A block of a batch's sealed parts that should be kept and is missing.
pub(super) fn missing_block(
    shelf: &super::blocks::Shelf<'_>,
    batch: &BatchRow,
) -> Result<Option<Cid>, StoreError> {
    for part in batch.sealed() {
        let listed = if part.chunks {
            shelf.chunks(part)?
        } else {
            None
        };
        for cid in listed.into_iter().flatten().chain(part.proof()?) {
            if !shelf.has(&cid.to_bytes())? {
                return Ok(Some(cid));
            }
        }
    }
    Ok(None)
}
