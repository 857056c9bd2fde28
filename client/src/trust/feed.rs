//! The trust state of a feed: which batches are known, which of them is the head, and what is
//! wrong with the story they tell.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_formats::batch::Batch;
use bellwether_formats::chain::ChainError;
use bellwether_formats::id::{FeedId, ObjectId, ProviderId, Zone};
use bellwether_formats::signed::Signed;
use serde::{Deserialize, Serialize};

use crate::observations::expired;
use crate::serial;
use older::Asked;

mod branches;
mod coverage;
mod known;
mod missing;
mod older;
mod ranges;
mod sealed;

pub use coverage::{CLOCKS_S, Cause, Coverage};
pub use known::{Body, KnownBatch, KnownPart};
pub use ranges::Choice;
pub(crate) use sealed::Wanted;

/// A feed that is followed: its batches of the retention, on its main branch and beside it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Feed {
    #[serde(with = "serial::text")]
    provider: ProviderId,
    #[serde(with = "serial::text")]
    zone: Zone,
    #[serde(with = "serial::maybe_object")]
    head: Option<ObjectId>,
    batches: Vec<KnownBatch>,
    forks: Vec<Fork>,
    anchored_at: Option<u64>,
    reached_at: Option<u64>,
    seen: Vec<Seen>,
    asked: Vec<Asked>,
}

/// A batch that is vouched for, and that was not reached yet.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// Its epoch.
    pub epoch: u64,
    /// Its number.
    pub seq: u64,
    /// Which batch it is.
    #[serde(with = "serial::object")]
    pub id: ObjectId,
    /// When it was published, in seconds of UTC.
    pub at: u64,
}

/// The provider signed two stories.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Fork {
    /// The first number known to be used twice.
    pub seq: u64,
    /// Its batch on the main branch.
    #[serde(with = "serial::object")]
    pub main: ObjectId,
    /// Its batch on the other.
    #[serde(with = "serial::object")]
    pub side: ObjectId,
    /// When the other branch was published, in seconds of UTC.
    pub at: u64,
}

/// Where a believed batch stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// Known, or of no branch that can be told: nothing to do.
    Known,
    /// It becomes the head.
    Next,
    /// It becomes the head, and what lies between is missing.
    AfterGap,
    /// It is the one before a known batch.
    Before,
    /// It is on another branch.
    Side,
}

impl Feed {
    /// A feed of which nothing is known yet.
    pub fn new(id: FeedId) -> Self {
        Self {
            provider: id.provider,
            zone: id.zone,
            head: None,
            batches: Vec::new(),
            forks: Vec::new(),
            anchored_at: None,
            reached_at: None,
            seen: Vec::new(),
            asked: Vec::new(),
        }
    }

    /// Whose feed, and of which zone.
    pub fn id(&self) -> FeedId {
        FeedId {
            provider: self.provider,
            zone: self.zone.clone(),
        }
    }

    /// The newest batch of the main branch.
    pub fn head(&self) -> Option<&KnownBatch> {
        self.head.and_then(|id| self.batch(id))
    }

    /// A batch by its id.
    pub fn batch(&self, id: ObjectId) -> Option<&KnownBatch> {
        self.batches.iter().rev().find(|known| known.id == id)
    }

    /// The batches of the retention, ascending by number.
    pub fn batches(&self) -> &[KnownBatch] {
        &self.batches
    }

    pub(crate) fn parts(&self) -> impl Iterator<Item = &KnownPart> {
        self.batches.iter().flat_map(|known| &known.parts)
    }

    pub(crate) fn parts_mut(&mut self) -> impl Iterator<Item = &mut KnownPart> {
        self.batches.iter_mut().flat_map(|known| &mut known.parts)
    }

    pub(crate) fn batches_mut(&mut self) -> impl Iterator<Item = &mut KnownBatch> {
        self.batches.iter_mut()
    }

    /// Takes over from an older state of the same feed how far each body was tested.
    pub(crate) fn remember_tests(&mut self, old: &Self) {
        let kept = old
            .batches
            .iter()
            .flat_map(|known| &known.parts)
            .filter_map(|part| match part.body {
                Body::Kept { cid, tested } | Body::Lost { cid, tested } => {
                    Some(((cid, part.from, part.to), tested))
                }
                Body::Unfetched { .. } | Body::Broken | Body::Sealed(_) | Body::Unread => None,
            });
        let known: BTreeMap<_, u64> = kept.collect();
        for part in self.parts_mut() {
            let (from, to) = (part.from, part.to);
            if let Body::Kept { cid, tested } | Body::Lost { cid, tested } = &mut part.body {
                *tested = known
                    .get(&(*cid, from, to))
                    .copied()
                    .unwrap_or(0)
                    .max(*tested);
            }
        }
        self.remember_looks(old);
    }

    /// Proofs that the provider, or a thief of its key, signed two stories.
    pub fn forks(&self) -> &[Fork] {
        &self.forks
    }

    /// When an anchor last set the feed right, in seconds of UTC.
    pub const fn anchored_at(&self) -> Option<u64> {
        self.anchored_at
    }

    /// When a sync last reached the newest batch known to a gateway, in seconds of UTC.
    pub const fn reached_at(&self) -> Option<u64> {
        self.reached_at
    }

    pub(crate) const fn set_reached(&mut self, now: u64) {
        self.reached_at = Some(now);
    }

    /// Whether another batch than `id` is known under `seq`.
    pub(crate) fn contradicts(&self, seq: u64, id: ObjectId) -> bool {
        self.batch(id).is_none() && self.main_at(seq).is_some()
    }

    /// Where a believed batch stands.
    ///
    /// # Errors
    ///
    /// The rule of the chain that its place breaks.
    pub fn place(&self, batch: &Signed<Batch>) -> Result<Place, ChainError> {
        if self.batch(batch.id()).is_some() {
            return Ok(Place::Known);
        }
        let Some(head) = self.head() else {
            return Ok(Place::Next);
        };
        if let Some(after) = self.after(batch.id()) {
            after.check_before(batch)?;
            return Ok(Place::Before);
        }
        let contradicts = self.main_at(batch.seq).is_some();
        if let Some(prev) = batch.prev.and_then(|prev| self.batch(prev)) {
            prev.as_head().check_next(batch)?;
            return Ok(if prev.id == head.id {
                Place::Next
            } else if prev.side || contradicts {
                Place::Side
            } else {
                Place::Known
            });
        }
        if batch.seq > head.seq.saturating_add(1) {
            head.as_head().check_later(batch)?;
            return Ok(Place::AfterGap);
        }
        Ok(if batch.seq > head.seq || contradicts {
            Place::Side
        } else {
            Place::Known
        })
    }

    /// Takes a believed batch in at its place.
    pub fn accept(&mut self, batch: &Signed<Batch>, place: Place, parts: Vec<KnownPart>) {
        match place {
            Place::Known => return,
            Place::Next => self.head = Some(batch.id()),
            Place::AfterGap => self.head = Some(batch.id()),
            Place::Before => {}
            Place::Side => self.note_fork(batch),
        }
        let side = match place {
            Place::Before => self.after(batch.id()).is_some_and(|after| after.side),
            Place::Known | Place::Next | Place::AfterGap | Place::Side => place == Place::Side,
        };
        if place == Place::Before && !side {
            self.cut_off(batch);
        }
        let known = KnownBatch {
            seq: batch.seq,
            id: batch.id(),
            prev: batch.prev,
            epoch: batch.epoch,
            published_at: batch.published_at,
            next_by: batch.next_by,
            cid: batch.cid(),
            side,
            covers: batch.covers,
            choice: None,
            parts,
        };
        let at = self
            .batches
            .partition_point(|other| (other.seq, other.id) < (known.seq, known.id));
        self.batches.insert(at, known);
        self.forget_seen();
        if place == Place::Before && !side {
            self.join(batch.id());
        }
        // Order in a feed is (epoch, seq): a thief of a signing key cannot make an epoch.
        let epoch = self.head().map_or(0, |head| head.epoch);
        if place == Place::Side && batch.epoch > epoch {
            self.go_over_to(batch.id());
        }
    }

    /// Drops what is past the retention. The head stays, and so does the batch before the oldest that
    /// is kept: what was observed since is covered from that one on.
    pub fn expire(&mut self, now: u64) {
        let head = self.head;
        let past = |known: &KnownBatch| expired(known.published_at.saturating_add(CLOCKS_S), now);
        let kept = self.batches.iter().filter(|known| !past(known));
        let floors: BTreeSet<ObjectId> = kept.filter_map(|known| known.prev).collect();
        self.batches
            .retain(|known| Some(known.id) == head || !past(known) || floors.contains(&known.id));
        self.forks.retain(|fork| !expired(fork.at, now));
        self.seen
            .retain(|seen| !expired(seen.at.saturating_add(CLOCKS_S), now));
        self.forget_seen();
        self.forget_asked();
        self.sealed_mut().for_each(|sealed| sealed.expire(now));
    }

    fn main_at(&self, seq: u64) -> Option<&KnownBatch> {
        self.batches
            .iter()
            .find(|known| known.seq == seq && !known.side)
    }

    /// Notes the root of a branch, once.
    fn note_fork(&mut self, batch: &Signed<Batch>) {
        let of_known_branch = |prev| self.batch(prev).is_some_and(|prev| prev.side);
        if batch.prev.is_some_and(of_known_branch) {
            return;
        }
        let twice = match (self.main_at(batch.seq), batch.prev) {
            (Some(main), _) => Some((main, batch.id())),
            // Its parent is what contradicts the head, and is known by its id alone.
            (None, Some(prev)) => self
                .main_at(batch.seq.saturating_sub(1))
                .map(|main| (main, prev)),
            (None, None) => None,
        };
        let fork = twice.map(|(main, side)| Fork {
            seq: main.seq,
            main: main.id,
            side,
            at: batch.published_at,
        });
        let new = fork.filter(|fork| !self.forks.iter().any(|noted| noted.side == fork.side));
        self.forks.extend(new);
    }
}
