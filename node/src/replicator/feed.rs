//! What is known of one feed, and what is being done about it.

use std::collections::VecDeque;
use std::time::Duration;

use bellwether_formats::batch::Batch;
use bellwether_formats::chain::{ChainError, Head};
use bellwether_formats::id::FeedId;
use bellwether_formats::signed::Signed;

use super::chase::Chase;
use super::older::Older;
use super::queue::Line;
use super::shown::Unshown;
use super::wire::Wire;
use super::{FeedStatus, Job, KnownFeed, MAX_FETCHES_OF_FEED, MAX_OFFERS, MAX_QUEUE, Moment, Note};
use crate::network::PeerId;
use crate::relay::RefuseError;

/// One feed. Invariant: head, queue and run are one chain, each empty or linked to the one before.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) own: bool,
    /// The newest batch in the store.
    pub(super) head: Option<Head>,
    pub(super) forked: bool,
    pub(super) seen_at: Option<u64>,
    /// Believed batches after the head, to be committed in order.
    pub(super) line: Line,
    /// Batches before the oldest kept.
    pub(super) older: Older,
    /// Commits in a row that did not move the head.
    pub(super) commits_failed: u8,
    /// Peers that showed a batch newer than the head, latest first.
    pub(super) offers: VecDeque<PeerId>,
    pub(super) chase: Option<Chase>,
    /// Chases in a row that ended because every peer lacked the batch after the head.
    pub(super) gap_rounds: u8,
    /// The store is asked to move the head back: nothing is certain before it has answered.
    pub(super) on_hold: bool,
    /// The batch after the head, if it is larger than the disk cap.
    pub(super) too_large: Option<u64>,
    /// The newest batch that is vouched for and ignored because it is of the future.
    pub(super) future: Option<Future>,
    /// The batch of one's own that a peer is to show.
    pub(super) unshown: Option<Unshown>,
}

/// A batch of the future.
#[derive(Clone, Copy, Debug)]
pub(super) struct Future {
    /// Time when it says that it was published, in seconds of UTC.
    pub(super) published_at: u64,
    /// Time when a peer showed it last.
    pub(super) shown_at: Duration,
}

/// Where a batch stands that is vouched for.
#[derive(Debug)]
pub(super) enum Place {
    /// It is newer than what is known, and counts.
    Newer,
    /// It has the number after the tip and does not link to it.
    Diverges,
    /// It does not count.
    Refused(RefuseError),
}

impl Feed {
    pub(super) fn new(known: KnownFeed) -> Self {
        Self {
            own: known.own,
            head: known.head,
            forked: known.forked,
            seen_at: None,
            line: Line::default(),
            older: Older::new(),
            commits_failed: 0,
            offers: VecDeque::new(),
            chase: None,
            gap_rounds: 0,
            on_hold: false,
            too_large: None,
            future: None,
            unshown: None,
        }
    }

    /// The newest batch that is believed.
    pub(super) fn tip(&self) -> Option<Head> {
        self.line.queue.back().map(Head::from).or(self.head)
    }

    /// Whether there is something to do.
    pub(super) fn is_busy(&self) -> bool {
        !self.line.queue.is_empty() || self.chase.is_some()
    }

    /// Finds the place of a batch that is vouched for, and puts it there or goes after what lies
    /// between.
    pub(super) fn place(&mut self, batch: &Signed<Batch>, peer: PeerId, wire: &mut Wire) -> Place {
        let Some(tip) = self.tip() else {
            self.chase(batch.seq, peer, wire.now);
            return Place::Newer;
        };
        if self.on_hold {
            // The tip is about to fall; the batch is found again from where it comes to stand.
            self.chase(batch.seq, peer, wire.now);
            return Place::Newer;
        }
        if batch.id() == tip.id {
            return Place::Refused(RefuseError::Known);
        }
        if batch.seq <= tip.seq {
            return Place::Refused(self.older(batch, tip.seq, wire));
        }
        if let Some(target) = self.chase.as_ref().map(|chase| chase.target)
            && batch.seq <= target
            && batch.seq - tip.seq > 1
        {
            // It was passed on already, or a newer one was.
            self.offer(peer);
            let (found, known) = (batch.seq, target);
            return Place::Refused(RefuseError::Stale { found, known });
        }
        if batch.seq - tip.seq > 1 {
            return match tip.check_later(batch) {
                Ok(()) => {
                    self.chase(batch.seq, peer, wire.now);
                    Place::Newer
                }
                Err(error) => Place::Refused(error.into()),
            };
        }
        match tip.check_next(batch) {
            Ok(()) if self.line.queue.len() >= MAX_QUEUE => Place::Refused(RefuseError::Full),
            Ok(()) => {
                self.offer(peer);
                self.line.queue.push_back(batch.clone());
                if let Some(chase) = &mut self.chase {
                    chase.forget_run();
                }
                self.end_chase_if_done();
                Place::Newer
            }
            Err(ChainError::Prev { .. }) => Place::Diverges,
            Err(error) => Place::Refused(error.into()),
        }
    }

    /// A batch that is not newer: known, or a proof that its provider contradicts itself.
    fn older(&self, batch: &Signed<Batch>, tip: u64, wire: &mut Wire) -> RefuseError {
        let known = self.line.queue.iter().find(|known| known.seq == batch.seq);
        match known {
            Some(known) if known.id() == batch.id() => RefuseError::Known,
            Some(known) => {
                if !self.forked {
                    wire.job(Job::Fork {
                        one: Box::new(known.clone()),
                        other: Box::new(batch.clone()),
                    });
                }
                RefuseError::Equivocation
            }
            None => {
                if !self.forked {
                    wire.job(Job::Compare(Box::new(batch.clone())));
                }
                RefuseError::Stale {
                    found: batch.seq,
                    known: tip,
                }
            }
        }
    }

    /// A batch that is vouched for is ignored because it is of the future.
    pub(super) fn of_the_future(&mut self, published_at: u64, now: Duration) {
        let known = self.future.map_or(0, |future| future.published_at);
        self.future = Some(Future {
            published_at: published_at.max(known),
            shown_at: now,
        });
    }

    /// A batch that is vouched for is not of the future, nor are those before it.
    pub(super) fn is_past(&mut self, published_at: u64) {
        self.future = { self.future }.filter(|future| future.published_at > published_at);
    }

    /// Remembers that a peer has something newer.
    pub(super) fn offer(&mut self, peer: PeerId) {
        self.offers.retain(|known| *known != peer);
        self.offers.push_front(peer);
        self.offers.truncate(MAX_OFFERS);
    }

    /// Goes after the batches up to `target`, which `peer` showed.
    pub(super) fn chase(&mut self, target: u64, peer: PeerId, now: Moment) {
        self.offer(peer);
        let chase = self.chase.get_or_insert_with(|| Chase::new(now.at));
        chase.target = chase.target.max(target);
    }

    /// Drops everything that is not in the store.
    pub(super) fn forget(&mut self) {
        self.line = Line::default();
        self.chase = None;
        self.commits_failed = 0;
    }

    /// Drops everything that is not in the store, until a peer shows it again.
    pub(super) fn give_up(&mut self, id: &FeedId, what: &'static str, wire: &mut Wire) {
        self.forget();
        self.offers.clear();
        wire.stats.fetch_failures += 1;
        let feed = id.clone();
        wire.note(Note::GaveUp { feed, what });
    }

    /// When something is due here, if it need not wait for an answer.
    pub(super) fn timeout(
        &self,
        id: &FeedId,
        room_to_chase: bool,
        room_to_fill: bool,
        wire: &Wire,
    ) -> Option<Duration> {
        if !self.is_busy() || self.on_hold || !wire.may_fetch() {
            return self.older_timeout(room_to_fill, wire);
        }
        let chase = self.chase.as_ref();
        let may_ask = self.line.queue.len() < MAX_QUEUE && (room_to_chase || self.is_chasing());
        let chase = chase.filter(|_| may_ask).and_then(Chase::timeout);
        let room_to_fetch = wire.fetches_of(id) < MAX_FETCHES_OF_FEED;
        let fetch = self.line.front.timeout().filter(|_| room_to_fetch);
        fetch.into_iter().chain(chase).min()
    }

    pub(super) fn status(&self, now: Duration, anti_entropy: Duration) -> FeedStatus {
        let queued = self.line.queue.back().map(|batch| batch.seq);
        let target = self.chase.as_ref().map(|chase| chase.target);
        FeedStatus {
            head: self.head,
            behind: target.max(queued),
            seen_at: self.seen_at,
            forked: self.forked,
            too_large: self.too_large,
            not_relayed: self.not_relayed(now, anti_entropy),
        }
    }
}
