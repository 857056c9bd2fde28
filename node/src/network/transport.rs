//! TCP, Noise, Yamux; and connections that can always be closed.

use std::io;
use std::net::{IpAddr, TcpListener};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::core::muxing::{StreamMuxer, StreamMuxerBox, StreamMuxerEvent};
use libp2p::core::transport::{Boxed, Transport, upgrade};
use libp2p::dns::{ResolverConfig, ResolverOpts};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId, dns, identity, noise, tcp, yamux};
use tokio::time::Sleep;

use super::NetworkError;

/// Time a new connection has for its handshakes.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Time a closing connection has to say good-bye.
const GOODBYE: Duration = Duration::from_secs(3);

/// Most open streams on one connection: gossip 2, ping 2, identify 2, and the exchange's own
/// bound on either side, with room.
const MAX_STREAMS: usize = 64;

/// What the node dials and listens with.
pub(super) fn build(
    keypair: &identity::Keypair,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, NetworkError> {
    let tcp = || tcp::tokio::Transport::new(tcp::Config::default().nodelay(true));
    let dns = dns::tokio::Transport::system(tcp()).unwrap_or_else(|error| {
        // Numbers still work; a machine without name servers may have no names to dial.
        tracing::warn!(%error, "no name servers, peers named by DNS cannot be reached");
        nameless(tcp())
    });
    let noise = noise::Config::new(keypair).map_err(|_| NetworkError::Key)?;
    let mut yamux = yamux::Config::default();
    yamux.set_max_num_streams(MAX_STREAMS);
    Ok(dns
        .upgrade(upgrade::Version::V1Lazy)
        .authenticate(noise)
        .multiplex(yamux)
        .timeout(HANDSHAKE)
        .map(|(peer, muxer), _| {
            (
                peer,
                StreamMuxerBox::new(Closable {
                    muxer,
                    deadline: None,
                }),
            )
        })
        .boxed())
}

/// A transport that finds no names.
fn nameless<T>(tcp: T) -> dns::tokio::Transport<T> {
    dns::tokio::Transport::custom(tcp, ResolverConfig::default(), ResolverOpts::default())
}

/// Refuses an address on which somebody listens already. The transport itself would share the port
/// with them, and each would get some of the connections.
pub(super) fn check_free(address: &Multiaddr) -> io::Result<()> {
    let mut parts = address.iter();
    let ip = match parts.next() {
        Some(Protocol::Ip4(ip)) => IpAddr::from(ip),
        Some(Protocol::Ip6(ip)) => IpAddr::from(ip),
        _ => return Ok(()),
    };
    match parts.next() {
        Some(Protocol::Tcp(port)) if port != 0 => TcpListener::bind((ip, port)).map(drop),
        _ => Ok(()),
    }
}

/// A connection whose end does not wait for the other side.
///
/// Closing first flushes what is still to be sent. Towards a peer that hangs with a full window
/// that takes for ever, the peer stays "connected", and is never dialled again. So the good-bye
/// has a deadline, after which the socket is dropped.
struct Closable<M> {
    muxer: M,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<M: StreamMuxer + Unpin> StreamMuxer for Closable<M> {
    type Substream = M::Substream;
    type Error = M::Error;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        Pin::new(&mut self.muxer).poll_inbound(cx)
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        Pin::new(&mut self.muxer).poll_outbound(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if let Poll::Ready(result) = Pin::new(&mut self.muxer).poll_close(cx) {
            return Poll::Ready(result);
        }
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(GOODBYE)));
        deadline.as_mut().poll(cx).map(Ok)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<StreamMuxerEvent, Self::Error>> {
        Pin::new(&mut self.muxer).poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::poll_fn;

    use futures::io::Cursor;
    use libp2p::core::Endpoint;
    use libp2p::core::transport::{DialOpts, PortUse};

    use super::*;

    /// A connection to a peer that takes nothing any more.
    struct Hung;

    impl StreamMuxer for Hung {
        type Substream = Cursor<Vec<u8>>;
        type Error = Infallible;

        fn poll_inbound(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Result<Self::Substream, Infallible>> {
            Poll::Pending
        }

        fn poll_outbound(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Result<Self::Substream, Infallible>> {
            Poll::Pending
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Pending
        }

        fn poll(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Result<StreamMuxerEvent, Infallible>> {
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn without_name_servers_names_fail_and_numbers_do_not() {
        let mut transport = nameless(tcp::tokio::Transport::new(tcp::Config::default()));
        let options = || DialOpts {
            role: Endpoint::Dialer,
            port_use: PortUse::New,
        };
        let name = "/dns4/relay.invalid/tcp/1".parse().unwrap();
        assert!(transport.dial(name, options()).unwrap().await.is_err());

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let number = format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap();
        assert!(transport.dial(number, options()).unwrap().await.is_ok());
    }

    #[tokio::test]
    async fn a_connection_that_hangs_can_be_closed() {
        let mut connection = Closable {
            muxer: Hung,
            deadline: None,
        };
        let closed = poll_fn(|cx| Pin::new(&mut connection).poll_close(cx));
        let in_time = tokio::time::timeout(2 * GOODBYE, closed).await;
        assert_eq!(in_time, Ok(Ok(())));
    }
}
