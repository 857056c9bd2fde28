//! What makes batches a feed: numbers, links, epochs, times, and who may sign the newest.
//! Relays and clients judge by these same functions. Source: spec §4.3.

use crate::batch::Batch;
use crate::descriptor::Descriptor;
use crate::error::rules;
use crate::id::ObjectId;
use crate::limit;
use crate::signed::Signed;

/// What is remembered of a feed's newest batch: enough to judge the next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Head {
    /// Its number.
    pub seq: u64,
    /// Its id.
    pub id: ObjectId,
    /// Its epoch.
    pub epoch: u64,
    /// When it was published.
    pub published_at: u64,
    /// When a newer one is due.
    pub next_by: u64,
}

impl From<&Signed<Batch>> for Head {
    fn from(batch: &Signed<Batch>) -> Self {
        Self {
            seq: batch.seq,
            id: batch.id(),
            epoch: batch.epoch,
            published_at: batch.published_at,
            next_by: batch.next_by,
        }
    }
}

impl Head {
    /// Order among the batches of its feed. Source: spec §4.3.
    pub const fn order(&self) -> (u64, u64) {
        (self.epoch, self.seq)
    }

    /// Whether `next` is the batch right after this one, of the same feed.
    ///
    /// # Errors
    ///
    /// The first [`ChainError`] of `seq`, `prev`, `epoch`, `published-at`.
    pub fn check_next(&self, next: &Signed<Batch>) -> Result<(), ChainError> {
        if next.seq != self.seq.saturating_add(1) {
            return Err(ChainError::Seq {
                found: next.seq,
                after: self.seq,
            });
        }
        if next.prev != Some(self.id) {
            return Err(ChainError::Prev { seq: next.seq });
        }
        self.check_later(next)
    }

    /// Whether `later` can stand somewhere after this one, of the same feed, as far as the two
    /// tell: the batches between them are still to be seen.
    ///
    /// # Errors
    ///
    /// The first [`ChainError`] of `epoch`, `published-at`, `seq-growth`.
    pub fn check_later(&self, later: &Batch) -> Result<(), ChainError> {
        if later.epoch < self.epoch {
            return Err(ChainError::Epoch {
                found: later.epoch,
                after: self.epoch,
            });
        }
        let seconds = later.published_at.saturating_sub(self.published_at);
        if seconds == 0 {
            let (found, after) = (later.published_at, self.published_at);
            return Err(ChainError::PublishedAt { found, after });
        }
        let grown = later.seq.saturating_sub(self.seq);
        if grown > seconds {
            return Err(ChainError::SeqGrowth { grown, seconds });
        }
        Ok(())
    }
}

/// Whether the clock allows `batch` now, in seconds of UTC: it is at most 10 minutes ahead.
///
/// # Errors
///
/// [`ChainError::Future`], which is no proof of bad faith: either clock may be wrong.
pub fn check_time(batch: &Batch, now: u64) -> Result<(), ChainError> {
    let ahead = batch.published_at.saturating_sub(now);
    if ahead > limit::MAX_FUTURE_S {
        return Err(ChainError::Future { ahead });
    }
    Ok(())
}

/// Whether the provider's current descriptor vouches for `batch` without its descendants: the key
/// is listed for its time, the zone is the provider's, the epoch is not beyond the descriptor's.
///
/// # Errors
///
/// [`ChainError::NewEpoch`]: ask for the newer descriptor first. [`ChainError::Key`]: true only if
/// a batch that is vouched for descends from it. The others are the signer's fault.
pub fn check_listed(batch: &Batch, descriptor: &Signed<Descriptor>) -> Result<(), ChainError> {
    if batch.epoch > descriptor.epoch {
        return Err(ChainError::NewEpoch {
            found: batch.epoch,
            known: descriptor.epoch,
        });
    }
    if batch.epoch == descriptor.epoch && batch.desc != descriptor.cid() {
        return Err(ChainError::Desc);
    }
    if !descriptor.lists(&batch.key, batch.published_at) {
        return Err(ChainError::Key);
    }
    if !descriptor.zones.contains(&batch.zone) {
        return Err(ChainError::Zone);
    }
    if batch.published_at >= descriptor.expires_at {
        return Err(ChainError::Expired {
            at: descriptor.expires_at,
        });
    }
    Ok(())
}

/// Why a batch does not stand where it claims to stand.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum ChainError {
    #[error("the batch names another descriptor of the same epoch")]
    Desc,
    #[error("epoch {found} after epoch {after}")]
    Epoch { found: u64, after: u64 },
    #[error("published after the provider's descriptor expired at {at}")]
    Expired { at: u64 },
    #[error(
        "published {ahead} s in the future, the limit is {} s",
        limit::MAX_FUTURE_S
    )]
    Future { ahead: u64 },
    #[error("the provider's descriptor does not list the signing key for that time")]
    Key,
    #[error("epoch {found}, the newest descriptor known is of epoch {known}")]
    NewEpoch { found: u64, known: u64 },
    #[error("batch {seq} does not name the batch before it")]
    Prev { seq: u64 },
    #[error("published at {found}, the batch before it at {after}")]
    PublishedAt { found: u64, after: u64 },
    #[error("batch {found} after batch {after}")]
    Seq { found: u64, after: u64 },
    #[error("{grown} batches in {seconds} s")]
    SeqGrowth { grown: u64, seconds: u64 },
    #[error("the provider's descriptor does not name the zone")]
    Zone,
}

rules!(ChainError {
    Self::Desc => "desc",
    Self::Epoch { .. } => "epoch",
    Self::Expired { .. } => "descriptor-expired",
    Self::Future { .. } => "future",
    Self::Key => "key-not-listed",
    Self::NewEpoch { .. } => "new-epoch",
    Self::Prev { .. } => "prev",
    Self::PublishedAt { .. } => "published-at",
    Self::Seq { .. } => "seq",
    Self::SeqGrowth { .. } => "seq-growth",
    Self::Zone => "zone-not-listed"
});
