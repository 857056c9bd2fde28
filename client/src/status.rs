//! What is known of the feeds followed, for people and scripts.

use serde::Serialize;

use crate::answers;
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
    /// The gateways given by hand.
    pub gateways: Vec<String>,
    /// What stands against a "none".
    pub doubts: Vec<String>,
}

impl FeedStatus {
    pub(crate) fn of(followed: &Followed, feed: &Feed, earliest: Option<u64>, now: u64) -> Self {
        let id = feed.id();
        let descriptor = followed.descriptor.as_ref();
        let head = feed.head();
        let parts = || feed.batches().iter().flat_map(|batch| &batch.parts);
        let doubts = answers::doubts(feed, descriptor, earliest, now);
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
            gateways: followed.pins.iter().map(|pin| pin.url.clone()).collect(),
            doubts: doubts
                .iter()
                .map(|doubt| doubt.answer.to_string())
                .collect(),
        }
    }
}
