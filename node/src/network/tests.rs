//! Real nodes on loopback.

use std::net::SocketAddr;

use bellwether_formats::cid::{Cid, Codec};
use bellwether_formats::limit::MAX_BLOCK_BYTES;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::DropGuard;

use super::*;

/// Longest time that anything here may take.
const PATIENCE: Duration = Duration::from_secs(14);

/// A node whose events the test takes itself. It stops when dropped.
struct Node {
    handle: NetworkHandle,
    events: mpsc::Receiver<NetworkEvent>,
    _stop: DropGuard,
}

impl Node {
    async fn start(config: NetworkConfig) -> Self {
        Self::with(Keypair::generate_ed25519(), config, 64).await
    }

    async fn with(key: Keypair, config: NetworkConfig, inbox: usize) -> Self {
        let (sender, events) = mpsc::channel(inbox);
        let stop = CancellationToken::new();
        let (handle, task) = start(key, config, sender, stop.clone()).await.unwrap();
        tokio::spawn(async move { task.await.unwrap() });
        Self {
            handle,
            events,
            _stop: stop.drop_guard(),
        }
    }

    /// The first thing that `pick` finds among the events to come; the others are dropped.
    async fn wait<T>(&mut self, pick: impl Fn(NetworkEvent) -> Option<T>) -> T {
        let found = async {
            loop {
                let event = self.events.recv().await.expect("the node runs");
                if let Some(found) = pick(event) {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found)
            .await
            .expect("it happens in time")
    }

    async fn connected(&mut self) -> PeerId {
        self.wait(|event| match event {
            NetworkEvent::Connected { peer } => Some(peer),
            _ => None,
        })
        .await
    }

    async fn heard(&mut self, verdict: Verdict) -> Vec<u8> {
        let (data, token) = self
            .wait(|event| match event {
                NetworkEvent::Gossip { data, token, .. } => Some((data, token)),
                _ => None,
            })
            .await;
        self.handle.verdict(token, verdict);
        data
    }

    async fn asked(&mut self) -> (SyncRequest, ReplyToken) {
        self.wait(|event| match event {
            NetworkEvent::Request { request, reply, .. } => Some((request, reply)),
            _ => None,
        })
        .await
    }

    async fn answer(&mut self) -> (u64, Result<SyncResponse, RequestError>) {
        self.wait(|event| match event {
            NetworkEvent::Response { tag, result, .. } => Some((tag, result)),
            _ => None,
        })
        .await
    }

    /// Waits until the status is as wished.
    async fn status(&self, wished: impl Fn(&NetworkStatus) -> bool) {
        let look = async {
            while !wished(&self.handle.status()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, look)
            .await
            .expect("it happens in time");
    }
}

fn zone() -> Zone {
    "gb/sct".parse().unwrap()
}

fn config(bootstrap: Vec<Multiaddr>) -> NetworkConfig {
    NetworkConfig {
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        bootstrap,
        zones: vec![zone()],
        ..NetworkConfig::default()
    }
}

/// Two nodes that are connected; the second has dialled the first.
async fn pair() -> (Node, Node) {
    pair_with(|_| {}).await
}

async fn pair_with(second: impl Fn(&mut NetworkConfig)) -> (Node, Node) {
    let mut a = Node::start(config(Vec::new())).await;
    let mut of_b = config(a.handle.listen_addrs());
    second(&mut of_b);
    let mut b = Node::start(of_b).await;
    assert_eq!(b.connected().await, a.handle.peer_id());
    assert_eq!(a.connected().await, b.handle.peer_id());
    (a, b)
}

fn some_block() -> SyncRequest {
    SyncRequest::Block(Cid::of(Codec::Raw, b"some block"))
}

#[tokio::test]
async fn gossip_goes_both_ways_even_when_it_is_published_before_anyone_listens() {
    let mut a = Node::start(config(Vec::new())).await;
    a.handle.publish(zone(), b"superseded".to_vec());
    a.handle.publish(zone(), b"from a".to_vec());
    let mut b = Node::start(config(a.handle.listen_addrs())).await;
    b.handle.publish(zone(), b"from b".to_vec());

    assert_eq!(b.heard(Verdict::Accept).await, b"from a");
    assert_eq!(a.heard(Verdict::Accept).await, b"from b");
}

#[tokio::test]
async fn a_rejected_message_goes_no_further() {
    let a = Node::start(config(Vec::new())).await;
    let mut b = Node::start(config(a.handle.listen_addrs())).await;
    let mut c = Node::start(config(b.handle.listen_addrs())).await;

    a.handle.publish(zone(), b"first".to_vec());
    assert_eq!(b.heard(Verdict::Accept).await, b"first");
    assert_eq!(c.heard(Verdict::Accept).await, b"first");

    a.handle.publish(zone(), b"bad".to_vec());
    assert_eq!(b.heard(Verdict::Reject).await, b"bad");
    a.handle.publish(zone(), b"odd".to_vec());
    assert_eq!(b.heard(Verdict::Ignore).await, b"odd");
    a.handle.publish(zone(), b"good".to_vec());
    assert_eq!(b.heard(Verdict::Accept).await, b"good");
    assert_eq!(c.heard(Verdict::Accept).await, b"good");
}

#[tokio::test]
async fn who_sends_what_no_honest_peer_could_is_no_longer_heard() {
    let (mut a, b) = pair().await;
    for number in 0..20_u8 {
        b.handle.publish(zone(), vec![number]);
    }
    let mut refused = 0;
    while let Ok(Some(event)) = tokio::time::timeout(Duration::from_secs(3), a.events.recv()).await
    {
        if let NetworkEvent::Gossip { token, .. } = event {
            a.handle.verdict(token, Verdict::Reject);
            refused += 1;
            // The next one is judged by a score that knows of this one.
            b.handle.publish(zone(), vec![100 + refused]);
        }
    }
    assert!((9..30).contains(&refused), "{refused}");
}

#[tokio::test]
async fn a_relay_that_is_behind_loses_gossip_and_refuses_questions_but_hears_who_came() {
    let a = Node::with(Keypair::generate_ed25519(), config(Vec::new()), 1).await;
    let mut b = Node::start(config(a.handle.listen_addrs())).await;
    let peer = b.connected().await;
    // The inbox of one takes that b came; from now on it is full.
    b.handle.publish(zone(), b"lost".to_vec());
    a.status(|status| status.gossip_dropped == 1).await;
    b.handle.send_request(peer, some_block(), 1).unwrap();
    assert_eq!(
        b.answer().await,
        (1, Ok(SyncResponse::None(NoneReason::Busy)))
    );
    assert_eq!(a.handle.status().requests_refused, 1);

    let mut a = a;
    drop(b);
    a.status(|status| status.peers == 0).await;
    a.connected().await;
    a.wait(|event| matches!(event, NetworkEvent::Disconnected { .. }).then_some(()))
        .await;
}

#[tokio::test]
async fn the_largest_block_arrives() {
    let (mut a, mut b) = pair().await;
    let bytes: Vec<u8> = (0..MAX_BLOCK_BYTES)
        .map(|at| u8::try_from(at % 251).unwrap())
        .collect();
    let request = SyncRequest::Block(Cid::of(Codec::Raw, &bytes));
    b.handle
        .send_request(a.handle.peer_id(), request.clone(), 7)
        .unwrap();

    let (asked, reply) = a.asked().await;
    assert_eq!(asked, request);
    a.handle.reply(reply, SyncResponse::Block(bytes.clone()));
    assert_eq!(b.answer().await, (7, Ok(SyncResponse::Block(bytes))));
}

#[tokio::test]
async fn questions_past_a_limit_and_answers_of_another_kind_are_refused() {
    let (mut a, mut b) = pair().await;
    let peer = a.handle.peer_id();
    let feed = bellwether_formats::id::FeedId {
        provider: bellwether_formats::id::ProviderId::from_bytes([0; 32]),
        zone: zone(),
    };
    // More feeds than a question may name; and more bytes than it may have.
    for (tag, feeds) in [(1, 300), (2, 3000)] {
        let request = SyncRequest::Heads(vec![feed.clone(); feeds]);
        b.handle.send_request(peer, request, tag).unwrap();
        assert_eq!(b.answer().await, (tag, Err(RequestError::Malformed)));
    }

    b.handle.send_request(peer, some_block(), 3).unwrap();
    let (asked, reply) = a.asked().await;
    assert_eq!(asked, some_block(), "nothing of the others was heard");
    a.handle.reply(reply, SyncResponse::Heads(Vec::new()));
    assert_eq!(b.answer().await, (3, Err(RequestError::Malformed)));

    b.handle
        .send_request(PeerId::random(), some_block(), 4)
        .unwrap();
    assert_eq!(b.answer().await, (4, Err(RequestError::NotConnected)));
}

#[tokio::test]
async fn a_question_without_an_answer_fails_in_time() {
    let (mut a, mut b) = pair_with(|config| config.request_timeout = Duration::from_secs(1)).await;
    let peer = a.handle.peer_id();
    b.handle.send_request(peer, some_block(), 1).unwrap();
    let (_, held) = a.asked().await;
    assert_eq!(b.answer().await, (1, Err(RequestError::Timeout)));
    drop(held);

    // A token dropped unused is an answer of its own.
    b.handle.send_request(peer, some_block(), 2).unwrap();
    drop(a.asked().await);
    assert_eq!(b.answer().await, (2, Err(RequestError::Malformed)));

    b.handle.send_request(peer, some_block(), 3).unwrap();
    let _held = a.asked().await;
    drop(a);
    assert_eq!(b.answer().await, (3, Err(RequestError::Closed)));
}

#[tokio::test]
async fn one_peer_cannot_take_all_the_node_has() {
    let (mut a, mut b) = pair().await;
    let peer = a.handle.peer_id();
    let most = u64::try_from(MAX_INBOUND_PER_PEER).unwrap();
    for tag in 0..=most {
        b.handle.send_request(peer, some_block(), tag).unwrap();
    }
    let (_, refused) = b.answer().await;
    assert_eq!(refused, Ok(SyncResponse::None(NoneReason::Busy)));
    // As soon as others are answered, there is room again.
    for _ in 0..most {
        let (_, reply) = a.asked().await;
        a.handle
            .reply(reply, SyncResponse::None(NoneReason::NotFound));
        assert_eq!(
            b.answer().await.1,
            Ok(SyncResponse::None(NoneReason::NotFound))
        );
    }
    b.handle.send_request(peer, some_block(), 99).unwrap();
    let (_, reply) = a.asked().await;
    a.handle
        .reply(reply, SyncResponse::None(NoneReason::NotFound));
    assert_eq!(
        b.answer().await,
        (99, Ok(SyncResponse::None(NoneReason::NotFound)))
    );

    // And one node does not ask without end.
    let mut open = 0;
    while b.handle.send_request(peer, some_block(), 100).is_ok() {
        open += 1;
    }
    assert_eq!(open, MAX_OUTBOUND);
}

#[tokio::test]
async fn without_gossip_peers_still_meet_and_ask_and_are_left_in_peace() {
    let short = |config: &mut NetworkConfig| config.silence = Duration::from_millis(100);
    let mut a = Node::start(NetworkConfig {
        gossip: false,
        ..config(Vec::new())
    })
    .await;
    let mut of_b = config(a.handle.listen_addrs());
    short(&mut of_b);
    let mut b = Node::start(of_b).await;
    let peer = b.connected().await;
    for tag in 0..5 {
        b.handle.send_request(peer, some_block(), tag).unwrap();
        let (_, reply) = a.asked().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        a.handle
            .reply(reply, SyncResponse::None(NoneReason::NotFound));
        assert_eq!(
            b.answer().await,
            (tag, Ok(SyncResponse::None(NoneReason::NotFound)))
        );
    }
    assert_eq!(b.handle.status().peers_silent, 0);
}

#[tokio::test]
async fn a_bootstrap_peer_is_found_again_when_it_comes_back() {
    let key = Keypair::generate_ed25519();
    let a = Node::with(key.clone(), config(Vec::new()), 64).await;
    let listen = a.handle.status().listen;
    // Without its name: who answers there is who it is.
    let mut b = Node::start(config(listen.clone())).await;
    assert_eq!(b.connected().await, a.handle.peer_id());
    drop(a);
    b.wait(|event| matches!(event, NetworkEvent::Disconnected { .. }).then_some(()))
        .await;

    let _a = Node::with(
        key,
        NetworkConfig {
            listen,
            ..config(Vec::new())
        },
        64,
    )
    .await;
    b.connected().await;
}

#[tokio::test]
async fn a_node_that_restarts_while_its_old_connection_hangs_is_heard_again() {
    let quick = |config: NetworkConfig| NetworkConfig {
        ping_interval: Duration::from_secs(1),
        ping_timeout: Duration::from_millis(500),
        silence: Duration::from_secs(1),
        ..config
    };
    let mut relay = Node::start(quick(config(Vec::new()))).await;
    let proxy = Proxy::start(port(&relay.handle.listen_addrs())).await;
    let key = Keypair::generate_ed25519();

    let through = format!("/ip4/127.0.0.1/tcp/{}", proxy.port)
        .parse()
        .unwrap();
    let first = Node::with(key.clone(), quick(config(vec![through])), 64).await;
    first.handle.publish(zone(), b"before".to_vec());
    assert_eq!(relay.heard(Verdict::Accept).await, b"before");

    // The node dies; its old connection hangs at the relay, as after a power cut.
    proxy.freeze.cancel();
    drop(first);
    let mut second = Node::with(key, quick(config(relay.handle.listen_addrs())), 64).await;
    second.connected().await;
    assert_eq!(
        relay.handle.status().connections_hung,
        0,
        "the old connection still hangs"
    );
    second.handle.publish(zone(), b"after".to_vec());

    assert_eq!(relay.heard(Verdict::Accept).await, b"after");
    relay.handle.publish(zone(), b"welcome back".to_vec());
    assert_eq!(second.heard(Verdict::Accept).await, b"welcome back");
    assert!(relay.handle.status().connections_hung > 0);
}

#[tokio::test]
async fn what_cannot_be_is_refused_at_the_start() {
    let taken = Node::start(config(Vec::new())).await;
    let refused = |config| async {
        let (sender, _events) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let key = Keypair::generate_ed25519();
        start(key, config, sender, stop)
            .await
            .map(|_| ())
            .unwrap_err()
    };
    let listen = taken.handle.status().listen;
    let same = refused(NetworkConfig {
        listen,
        ..config(Vec::new())
    })
    .await;
    assert!(matches!(same, NetworkError::Listen { .. }), "{same}");

    let zones = (0..=1024)
        .map(|number| format!("z{number}").parse().unwrap())
        .collect();
    let many = refused(NetworkConfig {
        zones,
        ..config(Vec::new())
    })
    .await;
    assert!(
        matches!(many, NetworkError::TooManyZones { found: 1025, .. }),
        "{many}"
    );
}

#[tokio::test]
async fn as_many_zones_as_are_allowed_can_be_gossiped_in() {
    let name = |number: usize| format!("abcdefghijklmno/{0:016}/{0:016}/{0:016}", number);
    let zones: Vec<Zone> = (0..1024)
        .map(|number| name(number).parse().unwrap())
        .collect();
    let last = zones.last().unwrap().clone();
    let many = |bootstrap| NetworkConfig {
        zones: zones.clone(),
        ..config(bootstrap)
    };
    let a = Node::start(many(Vec::new())).await;
    let mut b = Node::start(many(a.handle.listen_addrs())).await;
    let largest = vec![1; bellwether_formats::limit::MAX_BATCH_BYTES];
    a.handle.publish(last, largest.clone());
    assert_eq!(b.heard(Verdict::Accept).await, largest);
}

fn port(addresses: &[Multiaddr]) -> u16 {
    let mut parts = addresses.iter().flat_map(|address| address.iter());
    parts
        .find_map(|part| match part {
            libp2p::multiaddr::Protocol::Tcp(port) => Some(port),
            _ => None,
        })
        .unwrap()
}

/// Forwards TCP connections until it freezes: then it forwards nothing, and closes nothing.
struct Proxy {
    port: u16,
    freeze: CancellationToken,
}

impl Proxy {
    async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let freeze = CancellationToken::new();
        tokio::spawn(Self::forward(listener, to, freeze.clone()));
        Self { port, freeze }
    }

    async fn forward(listener: TcpListener, to: u16, freeze: CancellationToken) {
        let target = SocketAddr::from(([127, 0, 0, 1], to));
        loop {
            let Ok((mut near, _)) = listener.accept().await else {
                return;
            };
            let freeze = freeze.clone();
            tokio::spawn(async move {
                let mut far = TcpStream::connect(target).await.unwrap();
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    () = freeze.cancelled() => std::future::pending().await,
                }
            });
        }
    }
}
