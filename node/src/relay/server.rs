//! Answers to peers' questions, from the store alone. Source: spec §9.3.

use std::collections::BTreeSet;

use bellwether_formats::cid::Cid;
use bellwether_formats::id::FeedId;

use crate::network::{
    MAX_BATCHES, MAX_BLOCKS, MAX_HEADS, MAX_LIST_BYTES, NoneReason, SyncRequest, SyncResponse,
};
use crate::store::{Store, StoreError};

/// Rows read at a time, so that a short answer needs no long list.
const ROWS: usize = 256;

/// Answers a question about the feeds in `feeds`. Blocks are answered whoever's they are: the store
/// keeps none but theirs.
///
/// # Errors
///
/// [`StoreError`] if the disk fails.
pub(crate) fn answer(
    store: &Store,
    feeds: &BTreeSet<FeedId>,
    request: &SyncRequest,
) -> Result<SyncResponse, StoreError> {
    let not_found = SyncResponse::None(NoneReason::NotFound);
    match request {
        SyncRequest::Heads(asked) => heads(store, feeds, asked),
        SyncRequest::After { feed, seq } if feeds.contains(feed) => after(store, feed, *seq),
        SyncRequest::After { .. } => Ok(not_found),
        SyncRequest::Block(cid) => Ok(store.block(cid)?.map_or(not_found, SyncResponse::Block)),
        SyncRequest::Blocks(cids) => blocks(store, cids),
        SyncRequest::Descriptor(provider) => {
            if !feeds.iter().any(|feed| feed.provider == *provider) {
                return Ok(not_found);
            }
            let descriptor = store.descriptor(provider)?;
            Ok(descriptor.map_or(not_found, |descriptor| {
                SyncResponse::Descriptor(descriptor.envelope().to_vec())
            }))
        }
    }
}

fn blocks(store: &Store, cids: &[Cid]) -> Result<SyncResponse, StoreError> {
    let snapshot = store.snapshot()?;
    let mut list = List::default();
    let most = usize::try_from(MAX_BLOCKS).unwrap_or(usize::MAX);
    for cid in cids.iter().take(most) {
        if let Some(bytes) = snapshot.bytes(cid)?
            && !list.add(bytes)
        {
            break;
        }
    }
    Ok(SyncResponse::Blocks(list.items))
}

fn heads(
    store: &Store,
    feeds: &BTreeSet<FeedId>,
    asked: &[FeedId],
) -> Result<SyncResponse, StoreError> {
    let mut list = List::default();
    let most = usize::try_from(MAX_HEADS).unwrap_or(usize::MAX);
    for feed in asked.iter().take(most).filter(|feed| feeds.contains(*feed)) {
        if let Some(head) = store.head(feed)?
            && let Some(envelope) = store.block(&head.row.cid()?)?
            && !list.add(envelope)
        {
            break;
        }
    }
    Ok(SyncResponse::Heads(list.items))
}

fn after(store: &Store, feed: &FeedId, seq: u64) -> Result<SyncResponse, StoreError> {
    let mut list = List::default();
    let mut last = seq;
    'all: loop {
        let rows = store.rows_after(feed, last, ROWS)?;
        let read = rows.len();
        for row in rows {
            let follows = list.items.is_empty() || row.seq == last.saturating_add(1);
            // What was deleted since the row was read ends the answer.
            let Some(envelope) = store.block(&row.cid()?)?.filter(|_| follows) else {
                break 'all;
            };
            last = row.seq;
            if !list.add(envelope) {
                break 'all;
            }
        }
        if read < ROWS {
            break;
        }
    }
    Ok(SyncResponse::Batches(list.items))
}

/// Envelopes, or blocks, up to the cut.
#[derive(Default)]
struct List {
    items: Vec<Vec<u8>>,
    bytes: usize,
}

impl List {
    /// Adds an item if it fits, or is the first; says whether more may.
    fn add(&mut self, item: Vec<u8>) -> bool {
        let most = usize::try_from(MAX_BATCHES).unwrap_or(usize::MAX);
        self.bytes += item.len();
        if !self.items.is_empty() && self.bytes > MAX_LIST_BYTES {
            return false;
        }
        self.items.push(item);
        self.items.len() < most
    }
}
