//! Sealed parts: what their index blocks list is fetched too.

use std::collections::BTreeSet;

use super::*;
use crate::replicator::testing::sealed::{Sealed, batch_with};
use bellwether_formats::cid::Cid;

/// A node that knows batch 1, is connected with `p`, which has the next one with these parts.
fn world(parts: &[&Sealed]) -> (World, Signed<Batch>) {
    let world = World::connected(1, 1);
    let batch = batch_with(&world.author, world.chain.last(), parts);
    let blocks: Vec<Block> = parts.iter().flat_map(|part| part.blocks()).collect();
    // A peer keeps what its provider signed, whatever that is.
    world.store.put_blocks(&blocks).unwrap();
    let broken = parts.iter().map(|part| part.index.cid()).enumerate();
    let broken = broken.collect();
    world.store.replicate_without(&batch, &[], &broken).unwrap();
    (world, batch)
}

fn has_all(store: &Store, cids: &[Cid]) -> bool {
    store.lacking(cids).unwrap().is_empty()
}

fn chunks_kept(world: &World) -> Vec<bool> {
    let head = world.node.store.head(&world.author.feed()).unwrap();
    let row = head.unwrap().row;
    row.sealed().iter().map(|part| part.chunks).collect()
}

#[test]
fn a_sealed_batch_arrives_whole() {
    let (a, b) = (Sealed::small(1), Sealed::small(2));
    let (mut world, batch) = world(&[&a, &b]);
    assert_eq!(world.node.judge(world.p, &batch), Ok(()));
    let mut questions = 0;
    while let Some((peer, tag, request)) = world.node.asks.pop_front() {
        assert_eq!(world.seq(), 1, "visible only when whole");
        questions += 1;
        world.node.asks.push_front((peer, tag, request));
        let (peer, tag, request) = world.node.asked();
        assert_eq!(peer, world.p);
        let response = crate::relay::server::answer(&world.store, &world.node.feeds, &request);
        world.node.respond(tag, Ok(response.unwrap()));
    }
    assert_eq!(world.seq(), 2);
    assert!(has_all(&world.node.store, &a.cids()));
    assert!(has_all(&world.node.store, &b.cids()));
    assert_eq!(chunks_kept(&world), [true, true]);
    assert_eq!(questions, 4 + 2, "four links, and a question a part");
    assert_eq!(world.node.replicator.stats().bad_answers, 0);
}

#[test]
fn a_large_part_takes_few_questions_and_little_memory() {
    let part = Sealed::parts(3, 250_000).remove(0);
    assert_eq!(part.part.ids, 262_144);
    let (mut world, batch) = world(&[&part]);
    assert_eq!(world.node.judge(world.p, &batch), Ok(()));
    let (mut answered, mut chunks) = (0, 0);
    while let Some((_, tag, request)) = world.node.asks.pop_front() {
        assert!(world.node.asks.len() < MAX_FETCHES_OF_FEED);
        let response = crate::relay::server::answer(&world.store, &world.node.feeds, &request);
        let response = response.unwrap();
        if let SyncResponse::Blocks(blocks) = &response {
            chunks += blocks.len();
        }
        world.node.respond(tag, Ok(response));
        answered += 1;
        let here = part.cids().len() - world.node.store.lacking(&part.cids()).unwrap().len();
        let held = chunks.saturating_sub(here) * 16_384;
        assert!(held <= MAX_HELD_BYTES + 512 * 1024, "{held} bytes held");
    }
    assert_eq!(world.seq(), 2);
    assert_eq!(answered, 2 + 481_usize.div_ceil(32));
}

#[test]
fn a_lying_peer_is_blamed_and_another_asked() {
    let part = Sealed::small(4);
    let (mut world, batch) = world(&[&part]);
    assert_eq!(world.node.judge(world.p, &batch), Ok(()));
    let mut lied = false;
    while let Some((peer, tag, request)) = world.node.asks.pop_front() {
        let response = crate::relay::server::answer(&world.store, &world.node.feeds, &request);
        let mut response = response.unwrap();
        if let SyncResponse::Blocks(blocks) = &mut response
            && peer == world.p
        {
            lied = true;
            blocks[7][100] ^= 1;
        }
        world.node.respond(tag, Ok(response));
        if lied && peer == world.p {
            assert!(world.node.asks.is_empty(), "it is not asked again");
            world.node.connect(world.q);
            world.node.pass(Duration::from_secs(1));
        }
    }
    assert!(lied);
    assert_eq!(world.seq(), 2);
    assert_eq!(world.node.replicator.stats().bad_answers, 1);
    assert!(has_all(&world.node.store, &part.cids()));
}

#[test]
fn unasked_repeated_and_disordered_chunks_are_refused() {
    let part = Sealed::small(5);
    let shuffles: [fn(&mut Vec<Vec<u8>>); 3] = [
        |blocks| blocks.push(b"nobody asked".to_vec()),
        |blocks| blocks.push(blocks[0].clone()),
        |blocks| blocks.swap(1, 2),
    ];
    for shuffle in shuffles {
        let (mut world, batch) = world(&[&part]);
        assert_eq!(world.node.judge(world.p, &batch), Ok(()));
        while let Some((_, tag, request)) = world.node.asks.pop_front() {
            let response = crate::relay::server::answer(&world.store, &world.node.feeds, &request);
            let mut response = response.unwrap();
            if let SyncResponse::Blocks(blocks) = &mut response {
                shuffle(blocks);
            }
            world.node.respond(tag, Ok(response));
        }
        assert_eq!(world.node.replicator.stats().bad_answers, 1);
        assert_eq!(world.seq(), 1);
    }
}

#[test]
fn what_one_peer_lacks_another_gives() {
    let part = Sealed::small(6);
    let (mut world, batch) = world(&[&part]);
    let half = memory();
    world.author.fill(&half, &world.chain, &[]);
    half.put_blocks(&part.blocks()[..30]).unwrap();
    world.node.connect(world.q);
    world.node.asks.clear();
    assert_eq!(world.node.judge(world.p, &batch), Ok(()));
    // `p` has half of it, `q` everything.
    for _ in 0..4 {
        world
            .node
            .serve(&[(world.p, &half), (world.q, &world.store)]);
        world.node.pass(Duration::from_secs(2));
    }
    assert_eq!(world.seq(), 2);
    assert!(has_all(&world.node.store, &part.cids()));
    assert_eq!(world.node.replicator.stats().bad_answers, 0);
}

#[test]
fn chunks_that_nobody_has_are_given_up_and_found_later() {
    let part = Sealed::small(7);
    let (mut world, batch) = world(&[&part]);
    let without = memory();
    world.author.fill(&without, &world.chain, &[]);
    without.put_blocks(&part.blocks()[..40]).unwrap();
    assert_eq!(world.node.judge(world.p, &batch), Ok(()));
    for _ in 0..60 {
        world.node.serve(&[(world.p, &without)]);
        world.node.pass(Duration::from_secs(1));
    }
    assert_eq!(world.seq(), 1);
    let what = "blocks";
    let feed = world.author.feed();
    assert!(world.node.notes.contains(&Note::GaveUp { feed, what }));
    assert_eq!(world.node.replicator.fetching_since(), None);
    // The peer has it whole by the next round; what came before is not fetched again.
    world.node.pass(Duration::from_secs(60));
    let mut asked = BTreeSet::new();
    while let Some((_, tag, request)) = world.node.asks.pop_front() {
        if let SyncRequest::Blocks(cids) = &request {
            asked.extend(cids.clone());
        }
        let response = crate::relay::server::answer(&world.store, &world.node.feeds, &request);
        world.node.respond(tag, Ok(response.unwrap()));
    }
    assert_eq!(world.seq(), 2);
    assert!(!asked.is_empty());
}

#[test]
fn a_malformed_index_or_an_unknown_rung_is_kept_without_chunks() {
    let good = Sealed::small(8);
    let malformed = Sealed::small(9).with_index(vec![0x80]);
    let mut rung = Sealed::small(10);
    rung.part.ids = 8193;
    let unlike = Sealed::small(11).with_chunk(5, vec![0; 4095]);
    let (mut world, batch) = world(&[&malformed, &good, &rung, &unlike]);
    assert_eq!(world.node.judge(world.p, &batch), Ok(()));
    world.serve();
    assert_eq!(world.seq(), 2);
    assert_eq!(chunks_kept(&world), [false, true, false, false]);
    assert!(has_all(&world.node.store, &good.cids()));
    for links in [&malformed, &rung, &unlike] {
        assert!(has_all(&world.node.store, &links.cids()[..2]));
    }
    let wrong = unlike.chunks[5].cid();
    assert!(has_all(&world.node.store, &[wrong]), "others must see it");
    // Batches after it come as ever.
    let beat = world.author.beat(Some(&batch));
    assert_eq!(world.node.judge(world.p, &beat), Ok(()));
    assert_eq!(world.seq(), 3);
    // Another relay gets the same from this one.
    let feed = world.author.feed();
    let mut third = Node::new(memory(), std::slice::from_ref(&feed));
    third.connect(world.p);
    third.serve(&[(world.p, &world.node.store)]);
    third.pass(Duration::from_secs(1));
    third.serve(&[(world.p, &world.node.store)]);
    assert_eq!(third.seq(&feed), 3);
}

#[test]
fn several_sealed_batches_are_caught_up_with() {
    let mut world = World::connected(1, 1);
    let mut last = world.chain[0].clone();
    let mut all = Vec::new();
    for seed in 20..25 {
        let part = Sealed::small(seed);
        last = batch_with(&world.author, Some(&last), &[&part]);
        let (batch, blocks) = (std::slice::from_ref(&last), part.blocks());
        world.author.fill(&world.store, batch, &blocks);
        all.extend(part.cids());
    }
    assert_eq!(world.node.judge(world.p, &last), Ok(()));
    world.serve();
    assert_eq!(world.seq(), 6);
    assert!(has_all(&world.node.store, &all));
}

#[test]
fn a_restart_in_the_midst_of_a_fetch_loses_nothing_and_leaks_nothing() {
    let part = Sealed::parts(12, 120_000).remove(0);
    let (mut world, batch) = world(&[&part]);
    let feed = world.author.feed();
    assert_eq!(world.node.judge(world.p, &batch), Ok(()));
    assert!(world.node.replicator.fetching_since().is_some());
    let mut fetched = 0;
    for _ in 0..8 {
        let (_, tag, request) = world.node.asked();
        let response = crate::relay::server::answer(&world.store, &world.node.feeds, &request);
        let response = response.unwrap();
        if let SyncResponse::Blocks(blocks) = &response {
            fetched += blocks.len();
        }
        world.node.respond(tag, Ok(response));
    }
    assert!(fetched > 0 && fetched < part.chunks.len());
    let before = world.node.store.clone();
    let kept = part.cids().len() - before.lacking(&part.cids()).unwrap().len();
    assert!(kept > 0, "some went to the store");
    assert_eq!(before.faults().unwrap(), Vec::<String>::new());
    // It starts again, with a pruning first.
    let now = crate::clock::now();
    let policy = RetainPolicy {
        loose_before: now - 3600,
        fetching_since: now,
        ..RetainPolicy::KEEP_ALL
    };
    before.prune(policy).unwrap();
    let mut node = Node::new(before, std::slice::from_ref(&feed));
    node.connect(world.p);
    let mut again = 0;
    while let Some((_, tag, request)) = node.asks.pop_front() {
        if let SyncRequest::Blocks(cids) = &request {
            again += cids.len();
        }
        let response = crate::relay::server::answer(&world.store, &node.feeds, &request);
        node.respond(tag, Ok(response.unwrap()));
    }
    assert_eq!(node.seq(&feed), 2);
    assert!(again < part.chunks.len(), "what was kept is not fetched");
    assert!(has_all(&node.store, &part.cids()));
    // Nothing is left over.
    let all = RetainPolicy {
        loose_before: u64::MAX,
        fetching_since: u64::MAX,
        ..RetainPolicy::KEEP_ALL
    };
    assert_eq!(node.store.prune(all).unwrap().blocks, 0);
}

#[test]
fn a_batch_larger_than_the_cap_is_not_fetched_over_and_over() {
    let part = Sealed::small(13);
    let (mut world, batch) = world(&[&part]);
    world.node.replicator.limit(200_000, Duration::MAX);
    assert_eq!(world.node.judge(world.p, &batch), Ok(()));
    let feed = world.author.feed();
    let mut questions = 0;
    for _ in 0..600 {
        world.node.pass(Duration::from_secs(1));
        questions += world.node.asks.len();
        let (peer, store) = (world.p, &world.store);
        world.node.serve(&[(peer, store)]);
    }
    assert_eq!(world.seq(), 1);
    assert!(questions < 60, "{questions} in ten minutes");
    let notes = world.node.notes.iter();
    let large = notes.filter(|note| matches!(note, Note::TooLarge { seq: 2, .. }));
    assert_eq!(large.count(), 1, "said once");
    assert_eq!(world.node.replicator.status()[&feed].too_large, Some(2));
    // The operator gives it more.
    world.node.replicator.limit(1 << 30, Duration::MAX);
    world.node.pass(Duration::from_secs(90));
    world.serve();
    assert_eq!(world.seq(), 2);
    assert_eq!(world.node.replicator.status()[&feed].too_large, None);
}
