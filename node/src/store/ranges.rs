//! What was published when: the notes that a batch published first, and the ranges of batches whose
//! sealed parts are published. Source: spec §4.5, §5.6.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_formats::batch::{Batch, Part};
use bellwether_formats::id::{RecordId, Zone};
use redb::{ReadTransaction, ReadableTable, WriteTransaction};

use super::feed::u64_of;
use super::notes::{Waits, split_note_key};
use super::rows::{Mode, NoteRow, RangeRow, first_key, note_key, range_key, zone_prefix};
use super::{
    MODES, NOTES, NOTES_OF_BATCH, PENDING, RANGES, Store, StoreError, get, prefix_end, row, to_row,
};

/// A range of batches whose sealed parts are published, `first` to `last`: one batch, or the
/// batches of a fold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Range {
    /// Its first batch.
    pub first: u64,
    /// Its last batch.
    pub last: u64,
    /// What is known of it.
    pub row: RangeRow,
}

impl Range {
    /// Whether it is a fold.
    pub const fn is_fold(&self) -> bool {
        self.first < self.last
    }
}

impl Store {
    /// The ranges of a zone, by their first batch.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; so for all that follows.
    pub fn ranges(&self, zone: &Zone) -> Result<Vec<Range>, StoreError> {
        let tx = self.read()?;
        let prefix = zone_prefix(zone);
        let end = prefix_end(&prefix);
        tx.open_table(RANGES)?
            .range(prefix.as_slice()..end.as_slice())?
            .map(|entry| {
                let (key, value) = entry?;
                let (first, last) = numbers(key.value())?;
                let row = row(value.value())?;
                Ok(Range { first, last, row })
            })
            .collect()
    }

    /// The batches of a zone of which a sealed notification has another level than was published.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn to_revise(&self, zone: &Zone) -> Result<BTreeSet<u64>, StoreError> {
        let tx = self.read()?;
        let notes = tx.open_table(NOTES)?;
        let prefix = zone_prefix(zone);
        let end = prefix_end(&prefix);
        let mut batches = BTreeSet::new();
        for entry in tx
            .open_table(PENDING)?
            .range(prefix.as_slice()..end.as_slice())?
        {
            let (key, waits) = entry?;
            if Waits::decode(waits.value())? != Waits::Revision {
                continue;
            }
            if let Some(note) =
                notes.get(note_key(&last_record(key.value())?, zone.as_str()).as_slice())?
            {
                let note: NoteRow = row(note.value())?;
                batches.extend(note.revises());
            }
        }
        Ok(batches)
    }

    /// The sealed notifications that batches `first` to `last` of a zone published first, whatever
    /// their levels.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn sealed_notes(
        &self,
        zone: &Zone,
        first: u64,
        last: u64,
    ) -> Result<Vec<(RecordId, NoteRow)>, StoreError> {
        let mut notes = notes_of(&self.read()?, zone, first, last)?;
        notes.retain(|(_, note)| note.mode == Mode::Sealed);
        Ok(notes)
    }

    /// Number of the newest batch of a zone that published something new.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn newest_content(&self, zone: &Zone) -> Result<Option<u64>, StoreError> {
        let tx = self.read()?;
        let prefix = zone_prefix(zone);
        let end = prefix_end(&prefix);
        let table = tx.open_table(NOTES_OF_BATCH)?;
        let newest = table
            .range(prefix.as_slice()..end.as_slice())?
            .next_back()
            .transpose()?;
        newest
            .map(|(key, _)| {
                let seq = key.value().get(prefix.len()..prefix.len() + 8);
                u64_of(seq.unwrap_or_default())
            })
            .transpose()
    }

    /// How many patients the notifications of a zone are of that batch `seq` published first: their
    /// codes.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn patients(&self, zone: &Zone, seq: u64) -> Result<usize, StoreError> {
        let notes = notes_of(&self.read()?, zone, seq, seq)?;
        Ok(patients(notes.iter().map(|(_, note)| note)))
    }
}

/// How many patients notifications are of: their codes.
pub(crate) fn patients<'a>(notes: impl Iterator<Item = &'a NoteRow>) -> usize {
    let real = notes.filter(|note| !note.dummy);
    real.map(|note| note.issue).collect::<BTreeSet<_>>().len()
}

/// The notes that batches of a zone published first.
fn notes_of(
    tx: &ReadTransaction,
    zone: &Zone,
    first: u64,
    last: u64,
) -> Result<Vec<(RecordId, NoteRow)>, StoreError> {
    let prefix = zone_prefix(zone);
    let start = [prefix.as_slice(), &first.to_be_bytes()].concat();
    let end = prefix_end(&[prefix.as_slice(), &last.to_be_bytes()].concat());
    let mut notes = Vec::new();
    for entry in tx
        .open_table(NOTES_OF_BATCH)?
        .range(start.as_slice()..end.as_slice())?
    {
        let record = last_record(entry?.0.value())?;
        if let Some(note) = get(tx, NOTES, &note_key(&record, zone.as_str()))? {
            notes.push((record, row(&note)?));
        }
    }
    Ok(notes)
}

/// Notes that a batch with sealed parts was published: in its own range, or the one it covers.
/// `new` are the identifiers in the range that the row does not count yet, by scheme.
pub(super) fn put_range(
    tx: &WriteTransaction,
    batch: &Batch,
    new: impl IntoIterator<Item = (u8, u64)>,
    came_back: bool,
) -> Result<(), StoreError> {
    let mut windows = batch.parts.iter().filter_map(|part| match part {
        Part::Sealed(part) => Some((part.window.from, part.window.to)),
        Part::Open(_) | Part::Unknown(_) => None,
    });
    let Some(window) = windows.next() else {
        return Ok(());
    };
    let (first, last) = batch.range();
    let key = range_key(batch.zone.as_str(), first, last);
    let mut table = tx.open_table(RANGES)?;
    let known = table.get(key.as_slice())?.map(|value| row(value.value()));
    let empty = || RangeRow {
        seq: batch.seq,
        published_at: batch.published_at,
        window,
        counts: BTreeMap::new(),
        ids: BTreeMap::new(),
        came_back,
    };
    let mut range: RangeRow = known.transpose()?.unwrap_or_else(empty);
    range.seq = batch.seq;
    range.window = window;
    for (scheme, ids) in new {
        let sum = range.ids.entry(scheme).or_default();
        *sum = sum.saturating_add(ids);
    }
    table.insert(key.as_slice(), to_row(&range).as_slice())?;
    Ok(())
}

/// Each notification is in the list of the batch that published it first, and in no other; its mode
/// is the one that is kept for good.
pub(super) fn check(tx: &ReadTransaction, faults: &mut Vec<String>) -> Result<(), StoreError> {
    for entry in tx.open_table(NOTES)?.iter()? {
        let (key, value) = entry?;
        let note: NoteRow = row(value.value())?;
        let (record, zone) = split_note_key(key.value())?;
        if note.dummy {
            continue;
        }
        let mode = get(tx, MODES, record.as_bytes())?;
        if mode.map(|mode| Mode::from_code(&mode)).transpose()? != Some(note.mode) {
            faults.push(format!(
                "{zone}: a notification has another mode than it first had"
            ));
        }
        let first = note.batch.map(|batch| first_key(zone, batch, &record));
        if let Some(first) = first
            && get(tx, NOTES_OF_BATCH, &first)?.is_none()
        {
            faults.push(format!("{zone}: a notification is not in its batch's list"));
        }
    }
    for entry in tx.open_table(NOTES_OF_BATCH)?.iter()? {
        let (key, _) = entry?;
        let record = last_record(key.value())?;
        let zone = key.value().split(|byte| *byte == 0).next();
        let zone = str::from_utf8(zone.unwrap_or_default()).unwrap_or_default();
        let note = get(tx, NOTES, &note_key(&record, zone))?;
        let note: Option<NoteRow> = note.map(|note| row(&note)).transpose()?;
        let batch = note.and_then(|note| note.batch);
        if batch
            .map(|batch| first_key(zone, batch, &record))
            .as_deref()
            != Some(key.value())
        {
            faults.push(format!(
                "{zone}: a batch lists a notification of another one"
            ));
        }
    }
    for entry in tx.open_table(RANGES)?.iter()? {
        let (key, value) = entry?;
        numbers(key.value())?;
        let _: RangeRow = row(value.value())?;
    }
    Ok(())
}

/// The record at the end of a key.
fn last_record(key: &[u8]) -> Result<RecordId, StoreError> {
    let record = key.split_last_chunk().map(|(_, record)| *record);
    let record = record.ok_or_else(|| StoreError::Row {
        error: "a key that ends in a notification".to_owned(),
    })?;
    Ok(RecordId::from_bytes(record))
}

/// The first and last batch in a range's key.
pub(super) fn numbers(key: &[u8]) -> Result<(u64, u64), StoreError> {
    let damaged = || StoreError::Row {
        error: "a range's key".to_owned(),
    };
    let (rest, last) = key.split_last_chunk::<8>().ok_or_else(damaged)?;
    let (_, first) = rest.split_last_chunk::<8>().ok_or_else(damaged)?;
    Ok((u64::from_be_bytes(*first), u64::from_be_bytes(*last)))
}
