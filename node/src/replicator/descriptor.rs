//! Descriptors: who may sign, and what their anchors disown.

use std::collections::VecDeque;

use bellwether_formats::batch::Batch;
use bellwether_formats::chain::{self, ChainError};
use bellwether_formats::descriptor::{Anchor, Descriptor};
use bellwether_formats::id::{FeedId, ProviderId};
use bellwether_formats::limit::MAX_FUTURE_S;
use bellwether_formats::signed::Signed;

use super::feed::Feed;
use super::wire::{What, Wire};
use super::{Job, MAX_DESCRIPTORS_ASKED, MAX_WAITING, Note, Replicator};
use crate::network::PeerId;
use crate::relay::RefuseError;
use crate::store::Disowning;

/// What is known of a provider of carried feeds.
#[derive(Debug, Default)]
pub(super) struct Provider {
    /// The descriptor of the highest epoch.
    pub(super) descriptor: Option<Signed<Descriptor>>,
    /// Batches of an epoch beyond it.
    waiting: VecDeque<Waiting>,
    /// Whether a newer one is asked for.
    asked: bool,
}

#[derive(Debug)]
struct Waiting {
    peer: PeerId,
    token: Option<u64>,
    batch: Signed<Batch>,
}

/// Whether a batch is vouched for without its descendants.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Belief {
    Yes,
    /// A newer descriptor must be known first, or one at all.
    NewEpoch,
    No(RefuseError),
}

impl Belief {
    pub(super) fn is_yes(&self) -> bool {
        *self == Self::Yes
    }
}

impl Provider {
    pub(super) fn id(&self) -> Option<ProviderId> {
        Some(self.descriptor.as_ref()?.provider)
    }

    /// Judges a batch by the descriptor. Under an anchor, a batch of an older epoch counts only as
    /// the anchored one or its ancestor, whatever key signed it. Source: spec §1.5, §4.3.
    pub(super) fn believes(&self, batch: &Signed<Batch>) -> Belief {
        let Some(descriptor) = &self.descriptor else {
            return Belief::NewEpoch;
        };
        if let Some(anchor) = descriptor.anchor(&batch.zone) {
            if anchor.id == batch.id() {
                return Belief::Yes;
            }
            if batch.epoch < anchor.epoch {
                return Belief::No(RefuseError::Disowned);
            }
        }
        match chain::check_listed(batch, descriptor) {
            Ok(()) => Belief::Yes,
            Err(ChainError::NewEpoch { .. }) => Belief::NewEpoch,
            Err(error) => Belief::No(error.into()),
        }
    }
}

impl Replicator {
    /// Lets a batch wait for the descriptor that it speaks of, which its sender is asked for.
    pub(super) fn wait_for_descriptor(
        &mut self,
        peer: PeerId,
        token: Option<u64>,
        batch: Signed<Batch>,
    ) {
        let Some(provider) = self.providers.get_mut(&batch.provider) else {
            return;
        };
        let known = provider.waiting.iter();
        let twice = token.is_none() && { known }
            .any(|waiting| waiting.peer == peer && waiting.batch.id() == batch.id());
        if twice {
            return;
        }
        if provider.waiting.len() >= MAX_WAITING {
            return self.judged(token, Err(RefuseError::Full));
        }
        provider.waiting.push_back(Waiting { peer, token, batch });
    }

    /// Asks for the descriptors that batches wait for, one question a provider at a time.
    pub(super) fn ask_descriptors(&mut self) {
        let asked = self.providers.values().filter(|provider| provider.asked);
        let mut room = MAX_DESCRIPTORS_ASKED.saturating_sub(asked.count());
        for (id, provider) in &mut self.providers {
            if let (false, Some(first), 1..) = (provider.asked, provider.waiting.front(), room) {
                provider.asked = true;
                room -= 1;
                self.wire
                    .ask(first.peer, What::Descriptor { provider: *id });
            }
        }
    }

    /// A descriptor has come whose signature holds.
    pub(super) fn descriptor(
        &mut self,
        peer: PeerId,
        id: ProviderId,
        descriptor: Signed<Descriptor>,
    ) {
        let now = self.wire.now.utc;
        let ahead = descriptor.issued_at > now.saturating_add(MAX_FUTURE_S);
        if descriptor.provider != id {
            self.wire.blame(peer, "the descriptor of somebody else");
        } else if ahead && self.is_newer(&descriptor) {
            let feeds = self.feeds.iter_mut();
            for (_, feed) in feeds.filter(|(feed, _)| feed.provider == id) {
                feed.of_the_future(descriptor.issued_at, self.wire.now.at);
            }
        } else if self.is_newer(&descriptor) {
            let new = Box::new(descriptor.clone());
            self.wire.job(Job::Descriptor(new));
            return self.renewed(descriptor);
        }
        self.descriptor_failed(peer, id);
    }

    fn is_newer(&self, descriptor: &Signed<Descriptor>) -> bool {
        let provider = self.providers.get(&descriptor.provider);
        let held = provider.and_then(|provider| provider.descriptor.as_ref());
        held.is_none_or(|held| descriptor.replaces(held))
    }

    /// Takes a descriptor that the store has, or will have before anything else is asked of it.
    pub(super) fn renewed(&mut self, descriptor: Signed<Descriptor>) {
        let id = descriptor.provider;
        if !self.is_newer(&descriptor) {
            return;
        }
        let Some(provider) = self.providers.get_mut(&id) else {
            return;
        };
        provider.descriptor = Some(descriptor);
        provider.asked = false;
        let waiting = std::mem::take(&mut provider.waiting);
        self.apply_anchors(id);
        if let Some(provider) = self.providers.remove(&id) {
            self.believe_runs(&provider);
            self.providers.insert(id, provider);
        }
        for Waiting { peer, token, batch } in waiting {
            self.judge(peer, token, batch);
        }
    }

    /// The peer did not help: what it sent is ignored, and whoever sent the next is asked.
    pub(super) fn descriptor_failed(&mut self, peer: PeerId, id: ProviderId) {
        let Some(provider) = self.providers.get_mut(&id) else {
            return;
        };
        provider.asked = false;
        let (gone, rest): (VecDeque<_>, VecDeque<_>) =
            { provider.waiting.drain(..) }.partition(|waiting| waiting.peer == peer);
        provider.waiting = rest;
        for waiting in gone {
            self.judged(waiting.token, Err(RefuseError::NoDescriptor));
        }
    }

    /// A peer is gone, and with it the verdicts that it waited for.
    pub(super) fn disconnected(&mut self, peer: PeerId) {
        let ids: Vec<ProviderId> = self.providers.keys().copied().collect();
        for id in ids {
            let waits = |provider: &Provider| {
                let mut waiting = provider.waiting.iter();
                !provider.asked && waiting.any(|waiting| waiting.peer == peer)
            };
            if self.providers.get(&id).is_some_and(waits) {
                self.descriptor_failed(peer, id);
            }
        }
    }

    /// Lets a provider's anchors act on its feeds.
    pub(super) fn apply_anchors(&mut self, id: ProviderId) {
        let Some(provider) = self.providers.get(&id) else {
            return;
        };
        for (feed_id, feed) in &mut self.feeds {
            if feed_id.provider == id {
                feed.apply_anchor(feed_id, provider, &mut self.wire);
            }
        }
    }

    /// A batch that is vouched for has the number after the tip and does not link to it: the tip
    /// is no ancestor of an anchor, or the provider has signed two.
    pub(super) fn diverged(&mut self, peer: PeerId, id: &FeedId) {
        let Some(provider) = self.providers.get(&id.provider) else {
            return;
        };
        let Some(feed) = self.feeds.get_mut(id) else {
            return;
        };
        let Some(tip) = feed.tip() else { return };
        let descriptor = provider.descriptor.as_ref();
        let anchor = descriptor.and_then(|descriptor| descriptor.anchor(&id.zone));
        match anchor {
            Some(anchor) if anchor.opposes(&tip) => {
                // How far back the two agree is not known: nothing of it is kept.
                let all = Anchor {
                    seq: 0,
                    ..anchor.clone()
                };
                feed.move_back(id, &all, &mut self.wire);
                feed.chase(anchor.seq, peer, self.wire.now);
            }
            _ if !feed.forked && self.wire.may_fetch() => {
                let (feed, from) = (id.clone(), tip.seq.saturating_sub(1));
                self.wire.ask(peer, What::Proof { feed, from });
            }
            _ => {}
        }
    }
}

impl Feed {
    /// Lets an anchor act: on a head of an older epoch that is neither the anchored batch nor its
    /// ancestor. A head before it may be an ancestor; the chain from it will tell (`diverged`).
    fn apply_anchor(&mut self, id: &FeedId, provider: &Provider, wire: &mut Wire) {
        let descriptor = provider.descriptor.as_ref();
        let Some(anchor) = descriptor.and_then(|descriptor| descriptor.anchor(&id.zone)) else {
            return;
        };
        let Some(tip) = self.tip() else { return };
        if !anchor.opposes(&tip) || tip.seq < anchor.seq {
            return;
        }
        self.move_back(id, anchor, wire);
    }

    /// Drops what is not believed any more: here at once, in the store by a job that keeps the
    /// chain up to the anchored batch.
    fn move_back(&mut self, id: &FeedId, anchor: &Anchor, wire: &mut Wire) {
        self.forget();
        self.forget_older(wire.now.at);
        self.forked = false;
        self.on_hold = true;
        let feed = id.clone();
        let Anchor { epoch, seq, id, .. } = *anchor;
        wire.note(Note::Anchored {
            feed: feed.clone(),
            seq,
        });
        let disowning = Disowning {
            epoch,
            seq,
            id,
            own: self.own,
        };
        wire.job(Job::Anchor { feed, disowning });
    }
}
