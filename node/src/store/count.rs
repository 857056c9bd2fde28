//! Whether what is counted of blocks is so: everything is walked through and counted anew.

use std::collections::BTreeMap;

use bellwether_formats::cid::Cid;
use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata};

use super::rows::{BatchRow, PreparedRow};
use super::{
    BATCHES, BLOCKS, DESCRIPTORS, FAULTS, FORKS, LOOSE, PREPARED, REFS, SIZES, StoreError, TOTALS,
    UNCHECKED, blocks, feed, get, row, sealed,
};

/// Names that are counted in one walk, on average, so that memory does not grow with the store.
const NAMES_AT_ONCE: u64 = 1 << 16;

type Faults = Vec<String>;

/// Each block is named as often as its count says.
pub(super) fn names(tx: &ReadTransaction, faults: &mut Faults) -> Result<(), StoreError> {
    let walks = tx.open_table(REFS)?.len()? / NAMES_AT_ONCE + 1;
    for walk in 0..walks {
        // The last bytes of a hash fall evenly.
        let mine = |cid: &[u8]| {
            let tail = cid.last_chunk().copied().unwrap_or_default();
            u64::from_be_bytes(tail) % walks == walk
        };
        let mut counted: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        each_name(tx, |cid| {
            if mine(cid) {
                *counted.entry(cid.to_vec()).or_default() += 1;
            }
        })?;
        for entry in tx.open_table(REFS)?.iter()? {
            let (cid, count) = entry?;
            let count = feed::u64_of(count.value())?;
            if mine(cid.value()) && counted.remove(cid.value()) != Some(count) {
                faults.push(format!("block {} is miscounted", name(cid.value())));
            }
        }
        for cid in counted.keys() {
            faults.push(format!("block {} is named and not counted", name(cid)));
        }
    }
    Ok(())
}

/// Each block has its size, and either something names it or it is loose.
pub(super) fn blocks(tx: &ReadTransaction, faults: &mut Faults) -> Result<(), StoreError> {
    let (sizes, refs) = (tx.open_table(SIZES)?, tx.open_table(REFS)?);
    let loose = tx.open_table(LOOSE)?;
    let mut bytes = 0_u64;
    for entry in tx.open_table(BLOCKS)?.iter()? {
        let (cid, block) = entry?;
        let (cid, len) = (cid.value(), block.value().len());
        let len = u64::try_from(len).unwrap_or(u64::MAX);
        bytes = bytes.saturating_add(len);
        if get(tx, SIZES, cid)? != Some(len.to_be_bytes().to_vec()) {
            faults.push(format!("the size of block {} is wrong", name(cid)));
        }
        let (named, is_loose) = (refs.get(cid)?.is_some(), loose.get(cid)?.is_some());
        if named == is_loose {
            faults.push(format!("block {} is lost to pruning", name(cid)));
        }
        // Those that are named are read where their batches are.
        let whole = |cid: Cid| Cid::of(cid.codec(), block.value()) == cid;
        if is_loose && !Cid::from_bytes(cid).is_ok_and(whole) {
            faults.push(format!("block {} is damaged", name(cid)));
        }
    }
    if sizes.len()? != tx.open_table(BLOCKS)?.len()? {
        faults.push("a block of which the size is known is missing".to_owned());
    }
    for entry in loose.iter()? {
        let (cid, since) = entry?;
        feed::u64_of(since.value())?;
        if sizes.get(cid.value())?.is_none() {
            faults.push(format!("block {} is missing", name(cid.value())));
        }
    }
    if blocks::total(&tx.open_table(TOTALS)?)? != bytes {
        faults.push("the bytes of all blocks are miscounted".to_owned());
    }
    Ok(())
}

/// What is known of sealed parts is known of kept batches.
pub(super) fn checks(tx: &ReadTransaction, faults: &mut Faults) -> Result<(), StoreError> {
    let batches = tx.open_table(BATCHES)?;
    for table in [UNCHECKED, FAULTS] {
        for entry in tx.open_table(table)?.iter()? {
            if batches.get(entry?.0.value())?.is_none() {
                faults.push("sealed parts of a batch that is not kept are kept in mind".to_owned());
            }
        }
    }
    Ok(())
}

/// Goes through all that names a block.
fn each_name(tx: &ReadTransaction, mut each: impl FnMut(&[u8])) -> Result<(), StoreError> {
    for entry in tx.open_table(BATCHES)?.iter()? {
        let batch: BatchRow = row(entry?.1.value())?;
        for cid in batch
            .links()?
            .into_iter()
            .chain([batch.cid()?, batch.desc()?])
        {
            each(&cid.to_bytes());
        }
        for part in batch.sealed() {
            if let Some(cid) = part.proof()? {
                each(&cid.to_bytes());
            }
            if !part.chunks {
                continue;
            }
            let index = get(tx, BLOCKS, &part.index()?.to_bytes())?;
            let chunks = index.and_then(|index| sealed::chunks(part.ids, &index));
            for cid in chunks.into_iter().flatten() {
                each(&cid.to_bytes());
            }
        }
    }
    for table in [DESCRIPTORS, FORKS] {
        for entry in tx.open_table(table)?.iter()? {
            entry?.1.value().chunks(Cid::LEN).for_each(&mut each);
        }
    }
    for entry in tx.open_table(PREPARED)?.iter()? {
        let prepared: PreparedRow = row(entry?.1.value())?;
        each(&prepared.batch()?.desc.to_bytes());
    }
    Ok(())
}

fn name(cid: &[u8]) -> String {
    Cid::from_bytes(cid).map_or_else(|_| "without a name".to_owned(), |cid| cid.to_string())
}
