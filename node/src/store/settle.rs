//! What relays gave back: after a restore, batches of this provider that the store did not publish
//! itself. Its notifications have to know, or they would be published twice.

use bellwether_formats::batch::Part;
use bellwether_formats::body::open::{OpenBody, Terms};
use bellwether_formats::id::{FeedId, ProviderId, Scheme};
use bellwether_formats::scheme;
use redb::{ReadableTable, WriteTransaction};

use super::rows::{BatchRow, Mode, NoteRow, feed_key, note_key, parse_feed};
use super::{
    BLOCKS, HEADS, META, NOTES, Store, StoreError, feed, modes, notes, prefix_end, ranges, row,
};

mod returned;
mod sealed;

pub(super) use returned::first_mode;
pub(super) use sealed::block;

impl Store {
    /// Reads the batches of a provider of this node's own that were kept without being published
    /// here, and notes what they say. Gives how many they were: none, but after a restore.
    ///
    /// Those of all zones at once: what one zone has published sealed, no other may publish open.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; then the batches that were not read are read the next time.
    pub fn settle(&self, provider: &ProviderId) -> Result<usize, StoreError> {
        let mut settled = 0;
        for feed in self.feeds_of(provider)? {
            settled += self.settle_feed(&feed)?;
        }
        Ok(settled)
    }

    /// The feeds of a provider that have a batch.
    fn feeds_of(&self, provider: &ProviderId) -> Result<Vec<FeedId>, StoreError> {
        let tx = self.read()?;
        let end = prefix_end(provider.as_bytes());
        let heads = tx.open_table(HEADS)?;
        let feeds = heads.range(provider.as_bytes().as_slice()..end.as_slice())?;
        feeds.map(|entry| parse_feed(entry?.0.value())).collect()
    }

    fn settle_feed(&self, feed: &FeedId) -> Result<usize, StoreError> {
        let known = super::get(&self.read()?, META, &settled_key(feed))?;
        let known = known.map(|seq| feed::u64_of(&seq)).transpose()?;
        let rows = self.rows_after(feed, known.unwrap_or_default(), usize::MAX)?;
        for row in &rows {
            self.settle_one(feed, row)?;
        }
        Ok(rows.len())
    }

    fn settle_one(&self, feed: &FeedId, row: &BatchRow) -> Result<(), StoreError> {
        let batch = self.batch(row)?;
        let tx = self.write()?;
        if let Some(batch) = &batch {
            let new = sealed::settle(&tx, batch)?;
            if batch
                .parts
                .iter()
                .any(|part| matches!(part, Part::Sealed(_)))
            {
                returned::note(&tx, feed, batch.seq)?;
            }
            ranges::put_range(&tx, batch, new, true)?;
        }
        for part in batch.iter().flat_map(|batch| &batch.parts) {
            let Part::Open(part) = part else { continue };
            let bytes = tx
                .open_table(BLOCKS)?
                .get(part.body.cid.to_bytes().as_slice())?
                .map(|bytes| bytes.value().to_vec());
            let body = OpenBody::decode(part.scheme, &bytes.unwrap_or_default());
            let body = body.map_err(|error| StoreError::Row {
                error: format!("{feed} batch {}: {error}", row.seq),
            })?;
            for (terms, unit) in body.units() {
                was_said(&tx, feed, row.seq, part.scheme, terms, unit)?;
            }
        }
        let seq = row.seq.to_be_bytes();
        tx.open_table(META)?
            .insert(settled_key(feed).as_slice(), seq.as_slice())?;
        Ok(tx.commit()?)
    }
}

/// Notes that batch `seq` was published here. After one that was not, [`Store::settle`] goes on.
pub(super) fn mark_settled(
    tx: &WriteTransaction,
    feed: &FeedId,
    seq: u64,
) -> Result<(), StoreError> {
    let mut meta = tx.open_table(META)?;
    let key = settled_key(feed);
    let known = meta
        .get(key.as_slice())?
        .map(|value| feed::u64_of(value.value()));
    if known.transpose()?.unwrap_or_default().saturating_add(1) == seq {
        meta.insert(key.as_slice(), seq.to_be_bytes().as_slice())?;
    }
    Ok(())
}

/// Notes that no batch after number `seq` was published here, nor came back.
pub(super) fn forget_after(
    tx: &WriteTransaction,
    feed: &FeedId,
    seq: u64,
) -> Result<(), StoreError> {
    {
        let mut meta = tx.open_table(META)?;
        let key = settled_key(feed);
        let known = meta
            .get(key.as_slice())?
            .map(|value| feed::u64_of(value.value()));
        if known.transpose()?.is_some_and(|known| known > seq) {
            meta.insert(key.as_slice(), seq.to_be_bytes().as_slice())?;
        }
    }
    returned::forget_after(tx, feed, seq)
}

fn settled_key(feed: &FeedId) -> Vec<u8> {
    [b"settled ".as_slice(), &feed_key(feed)].concat()
}

/// A notification was published with these terms. One that the store does not know was accepted
/// after the backup, or is a dummy: it is kept, so that it is not published as new ever again.
fn was_said(
    tx: &WriteTransaction,
    feed: &FeedId,
    seq: u64,
    scheme: Scheme,
    terms: Terms,
    unit: &[u8],
) -> Result<(), StoreError> {
    let record = scheme::record_id(scheme, unit);
    modes::was_mode(tx, &record, Mode::Open)?;
    let key = note_key(&record, feed.zone.as_str());
    let found = tx
        .open_table(NOTES)?
        .get(key.as_slice())?
        .map(|value| row(value.value()));
    let said = terms.level.0;
    let note = match found.transpose()? {
        None => NoteRow {
            scheme: scheme.0,
            unit: unit.to_vec(),
            level: said,
            issue: 0,
            accepted_at: terms.observed_before,
            published_level: Some(said),
            observed_before: terms.observed_before,
            published_at: 0,
            dummy: true,
            mode: Mode::Open,
            batch: None,
            grade: terms.grade,
            next_grade: None,
            publish_from: 0,
            public_at: None,
            owner: None,
        },
        Some(note) => {
            let mut note = with_level(note, seq, said);
            note.observed_before = terms.observed_before;
            note.said_grade(terms.grade);
            note
        }
    };
    notes::put_note(tx, &key, &note)
}

/// A note of which batch `seq` said a level. What was changed here since stays changed, and is
/// published again.
fn with_level(note: NoteRow, seq: u64, said: u8) -> NoteRow {
    let unchanged = note.published_level == Some(note.level);
    let new = note.published_level.is_none();
    NoteRow {
        level: if unchanged { said } else { note.level },
        published_level: Some(said),
        batch: if new { Some(seq) } else { note.batch },
        ..note
    }
}
