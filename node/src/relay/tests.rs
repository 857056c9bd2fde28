use std::sync::OnceLock;

use bellwether_formats::cid::Block;
use libp2p::identity::Keypair;
use tokio_util::sync::DropGuard;

use super::server::answer;
use super::verify::open;
use super::*;
use crate::clock;
use crate::network::{
    self, MAX_LIST_BYTES, Multiaddr, NetworkConfig, NoneReason, SyncRequest, SyncResponse,
};
use crate::replicator::testing::{Author, block};

mod sealed;

/// Longest time that anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Long enough ago that a test's batches, a minute apart, are not of the future.
fn start() -> u64 {
    static START: OnceLock<u64> = OnceLock::new();
    *START.get_or_init(|| clock::now() - 3600)
}

/// A relay with its network and a store in a directory of its own. It stops when dropped.
struct Relay {
    _dir: tempfile::TempDir,
    store: Store,
    network: NetworkHandle,
    published: mpsc::Sender<Signed<Batch>>,
    fence: watch::Receiver<crate::publisher::Seen>,
    status: watch::Receiver<RelayStatus>,
    _stop: DropGuard,
}

impl Relay {
    async fn start(author: &Author, own: bool, gossip: bool, bootstrap: Vec<Multiaddr>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(&dir.path().join("store.redb")).unwrap();
        Self::with(author, own, gossip, bootstrap, (dir, store)).await
    }

    async fn with(
        author: &Author,
        own: bool,
        gossip: bool,
        bootstrap: Vec<Multiaddr>,
        place: (tempfile::TempDir, Store),
    ) -> Self {
        Self::checking(author, own, gossip, bootstrap, place, check::next).await
    }

    /// The same with another check of sealed parts.
    async fn checking(
        author: &Author,
        own: bool,
        gossip: bool,
        bootstrap: Vec<Multiaddr>,
        (dir, store): (tempfile::TempDir, Store),
        check: check::Check,
    ) -> Self {
        let stop = CancellationToken::new();
        let config = NetworkConfig {
            listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
            bootstrap,
            zones: vec![author.zone.clone()],
            gossip,
            ..NetworkConfig::default()
        };
        let (inbox, events) = mpsc::channel(256);
        let key = Keypair::generate_ed25519();
        let (handle, task) = network::start(key, config, inbox, stop.clone())
            .await
            .unwrap();
        tokio::spawn(async move { task.await.unwrap() });
        let (fence_to, fence) = watch::channel(BTreeMap::new());
        let (status_to, status) = watch::channel(RelayStatus::default());
        let (published, batches) = mpsc::channel(8);
        let feeds = |wanted: bool| {
            if wanted {
                vec![author.feed()]
            } else {
                Vec::new()
            }
        };
        let config = RelayConfig {
            feeds: feeds(!own),
            own: feeds(own),
            // With gossip, so seldom that it cannot be what brings a batch.
            anti_entropy: Duration::from_secs(if gossip { 3600 } else { 1 }),
            retain: Retain {
                max_age: Duration::from_hours(360),
                max_bytes: 1 << 30,
            },
            clock: Clock::open(&store, None, false).unwrap(),
        };
        let (kept, network, ending) = (store.clone(), handle.clone(), stop.clone());
        tokio::spawn(async move {
            let driver = Driver::new(config, kept, network, fence_to, status_to, check);
            let driver = driver.await.unwrap();
            driver.run(events, batches, ending).await.unwrap();
        });
        Self {
            _dir: dir,
            store,
            network: handle,
            published,
            fence,
            status,
            _stop: stop.drop_guard(),
        }
    }

    /// Puts a batch into the store, as the publisher does, and hands it over.
    async fn publish(&self, author: &Author, batch: &Signed<Batch>, blocks: &[Block]) {
        author.fill(&self.store, std::slice::from_ref(batch), blocks);
        self.published.send(batch.clone()).await.unwrap();
    }

    fn addresses(&self) -> Vec<Multiaddr> {
        self.network.listen_addrs()
    }

    /// Waits until the store has a batch as the head of its feed.
    async fn reaches(&mut self, batch: &Signed<Batch>) {
        let feed = batch.feed();
        let wait = self.status.wait_for(|status| {
            let head = status.feeds.get(&feed).and_then(|feed| feed.head);
            head.is_some_and(|head| head.id == batch.id())
        });
        let reached = tokio::time::timeout(PATIENCE, wait).await.is_ok();
        assert!(reached, "batch {}: {:?}", batch.seq, self.status.borrow());
        assert_eq!(self.store.faults().unwrap(), Vec::<String>::new());
    }

    /// Waits until so many batches were checked.
    async fn checked(&mut self, count: u64) {
        let wait = self.status.wait_for(|status| status.checked >= count);
        tokio::time::timeout(PATIENCE, wait).await.unwrap().unwrap();
    }

    async fn peers(&mut self, count: u64) {
        let wait = self.status.wait_for(|status| status.peers == count);
        tokio::time::timeout(PATIENCE, wait).await.unwrap().unwrap();
    }
}

/// A provider of today, and its next batch after `prev` with a body.
fn author() -> Author {
    let mut author = Author::new(1);
    author.renew(|descriptor| {
        descriptor.issued_at = start() - 100;
        descriptor.expires_at = start() + 86_400;
        for key in &mut descriptor.keys {
            key.not_after = start() + 86_400;
        }
    });
    author
}

fn next(author: &Author, prev: Option<&Signed<Batch>>) -> (Signed<Batch>, Vec<Block>) {
    let number = prev.map_or(0, |prev| prev.seq);
    let body = block(format!("body {number}").as_bytes());
    let batch = author.batch_of(prev, &[&body], |batch| {
        if prev.is_none() {
            batch.published_at = start();
            batch.next_after = start();
            batch.next_by = start() + 3600;
        }
    });
    (batch, vec![body])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_travels_from_the_provider_through_two_relays_by_gossip() {
    let author = author();
    let provider = Relay::start(&author, true, true, Vec::new()).await;
    let mut a = Relay::start(&author, false, true, provider.addresses()).await;
    let mut b = Relay::start(&author, false, true, a.addresses()).await;
    a.peers(2).await;
    b.peers(1).await;
    let mut last = None;
    for _ in 0..3 {
        let (batch, blocks) = next(&author, last.as_ref());
        provider.publish(&author, &batch, &blocks).await;
        a.reaches(&batch).await;
        b.reaches(&batch).await;
        let body = blocks[0].cid();
        assert_eq!(b.store.block(&body).unwrap().unwrap(), blocks[0].bytes());
        last = Some(batch);
    }
    assert!(b.status.borrow().stats.accepted >= 3, "gossip brought them");
    assert_eq!(b.status.borrow().rejected, 0);
    assert!(provider.fence.borrow().is_empty(), "nobody is ahead of it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_gossip_everything_arrives_and_a_relay_that_was_off_catches_up() {
    let author = author();
    let provider = Relay::start(&author, true, false, Vec::new()).await;
    let mut a = Relay::start(&author, false, false, provider.addresses()).await;
    let mut b = Relay::start(&author, false, false, a.addresses()).await;
    let (first, blocks) = next(&author, None);
    provider.publish(&author, &first, &blocks).await;
    a.reaches(&first).await;
    b.reaches(&first).await;
    // b is off during three batches.
    let Relay {
        _dir: dir,
        store,
        _stop,
        ..
    } = b;
    drop(_stop);
    a.peers(1).await;
    let mut last = first;
    for _ in 0..3 {
        let (batch, blocks) = next(&author, Some(&last));
        provider.publish(&author, &batch, &blocks).await;
        a.reaches(&batch).await;
        last = batch;
    }
    // The provider is gone; the relays have everything.
    drop(provider);
    let mut b = Relay::with(&author, false, false, a.addresses(), (dir, store)).await;
    b.reaches(&last).await;
    assert_eq!(b.status.borrow().stats.accepted, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_provider_is_fenced_and_catches_up() {
    let author = author();
    let mut relay = Relay::start(&author, false, false, Vec::new()).await;
    let mut chain = vec![next(&author, None)];
    for _ in 0..3 {
        chain.push(next(&author, chain.last().map(|(batch, _)| batch)));
    }
    for (batch, blocks) in &chain {
        author.fill(&relay.store, std::slice::from_ref(batch), blocks);
    }
    // Its store is of yesterday.
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(&dir.path().join("store.redb")).unwrap();
    author.fill(&store, &[chain[0].0.clone()], &chain[0].1);
    let bootstrap = relay.addresses();
    let mut provider = Relay::with(&author, true, false, bootstrap, (dir, store)).await;
    let ahead = provider
        .fence
        .wait_for(|fence| fence.get(&author.zone).is_some_and(|seen| seen.1 == 4));
    tokio::time::timeout(PATIENCE, ahead)
        .await
        .unwrap()
        .unwrap();
    provider.reaches(&chain[3].0).await;
    assert!(provider.status.borrow().stats.heads_answered > 0);
    relay.peers(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mutated_envelope_goes_no_further() {
    let author = author();
    let liar = Relay::start(&author, true, true, Vec::new()).await;
    let mut relay = Relay::start(&author, false, true, liar.addresses()).await;
    relay.peers(1).await;
    let (batch, blocks) = next(&author, None);
    let mut mutated = batch.envelope().to_vec();
    *mutated.last_mut().unwrap() ^= 1;
    liar.network.publish(author.zone.clone(), mutated);
    let refused = relay.status.wait_for(|status| status.rejected == 1);
    tokio::time::timeout(PATIENCE, refused)
        .await
        .unwrap()
        .unwrap();
    // The genuine one is not shadowed by it.
    liar.publish(&author, &batch, &blocks).await;
    relay.reaches(&batch).await;
}

#[test]
fn every_changed_byte_is_the_senders_fault() {
    let author = Author::new(1);
    let batch = author.beat(None);
    let envelope = batch.envelope();
    let zone = &author.zone;
    assert_eq!(open(zone.clone(), envelope).unwrap().id(), batch.id());
    for at in 0..envelope.len() {
        for bit in [1, 0x80] {
            let mut mutated = envelope.to_vec();
            mutated[at] ^= bit;
            let error = open(zone.clone(), &mutated).unwrap_err();
            assert_eq!(error.verdict(), Verdict::Reject, "byte {at}: {error}");
        }
        let mut longer = envelope.to_vec();
        longer.insert(at, 0);
        let error = open(zone.clone(), &longer).unwrap_err();
        assert_eq!(error.verdict(), Verdict::Reject, "byte {at}: {error}");
        let error = open(zone.clone(), &envelope[..at]).unwrap_err();
        assert_eq!(error.verdict(), Verdict::Reject, "cut at {at}: {error}");
    }
    let elsewhere = open("gb/eng".parse().unwrap(), envelope).unwrap_err();
    assert_eq!(elsewhere.rule(), "zone");
    assert_eq!(elsewhere.verdict(), Verdict::Reject);
}

#[test]
fn what_honest_peers_can_send_is_never_rejected() {
    let zone: Zone = "gb".parse().unwrap();
    let ignored = [
        RefuseError::Chain(ChainError::Key),
        RefuseError::Chain(ChainError::Future { ahead: 601 }),
        RefuseError::Disowned,
        RefuseError::Equivocation,
        RefuseError::Full,
        RefuseError::Known,
        RefuseError::NoDescriptor,
        RefuseError::NotCarried,
        RefuseError::Stale { found: 1, known: 2 },
    ];
    for error in ignored {
        assert_eq!(error.verdict(), Verdict::Ignore, "{error}");
    }
    let topic = zone.clone();
    let found = zone;
    assert_eq!(
        RefuseError::Zone { found, topic }.verdict(),
        Verdict::Reject
    );
}

#[test]
fn only_what_is_carried_is_answered() {
    let (author, other) = (Author::new(1), Author::new(2));
    let store = crate::replicator::testing::memory();
    let chain = author.chain(3000);
    let body = block(b"\x01");
    let last = author.batch_of(chain.last(), &[&body], |_| {});
    author.fill(&store, &chain, &[]);
    author.fill(
        &store,
        std::slice::from_ref(&last),
        std::slice::from_ref(&body),
    );
    let foreign = other.beat(None);
    other.fill(&store, &[foreign], &[]);
    let feeds = [author.feed()].into();
    let ask = |request| answer(&store, &feeds, &request).unwrap();
    let none = SyncResponse::None(NoneReason::NotFound);

    let both = vec![other.feed(), author.feed()];
    let heads = ask(SyncRequest::Heads(both));
    assert_eq!(heads, SyncResponse::Heads(vec![last.envelope().to_vec()]));
    let provider = author.feed().provider;
    let descriptor = ask(SyncRequest::Descriptor(provider));
    let envelope = author.descriptor.envelope().to_vec();
    assert_eq!(descriptor, SyncResponse::Descriptor(envelope));
    assert_eq!(ask(SyncRequest::Descriptor(other.feed().provider)), none);
    assert_eq!(
        ask(SyncRequest::Block(body.cid())),
        SyncResponse::Block(body.into_bytes())
    );
    assert_eq!(ask(SyncRequest::Block(block(b"\x02").cid())), none);
    let (a, b) = (block(b"\x03"), block(&[4; 400_000]));
    let more = [block(&[5; 200_000]), a.clone(), b.clone()];
    store.put_blocks(&more).unwrap();
    let cids = [
        b.cid(),
        block(b"\x02").cid(),
        a.cid(),
        more[0].cid(),
        a.cid(),
    ];
    let blocks = ask(SyncRequest::Blocks(cids.to_vec()));
    let expected = vec![b.into_bytes(), a.into_bytes()];
    assert_eq!(blocks, SyncResponse::Blocks(expected), "cut at 512 KiB");
    let blocks = ask(SyncRequest::Blocks(vec![block(b"\x02").cid()]));
    assert_eq!(blocks, SyncResponse::Blocks(Vec::new()));
    let (feed, seq) = (other.feed(), 0);
    assert_eq!(ask(SyncRequest::After { feed, seq }), none);

    // Cut at half a megabyte, in order, to be continued.
    let (mut seq, mut pages) = (0, 0);
    loop {
        let feed = author.feed();
        let SyncResponse::Batches(batches) = ask(SyncRequest::After { feed, seq }) else {
            panic!()
        };
        let bytes: usize = batches.iter().map(Vec::len).sum();
        assert!(bytes <= MAX_LIST_BYTES);
        if batches.is_empty() {
            break;
        }
        for envelope in batches {
            let batch = Signed::<Batch>::open(&envelope).unwrap();
            assert_eq!(batch.seq, seq + 1);
            seq = batch.seq;
        }
        pages += 1;
    }
    assert_eq!(seq, 3001);
    assert!(pages >= 2, "{pages}");
}
