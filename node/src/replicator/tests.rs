use std::time::Duration;

use bellwether_formats::batch::Batch;
use bellwether_formats::chain::ChainError;
use bellwether_formats::cid::Block;
use bellwether_formats::descriptor::Anchor;
use bellwether_formats::signed::Signed;

use super::testing::*;
use super::*;
use crate::network::{NoneReason, SyncRequest, SyncResponse, Verdict};
use crate::relay::RefuseError;
use crate::store::{RetainPolicy, Store};

mod older;
mod sealed;
mod shown;
mod sim;

/// A provider, the batches it has published, and a peer that has them all.
struct World {
    author: Author,
    chain: Vec<Signed<Batch>>,
    store: Store,
    node: Node,
    p: PeerId,
    q: PeerId,
}

impl World {
    /// A node that knows the first `known` of `count` batches, and is connected with nobody.
    fn new(known: usize, count: usize) -> Self {
        let author = Author::new(1);
        let chain = author.chain(count);
        let (store, own) = (memory(), memory());
        author.fill(&store, &chain, &[]);
        if known > 0 {
            author.fill(&own, &chain[..known], &[]);
        }
        let node = Node::new(own, &[author.feed()]);
        Self {
            author,
            chain,
            store,
            node,
            p: peer(1),
            q: peer(2),
        }
    }

    /// The same, connected with `p`, whose heads are not answered.
    fn connected(known: usize, count: usize) -> Self {
        let mut world = Self::new(known, count);
        world.node.connect(world.p);
        let (_, tag, request) = world.node.asked();
        assert_eq!(request, SyncRequest::Heads(vec![world.author.feed()]));
        world.node.answer(tag, Answer::Heads(Vec::new()));
        world
    }

    fn serve(&mut self) {
        self.node.serve(&[(self.p, &self.store)]);
    }

    fn seq(&self) -> u64 {
        self.node.seq(&self.author.feed())
    }
}

#[test]
fn a_feed_that_is_not_carried_is_ignored() {
    let mut world = World::connected(1, 2);
    let other = Author::new(2);
    let batch = other.beat(None);
    let result = world.node.judge(world.p, &batch);
    assert_eq!(result, Err(RefuseError::NotCarried));
    assert_eq!(verdict(&result), Verdict::Ignore);
    assert!(world.node.asks.is_empty());
}

#[test]
fn a_batch_of_the_future_is_ignored_until_then() {
    let mut world = World::connected(1, 1);
    let at = world.node.now.utc + 601;
    let batch = world.author.batch_of(world.chain.last(), &[], |batch| {
        batch.published_at = at;
        batch.next_after = at;
        batch.next_by = at + 1;
    });
    let result = world.node.judge(world.p, &batch);
    assert_eq!(
        result,
        Err(RefuseError::Chain(ChainError::Future { ahead: 601 }))
    );
    assert_eq!(verdict(&result), Verdict::Ignore);
    world.node.pass(Duration::from_secs(1));
    assert_eq!(world.node.judge(world.p, &batch), Ok(()));
}

#[test]
fn batches_of_the_future_are_remembered_if_they_are_vouched_for() {
    let mut world = World::connected(1, 1);
    let of = |author: &Author, prev: Option<&Signed<Batch>>, at: u64| {
        author.batch_of(prev, &[], |batch| {
            batch.published_at = at;
            batch.next_after = at;
            batch.next_by = at + 1;
        })
    };
    let feed = world.author.feed();
    let at = world.node.now.utc + 7200;
    // Anybody can sign what he likes with a key of his own.
    let mut stranger = Author::new(1);
    stranger.key = ed25519_dalek::SigningKey::from_bytes(&[66; 32]);
    let forged = of(&stranger, world.chain.last(), at);
    world.node.judge(world.p, &forged).unwrap_err();
    assert!(world.node.replicator.future().is_empty());
    let batch = of(&world.author, world.chain.last(), at);
    world.node.judge(world.p, &batch).unwrap_err();
    assert_eq!(world.node.replicator.future(), [(feed.clone(), at)].into());
    // It is gone once the clock is right, and once no peer shows it any more.
    let utc = world.node.now.utc;
    world.node.now.utc = at;
    assert_eq!(world.node.judge(world.p, &batch), Ok(()));
    assert!(world.node.replicator.future().is_empty());
    world.node.now.utc = utc;
    let next = of(&world.author, Some(&batch), at + 5);
    world.node.judge(world.p, &next).unwrap_err();
    assert_eq!(world.node.replicator.future().len(), 1);
    world.node.move_to(world.node.now.at + FUTURE_SERVES);
    world.node.handle(Input::Tick);
    assert!(world.node.replicator.future().is_empty());
}

#[test]
fn batch_of_the_future_of_an_unknown_epoch_is_judged_by_its_descriptor() {
    let mut world = World::connected(1, 1);
    world.author.replace_key(77);
    let at = world.node.now.utc + 7200;
    let batch = world.author.batch_of(world.chain.last(), &[], |batch| {
        batch.published_at = at;
        batch.next_after = at;
        batch.next_by = at + 1;
    });
    let token = world.node.hear(world.p, &batch);
    let (_, tag, request) = world.node.asked();
    assert_eq!(request, SyncRequest::Descriptor(batch.provider));
    let descriptor = Box::new(world.author.descriptor.clone());
    world.node.answer(tag, Answer::Descriptor(descriptor));
    let result = world.node.judged.remove(&token).unwrap();
    assert_eq!(
        result,
        Err(RefuseError::Chain(ChainError::Future { ahead: 7200 }))
    );
    assert_eq!(world.node.replicator.future().len(), 1);
}

#[test]
fn the_next_batch_is_accepted_before_its_bodies_are_here_and_visible_only_with_them() {
    let mut world = World::connected(1, 1);
    let (one, two) = (block(b"\x01"), block(b"\x02"));
    let batch = world
        .author
        .batch_of(world.chain.last(), &[&one, &two], |_| {});
    assert_eq!(world.node.judge(world.p, &batch), Ok(()));
    assert_eq!(world.seq(), 1);

    let mut asked = [world.node.asked(), world.node.asked()];
    asked.sort_by_key(|(_, _, request)| *request != SyncRequest::Block(one.cid()));
    let [(_, first, _), (_, second, _)] = asked;
    world.node.answer(first, Answer::Block(one));
    assert_eq!(world.seq(), 1);
    world.node.answer(second, Answer::Block(two));
    assert_eq!(world.seq(), 2);
    assert_eq!(world.node.judge(world.p, &batch), Err(RefuseError::Known));
    assert_eq!(world.node.replicator.stats().committed, 1);
}

#[test]
fn what_is_known_or_old_is_ignored() {
    let mut world = World::connected(3, 3);
    let chain = world.chain.clone();
    assert_eq!(
        world.node.judge(world.p, &chain[2]),
        Err(RefuseError::Known)
    );
    let stale = RefuseError::Stale { found: 2, known: 3 };
    assert_eq!(world.node.judge(world.p, &chain[1]), Err(stale));
    assert!(world.node.notes.is_empty());
    assert!(world.node.asks.is_empty());
}

#[test]
fn two_batches_of_one_number_are_kept_as_proof() {
    let mut world = World::connected(3, 3);
    let other = world
        .author
        .batch_of(Some(&world.chain[1]), &[], |batch| batch.salt = [1; 16]);
    let result = world.node.judge(world.p, &other);
    assert_eq!(verdict(&result), Verdict::Ignore);
    let feed = world.author.feed();
    assert_eq!(world.node.notes, [Note::Forked { feed: feed.clone() }]);
    assert!(world.node.store.is_forked(&feed).unwrap());
    assert_eq!(world.node.replicator.stats().forks, 1);
    // Once is enough.
    world.node.judge(world.p, &other).unwrap_err();
    assert_eq!(world.node.notes.len(), 1);
}

#[test]
fn a_fork_among_batches_that_wait_is_found_too() {
    let mut world = World::connected(1, 1);
    let body = block(b"\x01");
    let head = world.chain.last();
    let one = world.author.batch_of(head, &[&body], |_| {});
    let other = world
        .author
        .batch_of(head, &[&body], |batch| batch.salt = [1; 16]);
    assert_eq!(world.node.judge(world.p, &one), Ok(()));
    assert_eq!(
        world.node.judge(world.p, &other),
        Err(RefuseError::Equivocation)
    );
    assert!(world.node.store.is_forked(&world.author.feed()).unwrap());
}

#[test]
fn the_other_branch_of_a_fork_is_asked_for_as_proof() {
    let mut world = World::new(3, 3);
    let other = world
        .author
        .batch_of(Some(&world.chain[1]), &[], |batch| batch.salt = [1; 16]);
    let next = world.author.beat(Some(&other));
    let branch = memory();
    world.author.fill(&branch, &world.chain[..2], &[]);
    world.author.fill(&branch, &[other, next.clone()], &[]);
    world.node.connect(world.p);
    world.node.serve(&[(world.p, &branch)]);
    assert!(world.node.store.is_forked(&world.author.feed()).unwrap());
    assert_eq!(world.seq(), 3, "neither branch wins");
    // One farther ahead, through the chain.
    let mut world = World::connected(3, 3);
    let last = world.author.beat(Some(&next));
    branch.replicate(&last, &[]).unwrap();
    assert_eq!(world.node.judge(world.p, &last), Ok(()));
    world.node.serve(&[(world.p, &branch)]);
    assert!(world.node.store.is_forked(&world.author.feed()).unwrap());
}

#[test]
fn a_gap_is_filled_page_by_page() {
    // 512 KiB are about 1300 heartbeats.
    let mut world = World::connected(1, 3000);
    let last = world.chain.last().unwrap().clone();
    world.node.now.utc += 300_000;
    assert_eq!(world.node.judge(world.p, &last), Ok(()));
    let mut pages = 0;
    while let Some((peer, tag, request)) = world.node.asks.pop_front() {
        pages += usize::from(matches!(request, SyncRequest::After { .. }));
        world.node.asks.push_front((peer, tag, request));
        let ask = world.node.asks.pop_front().unwrap();
        let response =
            crate::relay::server::answer(&world.store, &world.node.feeds, &ask.2).unwrap();
        world.node.respond(tag, Ok(response));
    }
    assert!((2..5).contains(&pages), "{pages}");
    assert_eq!(world.seq(), 3000);
}

#[test]
fn seq_growth_bounds_what_is_passed_on() {
    let mut world = World::connected(1, 1);
    let far = world
        .author
        .batch_of(world.chain.last(), &[], |batch| batch.seq = 500);
    let result = world.node.judge(world.p, &far);
    assert!(
        matches!(
            result,
            Err(RefuseError::Chain(ChainError::SeqGrowth { .. }))
        ),
        "{result:?}"
    );
    assert!(world.node.asks.is_empty());
}

#[test]
fn a_newer_epoch_waits_for_its_descriptor() {
    let mut world = World::connected(1, 1);
    world.author.replace_key(77);
    let batch = world.author.beat(world.chain.last());
    let token = world.node.hear(world.p, &batch);
    assert!(world.node.judged.is_empty());
    let (peer, tag, request) = world.node.asked();
    assert_eq!(
        (peer, request),
        (world.p, SyncRequest::Descriptor(batch.provider))
    );
    let descriptor = Box::new(world.author.descriptor.clone());
    world.node.answer(tag, Answer::Descriptor(descriptor));
    assert_eq!(world.node.judged.remove(&token), Some(Ok(())));
    assert_eq!(world.seq(), 2);
    let held = world.node.store.descriptor(&batch.provider).unwrap();
    assert_eq!(held.unwrap().epoch, 2);
}

#[test]
fn a_newer_epoch_without_a_good_descriptor_is_ignored() {
    let known = Author::new(1).descriptor;
    let mut future = Author::new(1);
    future.renew(|descriptor| {
        descriptor.issued_at = T0 + 86_400 + 700;
        descriptor.expires_at = descriptor.issued_at + 1;
    });
    let mut other_root = Author::new(1);
    other_root.renew(|descriptor| descriptor.next_root = [8; 32]);
    let mut leap = Author::new(1);
    leap.renew(|descriptor| descriptor.epoch = 1002);
    let foreign = Author::new(2).descriptor;
    let in_the_future = future.descriptor.clone();
    let answers = [
        (Answer::None(NoneReason::NotFound), 0),
        (Answer::Failed, 0),
        (Answer::Bad, 1),
        (Answer::Descriptor(Box::new(known)), 0),
        (Answer::Descriptor(Box::new(future.descriptor)), 0),
        (Answer::Descriptor(Box::new(other_root.descriptor)), 0),
        (Answer::Descriptor(Box::new(leap.descriptor)), 0),
        (Answer::Descriptor(Box::new(foreign)), 1),
    ];
    for (answer, faults) in answers {
        let mut world = World::connected(1, 1);
        world.author.replace_key(77);
        let batch = world.author.beat(world.chain.last());
        let token = world.node.hear(world.p, &batch);
        let (_, tag, _) = world.node.asked();
        let name = format!("{answer:?}");
        world.node.answer(tag, answer);
        let result = world.node.judged.remove(&token).unwrap();
        assert_eq!(result, Err(RefuseError::NoDescriptor), "{name}");
        assert_eq!(verdict(&result), Verdict::Ignore);
        assert_eq!(world.node.replicator.stats().bad_answers, faults, "{name}");
        assert!(world.node.asks.is_empty(), "{name}");
    }
    // Whose descriptor it is, is certain: some clock is wrong.
    let mut world = World::connected(1, 1);
    world.author.replace_key(77);
    let batch = world.author.beat(world.chain.last());
    world.node.hear(world.p, &batch);
    let (_, tag, _) = world.node.asked();
    let issued_at = in_the_future.issued_at;
    let answer = Answer::Descriptor(Box::new(in_the_future));
    world.node.answer(tag, answer);
    let future = world.node.replicator.future();
    assert_eq!(future, [(world.author.feed(), issued_at)].into());
}

#[test]
fn batches_that_wait_for_a_descriptor_are_bounded_and_each_sender_is_asked() {
    let mut world = World::connected(1, 1);
    world.author.replace_key(77);
    let batch = world.author.beat(world.chain.last());
    let most = u8::try_from(MAX_WAITING).unwrap();
    for number in 10..10 + most {
        world.node.connect(peer(number));
        world.node.hear(peer(number), &batch);
    }
    world.node.connect(world.q);
    assert_eq!(world.node.judge(world.q, &batch), Err(RefuseError::Full));
    // All but the last know nothing newer; each is asked in turn.
    let good = peer(9 + most);
    world.node.serve(&[(good, &{
        let store = memory();
        world.author.fill(&store, &[], &[]);
        store
    })]);
    let accepted = world.node.judged.values().filter(|result| result.is_ok());
    assert_eq!(accepted.count(), 1);
    assert_eq!(world.node.judged.len(), MAX_WAITING);
    assert_eq!(world.seq(), 2);
}

#[test]
fn a_batch_under_an_unlisted_key_waits_for_its_descendant() {
    let mut world = World::connected(1, 3);
    let old = world.chain.clone();
    world.author.replace_key(77);
    let listed = world.author.beat(old.last());
    world
        .author
        .fill(&world.store, std::slice::from_ref(&listed), &[]);
    world
        .node
        .handle(Input::Renewed(Box::new(world.author.descriptor.clone())));
    let result = world.node.judge(world.p, &old[1]);
    assert_eq!(result, Err(RefuseError::Chain(ChainError::Key)));
    assert_eq!(verdict(&result), Verdict::Ignore);
    assert_eq!(world.node.judge(world.p, &listed), Ok(()));
    world.serve();
    assert_eq!(world.seq(), 4);
}

#[test]
fn a_feed_is_first_seen_from_the_oldest_batch_that_is_kept() {
    let mut world = World::new(0, 50);
    let policy = RetainPolicy {
        before: world.chain[29].published_at,
        ..RetainPolicy::KEEP_ALL
    };
    world.store.prune(policy).unwrap();
    world.node.connect(world.p);
    world.serve();
    assert_eq!(world.seq(), 50);
    let rows = world
        .node
        .store
        .rows_after(&world.author.feed(), 0, 100)
        .unwrap();
    assert_eq!(rows[0].seq, 30);
}

#[test]
fn a_chain_signed_by_a_retired_key_is_believed_backwards() {
    let mut world = World::new(0, 20);
    world.author.replace_key(77);
    let listed = world.author.beat(world.chain.last());
    world.author.fill(&world.store, &[listed], &[]);
    world.node.connect(world.p);
    world.serve();
    assert_eq!(world.seq(), 21);
    let provider = world.author.descriptor.provider;
    let first = world
        .node
        .store
        .row(&world.author.feed(), 1)
        .unwrap()
        .unwrap();
    let held = world.node.store.descriptor(&provider).unwrap().unwrap();
    assert_ne!(
        first.desc().unwrap(),
        held.cid(),
        "the older descriptor came as a block"
    );
}

#[test]
fn batches_that_anybody_may_have_signed_are_not_kept() {
    let mut world = World::connected(1, 4);
    // A stranger continues the chain with a key of his own.
    let mut thief = Author::new(1);
    thief.key = ed25519_dalek::SigningKey::from_bytes(&[66; 32]);
    let fake: Vec<_> = std::iter::successors(Some(thief.beat(Some(&world.chain[0]))), |prev| {
        Some(thief.beat(Some(prev)))
    })
    .take(10)
    .collect();
    let liar = memory();
    world.author.fill(&liar, &world.chain[..1], &[]);
    for batch in &fake {
        liar.replicate(batch, &[]).unwrap();
    }
    world.node.connect(world.q);
    let last = world.chain.last().unwrap().clone();
    assert_eq!(world.node.judge(world.q, &last), Ok(()));
    for _ in 0..20 {
        world
            .node
            .serve(&[(world.p, &world.store), (world.q, &liar)]);
        world.node.pass(Duration::from_secs(1));
    }
    assert_eq!(world.node.head(&world.author.feed()).unwrap().id, last.id());
    assert!(!world.node.store.is_forked(&world.author.feed()).unwrap());
}

#[test]
fn a_run_without_end_is_bounded() {
    let mut world = World::connected(1, 1);
    let mut thief = Author::new(1);
    thief.key = ed25519_dalek::SigningKey::from_bytes(&[66; 32]);
    let true_one = world.author.batch_of(world.chain.last(), &[], |batch| {
        batch.seq = 80_000;
        batch.published_at += 80_000;
        batch.next_after = batch.published_at;
        batch.next_by = batch.published_at + 1;
    });
    assert_eq!(world.node.judge(world.p, &true_one), Ok(()));
    let mut last = world.chain[0].clone();
    let (mut sent, body) = (0, block(b"\x01"));
    while let Some((_, tag, request)) = world.node.asks.pop_front() {
        assert!(matches!(request, SyncRequest::After { .. }));
        let mut batches = Vec::new();
        for _ in 0..100 {
            last = thief.batch_of(Some(&last), &[&body; 32], |batch| {
                batch.published_at -= 59;
                batch.next_after = batch.published_at;
            });
            sent += last.envelope().len();
            batches.push(last.clone());
        }
        world.node.answer(tag, Answer::Batches(batches));
    }
    assert!(sent > MAX_RUN_BYTES && sent < 2 * MAX_RUN_BYTES, "{sent}");
    let feed = world.author.feed();
    let what = "a batch that is vouched for";
    assert_eq!(world.node.notes, [Note::GaveUp { feed, what }]);
}

#[test]
fn what_all_peers_have_deleted_is_given_up_at_last() {
    let mut world = World::new(3, 40);
    let policy = RetainPolicy {
        before: world.chain[19].published_at,
        ..RetainPolicy::KEEP_ALL
    };
    world.store.prune(policy).unwrap();
    world.node.connect(world.p);
    for _ in 0..GAP_ROUNDS {
        world.serve();
        assert_eq!(world.seq(), 3, "somebody else may have them");
        world.node.pass(Duration::from_secs(61));
    }
    world.serve();
    assert_eq!(world.seq(), 40);
    let rows = world
        .node
        .store
        .rows_after(&world.author.feed(), 0, 100)
        .unwrap();
    assert_eq!(rows[0].seq, 20, "a feed has no holes");
    let feed = world.author.feed();
    assert!(
        world
            .node
            .notes
            .contains(&Note::Restarted { feed, seq: 20 })
    );
}

#[test]
fn what_one_peer_has_deleted_another_gives() {
    let mut world = World::new(3, 40);
    let pruned = memory();
    world.author.fill(&pruned, &world.chain[19..], &[]);
    world.node.connect(world.q);
    world.node.connect(world.p);
    world
        .node
        .serve(&[(world.p, &world.store), (world.q, &pruned)]);
    assert_eq!(world.seq(), 40);
    let rows = world
        .node
        .store
        .rows_after(&world.author.feed(), 0, 100)
        .unwrap();
    assert_eq!(rows[0].seq, 1);
}

#[test]
fn an_anchor_takes_back_what_a_stolen_key_signed() {
    // The thief has published batches 4 to 6; batch 3 is anchored.
    let mut world = World::new(6, 6);
    world.author.revoke(77, &world.chain[2].clone());
    let next = world.author.beat(Some(&world.chain[2]));
    let store = memory();
    world.author.fill(&store, &world.chain[..3], &[]);
    store.replicate(&next, &[]).unwrap();
    world.node.connect(world.p);
    world.node.serve(&[(world.p, &store)]);
    assert_eq!(world.node.head(&world.author.feed()).unwrap().id, next.id());
    let feed = world.author.feed();
    assert!(world.node.notes.contains(&Note::Anchored { feed, seq: 3 }));
    // The thief's batches are worth nothing now.
    let result = world.node.judge(world.p, &world.chain[5].clone());
    assert_eq!(result, Err(RefuseError::Disowned));
    assert_eq!(verdict(&result), Verdict::Ignore);
}

#[test]
fn an_anchor_off_the_known_chain_begins_it_anew() {
    // The thief's branch left before the anchored batch: at its number, and behind it.
    for (theirs, ours) in [(4, 3), (4, 6), (3, 6)] {
        let mut author = Author::new(1);
        let chain = author.chain(ours);
        let mut stolen = chain[..2].to_vec();
        while stolen.len() < theirs {
            let prev = stolen.last();
            stolen.push(author.batch_of(prev, &[], |batch| batch.salt = [9; 16]));
        }
        let own = memory();
        author.fill(&own, &stolen, &[]);
        let mut node = Node::new(own, &[author.feed()]);
        author.revoke(77, chain.last().unwrap());
        let next = author.beat(chain.last());
        let store = memory();
        author.fill(&store, &chain, &[]);
        store.replicate(&next, &[]).unwrap();
        node.connect(peer(1));
        for _ in 0..3 {
            node.serve(&[(peer(1), &store)]);
            node.pass(Duration::from_secs(61));
        }
        assert_eq!(
            node.head(&author.feed()).unwrap().id,
            next.id(),
            "{theirs} {ours}"
        );
        assert!(!node.store.is_forked(&author.feed()).unwrap());
    }
}

#[test]
fn an_anchor_does_not_act_on_its_own_epoch_or_ancestors() {
    // The head is an ancestor.
    let mut world = World::new(2, 4);
    world.author.revoke(77, &world.chain[3].clone());
    let next = world.author.beat(world.chain.last());
    world
        .author
        .fill(&world.store, std::slice::from_ref(&next), &[]);
    world.node.connect(world.p);
    world.serve();
    assert_eq!(world.seq(), 5);
    let anchored = |note: &Note| matches!(note, Note::Anchored { .. });
    assert!(
        !world.node.notes.iter().any(anchored),
        "{:?}",
        world.node.notes
    );
    // The head is of the anchor's epoch; the same anchor in a renewed descriptor.
    world.author.renew(|_| {});
    let newest = world.author.beat(Some(&next));
    world.author.fill(&world.store, &[newest], &[]);
    world.node.pass(Duration::from_secs(61));
    world.serve();
    assert_eq!(world.seq(), 6);
    assert!(!world.node.notes.iter().any(anchored));
}

#[test]
fn an_anchor_that_a_crash_left_undone_acts_at_the_start() {
    let mut world = World::new(6, 6);
    world.author.revoke(77, &world.chain[2].clone());
    world
        .node
        .store
        .put_descriptor(&world.author.descriptor)
        .unwrap();
    let node = Node::new(world.node.store.clone(), &[world.author.feed()]);
    assert_eq!(node.seq(&world.author.feed()), 3);
}

#[test]
fn an_anchor_on_the_beginning_drops_the_whole_feed_and_what_follows_is_served() {
    for own in [false, true] {
        let mut world = World::new(6, 6);
        let feed = world.author.feed();
        if own {
            let store = world.node.store.clone();
            world.node = Node::with(store, &[], std::slice::from_ref(&feed));
        }
        world.author.disown(0, Anchor::BEGINNING);
        let next = world.author.beat(None);
        let store = memory();
        world.author.fill(&store, std::slice::from_ref(&next), &[]);
        world.node.connect(world.p);
        world.node.serve(&[(world.p, &store)]);
        let head = world.node.head(&feed).unwrap();
        assert_eq!((head.epoch, head.seq, head.id), (2, 1, next.id()));
        let rows = world.node.store.rows_after(&feed, 0, 10).unwrap();
        assert_eq!(rows.len(), 1);
        let feed = feed.clone();
        assert!(world.node.notes.contains(&Note::Anchored { feed, seq: 0 }));
        // A peer that has not heard shows the old head, which is worth nothing, and fences nothing.
        let fences = world.node.fences.clone();
        let result = world.node.judge(world.p, &world.chain[5].clone());
        assert_eq!(result, Err(RefuseError::Disowned));
        assert_eq!(world.node.fences, fences);
    }
}

#[test]
fn a_provider_that_disowns_and_publishes_at_once_keeps_what_it_published() {
    let mut world = World::new(3, 3);
    let feed = world.author.feed();
    let store = world.node.store.clone();
    world.node = Node::with(store.clone(), &[], std::slice::from_ref(&feed));
    let anchored = world.chain[0].clone();
    world.author.disown(1, anchored.id());
    // The publisher has done both in the store when the relay hears of them.
    let own = std::slice::from_ref(&feed);
    store
        .take_descriptor(&world.author.descriptor, own)
        .unwrap();
    let again = world.author.beat(Some(&anchored));
    store.replicate(&again, &[]).unwrap();
    let descriptor = Box::new(world.author.descriptor.clone());
    world.node.handle(Input::Renewed(descriptor));
    world.node.handle(Input::Published(Box::new(again.clone())));
    assert_eq!(world.node.head(&feed).unwrap().id, again.id());
    assert_eq!(store.rows_after(&feed, 0, 10).unwrap().len(), 2);
}

#[test]
fn peers_are_asked_for_heads_when_they_come_and_every_interval() {
    let mut world = World::new(1, 1);
    for jitter in [0, u32::MAX] {
        let (peer, interval) = (peer(3), if jitter == 0 { 45 } else { 75 });
        world.node.handle(Input::Connected { peer, jitter });
        for _ in 0..3 {
            let (to, tag, request) = world.node.asked();
            assert_eq!(
                (to, request),
                (peer, SyncRequest::Heads(vec![world.author.feed()]))
            );
            world.node.answer(tag, Answer::Heads(Vec::new()));
            world.node.pass(Duration::from_secs(interval - 1));
            assert!(world.node.asks.is_empty());
            world.node.pass(Duration::from_secs(1));
        }
        world.node.handle(Input::Disconnected { peer });
        world.node.asks.clear();
        world.node.pass(Duration::from_secs(200));
        assert!(world.node.asks.is_empty());
    }
}

#[test]
fn heads_are_asked_for_in_pages_and_of_few_peers_at_a_time() {
    let author = Author::new(1);
    let feeds: Vec<FeedId> = (0..300)
        .map(|number| FeedId {
            provider: author.feed().provider,
            zone: format!("z{number}").parse().unwrap(),
        })
        .collect();
    let mut node = Node::new(memory(), &feeds);
    for number in 0..20 {
        node.connect(peer(number));
    }
    assert_eq!(node.asks.len(), MAX_HEADS_ASKED);
    let (mut peers, mut pages, mut names) = (BTreeMap::new(), 0, 0);
    while let Some((peer, tag, request)) = node.asks.pop_front() {
        let SyncRequest::Heads(feeds) = request else {
            panic!()
        };
        assert!(feeds.len() <= HEADS_PAGE);
        *peers.entry(peer).or_insert(0) += 1;
        pages += 1;
        names += feeds.len();
        node.answer(tag, Answer::Heads(Vec::new()));
    }
    assert_eq!((peers.len(), pages, names), (20, 100, 6000));
}

#[test]
fn a_body_that_is_not_there_yet_is_asked_for_again_and_elsewhere() {
    let mut world = World::connected(1, 1);
    world.node.connect(world.q);
    world.node.asks.clear();
    let body = block(b"\x01");
    let batch = world.author.batch_of(world.chain.last(), &[&body], |_| {});
    assert_eq!(world.node.judge(world.p, &batch), Ok(()));
    let (first, tag, _) = world.node.asked();
    assert_eq!(first, world.p, "who passed it on is asked first");
    world.node.answer(tag, Answer::None(NoneReason::NotFound));
    assert!(world.node.asks.is_empty());
    world.node.pass(Duration::from_millis(250));
    let (second, tag, _) = world.node.asked();
    assert_eq!(second, world.q);
    world.node.answer(tag, Answer::Block(body));
    assert_eq!(world.seq(), 2);
}

#[test]
fn a_body_that_nobody_has_is_given_up_and_found_by_a_later_round() {
    let mut world = World::connected(1, 1);
    let body = block(b"\x01");
    let batch = world.author.batch_of(world.chain.last(), &[&body], |_| {});
    assert_eq!(world.node.judge(world.p, &batch), Ok(()));
    let mut asked = 0;
    for _ in 0..1000 {
        while let Some((_, tag, request)) = world.node.asks.pop_front() {
            if matches!(request, SyncRequest::Block(_)) {
                asked += 1;
                world.node.answer(tag, Answer::None(NoneReason::NotFound));
            }
        }
        world.node.pass(Duration::from_millis(100));
    }
    assert_eq!(asked, MAX_TRIES);
    let feed = world.author.feed();
    let what = "blocks";
    assert_eq!(world.node.notes, [Note::GaveUp { feed, what }]);
    assert_eq!(world.node.replicator.stats().fetch_failures, 1);
    assert_eq!(world.seq(), 1);

    world.author.fill(&world.store, &[batch], &[body]);
    world.node.pass(Duration::from_secs(75));
    world.serve();
    assert_eq!(world.seq(), 2);
}

#[test]
fn no_timeout_is_held_against_a_peer_but_bad_bytes_are() {
    let mut world = World::connected(1, 1);
    world.node.connect(world.q);
    world.node.asks.clear();
    let (one, two) = (block(b"\x01"), block(b"\x02"));
    let batch = world
        .author
        .batch_of(world.chain.last(), &[&one, &two], |_| {});
    assert_eq!(world.node.judge(world.p, &batch), Ok(()));
    let (peer, tag, _) = world.node.asked();
    assert_eq!(peer, world.p);
    world.node.answer(tag, Answer::Failed);
    assert!(world.node.notes.is_empty());
    let (peer, tag, _) = world.node.asked();
    assert_eq!(peer, world.p);
    // Bytes that do not hash to the name.
    world
        .node
        .respond(tag, Ok(SyncResponse::Block(b"other".to_vec())));
    let what = "an answer that does not verify";
    assert_eq!(
        world.node.notes,
        [Note::Blamed {
            peer: world.p,
            what
        }]
    );
    // For half a minute only the other one is asked.
    for _ in 0..8 {
        world.node.pass(Duration::from_millis(500));
        while let Some((peer, tag, _)) = world.node.asks.pop_front() {
            assert_eq!(peer, world.q);
            world.node.answer(tag, Answer::Failed);
        }
    }
    world.node.pass(Duration::from_secs(100));
    assert!(
        world.node.asks.iter().any(|(peer, ..)| *peer == world.p),
        "asked again"
    );
}

#[test]
fn answers_to_something_else_are_bad() {
    type List = fn(&World) -> Vec<Signed<Batch>>;
    let lists: [List; 4] = [
        |world| vec![Author::new(2).beat(None), world.chain[1].clone()],
        |world| vec![world.chain[0].clone()],
        |world| vec![world.chain[1].clone(), world.chain[3].clone()],
        |world| vec![world.chain[2].clone(), world.chain[1].clone()],
    ];
    for (number, list) in lists.iter().enumerate() {
        let mut world = World::connected(1, 4);
        let last = world.chain[3].clone();
        assert_eq!(world.node.judge(world.p, &last), Ok(()));
        let (_, tag, _) = world.node.asked();
        let list = list(&world);
        world.node.answer(tag, Answer::Batches(list));
        assert_eq!(world.node.replicator.stats().bad_answers, 1, "{number}");
        assert_eq!(world.seq(), 1);
    }
    // Heads that were not asked for, and an answer of another kind.
    let mut world = World::new(1, 1);
    world.node.connect(world.p);
    let (_, tag, _) = world.node.asked();
    world
        .node
        .answer(tag, Answer::Heads(vec![Author::new(2).beat(None)]));
    world.node.connect(world.q);
    let (_, tag, _) = world.node.asked();
    world.node.answer(tag, Answer::Batches(Vec::new()));
    assert_eq!(world.node.replicator.stats().bad_answers, 2);
    // An answer to nothing.
    world.node.answer(tag, Answer::Bad);
    world.node.answer(999, Answer::Bad);
    assert_eq!(world.node.replicator.stats().bad_answers, 2);
}

#[test]
fn a_peer_that_is_ahead_in_an_own_feed_fences_it_and_brings_it_back() {
    let mut world = World::new(2, 5);
    let feed = world.author.feed();
    world.node = Node::with(world.node.store.clone(), &[], std::slice::from_ref(&feed));
    world.node.connect(world.p);
    world.serve();
    assert_eq!(world.node.fences, [5]);
    assert_eq!(world.seq(), 5, "a restored provider catches up");
    // What it publishes itself is no news.
    let own = world.author.beat(world.chain.last());
    world.node.store.replicate(&own, &[]).unwrap();
    world.node.handle(Input::Published(Box::new(own.clone())));
    assert_eq!(world.node.judge(world.p, &own), Err(RefuseError::Known));
    assert_eq!(world.node.fences, [5]);
    // A stranger's batch fences nothing.
    let mut thief = Author::new(1);
    thief.key = ed25519_dalek::SigningKey::from_bytes(&[66; 32]);
    let fake = thief.beat(Some(&own));
    assert_eq!(
        world.node.judge(world.p, &fake),
        Err(RefuseError::Chain(ChainError::Key))
    );
    assert_eq!(world.node.fences, [5]);
}

#[test]
fn what_this_node_publishes_while_the_same_comes_from_a_peer_is_committed_once() {
    let mut world = World::new(2, 2);
    let feed = world.author.feed();
    world.node = Node::with(world.node.store.clone(), &[], std::slice::from_ref(&feed));
    world.node.connect(world.p);
    world.node.asks.clear();
    // It is in the store, and the relay has not been told yet.
    let own = world.author.beat(world.chain.last());
    world.node.store.replicate(&own, &[]).unwrap();
    let token = world.node.hear(world.p, &own);
    assert_eq!(world.node.judged.remove(&token), Some(Ok(())));
    world.node.handle(Input::Published(Box::new(own)));
    assert_eq!(world.seq(), 3);
    assert!(world.node.notes.is_empty());
}

#[test]
fn many_large_blocks_do_not_pile_up_in_memory() {
    let mut world = World::connected(1, 1);
    let bodies: Vec<Block> = (0..20).map(|n| block(&vec![n; 1024 * 1024])).collect();
    let links: Vec<&Block> = bodies.iter().collect();
    let batch = world.author.batch_of(world.chain.last(), &links, |_| {});
    assert_eq!(world.node.judge(world.p, &batch), Ok(()));
    assert_eq!(world.node.asks.len(), MAX_FETCHES_OF_FEED);
    for answered in 1.. {
        let Some((_, tag, request)) = world.node.asks.pop_front() else {
            break;
        };
        let body = bodies
            .iter()
            .find(|body| request == SyncRequest::Block(body.cid()));
        world.node.answer(tag, Answer::Block(body.unwrap().clone()));
        let here = bodies.len() - world.node.store.lacking(&batch.links()).unwrap().len();
        assert!(
            answered - here <= 2,
            "{answered} answered, {here} in the store"
        );
    }
    assert_eq!(world.seq(), 2);
}

#[test]
fn a_body_of_another_size_than_said_is_kept_and_counted() {
    let mut world = World::connected(1, 1);
    let body = block(b"\x01");
    let batch = world
        .author
        .batch_of(world.chain.last(), &[&body], |batch| {
            let bellwether_formats::batch::Part::Open(part) = &mut batch.parts[0] else {
                panic!()
            };
            part.body.size = 2;
        });
    world
        .author
        .fill(&world.store, std::slice::from_ref(&batch), &[body]);
    assert_eq!(world.node.judge(world.p, &batch), Ok(()));
    world.serve();
    assert_eq!(world.seq(), 2);
    assert_eq!(world.node.replicator.stats().wrong_sizes, 1);
}

#[test]
fn a_peer_that_leaves_takes_its_questions_along() {
    let mut world = World::connected(1, 4);
    let last = world.chain[3].clone();
    assert_eq!(world.node.judge(world.p, &last), Ok(()));
    let (_, late, _) = world.node.asked();
    world.node.connect(world.q);
    world.node.asks.clear();
    world.node.handle(Input::Disconnected { peer: world.p });
    world.node.pass(Duration::from_secs(1));
    world.node.answer(late, Answer::Bad);
    assert!(
        world.node.notes.is_empty(),
        "an answer that nobody waits for is nothing"
    );
    world.node.serve(&[(world.q, &world.store)]);
    assert_eq!(world.seq(), 4);
}

#[test]
fn a_silent_network_does_not_keep_the_node_busy() {
    // Nobody answers anything, for an hour.
    let mut world = World::new(1, 4);
    world.node.connect(world.p);
    world.node.connect(world.q);
    let last = world.chain[3].clone();
    assert_eq!(world.node.judge(world.p, &last), Ok(()));
    let mut asked = 0;
    for _ in 0..3600 {
        world.node.pass(Duration::from_secs(1));
        asked += world.node.asks.len();
        world.node.asks.clear();
    }
    assert!(asked < 400, "{asked}");
    assert!(world.node.notes.len() < 4, "{:?}", world.node.notes);
}

#[test]
fn one_feed_does_not_take_all_the_questions() {
    let authors: Vec<Author> = (1..=60).map(Author::new).collect();
    let feeds: Vec<FeedId> = authors.iter().map(Author::feed).collect();
    let (own, store) = (memory(), memory());
    let mut newest = Vec::new();
    for author in &authors {
        let chain = author.chain(3);
        author.fill(&own, &chain[..1], &[]);
        author.fill(&store, &chain, &[]);
        newest.push(chain[2].clone());
    }
    let mut node = Node::new(own, &feeds);
    node.connect(peer(1));
    let (_, tag, _) = node.asked();
    node.answer(tag, Answer::Heads(newest));
    assert_eq!(node.asks.len(), MAX_CHASES);
    node.serve(&[(peer(1), &store)]);
    for feed in &feeds {
        assert_eq!(node.seq(feed), 3);
    }
}
