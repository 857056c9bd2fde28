//! The provider's two commits: a batch is prepared, then it is the head. Source: spec §4.7.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::repeat;

use bellwether_formats::batch::Batch;
use bellwether_formats::chain::Head;
use bellwether_formats::cid::{Block, Cid, Codec};
use bellwether_formats::descriptor::Anchor;
use bellwether_formats::id::{FeedId, RecordId, Zone};
use bellwether_formats::scheme;
use bellwether_formats::signed::Signed;
use redb::{ReadableTable, ReadableTableMetadata, WriteTransaction};

use super::notes::{NoteTables, Waits};
use super::rows::{
    BatchRow, Mode, NoteRow, OPEN_WEIGHT, PreparedRow, Statement, note_key, zone_prefix,
};
use super::{
    NOTES, PENDING, PREPARED, Store, StoreError, blocks, feed, prefix_end, ranges, replicate, row,
    settle, staged, to_row,
};

/// A batch as the batcher draws it up from what is pending.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The batch.
    pub batch: Batch,
    /// Its blocks, those aside that are [staged](Store::stage).
    pub blocks: Vec<Block>,
    /// What it says of each.
    pub says: Vec<(RecordId, Statement)>,
    /// The dummies that were made for it.
    pub dummies: Vec<NoteRow>,
}

/// Why a batch was not published.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum PublishError {
    #[error("another batch of the zone is prepared and not yet published")]
    Prepared,
    #[error("nothing is prepared in the zone, or something else than was signed")]
    NotPrepared,
    #[error("the index {cid} of the batch cannot be read")]
    Index { cid: Cid },
    #[error("the block {cid} of the batch is missing")]
    Missing { cid: Cid },
    #[error("batch {seq} does not follow the head: {rule}")]
    NotNext { seq: u64, rule: &'static str },
    #[error(transparent)]
    Store(#[from] StoreError),
}

macro_rules! through_store {
    ($($error:ident),*) => {$(
        impl From<redb::$error> for PublishError {
            fn from(error: redb::$error) -> Self {
                Self::Store(error.into())
            }
        }
    )*};
}
through_store!(CommitError, StorageError, TableError);

impl Store {
    /// What a zone's next batch must speak of at `now` (seconds of UTC), in the order of their record
    /// ids: at most as much as `max` notifications of CX weigh.
    /// Of what is said in revisions of earlier batches [`to_revise`](Self::to_revise) tells.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn pending_notes(
        &self,
        zone: &Zone,
        max: usize,
        now: u64,
    ) -> Result<Vec<(RecordId, NoteRow)>, StoreError> {
        let (max, mut weight) = (max_weight(max), 0_u64);
        let tx = self.read()?;
        let prefix = zone_prefix(zone);
        let end = prefix_end(&prefix);
        let notes = tx.open_table(NOTES)?;
        let mut pending = Vec::new();
        for entry in tx
            .open_table(PENDING)?
            .range(prefix.as_slice()..end.as_slice())?
        {
            let (key, waits) = entry?;
            let Some(more) = Waits::decode(waits.value())?.weight_at(now) else {
                continue;
            };
            weight = weight.saturating_add(more.into());
            if weight > max && !pending.is_empty() {
                break;
            }
            let record = key
                .value()
                .get(prefix.len()..)
                .and_then(|record| record.try_into().ok());
            let record = RecordId::from_bytes(record.ok_or_else(|| StoreError::Row {
                error: "a pending key".to_owned(),
            })?);
            if let Some(note) = notes.get(note_key(&record, zone.as_str()).as_slice())? {
                let note: NoteRow = row(note.value())?;
                if note.revises().is_none() {
                    pending.push((record, note));
                }
            }
        }
        Ok(pending)
    }

    /// Whether as much as `max` notifications of CX weigh, or more, waits for the zone's next batch of
    /// what is new at `now`, in seconds of UTC; what waits for a revision or a later time does not
    /// count. It costs nothing while few wait for either, and reads
    /// no note, so it may be asked after every report.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn is_pending(&self, zone: &Zone, max: usize, now: u64) -> Result<bool, StoreError> {
        let tx = self.read()?;
        let table = tx.open_table(PENDING)?;
        let max = max_weight(max);
        if table.len()?.saturating_mul(MOST_WEIGHT) < max {
            return Ok(false);
        }
        let prefix = zone_prefix(zone);
        let end = prefix_end(&prefix);
        let mut weight = 0_u64;
        for entry in table.range(prefix.as_slice()..end.as_slice())? {
            if weight >= max {
                break;
            }
            let waits = Waits::decode(entry?.1.value())?;
            weight = weight.saturating_add(waits.weight_at(now).unwrap_or_default().into());
        }
        Ok(weight >= max)
    }

    /// The batch that is prepared in a zone, to be signed as it stands.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn prepared(&self, zone: &Zone) -> Result<Option<PreparedRow>, StoreError> {
        let bytes = super::get(&self.read()?, PREPARED, zone.as_str().as_bytes())?;
        bytes.map(|bytes| row(&bytes)).transpose()
    }

    /// The zones in which a batch is prepared or something waits for one.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn waiting_zones(&self) -> Result<BTreeSet<Zone>, StoreError> {
        let tx = self.read()?;
        let mut names = Vec::new();
        for entry in tx.open_table(PREPARED)?.iter()? {
            names.push(entry?.0.value().to_vec());
        }
        let pending = tx.open_table(PENDING)?;
        let mut from = Vec::new();
        while let Some(entry) = pending.range(from.as_slice()..)?.next() {
            let key = entry?.0.value().to_vec();
            let end = key.iter().position(|byte| *byte == 0);
            let name = end.map_or(key.as_slice(), |end| key.get(..end).unwrap_or(&key));
            names.push(name.to_vec());
            // Past every row of this zone: a zone's rows lie side by side.
            from = name.to_vec();
            from.push(1);
        }
        let zone = |name: Vec<u8>| {
            let text = String::from_utf8_lossy(&name).into_owned();
            text.parse().map_err(|_| StoreError::Row {
                error: format!("`{text}` is no zone"),
            })
        };
        names.into_iter().map(zone).collect()
    }

    /// Keeps a batch that is drawn up, with its salt and blocks; nobody sees it yet.
    ///
    /// # Errors
    ///
    /// [`PublishError::Missing`] if a block is neither in the draft nor staged.
    /// [`PublishError::Prepared`] if the zone has one: its bytes may be signed already.
    /// [`PublishError::NotNext`] if it does not follow the head: it could never be published.
    pub fn prepare(&self, draft: &Draft) -> Result<PreparedRow, PublishError> {
        let mut prepared = PreparedRow {
            seq: draft.batch.seq,
            published_at: draft.batch.published_at,
            inner: bellwether_formats::signed::inner_bytes(&draft.batch),
            blocks: Vec::new(),
            says: Vec::new(),
            grades: Vec::new(),
            dummies: draft.dummies.clone(),
        };
        for (record, said) in &draft.says {
            prepared.says.push((*record.as_bytes(), said.level));
            prepared.grades.push(said.grade);
        }
        let tx = self.write()?;
        check_next(&tx, &draft.batch)?;
        {
            let mut table = tx.open_table(PREPARED)?;
            let zone = draft.batch.zone.as_str().as_bytes();
            if table.get(zone)?.is_some() {
                return Err(PublishError::Prepared);
            }
            table.insert(zone, to_row(&prepared).as_slice())?;
        }
        staged::put(&tx, &draft.batch.zone, &draft.blocks)?;
        staged::check_whole(&tx, &draft.batch)?;
        blocks::Shelf::open(&tx)?.name(&draft.batch.desc.to_bytes())?;
        tx.commit()?;
        Ok(prepared)
    }

    /// Drops what is prepared in a zone under number `seq`. Only for bytes that the signer never
    /// saw: what it signed has to be published.
    ///
    /// # Errors
    ///
    /// [`PublishError::NotPrepared`] if nothing, or another number, is prepared.
    pub fn discard(&self, zone: &Zone, seq: u64) -> Result<(), PublishError> {
        let tx = self.write()?;
        {
            let mut table = tx.open_table(PREPARED)?;
            let bytes = table.remove(zone.as_str().as_bytes())?;
            let found: PreparedRow = row(bytes.ok_or(PublishError::NotPrepared)?.value())?;
            if found.seq != seq {
                return Err(PublishError::NotPrepared);
            }
            blocks::Shelf::open(&tx)?.unname(&found.batch()?.desc.to_bytes())?;
        }
        staged::clear(&tx, zone)?;
        Ok(tx.commit()?)
    }

    /// Makes the prepared batch, now signed, the head of its feed: one transaction. If the batch
    /// is in the feed already (a relay gave it back), only the notes learn what it said.
    ///
    /// # Errors
    ///
    /// [`PublishError::NotPrepared`] if other bytes were prepared; [`PublishError::NotNext`] if
    /// the head has moved. Then nothing has changed.
    pub fn publish(&self, batch: &Signed<Batch>) -> Result<BatchRow, PublishError> {
        let tx = self.write()?;
        let zone = batch.zone.as_str().as_bytes();
        let bytes = tx
            .open_table(PREPARED)?
            .remove(zone)?
            .map(|value| value.value().to_vec());
        let prepared: PreparedRow = row(&bytes.ok_or(PublishError::NotPrepared)?)?;
        if prepared.inner != bellwether_formats::signed::inner_bytes::<Batch>(batch) {
            return Err(PublishError::NotPrepared);
        }
        blocks::Shelf::open(&tx)?.unname(&batch.desc.to_bytes())?;
        if let Some(kept) = replicate::row_in(&tx, &batch.feed(), batch.seq)?
            && kept.id() == batch.id()
        {
            say(&tx, batch, &prepared)?;
            staged::clear(&tx, &batch.zone)?;
            tx.commit()?;
            return Ok(kept);
        }
        check_next(&tx, batch)?;
        for block in &prepared.blocks {
            let block =
                Block::of(Codec::DagCbor, block.0.clone()).map_err(|error| StoreError::Row {
                    error: error.to_string(),
                })?;
            blocks::put(&tx, &block.cid().to_bytes(), block.bytes())?;
        }
        staged::publish(&tx, &batch.zone)?;
        let row = replicate::insert_batch(&tx, batch)?;
        say(&tx, batch, &prepared)?;
        tx.commit()?;
        Ok(row)
    }
}

/// The most that a notification weighs, in identifiers.
const MOST_WEIGHT: u64 = 4096;

/// What `max` notifications of CX weigh.
fn max_weight(max: usize) -> u64 {
    let max = u64::try_from(max).unwrap_or(u64::MAX);
    max.saturating_mul(OPEN_WEIGHT.into())
}

/// Compare-and-swap on the number: the batch follows the head that stands now.
fn check_next(tx: &WriteTransaction, batch: &Batch) -> Result<(), PublishError> {
    let feed: FeedId = batch.feed();
    let broken = match replicate::head_in(tx, &feed)? {
        Some(row) => {
            let head = feed::head_of(&row);
            if batch.seq != head.seq.saturating_add(1) {
                Some("seq")
            } else if batch.prev != Some(head.id) {
                Some("prev")
            } else {
                head.check_later(batch).err().map(|error| error.rule())
            }
        }
        None if follows_anchor(tx, batch)? => None,
        None => (batch.seq != 1).then_some("seq"),
    };
    match broken {
        Some(rule) => Err(PublishError::NotNext {
            seq: batch.seq,
            rule,
        }),
        None => Ok(()),
    }
}

/// The head that an anchor gives a feed of which nothing is kept: what follows it may be published.
pub fn base(anchor: &Anchor) -> Option<Head> {
    (anchor.seq > 0).then_some(Head {
        seq: anchor.seq,
        id: anchor.id,
        epoch: anchor.epoch,
        published_at: 0,
        next_by: 0,
    })
}

/// Tells whether a batch is the one after the anchor of a feed of which nothing is kept.
fn follows_anchor(tx: &WriteTransaction, batch: &Batch) -> Result<bool, StoreError> {
    let held = replicate::descriptor_in(tx, &batch.provider)?;
    let base = held.and_then(|held| base(held.anchor(&batch.zone)?));
    Ok(base.is_some_and(|base| {
        batch.seq == base.seq.saturating_add(1)
            && batch.prev == Some(base.id)
            && base.check_later(batch).is_ok()
    }))
}

/// What a batch said is published from now on, and its dummies are notes like any other.
fn say(tx: &WriteTransaction, batch: &Batch, prepared: &PreparedRow) -> Result<(), StoreError> {
    settle::mark_settled(tx, &batch.feed(), batch.seq)?;
    let mut new = BTreeMap::<u8, u64>::new();
    {
        let mut notes = NoteTables::open(tx)?;
        let grades = prepared.grades.iter().map(Some).chain(repeat(None));
        for ((record, level), grade) in prepared.says.iter().zip(grades) {
            let record = RecordId::from_bytes(*record);
            if let Some((scheme, ids)) = said(&mut notes, batch, record, *level, grade.copied())? {
                *new.entry(scheme).or_default() += u64::from(ids);
            }
        }
        for dummy in &prepared.dummies {
            let record = scheme::record_id(dummy.scheme(), &dummy.unit);
            notes.put(&note_key(&record, batch.zone.as_str()), dummy)?;
        }
    }
    ranges::put_range(tx, batch, new, false)
}

/// Notes what the batch said of a record; gives its scheme and how many identifiers it has, if it is
/// sealed and new. If its level or grade changed since the batch was drawn up, it stays pending.
fn said(
    notes: &mut NoteTables<'_>,
    batch: &Batch,
    record: RecordId,
    level: u8,
    grade: Option<Option<u8>>,
) -> Result<Option<(u8, u32)>, StoreError> {
    let key = note_key(&record, batch.zone.as_str());
    let Some(mut note) = notes.get(&key)? else {
        return Ok(None);
    };
    let new = note.published_level.is_none();
    if new {
        note.observed_before = note.observed_before_at(batch.published_at);
        note.published_at = batch.published_at;
        note.batch = Some(batch.seq);
    }
    note.published_level = Some(level);
    if let Some(grade) = grade {
        note.said_grade(grade);
    }
    notes.put(&key, &note)?;
    let sealed = new && note.mode == Mode::Sealed;
    Ok(sealed.then(|| (note.scheme, note.identifiers())))
}
