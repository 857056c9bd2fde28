//! Believed batches on their way into the store: the first one's blocks, then the batch.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bellwether_formats::batch::{Batch, Part};
use bellwether_formats::chain::Head;
use bellwether_formats::cid::{Block, Cid};
use bellwether_formats::id::FeedId;
use bellwether_formats::limit::MAX_BLOCK_BYTES;
use bellwether_formats::sealed::Shape;
use bellwether_formats::signed::Signed;

use super::feed::Feed;
use super::fetch::Fetching;
use super::wire::Wire;
use super::{Job, Note, Replicator};
use crate::network::PeerId;

/// Commits of one batch that may fail: blocks can be pruned between look-up and commit.
const MAX_COMMITS: u8 = 3;

/// Believed batches on their way into the store, each with its blocks, in this order.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) queue: VecDeque<Signed<Batch>>,
    /// Work under way on the first of them.
    pub(super) front: Front,
    /// Time when the fetch of its blocks began, in seconds of UTC, if it has.
    pub(super) since: Option<u64>,
}

/// What is being done with the first batch of a queue.
#[derive(Debug, Default)]
pub(super) enum Front {
    #[default]
    Idle,
    /// The store is asked which linked blocks it lacks.
    Looking,
    /// Blocks are being fetched.
    Fetching(Fetching),
    /// The store is asked to keep it.
    Committing,
}

/// Outcome of a step.
pub(super) enum Step {
    /// It is done, or there is something to wait for.
    Done,
    /// The first batch is to be kept, with its blocks and the parts whose chunks are no good.
    Commit {
        batch: Box<Signed<Batch>>,
        blocks: Vec<Block>,
        broken: BTreeMap<usize, Cid>,
    },
    /// Blocks of it are not to be had.
    Lost,
}

impl Line {
    /// Moves the first batch a step on.
    pub(super) fn advance(
        &mut self,
        id: &FeedId,
        offers: &VecDeque<PeerId>,
        wire: &mut Wire,
    ) -> Step {
        let Some(batch) = self.queue.front() else {
            return Step::Done;
        };
        match &mut self.front {
            Front::Idle => self.look_up(id, wire),
            Front::Fetching(fetching) if fetching.is_idle() => {
                if let Some(job) = fetching.next_part(id, batch) {
                    wire.job(job);
                    return Step::Done;
                }
                let (blocks, broken) = fetching.take();
                let batch = Box::new(batch.clone());
                self.front = Front::Committing;
                return Step::Commit {
                    batch,
                    blocks,
                    broken,
                };
            }
            Front::Fetching(_) => {
                if !self.fetch(id, offers, wire) {
                    return Step::Lost;
                }
            }
            Front::Looking | Front::Committing => {}
        }
        Step::Done
    }

    /// Asks the store which linked blocks of the first batch it lacks.
    fn look_up(&mut self, id: &FeedId, wire: &mut Wire) {
        let Some(batch) = self.queue.front() else {
            return;
        };
        let links = batch.links().into_iter().chain([batch.desc]);
        let cids: BTreeSet<Cid> = links.collect();
        wire.job(Job::Lookup {
            feed: id.clone(),
            batch: batch.id(),
            cids: cids.into_iter().collect(),
        });
        self.front = Front::Looking;
        self.since = Some(wire.now.utc);
    }

    /// Drops the first batch: it is in the store.
    pub(super) fn next(&mut self) {
        self.queue.pop_front();
        self.front = Front::Idle;
        self.since = None;
    }
}

impl Feed {
    /// Moves the first batch of the queue a step on, unless there can be no place for it.
    pub(super) fn advance_queue(&mut self, id: &FeedId, wire: &mut Wire) {
        if self.on_hold {
            return;
        }
        let Some(batch) = self.line.queue.front() else {
            return;
        };
        let (seq, bytes) = (batch.seq, said_bytes(batch));
        if bytes > wire.max_batch_bytes {
            if self.too_large.replace(seq) != Some(seq) {
                let feed = id.clone();
                wire.note(Note::TooLarge { feed, seq, bytes });
            }
            self.forget();
            return self.offers.clear();
        }
        match self.line.advance(id, &self.offers, wire) {
            Step::Done => {}
            Step::Commit {
                batch,
                blocks,
                broken,
            } => wire.job(Job::Commit {
                batch,
                blocks,
                broken,
            }),
            Step::Lost => self.give_up(id, "blocks", wire),
        }
    }

    /// The store's head is now `head`.
    fn stored(&mut self, id: &FeedId, head: Option<Head>, wire: &mut Wire) {
        self.on_hold = false;
        self.head = head;
        let seq = head.map_or(0, |head| head.seq);
        self.too_large = self.too_large.filter(|too_large| *too_large > seq);
        let committing = matches!(self.line.front, Front::Committing);
        let first = self.line.queue.front().map(Signed::id);
        if committing && first.is_some() && first == head.map(|head| head.id) {
            self.line.next();
            self.commits_failed = 0;
            self.gap_rounds = 0;
            wire.stats.committed += 1;
            return;
        }
        if committing {
            self.commits_failed += 1;
        }
        self.relink();
        if self.commits_failed >= MAX_COMMITS {
            self.give_up(id, "a batch that the store does not take", wire);
        }
    }

    /// Drops of the queue what no longer follows the head, after somebody else moved that.
    pub(super) fn relink(&mut self) {
        self.line.front = Front::Idle;
        self.line.since = None;
        if let Some(chase) = &mut self.chase {
            chase.forget_run();
        }
        let Some(head) = self.head else {
            return;
        };
        let newer = |batch: &Signed<Batch>| batch.seq > head.seq;
        let queue: VecDeque<_> = self.line.queue.drain(..).filter(newer).collect();
        if queue
            .front()
            .is_some_and(|first| head.check_next(first).is_ok())
        {
            self.line.queue = queue;
        }
        self.end_chase_if_done();
    }
}

impl Replicator {
    pub(super) fn stored(&mut self, id: &FeedId, head: Option<Head>) {
        if let Some(feed) = self.feeds.get_mut(id) {
            feed.stored(id, head, &mut self.wire);
        }
    }

    /// This node has published a batch: it is the head, whatever was under way.
    pub(super) fn published(&mut self, batch: &Signed<Batch>) {
        let Some(feed) = self.feeds.get_mut(&batch.feed()) else {
            return;
        };
        let new = Head::from(batch);
        if feed.head.is_none_or(|head| head.order() < new.order()) {
            feed.head = Some(new);
            feed.seen_at = Some(self.wire.now.utc);
            feed.await_peers(self.wire.now);
            feed.relink();
        }
    }

    pub(super) fn forked(&mut self, id: &FeedId) {
        if let Some(feed) = self.feeds.get_mut(id)
            && !feed.forked
        {
            feed.forked = true;
            self.wire.stats.forks += 1;
            let feed = id.clone();
            self.wire.note(Note::Forked { feed });
        }
    }
}

/// Bytes that a batch takes with all its blocks, by what it says of them. Those of which it does not
/// say the size count as the largest.
pub(super) fn said_bytes(batch: &Signed<Batch>) -> u64 {
    let wide = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
    let of_part = |part: &Part| match part {
        Part::Open(part) => part.body.size,
        Part::Sealed(part) => {
            let body = Shape::of(part.ids).map_or(0, |shape| shape.body_bytes());
            part.filter.size + wide(body)
        }
        Part::Unknown(_) => wide(part.links().len() * MAX_BLOCK_BYTES),
    };
    let parts: u64 = batch.parts.iter().map(of_part).sum();
    parts + wide(batch.envelope().len())
}
