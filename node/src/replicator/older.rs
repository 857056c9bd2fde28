//! Batches below the oldest that is kept: a relay that joined late at a pruned peer, or that deleted
//! by a clock that was wrong, asks its peers for what its retention and its disk still allow.
//!
//! It goes backwards from the oldest batch that is kept, page by page. A page is believed if it ends
//! with the batch that the oldest one names before it: the chain authenticates it, whoever signed.
//! Then batch after batch goes into the store, newest first, each with all its blocks: a feed has no
//! holes. What is newer always goes first.
//!
//! Nothing is asked for ever: a peer that lacks them is asked once a round, and a round that found
//! nobody, nothing within the retention, or no room is followed by a long rest.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use bellwether_formats::batch::Batch;
use bellwether_formats::id::FeedId;
use bellwether_formats::signed::Signed;

use super::chase::is_run;
use super::feed::Feed;
use super::queue::{Front, Line, Step, said_bytes};
use super::wire::{What, Wire};
use super::{Job, MAX_QUEUE, Oldest, Replicator};
use crate::network::{MAX_LIST_BYTES, PeerId};

/// Feeds that are filled downwards at a time; each may hold [`MAX_QUEUE`] batches.
pub(super) const MAX_FILLING: usize = 4;

/// Time for which a peer that lacks them is not asked again; doubled with each round that brought nothing.
const REST: Duration = Duration::from_hours(1);

/// Most doublings of [`REST`] (16 hours).
const MAX_FRUITLESS: u32 = 4;

/// Time before the end of the retention in which nothing is looked for, in seconds (a day): there peers lack
/// what this node lacks, and an answer is half a megabyte of what it has.
const NEAR_S: u64 = 86_400;

/// Rest before a peer that has just come is asked: what is newer goes first.
const SETTLE: Duration = Duration::from_secs(5);

/// Rest while too much else is asked.
const BUSY: Duration = Duration::from_secs(1);

/// Fewest batches on a page: so many of the largest fit an answer.
const MIN_STEP: u64 = 64;

/// Most batches on a page.
const MAX_STEP: u64 = 1024;

/// Work under way on them.
#[derive(Debug)]
pub(super) struct Older {
    /// Batches on their way into the store, newest first.
    pub(super) line: Line,
    stage: Stage,
    /// Peers that lack them, or did not answer.
    skip: BTreeSet<PeerId>,
    /// Time when they are asked again.
    fresh_at: Duration,
    /// Times in a row that they were to be asked again and nothing had come.
    fruitless: u32,
    /// Batches on a page.
    step: u64,
    /// Bytes that there is room for.
    room: u64,
}

#[derive(Debug)]
enum Stage {
    /// Nothing until then.
    Resting(Duration),
    /// The store is asked where the feed begins.
    Looking,
    /// A peer is asked for the batches before this one.
    Asked(Oldest),
    /// Puts what came into the store.
    Filling,
}

impl Older {
    pub(super) const fn new() -> Self {
        Self {
            line: Line {
                queue: VecDeque::new(),
                front: Front::Idle,
                since: None,
            },
            stage: Stage::Resting(Duration::ZERO),
            skip: BTreeSet::new(),
            fresh_at: Duration::ZERO,
            fruitless: 0,
            step: MIN_STEP,
            room: 0,
        }
    }

    fn rest(&mut self, until: Duration) {
        self.line = Line::default();
        self.stage = Stage::Resting(until);
    }

    /// Begins a round, unless one is under way.
    fn begin(&mut self, now: Duration) {
        if self.fresh_at <= now {
            self.skip.clear();
            self.fresh_at = now + REST * 2_u32.pow(self.fruitless.min(MAX_FRUITLESS));
            self.fruitless = self.fruitless.saturating_add(1);
        }
        self.stage = Stage::Looking;
    }

    /// There is nothing more to be had in this round, but from a newcomer.
    fn end(&mut self) {
        self.rest(self.fresh_at);
    }

    /// The peer in turn cannot help: another one is looked for at once.
    fn pass(&mut self, peer: PeerId, now: Duration) {
        self.skip.insert(peer);
        self.rest(now);
    }

    /// Tells whether it takes one of the places of [`MAX_FILLING`].
    pub(super) const fn is_filling(&self) -> bool {
        !matches!(self.stage, Stage::Resting(_))
    }
}

impl Feed {
    /// Tells whether batches below the oldest may be looked for: nothing newer is under way, and what a
    /// provider lost of its own feed is another matter.
    fn may_fill(&self, wire: &Wire) -> bool {
        let idle = !self.is_busy() && !self.on_hold;
        idle && !self.own && self.head.is_some() && wire.has_peers()
    }

    /// Tells whether there is something to do about older batches.
    pub(super) fn fills(&self, wire: &Wire) -> bool {
        let due = match self.older.stage {
            Stage::Resting(until) => until <= wire.now.at,
            Stage::Filling => true,
            Stage::Looking | Stage::Asked(_) => false,
        };
        due && self.may_fill(wire)
    }

    /// Time when something is due about older batches, if it need not wait for an answer.
    pub(super) fn older_timeout(&self, room: bool, wire: &Wire) -> Option<Duration> {
        if !self.may_fill(wire) {
            return None;
        }
        match self.older.stage {
            Stage::Resting(until) => room.then_some(until),
            Stage::Filling if wire.may_fetch() => self.older.line.front.timeout(),
            Stage::Filling | Stage::Looking | Stage::Asked(_) => None,
        }
    }

    /// Moves a step on; `filling` counts the feeds that do.
    pub(super) fn advance_older(&mut self, id: &FeedId, filling: &mut usize, wire: &mut Wire) {
        if !self.fills(wire) {
            return;
        }
        match self.older.stage {
            Stage::Resting(_) if *filling < MAX_FILLING => {
                *filling += 1;
                self.older.begin(wire.now.at);
                wire.job(Job::Oldest(id.clone()));
            }
            Stage::Filling => self.fill(id, wire),
            _ => {}
        }
    }

    fn fill(&mut self, id: &FeedId, wire: &mut Wire) {
        let older = &mut self.older;
        let Some(batch) = older.line.queue.front() else {
            // All of the page is in the store: on to the one before.
            return older.rest(wire.now.at);
        };
        if said_bytes(batch) > older.room {
            return older.end();
        }
        match older.line.advance(id, &self.offers, wire) {
            Step::Done => {}
            Step::Commit {
                batch,
                blocks,
                broken,
            } => wire.job(Job::CommitOlder {
                batch,
                blocks,
                broken,
            }),
            Step::Lost => {
                wire.stats.fetch_failures += 1;
                older.end();
            }
        }
    }

    /// The store has said where the feed begins.
    fn begins(&mut self, id: &FeedId, oldest: Option<Oldest>, used: u64, wire: &mut Wire) {
        if !matches!(self.older.stage, Stage::Looking) {
            return;
        }
        let now = wire.now.at;
        // Below the cap by an eighth: what the cap would delete again is not fetched.
        let cap = wire.max_batch_bytes;
        self.older.room = (cap - cap / 8).saturating_sub(used);
        let from = wire.keep_from();
        let wanted =
            |oldest: &Oldest| oldest.seq > 1 && oldest.published_at > from.saturating_add(NEAR_S);
        let Some(oldest) = oldest.filter(wanted).filter(|_| self.older.room > 0) else {
            return self.older.end();
        };
        if !wire.may_fetch() {
            return self.older.rest(now + BUSY);
        }
        let Some(peer) = wire.choose(self.offers.iter(), &self.older.skip, 0) else {
            return self.older.end();
        };
        let from = (oldest.seq - 1).saturating_sub(self.older.step);
        self.older.stage = Stage::Asked(oldest);
        let feed = id.clone();
        wire.ask(peer, What::Older { feed, from });
    }

    /// A page has come, of batches that follow each other.
    fn page(&mut self, peer: PeerId, batches: Vec<Signed<Batch>>, wire: &Wire) {
        let Stage::Asked(oldest) = self.older.stage else {
            return;
        };
        let now = wire.now.at;
        let bytes: usize = batches.iter().map(|batch| batch.envelope().len()).sum();
        let count = batches.len();
        let mut page = batches;
        page.retain(|batch| batch.seq < oldest.seq);
        let Some(last) = page.last() else {
            return self.older.pass(peer, now);
        };
        if last.seq + 1 < oldest.seq && self.older.step > MIN_STEP {
            // The answer was cut before it was there: a shorter page.
            self.older.step = MIN_STEP;
            return self.older.rest(now);
        }
        if last.id() != oldest.prev {
            return self.older.pass(peer, now);
        }
        let fit = MAX_LIST_BYTES / bytes.checked_div(count).unwrap_or(1).max(1);
        self.older.step = u64::try_from(fit)
            .unwrap_or(MAX_STEP)
            .clamp(MIN_STEP, MAX_STEP);
        let from = wire.keep_from();
        let kept = page.into_iter().rev();
        let kept = kept.take_while(|batch| batch.published_at >= from);
        let queue: VecDeque<_> = kept.take(MAX_QUEUE).collect();
        if queue.is_empty() {
            return self.older.end();
        }
        self.older.line.queue = queue;
        self.older.stage = Stage::Filling;
    }

    /// The store has been asked to keep the first batch of the page.
    fn stored_older(&mut self, kept: bool, used: u64, wire: &mut Wire) {
        if !matches!(self.older.line.front, Front::Committing) {
            return;
        }
        if !kept {
            return self.older.end();
        }
        let cap = wire.max_batch_bytes;
        self.older.room = (cap - cap / 8).saturating_sub(used);
        self.older.line.next();
        self.older.fruitless = 0;
        wire.stats.filled += 1;
    }

    /// Forgets what is known of older batches: it may be wrong now.
    pub(super) fn forget_older(&mut self, now: Duration) {
        self.older.rest(now + SETTLE);
    }
}

impl Replicator {
    /// A peer is new: it may have what the others lack.
    pub(super) fn ask_newcomer(&mut self) {
        let soon = self.wire.now.at + SETTLE;
        for feed in self.feeds.values_mut() {
            if let Stage::Resting(until) = &mut feed.older.stage {
                *until = soon.min(*until);
            }
        }
    }

    pub(super) fn begins(&mut self, id: &FeedId, oldest: Option<Oldest>, used: u64) {
        if let Some(feed) = self.feeds.get_mut(id) {
            feed.begins(id, oldest, used, &mut self.wire);
        }
    }

    pub(super) fn stored_older(&mut self, id: &FeedId, kept: bool, used: u64) {
        if let Some(feed) = self.feeds.get_mut(id) {
            feed.stored_older(kept, used, &mut self.wire);
        }
    }

    /// Answers to [`What::Older`].
    pub(super) fn older(
        &mut self,
        peer: PeerId,
        id: &FeedId,
        from: u64,
        batches: Vec<Signed<Batch>>,
    ) {
        let good = is_run(id, from, &batches);
        if let Some(feed) = self.feeds.get_mut(id) {
            feed.page(peer, if good { batches } else { Vec::new() }, &self.wire);
        }
        if !good {
            self.wire
                .blame(peer, "batches that do not follow each other");
        }
    }

    /// The question was not answered.
    pub(super) fn older_failed(&mut self, peer: PeerId, id: &FeedId) {
        let now = self.wire.now.at;
        if let Some(feed) = self.feeds.get_mut(id)
            && matches!(feed.older.stage, Stage::Asked(_))
        {
            feed.older.pass(peer, now);
        }
    }
}
