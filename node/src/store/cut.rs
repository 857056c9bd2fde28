//! Batches that were deleted for want of room, before their time: phones must find them elsewhere.

use bellwether_formats::id::FeedId;
use redb::WriteTransaction;
use serde::{Deserialize, Serialize};

use super::rows::feed_key;
use super::{CUTS, Store, StoreError, get, row, to_row};

/// The newest batch of a feed that was deleted for want of room.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// Its number.
    pub seq: u64,
    /// Time when it was published, in seconds of UTC.
    pub published_at: u64,
}

impl Cut {
    /// Time until when the batch is missed, in seconds of UTC: it would have been deleted for its age then.
    /// None if it is not missed any more, or is here again: `oldest` is the number of the oldest batch
    /// that is kept.
    pub fn missed_until(&self, oldest: Option<u64>, max_age_s: u64, now: u64) -> Option<u64> {
        let until = self.published_at.saturating_add(max_age_s);
        let missing = oldest.is_none_or(|oldest| oldest > self.seq);
        (missing && now < until).then_some(until)
    }
}

impl Store {
    /// The newest batch of a feed that was deleted for want of room.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn cut(&self, feed: &FeedId) -> Result<Option<Cut>, StoreError> {
        let value = get(&self.read()?, CUTS, &feed_key(feed))?;
        value.map(|value| row(&value)).transpose()
    }
}

/// Keeps what was cut from a feed last; `feed` is its key.
pub(super) fn keep(tx: &WriteTransaction, feed: &[u8], cut: Cut) -> Result<(), StoreError> {
    let mut cuts = tx.open_table(CUTS)?;
    cuts.insert(feed, to_row(&cut).as_slice())?;
    Ok(())
}
