//! Going after the batches between the tip and a newer batch that was seen.
//!
//! Peers answer `after` with consecutive batches. Those whose keys are no longer listed may be
//! anybody's, so what comes is held in a *run*, all of it from one peer, until a batch in it is
//! vouched for: that one and its ancestors are believed and move to the queue. A run that ends
//! without such a batch is dropped, and another peer is asked.
//!
//! **First sight.** A feed of which nothing is kept has no tip: the run may begin at any number,
//! the oldest batch that the peer keeps. It is authenticated backwards like every run.
//!
//! **Gaps.** A peer that deleted the batch after our head answers with a later one. Then the others
//! are asked. When every peer lacked it, [`GAP_ROUNDS`](super::GAP_ROUNDS) times in a row, the
//! batches between are lost for this relay: the next such run is taken as on first sight, if its
//! first batch can stand after our head (`check_later`). Only once it is believed are the batches
//! before the gap dropped, for a feed has no holes.

use std::collections::BTreeSet;
use std::time::Duration;

use bellwether_formats::batch::Batch;
use bellwether_formats::chain::{self, ChainError, Head};
use bellwether_formats::id::FeedId;
use bellwether_formats::signed::Signed;

use super::descriptor::{Belief, Provider};
use super::feed::Feed;
use super::wire::{What, Wire, pause};
use super::{GAP_ROUNDS, Job, MAX_CHASES, MAX_QUEUE, MAX_RUN_BYTES, MAX_TRIES, Note, Replicator};
use crate::network::PeerId;

/// Batches in a queue that are no reason to keep other feeds from being fetched.
const FEW: usize = 16;

#[derive(Debug)]
pub(super) struct Chase {
    /// Number of the newest batch seen.
    pub(super) target: u64,
    /// Linked batches, not yet believed. The first follows the tip, or begins anew.
    run: Vec<Signed<Batch>>,
    /// Whom the run is from.
    from: Option<PeerId>,
    /// Whether the run leaves a gap after the tip.
    anew: bool,
    asked: bool,
    tries: u8,
    retry_at: Duration,
    /// Peers that cannot help.
    skip: BTreeSet<PeerId>,
    /// Whether one of them lacked the batch after the tip.
    gap: bool,
}

impl Chase {
    pub(super) const fn new(now: Duration) -> Self {
        Self {
            target: 0,
            run: Vec::new(),
            from: None,
            anew: false,
            asked: false,
            tries: 0,
            retry_at: now,
            skip: BTreeSet::new(),
            gap: false,
        }
    }

    pub(super) fn timeout(&self) -> Option<Duration> {
        (!self.asked).then_some(self.retry_at)
    }

    /// Drops what is not believed, for the tip has moved.
    pub(super) fn forget_run(&mut self) {
        self.run.clear();
        self.from = None;
        self.anew = false;
    }

    /// The peer in turn cannot help: the next one is asked at once.
    fn skip(&mut self, peer: PeerId) {
        self.forget_run();
        self.skip.insert(peer);
    }

    fn bytes(&self) -> usize {
        self.run.iter().map(|batch| batch.envelope().len()).sum()
    }
}

/// What became of an answer.
enum Taken {
    /// It was good, or at least nobody's fault.
    Good,
    /// It leads to a newer descriptor; the batch that says so.
    NewEpoch(Box<Signed<Batch>>),
    /// A batch that is vouched for has the number after the tip and does not link to it.
    Diverges,
    /// No honest peer answers so.
    Bad,
}

impl Feed {
    /// Whether it takes one of the places of [`MAX_CHASES`]: it holds many batches, or will.
    pub(super) fn is_chasing(&self) -> bool {
        let chase = self.chase.as_ref();
        let runs = chase.is_some_and(|chase| chase.asked || !chase.run.is_empty());
        runs || self.line.queue.len() > FEW
    }

    /// Asks for what comes next, if that may be asked now.
    pub(super) fn advance_chase(&mut self, id: &FeedId, chases: &mut usize, wire: &mut Wire) {
        let tip = self.tip();
        let chasing = self.is_chasing();
        let Some(chase) = &mut self.chase else {
            return;
        };
        let idle = !chase.asked && chase.retry_at <= wire.now.at && !self.on_hold;
        if !idle || self.line.queue.len() >= MAX_QUEUE || !wire.may_fetch() {
            return;
        }
        if !chasing && *chases >= MAX_CHASES {
            return;
        }
        if chase.tries >= MAX_TRIES {
            return self.give_up(id, "batches", wire);
        }
        let last = chase.from.filter(|peer| wire.is_connected(peer));
        if last.is_none() {
            chase.forget_run();
        }
        let peer = last.or_else(|| wire.choose(self.offers.iter(), &chase.skip, chase.tries));
        let Some(peer) = peer else {
            if chase.gap && self.line.queue.is_empty() {
                self.gap_rounds = self.gap_rounds.saturating_add(1);
            }
            // What is queued is believed and goes on.
            self.chase = None;
            wire.stats.fetch_failures += 1;
            let (feed, what) = (id.clone(), "batches");
            return wire.note(Note::GaveUp { feed, what });
        };
        let from = chase.run.last().map(|batch| batch.seq);
        let from = from.or(tip.map(|tip| tip.seq)).unwrap_or(0);
        chase.asked = true;
        *chases += usize::from(!chasing);
        let feed = id.clone();
        wire.ask(peer, What::After { feed, from });
    }

    /// The question was not answered.
    pub(super) fn chase_failed(&mut self, wire: &Wire) {
        if let Some(chase) = &mut self.chase {
            chase.asked = false;
            chase.retry_at = wire.now.at + pause(chase.tries);
            chase.tries = chase.tries.saturating_add(1);
            chase.forget_run();
        }
    }

    pub(super) fn end_chase_if_done(&mut self) {
        let tip = self.tip().map_or(0, |tip| tip.seq);
        let done = |chase: &Chase| tip >= chase.target;
        if self.chase.as_ref().is_some_and(done) {
            self.chase = None;
        }
    }

    /// Takes consecutive batches from `peer`.
    fn take(
        &mut self,
        id: &FeedId,
        peer: PeerId,
        batches: Vec<Signed<Batch>>,
        provider: &Provider,
        wire: &mut Wire,
    ) -> Taken {
        let tip = self.tip();
        let Some(chase) = &mut self.chase else {
            return Taken::Good;
        };
        chase.asked = false;
        let last = chase.run.last().map(Head::from);
        let known = last.or(tip).map_or(0, |head| head.seq);
        let mut batches = batches;
        // Gossip may have been faster than the answer.
        batches.retain(|batch| batch.seq > known);
        let now = wire.now.utc;
        let future = |batch: &Signed<Batch>| chain::check_time(batch, now).is_err();
        if let Some(at) = batches.iter().position(future) {
            batches.truncate(at);
        }
        let Some(first) = batches.first() else {
            if chase.run.is_empty() {
                // The peer has passed a batch on which it does not have whole yet.
                self.chase_failed(wire);
            } else {
                chase.skip(peer);
            }
            return Taken::Good;
        };
        match link(last, tip, first) {
            Link::Next => {}
            Link::Gap if self.gap_rounds >= GAP_ROUNDS && self.line.queue.is_empty() => {
                chase.anew = true;
            }
            Link::Gap => {
                chase.skip(peer);
                chase.gap = true;
                return Taken::Good;
            }
            Link::Other => {
                let vouched = batches
                    .iter()
                    .any(|batch| provider.believes(batch).is_yes());
                chase.skip(peer);
                return if vouched {
                    Taken::Diverges
                } else {
                    Taken::Good
                };
            }
            Link::Never => {
                chase.skip(peer);
                return Taken::Bad;
            }
        }
        chase.from = Some(peer);
        chase.run.extend(batches);
        self.believe(id, provider, wire)
    }

    /// Moves to the queue what is believed of the run.
    fn believe(&mut self, id: &FeedId, provider: &Provider, wire: &mut Wire) -> Taken {
        let tip = self.tip();
        let Some(chase) = &mut self.chase else {
            return Taken::Good;
        };
        let vouched = |batch: &Signed<Batch>| provider.believes(batch).is_yes();
        let Some(at) = chase.run.iter().rposition(vouched) else {
            let new = |batch: &&Signed<Batch>| provider.believes(batch) == Belief::NewEpoch;
            let new = chase.run.iter().rfind(new).cloned();
            if chase.bytes() > MAX_RUN_BYTES {
                self.give_up(id, "a batch that is vouched for", wire);
            }
            return new.map_or(Taken::Good, |batch| Taken::NewEpoch(Box::new(batch)));
        };
        chase.tries = 0;
        let later = chase.run.split_off(at + 1);
        let believed = std::mem::replace(&mut chase.run, later);
        if std::mem::take(&mut chase.anew)
            && let (Some(_), Some(first)) = (tip, believed.first())
        {
            let (feed, seq) = (id.clone(), first.seq);
            wire.job(Job::Forget(feed.clone()));
            wire.note(Note::Restarted { feed, seq });
            self.head = None;
            self.gap_rounds = 0;
            self.forget_older(wire.now.at);
        }
        self.seen_at = Some(wire.now.utc);
        self.line.queue.extend(believed);
        self.end_chase_if_done();
        Taken::Good
    }
}

/// How a batch stands to the chain before it.
enum Link {
    /// It is the next, or the first.
    Next,
    /// Batches between are missing.
    Gap,
    /// It is the next by number, and names another batch before it.
    Other,
    /// It can never stand there.
    Never,
}

fn link(last: Option<Head>, tip: Option<Head>, first: &Signed<Batch>) -> Link {
    let Some(before) = last.or(tip) else {
        return Link::Next;
    };
    match before.check_next(first) {
        Ok(()) => Link::Next,
        Err(ChainError::Seq { .. }) if last.is_none() => match before.check_later(first) {
            Ok(()) => Link::Gap,
            Err(_) => Link::Other,
        },
        // Signed by a key that anybody may have made, or by a provider that errs: not to be told.
        Err(_) if last.is_none() => Link::Other,
        Err(_) => Link::Never,
    }
}

impl Replicator {
    /// Answers to [`What::After`].
    pub(super) fn batches(
        &mut self,
        peer: PeerId,
        id: &FeedId,
        from: u64,
        batches: Vec<Signed<Batch>>,
    ) {
        let Some(feed) = self.feeds.get_mut(id) else {
            return;
        };
        let Some(provider) = self.providers.get(&id.provider) else {
            return;
        };
        let taken = if is_run(id, from, &batches) {
            feed.take(id, peer, batches, provider, &mut self.wire)
        } else {
            if let Some(chase) = &mut feed.chase {
                chase.asked = false;
                chase.skip(peer);
            }
            Taken::Bad
        };
        match taken {
            Taken::Good => {}
            Taken::NewEpoch(batch) => self.wait_for_descriptor(peer, None, *batch),
            Taken::Diverges => self.diverged(peer, id),
            Taken::Bad => self
                .wire
                .blame(peer, "batches that do not follow each other"),
        }
    }

    /// A descriptor has come: runs may be believed that were not.
    pub(super) fn believe_runs(&mut self, provider: &Provider) {
        for (id, feed) in &mut self.feeds {
            if Some(&id.provider) == provider.id().as_ref() && !feed.on_hold {
                if let Some(chase) = &mut feed.chase {
                    chase.skip.clear();
                    chase.tries = 0;
                }
                feed.believe(id, provider, &mut self.wire);
            }
        }
    }

    /// Answers to [`What::Proof`]: which batch does the peer have where our tip stands?
    pub(super) fn proof(&mut self, peer: PeerId, id: &FeedId, batches: Vec<Signed<Batch>>) {
        let Some(feed) = self.feeds.get_mut(id) else {
            return;
        };
        let Some(provider) = self.providers.get(&id.provider) else {
            return;
        };
        if !is_run(id, 0, &batches) {
            return self
                .wire
                .blame(peer, "batches that do not follow each other");
        }
        let vouched = |batch: &Signed<Batch>| provider.believes(batch).is_yes();
        let believed = batches.iter().rposition(vouched).map_or(0, |at| at + 1);
        let Some(tip) = feed.tip() else { return };
        let other = batches
            .iter()
            .take(believed)
            .find(|batch| batch.seq == tip.seq);
        if let Some(other) = other {
            // Its place is judged where all others are; what comes of it is the proof.
            feed.place(other, peer, &mut self.wire);
        }
    }
}

/// Whether batches are of one feed, after `from`, and each follows the one before.
pub(super) fn is_run(feed: &FeedId, from: u64, batches: &[Signed<Batch>]) -> bool {
    let of_feed =
        |batch: &Signed<Batch>| batch.provider == feed.provider && batch.zone == feed.zone;
    let after = batches.first().is_none_or(|first| first.seq > from);
    let follow =
        |pair: &[Signed<Batch>]| matches!(pair, [a, b] if Head::from(a).check_next(b).is_ok());
    after && batches.iter().all(of_feed) && batches.windows(2).all(follow)
}
