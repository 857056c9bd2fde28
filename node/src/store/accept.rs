//! Codes, and what they admit. Source: spec §10.

use std::collections::BTreeMap;

use bellwether_formats::id::{Level, Scheme, Zone};
use bellwether_formats::scheme::record_id;
use redb::{ReadableTable, WriteTransaction};

use super::notes::{Given, add_note, notes_of, relevel, split_note_key};
use super::rows::{CodeRow, Mode, note_key};
use super::{
    CODES, META, NOTES_OF_CODE, PENDING, Store, StoreError, feed, prefix_end, row, to_row,
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
    /// The same owner submitted it before with other times: nothing changed.
    Differs,
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
            let mut all = BTreeMap::new();
            let mut fresh = Vec::new();
            for (number, unit) in units.iter().enumerate() {
                let record = record_id(unit.scheme, &unit.unit);
                let key = [code.as_slice(), &note_key(&record, &code_row.zone)].concat();
                let owner = owner_of(unit.scheme, code);
                let known = notes_of(&tx, &record)?;
                let before = all.get(&record).copied();
                if known.iter().any(|(_, note)| note.owner != owner) {
                    all.insert(record, unit.unit.as_slice());
                    accepted.fates.push(Fate::Others);
                    continue;
                }
                let known = known.iter().map(|(_, note)| note.unit.as_slice());
                if known.chain(before).any(|known| differs(unit, known)) {
                    accepted.fates.push(Fate::Differs);
                    continue;
                }
                all.insert(record, unit.unit.as_slice());
                accepted.fates.push(Fate::Known);
                // What stands twice in a report counts once.
                if before.is_none() && of_code.insert(key.as_slice(), [].as_slice())?.is_none() {
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
            if code_row.admitted > most_admitted(fresh.iter().map(|(_, _, unit)| *unit)) {
                return Err(AcceptError::FullCode);
            }
            let (issue, level) = (code_row.issue, code_row.level());
            for (number, record, unit) in fresh {
                let given = Given {
                    zone: &code_row.zone,
                    issue,
                    level,
                    grade: None,
                    public_at: None,
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

/// Whether a unit says other times of a notification than one that is known.
fn differs(unit: &SubmittedUnit, known: &[u8]) -> bool {
    let rules = unit.scheme.rules();
    let may = rules.is_some_and(|rules| rules.may_replace(known, &unit.unit));
    known != unit.unit && !may
}

/// Most notifications that a code admits, of which these are to be the newest.
fn most_admitted<'a>(mut fresh: impl Iterator<Item = &'a SubmittedUnit>) -> u32 {
    let single = |unit: &SubmittedUnit| {
        let rules = unit.scheme.rules();
        rules.is_some_and(|rules| rules.always_sealed())
    };
    if fresh.all(single) {
        MAX_ADMITTED_SINGLE
    } else {
        MAX_ADMITTED
    }
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
