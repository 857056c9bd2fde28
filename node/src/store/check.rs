//! Every fault of the store that reading it whole can find.

use bellwether_formats::cid::Cid;
use bellwether_formats::descriptor::Descriptor;
use bellwether_formats::id::{FeedId, RecordId};
use bellwether_formats::scheme::record_id;
use bellwether_formats::signed::Signed;
use redb::{ReadTransaction, ReadableTable};

use super::notes::{Waits, split_note_key};
use super::rows::{BatchRow, NoteRow, PreparedRow, batches_of, note_key, parse_feed, pending_key};
use super::{
    BATCHES, BLOCKS, CODES, DESCRIPTORS, FORKS, HEADS, NOTES, NOTES_OF_CODE, PENDING, PREPARED,
    Store, StoreError, count, feed, get, prefix_end, ranges, row, sealed, staged,
};

impl Store {
    /// Every fault of the store that can be seen by reading it whole: a head without its batch, a
    /// chain with a hole, a batch without a block, a notification that waits and is not in the
    /// list of those that do. For `check`; empty when all is well.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the disk fails. A damaged row is a fault, not an error.
    pub fn faults(&self) -> Result<Vec<String>, StoreError> {
        let tx = self.read()?;
        let mut faults = Vec::new();
        for check in [
            feeds,
            strays,
            descriptors,
            forks,
            notes,
            pending,
            codes,
            prepared,
            count::names,
            count::blocks,
            count::checks,
            ranges::check,
            staged::check,
        ] {
            match check(&tx, &mut faults) {
                Err(error @ (StoreError::Row { .. } | StoreError::Object(_))) => {
                    faults.push(error.to_string());
                }
                other => other?,
            }
        }
        Ok(faults)
    }
}

type Faults = Vec<String>;

/// Each feed has its head, and what is kept of it is a chain with all its blocks.
fn feeds(tx: &ReadTransaction, faults: &mut Faults) -> Result<(), StoreError> {
    for entry in tx.open_table(HEADS)?.iter()? {
        let (key, seq) = entry?;
        let feed = parse_feed(key.value())?;
        let head = feed::u64_of(seq.value())?;
        let prefix = batches_of(&feed);
        let end = prefix_end(&prefix);
        let mut before: Option<BatchRow> = None;
        for entry in tx
            .open_table(BATCHES)?
            .range(prefix.as_slice()..end.as_slice())?
        {
            let row: BatchRow = row(entry?.1.value())?;
            faults.extend(batch_faults(tx, &feed, before.as_ref(), &row)?);
            before = Some(row);
        }
        match before.map(|row| row.seq) {
            None => faults.push(format!("{feed}: the head, batch {head}, is missing")),
            Some(last) if last != head => {
                faults.push(format!(
                    "{feed}: the head is {head}, the newest batch is {last}"
                ));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn batch_faults(
    tx: &ReadTransaction,
    feed: &FeedId,
    before: Option<&BatchRow>,
    row: &BatchRow,
) -> Result<Faults, StoreError> {
    let name = format!("{feed} batch {}", row.seq);
    let Some(envelope) = get(tx, BLOCKS, &row.cid()?.to_bytes())? else {
        return Ok(vec![format!("{name}: the envelope is missing")]);
    };
    let batch = match Signed::open(&envelope) {
        Ok(batch) => batch,
        Err(error) => return Ok(vec![format!("{name}: {error}")]),
    };
    let mut faults = Vec::new();
    if !row.tells(&batch) || batch.feed() != *feed {
        faults.push(format!(
            "{name}: the row does not say what the envelope says"
        ));
    }
    let follows = before.map(|before| feed::head_of(before).check_next(&batch));
    if let Some(Err(error)) = follows {
        faults.push(format!("{name}: {error}"));
    }
    for cid in batch.links().into_iter().chain([batch.desc]) {
        faults.extend(block_fault(tx, &name, &cid)?);
    }
    for part in row.sealed() {
        if let Some(cid) = part.proof()? {
            faults.extend(block_fault(tx, &name, &cid)?);
        }
        if !part.chunks {
            continue;
        }
        let index = get(tx, BLOCKS, &part.index()?.to_bytes())?;
        match index.and_then(|index| sealed::chunks(part.ids, &index)) {
            Some(chunks) => {
                for cid in chunks {
                    faults.extend(block_fault(tx, &name, &cid)?);
                }
            }
            None => faults.push(format!("{name}: an index block is no longer one")),
        }
    }
    Ok(faults)
}

fn block_fault(tx: &ReadTransaction, name: &str, cid: &Cid) -> Result<Option<String>, StoreError> {
    Ok(match get(tx, BLOCKS, &cid.to_bytes())? {
        Some(bytes) if Cid::of(cid.codec(), &bytes) == *cid => None,
        Some(_) => Some(format!("{name}: block {cid} is damaged")),
        None => Some(format!("{name}: block {cid} is missing")),
    })
}

/// No batch is outside the feeds that have a head.
fn strays(tx: &ReadTransaction, faults: &mut Faults) -> Result<(), StoreError> {
    for entry in tx.open_table(BATCHES)?.iter()? {
        let (key, value) = entry?;
        let row: BatchRow = row(value.value())?;
        let feed = key.value().split_last_chunk::<8>().and_then(|(feed, seq)| {
            let numbered = u64::from_be_bytes(*seq) == row.seq;
            numbered.then_some(feed)?.strip_suffix(&[0])
        });
        let Some(feed) = feed else {
            faults.push(format!("batch {} stands under another number", row.seq));
            continue;
        };
        if get(tx, HEADS, feed)?.is_none() {
            faults.push(format!("batch {} is in a feed without a head", row.seq));
        }
    }
    Ok(())
}

/// Each provider's descriptor is there and the provider's own.
fn descriptors(tx: &ReadTransaction, faults: &mut Faults) -> Result<(), StoreError> {
    for entry in tx.open_table(DESCRIPTORS)?.iter()? {
        let (provider, cid) = entry?;
        let Some(envelope) = get(tx, BLOCKS, cid.value())? else {
            faults.push("a current descriptor is missing".to_owned());
            continue;
        };
        match Signed::<Descriptor>::open(&envelope) {
            Ok(descriptor) if descriptor.provider.as_bytes() == provider.value() => {}
            Ok(descriptor) => faults.push(format!(
                "the descriptor of {} is kept as another provider's",
                descriptor.provider
            )),
            Err(error) => faults.push(format!("a current descriptor: {error}")),
        }
    }
    Ok(())
}

/// Each proof of a fork is there, both halves.
fn forks(tx: &ReadTransaction, faults: &mut Faults) -> Result<(), StoreError> {
    for entry in tx.open_table(FORKS)?.iter()? {
        let (feed, cids) = entry?;
        let feed = parse_feed(feed.value())?;
        for cid in cids.value().chunks(Cid::LEN) {
            let cid = Cid::from_bytes(cid).map_err(|error| StoreError::Row {
                error: format!("{feed}: the proof of a fork: {error}"),
            })?;
            faults.extend(block_fault(tx, &format!("{feed}: proof of a fork"), &cid)?);
        }
    }
    Ok(())
}

/// A note that waits is in the list of those that do, and no other.
fn notes(tx: &ReadTransaction, faults: &mut Faults) -> Result<(), StoreError> {
    for entry in tx.open_table(NOTES)?.iter()? {
        let (key, value) = entry?;
        let note: NoteRow = row(value.value())?;
        let (record, zone) = split_note_key(key.value())?;
        if record_id(note.scheme(), &note.unit) != record {
            faults.push(format!("{zone}: a notification is kept under another id"));
        }
        let listed = get(tx, PENDING, &pending_key(zone, &record))?;
        let waits = listed.as_deref().map(Waits::decode).transpose()?;
        if waits == Some(Waits::Revision) && note.revises().is_none() {
            faults.push(format!(
                "{zone}: a notification waits for a revision that does not speak of it"
            ));
        }
        match (note.is_pending(), listed.is_some()) {
            (true, false) => faults.push(format!("{zone}: a notification waits for no batch")),
            (false, true) => {
                faults.push(format!("{zone}: a notification waits though all was said"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What waits is there.
fn pending(tx: &ReadTransaction, faults: &mut Faults) -> Result<(), StoreError> {
    for entry in tx.open_table(PENDING)?.iter()? {
        let (key, _) = entry?;
        let parts = key.value().split_last_chunk();
        let parts = parts.and_then(|(zone, record)| {
            let zone = str::from_utf8(zone.strip_suffix(&[0])?).ok()?;
            Some((zone, RecordId::from_bytes(*record)))
        });
        let (zone, record) = parts.ok_or_else(|| StoreError::Row {
            error: "a pending key".to_owned(),
        })?;
        if get(tx, NOTES, &note_key(&record, zone))?.is_none() {
            faults.push(format!("{zone}: a notification that waits is missing"));
        }
    }
    Ok(())
}

/// What was admitted was admitted by a code that is there.
fn codes(tx: &ReadTransaction, faults: &mut Faults) -> Result<(), StoreError> {
    for entry in tx.open_table(NOTES_OF_CODE)?.iter()? {
        let (key, _) = entry?;
        let code = key.value().split_at_checked(32).map(|(code, _)| code);
        let code = code.unwrap_or_default();
        if get(tx, CODES, code)?.is_none() {
            faults.push("a notification was admitted by a code that is missing".to_owned());
        }
    }
    Ok(())
}

/// What is prepared can be read, and names a descriptor that is there.
fn prepared(tx: &ReadTransaction, faults: &mut Faults) -> Result<(), StoreError> {
    for entry in tx.open_table(PREPARED)?.iter()? {
        let prepared: PreparedRow = row(entry?.1.value())?;
        let batch = prepared.batch()?;
        let name = format!("{}: prepared batch {}", batch.feed(), batch.seq);
        faults.extend(block_fault(tx, &name, &batch.desc)?);
    }
    Ok(())
}
