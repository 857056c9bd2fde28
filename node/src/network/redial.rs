//! Which of the configured peers to dial, when, and which to leave and dial again. Pure.
//!
//! Configured peers are dialled for ever: with growing pauses while they do not answer, at once
//! again when a connection that lasted ends.
//!
//! One of them may be connected and yet say nothing: gossipsub tells its subscriptions on the
//! first connection of a peer only, so a node that restarts while the other side still holds its
//! old, dead connection is never told any (rust-libp2p issue 5097). Pings find the dead connection
//! on the other side; on this side the peer is left and dialled again until it speaks.

use std::time::{Duration, Instant};

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

/// Pause after the first failure; doubles with each that follows.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A connection that lasted this long was a success: the next pause is the first one again.
const LASTED: Duration = Duration::from_secs(30);

/// Longest time that a silent peer is left in peace.
const LONGEST_SILENCE: Duration = Duration::from_secs(300);

/// What a connected peer lets us hear of its subscriptions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Voice {
    /// It has named topics.
    Heard,
    /// It speaks the gossip protocol, as far as we know, and has named none.
    Silent,
    /// It does not speak the gossip protocol; there is nothing to wait for.
    Mute,
}

/// An attempt to make.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Dial {
    /// Which entry this is for; to be given back with the outcome.
    pub(super) entry: usize,
    /// Where, without the peer's name.
    pub(super) address: Multiaddr,
    /// Who is expected there, if it is known.
    pub(super) peer: Option<PeerId>,
}

/// The configured peers.
#[derive(Debug)]
pub(super) struct Redial {
    entries: Vec<Entry>,
    /// How long a peer may be silent at first.
    silence: Duration,
}

#[derive(Debug)]
struct Entry {
    address: Multiaddr,
    peer: Option<PeerId>,
    state: State,
    failures: u32,
    /// How often in a row the peer was left for its silence.
    left: u32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Waiting {
        until: Instant,
    },
    Dialling,
    Connected {
        since: Instant,
    },
    /// It is this node itself.
    Done,
}

impl Redial {
    /// Takes addresses, with or without `/p2p/…`; all are due at once.
    pub(super) fn new(addresses: &[Multiaddr], silence: Duration, now: Instant) -> Self {
        let entries = addresses.iter().map(|address| {
            let (address, peer) = split(address);
            let state = State::Waiting { until: now };
            Entry {
                address,
                peer,
                state,
                failures: 0,
                left: 0,
            }
        });
        Self {
            entries: entries.collect(),
            silence,
        }
    }

    /// The attempts that are due; they count as being made.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Dial> {
        let mut due = Vec::new();
        for (index, entry) in self.entries.iter_mut().enumerate() {
            if matches!(entry.state, State::Waiting { until } if until <= now) {
                entry.state = State::Dialling;
                let (address, peer) = (entry.address.clone(), entry.peer);
                due.push(Dial {
                    entry: index,
                    address,
                    peer,
                });
            }
        }
        due
    }

    /// An attempt succeeded; `peer` is who was met.
    pub(super) fn reached(&mut self, entry: usize, peer: PeerId) {
        if let Some(entry) = self.entries.get_mut(entry) {
            entry.peer = Some(peer);
        }
    }

    /// An attempt failed. `jitter` is any random number.
    pub(super) fn failed(&mut self, entry: usize, now: Instant, jitter: u32) {
        if let Some(entry) = self.entries.get_mut(entry)
            && entry.state == State::Dialling
        {
            entry.wait(now, jitter);
        }
    }

    /// The address is this node's own: never again.
    pub(super) fn is_self(&mut self, entry: usize) {
        if let Some(entry) = self.entries.get_mut(entry) {
            entry.state = State::Done;
        }
    }

    /// There is a connection with `peer`, whoever dialled.
    pub(super) fn connected(&mut self, peer: PeerId, now: Instant) {
        for entry in self.of(peer) {
            if !matches!(entry.state, State::Connected { .. }) {
                entry.state = State::Connected { since: now };
            }
        }
    }

    /// The last connection with `peer` is gone.
    pub(super) fn gone(&mut self, peer: PeerId, now: Instant, jitter: u32) {
        for entry in self.of(peer) {
            let State::Connected { since } = entry.state else {
                continue;
            };
            if now.saturating_duration_since(since) >= LASTED {
                entry.failures = 0;
            }
            entry.wait(now, jitter);
        }
    }

    /// The connected peers that were silent for too long: to be left, and dialled again.
    pub(super) fn silent(&mut self, now: Instant, voice: impl Fn(PeerId) -> Voice) -> Vec<PeerId> {
        let mut leave = Vec::new();
        for entry in &mut self.entries {
            let (State::Connected { since }, Some(peer)) = (entry.state, entry.peer) else {
                continue;
            };
            let patience = doubled(self.silence, entry.left).min(LONGEST_SILENCE);
            match voice(peer) {
                Voice::Heard => entry.left = 0,
                Voice::Silent if now.saturating_duration_since(since) >= patience => {
                    entry.left = entry.left.saturating_add(1);
                    leave.push(peer);
                }
                Voice::Silent | Voice::Mute => {}
            }
        }
        leave
    }

    fn of(&mut self, peer: PeerId) -> impl Iterator<Item = &mut Entry> {
        let entries = self.entries.iter_mut();
        entries.filter(move |entry| entry.peer == Some(peer) && entry.state != State::Done)
    }
}

impl Entry {
    fn wait(&mut self, now: Instant, jitter: u32) {
        let pause = doubled(FIRST_PAUSE, self.failures).min(LONGEST_PAUSE);
        // Between half and the whole of it, so that nodes that failed together do not come back
        // together.
        let half = pause / 2;
        let share = half.mul_f64(f64::from(jitter) / f64::from(u32::MAX));
        self.state = State::Waiting {
            until: now + half + share,
        };
        self.failures = self.failures.saturating_add(1);
    }
}

/// `first` doubled `times` times, saturating.
fn doubled(first: Duration, times: u32) -> Duration {
    first.saturating_mul(1_u32.checked_shl(times.min(16)).unwrap_or(u32::MAX))
}

/// An address without the name at its end, and the name.
fn split(address: &Multiaddr) -> (Multiaddr, Option<PeerId>) {
    let mut bare = address.clone();
    match bare.pop() {
        Some(Protocol::P2p(peer)) => (bare, Some(peer)),
        _ => (address.clone(), None),
    }
}

#[cfg(test)]
mod tests;
