//! From when on all is known: the one rule that decides whether "none" can be said. Pure.
//! Source: spec §11.5.
//!
//! A batch says nothing of what was observed after it was published. So whatever is not known of a
//! feed raises the bound to the time of the newest batch of which anything is unread.

use std::collections::BTreeSet;

use bellwether_formats::id::ObjectId;

use super::{Body, Feed, KnownBatch, KnownPart};
use crate::observations::expired;
use crate::policy::Policy;

/// Most that two clocks may differ, in seconds (10 minutes): that of the provider, whose batches have
/// a time, and that of the device, whose observations have one. Source: spec §4.3, §11.5.
pub const CLOCKS_S: u64 = 600;

/// Time for which what lies before a chain is worth asking for, in seconds (14 days): the usual window.
const ASKED_FOR_S: u64 = 14 * 86_400;

/// From when on all of a feed is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Coverage {
    /// The bound, in seconds of UTC; 0 if there is none.
    pub from: u64,
    /// Its cause.
    pub cause: Option<Cause>,
}

/// Reason why an answer does not reach further back.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum Cause {
    #[error("the batches before then are not known")]
    Older,
    #[error("a batch is known to exist and could not be fetched")]
    Unreached,
    #[error("a body or a filter is missing; a sync fetches it")]
    Missing,
    #[error("a body, a filter or a chunk of the provider's breaks a rule")]
    Broken,
    #[error("a sealed part was not looked at yet, or holds what no look has settled")]
    Unsettled,
    #[error("a part is of a kind, scheme or size that this version does not read")]
    Update,
    #[error("there was no room for what was observed before then")]
    Room,
}

impl Coverage {
    /// No bound.
    pub(crate) const ALL: Self = Self {
        from: 0,
        cause: None,
    };

    /// The later of two bounds.
    pub(crate) fn and(self, other: Self) -> Self {
        if (other.from, other.cause) > (self.from, self.cause) {
            other
        } else {
            self
        }
    }

    /// The first second of which it can be said that nothing was.
    pub const fn since(&self) -> u64 {
        match self.from {
            0 => 0,
            from => from.saturating_add(CLOCKS_S),
        }
    }
}

impl Feed {
    /// From when on all is known; `None` if nothing is.
    pub(crate) fn coverage(&self, policy: Policy, now: u64) -> Option<Coverage> {
        self.head()?;
        let bound = |from, cause| Coverage {
            from,
            cause: Some(cause),
        };
        let edges = self.edges().map(|edge| (edge.published_at, Cause::Older));
        let seen = self.unreached().map(|seen| (seen.at, Cause::Unreached));
        let unread = self
            .batches
            .iter()
            .filter_map(|known| Some((known.published_at, self.unread(known, policy, now)?)));
        let bounds = edges.chain(seen).chain(unread);
        Some(bounds.fold(Coverage::ALL, |all, (from, cause)| {
            all.and(bound(from, cause))
        }))
    }

    /// The batches, on any branch, of which the one before is not known.
    pub(crate) fn edges(&self) -> impl Iterator<Item = &KnownBatch> {
        let known: BTreeSet<ObjectId> = self.batches.iter().map(|known| known.id).collect();
        self.batches
            .iter()
            .filter(move |batch| batch.prev.is_some_and(|prev| !known.contains(&prev)))
    }

    /// The edges of which it is worth asking what lies before, the newest first.
    pub(crate) fn edges_to_ask(&self, now: u64) -> Vec<&KnownBatch> {
        let mut edges: Vec<&KnownBatch> =
            self.edges().filter(|edge| is_recent(edge, now)).collect();
        edges.sort_by_key(|edge| std::cmp::Reverse((edge.published_at, edge.id)));
        edges
    }

    /// Tells whether the batch `id`, which a known one names as the one before it, is worth having.
    pub(crate) fn wants_before(&self, id: ObjectId, now: u64) -> bool {
        self.after(id).is_some_and(|after| is_recent(after, now))
    }

    /// Reason why not all of a batch is read, if so. What nothing that is kept can match any more does not
    /// count.
    fn unread(&self, known: &KnownBatch, policy: Policy, now: u64) -> Option<Cause> {
        let looked_at = self.is_looked_at(known);
        let cause = |part: &KnownPart| match &part.body {
            Body::Kept { .. } => None,
            Body::Lost { .. } | Body::Unfetched { .. } => Some(Cause::Missing),
            Body::Broken => Some(Cause::Broken),
            Body::Sealed(sealed) if looked_at => sealed.unread(policy),
            Body::Sealed(_) => None,
            Body::Unread => Some(Cause::Update),
        };
        let live = known.parts.iter().filter(|part| !expired(part.to, now));
        live.filter_map(cause).max()
    }
}

const fn is_recent(edge: &KnownBatch, now: u64) -> bool {
    edge.published_at.saturating_add(ASKED_FOR_S) >= now
}
