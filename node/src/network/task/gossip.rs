//! Gossip in the swarm's task.

use std::collections::HashSet;
use std::time::Duration;

use bellwether_formats::id::Zone;
use bellwether_formats::limit::MAX_BATCH_BYTES;
use libp2p::PeerId;
use libp2p::gossipsub::{self, MessageAcceptance, PublishError, TopicHash};

use super::super::behaviour;
use super::super::handle::{GossipToken, Verdict};
use super::{NetworkEvent, Task};

/// How often envelopes that nobody has taken are offered again.
pub(super) const PUBLISH_AGAIN: Duration = Duration::from_secs(5);

impl Task {
    pub(super) fn gossiped(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message {
                propagation_source,
                message_id,
                message,
            } => {
                let token = GossipToken {
                    id: message_id,
                    from: propagation_source,
                };
                self.hear(token, message);
            }
            gossipsub::Event::Subscribed { topic, .. } => {
                if let Some(data) = self.unpublished.remove(&topic) {
                    self.offer(topic, data);
                }
            }
            gossipsub::Event::SlowPeer { peer_id, .. } => {
                tracing::debug!(peer = %peer_id, "gossip towards a slow peer was dropped");
            }
            _ => {}
        }
    }

    /// Hands a message to the relay, if that is not behind; anti-entropy brings what is dropped.
    fn hear(&mut self, token: GossipToken, message: gossipsub::Message) {
        let Some(zone) = self.topics.get(&message.topic) else {
            return self.verdict(&token, Verdict::Ignore);
        };
        if message.data.len() > MAX_BATCH_BYTES {
            return self.verdict(&token, Verdict::Reject);
        }
        let event = NetworkEvent::Gossip {
            peer: token.from,
            zone: zone.clone(),
            data: message.data,
            token: token.clone(),
        };
        // What already waits goes first: a peer is heard after it is connected.
        if !self.outbox.is_empty() || self.inbox.try_send(event).is_err() {
            self.count(|status| status.gossip_dropped += 1);
            self.verdict(&token, Verdict::Ignore);
        }
    }

    pub(super) fn verdict(&mut self, token: &GossipToken, verdict: Verdict) {
        let Some(gossip) = self.swarm.behaviour_mut().gossip.as_mut() else {
            return;
        };
        let acceptance = match verdict {
            Verdict::Accept => MessageAcceptance::Accept,
            Verdict::Ignore => MessageAcceptance::Ignore,
            Verdict::Reject => MessageAcceptance::Reject,
        };
        if !gossip.report_message_validation_result(&token.id, &token.from, acceptance) {
            self.count(|status| status.verdicts_late += 1);
        }
    }

    pub(super) fn publish(&mut self, zone: &Zone, data: Vec<u8>) {
        let topic = behaviour::topic(zone).hash();
        if self.topics.contains_key(&topic) {
            self.offer(topic, data);
        } else {
            tracing::warn!(%zone, "not gossiped: the zone is not joined");
        }
    }

    /// Offers the envelopes that nobody has taken yet once more.
    pub(super) fn publish_all(&mut self) {
        for (topic, data) in std::mem::take(&mut self.unpublished) {
            self.offer(topic, data);
        }
    }

    /// Gossips an envelope, or keeps it in the place of the older one of its topic.
    fn offer(&mut self, topic: TopicHash, data: Vec<u8>) {
        let Some(gossip) = self.swarm.behaviour_mut().gossip.as_mut() else {
            return;
        };
        match gossip.publish(topic.clone(), data.clone()) {
            Ok(_) | Err(PublishError::Duplicate) => {
                // Newer than what was kept, if anything was.
                self.unpublished.remove(&topic);
            }
            Err(PublishError::NoPeersSubscribedToTopic | PublishError::AllQueuesFull(_)) => {
                self.unpublished.insert(topic, data);
            }
            Err(error) => tracing::warn!(%topic, %error, "not gossiped"),
        }
    }

    /// The peers that have named topics; none if gossip is off.
    pub(super) fn heard(&self) -> Option<HashSet<PeerId>> {
        let gossip = self.swarm.behaviour().gossip.as_ref()?;
        let peers = gossip.all_peers().filter(|(_, topics)| !topics.is_empty());
        Some(peers.map(|(peer, _)| *peer).collect())
    }
}
