//! Blocks, and their sizes beside them: what is used and what can go is then known without reading
//! gigabytes.

use std::collections::BTreeMap;

use redb::{ReadableTable, WriteTransaction};

use super::feed::u64_of;
use super::{BLOCKS, SIZES, StoreError};

/// Keeps a block under the bytes of its CID.
pub(super) fn put(tx: &WriteTransaction, cid: &[u8], bytes: &[u8]) -> Result<(), StoreError> {
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    tx.open_table(BLOCKS)?.insert(cid, bytes)?;
    tx.open_table(SIZES)?
        .insert(cid, size.to_be_bytes().as_slice())?;
    Ok(())
}

/// Removes a block.
pub(super) fn remove(tx: &WriteTransaction, cid: &[u8]) -> Result<(), StoreError> {
    tx.open_table(BLOCKS)?.remove(cid)?;
    tx.open_table(SIZES)?.remove(cid)?;
    Ok(())
}

/// The size of every block, in bytes, by its CID.
pub(super) fn sizes(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
) -> Result<BTreeMap<Vec<u8>, u64>, StoreError> {
    let sizes = table.iter()?.map(|entry| {
        let (cid, size) = entry?;
        Ok((cid.value().to_vec(), u64_of(size.value())?))
    });
    sizes.collect()
}
