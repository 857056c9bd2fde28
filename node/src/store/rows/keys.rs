//! How the keys of the tables are made.

use bellwether_formats::cid::Cid;
use bellwether_formats::id::{FeedId, ProviderId, RecordId, Zone};

use crate::store::StoreError;

pub(in crate::store) fn feed_key(feed: &FeedId) -> Vec<u8> {
    [feed.provider.as_bytes(), feed.zone.as_str().as_bytes()].concat()
}

pub(in crate::store) fn parse_feed(key: &[u8]) -> Result<FeedId, StoreError> {
    let damaged = || StoreError::Row {
        error: "a feed's key".to_owned(),
    };
    let (provider, zone) = key.split_first_chunk().ok_or_else(damaged)?;
    let zone = std::str::from_utf8(zone)
        .ok()
        .and_then(|zone| zone.parse().ok());
    Ok(FeedId {
        provider: ProviderId::from_bytes(*provider),
        zone: zone.ok_or_else(damaged)?,
    })
}

/// The prefix of a feed's batches. No zone has a zero byte, so no feed's prefix is another's.
pub(in crate::store) fn batches_of(feed: &FeedId) -> Vec<u8> {
    let mut key = feed_key(feed);
    key.push(0);
    key
}

pub(in crate::store) fn batch_key(feed: &FeedId, seq: u64) -> Vec<u8> {
    let mut key = batches_of(feed);
    key.extend_from_slice(&seq.to_be_bytes());
    key
}

pub(in crate::store) fn note_key(record: &RecordId, zone: &str) -> Vec<u8> {
    [record.as_bytes(), zone.as_bytes()].concat()
}

/// The prefix of a zone's rows in tables whose keys begin with `zone 0`.
pub(in crate::store) fn zone_prefix(zone: &Zone) -> Vec<u8> {
    let mut key = zone.as_str().as_bytes().to_vec();
    key.push(0);
    key
}

pub(in crate::store) fn pending_key(zone: &str, record: &RecordId) -> Vec<u8> {
    [zone.as_bytes(), &[0], record.as_bytes()].concat()
}

/// The key of a note among those of the batch that first published it.
pub(in crate::store) fn first_key(zone: &str, batch: u64, record: &RecordId) -> Vec<u8> {
    [
        zone.as_bytes(),
        &[0],
        &batch.to_be_bytes(),
        record.as_bytes(),
    ]
    .concat()
}

/// The key of a range.
pub(in crate::store) fn range_key(zone: &str, first: u64, last: u64) -> Vec<u8> {
    [
        zone.as_bytes(),
        &[0],
        &first.to_be_bytes(),
        &last.to_be_bytes(),
    ]
    .concat()
}

/// The key of a block of what is prepared in a zone.
pub(in crate::store) fn staged_key(zone: &Zone, cid: &Cid) -> Vec<u8> {
    [zone.as_str().as_bytes(), &[0], &cid.to_bytes()].concat()
}
