//! What is known of the feeds followed, for people and scripts.

use bellwether_formats::descriptor::Gateway;
use serde::Serialize;

use crate::answers;
use crate::confirm::Operators;
use crate::policy::{self, Policy};
use crate::sealed::Stage;
use crate::state::Followed;
use crate::trust::{Body, Feed};

/// A feed, in numbers.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct FeedStatus {
    /// Whose feed.
    pub provider: String,
    /// The provider's name for people, once its descriptor is known.
    pub name: Option<String>,
    /// The zone.
    pub zone: String,
    /// Number of the newest batch known.
    pub head: Option<u64>,
    /// Its epoch.
    pub epoch: Option<u64>,
    /// Seconds since it was published.
    pub age_s: Option<u64>,
    /// When a newer one is due, in seconds of UTC.
    pub next_by: Option<u64>,
    /// When a sync last reached the feed's end, in seconds of UTC.
    pub reached_at: Option<u64>,
    /// When an anchor last set the feed right, in seconds of UTC.
    pub anchored_at: Option<u64>,
    /// The provider signed two stories.
    pub forked: bool,
    /// The numbers of the first and last batch of each gap.
    pub gaps: Vec<(u64, u64)>,
    /// Batches kept.
    pub batches: usize,
    /// Bodies kept.
    pub bodies: usize,
    /// Parts of a kind or scheme that this version does not read.
    pub unknown_parts: usize,
    /// Sealed parts of which filter and index are kept.
    pub filters: usize,
    /// How hits in filters are confirmed.
    pub policy: &'static str,
    /// Operators known of the provider's gateways, those of its descriptor included.
    pub operators: usize,
    /// What relays learn of this device with that policy and those operators.
    pub leaks: Vec<String>,
    /// The gateways given by hand.
    pub gateways: Vec<String>,
    /// What stands against a "none".
    pub doubts: Vec<String>,
}

impl FeedStatus {
    pub(crate) fn of(
        followed: &Followed,
        feed: &Feed,
        policy: Policy,
        earliest: Option<u64>,
        now: u64,
    ) -> Self {
        let id = feed.id();
        let descriptor = followed.descriptor.as_ref();
        let head = feed.head();
        let parts = || feed.batches().iter().flat_map(|batch| &batch.parts);
        let doubts = answers::doubts(feed, descriptor, policy, earliest, now);
        let operators = operators(followed);
        Self {
            provider: id.provider.to_string(),
            name: descriptor.map(|descriptor| descriptor.name.clone()),
            zone: id.zone.to_string(),
            head: head.map(|head| head.seq),
            epoch: head.map(|head| head.epoch),
            age_s: head.map(|head| now.saturating_sub(head.published_at)),
            next_by: head.map(|head| head.next_by),
            reached_at: feed.reached_at(),
            anchored_at: feed.anchored_at(),
            forked: !feed.forks().is_empty(),
            gaps: feed
                .gaps()
                .iter()
                .map(|gap| (gap.after.saturating_add(1), gap.before.saturating_sub(1)))
                .collect(),
            batches: feed.batches().len(),
            bodies: parts()
                .filter(|part| matches!(part.body, Body::Kept { .. }))
                .count(),
            unknown_parts: parts().filter(|part| part.body == Body::Unread).count(),
            filters: parts()
                .filter(|part| matches!(&part.body, Body::Sealed(sealed) if sealed.stage == Stage::Held))
                .count(),
            policy: policy.name(),
            operators,
            leaks: leaks(policy, operators),
            gateways: followed.pins.iter().map(|pin| pin.url.clone()).collect(),
            doubts: doubts
                .iter()
                .map(|doubt| doubt.answer.to_string())
                .collect(),
        }
    }
}

/// How many operators run the gateways known.
fn operators(followed: &Followed) -> usize {
    let pins: Vec<Gateway> = followed.pins.iter().map(Gateway::from).collect();
    let named = followed
        .descriptor
        .as_ref()
        .map_or(&[][..], |held| &held.gateways);
    Operators::of(&policy::order(&pins, named, 0), |_| true).known()
}

/// What relays learn of a device. Source: spec §11.7.
fn leaks(policy: Policy, operators: usize) -> Vec<String> {
    let mut leaks =
        vec!["every relay asked learns this device's IP address and the zones it reads"];
    leaks.extend(match (policy, operators) {
        (Policy::Lean, _) => vec![
            "`lean`: a relay that is asked for a chunk learns that this device was probably near \
             to somebody, and which other devices were near to the same",
        ],
        (Policy::WholeBody, _) => vec!["`whole-body`: nothing of what was observed"],
        (Policy::Private, 0 | 1) => vec![
            "`private`, but fewer than two operators are known: bodies up to 512 KiB are fetched \
             whole, which tells nothing",
            "larger bodies are asked for by decoys, eight chunks each time: the relay can guess \
             who was near to somebody, better than chance; add a gateway of another operator, or \
             use `whole-body`",
        ],
        (Policy::Private, _) => vec![
            "`private`: no single relay learns anything of what was observed; two relays that \
             collude learn which chunk was asked for, and may guess from it who was near to \
             somebody",
        ],
    });
    leaks.into_iter().map(str::to_owned).collect()
}
