//! Batches before those that are known: whom it was asked of, and where it is put.

use bellwether_formats::batch::Batch;
use bellwether_formats::chain::ChainError;
use bellwether_formats::id::ObjectId;
use bellwether_formats::signed::Signed;
use serde::{Deserialize, Serialize};

use super::{Feed, Fork, KnownBatch};
use crate::serial;

/// Time when a gateway that had nothing older is asked again, in seconds (1 day): it may have fetched it
/// in the meantime.
const ASK_AGAIN_S: u64 = 86_400;

/// Most questions remembered, in items: as many gateways as there can be, for some branches.
const MAX_ASKED: usize = 256;

/// A gateway that was asked for what lies before a batch.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// The batch.
    #[serde(with = "serial::object")]
    before: ObjectId,
    /// The gateway's address.
    gateway: String,
    /// Time, in seconds of UTC.
    at: u64,
}

impl KnownBatch {
    /// Tells whether `batch`, whose id it names, can be the one before it.
    pub(super) fn check_before(&self, batch: &Batch) -> Result<(), ChainError> {
        if batch.seq.saturating_add(1) != self.seq {
            return Err(ChainError::Seq {
                found: self.seq,
                after: batch.seq,
            });
        }
        if batch.epoch > self.epoch {
            return Err(ChainError::Epoch {
                found: self.epoch,
                after: batch.epoch,
            });
        }
        if batch.published_at >= self.published_at {
            return Err(ChainError::PublishedAt {
                found: self.published_at,
                after: batch.published_at,
            });
        }
        Ok(())
    }
}

impl Feed {
    /// Takes note that a gateway was asked for what lies before a batch, and has nothing.
    pub(crate) fn note_asked(&mut self, before: ObjectId, gateway: &str, now: u64) {
        self.asked
            .retain(|asked| asked.before != before || asked.gateway != gateway);
        self.asked.push(Asked {
            before,
            gateway: gateway.to_owned(),
            at: now,
        });
        let over = self.asked.len().saturating_sub(MAX_ASKED);
        self.asked.drain(..over);
    }

    /// The gateways that were lately asked for what lies before a batch. A time ahead of the clock
    /// is none: the clock was wrong, then or now.
    pub(crate) fn asked(&self, before: ObjectId, now: u64) -> Vec<&str> {
        let lately = |asked: &&Asked| {
            asked.before == before && asked.at <= now && now < asked.at.saturating_add(ASK_AGAIN_S)
        };
        let asked = self.asked.iter().filter(lately);
        asked.map(|asked| asked.gateway.as_str()).collect()
    }

    /// Drops questions about batches that have one before them now, or are gone.
    pub(super) fn forget_asked(&mut self) {
        let edges: Vec<ObjectId> = self.edges().map(|edge| edge.id).collect();
        self.asked.retain(|asked| edges.contains(&asked.before));
    }

    /// Number of the newest batch of the main branch before `seq`; 0 if there is none.
    pub(crate) fn known_below(&self, seq: u64) -> u64 {
        let below = |known: &&KnownBatch| !known.side && known.seq < seq;
        let newest = self.batches.iter().rev().find(below);
        newest.map_or(0, |known| known.seq)
    }

    /// The batch that names `id` as the one before it; of several that of the main branch.
    pub(super) fn after(&self, id: ObjectId) -> Option<&KnownBatch> {
        let after = self.batches.iter().filter(|known| known.prev == Some(id));
        after.min_by_key(|known| known.side)
    }

    /// Turns what was taken for the main branch's into another branch, where `batch`, an ancestor of
    /// the head, has the number of another one.
    pub(super) fn cut_off(&mut self, batch: &Signed<Batch>) {
        let Some(other) = self.main_at(batch.seq) else {
            return;
        };
        let fork = Fork {
            seq: batch.seq,
            main: batch.id(),
            side: other.id,
            at: other.published_at,
        };
        self.forks.push(fork);
        for known in &mut self.batches {
            known.side |= known.seq <= batch.seq;
        }
        self.choose_again();
    }

    /// Has the ancestors of a batch of the main branch be of it too.
    pub(super) fn join(&mut self, id: ObjectId) {
        let mut at = self.batch(id).and_then(|known| known.prev);
        let mut any = false;
        while let Some(known) =
            at.and_then(|id| self.batches.iter_mut().find(|known| known.id == id))
        {
            any |= known.side;
            known.side = false;
            at = known.prev;
        }
        if any {
            self.choose_again();
        }
    }
}
