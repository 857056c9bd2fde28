//! What sealed parts of this provider's own say, after a restore: its seeds are here, so that their
//! entries can be opened.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_formats::batch::{Batch, Part};
use bellwether_formats::cid::Cid;
use bellwether_formats::id::{Level, Scheme};
use bellwether_formats::scheme;
use bellwether_formats::sealed::{Chunk, IdHash, Index, Payload, Shape};
use redb::{ReadableTable, WriteTransaction};

use super::super::modes::was_mode;
use super::super::notes::{put_note, split_note_key};
use super::super::rows::{Mode, NoteRow};
use super::super::{BLOCKS, NOTES, StoreError, row};
use super::with_level;

/// Notes what the sealed parts of a batch say of the notifications of its zone. Gives how many identifiers of
/// each scheme were published in it that this store had not published.
///
/// A batch of its own range publishes new ones. A revision tells the levels of its batch, and those
/// that are not in it were withdrawn. A fold changes nothing.
///
/// A seed that another zone has accepted, and not yet published, is sealed there too.
pub(super) fn settle(
    tx: &WriteTransaction,
    batch: &Batch,
) -> Result<BTreeMap<u8, u64>, StoreError> {
    let mut new = BTreeMap::new();
    let reader = Reader::of(batch);
    let (first, last) = batch.range();
    if reader.schemes.is_empty() || first < last {
        return Ok(new);
    }
    let is_revision = batch.covers.is_some();
    if !is_revision {
        elsewhere(tx, batch.zone.as_str(), &reader)?;
    }
    for (key, note) in notes_where(tx, |zone| zone == batch.zone.as_str())? {
        let concerned = match note.published_level {
            Some(_) => is_revision && note.mode == Mode::Sealed && note.batch == Some(first),
            None => !is_revision,
        };
        if !concerned || note.dummy {
            continue;
        }
        let said = reader.look_up(tx, note.scheme(), &note.unit)?;
        match said {
            Some(payload) if !is_revision => {
                let (record, _) = split_note_key(&key)?;
                was_mode(tx, &record, Mode::Sealed)?;
                *new.entry(note.scheme).or_default() += u64::from(note.identifiers());
                let note = NoteRow {
                    observed_before: payload.observed_before,
                    mode: Mode::Sealed,
                    ..with_level(note, batch.seq, payload.level.0)
                };
                put_note(tx, &key, &note)?;
            }
            None if !is_revision => {}
            said => {
                let level = said.map_or(Level::NO_ALERT, |payload| payload.level);
                put_note(tx, &key, &with_level(note, batch.seq, level.0))?;
            }
        }
    }
    Ok(new)
}

/// Makes sealed what other zones were about to publish open.
fn elsewhere(tx: &WriteTransaction, zone: &str, reader: &Reader<'_>) -> Result<(), StoreError> {
    for (key, note) in notes_where(tx, |other| other != zone)? {
        if note.mode == Mode::Open
            && note.published_level.is_none()
            && reader.look_up(tx, note.scheme(), &note.unit)?.is_some()
        {
            was_mode(tx, &split_note_key(&key)?.0, Mode::Sealed)?;
        }
    }
    Ok(())
}

/// The notes of some zones, with their keys.
fn notes_where(
    tx: &WriteTransaction,
    is_one: impl Fn(&str) -> bool,
) -> Result<Vec<(Vec<u8>, NoteRow)>, StoreError> {
    let mut notes = Vec::new();
    for entry in tx.open_table(NOTES)?.iter()? {
        let (key, value) = entry?;
        if is_one(split_note_key(key.value())?.1) {
            notes.push((key.value().to_vec(), row(value.value())?));
        }
    }
    Ok(notes)
}

/// Reads the sealed parts of one batch.
pub(super) struct Reader<'a> {
    batch: &'a Batch,
    schemes: BTreeSet<Scheme>,
}

impl<'a> Reader<'a> {
    pub(super) fn of(batch: &'a Batch) -> Self {
        let schemes = batch.parts.iter().filter_map(|part| match part {
            Part::Sealed(part) => Some(part.scheme),
            Part::Open(_) | Part::Unknown(_) => None,
        });
        let schemes = schemes.collect();
        Self { batch, schemes }
    }

    /// What the batch says of a notification. One of its identifiers tells: the others stand and
    /// fall with it.
    pub(super) fn look_up(
        &self,
        tx: &WriteTransaction,
        scheme: Scheme,
        unit: &[u8],
    ) -> Result<Option<Payload>, StoreError> {
        if !self.schemes.contains(&scheme) {
            return Ok(None);
        }
        let Some((identifier, day)) = scheme::first(scheme, unit) else {
            return Ok(None);
        };
        let hash = IdHash::of(scheme, &self.batch.salt, day, &identifier);
        for (position, part) in self.batch.parts.iter().enumerate() {
            let Part::Sealed(part) = part else { continue };
            let place = self.batch.place(position).map_err(damaged)?;
            if part.scheme != scheme || !place.holds(&hash.tag()) {
                continue;
            }
            let shape = Shape::of(part.ids).map_err(damaged)?;
            let index = Index::decode(&block(tx, &part.index)?, &shape).map_err(damaged)?;
            let number = hash.tag().chunk(place.parts, shape.chunks());
            let cid = index.cid(number).ok_or_else(|| damaged("no such chunk"))?;
            let chunk = block(tx, &cid)?;
            let chunk = Chunk::decode(&chunk, &shape, place, number).map_err(damaged)?;
            return chunk.open(&hash).transpose().map_err(damaged);
        }
        Ok(None)
    }
}

pub(in crate::store) fn block(tx: &WriteTransaction, cid: &Cid) -> Result<Vec<u8>, StoreError> {
    let blocks = tx.open_table(BLOCKS)?;
    let bytes = blocks.get(cid.to_bytes().as_slice())?;
    let bytes = bytes.map(|bytes| bytes.value().to_vec());
    bytes.ok_or_else(|| damaged(format!("block {cid} is missing")))
}

fn damaged(error: impl std::fmt::Display) -> StoreError {
    StoreError::Row {
        error: format!("a sealed part of this provider: {error}"),
    }
}
