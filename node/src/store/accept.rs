//! Codes, and what they admit. Source: spec §10.

use std::collections::BTreeSet;

use bellwether_formats::id::{Level, RecordId, Scheme, Zone};
use bellwether_formats::scheme::record_id;
use redb::{ReadableTable, Table, WriteTransaction};

use super::rows::{CodeRow, Mode, NoteRow, OPEN_WEIGHT, first_key, note_key, pending_key};
use super::{
    CODES, META, NOTES, NOTES_OF_BATCH, NOTES_OF_CODE, PENDING, Store, StoreError, feed, modes,
    prefix_end, row, settle, to_row,
};

/// Most notifications that one code admits: it is a person's, and a person has few seeds.
pub(super) const MAX_ADMITTED: u32 = 256;

/// Most of those that stand for one identifier each, as a fortnight of DP-3T's epochs does (1344).
pub(super) const MAX_ADMITTED_SINGLE: u32 = 4096;

/// A code to be issued; the code itself stays with the caller.
#[derive(Clone, Debug)]
pub struct NewCode {
    /// Its keyed hash.
    pub hash: [u8; 32],
    /// The zone of what it admits.
    pub zone: Zone,
    /// The level of what it admits.
    pub level: Level,
    /// First second at which it no longer works, unused.
    pub expires_at: u64,
    /// The professional who issues it; none: the command line.
    pub issuer: Option<String>,
}

/// A unit of a verified report, and the key that proved it. It was checked by its scheme's rules.
#[derive(Clone, Debug)]
pub struct SubmittedUnit {
    /// How it expands.
    pub scheme: Scheme,
    /// The unit: a seed, a report, a key.
    pub unit: Vec<u8>,
    /// Hash of the key that signed for it; zeros if none did.
    pub key: [u8; 32],
    /// How it is to be published, if no zone of this provider ever accepted it: as its zone says.
    /// A sealed batch that came back from a relay and has it says otherwise.
    pub mode: Mode,
}

/// What became of a report.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Accepted {
    /// Notifications that are new in the code's zone.
    pub new: usize,
    /// Notifications that were accepted there before, under this code or another.
    pub known: usize,
    /// What became of each unit.
    pub fates: Vec<Fate>,
}

/// What became of a unit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// It is a notification now.
    New,
    /// The same owner submitted it before.
    Known,
    /// As before, and it has another level now.
    Changed,
    /// Another submitted it first: nothing changed.
    Others,
}

/// Why a verified report is not accepted.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum AcceptError {
    #[error("this code was not issued here")]
    UnknownCode,
    #[error("this code has expired")]
    ExpiredCode,
    #[error("this code was used by another device")]
    UsedCode,
    #[error("this code has admitted as many notifications as one may")]
    FullCode,
    #[error(transparent)]
    Store(#[from] StoreError),
}

macro_rules! through_store {
    ($($error:ident),*) => {$(
        impl From<redb::$error> for AcceptError {
            fn from(error: redb::$error) -> Self {
                Self::Store(error.into())
            }
        }
    )*};
}
through_store!(CommitError, StorageError, TableError);

impl Store {
    /// Issues codes; those that exist already keep what they say. Gives how many are new.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; then none is issued.
    pub fn issue_codes(&self, codes: &[NewCode], now: u64) -> Result<usize, StoreError> {
        let tx = self.write()?;
        let mut new = 0;
        {
            let mut table = tx.open_table(CODES)?;
            let mut meta = tx.open_table(META)?;
            let last = meta
                .get(b"issue".as_slice())?
                .map(|value| feed::u64_of(value.value()));
            let mut issue = last.transpose()?.unwrap_or_default();
            for code in codes {
                if table.get(code.hash.as_slice())?.is_some() {
                    continue;
                }
                issue += 1;
                new += 1;
                let row = CodeRow {
                    issue,
                    zone: code.zone.to_string(),
                    level: code.level.0,
                    issued_at: now,
                    expires_at: code.expires_at,
                    used_at: None,
                    keys: Vec::new(),
                    admitted: 0,
                    issuer: code.issuer.clone(),
                };
                table.insert(code.hash.as_slice(), to_row(&row).as_slice())?;
            }
            meta.insert(b"issue".as_slice(), issue.to_be_bytes().as_slice())?;
        }
        tx.commit()?;
        Ok(new)
    }

    /// What is known of a code.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn code(&self, hash: &[u8; 32]) -> Result<Option<CodeRow>, StoreError> {
        let bytes = super::get(&self.read()?, CODES, hash)?;
        bytes.map(|bytes| row(&bytes)).transpose()
    }

    /// Accepts the units of a verified report under a code; durable when this returns.
    ///
    /// A code is for the first device that uses it: later reports share a key with it. A report
    /// that is known whole is accepted again whatever became of the code since, so that a phone
    /// that lost the answer may ask again.
    ///
    /// # Errors
    ///
    /// [`AcceptError`]; then nothing has changed.
    pub fn accept(
        &self,
        code: &[u8; 32],
        units: &[SubmittedUnit],
        now: u64,
    ) -> Result<Accepted, AcceptError> {
        let tx = self.write()?;
        let mut accepted = Accepted::default();
        {
            let mut codes = tx.open_table(CODES)?;
            let found = codes.get(code.as_slice())?.map(|value| row(value.value()));
            let mut code_row: CodeRow = found.transpose()?.ok_or(AcceptError::UnknownCode)?;
            let mut of_code = tx.open_table(NOTES_OF_CODE)?;
            let mut all = BTreeSet::new();
            let mut fresh = Vec::new();
            for (number, unit) in units.iter().enumerate() {
                let record = record_id(unit.scheme, &unit.unit);
                let key = [code.as_slice(), &note_key(&record, &code_row.zone)].concat();
                let owner = owner_of(unit.scheme, code);
                if notes_of(&tx, &record)?
                    .iter()
                    .any(|(_, note)| note.owner != owner)
                {
                    all.insert(record);
                    accepted.fates.push(Fate::Others);
                    continue;
                }
                accepted.fates.push(Fate::Known);
                // What stands twice in a report counts once.
                if all.insert(record) && of_code.insert(key.as_slice(), [].as_slice())?.is_none() {
                    fresh.push((number, record, unit));
                }
            }
            accepted.known = all.len();
            if fresh.is_empty() {
                return Ok(accepted);
            }
            check_code(&code_row, units, now)?;
            let added = u32::try_from(fresh.len()).unwrap_or(u32::MAX);
            code_row.admitted = code_row.admitted.saturating_add(added);
            if code_row.admitted > most_admitted(units) {
                return Err(AcceptError::FullCode);
            }
            let (issue, level) = (code_row.issue, code_row.level());
            for (number, record, unit) in fresh {
                let given = Given {
                    zone: &code_row.zone,
                    issue,
                    level,
                    grade: None,
                    owner: owner_of(unit.scheme, code),
                };
                if add_note(&tx, &given, record, unit, now)? {
                    accepted.new += 1;
                    accepted
                        .fates
                        .iter_mut()
                        .skip(number)
                        .take(1)
                        .for_each(|fate| *fate = Fate::New);
                }
            }
            accepted.known -= accepted.new;
            code_row.used_at.get_or_insert(now);
            for unit in units.iter().filter(|unit| unit.key != [0; 32]) {
                if !code_row.keys.contains(&unit.key) {
                    code_row.keys.push(unit.key);
                }
            }
            codes.insert(code.as_slice(), to_row(&code_row).as_slice())?;
        }
        tx.commit()?;
        Ok(accepted)
    }

    /// Changes the level of a code and of every notification whose level it gives. The next batch
    /// says so. Gives how many notifications changed; none if the code is unknown.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; then nothing has changed.
    pub fn set_level(&self, code: &[u8; 32], level: Level) -> Result<Option<usize>, StoreError> {
        let tx = self.write()?;
        let changed = set_code_level(&tx, code, level, |_| {})?;
        tx.commit()?;
        Ok(changed)
    }

    /// How many notifications of a zone wait for its next batch, or for a revision.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn pending(&self, zone: &Zone) -> Result<usize, StoreError> {
        let tx = self.read()?;
        let prefix = super::rows::zone_prefix(zone);
        let end = prefix_end(&prefix);
        let table = tx.open_table(PENDING)?;
        Ok(table.range(prefix.as_slice()..end.as_slice())?.count())
    }
}

/// Whether a code admits what is new under it. Its validity is for the first use: afterwards it
/// belongs to the device that has the keys. Source: spec §10.4.
fn check_code(code: &CodeRow, units: &[SubmittedUnit], now: u64) -> Result<(), AcceptError> {
    let shares_key = || units.iter().any(|unit| code.keys.contains(&unit.key));
    match code.used_at {
        None if now >= code.expires_at => Err(AcceptError::ExpiredCode),
        Some(_) if !shares_key() => Err(AcceptError::UsedCode),
        _ => Ok(()),
    }
}

/// Whose a notification is that a code admitted: the code's. A CX report proves each time that the
/// seed is the sender's, and needs no owner.
fn owner_of(scheme: Scheme, code: &[u8; 32]) -> Option<[u8; 32]> {
    (!matches!(scheme, Scheme::CX1 | Scheme::CX2)).then_some(*code)
}

fn most_admitted(units: &[SubmittedUnit]) -> u32 {
    let single = |unit: &SubmittedUnit| {
        let rules = unit.scheme.rules();
        rules.is_some_and(|rules| rules.always_sealed())
    };
    if units.iter().all(single) {
        MAX_ADMITTED_SINGLE
    } else {
        MAX_ADMITTED
    }
}

/// What a code, or a submitter, says of a notification.
pub(super) struct Given<'a> {
    pub(super) zone: &'a str,
    /// Number of the code or case.
    pub(super) issue: u64,
    pub(super) level: Level,
    pub(super) grade: Option<u8>,
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
        let note = NoteRow {
            scheme: unit.scheme.0,
            unit: unit.unit.clone(),
            level,
            issue,
            accepted_at: now,
            published_level: None,
            observed_before: 0,
            dummy: false,
            mode: modes::mode_of(tx, &record, || settle::first_mode(tx, unit))?,
            batch: None,
            grade: given.grade,
            publish_from: facts.map_or(0, |facts| facts.publish_from),
            owner: given.owner,
        };
        put_note(tx, &key, &note)?;
    }
    relevel(tx, &record, given.issue, given.level)?;
    Ok(new)
}

/// Changes the level of a code, what `further` changes of its row, and the level of every
/// notification whose level it gives. Gives how many notifications changed; none if the code is
/// unknown.
pub(super) fn set_code_level(
    tx: &WriteTransaction,
    code: &[u8; 32],
    level: Level,
    further: impl FnOnce(&mut CodeRow),
) -> Result<Option<usize>, StoreError> {
    let mut codes = tx.open_table(CODES)?;
    let found = codes.get(code.as_slice())?.map(|value| row(value.value()));
    let Some(mut code_row): Option<CodeRow> = found.transpose()? else {
        return Ok(None);
    };
    code_row.level = level.0;
    further(&mut code_row);
    codes.insert(code.as_slice(), to_row(&code_row).as_slice())?;
    let of_code = tx.open_table(NOTES_OF_CODE)?;
    let end = prefix_end(code);
    let mut changed = 0;
    for entry in of_code.range(code.as_slice()..end.as_slice())? {
        let (key, _) = entry?;
        let note = key.value().get(code.len()..).unwrap_or_default();
        let (record, _) = split_note_key(note)?;
        changed += usize::from(relevel(tx, &record, code_row.issue, level)?);
    }
    Ok(Some(changed))
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
