//! How the rest of the node speaks to the network.

use std::sync::Arc;

use bellwether_formats::id::Zone;
use libp2p::gossipsub::MessageId;
use libp2p::multiaddr::Protocol;
use libp2p::request_response::ResponseChannel;
use libp2p::{Multiaddr, PeerId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::message::{SyncRequest, SyncResponse};
use super::{MAX_COMMANDS, MAX_OUTBOUND, RequestError};

/// Speaks to the network. Cheap to clone; nothing here waits.
///
/// Commands go through a bounded queue. When it is full they are dropped and counted: gossip and
/// answers that are lost come again with the next round of anti-entropy.
#[derive(Clone, Debug)]
pub struct NetworkHandle {
    peer: PeerId,
    commands: mpsc::Sender<Command>,
    status: watch::Sender<NetworkStatus>,
    questions: Arc<Semaphore>,
}

/// How the network is doing; for `status` and metrics.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NetworkStatus {
    /// Where the node listens, real ports, without `/p2p/…`.
    pub listen: Vec<Multiaddr>,
    /// Connected peers.
    pub peers: u64,
    /// Gossip messages dropped because the relay was behind.
    pub gossip_dropped: u64,
    /// Verdicts that came too late to pass the message on.
    pub verdicts_late: u64,
    /// Questions of peers answered "busy".
    pub requests_refused: u64,
    /// Commands dropped because the network was behind.
    pub commands_dropped: u64,
    /// Connections closed because the peer answered no ping.
    pub connections_hung: u64,
    /// Configured peers left because they named no topics, and dialled again.
    pub peers_silent: u64,
}

/// What gossip does with a message. Source: spec §9.2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Pass it on.
    Accept,
    /// Do not pass it on; nobody is to blame.
    Ignore,
    /// Do not pass it on; no honest peer could have sent it.
    Reject,
}

/// Names a gossip message that waits for its verdict.
#[derive(Clone, Debug)]
pub struct GossipToken {
    pub(super) id: MessageId,
    pub(super) from: PeerId,
}

/// The right to answer one question of a peer. Dropped unused, the peer sees a failure at once.
#[derive(Debug)]
pub struct ReplyToken(pub(super) ResponseChannel<SyncResponse>);

/// What the swarm's task is asked to do.
#[derive(Debug)]
pub(super) enum Command {
    Publish {
        zone: Zone,
        data: Vec<u8>,
    },
    Reply {
        token: ReplyToken,
        response: SyncResponse,
    },
    Request {
        peer: PeerId,
        request: SyncRequest,
        tag: u64,
        permit: OwnedSemaphorePermit,
    },
    Verdict {
        token: GossipToken,
        verdict: Verdict,
    },
}

impl NetworkHandle {
    pub(super) fn new(
        peer: PeerId,
        status: watch::Sender<NetworkStatus>,
    ) -> (Self, mpsc::Receiver<Command>) {
        let (commands, receiver) = mpsc::channel(MAX_COMMANDS);
        let questions = Arc::new(Semaphore::new(MAX_OUTBOUND));
        (
            Self {
                peer,
                commands,
                status,
                questions,
            },
            receiver,
        )
    }

    /// This node's name among peers.
    pub const fn peer_id(&self) -> PeerId {
        self.peer
    }

    /// Where this node can be dialled: real addresses, each ending in `/p2p/…`.
    pub fn listen_addrs(&self) -> Vec<Multiaddr> {
        let status = self.status.borrow();
        let named = status.listen.iter().map(|address| {
            let name = Protocol::P2p(self.peer);
            address.clone().with(name)
        });
        named.collect()
    }

    /// How the network is doing.
    pub fn status(&self) -> NetworkStatus {
        self.status.borrow().clone()
    }

    /// Gossips a batch's envelope in its zone.
    ///
    /// While nobody listens there, the newest envelope of each zone is kept and sent once somebody
    /// does.
    pub fn publish(&self, zone: Zone, data: Vec<u8>) {
        self.command(Command::Publish { zone, data });
    }

    /// Says what becomes of a gossip message. Each one needs a verdict within half a minute.
    pub fn verdict(&self, token: GossipToken, verdict: Verdict) {
        self.command(Command::Verdict { token, verdict });
    }

    /// Answers a peer's question.
    pub fn reply(&self, token: ReplyToken, response: SyncResponse) {
        self.command(Command::Reply { token, response });
    }

    /// Asks a connected peer something. The outcome comes as one
    /// [`Response`](super::NetworkEvent::Response) with this `tag`.
    ///
    /// # Errors
    ///
    /// [`RequestError::Busy`] if too many questions are open; then no such event comes.
    pub fn send_request(
        &self,
        peer: PeerId,
        request: SyncRequest,
        tag: u64,
    ) -> Result<(), RequestError> {
        let permit = Arc::clone(&self.questions).try_acquire_owned();
        let permit = permit.map_err(|_| RequestError::Busy)?;
        let command = Command::Request {
            peer,
            request,
            tag,
            permit,
        };
        self.commands
            .try_send(command)
            .map_err(|_| RequestError::Busy)
    }

    fn command(&self, command: Command) {
        if self.commands.try_send(command).is_err() {
            self.status
                .send_modify(|status| status.commands_dropped += 1);
        }
    }
}
