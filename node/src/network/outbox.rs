//! Events that must not be lost, kept until the relay takes them. Pure, bounded.

use std::collections::VecDeque;

use libp2p::PeerId;
use tokio::sync::OwnedSemaphorePermit;

use super::NetworkEvent;

/// What waits for the relay. The network never waits for it: gossip and questions are dropped when
/// the relay is behind, for they come again; answers, comings and goings do not, and wait here.
///
/// Bounded: an answer holds the permit of its question until it is taken; and of comings and
/// goings there are two for each peer at most, as a peer that came and went unseen leaves no trace.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    events: VecDeque<(NetworkEvent, Option<OwnedSemaphorePermit>)>,
}

impl Outbox {
    /// Adds that `peer` has come.
    pub(super) fn connected(&mut self, peer: PeerId) {
        self.events
            .push_back((NetworkEvent::Connected { peer }, None));
    }

    /// Adds that `peer` has gone; if nobody has seen it come yet, nobody will.
    pub(super) fn disconnected(&mut self, peer: PeerId) {
        let came = |event: &NetworkEvent| matches!(event, NetworkEvent::Connected { peer: who } if *who == peer);
        match self.events.iter().position(|(event, _)| came(event)) {
            Some(unseen) => drop(self.events.remove(unseen)),
            None => self
                .events
                .push_back((NetworkEvent::Disconnected { peer }, None)),
        }
    }

    /// Adds the outcome of a question, with the permit under which it was asked.
    pub(super) fn answered(&mut self, event: NetworkEvent, permit: OwnedSemaphorePermit) {
        self.events.push_back((event, Some(permit)));
    }

    /// Takes the event that waits longest.
    pub(super) fn pop(&mut self) -> Option<NetworkEvent> {
        self.events.pop_front().map(|(event, _)| event)
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(outbox: &mut Outbox) -> Vec<&'static str> {
        std::iter::from_fn(|| outbox.pop())
            .map(|event| match event {
                NetworkEvent::Connected { .. } => "connected",
                NetworkEvent::Disconnected { .. } => "disconnected",
                _ => "something else",
            })
            .collect()
    }

    #[test]
    fn a_peer_that_comes_and_goes_unseen_leaves_no_trace() {
        let peer = PeerId::random();
        let mut outbox = Outbox::default();
        for _ in 0..1000 {
            outbox.connected(peer);
            outbox.disconnected(peer);
        }
        assert!(outbox.is_empty());
    }

    #[test]
    fn of_one_peer_two_events_wait_at_most() {
        let peer = PeerId::random();
        let mut outbox = Outbox::default();
        outbox.connected(peer);
        assert_eq!(taken(&mut outbox), ["connected"]);
        for _ in 0..1000 {
            outbox.disconnected(peer);
            outbox.connected(peer);
        }
        assert_eq!(taken(&mut outbox), ["disconnected", "connected"]);
        outbox.disconnected(peer);
        outbox.connected(peer);
        outbox.disconnected(peer);
        assert_eq!(taken(&mut outbox), ["disconnected"]);
    }
}
