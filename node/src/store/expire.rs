//! What a provider forgets: notifications past their time, with their codes and keys.
//! Source: spec §10.5.

use std::collections::BTreeSet;

use redb::ReadableTable;

use super::notes::split_note_key;
use super::ranges;
use super::rows::{CodeRow, Mode, NoteRow, RangeRow, first_key};
use super::{
    CODES, NOTES, NOTES_OF_BATCH, NOTES_OF_CODE, RANGES, Store, StoreError, prefix_end, row,
};

/// Batches of one day of UTC may be in one fold: sealed notifications of a day go together, or a
/// fold that is published again would lack some.
const DAY_S: u64 = 86_400;

impl Store {
    /// Deletes notifications whose window closed before `before` (seconds of UTC) and of which
    /// nothing is left to be said, and codes that admitted only such or that nobody used in time.
    /// Gives how many notifications went.
    ///
    /// One that was revoked before it was ever published has no window; it goes by its acceptance.
    /// Sealed ones go with all of their zone and day of publication, for a revision or a fold holds
    /// the live content of its batches whole. How a notification was published is never forgotten.
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
            let mut of_batch = tx.open_table(NOTES_OF_BATCH)?;
            for (key, batch) in old_notes(&notes, before)? {
                notes.remove(key.as_slice())?;
                let (record, zone) = split_note_key(&key)?;
                if let Some(batch) = batch {
                    of_batch.remove(first_key(zone, batch, &record).as_slice())?;
                }
                gone += 1;
            }
            let mut ranges = tx.open_table(RANGES)?;
            for key in old_ranges(&ranges, &of_batch, before)? {
                ranges.remove(key.as_slice())?;
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

/// A note that is over: its key, and the batch that published it first.
type Old = (Vec<u8>, Option<u64>);

/// The notes that are over.
fn old_notes(
    notes: &impl ReadableTable<Bytes<'static>, Bytes<'static>>,
    before: u64,
) -> Result<Vec<Old>, StoreError> {
    let mut old = Vec::new();
    let mut days_in_use = BTreeSet::new();
    for entry in notes.iter()? {
        let (key, value) = entry?;
        let note: NoteRow = row(value.value())?;
        let (_, zone) = split_note_key(key.value())?;
        let day = (note.mode == Mode::Sealed && note.published_level.is_some())
            .then(|| (zone.to_owned(), note.observed_before / DAY_S));
        let closed_at = match (note.published_level, &day) {
            (Some(_), Some((_, day))) => end_of(*day),
            (Some(_), None) => note.observed_before,
            (None, _) => note.accepted_at,
        };
        if note.is_pending() {
            days_in_use.extend(day);
        } else if closed_at < before {
            old.push((key.value().to_vec(), note.batch, day));
        }
    }
    let unused = |day: &Option<_>| day.as_ref().is_none_or(|day| !days_in_use.contains(day));
    old.retain(|(_, _, day)| unused(day));
    Ok(old
        .into_iter()
        .map(|(key, batch, _)| (key, batch))
        .collect())
}

/// The last second of a day of UTC.
const fn end_of(day: u64) -> u64 {
    day.saturating_mul(DAY_S).saturating_add(DAY_S - 1)
}

/// The keys of ranges that are over: no notification is left that they published.
fn old_ranges(
    ranges: &impl ReadableTable<Bytes<'static>, Bytes<'static>>,
    of_batch: &impl ReadableTable<Bytes<'static>, Bytes<'static>>,
    before: u64,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut old = Vec::new();
    for entry in ranges.iter()? {
        let (key, value) = entry?;
        let range: RangeRow = row(value.value())?;
        let (first, last) = ranges::numbers(key.value())?;
        let (zone, _) = key
            .value()
            .split_at_checked(key.value().len() - 16)
            .unwrap_or_default();
        let start = [zone, &first.to_be_bytes()].concat();
        let end = prefix_end(&[zone, &last.to_be_bytes()].concat());
        let in_use = of_batch
            .range(start.as_slice()..end.as_slice())?
            .next()
            .is_some();
        if end_of(range.published_at / DAY_S) < before && !in_use {
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
