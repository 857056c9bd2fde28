//! What systems submit: notifications of any scheme, each with its zone and level. Source: spec §10.6.

use bellwether_formats::id::{Level, RecordId, Zone};
use bellwether_formats::scheme::record_id;
use redb::WriteTransaction;
use sha2::{Digest, Sha256};

use super::accept::{Fate, SubmittedUnit};
use super::notes::{Given, add_note, notes_of, put_note, regrade, relevel};
use super::rows::{NoteRow, note_key};
use super::{Store, StoreError};

/// An item that a submitter may submit. Its unit was checked by its scheme's rules.
#[derive(Clone, Debug)]
pub struct Item {
    /// The notification.
    pub unit: SubmittedUnit,
    /// Where it matters.
    pub zone: Zone,
    /// What is said of it.
    pub level: Level,
    /// Finer weight, 0 to 100.
    pub grade: Option<u8>,
    /// When somebody else published it, in seconds of UTC; none if nobody did.
    pub public_at: Option<u64>,
    /// Who submits it: a notification that another submitted first is not theirs to change.
    pub owner: [u8; 32],
    /// Whose it is, for counting patients; by itself if nothing is said.
    pub case: Option<[u8; 32]>,
    /// The revision token of its first submission was shown: its level and grade may change.
    pub proven: bool,
}

/// Why an item is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum ItemError {
    #[error("it has another level or grade by now; to change it, show the revision token")]
    RevisionNeeded,
    #[error("it was submitted before with other times")]
    UnitChanged,
    #[error("it is not known here, so there is nothing to mend")]
    NotKnown,
    #[error("its scheme does not allow to change from {from} to {to}")]
    Transition { from: Level, to: Level },
}

impl ItemError {
    /// The broken rule's name, as in the spec.
    pub const fn rule(self) -> &'static str {
        match self {
            Self::RevisionNeeded => "revision-needed",
            Self::UnitChanged => "unit-changed",
            Self::NotKnown => "not-known",
            Self::Transition { .. } => "transition",
        }
    }
}

impl Store {
    /// Takes in items, each by itself; what is accepted is durable when this returns.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; then nothing has changed.
    pub fn submit(
        &self,
        items: &[Item],
        now: u64,
    ) -> Result<Vec<Result<Fate, ItemError>>, StoreError> {
        let tx = self.write()?;
        let fates = items.iter().map(|item| submit(&tx, item, now));
        let fates = fates.collect::<Result<Vec<_>, _>>()?;
        tx.commit()?;
        Ok(fates)
    }

    /// Changes level and grade of what is known, in every zone, whoever submitted it and whatever its
    /// scheme allows: the provider mends a mistake. Nothing new is taken in.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; then nothing has changed.
    pub fn mend(&self, items: &[Item]) -> Result<Vec<Result<Fate, ItemError>>, StoreError> {
        let tx = self.write()?;
        let fates = items.iter().map(|item| mend(&tx, item));
        let fates = fates.collect::<Result<Vec<_>, _>>()?;
        tx.commit()?;
        Ok(fates)
    }
}

fn mend(tx: &WriteTransaction, item: &Item) -> Result<Result<Fate, ItemError>, StoreError> {
    let record = record_id(item.unit.scheme, &item.unit.unit);
    let known = notes_of(tx, &record)?;
    let Some(issue) = known.iter().map(|(_, note)| note.issue).max() else {
        return Ok(Err(ItemError::NotKnown));
    };
    let mut changed = relevel(tx, &record, issue, item.level)?;
    if let Some(grade) = item.grade {
        changed |= regrade(tx, &record, grade)?;
    }
    Ok(Ok(if changed { Fate::Changed } else { Fate::Known }))
}

fn submit(
    tx: &WriteTransaction,
    item: &Item,
    now: u64,
) -> Result<Result<Fate, ItemError>, StoreError> {
    let unit = &item.unit;
    let record = record_id(unit.scheme, &unit.unit);
    let known = notes_of(tx, &record)?;
    let Some((_, note)) = known.first() else {
        let given = Given {
            zone: item.zone.as_str(),
            issue: patient(item, &record),
            level: item.level,
            grade: item.grade,
            public_at: item.public_at,
            owner: Some(item.owner),
        };
        add_note(tx, &given, record, unit, now)?;
        return Ok(Ok(Fate::New));
    };
    if note.owner != Some(item.owner) {
        return Ok(Ok(Fate::Others));
    }
    if let Err(error) = check_change(item, note) {
        return Ok(Err(error));
    }
    let key = note_key(&record, item.zone.as_str());
    let here = known.iter().any(|(of, _)| *of == key);
    if !here {
        let given = Given {
            zone: item.zone.as_str(),
            issue: note.issue,
            level: Level(note.level),
            grade: note.grade_now(),
            public_at: note.public_at,
            owner: note.owner,
        };
        add_note(tx, &given, record, unit, now)?;
    }
    let mut changed = relevel(tx, &record, note.issue, item.level)?;
    if let Some(grade) = item.grade {
        changed |= regrade(tx, &record, grade)?;
    }
    for (key, mut note) in notes_of(tx, &record)? {
        // Exports come in any order: until it is published here, the earliest counts.
        if let Some(public_at) = item.public_at
            && note.published_level.is_none()
            && note.public_at.is_none_or(|known| public_at < known)
        {
            note.public_at = Some(public_at);
            note.publish_from = note.publish_from.min(public_at);
            put_note(tx, &key, &note)?;
        }
    }
    if item.proven && note.unit != unit.unit {
        for (key, note) in notes_of(tx, &record)? {
            let unit = unit.unit.clone();
            put_note(tx, &key, &NoteRow { unit, ..note })?;
        }
    }
    Ok(Ok(match (here, changed) {
        (false, _) => Fate::New,
        (true, true) => Fate::Changed,
        (true, false) => Fate::Known,
    }))
}

/// Whether an owner may say again what an item says of a notification.
fn check_change(item: &Item, note: &NoteRow) -> Result<(), ItemError> {
    let rules = item.unit.scheme.rules();
    let unit = &item.unit.unit;
    let same_times = rules.is_some_and(|rules| rules.may_replace(&note.unit, unit));
    if *unit != note.unit && !same_times {
        return Err(ItemError::UnitChanged);
    }
    let (from, to) = (Level(note.level), item.level);
    let regraded = item.grade.is_some() && item.grade != note.grade_now();
    if (from != to || regraded) && !item.proven {
        return Err(ItemError::RevisionNeeded);
    }
    if from == to || rules.is_some_and(|rules| rules.may_become(from, to)) {
        Ok(())
    } else {
        Err(ItemError::Transition { from, to })
    }
}

/// A number for the patient, apart from those of codes, which count from 1.
fn patient(item: &Item, record: &RecordId) -> u64 {
    let case = item.case.as_ref().map(<[u8; 32]>::as_slice);
    let hash = Sha256::new()
        .chain_update(item.owner)
        .chain_update(case.unwrap_or(record.as_bytes()))
        .finalize();
    let number = hash.first_chunk().copied().unwrap_or_default();
    u64::from_be_bytes(number) | 1 << 63
}
