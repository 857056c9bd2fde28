//! Batches of one's own that no peer shows. Peers are asked for their heads every round, and one that
//! carries a zone shows its newest batch.

use std::time::Duration;

use super::Moment;
use super::feed::Feed;

/// Rounds of anti-entropy without a peer that shows the newest batch, until nobody is said to carry the
/// zone: one may just have been over when it was published, one may fail.
const ROUNDS: u32 = 3;

/// A batch of one's own that no peer has shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unshown {
    /// Where it stands among the batches of its feed.
    order: (u64, u64),
    /// Time when it was published, or the node started.
    since: Moment,
}

impl Unshown {
    fn told_at(&self, anti_entropy: Duration) -> Duration {
        self.since.at + anti_entropy * ROUNDS
    }
}

impl Feed {
    /// The newest batch waits to be shown by a peer. One that waits already stays the one that is
    /// waited for: a zone that publishes faster than peers are asked must not put it off for ever.
    pub(super) fn await_peers(&mut self, now: Moment) {
        if let Some(head) = self.head.filter(|_| self.own) {
            let order = head.order();
            self.unshown.get_or_insert(Unshown { order, since: now });
        }
    }

    /// A peer has shown a batch of this feed.
    pub(super) fn shown(&mut self, order: (u64, u64), now: Moment) {
        if self.unshown.is_some_and(|unshown| unshown.order <= order) {
            self.unshown = None;
            if self.head.is_some_and(|head| head.order() > order) {
                self.await_peers(now);
            }
        }
    }

    /// Time since when no peer has shown what is published, in seconds of UTC, if that is too long.
    pub(super) fn not_relayed(&self, now: Duration, anti_entropy: Duration) -> Option<u64> {
        let unshown = self.unshown?;
        (unshown.told_at(anti_entropy) <= now).then_some(unshown.since.utc)
    }

    /// Time when it will be too long.
    pub(super) fn not_relayed_at(&self, now: Duration, anti_entropy: Duration) -> Option<Duration> {
        let at = self.unshown?.told_at(anti_entropy);
        (at > now).then_some(at)
    }
}
