//! Drops what an anchor disowns: the newest batches of a feed go, and of a feed of this node's own what they
//! published is pending again, as if they had never been. Source: spec §1.5, §4.7.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_formats::batch::{Batch, Part};
use bellwether_formats::body::open::OpenBody;
use bellwether_formats::descriptor::{Anchor, Descriptor};
use bellwether_formats::id::{FeedId, Level, ObjectId, RecordId, Zone};
use bellwether_formats::scheme::record_id;
use bellwether_formats::signed::Signed;
use redb::{ReadableTable, WriteTransaction};

use super::blocks::Shelf;
use super::notes::{put_note, split_note_key};
use super::rows::{
    BatchRow, Mode, NoteRow, PreparedRow, RangeRow, batch_key, batches_of, first_key, pending_key,
    zone_prefix,
};
use super::{
    BATCHES, BLOCKS, NOTES, NOTES_OF_BATCH, PENDING, PREPARED, RANGES, Store, StoreError,
    prefix_end, ranges, replicate, row, settle, staged, to_row,
};

/// Reach of an anchor: a head of a lower epoch, with this number or a higher one, that is not
/// the anchored batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Disowning {
    /// The anchor's epoch.
    pub epoch: u64,
    /// Number of the batch that stays with its ancestors, if it is this one.
    pub seq: u64,
    /// Its id.
    pub id: ObjectId,
    /// Tells whether this node publishes the feed: then its notifications have to know.
    pub own: bool,
}

impl Disowning {
    /// Content that an anchor disowns of a feed of this node's own.
    pub const fn of_own(anchor: &Anchor) -> Self {
        Self {
            epoch: anchor.epoch,
            seq: anchor.seq,
            id: anchor.id,
            own: true,
        }
    }
}

/// Content that went.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Disowned {
    /// The feed's zone.
    pub zone: Zone,
    /// Number of the first batch that went.
    pub from: u64,
    /// Number of batches that went.
    pub batches: u64,
    /// Number of notifications, dummies included, that are to be published again.
    pub again: u64,
}

impl Store {
    /// Takes a descriptor of this node's own provider, and what its anchors disown with it: one
    /// transaction.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; then nothing has changed. So for all that follows.
    pub fn take_descriptor(
        &self,
        descriptor: &Signed<Descriptor>,
        own: &[FeedId],
    ) -> Result<Vec<Disowned>, StoreError> {
        let tx = self.write()?;
        replicate::put_descriptor_in(&tx, descriptor)?;
        let mut disowned = Vec::new();
        for feed in own {
            if let Some(anchor) = descriptor.anchor(&feed.zone)
                && let Some(gone) = disown(&tx, feed, Disowning::of_own(anchor))?
            {
                disowned.push(gone);
            }
        }
        tx.commit()?;
        Ok(disowned)
    }

    /// Lets the anchors of the descriptors held act on this node's own feeds: a relay may have brought
    /// one, or a crash come in between.
    pub fn settle_anchors(&self, own: &[FeedId]) -> Result<Vec<Disowned>, StoreError> {
        let mut disowned = Vec::new();
        for feed in own {
            let descriptor = self.descriptor(&feed.provider)?;
            let anchor = descriptor.as_ref().and_then(|held| held.anchor(&feed.zone));
            let head = self.head(feed)?;
            if let (Some(anchor), Some(head)) = (anchor, head)
                && anchor.opposes(&head.head)
                && let Some(gone) = self.disown(feed, Disowning::of_own(anchor))?
            {
                disowned.push(gone);
            }
        }
        Ok(disowned)
    }

    /// Drops what an anchor disowns of a feed: the batches after the anchored one where that is kept,
    /// else all that follow its number, and all if another batch stands there. Proofs of equivocation
    /// go with them. Gives what went, if anything.
    pub fn disown(&self, feed: &FeedId, what: Disowning) -> Result<Option<Disowned>, StoreError> {
        let tx = self.write()?;
        let gone = disown(&tx, feed, what)?;
        tx.commit()?;
        Ok(gone)
    }
}

fn disown(
    tx: &WriteTransaction,
    feed: &FeedId,
    what: Disowning,
) -> Result<Option<Disowned>, StoreError> {
    let Some(head) = replicate::head_in(tx, feed)? else {
        return Ok(None);
    };
    if head.epoch >= what.epoch || head.id() == what.id || head.seq < what.seq {
        return Ok(None);
    }
    let anchored = replicate::row_in(tx, feed, what.seq)?;
    let other = match anchored {
        Some(row) => row.id() != what.id,
        None => what.seq == 0 && what.id != Anchor::BEGINNING,
    };
    let keep = if other { 0 } else { what.seq };
    let rows = rows_after(tx, feed, keep)?;
    let first = rows.first().map_or(head.seq, |row| row.seq);
    let from = if other { first } else { keep.saturating_add(1) };
    let mut again = 0;
    if what.own {
        drop_prepared(tx, &feed.zone)?;
        let said = Said::of(tx, &rows)?;
        again = say_again(tx, &feed.zone, from, &said)?;
        forget_ranges(tx, feed, from, &said)?;
        settle::forget_after(tx, feed, from.saturating_sub(1))?;
    }
    replicate::truncate_in(tx, feed, keep)?;
    Ok(Some(Disowned {
        zone: feed.zone.clone(),
        from,
        batches: u64::try_from(rows.len()).unwrap_or(u64::MAX),
        again,
    }))
}

/// The batches of a feed after number `seq`.
fn rows_after(tx: &WriteTransaction, feed: &FeedId, seq: u64) -> Result<Vec<BatchRow>, StoreError> {
    let first = batch_key(feed, seq.saturating_add(1));
    let end = prefix_end(&batches_of(feed));
    let batches = tx.open_table(BATCHES)?;
    let rows = batches.range(first.as_slice()..end.as_slice())?;
    rows.map(|entry| row(entry?.1.value())).collect()
}

fn read(tx: &WriteTransaction, row: &BatchRow) -> Result<Signed<Batch>, StoreError> {
    Ok(Signed::open(&settle::block(tx, &row.cid()?)?)?)
}

/// Drops what is prepared, signed or not: it follows a batch that is disowned.
fn drop_prepared(tx: &WriteTransaction, zone: &Zone) -> Result<(), StoreError> {
    {
        let mut table = tx.open_table(PREPARED)?;
        if let Some(bytes) = table.remove(zone.as_str().as_bytes())? {
            let prepared: PreparedRow = row(bytes.value())?;
            Shelf::open(tx)?.unname(&prepared.batch()?.desc.to_bytes())?;
        }
    }
    staged::clear(tx, zone)
}

/// Claims of disowned batches.
struct Said {
    /// Time when the first of them was published, in seconds of UTC.
    since: u64,
    /// In open parts.
    open: BTreeSet<RecordId>,
    /// Batches that were revised.
    revised: BTreeSet<u64>,
}

impl Said {
    fn of(tx: &WriteTransaction, rows: &[BatchRow]) -> Result<Self, StoreError> {
        let mut said = Self {
            since: rows.first().map_or(u64::MAX, |row| row.published_at),
            open: BTreeSet::new(),
            revised: BTreeSet::new(),
        };
        for row in rows {
            let batch = read(tx, row)?;
            said.revised.extend(
                batch
                    .covers
                    .filter(|(first, last)| first == last)
                    .map(|(batch, _)| batch),
            );
            for part in &batch.parts {
                let Part::Open(part) = part else { continue };
                let bytes = tx.open_table(BLOCKS)?;
                let bytes = bytes.get(part.body.cid.to_bytes().as_slice())?;
                let bytes = bytes
                    .map(|bytes| bytes.value().to_vec())
                    .unwrap_or_default();
                match OpenBody::decode(part.scheme, &bytes) {
                    Ok(body) => said
                        .open
                        .extend(body.units().map(|(_, unit)| record_id(part.scheme, unit))),
                    // One that came back from a relay may be broken; there is nothing to learn from it.
                    Err(error) => {
                        tracing::error!(%error, seq = row.seq, "a disowned body cannot be read");
                    }
                }
            }
        }
        Ok(said)
    }
}

/// Disposition of a notification.
enum Becomes {
    /// It was published in a disowned batch first: it never was.
    New(Box<NoteRow>),
    /// A disowned batch said its level: the next one, or a revision, says it again.
    Again(Box<NoteRow>),
    /// It came back from a relay with a disowned batch, and nobody submitted it here.
    Gone,
}

/// Has the next batches say what the disowned ones, from number `from` on, had said. Gives of how many
/// notifications.
fn say_again(
    tx: &WriteTransaction,
    zone: &Zone,
    from: u64,
    said: &Said,
) -> Result<u64, StoreError> {
    let mut changes = Vec::new();
    for entry in tx.open_table(NOTES)?.iter()? {
        let (key, value) = entry?;
        let (record, of) = split_note_key(key.value())?;
        if of == zone.as_str() {
            let note: NoteRow = row(value.value())?;
            let before = note.batch;
            if let Some(becomes) = becomes(note, &record, from, said) {
                changes.push((key.value().to_vec(), record, before, becomes));
            }
        }
    }
    let mut again = 0;
    for (key, record, before, becomes) in changes {
        match becomes {
            Becomes::New(note) => {
                if let Some(before) = before {
                    let first = first_key(zone.as_str(), before, &record);
                    tx.open_table(NOTES_OF_BATCH)?.remove(first.as_slice())?;
                }
                again += 1;
                put_note(tx, &key, &note)?;
            }
            Becomes::Again(note) => {
                again += 1;
                put_note(tx, &key, &note)?;
            }
            Becomes::Gone => {
                tx.open_table(NOTES)?.remove(key.as_slice())?;
                let pending = pending_key(zone.as_str(), &record);
                tx.open_table(PENDING)?.remove(pending.as_slice())?;
            }
        }
    }
    Ok(again)
}

fn becomes(note: NoteRow, record: &RecordId, from: u64, said: &Said) -> Option<Becomes> {
    let published = note.published_level?;
    let in_open = said.open.contains(record);
    // A dummy made here knows its time, and no batch; one that came back knows neither.
    let padding = note.dummy && note.batch.is_none() && in_open;
    let made_here = note.published_at != 0;
    if padding && !made_here && note.observed_before >= said.since {
        return Some(Becomes::Gone);
    }
    let first = note.batch.is_some_and(|batch| batch >= from)
        || (padding && made_here && note.published_at >= said.since);
    if first {
        // Dummies too: whoever saw the disowned batch must not tell them from what is said again.
        let like_others = note.dummy && note.observed_before < note.published_at;
        let public_at = like_others
            .then_some(note.observed_before)
            .or(note.public_at);
        return Some(Becomes::New(Box::new(NoteRow {
            grade: note.grade_now(),
            next_grade: None,
            published_level: None,
            observed_before: 0,
            published_at: 0,
            batch: None,
            public_at,
            ..note
        })));
    }
    let revised = note.mode == Mode::Sealed
        && note
            .batch
            .is_some_and(|batch| said.revised.contains(&batch));
    if !in_open && !revised {
        return None;
    }
    // What the true chain says of it is not kept here: any level but that of now has it said again.
    let other = if Level(note.level).alerts() {
        Level::NO_ALERT
    } else {
        Level::DIAGNOSED
    };
    let level = if published == note.level {
        other.0
    } else {
        published
    };
    Some(Becomes::Again(Box::new(NoteRow {
        published_level: Some(level),
        ..note
    })))
}

/// Forgets the ranges that disowned batches published; of those that they published again the version
/// before counts.
fn forget_ranges(
    tx: &WriteTransaction,
    feed: &FeedId,
    from: u64,
    said: &Said,
) -> Result<(), StoreError> {
    let mut versions = None;
    let mut table = tx.open_table(RANGES)?;
    let prefix = zone_prefix(&feed.zone);
    let end = prefix_end(&prefix);
    let mut changes: Vec<(Vec<u8>, Option<RangeRow>)> = Vec::new();
    for entry in table.range(prefix.as_slice()..end.as_slice())? {
        let (key, value) = entry?;
        let range: RangeRow = row(value.value())?;
        let (first, last) = ranges::numbers(key.value())?;
        if last >= from || range.published_at >= said.since {
            changes.push((key.value().to_vec(), None));
        } else if range.seq >= from {
            let versions = match &versions {
                Some(versions) => versions,
                None => versions.insert(versions_before(tx, feed, from)?),
            };
            let of_itself = if first == last {
                first
            } else {
                last.saturating_add(1)
            };
            let seq = versions.get(&(first, last)).copied().unwrap_or(of_itself);
            changes.push((key.value().to_vec(), Some(RangeRow { seq, ..range })));
        }
    }
    for (key, range) in changes {
        match range {
            Some(range) => table.insert(key.as_slice(), to_row(&range).as_slice())?,
            None => table.remove(key.as_slice())?,
        };
    }
    Ok(())
}

/// The newest batch with the content of each range, among those before number `from`.
fn versions_before(
    tx: &WriteTransaction,
    feed: &FeedId,
    from: u64,
) -> Result<BTreeMap<(u64, u64), u64>, StoreError> {
    let mut versions = BTreeMap::new();
    for row in rows_after(tx, feed, 0)? {
        if row.seq >= from {
            break;
        }
        versions.insert(read(tx, &row)?.range(), row.seq);
    }
    Ok(versions)
}
