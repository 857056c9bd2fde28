//! Whether the sealed parts of kept batches are what they should be: their chunks keep the rules,
//! and the filter is that of the body. Source: spec §5.4, §9.5.
//!
//! Nothing waits for this, and nothing follows from it but a line in `status`: only clients can
//! judge what a provider says. One part is held in memory at a time.

use bellwether_formats::batch::{Batch, Part, SealedPart};
use bellwether_formats::cid::Cid;
use bellwether_formats::filter::{Filter, MIN_BITS};
use bellwether_formats::id::FeedId;
use bellwether_formats::sealed::{Index, Place, RebuildError, Shape, rebuild_filter};
use tokio_util::sync::CancellationToken;

use crate::store::{PartFault, SealedRow, Snapshot, Store, StoreError};

/// Checks the next batch that was not checked yet, if there is one.
pub(super) type Check = fn(&Store, &CancellationToken) -> Result<Option<Checked>, StoreError>;

/// A batch whose sealed parts were checked.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) feed: FeedId,
    pub(super) seq: u64,
    /// What is wrong with them.
    pub(super) faults: Vec<PartFault>,
}

/// Checks the next batch and notes in the store what was found. None if there is none, and if the
/// node stops meanwhile: then it is checked after the next start.
///
/// # Errors
///
/// [`StoreError`]
pub(super) fn next(store: &Store, stop: &CancellationToken) -> Result<Option<Checked>, StoreError> {
    let Some((feed, row)) = store.unchecked()? else {
        return Ok(None);
    };
    let mut faults = Vec::new();
    if let Some(batch) = store.batch(&row)? {
        for part in row.sealed() {
            if stop.is_cancelled() {
                return Ok(None);
            }
            if let Some(rule) = fault(&store.snapshot()?, &batch, part)? {
                let (part, rule) = (part.part, rule.to_owned());
                faults.push(PartFault { part, rule });
            }
        }
    }
    store.checked(&feed, &row, &faults)?;
    let seq = row.seq;
    Ok(Some(Checked { feed, seq, faults }))
}

/// The first rule that a part breaks, if it breaks one.
fn fault(
    snapshot: &Snapshot,
    batch: &Batch,
    part: &SealedRow,
) -> Result<Option<&'static str>, StoreError> {
    let Some(Part::Sealed(signed)) = batch.parts.get(part.part) else {
        return Ok(None);
    };
    let place = match batch.place(part.part) {
        Ok(place) => place,
        Err(error) => return Ok(Some(error.rule())),
    };
    let shape = match Shape::of(signed.ids) {
        Ok(shape) => shape,
        Err(error) => return Ok(Some(error.rule())),
    };
    let Some(index) = snapshot.bytes(&signed.index)? else {
        // Deleted meanwhile.
        return Ok(None);
    };
    match Index::decode(&index, &shape) {
        Err(_) => Ok(Some("index")),
        Ok(_) if !part.chunks => Ok(Some("chunk-size")),
        Ok(index) => compare(snapshot, signed, index.cids(), &shape, place),
    }
}

/// Makes the filter anew from the chunks, and compares.
fn compare(
    snapshot: &Snapshot,
    part: &SealedPart,
    chunks: &[Cid],
    shape: &Shape,
    place: Place,
) -> Result<Option<&'static str>, StoreError> {
    let Some(filter) = snapshot.bytes(&part.filter.cid)? else {
        return Ok(None);
    };
    let bits = match Filter::decode(&filter, part.ids, MIN_BITS) {
        Ok(filter) => filter.bits(),
        Err(error) => return Ok(Some(error.rule())),
    };
    let mut stopped = None;
    let bytes = chunks.iter().map_while(|cid| match snapshot.bytes(cid) {
        Ok(Some(bytes)) => Some(bytes),
        missing => {
            stopped = Some(missing);
            None
        }
    });
    let rebuilt = rebuild_filter(bytes, shape, place, bits);
    if let Some(missing) = stopped {
        // A chunk that this node lost is not the provider's fault; `check` tells of it.
        return missing.map(|_| None);
    }
    Ok(match rebuilt {
        Ok(rebuilt) if rebuilt == filter => None,
        Ok(_) | Err(RebuildError::Filter(_)) => Some("filter-mismatch"),
        Err(RebuildError::Chunk(error)) => Some(error.rule()),
        Err(_) => Some("entries"),
    })
}
