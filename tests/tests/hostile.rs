//! Liars: whatever a gateway or a peer says, nothing false is stored, the right thing still
//! arrives, and nobody panics.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test"
)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bellwether_client::Client;
use bellwether_client::observations::{Family, Observation};
use bellwether_formats::batch::Batch;
use bellwether_formats::cid::Block;
use bellwether_formats::descriptor::Descriptor;
use bellwether_formats::share::Share;
use bellwether_formats::signed::Signed;
use bellwether_node::network::{
    self, Keypair, NetworkConfig, NetworkEvent, NetworkHandle, NoneReason, SyncRequest,
    SyncResponse, Verdict,
};
use bellwether_tests::feed::Feed;
use bellwether_tests::invented::{self, Invented};
use bellwether_tests::random::Random;
use bellwether_tests::server::Server;
use bellwether_tests::{Relay, Running, World, eventually, utc, web};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A short feed: a heartbeat, then three seeds.
struct Short {
    provider: Invented,
    batches: Vec<Signed<Batch>>,
    bodies: Vec<Block>,
}

impl Short {
    fn new(number: u8) -> Self {
        let provider = Invented::new(number);
        let now = utc();
        let (part, body) = invented::part(now - 10, &[1, 2, 3]);
        let first = provider.batch(None, now - 60, now + 3600, Vec::new());
        let second = provider.batch(Some(&first), now - 10, now + 3600, vec![part]);
        Self { provider, batches: vec![first, second], bodies: vec![body] }
    }

    fn gateway(&self) -> impl FnMut(&str) -> Option<Vec<u8>> + Send + Clone + 'static + use<> {
        invented::gateway(&self.provider.descriptor, &self.batches, &self.bodies)
    }

    fn share(&self, gateways: &[&Server]) -> Share {
        let named = gateways.iter().map(|server| format!("&gateway={0}&operator={0}", server.url));
        let text = format!("bellwether:{}?zone=gb/sct{}", self.provider.id(), named.collect::<String>());
        text.parse().unwrap()
    }
}

/// A phone that observed what the second batch holds.
fn phone(world: &World, name: &str, share: &Share) -> Client {
    let mut phone = Client::open(&world.path(name)).unwrap();
    phone.follow(share).unwrap();
    let id = invented::identifier(2, 141).parse().unwrap();
    phone.observe(&[Observation { id, at: utc() - 3600, family: Family::Cx }]).unwrap();
    phone
}

/// What a lying gateway spoils: answers whose path has this in it.
const SPOILT: [&str; 3] = ["/after/", "/heads", "/ipfs/"];

#[test]
fn a_lie_of_a_gateway_is_refused_wherever_it_stands() {
    let world = World::new();
    let short = Short::new(11);
    let honest = Server::start(short.gateway());
    for (number, spoilt) in SPOILT.into_iter().enumerate() {
        let asked = Arc::new(AtomicUsize::new(0));
        let liar = Server::start(short.gateway());
        let mut phone = phone(&world, &format!("phone-{number}"), &short.share(&[&liar]));
        let size = spoilt_len(&short, spoilt);
        let lies = (0..size).map(Lie::Flip).chain((0..=size).map(Lie::Insert));
        for lie in lies {
            let (asked, mut right) = (Arc::clone(&asked), without_bodies(&short, spoilt));
            liar.answer(move |path| {
                let mut bytes = right(path)?;
                if path.contains(spoilt) {
                    asked.fetch_add(1, Ordering::SeqCst);
                    lie.spoil(&mut bytes);
                }
                Some(bytes)
            });
            let synced = phone.sync().unwrap();
            let outcome = &synced.report.feeds[0];
            assert!(!outcome.reached, "{spoilt} {lie:?}: {synced:?}");
            let rules = synced.report.errors.iter().map(|problem| problem.rule);
            assert!(rules.clone().all(|rule| !rule.is_empty()) && rules.count() > 0, "{synced:?}");
            let status = phone.status().remove(0);
            // The envelopes are honest where only a body is spoilt, but the head waits for it.
            assert_eq!((status.head, status.bodies), (None, 0), "{spoilt} {lie:?}");
            assert!(phone.alerts().unwrap().matches.is_empty(), "{spoilt} {lie:?}");
        }
        assert!(asked.load(Ordering::SeqCst) > 2 * size, "the liar was asked each time");

        // With another gateway beside it the phone gets the truth, whatever it draws first.
        phone.follow(&short.share(&[&honest])).unwrap();
        let synced = phone.sync().unwrap();
        assert!(synced.report.feeds[0].reached, "{synced:?}");
        assert_eq!(phone.alerts().unwrap().matches.len(), 1);
    }
}

/// What is done to the bytes of an answer.
#[derive(Clone, Copy, Debug)]
enum Lie {
    /// A bit of this byte.
    Flip(usize),
    /// A byte more in this place.
    Insert(usize),
}

impl Lie {
    fn spoil(self, bytes: &mut Vec<u8>) {
        let random = |place: usize| Random::new(u64::try_from(place).unwrap()).next();
        match self {
            Self::Flip(at) => {
                let Some(byte) = bytes.get_mut(at) else { return };
                *byte ^= 1 << (random(at) % 8);
            }
            Self::Insert(at) => bytes.insert(at.min(bytes.len()), random(at).to_le_bytes()[0]),
        }
    }
}

/// The honest gateway; where bodies are to be spoilt, one that leaves them out of its bundles.
fn without_bodies(short: &Short, spoilt: &str) -> Box<dyn FnMut(&str) -> Option<Vec<u8>> + Send> {
    let mut whole = short.gateway();
    if spoilt != "/ipfs/" {
        return Box::new(whole);
    }
    let mut bare = invented::gateway(&short.provider.descriptor, &short.batches, &[]);
    Box::new(move |path| if path.contains("/ipfs/") { whole(path) } else { bare(path) })
}

fn spoilt_len(short: &Short, spoilt: &str) -> usize {
    let body = short.bodies[0].cid();
    let path = match spoilt {
        "/after/" => format!("/v1/feeds/{}/after/0", short.provider.feed()),
        "/heads" => "/v1/zones/gb/sct/heads".to_owned(),
        _ => format!("/ipfs/{body}?format=raw"),
    };
    short.gateway()(&path).unwrap().len()
}

/// The same with the binary: the lie is named on stderr, the exit status says failure.
#[test]
fn the_command_line_names_the_lie() {
    let world = World::new();
    let short = Short::new(12);
    let mut right = short.gateway();
    let liar = Server::start(move |path| {
        let mut bytes = right(path)?;
        if path.contains("/after/") {
            *bytes.last_mut()? ^= 1;
        }
        Some(bytes)
    });
    let honest = Server::start(short.gateway());
    let phone = world.phone("phone");
    phone.follow(&short.share(&[&liar]).to_string()).observed(&[invented::identifier(3, 7)]);
    let failed = phone.verb(&["sync", "--json"]).exit(2);
    assert!(failed.stderr.contains(&liar.url), "{failed:?}");
    assert_eq!(phone.alerts().code, 3);
    phone.follow(&short.share(&[&honest]).to_string());
    phone.sync();
    assert_eq!(phone.alerts().code, 1);
    // A gateway that says nothing at all is passed over as well.
    liar.answer(|_| None);
    phone.sync();
    assert_eq!(phone.alerts().code, 1);
}

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
        Self { handle, asked, stop }
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
        }
    }
}

/// Spoils every envelope and block of an answer, each time in another place.
fn spoilt(answer: SyncResponse, random: &mut Random) -> SyncResponse {
    let mut flip = |mut bytes: Vec<u8>| {
        let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
        bytes[at] ^= 1 << random.below(8);
        bytes
    };
    match answer {
        SyncResponse::Heads(all) => SyncResponse::Heads(all.into_iter().map(flip).collect()),
        SyncResponse::Batches(all) => SyncResponse::Batches(all.into_iter().map(flip).collect()),
        SyncResponse::Block(bytes) => SyncResponse::Block(flip(bytes)),
        SyncResponse::Descriptor(bytes) => SyncResponse::Descriptor(flip(bytes)),
        none @ SyncResponse::None(_) => none,
    }
}

/// The lies that a peer can tell, each with what it must have been asked by then.
fn lies(short: &Short, other: &Short) -> Vec<(&'static str, Answers)> {
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
        ("spoilt, all of it", Box::new(spoilt_heads)),
        ("the heads of another", Box::new(move |request| match request {
            SyncRequest::Heads(_) => of_other(request),
            _ => others_heads(request),
        })),
        ("the batches of another", Box::new(move |request| match request {
            SyncRequest::After { .. } => of_other_too(request),
            _ => others_batches(request),
        })),
        ("the descriptor of another", Box::new(move |request| match request {
            SyncRequest::Descriptor(_) => of_other_three(request),
            _ => others_descriptor(request),
        })),
        ("nothing after", Box::new(move |request| match request {
            SyncRequest::After { .. } => SyncResponse::Batches(Vec::new()),
            _ => nothing_after(request),
        })),
        ("spoilt batches", Box::new(move |request| match request {
            SyncRequest::After { .. } => spoilt(spoilt_after(request), &mut a),
            _ => spoilt_after(request),
        })),
        ("backwards", Box::new(move |request| match backwards(request) {
            SyncResponse::Batches(mut all) => {
                all.reverse();
                SyncResponse::Batches(all)
            }
            answer => answer,
        })),
        ("each batch twice", Box::new(move |request| match twice(request) {
            SyncResponse::Batches(all) => {
                let all = all.into_iter().flat_map(|batch| [batch.clone(), batch]);
                SyncResponse::Batches(all.collect())
            }
            answer => answer,
        })),
        ("a spoilt descriptor", Box::new(move |request| match request {
            SyncRequest::Descriptor(_) => spoilt(spoilt_descriptor(request), &mut b),
            _ => spoilt_descriptor(request),
        })),
        ("a spoilt body", Box::new(move |request| match request {
            SyncRequest::Block(_) => spoilt(spoilt_block(request), &mut c),
            _ => spoilt_block(request),
        })),
        ("a body that is too long", Box::new(move |request| match request {
            SyncRequest::Block(_) => SyncResponse::Block(vec![0; swollen]),
            _ => too_long(request),
        })),
        ("no body", Box::new(move |request| match request {
            SyncRequest::Block(_) => SyncResponse::None(NoneReason::NotFound),
            _ => no_block(request),
        })),
        ("an answer to something else", Box::new(|_| SyncResponse::Block(vec![7; 100]))),
        ("nothing", Box::new(|_| SyncResponse::None(NoneReason::NotFound))),
    ]
}

/// A relay of a feed, which nobody serves yet.
fn relay_of(world: &World, short: &Short) -> Relay {
    let id = short.provider.id().to_string();
    // A relay must have somebody to dial. Nobody listens there.
    let nobody = "/ip4/127.0.0.1/tcp/1";
    let feed = ["--provider", &id, "--zone", "gb/sct", "--bootstrap", nobody];
    let relay = Relay::init(world, "relay", &feed);
    relay.configure(|config| config.network.anti_entropy = Duration::from_secs(1));
    relay
}

/// That the relay has nothing to show of a feed.
#[track_caller]
fn has_nothing(relay: &Relay, relaying: &Running, short: &Short, lie: &str) {
    let url = format!("{}/v1/feeds/{}/after/0", relaying.gateway(), short.provider.feed());
    let answer = web::get(&url).unwrap();
    if answer.status == 200 {
        let feed = Feed::after(&relaying.gateway(), &short.provider.feed(), 0).unwrap();
        assert!(feed.batches.is_empty(), "{lie}: {feed:?}");
    } else {
        assert_eq!(answer.status, 404, "{lie}");
    }
    for body in &short.bodies {
        assert!(!relaying.has(&body.cid().to_string()), "{lie}: a body without its batch");
    }
    let status = relay.verb(&["status", "--json"]).ok().json().remove(0);
    assert!(status["feeds"][0]["seq"].is_null(), "{lie}: {status}");
}

#[test]
fn a_lie_of_a_peer_is_not_stored() {
    let world = World::new();
    let (short, other) = (Short::new(13), Short::new(14));
    let relay = relay_of(&world, &short);
    let relaying = relay.run();
    let runtime = Runtime::new().unwrap();
    for (lie, answers) in lies(&short, &other) {
        let peer = Peer::start(&runtime, &relaying, answers);
        eventually("the liar to be asked", || (peer.asked() > 0).then_some(()));
        // What it says now has been heard by the time that its questions stop.
        let mut heard = 0;
        while heard < peer.asked() {
            heard = peer.asked();
            std::thread::sleep(Duration::from_millis(300));
        }
        has_nothing(&relay, &relaying, &short, lie);
    }
    let peer = Peer::start(&runtime, &relaying, Box::new(honest(&short)));
    has_all(&relaying, &short);
    assert!(peer.asked() > 0);
    let phone = world.phone("phone");
    let gateway = relaying.gateway();
    phone.follow(&format!("bellwether:{}?zone=gb/sct&gateway={gateway}", short.provider.id()));
    phone.observed(&[invented::identifier(1, 9)]).sync();
    assert_eq!(phone.alerts().code, 1);
    relaying.stop();
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
    let relay = relay_of(&world, &short);
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
        (status["network"]["relay"]["rejected"].as_u64() > Some(0)).then_some(status)
    });
    println!("{}", status["network"]["relay"]);
    has_nothing(&relay, &relaying, &short, "spoilt gossip");

    let mut future = Short::new(15);
    let (now, first) = (utc(), future.batches[0].clone());
    future.batches[1] = future.provider.batch(Some(&first), now + 3600, now + 7200, Vec::new());
    let peer = Peer::start(&runtime, &relaying, Box::new(honest(&future)));
    peer.handle.publish(invented::zone(), future.batches[1].envelope().to_vec());
    eventually("the peer to be asked", || (peer.asked() > 0).then_some(()));
    std::thread::sleep(Duration::from_millis(500));
    has_nothing(&relay, &relaying, &short, "from the future");
    drop(peer);
    let _peer = Peer::start(&runtime, &relaying, Box::new(honest(&short)));
    has_all(&relaying, &short);
    relaying.stop();
}

/// A stranger cannot make a second valid envelope of a batch or a descriptor: whatever bytes are
/// changed or put in, none that is accepted is another.
#[test]
fn there_is_one_envelope() {
    let short = Short::new(16);
    let batch = short.batches[1].envelope();
    let descriptor = short.provider.descriptor.envelope();
    for at in 0..=batch.len() {
        for byte in 0..=255_u8 {
            let mut changed = batch.to_vec();
            changed.insert(at, byte);
            assert!(Signed::<Batch>::open(&changed).is_err(), "{byte} put in at {at}");
        }
    }
    for bit in 0..8 {
        for at in 0..batch.len() {
            let mut changed = batch.to_vec();
            changed[at] ^= 1 << bit;
            assert!(Signed::<Batch>::open(&changed).is_err(), "bit {bit} of {at}");
        }
        for at in 0..descriptor.len() {
            let mut changed = descriptor.to_vec();
            changed[at] ^= 1 << bit;
            assert!(Signed::<Descriptor>::open(&changed).is_err(), "bit {bit} of {at}");
        }
    }
}
