//! The mode of every notification that was ever accepted, for good. Source: spec §5.7.

use bellwether_formats::id::RecordId;
use redb::{ReadableTable, WriteTransaction};

use super::notes::{notes_of, put_note, split_note_key};
use super::rows::{Mode, NoteRow};
use super::{MODES, NOTES, StoreError};

/// The mode of a seed: that of its first acceptance in any zone, which is now if there was none.
/// An open copy would unmask a sealed one, whichever came first. `new` tells the mode of one that
/// was never seen. Source: spec §5.7.
pub(super) fn mode_of(
    tx: &WriteTransaction,
    record: &RecordId,
    new: impl FnOnce() -> Result<Mode, StoreError>,
) -> Result<Mode, StoreError> {
    let mut modes = tx.open_table(MODES)?;
    let record = record.as_bytes().as_slice();
    let known = modes.get(record)?.map(|mode| Mode::from_code(mode.value()));
    match known {
        Some(mode) => mode,
        None => {
            let new = new()?;
            modes.insert(record, new.code().as_slice())?;
            Ok(new)
        }
    }
}

/// Notes that all that was ever accepted is open, as it was before there were modes.
pub(super) fn all_open(tx: &WriteTransaction) -> Result<(), StoreError> {
    let mut modes = tx.open_table(MODES)?;
    for entry in tx.open_table(NOTES)?.iter()? {
        let (key, _) = entry?;
        let (record, _) = split_note_key(key.value())?;
        let record = record.as_bytes().as_slice();
        modes.insert(record, Mode::Open.code().as_slice())?;
    }
    Ok(())
}

/// Notes how a batch of this provider that came back from a relay published a seed. That was before
/// this store accepted it: what it has not yet published itself follows.
pub(super) fn was_mode(
    tx: &WriteTransaction,
    record: &RecordId,
    mode: Mode,
) -> Result<(), StoreError> {
    let notes = notes_of(tx, record)?;
    if mode_of(tx, record, || Ok(mode))? == mode
        || notes.iter().any(|(_, note)| note.published_level.is_some())
    {
        return Ok(());
    }
    tx.open_table(MODES)?
        .insert(record.as_bytes().as_slice(), mode.code().as_slice())?;
    for (key, note) in notes {
        put_note(tx, &key, &NoteRow { mode, ..note })?;
    }
    Ok(())
}
