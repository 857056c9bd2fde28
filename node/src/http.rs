//! Serving HTTP/1.1 in a hostile world: a bounded accept loop around hyper.
//!
//! Everything that a stranger can make this process hold has a bound in [`Limits`]: connections,
//! header bytes, and the time of a handshake, a request, a stalled write, a whole connection.
//! Nothing here logs an address, as the time of an acceptance would stand beside it.
//! Source: spec §8.1.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

pub(crate) mod answer;
mod certificate;
mod connection;
mod stall;
mod tls;

#[cfg(test)]
pub(crate) mod client;
#[cfg(test)]
mod tests;

pub use certificate::Validity;
pub use tls::{SelfSigned, Tls, TlsError, self_signed};

/// Tells the time in seconds of UTC: [`crate::clock::now`], or what a test says.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What strangers may take of this process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Most connections at once; one more is closed unread. Half of the 1024 file descriptors
    /// that a process usually has, as the store, libp2p and a second listener want some.
    pub connections: usize,
    /// Most connections of one address (IPv6: /64). A mobile network puts many phones behind one
    /// address, so this keeps one careless program from taking all, and no more. Loopback is
    /// exempt: a proxy stands there.
    pub connections_per_address: usize,
    /// Longest TLS handshake.
    pub handshake: Duration,
    /// Longest wait for a whole request head, which is the longest idle time of a kept connection
    /// too: the clock runs from the end of the answer before.
    pub head: Duration,
    /// Most bytes of a request head. Ours have some hundred; browsers send a few thousand.
    pub head_bytes: usize,
    /// Longest time from a request's head to its answer's head, the request's body included:
    /// 64 KiB in 60 s is less than the slowest phone sends.
    pub request: Duration,
    /// Longest time in which the peer takes not one byte of an answer.
    pub stall: Duration,
    /// Longest life of a connection. Its last exchange then has `grace` to end; 4 MiB in ten
    /// minutes are 7 KB/s.
    pub connection: Duration,
    /// Time that running exchanges have to end, once told to stop.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            connections_per_address: 128,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(20),
            head_bytes: 16 * 1024,
            request: Duration::from_mins(1),
            stall: Duration::from_secs(20),
            connection: Duration::from_mins(10),
            grace: Duration::from_secs(5),
        }
    }
}

/// Pause after a failure to accept, as when file descriptors have run out: it does not help to ask
/// again at once, and connections that end give some back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` until `stop`; then refuses new connections and lets exchanges end, for
/// `limits.grace`. Handlers find the peer as the extension
/// [`ConnectInfo<SocketAddr>`](axum::extract::ConnectInfo). Dropped, it ends at once.
///
/// # Errors
///
/// None in the long run: a failure to accept is logged and waited out.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) -> io::Result<()> {
    let mut server = Server {
        context: Arc::new(connection::Context {
            router,
            tls,
            limits,
            stop: stop.clone(),
        }),
        tasks: JoinSet::new(),
        addresses: HashMap::new(),
        by_address: HashMap::new(),
        failing: false,
    };
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(ended) = server.tasks.join_next_with_id() => server.ended(ended),
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => server.accepted(stream, peer),
                Err(error) if is_of_peer(&error) => {}
                Err(error) => {
                    server.failed(&error);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    // Each connection keeps to the grace by itself.
    while let Some(ended) = server.tasks.join_next_with_id().await {
        server.ended(ended);
    }
    Ok(())
}

struct Server {
    context: Arc<connection::Context>,
    /// One task a connection, at most [`Limits::connections`].
    tasks: JoinSet<()>,
    addresses: HashMap<Id, IpAddr>,
    by_address: HashMap<IpAddr, usize>,
    /// Whether the last attempt to accept failed: said once.
    failing: bool,
}

impl Server {
    fn accepted(&mut self, stream: TcpStream, peer: SocketAddr) {
        self.failing = false;
        let limits = &self.context.limits;
        if self.tasks.len() >= limits.connections {
            tracing::debug!(
                connections = self.tasks.len(),
                "all in use, one more refused"
            );
            return;
        }
        let address = network_of(peer.ip());
        let taken = self.by_address.entry(address).or_default();
        if *taken >= limits.connections_per_address && !address.is_loopback() {
            tracing::debug!("an address has all the connections it may have");
            return;
        }
        *taken += 1;
        let context = Arc::clone(&self.context);
        let task = self.tasks.spawn(connection::run(context, stream, peer));
        self.addresses.insert(task.id(), address);
    }

    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => {
                tracing::error!(%error, "a connection's task failed");
                error.id()
            }
        };
        let Some(address) = self.addresses.remove(&id) else {
            return;
        };
        if let Some(taken) = self.by_address.get_mut(&address) {
            *taken = taken.saturating_sub(1);
            if *taken == 0 {
                self.by_address.remove(&address);
            }
        }
    }

    fn failed(&mut self, error: &io::Error) {
        if !self.failing {
            tracing::warn!(%error, "cannot accept connections, trying on");
        }
        self.failing = true;
    }
}

/// Whether the connection failed before it was accepted, which is no fault of this process.
fn is_of_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}

/// Who is taken for one peer: an IPv4 address, an IPv6 /64.
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}
