//! What a provider forgets: notifications past their time, with their codes and keys.
//! Source: spec §10.5.

use std::collections::BTreeSet;

use redb::ReadableTable;

use super::rows::{CodeRow, NoteRow};
use super::{CODES, NOTES, NOTES_OF_CODE, Store, StoreError, prefix_end, row};

impl Store {
    /// Deletes notifications whose window closed before `before` (seconds of UTC) and of which
    /// nothing is left to be said, and codes that admitted only such or that nobody used in time.
    /// Gives how many notifications went.
    ///
    /// One that was revoked before it was ever published has no window; it goes by its acceptance.
    /// A code remembers what it admitted until it goes itself: otherwise a phone that reports once
    /// more would have an old seed published as a new one.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; then nothing was deleted.
    pub fn expire(&self, before: u64) -> Result<usize, StoreError> {
        if !self.has_expired(before)? {
            return Ok(0);
        }
        let tx = self.write()?;
        let mut gone = 0;
        {
            let mut notes = tx.open_table(NOTES)?;
            for key in old_notes(&notes, before)? {
                notes.remove(key.as_slice())?;
                gone += 1;
            }
            let mut codes = tx.open_table(CODES)?;
            let mut of_code = tx.open_table(NOTES_OF_CODE)?;
            let live = live_codes(&of_code, &notes)?;
            for code in old_codes(&codes, before, &live)? {
                codes.remove(code.as_slice())?;
                let end = prefix_end(&code);
                of_code.retain_in(code.as_slice()..end.as_slice(), |_, _| false)?;
            }
        }
        tx.commit()?;
        Ok(gone)
    }

    /// Whether there may be something to delete, found without keeping reports waiting.
    fn has_expired(&self, before: u64) -> Result<bool, StoreError> {
        let tx = self.read()?;
        let notes = tx.open_table(NOTES)?;
        if !old_notes(&notes, before)?.is_empty() {
            return Ok(true);
        }
        let live = live_codes(&tx.open_table(NOTES_OF_CODE)?, &notes)?;
        Ok(!old_codes(&tx.open_table(CODES)?, before, &live)?.is_empty())
    }
}

type Bytes<'a> = &'a [u8];

/// The keys of notes that are over.
fn old_notes(
    notes: &impl ReadableTable<Bytes<'static>, Bytes<'static>>,
    before: u64,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut old = Vec::new();
    for entry in notes.iter()? {
        let (key, value) = entry?;
        let note: NoteRow = row(value.value())?;
        let closed_at = match note.published_level {
            Some(_) => note.observed_before,
            None => note.accepted_at,
        };
        if closed_at < before && !note.is_pending() {
            old.push(key.value().to_vec());
        }
    }
    Ok(old)
}

/// The codes that admitted a note which is still there.
fn live_codes(
    of_code: &impl ReadableTable<Bytes<'static>, Bytes<'static>>,
    notes: &impl ReadableTable<Bytes<'static>, Bytes<'static>>,
) -> Result<BTreeSet<Vec<u8>>, StoreError> {
    let mut live = BTreeSet::new();
    for entry in of_code.iter()? {
        let (key, _) = entry?;
        let damaged = || StoreError::Row {
            error: "a code's note".to_owned(),
        };
        let (code, note) = key.value().split_at_checked(32).ok_or_else(damaged)?;
        if !live.contains(code) && notes.get(note)?.is_some() {
            live.insert(code.to_vec());
        }
    }
    Ok(live)
}

/// The hashes of codes that are over: used, and all that they admitted is gone; or never used.
fn old_codes(
    codes: &impl ReadableTable<Bytes<'static>, Bytes<'static>>,
    before: u64,
    live: &BTreeSet<Vec<u8>>,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut old = Vec::new();
    for entry in codes.iter()? {
        let (hash, value) = entry?;
        let code: CodeRow = row(value.value())?;
        let over = code.used_at.is_some() || code.expires_at < before;
        if over && !live.contains(hash.value()) {
            old.push(hash.value().to_vec());
        }
    }
    Ok(old)
}
