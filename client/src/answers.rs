//! What a client can say, and what it cannot. Source: spec §11.5.

use std::collections::BTreeSet;
use std::fmt;

use bellwether_formats::descriptor::Descriptor;
use bellwether_formats::id::{FeedId, Scheme};
use bellwether_formats::signed::Signed;

use crate::matcher::Match;
use crate::observations::expired;
use crate::policy::Policy;
use crate::time;
use crate::trust::{Body, Feed, KnownPart};

/// How far back a heartbeat speaks, in seconds (14 days). Source: spec §11.5.
const HEARTBEAT_WINDOW_S: u64 = 14 * 86_400;

/// What is known, and why it may not be all.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Alerts {
    /// What the device was near to.
    pub matches: Vec<Match>,
    /// Why "none" would not be the whole truth; empty if it is.
    pub doubts: Vec<Doubt>,
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
    #[error("not covered: batches {} to {} were missed", after.saturating_add(1), before.saturating_sub(1))]
    Gap { after: u64, before: u64 },
    #[error("not covered: {parts} of the provider's bodies or filters cannot be read")]
    Broken { parts: usize },
    #[error(
        "not covered: {bodies} bodies are gone, damaged or not fetched yet; a sync fetches them"
    )]
    Lost { bodies: usize },
    #[error("not covered: batch {seen} is known to exist, only {have} could be fetched")]
    Behind { have: u64, seen: u64 },
    #[error("not covered: something was observed at {}, before {} nothing is known", time::format(*at), time::format(*from))]
    Before { at: u64, from: u64 },
    #[error(
        "not covered: {parts} sealed parts are not looked at yet, hold what cannot be read, or came before what may be in them was recorded"
    )]
    Unconfirmed { parts: usize },
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
    pub(crate) fn of(feed: &Feed, now: u64) -> Self {
        let unread = |part: &&KnownPart| part.body == Body::Unread && !expired(part.to, now);
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

/// What stands against a "none" of this feed. `earliest` is the oldest observation's time.
pub(crate) fn doubts(
    feed: &Feed,
    descriptor: Option<&Signed<Descriptor>>,
    policy: Policy,
    earliest: Option<u64>,
    now: u64,
) -> Vec<Doubt> {
    let mut answers = Vec::new();
    if let Some(since) = descriptor
        .map(|held| held.expires_at)
        .filter(|at| *at <= now)
    {
        answers.push(Answer::Expired { since });
    }
    match feed.head() {
        None => answers.push(Answer::Never),
        Some(head) if head.next_by < now => answers.push(Answer::Stale {
            since: head.next_by,
        }),
        Some(_) => {}
    }
    answers.extend(feed.unreached().map(|seen| Answer::Behind {
        have: feed.head().map_or(0, |head| head.seq),
        seen: seen.seq,
    }));
    answers.extend(feed.gaps().iter().map(|gap| Answer::Gap {
        after: gap.after,
        before: gap.before,
    }));
    let covered_from = feed.batches().iter().map(|batch| {
        let parts = batch.parts.iter().map(|part| part.from);
        parts.fold(
            batch.published_at.saturating_sub(HEARTBEAT_WINDOW_S),
            u64::min,
        )
    });
    if let (Some(at), Some(from)) = (earliest, covered_from.min())
        && at < from
    {
        answers.push(Answer::Before { at, from });
    }
    let count = |what: Body| {
        let parts = feed.batches().iter().flat_map(|batch| &batch.parts);
        parts
            .filter(|part| part.body == what && !expired(part.to, now))
            .count()
    };
    let (broken, unread) = (count(Body::Broken), count(Body::Unread));
    let unconfirmed = feed.unconfirmed(policy, now);
    let lost = feed.lost(now).len();
    if lost > 0 {
        answers.push(Answer::Lost { bodies: lost });
    }
    if unconfirmed > 0 {
        answers.push(Answer::Unconfirmed { parts: unconfirmed });
    }
    let broken = broken + feed.broken_sealed(now);
    if broken > 0 {
        answers.push(Answer::Broken { parts: broken });
    }
    if unread > 0 {
        answers.push(Answer::Update {
            unknown: Unknown::of(feed, now),
            parts: unread,
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
