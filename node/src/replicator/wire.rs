//! Peers, open questions, and whom to ask next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bellwether_formats::cid::Cid;
use bellwether_formats::id::{FeedId, ProviderId};

use super::{
    ASKED_FOR, HEADS_PAGE, Job, MAX_FETCHES, MAX_HEADS_ASKED, Moment, Note, Output, Stats,
};
use crate::network::{PeerId, SyncRequest};

/// Peers whose faults are remembered.
const MAX_BLAMED: usize = 1024;

/// How long a peer is not asked after its first fault; doubled with each further one.
const AVOID: Duration = Duration::from_secs(30);

/// Most doublings of [`AVOID`] (32 minutes): nobody is banned for ever.
const MAX_FAULTS: u32 = 6;

/// Wait after an unanswered question for heads; multiplied by how many there were in a row.
const HEADS_AGAIN: Duration = Duration::from_secs(3);

/// Time that a node may be without a peer before that is told: one that starts, or whose only relay
/// starts anew, is connected within seconds.
const ALONE: Duration = Duration::from_secs(30);

/// Peers among which one is chosen for a question.
const MAX_CHOICE: usize = 16;

/// Why something was asked.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// Newest batches of the feeds of a page.
    Heads { page: usize },
    /// The batches after `from`.
    After { feed: FeedId, from: u64 },
    /// The batches after `from` that lie below the oldest kept.
    Older { feed: FeedId, from: u64 },
    /// The batch that has the number of our head, and is another.
    Proof { feed: FeedId, from: u64 },
    /// A block of the first batch in the feed's queue.
    Block { feed: FeedId, cid: Cid },
    /// Chunks of a sealed part of that batch.
    Blocks { feed: FeedId, cids: Vec<Cid> },
    /// A newer descriptor.
    Descriptor { provider: ProviderId },
}

#[derive(Debug)]
struct Asked {
    peer: PeerId,
    what: What,
    until: Duration,
}

#[derive(Debug)]
struct Peer {
    /// Whether a question for heads is open.
    asked: bool,
    /// When to ask for heads next.
    next: Duration,
    /// Which page of feeds to ask for next.
    page: usize,
    /// Questions for heads without an answer, in a row.
    failures: u32,
    /// Spreads rounds: any number.
    jitter: u32,
}

#[derive(Debug)]
struct Blamed {
    faults: u32,
    until: Duration,
}

/// The outside, as the feeds see it.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) now: Moment,
    pub(super) outputs: VecDeque<Output>,
    pub(super) stats: Stats,
    peers: BTreeMap<PeerId, Peer>,
    /// Time when the last peer left, or the node started, if there is none.
    alone: Option<Moment>,
    blamed: BTreeMap<PeerId, Blamed>,
    asked: BTreeMap<u64, Asked>,
    next_tag: u64,
    feeds: Vec<FeedId>,
    anti_entropy: Duration,
    /// Most bytes that all blocks, and so a batch with its own, may have.
    pub(super) max_batch_bytes: u64,
    /// Time for which batches are kept, in seconds.
    pub(super) max_age_s: u64,
}

impl Wire {
    pub(super) fn new(feeds: Vec<FeedId>, anti_entropy: Duration, now: Moment) -> Self {
        Self {
            now,
            outputs: VecDeque::new(),
            stats: Stats::default(),
            peers: BTreeMap::new(),
            alone: Some(now),
            blamed: BTreeMap::new(),
            asked: BTreeMap::new(),
            next_tag: 0,
            feeds,
            anti_entropy,
            max_batch_bytes: u64::MAX,
            max_age_s: u64::MAX,
        }
    }

    pub(super) fn job(&mut self, job: Job) {
        self.outputs.push_back(Output::Store(job));
    }

    pub(super) fn note(&mut self, note: Note) {
        self.outputs.push_back(Output::Note(note));
    }

    /// A new peer is asked for its heads at once.
    pub(super) fn connected(&mut self, peer: PeerId, jitter: u32) {
        let fresh = Peer {
            asked: false,
            next: self.now.at,
            page: 0,
            failures: 0,
            jitter,
        };
        self.peers.entry(peer).or_insert(fresh);
        self.alone = None;
    }

    /// Forgets a peer; gives what it was asked.
    pub(super) fn disconnected(&mut self, peer: PeerId) -> Vec<(u64, What)> {
        self.peers.remove(&peer);
        if self.peers.is_empty() {
            self.alone.get_or_insert(self.now);
        }
        let asked = self.asked.extract_if(.., |_, asked| asked.peer == peer);
        asked.map(|(tag, asked)| (tag, asked.what)).collect()
    }

    /// Asks a peer. The bounds on open questions are the caller's to keep.
    pub(super) fn ask(&mut self, peer: PeerId, what: What) {
        let request = match &what {
            What::Heads { page } => SyncRequest::Heads(self.page(*page).to_vec()),
            What::After { feed, from }
            | What::Older { feed, from }
            | What::Proof { feed, from } => SyncRequest::After {
                feed: feed.clone(),
                seq: *from,
            },
            What::Block { cid, .. } => SyncRequest::Block(*cid),
            What::Blocks { cids, .. } => SyncRequest::Blocks(cids.clone()),
            What::Descriptor { provider } => SyncRequest::Descriptor(*provider),
        };
        self.next_tag += 1;
        let (tag, until) = (self.next_tag, self.now.at + ASKED_FOR);
        self.asked.insert(tag, Asked { peer, what, until });
        self.outputs.push_back(Output::Ask { peer, tag, request });
    }

    /// Closes a question; gives who was asked, and why.
    pub(super) fn answered(&mut self, tag: u64) -> Option<(PeerId, What)> {
        let asked = self.asked.remove(&tag)?;
        Some((asked.peer, asked.what))
    }

    /// Closes the questions that nobody will answer any more.
    pub(super) fn overdue(&mut self) -> Vec<(PeerId, What)> {
        let now = self.now.at;
        let late = self.asked.extract_if(.., |_, asked| asked.until <= now);
        late.map(|(_, asked)| (asked.peer, asked.what)).collect()
    }

    pub(super) fn asked_blocks(&self, tag: u64) -> Vec<Cid> {
        match self.asked.get(&tag).map(|asked| &asked.what) {
            Some(What::Block { cid, .. }) => vec![*cid],
            Some(What::Blocks { cids, .. }) => cids.clone(),
            _ => Vec::new(),
        }
    }

    /// Open questions for blocks of a feed.
    pub(super) fn fetches_of(&self, id: &FeedId) -> usize {
        let of_feed = |asked: &&Asked| match &asked.what {
            What::Block { feed, .. } | What::Blocks { feed, .. } => feed == id,
            _ => false,
        };
        self.asked.values().filter(of_feed).count()
    }

    /// Open questions for batches and blocks.
    pub(super) fn fetches(&self) -> usize {
        let fetch = |what: &What| {
            matches!(
                what,
                What::After { .. }
                    | What::Older { .. }
                    | What::Proof { .. }
                    | What::Block { .. }
                    | What::Blocks { .. }
            )
        };
        self.asked
            .values()
            .filter(|asked| fetch(&asked.what))
            .count()
    }

    /// Whether one more question for batches or blocks may be asked.
    pub(super) fn may_fetch(&self) -> bool {
        self.fetches() < MAX_FETCHES
    }

    /// Batches published before this time would be deleted again, in seconds of UTC.
    pub(super) const fn keep_from(&self) -> u64 {
        self.now.utc.saturating_sub(self.max_age_s)
    }

    pub(super) fn has_peers(&self) -> bool {
        !self.peers.is_empty()
    }

    /// Time since when no peer is connected, in seconds of UTC, if that is [`ALONE`] or longer.
    pub(super) fn alone(&self) -> Option<u64> {
        let since = self.alone?;
        (since.at + ALONE <= self.now.at).then_some(since.utc)
    }

    pub(super) const fn anti_entropy(&self) -> Duration {
        self.anti_entropy
    }

    fn heads_asked(&self) -> usize {
        self.peers.values().filter(|peer| peer.asked).count()
    }

    pub(super) fn is_connected(&self, peer: &PeerId) -> bool {
        self.peers.contains_key(peer)
    }

    /// A connected peer to ask: first those in `offers`, then all others; `turn` counts attempts.
    pub(super) fn choose<'a>(
        &self,
        offers: impl Iterator<Item = &'a PeerId>,
        skip: &BTreeSet<PeerId>,
        turn: u8,
    ) -> Option<PeerId> {
        let usable =
            |peer: &&PeerId| self.is_connected(peer) && !skip.contains(peer) && !self.avoids(peer);
        let mut choice: Vec<PeerId> = offers.filter(usable).copied().collect();
        let others = self.peers.keys().filter(usable);
        let others: Vec<PeerId> = others
            .filter(|peer| !choice.contains(peer))
            .take(MAX_CHOICE)
            .copied()
            .collect();
        choice.extend(others);
        choice.truncate(MAX_CHOICE);
        let at = usize::from(turn).checked_rem(choice.len())?;
        choice.get(at).copied()
    }

    /// Holds a fault against a peer: it is not asked for a while. Never for a timeout.
    pub(super) fn blame(&mut self, peer: PeerId, what: &'static str) {
        self.stats.bad_answers += 1;
        let now = self.now.at;
        if self.blamed.len() >= MAX_BLAMED && !self.blamed.contains_key(&peer) {
            let soonest = self.blamed.iter().min_by_key(|(_, blamed)| blamed.until);
            if let Some(soonest) = soonest.map(|(peer, _)| *peer) {
                self.blamed.remove(&soonest);
            }
        }
        let blamed = self.blamed.entry(peer).or_insert(Blamed {
            faults: 0,
            until: now,
        });
        blamed.until = now + AVOID * 2_u32.pow(blamed.faults.min(MAX_FAULTS));
        blamed.faults = blamed.faults.saturating_add(1);
        self.note(Note::Blamed { peer, what });
    }

    fn avoids(&self, peer: &PeerId) -> bool {
        let blamed = self.blamed.get(peer);
        blamed.is_some_and(|blamed| blamed.until > self.now.at)
    }

    fn page(&self, page: usize) -> &[FeedId] {
        self.feeds.chunks(HEADS_PAGE).nth(page).unwrap_or_default()
    }

    /// Whether a feed is on a page: what a peer shows must be what it was asked for.
    pub(super) fn is_on_page(&self, page: usize, feed: &FeedId) -> bool {
        self.page(page).binary_search(feed).is_ok()
    }

    /// Asks the peers whose round has come, longest waiting first.
    pub(super) fn ask_heads(&mut self) {
        if self.feeds.is_empty() {
            return;
        }
        let room = MAX_HEADS_ASKED.saturating_sub(self.heads_asked());
        let now = self.now.at;
        let due =
            |(id, peer): &(&PeerId, &Peer)| !peer.asked && peer.next <= now && !self.avoids(id);
        let mut due: Vec<(Duration, PeerId, usize)> = self
            .peers
            .iter()
            .filter(due)
            .map(|(id, peer)| (peer.next, *id, peer.page))
            .collect();
        due.sort();
        for (_, id, page) in due.into_iter().take(room) {
            if let Some(peer) = self.peers.get_mut(&id) {
                peer.asked = true;
            }
            self.ask(id, What::Heads { page });
        }
    }

    /// A page of heads has come: the next one is asked for at once, or the round is over.
    pub(super) fn heads_came(&mut self, id: PeerId, page: usize) {
        self.stats.heads_answered += 1;
        let more = !self.page(page + 1).is_empty();
        let (now, interval) = (self.now.at, self.anti_entropy);
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        peer.asked = false;
        peer.failures = 0;
        if more {
            peer.page = page + 1;
            peer.next = now;
        } else {
            peer.page = 0;
            peer.next = now + spread(interval, peer.jitter);
        }
    }

    /// A question for heads was not answered: asked again soon, then less soon.
    pub(super) fn heads_failed(&mut self, id: PeerId) {
        let (now, interval) = (self.now.at, self.anti_entropy);
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.asked = false;
            peer.failures = peer.failures.saturating_add(1);
            let again = HEADS_AGAIN.saturating_mul(peer.failures);
            peer.next = now + again.min(spread(interval, peer.jitter));
        }
    }

    /// When something is due here.
    pub(super) fn timeout(&self) -> Option<Duration> {
        let room = !self.feeds.is_empty() && self.heads_asked() < MAX_HEADS_ASKED;
        let rounds = self.peers.iter().filter(|(_, peer)| room && !peer.asked);
        let rounds = rounds.map(|(id, peer)| match self.blamed.get(id) {
            Some(blamed) => peer.next.max(blamed.until),
            None => peer.next,
        });
        let late = self.asked.values().map(|asked| asked.until);
        let alone = self.alone.map(|since| since.at + ALONE);
        let alone = alone.filter(|at| *at > self.now.at);
        rounds.chain(late).chain(alone).min()
    }
}

/// From three quarters to five quarters of an interval, by `jitter`.
fn spread(interval: Duration, jitter: u32) -> Duration {
    let part = (interval / 2).mul_f64(f64::from(jitter) / f64::from(u32::MAX));
    interval - interval / 4 + part
}

/// How long to wait after a failed attempt: a quarter of a second, doubled with each, 10 s at most.
pub(super) fn pause(tries: u8) -> Duration {
    let doubled = Duration::from_millis(250) * 2_u32.pow(u32::from(tries.min(6)));
    doubled.min(Duration::from_secs(10))
}
