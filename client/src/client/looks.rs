//! Looks at sealed parts: drawn, persisted, asked for, and what came of them. Source: spec §11.7.

use std::collections::BTreeSet;
use std::sync::Arc;

use bellwether_formats::batch::Batch;
use bellwether_formats::cid::{Block, Cid, Codec};
use bellwether_formats::descriptor::Gateway;
use bellwether_formats::id::FeedId;
use bellwether_formats::sealed::{Index, Shape};
use bellwether_formats::signed::Signed;

use super::Client;
use crate::confirm::{Confirm, Key, Operators, Record, Task, What};
use crate::error::ClientError;
use crate::observations::Observation;
use crate::sealed::Stage;
use crate::state::{Followed, State, Store, WholeBody};
use crate::sync::{Listing, Problem, Sync, parts};
use crate::trust::{Body, Feed, KnownBatch};

/// Most bytes of whole bodies kept for bundles (64 MiB): ten of the largest parts.
const MAX_KEPT_BYTES: usize = 64 * 1024 * 1024;

/// What may be: observations that a filter calls possible, and that no look confirmed. Nothing to
/// tell a user; most of it is chance.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Candidate {
    /// Whose filter, and of which zone.
    pub feed: FeedId,
    /// The observation.
    pub observation: Observation,
}

impl Client {
    /// Draws the looks that are due, persists them as drawn, and has the sync go on with them.
    ///
    /// # Errors
    ///
    /// [`ClientError::Random`], [`ClientError::State`]. Nothing was asked for then.
    pub fn draw(&mut self, sync: &mut Sync) -> Result<(), ClientError> {
        self.draw_by(sync, |bytes| getrandom::fill(bytes).is_ok())
    }

    /// [`draw`](Self::draw) with any source of randomness, which says whether it gave some.
    pub(super) fn draw_by(
        &mut self,
        sync: &mut Sync,
        mut source: impl FnMut(&mut [u8]) -> bool,
    ) -> Result<(), ClientError> {
        self.troubles.clear();
        let mut state = self.state.clone();
        let mut changed = self.catch_up(&mut state);
        let mut failed = false;
        let mut random = |bytes: &mut [u8]| failed |= !source(bytes);
        let mut tasks = Vec::new();
        let policy = state.policy;
        for followed in &mut state.followed {
            let gateways = Gateways::of(followed);
            for feed in &mut followed.feeds {
                let id = feed.id();
                let Some(listing) = sync.listing(&id) else {
                    continue;
                };
                for batch in feed.batches_mut() {
                    let operators = Arc::new(gateways.operators(listing, batch.seq));
                    for sealed in batch.sealed_mut() {
                        changed |= sealed.draw(sync.now(), policy, &operators, &mut random);
                    }
                    tasks.extend(self.tasks(&id, batch, &operators));
                }
            }
        }
        if failed {
            return Err(ClientError::Random);
        }
        if changed {
            self.store.save(&state)?;
            self.state = state;
        }
        sync.look(Confirm::new(tasks));
        Ok(())
    }

    /// What filters call possible and no look confirmed, as of the last sync or answer.
    pub fn candidates(&self) -> Vec<Candidate> {
        let feeds = self
            .state
            .followed
            .iter()
            .flat_map(|followed| &followed.feeds);
        let of = |feed: &Feed| {
            let id = feed.id();
            let candidate = |observation: &Observation| Candidate {
                feed: id.clone(),
                observation: *observation,
            };
            let parts = feed.possible();
            parts.map(candidate).collect::<Vec<_>>()
        };
        feeds.flat_map(of).collect()
    }

    /// What is to be asked for of a batch's parts.
    fn tasks(&self, feed: &FeedId, batch: &KnownBatch, operators: &Arc<Operators>) -> Vec<Task> {
        let mut tasks = Vec::new();
        for (part, known) in batch.parts.iter().enumerate() {
            let Body::Sealed(sealed) = &known.body else {
                continue;
            };
            if sealed.open_looks().next().is_none() {
                continue;
            }
            let shape = Shape::of(sealed.ids).ok();
            let block = self.store.block(&sealed.index);
            // One that is gone or damaged is fetched again by the next sync.
            let index = shape
                .zip(block)
                .and_then(|(shape, block)| Index::decode(block.bytes(), &shape).ok());
            if let Some(index) = index {
                let key = Key {
                    provider: feed.provider,
                    zone: feed.zone.clone(),
                    seq: batch.seq,
                    batch: batch.id,
                    part,
                };
                tasks.extend(Task::of(sealed, &key, &Arc::new(index), operators));
            }
        }
        tasks
    }
}

/// What is said of a provider's gateways, by whom.
struct Gateways {
    pinned: Vec<Gateway>,
    named: Vec<Gateway>,
}

impl Gateways {
    fn of(followed: &Followed) -> Self {
        let named = followed.descriptor.as_ref();
        Self {
            pinned: followed.pins.iter().map(Gateway::from).collect(),
            named: named.map_or_else(Vec::new, |held| held.gateways.clone()),
        }
    }

    /// Who can be asked for what batch `seq` names: those whose newest batch is not older. What
    /// the descriptor says of a gateway given by hand counts too: it may link operators.
    fn operators(&self, listing: &Listing, seq: u64) -> Operators {
        let parts = [&listing.known, &self.pinned, &self.named];
        let known: Vec<Gateway> = parts.into_iter().flatten().cloned().collect();
        Operators::with_pins(&self.pinned, &known, |gateway| {
            let head = listing.heads.get(&gateway.url);
            head.is_some_and(|head| *head >= seq)
        })
    }
}

/// Takes in what came of a look, or is about to; gives what is wrong with its chunks.
pub(super) fn apply(followed: &mut Followed, record: &Record) -> Vec<Problem> {
    let key = &record.key;
    let parts = followed
        .feeds
        .iter_mut()
        .flat_map(Feed::batches_mut)
        .filter(|known| known.id == key.batch)
        .filter_map(|known| known.parts.get_mut(key.part));
    let mut problems = Vec::new();
    for part in parts {
        let Body::Sealed(sealed) = &mut part.body else {
            continue;
        };
        let troubles = sealed.apply(record.which, &record.what).into_iter();
        problems.extend(troubles.map(|(rule, message)| Problem {
            gateway: None,
            provider: key.provider.to_string(),
            zone: Some(key.zone.to_string()),
            rule,
            message,
        }));
    }
    problems
}

/// Keeps a body that was fetched whole, within bounds: for bundles.
pub(super) fn keep_whole(
    followed: &Followed,
    record: &Record,
    kept: &mut Vec<WholeBody>,
    store: &Store,
) -> Result<(), ClientError> {
    let What::Verified(chunks) = &record.what else {
        return Ok(());
    };
    let part = followed
        .feeds
        .iter()
        .find_map(|feed| feed.batch(record.key.batch)?.parts.get(record.key.part));
    let Some(Body::Sealed(sealed)) = part.map(|part| &part.body) else {
        return Ok(());
    };
    let is_whole = sealed
        .shape()
        .is_ok_and(|shape| shape.chunks() == chunks.len());
    let is_kept = kept.iter().any(|whole| whole.index == sealed.index);
    if !is_whole || is_kept {
        return Ok(());
    }
    let mut in_order: Vec<&(usize, Vec<u8>)> = chunks.iter().collect();
    in_order.sort_by_key(|(number, _)| *number);
    let blocks = in_order
        .into_iter()
        .filter_map(|(_, bytes)| Block::of(Codec::Raw, bytes.clone()).ok());
    let blocks: Vec<Block> = blocks.collect();
    store.put(&blocks)?;
    kept.push(WholeBody::of(sealed.index, &blocks));
    while kept.iter().map(|whole| whole.bytes).sum::<usize>() > MAX_KEPT_BYTES {
        kept.remove(0);
    }
    Ok(())
}

/// Drops whole bodies of parts that are not kept any more.
pub(super) fn forget(state: &mut State) {
    let feeds = state.followed.iter().flat_map(|followed| &followed.feeds);
    let held = feeds
        .flat_map(Feed::sealed)
        .filter(|sealed| sealed.stage == Stage::Held);
    let held: BTreeSet<Cid> = held.map(|sealed| sealed.index).collect();
    state.whole.retain(|whole| held.contains(&whole.index));
}

/// Reads the parts that the version before this one took in and could not read.
pub(super) fn read_again(state: &mut State, store: &Store, now: u64) {
    let feeds = state
        .followed
        .iter_mut()
        .flat_map(|followed| &mut followed.feeds);
    for known in feeds.flat_map(Feed::batches_mut) {
        // Older versions took what is on no rung that they know for broken.
        for part in &mut known.parts {
            if matches!(&part.body, Body::Sealed(sealed) if sealed.shape().is_err()) {
                part.body = Body::Unread;
            }
        }
        if known.parts.iter().all(|part| part.body != Body::Unread) {
            continue;
        }
        let envelope = store.block(&known.cid);
        let batch = envelope.and_then(|block| Signed::<Batch>::open(block.bytes()).ok());
        if let Some(batch) = batch {
            parts::read_again(&batch, &mut known.parts, now);
        }
    }
}
