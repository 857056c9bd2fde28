//! Which batches count, what to fetch from whom, when to retry, what to give up. Source: spec §4.3,
//! §9.3, §9.4.
//!
//! A machine without store, clock and randomness: what happened goes in with the time, what to do
//! comes out. `relay` drives it. Everything that goes in was verified: batches and descriptors are
//! [`Signed`], blocks hash to their names.
//!
//! * A batch of a carried feed that is vouched for and newer than what is known is passed on at
//!   once (*judge*), whether or not its ancestors and blocks are here.
//! * Ancestors that are missing are asked for with `after` (`chase`); what comes waits in a *run*
//!   until a batch that is vouched for descends from it, and is believed then.
//! * Believed batches wait in the feed's *queue*; the first one's blocks are fetched (`fetch`), the
//!   chunks of its sealed parts too, then it is committed with them (`queue`). So a feed in the
//!   store grows by whole batches, in order.
//! * Below the oldest batch that is kept, peers are asked for what is missing within the retention
//!   (`older`).
//! * A batch of one's own that no peer shows for three rounds is told (`shown`).
//! * Peers are asked for the heads of all feeds when they come, and again every minute (`wire`).
//!   That alone delivers everything; what is given up is found again by it.

mod chase;
mod descriptor;
mod feed;
mod fetch;
mod io;
mod judge;
mod older;
mod queue;
mod shown;
mod wire;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bellwether_formats::cid::Cid;
use bellwether_formats::descriptor::Descriptor;
use bellwether_formats::id::{FeedId, ProviderId};
use bellwether_formats::signed::Signed;

use self::descriptor::Provider;
use self::feed::Feed;
use self::wire::{What, Wire};
use crate::network::PeerId;

pub use io::{
    Answer, FeedStatus, Input, Job, KnownFeed, List, Moment, Note, Oldest, Output, Stats,
};

/// Feeds in one question for heads: the largest heads of so many fit the answer, which is cut at
/// 512 KiB; what is cut would be taken for not known. Source: spec §9.3.
pub const HEADS_PAGE: usize = 64;

/// Questions for heads that are open at a time; the other peers wait their turn.
pub const MAX_HEADS_ASKED: usize = 8;

/// Questions for batches and blocks that are open at a time. Each may be answered by a megabyte.
pub const MAX_FETCHES: usize = 32;

/// Questions for blocks of one feed that are open at a time, so that one feed cannot hold all.
pub const MAX_FETCHES_OF_FEED: usize = 4;

/// Questions for descriptors that are open at a time.
pub const MAX_DESCRIPTORS_ASKED: usize = 8;

/// Feeds whose ancestors are fetched at a time; each may hold [`MAX_RUN_BYTES`].
pub const MAX_CHASES: usize = 16;

/// Bytes of batches that wait for a descendant that is vouched for, a feed: 15 days of batches
/// every 15 minutes, several times over.
pub const MAX_RUN_BYTES: usize = 4 * 1024 * 1024;

/// Believed batches of one feed that wait for their blocks, before no more are asked for. One
/// answer more may follow.
pub const MAX_QUEUE: usize = 256;

/// Bytes of blocks that one feed holds in memory; above it they go to the store ahead of their
/// batch.
pub const MAX_HELD_BYTES: usize = 2 * 1024 * 1024;

/// Batches of one provider that wait for a descriptor.
pub const MAX_WAITING: usize = 8;

/// Peers remembered as having a feed's newest batch.
pub const MAX_OFFERS: usize = 8;

/// How often one block, or the batches after one, are asked for before the next round must find
/// them again.
pub const MAX_TRIES: u8 = 8;

/// Rounds in which every peer lacked the batch after the head, before the chain is begun anew.
pub const GAP_ROUNDS: u8 = 3;

/// A peer that does not answer for this long never will; the network gives up earlier.
const ASKED_FOR: Duration = Duration::from_secs(40);

/// Time for which a batch of the future that no peer shows any more is remembered: several rounds.
const FUTURE_SERVES: Duration = Duration::from_mins(10);

/// Shortest time between two timeouts, so that no error can make the driver spin.
const PAUSE: Duration = Duration::from_millis(20);

/// Decides. The same inputs at the same times always give the same outputs.
#[derive(Debug)]
pub struct Replicator {
    feeds: BTreeMap<FeedId, Feed>,
    providers: BTreeMap<ProviderId, Provider>,
    wire: Wire,
    /// The feed that was served first in the last turn.
    turn: Option<FeedId>,
}

impl Replicator {
    /// Starts with what the store knows. `anti_entropy` is the time between two questions for a
    /// peer's heads.
    pub fn new(
        feeds: Vec<KnownFeed>,
        descriptors: Vec<Signed<Descriptor>>,
        anti_entropy: Duration,
        now: Moment,
    ) -> Self {
        let mut providers: BTreeMap<ProviderId, Provider> = feeds
            .iter()
            .map(|known| (known.feed.provider, Provider::default()))
            .collect();
        for descriptor in descriptors {
            if let Some(provider) = providers.get_mut(&descriptor.provider) {
                provider.descriptor = Some(descriptor);
            }
        }
        let feeds: BTreeMap<FeedId, Feed> = { feeds.into_iter() }
            .map(|known| {
                let id = known.feed.clone();
                let mut feed = Feed::new(known);
                feed.await_peers(now);
                (id, feed)
            })
            .collect();
        let mut this = Self {
            wire: Wire::new(feeds.keys().cloned().collect(), anti_entropy, now),
            feeds,
            providers,
            turn: None,
        };
        // A crash may have come between a descriptor and what its anchors ask for.
        for provider in this.providers.keys().copied().collect::<Vec<_>>() {
            this.apply_anchors(provider);
        }
        this
    }

    /// Takes note of what happened.
    pub fn handle(&mut self, input: Input, now: Moment) {
        self.wire.now = now;
        match input {
            Input::Connected { peer, jitter } => {
                self.wire.connected(peer, jitter);
                self.ask_newcomer();
            }
            Input::Disconnected { peer } => {
                for (_, what) in self.wire.disconnected(peer) {
                    self.failed(peer, what);
                }
                self.disconnected(peer);
            }
            Input::Gossip { peer, token, batch } => self.gossip(peer, token, *batch),
            Input::Answer { tag, answer } => {
                if let Some((peer, what)) = self.wire.answered(tag) {
                    self.answered(peer, what, answer);
                }
            }
            Input::Published(batch) => self.published(&batch),
            Input::Renewed(descriptor) => self.renewed(*descriptor),
            Input::Stored { feed, head } => self.stored(&feed, head),
            Input::Lacks { feed, batch, cids } => {
                if let Some(feed) = self.feeds.get_mut(&feed) {
                    feed.lacks(batch, &cids, now);
                }
            }
            Input::Chunks {
                feed,
                batch,
                part,
                cids,
            } => {
                if let Some(feed) = self.feeds.get_mut(&feed) {
                    feed.lacks_chunks(batch, part, cids.as_deref(), now);
                }
            }
            Input::Oldest { feed, oldest, used } => self.begins(&feed, oldest, used),
            Input::StoredOlder { feed, kept, used } => self.stored_older(&feed, kept, used),
            Input::Forked { feed } => self.forked(&feed),
            Input::Tick => {
                for (peer, what) in self.wire.overdue() {
                    self.failed(peer, what);
                }
            }
        }
        self.advance();
    }

    /// The next thing to do; call until `None` after every [`handle`](Self::handle).
    pub fn poll_output(&mut self) -> Option<Output> {
        self.wire.outputs.pop_front()
    }

    /// When to hand in [`Input::Tick`], on the clock of [`Moment::at`].
    pub fn poll_timeout(&self) -> Option<Duration> {
        let chases = self.feeds.values().filter(|feed| feed.is_chasing());
        let room = chases.count() < MAX_CHASES;
        let feeds = self.feeds.iter();
        let fill = self.filling() < older::MAX_FILLING;
        let feeds = feeds.filter_map(|(id, feed)| feed.timeout(id, room, fill, &self.wire));
        let (now, interval) = (self.wire.now.at, self.wire.anti_entropy());
        let not_relayed = self.feeds.values();
        let not_relayed = not_relayed.filter_map(|feed| feed.not_relayed_at(now, interval));
        let next = { feeds.chain(not_relayed) }
            .chain(self.wire.timeout())
            .min()?;
        Some(next.max(self.wire.now.at + PAUSE))
    }

    /// No batch is fetched that takes more bytes than these, its blocks included; and none below the
    /// oldest kept that is older than `max_age`, or for which there is no room.
    pub const fn limit(&mut self, max_bytes: u64, max_age: Duration) {
        self.wire.max_batch_bytes = max_bytes;
        self.wire.max_age_s = max_age.as_secs();
    }

    /// The blocks that were asked for under `tag`.
    pub fn asked_blocks(&self, tag: u64) -> Vec<Cid> {
        self.wire.asked_blocks(tag)
    }

    /// When the oldest fetch of a batch's blocks began that is under way, in seconds of UTC.
    pub fn fetching_since(&self) -> Option<u64> {
        let feeds = self.feeds.values();
        let lines = feeds.flat_map(|feed| [&feed.line, &feed.older.line]);
        lines.filter_map(|line| line.since).min()
    }

    /// Epoch of the descriptor held of a provider.
    pub fn epoch(&self, provider: &ProviderId) -> Option<u64> {
        let held = self.providers.get(provider)?.descriptor.as_ref()?;
        Some(held.epoch)
    }

    /// What was done since the start.
    pub const fn stats(&self) -> Stats {
        self.wire.stats
    }

    /// Feeds that are filled downwards.
    fn filling(&self) -> usize {
        let feeds = self.feeds.values();
        feeds.filter(|feed| feed.older.is_filling()).count()
    }

    /// How each feed is doing.
    pub fn status(&self) -> BTreeMap<FeedId, FeedStatus> {
        let feeds = self.feeds.iter();
        let (now, interval) = (self.wire.now.at, self.wire.anti_entropy());
        feeds
            .map(|(id, feed)| (id.clone(), feed.status(now, interval)))
            .collect()
    }

    /// Time since when no peer is connected, in seconds of UTC, if that is half a minute or more.
    pub fn alone(&self) -> Option<u64> {
        self.wire.alone()
    }

    /// Time when batches say that they were published that are vouched for and ignored because they are of
    /// the future, the newest of each feed.
    pub fn future(&self) -> BTreeMap<FeedId, u64> {
        let feeds = self.feeds.iter();
        let future = feeds.filter_map(|(id, feed)| Some((id.clone(), feed.future?)));
        let now = self.wire.now.at;
        let shown = future.filter(|(_, future)| now < future.shown_at + FUTURE_SERVES);
        shown
            .map(|(id, future)| (id, future.published_at))
            .collect()
    }

    fn answered(&mut self, peer: PeerId, what: What, answer: Answer) {
        match (what, answer) {
            (What::Heads { page }, Answer::Heads(heads)) => self.heads(peer, page, heads),
            (What::After { feed, from }, Answer::Batches(batches)) => {
                self.batches(peer, &feed, from, batches);
            }
            (What::Older { feed, from }, Answer::Batches(batches)) => {
                self.older(peer, &feed, from, batches);
            }
            (What::Proof { feed, .. }, Answer::Batches(batches)) => {
                self.proof(peer, &feed, batches)
            }
            (What::Block { feed, .. }, Answer::Block(block)) => {
                if let Some(feed) = self.feeds.get_mut(&feed) {
                    feed.got(block, peer, &mut self.wire);
                }
            }
            (What::Blocks { feed, cids }, Answer::Blocks(blocks)) => {
                if let Some(feed) = self.feeds.get_mut(&feed) {
                    feed.got_some(&cids, blocks, peer, &mut self.wire);
                }
            }
            (What::Descriptor { provider }, Answer::Descriptor(descriptor)) => {
                self.descriptor(peer, provider, *descriptor);
            }
            (what, Answer::None(_) | Answer::Failed) => self.failed(peer, what),
            (what, _) => {
                self.wire.blame(peer, "an answer that does not verify");
                self.failed(peer, what);
            }
        }
    }

    /// A question was not answered.
    fn failed(&mut self, peer: PeerId, what: What) {
        match what {
            What::Heads { .. } => self.wire.heads_failed(peer),
            What::After { feed, .. } => {
                if let Some(feed) = self.feeds.get_mut(&feed) {
                    feed.chase_failed(&self.wire);
                }
            }
            What::Older { feed, .. } => self.older_failed(peer, &feed),
            What::Proof { .. } => {}
            What::Block { feed, cid } => {
                if let Some(feed) = self.feeds.get_mut(&feed) {
                    feed.blocks_failed(&[cid], peer, self.wire.now.at);
                }
            }
            What::Blocks { feed, cids } => {
                if let Some(feed) = self.feeds.get_mut(&feed) {
                    feed.blocks_failed(&cids, peer, self.wire.now.at);
                }
            }
            What::Descriptor { provider } => self.descriptor_failed(peer, provider),
        }
    }

    /// Does for every feed what can be done now. The first in turn changes, so that no feed can
    /// hold all the open questions for ever.
    fn advance(&mut self) {
        self.wire.ask_heads();
        self.ask_descriptors();
        let waiting: VecDeque<FeedId> = {
            let busy = |feed: &Feed| feed.is_busy() || feed.fills(&self.wire);
            let busy = self.feeds.iter().filter(|(_, feed)| busy(feed));
            busy.map(|(id, _)| id.clone()).collect()
        };
        let at = match &self.turn {
            Some(turn) => waiting.iter().position(|id| id > turn).unwrap_or(0),
            None => 0,
        };
        let mut chases = self.feeds.values().filter(|feed| feed.is_chasing()).count();
        let mut filling = self.filling();
        for id in waiting.iter().cycle().skip(at).take(waiting.len()) {
            let Some(feed) = self.feeds.get_mut(id) else {
                continue;
            };
            let before = self.wire.fetches();
            feed.advance_queue(id, &mut self.wire);
            feed.advance_chase(id, &mut chases, &mut self.wire);
            feed.advance_older(id, &mut filling, &mut self.wire);
            if self.wire.fetches() > before {
                self.turn = Some(id.clone());
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
