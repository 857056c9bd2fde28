//! Peers that lie to relays.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bellwether_formats::batch::Batch;
use bellwether_formats::signed::Signed;
use bellwether_node::network::{
    self, Keypair, NetworkConfig, NetworkEvent, NetworkHandle, NoneReason, SyncRequest,
    SyncResponse, Verdict,
};
use bellwether_tests::feed::Feed;
use bellwether_tests::random::Random;
use bellwether_tests::{Relay, Running, World, eventually, invented, utc, web};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Lie, Short};

/// A peer in the network that answers as a test tells it to.
struct Peer {
    handle: NetworkHandle,
    asked: Arc<Mutex<Vec<SyncRequest>>>,
    stop: CancellationToken,
}

type Answers = Box<dyn FnMut(&SyncRequest) -> SyncResponse + Send>;

impl Peer {
    /// A new one, that dials a relay.
    fn start(runtime: &Runtime, relay: &Running, answers: Answers) -> Self {
        let config = NetworkConfig {
            listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
            bootstrap: vec![relay.p2p().parse().unwrap()],
            zones: vec![invented::zone()],
            ..NetworkConfig::default()
        };
        let stop = CancellationToken::new();
        let (events, inbox) = mpsc::channel(256);
        let started = network::start(Keypair::generate_ed25519(), config, events, stop.clone());
        let (handle, task) = runtime.block_on(started).unwrap();
        runtime.spawn(task);
        let asked = Arc::new(Mutex::new(Vec::new()));
        runtime.spawn(answer(inbox, handle.clone(), answers, Arc::clone(&asked)));
        Self {
            handle,
            asked,
            stop,
        }
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn answer(
    mut inbox: mpsc::Receiver<NetworkEvent>,
    handle: NetworkHandle,
    mut answers: Answers,
    asked: Arc<Mutex<Vec<SyncRequest>>>,
) {
    while let Some(event) = inbox.recv().await {
        match event {
            NetworkEvent::Request { request, reply, .. } => {
                handle.reply(reply, answers(&request));
                asked.lock().unwrap().push(request);
            }
            NetworkEvent::Gossip { token, .. } => handle.verdict(token, Verdict::Ignore),
            _ => {}
        }
    }
}

/// What an honest peer answers that has this feed.
fn honest(short: &Short) -> impl FnMut(&SyncRequest) -> SyncResponse + Send + Clone + use<> {
    let (batches, bodies) = (short.batches.clone(), short.bodies.clone());
    let descriptor = short.provider.descriptor.envelope().to_vec();
    move |request| {
        let envelope = |batch: &Signed<Batch>| batch.envelope().to_vec();
        match request {
            SyncRequest::Heads(_) => {
                SyncResponse::Heads(batches.last().map(envelope).into_iter().collect())
            }
            SyncRequest::After { seq, .. } => {
                let newer = batches.iter().filter(|batch| batch.seq > *seq);
                SyncResponse::Batches(newer.map(envelope).collect())
            }
            SyncRequest::Descriptor(_) => SyncResponse::Descriptor(descriptor.clone()),
            SyncRequest::Block(cid) => {
                let body = bodies.iter().find(|body| body.cid() == *cid);
                let not_found = SyncResponse::None(NoneReason::NotFound);
                body.map_or(not_found, |body| SyncResponse::Block(body.bytes().to_vec()))
            }
            SyncRequest::Blocks(cids) => {
                let held = bodies.iter().filter(|body| cids.contains(&body.cid()));
                SyncResponse::Blocks(held.map(|body| body.bytes().to_vec()).collect())
            }
        }
    }
}

/// Spoils every envelope and block of an answer, each time in another place.
fn spoilt(answer: SyncResponse, random: &mut Random) -> SyncResponse {
    let mut flip = |mut bytes: Vec<u8>| {
        let at = random.place(bytes.len());
        bytes[at] ^= 1 << random.below(8);
        bytes
    };
    match answer {
        SyncResponse::Heads(all) => SyncResponse::Heads(all.into_iter().map(flip).collect()),
        SyncResponse::Batches(all) => SyncResponse::Batches(all.into_iter().map(flip).collect()),
        SyncResponse::Block(bytes) => SyncResponse::Block(flip(bytes)),
        SyncResponse::Blocks(all) => SyncResponse::Blocks(all.into_iter().map(flip).collect()),
        SyncResponse::Descriptor(bytes) => SyncResponse::Descriptor(flip(bytes)),
        none @ SyncResponse::None(_) => none,
    }
}

/// A kind of question: what a liar must have been asked before it is judged.
type Kind = fn(&SyncRequest) -> bool;

const HEADS: Kind = |request| matches!(request, SyncRequest::Heads(_));
const AFTER: Kind = |request| matches!(request, SyncRequest::After { .. });
const DESCRIPTOR: Kind = |request| matches!(request, SyncRequest::Descriptor(_));
const BLOCK: Kind = |request| matches!(request, SyncRequest::Block(_));

/// The lies that a peer can tell, each with what it must have been asked by then.
fn lies(short: &Short, other: &Short) -> Vec<(&'static str, Kind, Answers)> {
    let right = || honest(short);
    let foreign = honest(other);
    let (mut heads, mut random) = (right(), Random::new(1));
    let spoilt_heads = move |request: &SyncRequest| spoilt(heads(request), &mut random);
    let (mut others_heads, mut of_other) = (right(), foreign.clone());
    let (mut others_batches, mut of_other_too) = (right(), foreign.clone());
    let (mut others_descriptor, mut of_other_three) = (right(), foreign);
    let (mut nothing_after, mut spoilt_after, mut backwards) = (right(), right(), right());
    let (mut spoilt_descriptor, mut spoilt_block, mut no_block) = (right(), right(), right());
    let (mut a, mut b, mut c) = (Random::new(2), Random::new(3), Random::new(4));
    let mut twice = right();
    let swollen = short.bodies[0].bytes().len() + 1;
    let mut too_long = right();
    vec![
        ("spoilt, all of it", HEADS, Box::new(spoilt_heads)),
        (
            "the heads of another",
            HEADS,
            Box::new(move |request| match request {
                SyncRequest::Heads(_) => of_other(request),
                _ => others_heads(request),
            }),
        ),
        (
            "the batches of another",
            AFTER,
            Box::new(move |request| match request {
                SyncRequest::After { .. } => of_other_too(request),
                _ => others_batches(request),
            }),
        ),
        (
            "the descriptor of another",
            DESCRIPTOR,
            Box::new(move |request| match request {
                SyncRequest::Descriptor(_) => of_other_three(request),
                _ => others_descriptor(request),
            }),
        ),
        (
            "nothing after",
            AFTER,
            Box::new(move |request| match request {
                SyncRequest::After { .. } => SyncResponse::Batches(Vec::new()),
                _ => nothing_after(request),
            }),
        ),
        (
            "spoilt batches",
            AFTER,
            Box::new(move |request| match request {
                SyncRequest::After { .. } => spoilt(spoilt_after(request), &mut a),
                _ => spoilt_after(request),
            }),
        ),
        (
            "backwards",
            AFTER,
            Box::new(move |request| match backwards(request) {
                SyncResponse::Batches(mut all) => {
                    all.reverse();
                    SyncResponse::Batches(all)
                }
                answer => answer,
            }),
        ),
        (
            "each batch twice",
            AFTER,
            Box::new(move |request| match twice(request) {
                SyncResponse::Batches(all) => {
                    let all = all.into_iter().flat_map(|batch| [batch.clone(), batch]);
                    SyncResponse::Batches(all.collect())
                }
                answer => answer,
            }),
        ),
        (
            "a spoilt descriptor",
            DESCRIPTOR,
            Box::new(move |request| match request {
                SyncRequest::Descriptor(_) => spoilt(spoilt_descriptor(request), &mut b),
                _ => spoilt_descriptor(request),
            }),
        ),
        (
            "a spoilt body",
            BLOCK,
            Box::new(move |request| match request {
                SyncRequest::Block(_) => spoilt(spoilt_block(request), &mut c),
                _ => spoilt_block(request),
            }),
        ),
        (
            "a body that is too long",
            BLOCK,
            Box::new(move |request| match request {
                SyncRequest::Block(_) => SyncResponse::Block(vec![0; swollen]),
                _ => too_long(request),
            }),
        ),
        (
            "no body",
            BLOCK,
            Box::new(move |request| match request {
                SyncRequest::Block(_) => SyncResponse::None(NoneReason::NotFound),
                _ => no_block(request),
            }),
        ),
        (
            "an answer to something else",
            HEADS,
            Box::new(|_| SyncResponse::Block(vec![7; 100])),
        ),
        (
            "nothing",
            HEADS,
            Box::new(|_| SyncResponse::None(NoneReason::NotFound)),
        ),
    ]
}

/// A relay of a feed, which nobody serves yet.
fn relay_of(world: &World, name: &str, short: &Short) -> Relay {
    let id = short.provider.id().to_string();
    // A relay must have somebody to dial. Nobody listens there.
    let nobody = "/ip4/127.0.0.1/tcp/1";
    let feed = ["--provider", &id, "--zone", "gb/sct", "--bootstrap", nobody];
    let relay = Relay::init(world, name, &feed);
    relay.configure(|config| config.network.anti_entropy = Duration::from_secs(1));
    relay
}

/// That the relay shows nothing of a feed that was lied about, but for the heartbeat before it,
/// should that have come whole.
#[track_caller]
fn has_nothing(relay: &Relay, relaying: &Running, short: &Short, lie: &str) {
    let path = short.provider.feed();
    let url = format!("{}/v1/feeds/{path}/after/0", relaying.gateway());
    let answer = web::get(&url).unwrap();
    assert!([200, 404].contains(&answer.status), "{lie}: {answer:?}");
    if answer.status == 200 {
        let feed = Feed::after(&relaying.gateway(), &path, 0).unwrap();
        for batch in &feed.batches {
            assert_eq!(batch.id(), short.batches[0].id(), "{lie}: {feed:?}");
        }
    }
    for body in &short.bodies {
        assert!(
            !relaying.has(&body.cid().to_string()),
            "{lie}: a body without its batch"
        );
    }
    let status = relay.verb(&["status", "--json"]).ok().json().remove(0);
    assert!(
        status["feeds"][0]["seq"].as_u64() <= Some(1),
        "{lie}: {status}"
    );
}

/// A relay for each lie, so that none profits from what was heard before; then comes the truth.
#[test]
fn a_lie_of_a_peer_is_not_stored() {
    let world = World::new();
    let (short, other) = (Short::new(13), Short::new(14));
    let runtime = Runtime::new().unwrap();
    for (number, (lie, kind, answers)) in lies(&short, &other).into_iter().enumerate() {
        let relay = relay_of(&world, &format!("relay-{number}"), &short);
        let relaying = relay.run();
        let liar = Peer::start(&runtime, &relaying, answers);
        eventually("the liar to tell its lie", || {
            liar.asked.lock().unwrap().iter().any(kind).then_some(())
        });
        // What it says has been heard by the time that the questions stop, or go in circles.
        let mut heard = 0;
        while heard < liar.asked() && heard < 10 {
            heard = liar.asked();
            std::thread::sleep(Duration::from_millis(200));
        }
        has_nothing(&relay, &relaying, &short, lie);
        let _honest = Peer::start(&runtime, &relaying, Box::new(honest(&short)));
        has_all(&relaying, &short);
    }
}

/// That the relay has the feed, as its provider signed it.
#[track_caller]
fn has_all(relaying: &Running, short: &Short) {
    let feed = eventually("the truth to arrive", || {
        let feed = Feed::after(&relaying.gateway(), &short.provider.feed(), 0).ok()?;
        (feed.batches.len() == short.batches.len()).then_some(feed)
    });
    let ids = |batches: &[Signed<Batch>]| batches.iter().map(Signed::id).collect::<Vec<_>>();
    assert_eq!(ids(&feed.batches), ids(&short.batches));
}

/// Every byte of a batch, changed, by gossip; and a batch from the future, which is nobody's fault.
#[test]
fn spoilt_gossip_is_refused() {
    let world = World::new();
    let short = Short::new(15);
    let relay = relay_of(&world, "relay", &short);
    let relaying = relay.run();
    let runtime = Runtime::new().unwrap();
    let nothing = || Box::new(|_: &SyncRequest| SyncResponse::None(NoneReason::NotFound));
    let envelope = short.batches[1].envelope().to_vec();
    // A peer that gossips lies loses its reputation, and is soon not heard any more: so several.
    for from in (0..envelope.len()).step_by(40) {
        let peer = Peer::start(&runtime, &relaying, nothing());
        eventually("the liar to be asked", || (peer.asked() > 0).then_some(()));
        for at in from..(from + 40).min(envelope.len()) {
            let mut spoilt = envelope.clone();
            Lie::Flip(at).spoil(&mut spoilt);
            peer.handle.publish(invented::zone(), spoilt);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let status = eventually("the relay to judge it", || {
        let status = relay.verb(&["status", "--json"]).ok().json().remove(0);
        (status["network"]["rejected"].as_u64() > Some(0)).then_some(status)
    });
    println!("{}", status["network"]);
    has_nothing(&relay, &relaying, &short, "spoilt gossip");

    // Of the same provider: a second descriptor of its epoch would speak for these batches alone.
    let (now, mut future) = (utc(), short.clone());
    let first = short.batches.first();
    future.batches[1] = short
        .provider
        .batch(first, now + 3600, now + 7200, Vec::new());
    let peer = Peer::start(&runtime, &relaying, Box::new(honest(&future)));
    peer.handle
        .publish(invented::zone(), future.batches[1].envelope().to_vec());
    eventually("the peer to be asked", || (peer.asked() > 0).then_some(()));
    std::thread::sleep(Duration::from_millis(500));
    has_nothing(&relay, &relaying, &short, "from the future");
    drop(peer);
    let _peer = Peer::start(&runtime, &relaying, Box::new(honest(&short)));
    has_all(&relaying, &short);
    relaying.stop();
}
