//! The blocks of what is being prepared. A batch of sealed parts has hundreds of megabytes of them:
//! they are kept as they are made, each batch's apart from what is served, until the batch is
//! published or dropped.

use std::collections::BTreeSet;

use bellwether_formats::batch::{Batch, Part};
use bellwether_formats::cid::{Block, Cid};
use bellwether_formats::id::Zone;
use redb::{ReadTransaction, ReadableTable, WriteTransaction};

use super::blocks::Shelf;
use super::rows::{PreparedRow, staged_key, zone_prefix};
use super::{PREPARED, PublishError, STAGED, Store, StoreError, prefix_end, row, sealed};

impl Store {
    /// Keeps blocks of the batch that is being drawn up in a zone. Nobody sees them.
    ///
    /// # Errors
    ///
    /// [`PublishError::Prepared`] if the zone has a batch prepared: its blocks are whole.
    pub fn stage(&self, zone: &Zone, blocks: &[Block]) -> Result<(), PublishError> {
        let tx = self.write()?;
        check_none(&tx, zone)?;
        put(&tx, zone, blocks)?;
        Ok(tx.commit()?)
    }

    /// Drops the blocks of a batch that was not prepared after all, if there are any.
    ///
    /// # Errors
    ///
    /// [`PublishError::Prepared`] if the zone has a batch prepared: it needs them.
    pub fn unstage(&self, zone: &Zone) -> Result<(), PublishError> {
        let prefix = zone_prefix(zone);
        let end = prefix_end(&prefix);
        let staged = self.read()?.open_table(STAGED)?;
        if staged
            .range(prefix.as_slice()..end.as_slice())?
            .next()
            .is_none()
        {
            return Ok(());
        }
        let tx = self.write()?;
        check_none(&tx, zone)?;
        clear(&tx, zone)?;
        Ok(tx.commit()?)
    }
}

fn check_none(tx: &WriteTransaction, zone: &Zone) -> Result<(), PublishError> {
    match tx.open_table(PREPARED)?.get(zone.as_str().as_bytes())? {
        Some(_) => Err(PublishError::Prepared),
        None => Ok(()),
    }
}

/// Keeps blocks of a zone's batch.
pub(super) fn put(tx: &WriteTransaction, zone: &Zone, blocks: &[Block]) -> Result<(), StoreError> {
    let mut table = tx.open_table(STAGED)?;
    for block in blocks {
        table.insert(staged_key(zone, &block.cid()).as_slice(), block.bytes())?;
    }
    Ok(())
}

/// Drops what is kept of a zone's batch.
pub(super) fn clear(tx: &WriteTransaction, zone: &Zone) -> Result<(), StoreError> {
    let prefix = zone_prefix(zone);
    let end = prefix_end(&prefix);
    tx.open_table(STAGED)?
        .retain_in(prefix.as_slice()..end.as_slice(), |_, _| false)?;
    Ok(())
}

/// Checks that every block of a batch is kept, those too that its indexes list, and drops others:
/// what is prepared can be published as it stands.
pub(super) fn check_whole(tx: &WriteTransaction, batch: &Batch) -> Result<(), PublishError> {
    let mut table = tx.open_table(STAGED)?;
    let wanted = wanted(&table, batch)?;
    let prefix = zone_prefix(&batch.zone);
    let end = prefix_end(&prefix);
    table.retain_in(prefix.as_slice()..end.as_slice(), |key, _| {
        let cid = key.get(prefix.len()..).map(Cid::from_bytes);
        cid.is_some_and(|cid| cid.is_ok_and(|cid| wanted.contains(&cid)))
    })?;
    Ok(())
}

/// The blocks of a batch that is prepared, all of which are kept.
fn wanted(
    staged: &impl ReadableTable<&'static [u8], &'static [u8]>,
    batch: &Batch,
) -> Result<BTreeSet<Cid>, PublishError> {
    let get = |cid: &Cid| -> Result<_, PublishError> {
        let block = staged.get(staged_key(&batch.zone, cid).as_slice())?;
        block.ok_or(PublishError::Missing { cid: *cid })
    };
    let mut wanted: BTreeSet<Cid> = batch.links().into_iter().collect();
    for part in &batch.parts {
        let Part::Sealed(part) = part else { continue };
        let index = get(&part.index)?;
        let chunks = sealed::chunks(part.ids, index.value());
        wanted.extend(chunks.ok_or(PublishError::Index { cid: part.index })?);
    }
    for cid in &wanted {
        get(cid)?;
    }
    Ok(wanted)
}

/// What is prepared has all its blocks. (What the last version prepared has them in its row.)
pub(super) fn check(tx: &ReadTransaction, faults: &mut Vec<String>) -> Result<(), StoreError> {
    let staged = tx.open_table(STAGED)?;
    for entry in tx.open_table(PREPARED)?.iter()? {
        let prepared: PreparedRow = row(entry?.1.value())?;
        if !prepared.blocks.is_empty() {
            continue;
        }
        match wanted(&staged, &prepared.batch()?) {
            Ok(_) => {}
            Err(PublishError::Store(error)) => return Err(error),
            Err(error) => faults.push(format!("what is prepared: {error}")),
        }
    }
    Ok(())
}

/// Makes the blocks of a zone's batch visible: from now on they are blocks like any other.
pub(super) fn publish(tx: &WriteTransaction, zone: &Zone) -> Result<(), StoreError> {
    let prefix = zone_prefix(zone);
    let end = prefix_end(&prefix);
    {
        let staged = tx.open_table(STAGED)?;
        let mut shelf = Shelf::open(tx)?;
        for entry in staged.range(prefix.as_slice()..end.as_slice())? {
            let (key, bytes) = entry?;
            let cid = key.value().get(prefix.len()..).unwrap_or_default();
            shelf.put(cid, bytes.value())?;
        }
    }
    clear(tx, zone)
}
