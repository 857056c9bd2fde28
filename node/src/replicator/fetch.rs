//! Fetching the blocks of the first batch of a queue: first those that it links to, then the chunks
//! of its sealed parts, one part after the other, for which the index blocks must be known.
//!
//! What is held in memory is bounded by [`MAX_HELD_BYTES`](super::MAX_HELD_BYTES) of blocks and the
//! names of one part's chunks. A peer that failed is not asked again before all others have.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bellwether_formats::batch::{Batch, Part};
use bellwether_formats::cid::{Block, Cid};
use bellwether_formats::id::{FeedId, ObjectId};
use bellwether_formats::sealed::Shape;
use bellwether_formats::signed::Signed;

use super::feed::Feed;
use super::queue::{Front, Line};
use super::wire::{What, Wire, pause};
use super::{Job, List, MAX_FETCHES_OF_FEED, MAX_HELD_BYTES, MAX_TRIES, Moment};
use crate::network::{MAX_BLOCKS, MAX_LIST_BYTES, PeerId};

#[derive(Debug, Default)]
pub(super) struct Fetching {
    stage: Stage,
    wanted: BTreeMap<Cid, Want>,
    got: Vec<Block>,
    /// Sealed parts whose chunks are not of the one size, by position, and one that is not.
    broken: BTreeMap<usize, Cid>,
    /// Peers that failed since all were given a turn.
    failed: BTreeSet<PeerId>,
}

/// Which blocks are wanted.
#[derive(Clone, Copy, Debug, Default)]
enum Stage {
    /// Those that the batch links to.
    #[default]
    Links,
    /// The store is asked which chunks of a part it lacks.
    Listing { part: usize, chunk_bytes: usize },
    /// The chunks of a part, each of so many bytes.
    Chunks { part: usize, chunk_bytes: usize },
}

#[derive(Clone, Debug)]
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
        let idle = fetching.wanted.values().filter(|want| !want.asked);
        idle.map(|want| want.retry_at).min()
    }
}

impl Fetching {
    /// Whether everything has come that was asked for.
    pub(super) fn is_idle(&self) -> bool {
        self.wanted.is_empty() && !matches!(self.stage, Stage::Listing { .. })
    }

    /// Goes on to the next sealed part of the batch, if there is one: what to ask the store.
    pub(super) fn next_part(&mut self, feed: &FeedId, batch: &Signed<Batch>) -> Option<Job> {
        let from = match self.stage {
            Stage::Links => 0,
            Stage::Listing { part, .. } | Stage::Chunks { part, .. } => part + 1,
        };
        let mut parts = batch.parts.iter().enumerate().skip(from);
        // Where there can be no such part, no chunk is looked for; the store notes the same.
        let (part, index, shape) = parts.find_map(|(at, part)| match part {
            Part::Sealed(part) => Some((at, part.index, Shape::of(part.ids).ok()?)),
            Part::Open(_) | Part::Unknown(_) => None,
        })?;
        self.stage = Stage::Listing {
            part,
            chunk_bytes: shape.chunk_bytes(),
        };
        let block = self.got.iter().find(|block| block.cid() == index);
        Some(Job::Chunks(Box::new(List {
            feed: feed.clone(),
            batch: batch.id(),
            part,
            index,
            block: block.cloned(),
            shape,
        })))
    }

    /// Gives up what has come, for the commit: blocks, and the parts whose chunks are no good.
    pub(super) fn take(&mut self) -> (Vec<Block>, BTreeMap<usize, Cid>) {
        (
            std::mem::take(&mut self.got),
            std::mem::take(&mut self.broken),
        )
    }

    fn held(&self) -> usize {
        self.got.iter().map(|block| block.bytes().len()).sum()
    }

    /// The blocks of the next question, if one is due, and how often they were asked for before.
    fn due(&self, now: Duration) -> Option<(Vec<Cid>, u8)> {
        let most = match self.stage {
            Stage::Links | Stage::Listing { .. } => 1,
            Stage::Chunks { chunk_bytes, .. } => (MAX_LIST_BYTES / chunk_bytes)
                .min(usize::try_from(MAX_BLOCKS).unwrap_or(usize::MAX)),
        };
        let due = |want: &Want| !want.asked && want.retry_at <= now;
        let mut due = self.wanted.iter().filter(|(_, want)| due(want)).peekable();
        let tries = due.peek()?.1.tries;
        let alike = due.filter(|(_, want)| want.tries == tries);
        Some((alike.take(most).map(|(cid, _)| *cid).collect(), tries))
    }

    /// A peer to ask: one that did not fail, or any once all did.
    fn choose(&mut self, offers: &[PeerId], tries: u8, wire: &Wire) -> Option<PeerId> {
        let peer = wire.choose(offers.iter(), &self.failed, tries);
        if peer.is_some() || self.failed.is_empty() {
            return peer;
        }
        self.failed.clear();
        wire.choose(offers.iter(), &self.failed, tries)
    }

    /// Wants these blocks, from now on.
    fn want(&mut self, cids: Vec<Cid>, now: Moment) {
        let want = Want {
            tries: 0,
            retry_at: now.at,
            asked: false,
        };
        self.wanted = cids.into_iter().map(|cid| (cid, want.clone())).collect();
    }

    /// Takes a block. One that is no chunk, though it is listed as one, breaks its part, whose other
    /// chunks are not worth their place; it is kept itself, so that other relays see it too.
    /// Given back if it is not wanted.
    fn take_in(&mut self, block: Block, batch: &Batch, wire: &mut Wire) -> Option<Block> {
        if self.wanted.remove(&block.cid()).is_none() {
            return Some(block);
        }
        if let Stage::Chunks { part, chunk_bytes } = self.stage
            && block.bytes().len() != chunk_bytes
        {
            self.broken.insert(part, block.cid());
            self.wanted.clear();
        }
        if has_wrong_size(batch, &block) {
            // The signature is the provider's, so the size is its fault; only clients can judge.
            wire.stats.wrong_sizes += 1;
        }
        self.got.push(block);
        if self.held() > MAX_HELD_BYTES {
            wire.job(Job::Keep(std::mem::take(&mut self.got)));
        }
        None
    }
}

impl Line {
    /// Asks for blocks, as many as may be asked for now. Gives whether they may still come.
    pub(super) fn fetch(
        &mut self,
        id: &FeedId,
        offers: &VecDeque<PeerId>,
        wire: &mut Wire,
    ) -> bool {
        let Front::Fetching(fetching) = &mut self.front else {
            return true;
        };
        let lost = |want: &Want| !want.asked && want.tries >= MAX_TRIES;
        if fetching.wanted.values().any(lost) {
            return false;
        }
        let offers: Vec<PeerId> = offers.iter().copied().collect();
        while wire.may_fetch() && wire.fetches_of(id) < MAX_FETCHES_OF_FEED {
            let Some((cids, tries)) = fetching.due(wire.now.at) else {
                break;
            };
            let peer = fetching.choose(&offers, tries, wire);
            for cid in &cids {
                if let Some(want) = fetching.wanted.get_mut(cid) {
                    want.tries += 1;
                    want.asked = peer.is_some();
                    want.retry_at = wire.now.at + pause(want.tries);
                }
            }
            let Some(peer) = peer else { continue };
            let feed = id.clone();
            let what = match (fetching.stage, cids.as_slice()) {
                (Stage::Links, [cid]) => What::Block { feed, cid: *cid },
                _ => What::Blocks { feed, cids },
            };
            wire.ask(peer, what);
        }
        true
    }

    /// The store has said which linked blocks are missing.
    fn lacks(&mut self, batch: ObjectId, cids: Vec<Cid>, now: Moment) {
        let first = self.queue.front().map(Signed::id);
        if first != Some(batch) || !matches!(self.front, Front::Looking) {
            return;
        }
        let mut fetching = Fetching::default();
        fetching.want(cids, now);
        self.front = Front::Fetching(fetching);
    }

    /// The store has said which chunks of a part are missing, or that its index is none.
    fn lacks_chunks(&mut self, batch: ObjectId, part: usize, cids: Option<Vec<Cid>>, now: Moment) {
        let first = self.queue.front().map(Signed::id);
        if let Front::Fetching(fetching) = &mut self.front
            && let Stage::Listing {
                part: listed,
                chunk_bytes,
            } = fetching.stage
            && (first, part) == (Some(batch), listed)
        {
            fetching.stage = Stage::Chunks { part, chunk_bytes };
            fetching.want(cids.unwrap_or_default(), now);
        }
    }

    /// A block has come; given back if it is not wanted here.
    fn got(&mut self, block: Block, wire: &mut Wire) -> Option<Block> {
        match (&mut self.front, self.queue.front()) {
            (Front::Fetching(fetching), Some(batch)) => fetching.take_in(block, batch, wire),
            _ => Some(block),
        }
    }

    /// Of those that were asked for, the ones that did not come with the others are asked for again
    /// at once; and as something came, not for ever.
    fn ask_again(&mut self, asked: &[Cid], now: Moment) {
        let Front::Fetching(fetching) = &mut self.front else {
            return;
        };
        for cid in asked {
            if let Some(want) = fetching.wanted.get_mut(cid) {
                want.asked = false;
                want.tries = want.tries.saturating_sub(1);
                want.retry_at = now.at;
            }
        }
    }

    /// Blocks did not come: asked for again later, elsewhere.
    fn failed(&mut self, cids: &[Cid], peer: PeerId, now: Duration) {
        let Front::Fetching(fetching) = &mut self.front else {
            return;
        };
        for cid in cids {
            if let Some(want) = fetching.wanted.get_mut(cid) {
                fetching.failed.insert(peer);
                want.asked = false;
                want.retry_at = now + pause(want.tries.saturating_sub(1));
            }
        }
    }
}

impl Feed {
    /// Both ends of the chain.
    fn lines(&mut self) -> [&mut Line; 2] {
        [&mut self.line, &mut self.older.line]
    }

    /// The store has said which linked blocks are missing.
    pub(super) fn lacks(&mut self, batch: ObjectId, cids: &[Cid], now: Moment) {
        for line in self.lines() {
            line.lacks(batch, cids.to_vec(), now);
        }
    }

    /// The store has said which chunks of a part are missing, or that its index is none.
    pub(super) fn lacks_chunks(
        &mut self,
        batch: ObjectId,
        part: usize,
        cids: Option<&[Cid]>,
        now: Moment,
    ) {
        for line in self.lines() {
            line.lacks_chunks(batch, part, cids.map(<[Cid]>::to_vec), now);
        }
    }

    /// A block has come, whose bytes hash to its name.
    pub(super) fn got(&mut self, block: Block, peer: PeerId, wire: &mut Wire) {
        let mut rest = Some(block);
        for line in self.lines() {
            rest = rest.and_then(|block| line.got(block, wire));
        }
        if rest.is_none() {
            self.offer(peer);
        }
    }

    /// Blocks have come, whose bytes hash to names that were asked for. The others did not fit, or
    /// the peer lacks them.
    pub(super) fn got_some(
        &mut self,
        asked: &[Cid],
        blocks: Vec<Block>,
        peer: PeerId,
        wire: &mut Wire,
    ) {
        for block in blocks {
            self.got(block, peer, wire);
        }
        for line in self.lines() {
            line.ask_again(asked, wire.now);
        }
    }

    /// Blocks did not come.
    pub(super) fn blocks_failed(&mut self, cids: &[Cid], peer: PeerId, now: Duration) {
        for line in self.lines() {
            line.failed(cids, peer, now);
        }
    }
}

/// Whether a block is a body of another size than its batch says.
fn has_wrong_size(batch: &Batch, block: &Block) -> bool {
    let len = u64::try_from(block.bytes().len()).unwrap_or(u64::MAX);
    let mut bodies = batch.open_bodies();
    bodies.any(|body| body.cid == block.cid() && body.size != len)
}
