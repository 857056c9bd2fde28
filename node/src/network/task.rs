//! The swarm's task: hears the swarm, the node and the clock, and never waits for any of them.

mod gossip;
mod sync;

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use futures::StreamExt;
use libp2p::core::transport::ListenerId;
use libp2p::gossipsub::TopicHash;
use libp2p::multiaddr::Protocol;
use libp2p::request_response::{InboundRequestId, OutboundRequestId};
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{self, ConnectionId, DialError, Swarm, SwarmEvent};
use libp2p::{Multiaddr, PeerId, StreamProtocol, identify, ping};
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use bellwether_formats::id::Zone;

use self::sync::Question;
use super::behaviour::{self, Behaviour, BehaviourEvent, MAX_TOPICS};
use super::handle::{Command, NetworkStatus};
use super::outbox::Outbox;
use super::redial::{Dial, Redial, Voice};
use super::{Keypair, NetworkConfig, NetworkError, NetworkEvent, NetworkHandle, transport};

/// Longest time between two looks at the clock.
const TICK: Duration = Duration::from_secs(1);

/// Time a listener has to name its address.
const LISTEN: Duration = Duration::from_secs(10);

/// Owns the swarm.
pub(super) struct Task {
    swarm: Swarm<Behaviour>,
    inbox: mpsc::Sender<NetworkEvent>,
    outbox: Outbox,
    commands: mpsc::Receiver<Command>,
    status: watch::Sender<NetworkStatus>,
    redial: Redial,
    /// Attempts being made, each for an entry of `redial`.
    dials: HashMap<ConnectionId, usize>,
    /// Connected peers that do not speak the gossip protocol.
    mute: HashSet<PeerId>,
    /// When each connection was last known to be alive.
    alive: HashMap<ConnectionId, Instant>,
    /// A connection that was not alive for this long hangs.
    hangs_after: Duration,
    tick: Duration,
    request_timeout: Duration,
    /// Topics joined.
    topics: HashMap<TopicHash, Zone>,
    /// The newest envelope of each topic that nobody has taken yet.
    unpublished: HashMap<TopicHash, Vec<u8>>,
    publish_again: Instant,
    /// Peers' questions that are being answered.
    inbound: HashMap<InboundRequestId, PeerId>,
    /// Our questions.
    outbound: HashMap<OutboundRequestId, Question>,
}

impl Task {
    /// Sets the swarm up; nothing is sent yet.
    pub(super) fn new(
        keypair: &Keypair,
        config: &NetworkConfig,
        inbox: mpsc::Sender<NetworkEvent>,
    ) -> Result<(NetworkHandle, Self), NetworkError> {
        let zones = config.zones.iter();
        let topics: HashMap<_, _> = zones
            .map(|zone| (behaviour::topic(zone).hash(), zone.clone()))
            .collect();
        if topics.len() > MAX_TOPICS {
            return Err(NetworkError::TooManyZones {
                found: topics.len(),
                limit: MAX_TOPICS,
            });
        }
        let peer = keypair.public().to_peer_id();
        let mut swarm = Swarm::new(
            transport::build(keypair)?,
            Behaviour::new(keypair, config, &topics)?,
            peer,
            swarm::Config::with_tokio_executor().with_idle_connection_timeout(behaviour::IDLE),
        );
        for address in &config.external {
            swarm.add_external_address(address.clone());
        }
        let others = |address: &&Multiaddr| address.iter().last() != Some(Protocol::P2p(peer));
        let bootstrap: Vec<_> = config.bootstrap.iter().filter(others).cloned().collect();
        let now = now();
        let status = watch::Sender::new(NetworkStatus::default());
        let (handle, commands) = NetworkHandle::new(peer, status.clone());
        let task = Self {
            swarm,
            inbox,
            outbox: Outbox::default(),
            commands,
            status,
            redial: Redial::new(&bootstrap, config.silence, now),
            dials: HashMap::new(),
            mute: HashSet::new(),
            alive: HashMap::new(),
            hangs_after: config.ping_interval + 2 * config.ping_timeout,
            tick: TICK.min(config.ping_timeout),
            request_timeout: config.request_timeout,
            topics,
            unpublished: HashMap::new(),
            publish_again: now,
            inbound: HashMap::new(),
            outbound: HashMap::new(),
        };
        Ok((handle, task))
    }

    /// Listens on every address; returns once each listener has named one of its own.
    pub(super) async fn listen(&mut self, addresses: &[Multiaddr]) -> Result<(), NetworkError> {
        let mut silent: HashMap<ListenerId, Multiaddr> = HashMap::new();
        for address in addresses {
            let failed = |reason| NetworkError::Listen {
                address: address.clone(),
                reason,
            };
            transport::check_free(address).map_err(|error| failed(error.to_string()))?;
            let listener = self.swarm.listen_on(address.clone());
            let listener = listener.map_err(|error| failed(error.to_string()))?;
            silent.insert(listener, address.clone());
        }
        let deadline = tokio::time::Instant::now() + LISTEN;
        while let Some(address) = silent.values().next() {
            let next = self.swarm.select_next_some();
            let Ok(event) = tokio::time::timeout_at(deadline, next).await else {
                let reason = "no address in time".to_owned();
                return Err(NetworkError::Listen {
                    address: address.clone(),
                    reason,
                });
            };
            if let SwarmEvent::NewListenAddr { listener_id, .. } = event {
                silent.remove(&listener_id);
            }
            self.happened(event)?;
        }
        Ok(())
    }

    /// Runs until `stop`, or until nobody takes its events.
    pub(super) async fn run(mut self, stop: CancellationToken) -> Result<(), NetworkError> {
        let mut tick = tokio::time::interval(self.tick);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let inbox = self.inbox.clone();
        loop {
            // At once if there is room: what waits here keeps gossip and questions out.
            while !self.outbox.is_empty()
                && let Ok(permit) = inbox.try_reserve()
                && let Some(event) = self.outbox.pop()
            {
                permit.send(event);
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = inbox.closed() => return Ok(()),
                permit = inbox.reserve(), if !self.outbox.is_empty() => {
                    let Ok(permit) = permit else { return Ok(()) };
                    if let Some(event) = self.outbox.pop() {
                        permit.send(event);
                    }
                }
                command = self.commands.recv() => {
                    let Some(command) = command else { return Ok(()) };
                    self.command(command);
                }
                _ = tick.tick() => self.look_at_the_clock(now()),
                event = self.swarm.select_next_some() => self.happened(event)?,
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Publish { zone, data } => self.publish(&zone, data),
            Command::Reply { token, response } => self.reply(token, response),
            Command::Request {
                peer,
                request,
                tag,
                permit,
            } => {
                self.ask(peer, request, tag, permit);
            }
            Command::Verdict { token, verdict } => self.verdict(&token, verdict),
        }
    }

    fn look_at_the_clock(&mut self, now: Instant) {
        for dial in self.redial.due(now) {
            self.dial(dial, now);
        }
        let heard = self.heard();
        let mute = |peer| heard.is_none() || self.mute.contains(&peer);
        let voice = |peer| match &heard {
            Some(heard) if heard.contains(&peer) => Voice::Heard,
            _ if mute(peer) => Voice::Mute,
            _ => Voice::Silent,
        };
        for peer in self.redial.silent(now, voice) {
            tracing::info!(%peer, "peer names no topics, connecting again");
            self.count(|status| status.peers_silent += 1);
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let hung = |since: &Instant| now.saturating_duration_since(*since) > self.hangs_after;
        let hung: Vec<_> = self
            .alive
            .iter()
            .filter(|(_, since)| hung(since))
            .map(|(id, _)| *id)
            .collect();
        for connection in hung {
            self.close_hung(connection);
        }
        self.expire_questions(now);
        if self.publish_again <= now {
            self.publish_again = now + gossip::PUBLISH_AGAIN;
            self.publish_all();
        }
    }

    fn happened(&mut self, event: SwarmEvent<BehaviourEvent>) -> Result<(), NetworkError> {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Gossip(event)) => self.gossiped(event),
            SwarmEvent::Behaviour(BehaviourEvent::Sync(event)) => self.exchanged(event),
            SwarmEvent::Behaviour(BehaviourEvent::Ping(event)) => self.pinged(event),
            SwarmEvent::Behaviour(BehaviourEvent::Identify(event)) => self.identified(event),
            SwarmEvent::Behaviour(_) => {}
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                num_established,
                ..
            } => self.connected(peer_id, connection_id, num_established.get()),
            SwarmEvent::ConnectionClosed {
                peer_id,
                connection_id,
                num_established,
                cause,
                ..
            } => {
                tracing::debug!(peer = %peer_id, ?cause, "connection closed");
                self.closed(peer_id, connection_id, num_established);
            }
            SwarmEvent::OutgoingConnectionError {
                connection_id,
                error,
                ..
            } => {
                if let Some(entry) = self.dials.remove(&connection_id) {
                    self.not_reached(entry, &error, now());
                }
            }
            SwarmEvent::NewListenAddr { .. } | SwarmEvent::ExpiredListenAddr { .. } => {
                let listen = self.swarm.listeners().cloned().collect();
                self.count(|status| status.listen = listen);
            }
            SwarmEvent::ListenerClosed { reason, .. } => {
                let reason = match reason {
                    Ok(()) => "closed".to_owned(),
                    Err(error) => error.to_string(),
                };
                return Err(NetworkError::ListenerClosed { reason });
            }
            SwarmEvent::ListenerError { error, .. } => {
                tracing::warn!(%error, "a listener failed to take a connection");
            }
            SwarmEvent::IncomingConnectionError {
                send_back_addr,
                error,
                ..
            } => {
                tracing::debug!(from = %send_back_addr, %error, "incoming connection failed");
            }
            _ => {}
        }
        Ok(())
    }

    fn dial(&mut self, dial: Dial, now: Instant) {
        let Dial {
            entry,
            address,
            peer,
        } = dial;
        // A port of its own: from the one it listens on, a node that restarts would dial with the
        // same pair of addresses as the dead connection that the other side still holds.
        let options = match peer {
            Some(peer) => DialOpts::peer_id(peer)
                .addresses(vec![address])
                .allocate_new_port()
                .build(),
            None => DialOpts::unknown_peer_id()
                .address(address)
                .allocate_new_port()
                .build(),
        };
        let connection = options.connection_id();
        match self.swarm.dial(options) {
            Ok(()) => {
                self.dials.insert(connection, entry);
            }
            Err(error) => self.not_reached(entry, &error, now),
        }
    }

    fn not_reached(&mut self, entry: usize, error: &DialError, now: Instant) {
        if let DialError::LocalPeerId { address } = error {
            tracing::warn!(%address, "a bootstrap address is this node's own");
            return self.redial.is_self(entry);
        }
        tracing::info!(%error, "bootstrap peer not reached, will try again");
        self.redial.failed(entry, now, jitter());
    }

    fn connected(&mut self, peer: PeerId, connection: ConnectionId, established: u32) {
        let now = now();
        self.alive.insert(connection, now);
        if let Some(entry) = self.dials.remove(&connection) {
            self.redial.reached(entry, peer);
        }
        self.redial.connected(peer, now);
        if established == 1 {
            tracing::info!(%peer, "peer connected");
            self.count(|status| status.peers += 1);
            self.outbox.connected(peer);
        }
    }

    fn closed(&mut self, peer: PeerId, connection: ConnectionId, established: u32) {
        self.alive.remove(&connection);
        if established == 0 {
            tracing::info!(%peer, "peer disconnected");
            self.mute.remove(&peer);
            self.redial.gone(peer, now(), jitter());
            self.count(|status| status.peers = status.peers.saturating_sub(1));
            self.outbox.disconnected(peer);
        }
    }

    fn pinged(&mut self, event: ping::Event) {
        match event.result {
            Ok(_) => {
                self.alive.insert(event.connection, now());
            }
            // Somebody else's software; its connections end when TCP says so.
            Err(ping::Failure::Unsupported) => {
                self.alive.remove(&event.connection);
            }
            Err(_) => self.close_hung(event.connection),
        }
    }

    fn identified(&mut self, event: identify::Event) {
        if let identify::Event::Received { peer_id, info, .. } = event {
            let gossips = |protocol: &StreamProtocol| protocol.as_ref().starts_with("/meshsub/");
            let mute = !info.protocols.iter().any(gossips);
            if mute && self.swarm.is_connected(&peer_id) {
                self.mute.insert(peer_id);
            } else {
                self.mute.remove(&peer_id);
            }
        }
    }

    fn close_hung(&mut self, connection: ConnectionId) {
        if self.alive.remove(&connection).is_some() {
            tracing::info!("peer answers no ping, closing the connection");
            self.count(|status| status.connections_hung += 1);
            self.swarm.close_connection(connection);
        }
    }

    fn count(&self, change: impl FnOnce(&mut NetworkStatus)) {
        self.status.send_modify(change);
    }
}

#[expect(clippy::disallowed_methods, reason = "a driver reads the clock")]
fn now() -> Instant {
    Instant::now()
}

/// Any number. Should the system have none to give, the middle one does no harm.
fn jitter() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX / 2)
}
