//! What a client can say, and what it cannot. Source: spec §11.5.

use std::collections::BTreeSet;
use std::fmt;

use bellwether_formats::descriptor::Descriptor;
use bellwether_formats::id::{FeedId, Scheme};
use bellwether_formats::signed::Signed;

use crate::horizon::Times;
use crate::matcher::Match;
use crate::observations::expired;
use crate::policy::Policy;
use crate::time;
use crate::trust::{Body, Cause, Coverage, Feed, KnownPart};

/// What is known, and why it may not be all.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Alerts {
    /// What the device was near to.
    pub matches: Vec<Match>,
    /// Why "none" would not be the whole truth; empty if it is.
    pub doubts: Vec<Doubt>,
    /// From when on all is known, in every feed followed, in seconds of UTC: 0 if there is no bound,
    /// `None` if of some feed nothing is known. "None" can be said of what was observed
    /// [`CLOCKS_S`](crate::trust::CLOCKS_S) later, and since.
    pub covered_from: Option<u64>,
}

/// Why a feed may hold more than is known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Doubt {
    /// Which feed.
    pub feed: FeedId,
    /// What is in doubt.
    pub answer: Answer,
}

/// An answer that is neither "match" nor "none".
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum Answer {
    #[error("stale since {}: a newer batch was promised by then", time::format(*since))]
    Stale { since: u64 },
    #[error("stale since {}: the provider's descriptor expired", time::format(*since))]
    Expired { since: u64 },
    #[error("not covered: nothing is known of it yet")]
    Never,
    #[error("not covered before {}: {cause}", time::format(*since))]
    NotCovered { since: u64, cause: Cause },
    #[error(
        "update needed{unknown}: {parts} parts are of a kind, scheme or size that this version does not read"
    )]
    Update { unknown: Unknown, parts: usize },
}

/// Codes that this version does not know.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Unknown {
    /// Of schemes.
    pub schemes: BTreeSet<u8>,
    /// Of kinds of parts.
    pub kinds: BTreeSet<u64>,
}

impl Unknown {
    /// The codes of the parts of a feed that are not read and may still match.
    pub(crate) fn of(feed: &Feed, horizon: u64) -> Self {
        let unread = |part: &&KnownPart| part.body == Body::Unread && !expired(part.to, horizon);
        let mut unknown = Self::default();
        for part in feed.parts().filter(unread) {
            let scheme = part.scheme.filter(|code| Scheme(*code).rules().is_none());
            unknown.schemes.extend(scheme);
            unknown.kinds.extend(part.kind);
        }
        unknown
    }
}

/// ` for scheme 9, kind 2`; nothing if there is none.
impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schemes = self.schemes.iter().map(|code| format!("scheme {code}"));
        let kinds = self.kinds.iter().map(|code| format!("kind {code}"));
        let codes: Vec<String> = schemes.chain(kinds).collect();
        if codes.is_empty() {
            return Ok(());
        }
        write!(f, " for {}", codes.join(", "))
    }
}

/// Observations that an answer speaks of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Observed {
    /// The time of the oldest, if there is any.
    pub(crate) earliest: Option<u64>,
    /// The time of the newest that there was no room for, if there was any.
    pub(crate) dropped: Option<u64>,
}

impl Observed {
    /// The time of the oldest that an answer speaks of. Where nothing was observed it is that of an
    /// observation made now: "none" is the answer once something can be known of it.
    fn oldest(self, now: u64) -> u64 {
        let observed = [self.earliest, self.dropped].into_iter().flatten();
        observed.min().unwrap_or(now)
    }

    /// From when on all was kept.
    fn coverage(self) -> Coverage {
        self.dropped.map_or(Coverage::ALL, |at| Coverage {
            from: at.saturating_add(1),
            cause: Some(Cause::Room),
        })
    }
}

/// From when on all is known of a feed, and of what was observed; `None` if nothing is.
pub(crate) fn coverage(
    feed: &Feed,
    policy: Policy,
    observed: Observed,
    now: u64,
) -> Option<Coverage> {
    Some(feed.coverage(policy, now)?.and(observed.coverage()))
}

/// Doubts against a "none" of this feed.
pub(crate) fn doubts(
    feed: &Feed,
    descriptor: Option<&Signed<Descriptor>>,
    policy: Policy,
    observed: Observed,
    times: Times,
) -> Vec<Doubt> {
    let Times { now, horizon } = times;
    let mut answers = Vec::new();
    if let Some(since) = descriptor
        .map(|held| held.expires_at)
        .filter(|at| *at <= now)
    {
        answers.push(Answer::Expired { since });
    }
    if let Some(head) = feed.head()
        && head.next_by < now
    {
        let since = head.next_by;
        answers.push(Answer::Stale { since });
    }
    match coverage(feed, policy, observed, horizon) {
        None => answers.push(Answer::Never),
        Some(coverage) if observed.oldest(now) < coverage.since() => {
            // What is not read for want of an update has an answer of its own.
            let cause = coverage.cause.filter(|cause| *cause != Cause::Update);
            answers.extend(cause.map(|cause| Answer::NotCovered {
                since: coverage.since(),
                cause,
            }));
        }
        Some(_) => {}
    }
    let unread = |part: &&KnownPart| part.body == Body::Unread && !expired(part.to, horizon);
    let parts = feed.parts().filter(unread).count();
    if parts > 0 {
        answers.push(Answer::Update {
            unknown: Unknown::of(feed, horizon),
            parts,
        });
    }
    answers
        .into_iter()
        .map(|answer| Doubt {
            feed: feed.id(),
            answer,
        })
        .collect()
}
