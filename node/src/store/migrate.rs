//! From version 1 of the tables to version 2, which counts what names a block, and knows modes.

use bellwether_formats::batch::Batch;
use bellwether_formats::cid::Cid;
use bellwether_formats::signed::Signed;
use redb::{ReadableTable, WriteTransaction};

use super::blocks::Shelf;
use super::rows::{BatchRow, PreparedRow};
use super::{
    ALL, BATCHES, BLOCKS, DESCRIPTORS, FORKS, FORMAT, META, PREPARED, Store, StoreError, modes,
    row, to_row,
};

impl Store {
    /// Brings a store of version 1 to this one: one transaction. Chunks of sealed parts were not
    /// kept then, and are not looked for now.
    pub(super) fn migrate(self) -> Result<Self, StoreError> {
        let tx = self.write()?;
        for table in ALL {
            tx.open_table(table)?;
        }
        batches(&tx)?;
        modes::all_open(&tx)?;
        {
            let mut shelf = Shelf::open(&tx)?;
            for table in [DESCRIPTORS, FORKS] {
                for entry in tx.open_table(table)?.iter()? {
                    let (_, cids) = entry?;
                    for cid in cids.value().chunks(Cid::LEN) {
                        shelf.name(cid)?;
                    }
                }
            }
            for entry in tx.open_table(PREPARED)?.iter()? {
                let prepared: PreparedRow = row(entry?.1.value())?;
                shelf.name(&prepared.batch()?.desc.to_bytes())?;
            }
            shelf.count_all()?;
        }
        tx.open_table(META)?
            .insert(b"format".as_slice(), [FORMAT].as_slice())?;
        tx.commit()?;
        Ok(self)
    }
}

/// Writes every batch's row anew, and counts what it names.
fn batches(tx: &WriteTransaction) -> Result<(), StoreError> {
    let mut after: Vec<u8> = Vec::new();
    loop {
        // One at a time: a table is not changed while it is read.
        let next = {
            let batches = tx.open_table(BATCHES)?;
            let next = batches.range(after.as_slice()..)?.next().transpose()?;
            next.map(|(key, value)| (key.value().to_vec(), value.value().to_vec()))
        };
        let Some((key, value)) = next else {
            return Ok(());
        };
        let mut batch: BatchRow = row(&value)?;
        let cid = batch.cid()?.to_bytes();
        let envelope = tx
            .open_table(BLOCKS)?
            .get(cid.as_slice())?
            .map(|envelope| envelope.value().to_vec());
        if let Some(envelope) = envelope {
            batch = BatchRow::of(&Signed::<Batch>::open(&envelope)?);
        }
        let parts: Vec<usize> = batch.sealed().iter().map(|part| part.part).collect();
        for part in parts {
            batch.without_chunks(part, None);
        }
        Shelf::open(tx)?.name_batch(&batch)?;
        tx.open_table(BATCHES)?
            .insert(key.as_slice(), to_row(&batch).as_slice())?;
        after = key;
        after.push(0);
    }
}
