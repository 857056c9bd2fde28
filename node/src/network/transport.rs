//! TCP, Noise, Yamux; and connections that can always be closed.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::core::muxing::{StreamMuxer, StreamMuxerBox, StreamMuxerEvent};
use libp2p::core::transport::{Boxed, Transport, upgrade};
use libp2p::{PeerId, dns, identity, noise, tcp, yamux};
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
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true));
    let dns = dns::tokio::Transport::system(tcp).map_err(NetworkError::Dns)?;
    let noise = noise::Config::new(keypair).map_err(|_| NetworkError::Key)?;
    let mut yamux = yamux::Config::default();
    yamux.set_max_num_streams(MAX_STREAMS);
    Ok(dns
        .upgrade(upgrade::Version::V1Lazy)
        .authenticate(noise)
        .multiplex(yamux)
        .timeout(HANDSHAKE)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(Closable { muxer, deadline: None })))
        .boxed())
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

impl<M: StreamMuxer<Error = yamux::Error> + Unpin> StreamMuxer for Closable<M> {
    type Substream = M::Substream;
    type Error = yamux::Error;

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
