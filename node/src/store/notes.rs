//! The notifications of a provider: how one is added, changed, written, and waits for a batch.

use bellwether_formats::id::{Level, RecordId, Zone};
use redb::{ReadableTable, Table, WriteTransaction};

use super::accept::SubmittedUnit;
use super::rows::{NoteRow, OPEN_WEIGHT, first_key, note_key, pending_key};
use super::{
    NOTES, NOTES_OF_BATCH, PENDING, Store, StoreError, modes, prefix_end, row, settle, to_row,
};

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

/// What a code, or a submitter, says of a notification.
pub(super) struct Given<'a> {
    pub(super) zone: &'a str,
    /// Number of the code or case.
    pub(super) issue: u64,
    pub(super) level: Level,
    pub(super) grade: Option<u8>,
    /// When somebody else published it, in seconds of UTC.
    pub(super) public_at: Option<u64>,
    pub(super) owner: Option<[u8; 32]>,
}

/// Adds a notification, or gives a known one the level of a more recently issued code. Gives
/// whether it is new in the code's zone.
pub(super) fn add_note(
    tx: &WriteTransaction,
    given: &Given<'_>,
    record: RecordId,
    unit: &SubmittedUnit,
    now: u64,
) -> Result<bool, StoreError> {
    let key = note_key(&record, given.zone);
    let known = notes_of(tx, &record)?;
    let new = known.iter().all(|(of, _)| *of != key);
    if new {
        // All notes of a seed agree: whichever report came last, the code issued last speaks.
        let newer = known.iter().find(|(_, note)| note.issue > given.issue);
        let (issue, level) = newer.map_or((given.issue, given.level.0), |(_, note)| {
            (note.issue, note.level)
        });
        let rules = unit.scheme.rules();
        let facts = rules.and_then(|rules| rules.check(&unit.unit).ok());
        // What is public is not believed any more, so there is nothing to wait for.
        let wait = |from: u64| given.public_at.map_or(from, |public| public.min(from));
        let note = NoteRow {
            scheme: unit.scheme.0,
            unit: unit.unit.clone(),
            level,
            issue,
            accepted_at: now,
            published_level: None,
            observed_before: 0,
            published_at: 0,
            dummy: false,
            mode: modes::mode_of(tx, &record, || settle::first_mode(tx, unit))?,
            batch: None,
            grade: given.grade,
            next_grade: None,
            public_at: given.public_at,
            publish_from: facts.map_or(0, |facts| wait(facts.publish_from)),
            owner: given.owner,
        };
        put_note(tx, &key, &note)?;
    }
    relevel(tx, &record, given.issue, given.level)?;
    Ok(new)
}

/// Gives a seed, in every zone that it is known in, the level of code number `issue`, unless a
/// more recently issued one gave its level. Gives whether that changed anything.
pub(super) fn relevel(
    tx: &WriteTransaction,
    record: &RecordId,
    issue: u64,
    level: Level,
) -> Result<bool, StoreError> {
    let mut changed = false;
    for (key, mut note) in notes_of(tx, record)? {
        if issue < note.issue {
            continue;
        }
        changed |= note.level != level.0;
        note.issue = issue;
        note.level = level.0;
        put_note(tx, &key, &note)?;
    }
    Ok(changed)
}

/// Gives a notification another grade, in every zone that it is known in. Gives whether that changed
/// anything.
pub(super) fn regrade(
    tx: &WriteTransaction,
    record: &RecordId,
    grade: u8,
) -> Result<bool, StoreError> {
    let mut changed = false;
    for (key, mut note) in notes_of(tx, record)? {
        if note.regrade(grade) {
            changed = true;
            put_note(tx, &key, &note)?;
        }
    }
    Ok(changed)
}

/// The notes of a seed in all zones, with their keys.
pub(super) fn notes_of(
    tx: &WriteTransaction,
    record: &RecordId,
) -> Result<Vec<(Vec<u8>, NoteRow)>, StoreError> {
    let notes = tx.open_table(NOTES)?;
    let end = prefix_end(record.as_bytes());
    notes
        .range(record.as_bytes().as_slice()..end.as_slice())?
        .map(|entry| {
            let (key, value) = entry?;
            Ok((key.value().to_vec(), row(value.value())?))
        })
        .collect()
}

/// What stands in the list of notes that wait, so that not every note is read when it is asked
/// whether a batch is full.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Waits {
    /// Only a revision can speak of it: a closing is not brought forward for it.
    Revision,
    /// It is new, or an open one whose level changed.
    Batch {
        /// Not before this time, in seconds of UTC.
        from: u64,
        /// What it weighs there ([`NoteRow::weight`]).
        weight: u32,
    },
}

impl Waits {
    fn of(note: &NoteRow) -> Self {
        if note.revises().is_some() {
            return Self::Revision;
        }
        let new = note.published_level.is_none();
        Self::Batch {
            from: if new { note.publish_from } else { 0 },
            weight: note.weight(),
        }
    }

    fn encode(self) -> Vec<u8> {
        match self {
            Self::Revision => vec![1],
            Self::Batch { from, weight } => {
                [from.to_be_bytes().as_slice(), &weight.to_be_bytes()].concat()
            }
        }
    }

    /// Reads what stands there. An empty value is an earlier version's, which knew CX alone.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let damaged = || StoreError::Row {
            error: "a waiting note".to_owned(),
        };
        if let Some((from, weight)) = bytes.split_first_chunk() {
            let weight = weight.try_into().map_err(|_| damaged())?;
            return Ok(Self::Batch {
                from: u64::from_be_bytes(*from),
                weight: u32::from_be_bytes(weight),
            });
        }
        match bytes {
            [] => Ok(Self::Batch {
                from: 0,
                weight: OPEN_WEIGHT,
            }),
            [1] => Ok(Self::Revision),
            _ => Err(damaged()),
        }
    }

    /// What it weighs in a batch at `now`, if it can be in it.
    pub(super) const fn weight_at(self, now: u64) -> Option<u32> {
        match self {
            Self::Batch { from, weight } if from <= now => Some(weight),
            Self::Batch { .. } | Self::Revision => None,
        }
    }
}

/// Writes a note, whether its zone's next batch must speak of it, and which batch was the first.
pub(super) fn put_note(
    tx: &WriteTransaction,
    key: &[u8],
    note: &NoteRow,
) -> Result<(), StoreError> {
    NoteTables::open(tx)?.put(key, note)
}

/// The tables that know of notes, for who writes many: to open one costs as much as to write to it.
pub(super) struct NoteTables<'tx> {
    notes: Table<'tx, &'static [u8], &'static [u8]>,
    pending: Table<'tx, &'static [u8], &'static [u8]>,
    of_batch: Table<'tx, &'static [u8], &'static [u8]>,
}

impl<'tx> NoteTables<'tx> {
    pub(super) fn open(tx: &'tx WriteTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            notes: tx.open_table(NOTES)?,
            pending: tx.open_table(PENDING)?,
            of_batch: tx.open_table(NOTES_OF_BATCH)?,
        })
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<NoteRow>, StoreError> {
        let found = self.notes.get(key)?;
        found.map(|value| row(value.value())).transpose()
    }

    /// [`put_note`].
    pub(super) fn put(&mut self, key: &[u8], note: &NoteRow) -> Result<(), StoreError> {
        let (record, zone) = split_note_key(key)?;
        self.notes.insert(key, to_row(note).as_slice())?;
        let pending = pending_key(zone, &record);
        if note.is_pending() {
            let waits = Waits::of(note).encode();
            self.pending.insert(pending.as_slice(), waits.as_slice())?;
        } else {
            self.pending.remove(pending.as_slice())?;
        }
        if let Some(batch) = note.batch.filter(|_| !note.dummy) {
            let first = first_key(zone, batch, &record);
            self.of_batch.insert(first.as_slice(), [].as_slice())?;
        }
        Ok(())
    }
}

pub(super) fn split_note_key(key: &[u8]) -> Result<(RecordId, &str), StoreError> {
    let damaged = || StoreError::Row {
        error: "a note's key".to_owned(),
    };
    let (record, zone) = key.split_first_chunk().ok_or_else(damaged)?;
    let zone = std::str::from_utf8(zone).map_err(|_| damaged())?;
    Ok((RecordId::from_bytes(*record), zone))
}
