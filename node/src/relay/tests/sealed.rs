//! Sealed batches over a real network: they arrive whole, and are checked by the way.

use std::sync::atomic::{AtomicBool, Ordering};

use bellwether_formats::cid::Cid;
use bellwether_formats::sealed::Shape;

use super::*;
use crate::replicator::testing::sealed::{Sealed, batch_with};
use crate::store::PartFault;

/// The next batch after `prev`, with these parts, of today.
fn sealed(
    author: &Author,
    prev: Option<&Signed<Batch>>,
    parts: &[&Sealed],
) -> (Signed<Batch>, Vec<Block>) {
    let batch = batch_with(author, prev, parts);
    let batch = author.batch_of(prev, &[], |next| {
        next.parts = batch.parts.clone();
        if prev.is_none() {
            next.published_at = start();
            next.next_after = start();
            next.next_by = start() + 3600;
        }
    });
    let blocks = parts.iter().flat_map(|part| part.blocks()).collect();
    (batch, blocks)
}

fn has_all(store: &Store, cids: &[Cid]) -> bool {
    store.lacking(cids).unwrap().is_empty()
}

fn faults(relay: &Relay, author: &Author) -> Vec<(u64, usize, String)> {
    let batches = relay.store.faulty_batches(&author.feed(), 10).unwrap();
    let faults = batches.into_iter().flat_map(|batch| {
        let seq = batch.seq;
        let faults = batch.faults.into_iter();
        faults.map(move |PartFault { part, rule }| (seq, part, rule))
    });
    faults.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_part_travels_through_two_relays_and_is_checked() {
    let author = author();
    let provider = Relay::start(&author, true, true, Vec::new()).await;
    let mut a = Relay::start(&author, false, true, provider.addresses()).await;
    let mut b = Relay::start(&author, false, true, a.addresses()).await;
    a.peers(2).await;
    b.peers(1).await;
    let part = Sealed::parts(1, 250_000).remove(0);
    assert_eq!(part.chunks.len(), 481);
    let (batch, blocks) = sealed(&author, None, &[&part]);
    let started = tokio::time::Instant::now();
    provider.publish(&author, &batch, &blocks).await;
    a.reaches(&batch).await;
    println!("481 chunks arrived after {:?}", started.elapsed());
    b.reaches(&batch).await;
    for relay in [&mut a, &mut b] {
        assert!(has_all(&relay.store, &part.cids()));
        relay.checked(1).await;
        assert_eq!(relay.status.borrow().faulty, 0);
        assert!(relay.store.unchecked().unwrap().is_none());
        assert_eq!(relay.status.borrow().stats.fetch_failures, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_part_is_flagged_and_served() {
    let author = author();
    let provider = Relay::start(&author, true, true, Vec::new()).await;
    let mut a = Relay::start(&author, false, true, provider.addresses()).await;
    let mut b = Relay::start(&author, false, true, a.addresses()).await;
    a.peers(2).await;
    b.peers(1).await;
    let good = Sealed::small(1);
    let other = Sealed::small(2);
    // Its filter is another part's.
    let mismatch = good.clone().with_filter(other.filter.bytes().to_vec());
    let garbage = good.clone().with_filter(vec![9; 50]);
    // An entry of one chunk is not the place's; another chunk has none; one has a wrong count.
    let foreign = good.chunks[4].bytes().to_vec();
    let misplaced = good.clone().with_chunk(3, foreign);
    let size = Shape::of(8192).unwrap().chunk_bytes();
    let empty = good.clone().with_chunk(3, vec![0; size]);
    let overfull = good.clone().with_chunk(3, vec![0xff; size]);
    let short = good.clone().with_chunk(3, vec![0; 100]);
    let unlisted = good.clone().with_index(vec![0x80]);
    let broken = [
        (&mismatch, "filter-mismatch"),
        (&garbage, "filter-format"),
        (&misplaced, "tag-place"),
        (&empty, "entries"),
        (&overfull, "chunk-count"),
        (&short, "chunk-size"),
        (&unlisted, "index"),
    ];
    let mut last = None;
    let mut expected = Vec::new();
    for (part, rule) in broken {
        let (batch, blocks) = sealed(&author, last.as_ref(), &[part]);
        provider.publish(&author, &batch, &blocks).await;
        a.reaches(&batch).await;
        b.reaches(&batch).await;
        let links = [part.filter.cid(), part.index.cid()];
        assert!(has_all(&b.store, &links));
        if !matches!(rule, "chunk-size" | "index") {
            assert!(has_all(&b.store, &part.cids()), "{rule}");
        }
        expected.insert(0, (batch.seq, 0, rule.to_owned()));
        last = Some(batch);
    }
    let (batch, blocks) = sealed(&author, last.as_ref(), &[&good]);
    provider.publish(&author, &batch, &blocks).await;
    b.reaches(&batch).await;
    b.checked(8).await;
    assert_eq!(faults(&b, &author), expected);
    assert_eq!(b.status.borrow().faulty, 7);
    // The next start knows it still.
    let Relay {
        _dir: dir,
        store,
        _stop,
        ..
    } = b;
    drop(_stop);
    a.peers(1).await;
    let mut b = Relay::with(&author, false, true, a.addresses(), (dir, store)).await;
    let knows = b.status.wait_for(|status| status.faulty == 7);
    tokio::time::timeout(PATIENCE, knows)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(faults(&b, &author), expected);
}

static CHECKING: AtomicBool = AtomicBool::new(false);

static GO_ON: AtomicBool = AtomicBool::new(false);

/// A check that takes as long as the test wants.
fn slow(store: &Store, stop: &CancellationToken) -> Result<Option<check::Checked>, StoreError> {
    CHECKING.store(true, Ordering::SeqCst);
    while !GO_ON.load(Ordering::SeqCst) && !stop.is_cancelled() {
        std::thread::sleep(Duration::from_millis(5));
    }
    check::next(store, stop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_waits_for_a_slow_check() {
    let author = author();
    let provider = Relay::start(&author, true, true, Vec::new()).await;
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(&dir.path().join("store.redb")).unwrap();
    let bootstrap = provider.addresses();
    let mut a = Relay::checking(&author, false, true, bootstrap, (dir, store), slow).await;
    let mut b = Relay::start(&author, false, true, a.addresses()).await;
    a.peers(2).await;
    b.peers(1).await;
    let mut last = None;
    for seed in 1..4 {
        let part = Sealed::small(seed);
        let (batch, blocks) = sealed(&author, last.as_ref(), &[&part]);
        provider.publish(&author, &batch, &blocks).await;
        a.reaches(&batch).await;
        b.reaches(&batch).await;
        assert!(CHECKING.load(Ordering::SeqCst), "batch 1 is being checked");
        assert_eq!(a.status.borrow().checked, 0);
        last = Some(batch);
    }
    assert!(a.status.borrow().stats.accepted >= 3, "gossip brought them");
    GO_ON.store(true, Ordering::SeqCst);
    a.checked(3).await;
    assert!(a.store.unchecked().unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_checked_before_a_stop_is_checked_after_it() {
    let author = author();
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(&dir.path().join("store.redb")).unwrap();
    let part = Sealed::small(1).with_filter(vec![1; 50]);
    let (batch, blocks) = sealed(&author, None, &[&part]);
    author.fill(&store, std::slice::from_ref(&batch), &blocks);
    let mut relay = Relay::with(&author, false, true, Vec::new(), (dir, store)).await;
    relay.checked(1).await;
    assert_eq!(relay.status.borrow().faulty, 1);
}
