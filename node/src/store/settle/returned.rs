//! Sealed batches that came back: their seeds stay sealed, also those that the store never had.

use bellwether_formats::batch::Batch;
use bellwether_formats::id::FeedId;
use bellwether_formats::signed::Signed;
use redb::{ReadableTable, WriteTransaction};

use super::super::accept::SubmittedUnit;
use super::super::rows::{BatchRow, Mode, batch_key, batches_of};
use super::super::{BATCHES, META, StoreError, prefix_end, row};
use super::sealed::{Reader, block};

/// Before the keys of the batches that came back. There are none but after a restore.
const RETURNED: &[u8] = b"returned ";

/// Notes that a batch with sealed parts came back.
pub(super) fn note(tx: &WriteTransaction, feed: &FeedId, seq: u64) -> Result<(), StoreError> {
    let key = [RETURNED, &batch_key(feed, seq)].concat();
    tx.open_table(META)?.insert(key.as_slice(), [].as_slice())?;
    Ok(())
}

/// Forgets those of a feed after number `seq`.
pub(super) fn forget_after(
    tx: &WriteTransaction,
    feed: &FeedId,
    seq: u64,
) -> Result<(), StoreError> {
    let first = [RETURNED, &batch_key(feed, seq.saturating_add(1))].concat();
    let end = [RETURNED, &prefix_end(&batches_of(feed))].concat();
    let mut meta = tx.open_table(META)?;
    meta.retain_in(first.as_slice()..end.as_slice(), |_, _| false)?;
    Ok(())
}

/// The mode of a unit that this store accepts for the first time: sealed if its scheme always is, or
/// that of its zone. But a sealed
/// batch that came back may have it: then it was accepted before a restore, and an open copy would
/// unmask it in all zones. Source: spec §5.7.
pub(in crate::store) fn first_mode(
    tx: &WriteTransaction,
    unit: &SubmittedUnit,
) -> Result<Mode, StoreError> {
    let rules = unit.scheme.rules();
    let always = rules.is_some_and(|rules| rules.always_sealed());
    if always || (unit.mode == Mode::Open && is_sealed(tx, unit)?) {
        return Ok(Mode::Sealed);
    }
    Ok(unit.mode)
}

fn is_sealed(tx: &WriteTransaction, unit: &SubmittedUnit) -> Result<bool, StoreError> {
    for key in returned(tx)? {
        let Some(batch) = batch(tx, &key)? else {
            // Its time was over. Nothing tells any more what it had.
            let key = [RETURNED, &key].concat();
            tx.open_table(META)?.remove(key.as_slice())?;
            continue;
        };
        match Reader::of(&batch).look_up(tx, unit.scheme, &unit.unit) {
            Ok(None) => {}
            Ok(Some(_)) => return Ok(true),
            Err(error @ StoreError::Row { .. }) => {
                // A report must not be lost for it; and sealed gives nothing away.
                tracing::error!(%error, seq = batch.seq, "a batch that came back is not readable");
                return Ok(true);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// The keys of the batches that came back.
fn returned(tx: &WriteTransaction) -> Result<Vec<Vec<u8>>, StoreError> {
    let end = prefix_end(RETURNED);
    let meta = tx.open_table(META)?;
    let keys = meta.range(RETURNED..end.as_slice())?.map(|entry| {
        let (key, _) = entry?;
        let key = key.value().strip_prefix(RETURNED);
        Ok(key.unwrap_or_default().to_vec())
    });
    keys.collect()
}

/// A batch, if it is still kept.
fn batch(tx: &WriteTransaction, key: &[u8]) -> Result<Option<Signed<Batch>>, StoreError> {
    let found = tx
        .open_table(BATCHES)?
        .get(key)?
        .map(|value| row(value.value()));
    let Some(found): Option<BatchRow> = found.transpose()? else {
        return Ok(None);
    };
    Ok(Some(Signed::open(&block(tx, &found.cid()?)?)?))
}
