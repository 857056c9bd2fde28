//! Which protocols the node speaks, and every setting of theirs with its reason.

use std::collections::HashMap;
use std::time::Duration;

use bellwether_formats::id::Zone;
use bellwether_formats::limit::MAX_BATCH_BYTES;
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::gossipsub::{
    self, IdentTopic, MaxCountSubscriptionFilter, MessageAuthenticity, MessageId, PeerScoreParams,
    PeerScoreThresholds, TopicHash, TopicScoreParams, ValidationMode, WhitelistSubscriptionFilter,
};
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{StreamProtocol, identify, identity, ping};
use sha2::{Digest, Sha256};

use super::codec::SyncCodec;
use super::{MAX_INBOUND_PER_PEER, NetworkConfig, NetworkError};

/// Gossip of zones the node has joined and no others.
pub(super) type Gossip = gossipsub::Behaviour<gossipsub::IdentityTransform, SubscriptionFilter>;
type SubscriptionFilter = MaxCountSubscriptionFilter<WhitelistSubscriptionFilter>;

/// Name of the exchange of heads, batches and blocks. Source: spec §9.3.
const SYNC_PROTOCOL: StreamProtocol = StreamProtocol::new("/bw/1/sync");

/// Largest gossiped message on the wire, in bytes (16 KiB): a batch (8 KiB) with its topic, with
/// room. The same on every node, for a larger message kills the link to a stricter one silently.
/// Source: spec §9.2.
const MAX_TRANSMIT_BYTES: usize = 16 * 1024;
const _: () = assert!(MAX_BATCH_BYTES * 2 <= MAX_TRANSMIT_BYTES);

/// Largest frame of the gossip protocol, in bytes (128 KiB). A node greets a new peer with all its
/// subscriptions in one frame; those of [`MAX_TOPICS`] zones of the longest name take 90 KiB.
const MAX_FRAME_BYTES: usize = 128 * 1024;

/// Most zones a node joins, and most of one peer that are remembered. Source: spec §9.2.
pub(super) const MAX_TOPICS: usize = 1024;

/// Most message ids in one announcement of what a node has: 8 KiB of ids.
const MAX_ANNOUNCED_IDS: usize = 256;

/// How long a message id is remembered. Source: spec §9.2.
const DUPLICATES: Duration = Duration::from_secs(600);

/// How long a message waits for its verdict, in heartbeats of a second. A relay may have to ask
/// for a descriptor before it can judge; the default of 5 would lose those messages.
const HISTORY: usize = 30;

/// Messages queued towards one peer. The default of 5000 would let a slow peer hold 40 MiB.
const QUEUE_PER_PEER: usize = 256;

/// Most connections with one peer: two that dialled each other at once, and one that hangs.
const MAX_CONNECTIONS_PER_PEER: u32 = 3;

/// Most handshakes in progress, each way.
const MAX_PENDING: u32 = 64;

/// How long an unused connection stays. Relays talk at least once a minute.
pub(super) const IDLE: Duration = Duration::from_secs(600);

/// All protocols of the node.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    /// First, so that a connection above the limits is refused before anyone hears of it.
    limits: connection_limits::Behaviour,
    pub(super) gossip: Toggle<Gossip>,
    pub(super) sync: request_response::Behaviour<SyncCodec>,
    ping: ping::Behaviour,
    identify: identify::Behaviour,
}

impl Behaviour {
    /// Sets everything up; `topics` are joined.
    pub(super) fn new(
        key: &identity::Keypair,
        config: &NetworkConfig,
        topics: &HashMap<TopicHash, Zone>,
    ) -> Result<Self, NetworkError> {
        let gossip = if config.gossip {
            Some(gossip(topics)?)
        } else {
            None
        };
        let limits = ConnectionLimits::default()
            .with_max_pending_incoming(Some(MAX_PENDING))
            .with_max_pending_outgoing(Some(MAX_PENDING))
            // Only incoming ones: the peers that the operator named are always let in.
            .with_max_established_incoming(Some(config.max_peers))
            .with_max_established_per_peer(Some(MAX_CONNECTIONS_PER_PEER));
        let sync = request_response::Config::default()
            .with_request_timeout(config.request_timeout)
            .with_max_concurrent_streams(2 * MAX_INBOUND_PER_PEER);
        let ping = ping::Config::new()
            .with_interval(config.ping_interval)
            .with_timeout(config.ping_timeout);
        // Nothing is remembered of what peers say of their own addresses: there is no discovery
        // here, and a stranger's loopback address is not to be dialled.
        let identify = identify::Config::new("/bw/1".to_owned(), key.public())
            .with_agent_version(concat!("bellwether/", env!("CARGO_PKG_VERSION")).to_owned())
            .with_cache_size(0);
        Ok(Self {
            limits: connection_limits::Behaviour::new(limits),
            gossip: Toggle::from(gossip),
            sync: request_response::Behaviour::new([(SYNC_PROTOCOL, ProtocolSupport::Full)], sync),
            ping: ping::Behaviour::new(ping),
            identify: identify::Behaviour::new(identify),
        })
    }
}

/// The gossip topic of a zone. Source: spec §9.2.
pub(super) fn topic(zone: &Zone) -> IdentTopic {
    IdentTopic::new(format!("/bw/1/z/{zone}"))
}

/// What makes two messages the same: topic and whole envelope. The batch's own id will not do,
/// for ids are remembered before anything is verified, and a copy with a garbage signature would
/// then shadow the true batch. Source: spec §9.2.
fn message_id(message: &gossipsub::Message) -> MessageId {
    let mut hash = Sha256::new();
    hash.update(message.topic.as_str());
    hash.update([0]);
    hash.update(&message.data);
    MessageId::from(hash.finalize().to_vec())
}

fn gossip(topics: &HashMap<TopicHash, Zone>) -> Result<Gossip, NetworkError> {
    let mut builder = gossipsub::ConfigBuilder::default();
    builder
        .max_transmit_size(MAX_FRAME_BYTES)
        .max_control_message_size(MAX_FRAME_BYTES)
        .max_control_messages_sent(MAX_ANNOUNCED_IDS)
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(message_id)
        .duplicate_cache_time(DUPLICATES)
        .history_length(HISTORY)
        // Federations begin with two or three relays.
        .mesh_n(4)
        .mesh_n_low(2)
        .mesh_n_high(8)
        .mesh_outbound_min(1)
        // No peer exchange: strangers do not choose whom the node dials.
        .prune_peers(0)
        .connection_handler_queue_len(QUEUE_PER_PEER)
        .forward_queue_duration(Duration::from_secs(5));
    for topic in topics.keys() {
        builder.max_transmit_size_for_topic(MAX_TRANSMIT_BYTES, topic.clone());
    }
    let config = builder
        .build()
        .map_err(|error| NetworkError::Gossip(error.to_string()))?;
    let filter = MaxCountSubscriptionFilter {
        filter: WhitelistSubscriptionFilter(topics.keys().cloned().collect()),
        max_subscribed_topics: MAX_TOPICS,
        max_subscriptions_per_request: MAX_TOPICS,
    };
    let failed = |error: &str| NetworkError::Gossip(error.to_owned());
    let mut gossip =
        Gossip::new_with_subscription_filter(MessageAuthenticity::Anonymous, config, filter)
            .map_err(failed)?;
    gossip
        .with_peer_score(score(topics), PeerScoreThresholds::default())
        .map_err(|error| failed(&error))?;
    for zone in topics.values() {
        gossip
            .subscribe(&topic(zone))
            .map_err(|error| failed(&error.to_string()))?;
    }
    Ok(gossip)
}

/// The score of a peer falls for one thing only: messages that no honest peer could have sent.
/// About nine in a short time and the peer is not listened to until it has decayed.
///
/// Everything else is off. Peers behind one address are no offence: a hospital's relays, or a test.
/// Neither are quiet peers in zones where a batch is due once an hour, nor slow ones, nor those
/// that restart: gossip is an accelerator, and anti-entropy makes up for what it loses.
fn score(topics: &HashMap<TopicHash, Zone>) -> PeerScoreParams {
    let topic = TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.0,
        first_message_deliveries_weight: 0.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -1.0,
        // A counter of 9 is forgotten in about 10 minutes.
        invalid_message_deliveries_decay: 0.99,
        ..TopicScoreParams::default()
    };
    PeerScoreParams {
        topics: topics
            .keys()
            .map(|name| (name.clone(), topic.clone()))
            .collect(),
        app_specific_weight: 0.0,
        ip_colocation_factor_weight: 0.0,
        behaviour_penalty_weight: 0.0,
        slow_peer_weight: 0.0,
        ..PeerScoreParams::default()
    }
}
