//! Believed batches on their way into the store: the first one's blocks, then the batch.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bellwether_formats::batch::Batch;
use bellwether_formats::chain::Head;
use bellwether_formats::cid::{Block, Cid};
use bellwether_formats::id::{FeedId, ObjectId};
use bellwether_formats::signed::Signed;

use super::feed::Feed;
use super::wire::{What, Wire, pause};
use super::{Job, MAX_FETCHES_OF_FEED, MAX_HELD_BYTES, MAX_TRIES, Moment, Note, Replicator};
use crate::network::PeerId;

/// Commits of one batch that may fail: blocks can be pruned between look-up and commit.
const MAX_COMMITS: u8 = 3;

/// What is being done with the first batch of a queue.
#[derive(Debug)]
pub(super) enum Front {
    Idle,
    /// The store is asked which blocks it lacks.
    Looking,
    /// Blocks are being fetched.
    Fetching(Fetching),
    /// The store is asked to keep it.
    Committing,
}

#[derive(Debug, Default)]
pub(super) struct Fetching {
    wanted: BTreeMap<Cid, Want>,
    got: Vec<Block>,
}

#[derive(Debug)]
struct Want {
    tries: u8,
    retry_at: Duration,
    asked: bool,
}

impl Front {
    pub(super) fn timeout(&self) -> Option<Duration> {
        let Self::Fetching(fetching) = self else {
            return None;
        };
        if fetching.open() >= MAX_FETCHES_OF_FEED {
            return None;
        }
        let idle = fetching.wanted.values().filter(|want| !want.asked);
        idle.map(|want| want.retry_at).min()
    }
}

impl Fetching {
    fn open(&self) -> usize {
        self.wanted.values().filter(|want| want.asked).count()
    }

    fn held(&self) -> usize {
        self.got.iter().map(|block| block.bytes().len()).sum()
    }

    /// Blocks to ask for now, each with how often it was asked for before.
    fn due(&self, now: Duration) -> Vec<(Cid, u8)> {
        let due = |want: &Want| !want.asked && want.retry_at <= now;
        let due = self.wanted.iter().filter(|(_, want)| due(want));
        let room = MAX_FETCHES_OF_FEED.saturating_sub(self.open());
        due.take(room)
            .map(|(cid, want)| (*cid, want.tries))
            .collect()
    }
}

impl Feed {
    /// Moves the first batch of the queue a step on.
    pub(super) fn advance_queue(&mut self, id: &FeedId, wire: &mut Wire) {
        if self.on_hold {
            return;
        }
        let Some(batch) = self.queue.front() else {
            return;
        };
        match &mut self.front {
            Front::Idle => {
                let links = batch.links().into_iter().chain([batch.desc]);
                let cids: BTreeSet<Cid> = links.collect();
                wire.job(Job::Lookup {
                    feed: id.clone(),
                    batch: batch.id(),
                    cids: cids.into_iter().collect(),
                });
                self.front = Front::Looking;
            }
            Front::Fetching(fetching) if fetching.wanted.is_empty() => {
                wire.job(Job::Commit {
                    batch: Box::new(batch.clone()),
                    blocks: std::mem::take(&mut fetching.got),
                });
                self.front = Front::Committing;
            }
            Front::Fetching(_) => self.fetch(id, wire),
            Front::Looking | Front::Committing => {}
        }
    }

    fn fetch(&mut self, id: &FeedId, wire: &mut Wire) {
        let Front::Fetching(fetching) = &mut self.front else {
            return;
        };
        let lost = |want: &Want| !want.asked && want.tries >= MAX_TRIES;
        if fetching.wanted.values().any(lost) {
            return self.give_up(id, "blocks", wire);
        }
        for (cid, tries) in fetching.due(wire.now.at) {
            if !wire.may_fetch() {
                return;
            }
            let peer = wire.choose(self.offers.iter(), &BTreeSet::new(), tries);
            let Some(want) = fetching.wanted.get_mut(&cid) else {
                continue;
            };
            want.tries += 1;
            match peer {
                Some(peer) => {
                    want.asked = true;
                    let feed = id.clone();
                    wire.ask(peer, What::Block { feed, cid });
                }
                None => want.retry_at = wire.now.at + pause(want.tries),
            }
        }
    }

    /// The store has said which blocks are missing.
    pub(super) fn lacks(&mut self, batch: ObjectId, cids: Vec<Cid>, now: Moment) {
        let first = self.queue.front().map(Signed::id);
        if first != Some(batch) || !matches!(self.front, Front::Looking) {
            return;
        }
        let want = || Want {
            tries: 0,
            retry_at: now.at,
            asked: false,
        };
        self.front = Front::Fetching(Fetching {
            wanted: cids.into_iter().map(|cid| (cid, want())).collect(),
            got: Vec::new(),
        });
    }

    /// A block has come, whose bytes hash to its name.
    pub(super) fn got(&mut self, block: Block, peer: PeerId, wire: &mut Wire) {
        let (Front::Fetching(fetching), Some(batch)) = (&mut self.front, self.queue.front()) else {
            return;
        };
        if fetching.wanted.remove(&block.cid()).is_none() {
            return;
        }
        if has_wrong_size(batch, &block) {
            // The signature is the provider's, so the size is its fault; only clients can judge.
            wire.stats.wrong_sizes += 1;
        }
        fetching.got.push(block);
        if fetching.held() > MAX_HELD_BYTES {
            wire.job(Job::Keep(std::mem::take(&mut fetching.got)));
        }
        self.offer(peer);
    }

    /// A block did not come: asked for again later, elsewhere.
    pub(super) fn block_failed(&mut self, cid: &Cid, now: Duration) {
        if let Front::Fetching(fetching) = &mut self.front
            && let Some(want) = fetching.wanted.get_mut(cid)
        {
            want.asked = false;
            want.retry_at = now + pause(want.tries.saturating_sub(1));
        }
    }

    /// The store's head is now `head`.
    fn stored(&mut self, id: &FeedId, head: Option<Head>, wire: &mut Wire) {
        self.on_hold = false;
        self.head = head;
        let committing = matches!(self.front, Front::Committing);
        let first = self.queue.front().map(Signed::id);
        if committing && first.is_some() && first == head.map(|head| head.id) {
            self.queue.pop_front();
            self.front = Front::Idle;
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
        self.front = Front::Idle;
        if let Some(chase) = &mut self.chase {
            chase.forget_run();
        }
        let Some(head) = self.head else {
            return;
        };
        let newer = |batch: &Signed<Batch>| batch.seq > head.seq;
        let queue: VecDeque<_> = self.queue.drain(..).filter(newer).collect();
        if queue
            .front()
            .is_some_and(|first| head.check_next(first).is_ok())
        {
            self.queue = queue;
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
        if feed.head.is_none_or(|head| head.seq < batch.seq) {
            feed.head = Some(Head::from(batch));
            feed.seen_at = Some(self.wire.now.utc);
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

/// Whether a block is a body of another size than its batch says.
fn has_wrong_size(batch: &Batch, block: &Block) -> bool {
    let len = u64::try_from(block.bytes().len()).unwrap_or(u64::MAX);
    let mut bodies = batch.open_bodies();
    bodies.any(|body| body.cid == block.cid() && body.size != len)
}
