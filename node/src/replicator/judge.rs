//! Whether a batch counts, and what is said of it to gossip. Source: spec §9.4.

use bellwether_formats::batch::Batch;
use bellwether_formats::chain::{self, Head};
use bellwether_formats::signed::Signed;

use super::descriptor::Belief;
use super::feed::Place;
use super::{Output, Replicator};
use crate::network::PeerId;
use crate::relay::RefuseError;

impl Replicator {
    /// A batch was gossiped.
    pub(super) fn gossip(&mut self, peer: PeerId, token: u64, batch: Signed<Batch>) {
        self.judge(peer, Some(token), batch);
    }

    /// A peer has shown the newest batches of a page of feeds.
    pub(super) fn heads(&mut self, peer: PeerId, page: usize, heads: Vec<Signed<Batch>>) {
        let asked = |batch: &Signed<Batch>| self.wire.is_on_page(page, &batch.feed());
        if !heads.iter().all(asked) {
            self.wire.blame(peer, "heads of feeds not asked for");
            return self.wire.heads_failed(peer);
        }
        self.wire.heads_came(peer, page);
        for batch in heads {
            self.judge(peer, None, batch);
        }
    }

    /// Judges a batch whose signature holds; gossiped if it has a token.
    pub(super) fn judge(&mut self, peer: PeerId, token: Option<u64>, batch: Signed<Batch>) {
        match self.weigh(peer, &batch) {
            Some(result) => self.judged(token, result),
            None => self.wait_for_descriptor(peer, token, batch),
        }
    }

    /// What a batch is worth; `None` if a descriptor must be known first.
    fn weigh(&mut self, peer: PeerId, batch: &Signed<Batch>) -> Option<Result<(), RefuseError>> {
        let now = self.wire.now.utc;
        let id = batch.feed();
        let (Some(feed), Some(provider)) =
            (self.feeds.get_mut(&id), self.providers.get(&id.provider))
        else {
            return Some(Err(RefuseError::NotCarried));
        };
        if let Err(error) = chain::check_time(batch, now) {
            return match provider.believes(batch) {
                // Whether somebody's clock is wrong is known once it is known whose batch it is.
                Belief::NewEpoch => None,
                Belief::No(_) => Some(Err(error.into())),
                Belief::Yes => {
                    feed.of_the_future(batch.published_at, self.wire.now.at);
                    Some(Err(error.into()))
                }
            };
        }
        let order = Head::from(batch).order();
        if feed.head.is_some_and(|head| head.id == batch.id()) {
            feed.seen_at = Some(now);
            feed.shown(order, self.wire.now);
            return Some(Err(RefuseError::Known));
        }
        match provider.believes(batch) {
            Belief::Yes => feed.is_past(batch.published_at),
            Belief::NewEpoch => return None,
            Belief::No(error) => return Some(Err(error)),
        }
        feed.shown(order, self.wire.now);
        if feed.own && feed.head.is_none_or(|head| head.order() < order) {
            let zone = id.zone.clone();
            self.wire.outputs.push_back(Output::Fence { zone, order });
        }
        Some(match feed.place(batch, peer, &mut self.wire) {
            Place::Newer => {
                feed.seen_at = Some(now);
                Ok(())
            }
            Place::Diverges => {
                self.diverged(peer, &id);
                Err(RefuseError::Equivocation)
            }
            Place::Refused(error) => Err(error),
        })
    }

    /// Says what a gossiped batch is worth.
    pub(super) fn judged(&mut self, token: Option<u64>, result: Result<(), RefuseError>) {
        let Some(token) = token else { return };
        if result.is_ok() {
            self.wire.stats.accepted += 1;
        } else {
            self.wire.stats.ignored += 1;
        }
        self.wire
            .outputs
            .push_back(Output::Judged { token, result });
    }
}
