//! A store of the last version becomes one of this version: one transaction, at open.

use redb::ReadableTable;

use super::accept::split_note_key;
use super::{ALL, FORMAT, META, MODES, NOTES, Store, StoreError};
use crate::store::Mode;

/// The format of the last version. It had no modes: all that it accepted is open.
pub(super) const FIRST: u8 = 1;

impl Store {
    /// Adds what the last version did not have.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; then the store is as it was.
    pub(super) fn upgrade(self) -> Result<Self, StoreError> {
        let tx = self.write()?;
        for table in ALL {
            tx.open_table(table)?;
        }
        {
            let mut modes = tx.open_table(MODES)?;
            for entry in tx.open_table(NOTES)?.iter()? {
                let (key, _) = entry?;
                let (record, _) = split_note_key(key.value())?;
                modes.insert(record.as_bytes().as_slice(), Mode::Open.code().as_slice())?;
            }
        }
        tx.open_table(META)?
            .insert(b"format".as_slice(), [FORMAT].as_slice())?;
        tx.commit()?;
        Ok(self)
    }
}
