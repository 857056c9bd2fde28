//! The node among other nodes: libp2p over TCP, Noise and Yamux. Source: spec §9.
//!
//! One task owns the swarm and never waits for anybody. The rest of the node speaks to it through
//! a [`NetworkHandle`] and hears [`NetworkEvent`]s from it. Nothing is verified here but sizes and
//! spellings: whether a message is true, and what is answered to a peer, others decide.
//!
//! * `behaviour`: the protocols and their settings.
//! * `codec`, `message`: the exchange `/bw/1/sync`.
//! * `redial`: which configured peers to dial, and when. Pure.
//! * `outbox`: what must reach the relay, when it is behind. Pure.
//! * `transport`: TCP, and connections that can always be closed.
//! * `task`: the swarm's task.

mod behaviour;
mod codec;
mod handle;
mod key;
mod message;
mod outbox;
mod redial;
mod task;
mod transport;

use std::time::Duration;

use bellwether_formats::id::Zone;
pub use libp2p::identity::Keypair;
pub use libp2p::{Multiaddr, PeerId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use handle::{GossipToken, NetworkHandle, NetworkStatus, ReplyToken, Verdict};
pub use key::{KeyError, load_or_create_peer_key};
pub use message::{
    MAX_BATCHES, MAX_BLOCKS, MAX_HEADS, MAX_LIST_BYTES, MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES,
    NoneReason, SyncRequest, SyncResponse,
};

/// Most questions of one peer that are answered at a time.
const MAX_INBOUND_PER_PEER: usize = 8;

/// Most questions that are answered at a time. Each may hold an answer of a megabyte.
const MAX_INBOUND: usize = 64;

/// Most questions of this node that are open at a time, answers not yet taken included. Each may
/// hold an answer of a megabyte.
const MAX_OUTBOUND: usize = 64;

/// Most commands that wait for the swarm's task.
const MAX_COMMANDS: usize = 1024;

/// How the node takes part in the network.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: Vec<Multiaddr>,
    /// Peers to be connected with always, with or without `/p2p/…`.
    pub bootstrap: Vec<Multiaddr>,
    /// Addresses under which others can reach the node, to tell them.
    pub external: Vec<Multiaddr>,
    /// Zones whose gossip is joined.
    pub zones: Vec<Zone>,
    /// Whether gossip is spoken at all. Without it anti-entropy still delivers everything.
    pub gossip: bool,
    /// Most incoming connections.
    pub max_peers: u32,
    /// Time between two pings on a connection.
    pub ping_interval: Duration,
    /// Time given to a peer to answer a ping. One that answers none for the interval and twice
    /// this time is disconnected.
    pub ping_timeout: Duration,
    /// Time given to a bootstrap peer to name its topics, before it is left and dialled again.
    pub silence: Duration,
    /// Time given to an exchange of question and answer.
    pub request_timeout: Duration,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            bootstrap: Vec::new(),
            external: Vec::new(),
            zones: Vec::new(),
            gossip: true,
            max_peers: 256,
            ping_interval: Duration::from_secs(10),
            ping_timeout: Duration::from_secs(5),
            silence: Duration::from_secs(15),
            request_timeout: Duration::from_secs(20),
        }
    }
}

/// What the network tells the relay.
#[derive(Debug)]
pub enum NetworkEvent {
    /// A peer is connected that was not.
    Connected {
        /// Who.
        peer: PeerId,
    },
    /// The last connection with a peer is gone.
    Disconnected {
        /// Who.
        peer: PeerId,
    },
    /// A message was gossiped. It is not passed on before [`NetworkHandle::verdict`] says so.
    Gossip {
        /// Who passed it to us; not its author.
        peer: PeerId,
        /// The zone in which it was gossiped.
        zone: Zone,
        /// What should be a batch's envelope, at most as large as one.
        data: Vec<u8>,
        /// To be given back with the verdict.
        token: GossipToken,
    },
    /// A peer asks. Answer with [`NetworkHandle::reply`].
    Request {
        /// Who asks.
        peer: PeerId,
        /// What.
        request: SyncRequest,
        /// To be given back with the answer.
        reply: ReplyToken,
    },
    /// What came of a question of ours.
    Response {
        /// The tag given to [`NetworkHandle::send_request`].
        tag: u64,
        /// Who was asked.
        peer: PeerId,
        /// The answer, of the kind that was asked for, otherwise unverified.
        result: Result<SyncResponse, RequestError>,
    },
}

/// Why a question got no answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum RequestError {
    #[error("too many questions are open")]
    Busy,
    #[error("the connection closed before the answer")]
    Closed,
    #[error("the answer is malformed, too large, or none")]
    Malformed,
    #[error("the peer is not connected")]
    NotConnected,
    #[error("no answer in time")]
    Timeout,
    #[error("the peer does not speak this protocol")]
    Unsupported,
}

/// Why there is no network.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum NetworkError {
    #[error("gossip cannot be set up: {0}")]
    Gossip(String),
    #[error("the peer key cannot be used")]
    Key,
    #[error("cannot listen on {address}: {reason}")]
    Listen { address: Multiaddr, reason: String },
    #[error("a listener of the network ended: {reason}")]
    ListenerClosed { reason: String },
    #[error("{found} zones, the limit is {limit}")]
    TooManyZones { found: usize, limit: usize },
}

/// Joins the network: listens, then dials the bootstrap peers for ever.
///
/// Returns once the node listens, so that the real addresses are known, with the handle and the
/// task to run; nothing else happens until that is polled. The task ends with `stop`, or when
/// nobody takes its events any more.
///
/// # Errors
///
/// [`NetworkError`] if the node cannot listen, or for a configuration that cannot be; the task,
/// when a listener fails later.
pub async fn start(
    keypair: Keypair,
    config: NetworkConfig,
    inbox: mpsc::Sender<NetworkEvent>,
    stop: CancellationToken,
) -> Result<
    (
        NetworkHandle,
        impl Future<Output = Result<(), NetworkError>> + Send + 'static,
    ),
    NetworkError,
> {
    let (handle, mut task) = task::Task::new(&keypair, &config, inbox)?;
    task.listen(&config.listen).await?;
    Ok((handle, task.run(stop)))
}

#[cfg(test)]
mod tests;
