//! A look at all notifications of a zone.

use bellwether_formats::id::Zone;
use redb::ReadableTable;

use super::accept::split_note_key;
use super::rows::NoteRow;
use super::{NOTES, Store, StoreError, row};

impl Store {
    /// Shows every notification of a zone, padding too, in the order of their record ids.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn each_note(&self, zone: &Zone, mut look: impl FnMut(&NoteRow)) -> Result<(), StoreError> {
        let tx = self.read()?;
        for entry in tx.open_table(NOTES)?.iter()? {
            let (key, value) = entry?;
            if split_note_key(key.value())?.1 == zone.as_str() {
                look(&row(value.value())?);
            }
        }
        Ok(())
    }
}
