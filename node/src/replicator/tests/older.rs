use super::*;
use crate::relay::server::answer;
use crate::replicator::testing::sealed::{Sealed, batch_with};

/// Long enough for a newcomer to be asked.
const SOON: Duration = Duration::from_secs(60);

impl World {
    /// A node that joined late at `q`, which has the batches from `first` on only.
    fn late(count: usize, first: usize) -> (Self, Store) {
        let mut world = Self::new(0, count);
        let pruned = memory();
        world.author.fill(&pruned, &world.chain[first - 1..], &[]);
        world.node.connect(world.q);
        world.node.serve(&[(world.q, &pruned)]);
        assert_eq!(world.oldest(), first);
        (world, pruned)
    }

    /// Number of the oldest batch that the node has.
    fn oldest(&self) -> usize {
        let rows = self.node.store.rows_after(&self.author.feed(), 0, 5000);
        let numbers: Vec<u64> = rows.unwrap().iter().map(|row| row.seq).collect();
        let holes = numbers.windows(2).filter(|pair| pair[0] + 1 != pair[1]);
        assert_eq!(holes.count(), 0, "{numbers:?}");
        usize::try_from(numbers[0]).unwrap()
    }

    /// Lets time pass, with answers from everybody; gives how many pages were asked for.
    fn live(&mut self, time: Duration, stores: &[(PeerId, &Store)]) -> usize {
        let mut pages = 0;
        let end = self.node.now.at + time;
        while self.node.now.at < end {
            while let Some((peer, tag, request)) = self.node.asks.pop_front() {
                pages += usize::from(matches!(request, SyncRequest::After { .. }));
                let store = stores.iter().find(|(name, _)| *name == peer).unwrap().1;
                let answered = answer(store, &self.node.feeds, &request).unwrap();
                self.node.respond(tag, Ok(answered));
            }
            self.node.pass(Duration::from_secs(5));
        }
        pages
    }
}

#[test]
fn relay_that_joined_late_at_a_pruned_peer_fills_downwards_from_another() {
    let (mut world, pruned) = World::late(200, 150);
    world.node.connect(world.p);
    let stores = [(world.p, &world.store.clone()), (world.q, &pruned)];
    world.live(SOON, &stores);
    assert_eq!(world.oldest(), 1);
    assert_eq!(world.seq(), 200, "the head stays");
    assert_eq!(world.node.replicator.stats().filled, 149);
    assert_eq!(world.node.replicator.stats().bad_answers, 0);
    // It is at the beginning: nothing more is asked.
    assert_eq!(world.live(Duration::from_hours(20), &stores), 0);
}

#[test]
fn relay_that_deleted_by_a_wrong_clock_fills_downwards_from_the_peer_it_has() {
    let mut world = World::new(40, 40);
    let policy = RetainPolicy {
        before: u64::MAX,
        ..RetainPolicy::KEEP_ALL
    };
    world.node.store.prune(policy).unwrap();
    assert_eq!(world.oldest(), 40);
    world.node.connect(world.p);
    let store = world.store.clone();
    world.live(SOON, &[(world.p, &store)]);
    assert_eq!(world.oldest(), 1);
}

#[test]
fn older_batches_come_with_their_blocks_and_are_seen_by_peers_only_then() {
    let mut world = World::new(0, 0);
    let bodies: Vec<Block> = (0..20_u8).map(|number| block(&[number; 40])).collect();
    let mut chain: Vec<Signed<Batch>> = Vec::new();
    for body in &bodies {
        let batch = world.author.batch_of(chain.last(), &[body], |_| {});
        world.author.fill(
            &world.store,
            std::slice::from_ref(&batch),
            std::slice::from_ref(body),
        );
        chain.push(batch);
    }
    let late = memory();
    world.author.fill(&late, &chain[19..], &bodies[19..]);
    world.node.connect(world.q);
    world.node.serve(&[(world.q, &late)]);
    world.node.connect(world.p);
    let store = world.store.clone();
    world.live(SOON, &[(world.p, &store), (world.q, &late)]);
    assert_eq!(world.oldest(), 1);
    for body in &bodies {
        assert!(world.node.store.block(&body.cid()).unwrap().is_some());
    }
    assert_eq!(world.node.store.faults().unwrap(), Vec::<String>::new());
}

#[test]
fn older_sealed_batches_come_with_their_chunks() {
    let mut world = World::new(0, 0);
    let sealed = Sealed::small(1);
    let batch = batch_with(&world.author, None, &[&sealed]);
    let blocks = sealed.blocks();
    let next = world.author.beat(Some(&batch));
    world
        .author
        .fill(&world.store, std::slice::from_ref(&batch), &blocks);
    world
        .author
        .fill(&world.store, std::slice::from_ref(&next), &[]);
    let late = memory();
    world.author.fill(&late, std::slice::from_ref(&next), &[]);
    world.node.connect(world.q);
    world.node.serve(&[(world.q, &late)]);
    world.node.connect(world.p);
    let store = world.store.clone();
    world.live(SOON, &[(world.p, &store), (world.q, &late)]);
    assert_eq!(world.oldest(), 1);
    assert_eq!(world.node.store.faults().unwrap(), Vec::<String>::new());
    assert!(world.node.store.unchecked().unwrap().is_some());
}

#[test]
fn nothing_below_the_retention_is_fetched() {
    let (mut world, pruned) = World::late(200, 150);
    // A batch a minute; the node's clock stands a day after the first.
    let from = world.chain[99].published_at;
    let age = world.node.now.utc + 10 - from;
    world
        .node
        .replicator
        .limit(u64::MAX, Duration::from_secs(age));
    world.node.connect(world.p);
    let stores = [(world.p, &world.store.clone()), (world.q, &pruned)];
    world.live(SOON, &stores);
    assert_eq!(
        world.oldest(),
        150,
        "within a day of the end nobody is asked"
    );

    let mut world = World::new(0, 0);
    let mut chain: Vec<Signed<Batch>> = Vec::new();
    for _ in 0..20 {
        let batch = world.author.batch_of(chain.last(), &[], |batch| {
            batch.published_at += 86_400;
            batch.next_after = batch.published_at;
            batch.next_by = batch.published_at + 86_400;
        });
        chain.push(batch);
    }
    world.author.fill(&world.store, &chain, &[]);
    let pruned = memory();
    world.author.fill(&pruned, &chain[18..], &[]);
    world.node.now.utc = chain[19].published_at + 100;
    let days = |days: u64| Duration::from_secs(days * 86_460 + 200);
    world.node.replicator.limit(u64::MAX, days(10));
    world.node.connect(world.q);
    world.node.serve(&[(world.q, &pruned)]);
    world.node.connect(world.p);
    let stores = [(world.p, &world.store.clone()), (world.q, &pruned)];
    world.live(SOON, &stores);
    assert_eq!(world.oldest(), 10);
}

#[test]
fn what_the_cap_would_delete_again_is_not_fetched() {
    let mut world = World::new(0, 0);
    let bodies: Vec<Block> = (0..20_u8).map(|number| block(&[number; 40_000])).collect();
    let mut chain: Vec<Signed<Batch>> = Vec::new();
    for body in &bodies {
        let batch = world.author.batch_of(chain.last(), &[body], |_| {});
        world.author.fill(
            &world.store,
            std::slice::from_ref(&batch),
            std::slice::from_ref(body),
        );
        chain.push(batch);
    }
    let late = memory();
    world.author.fill(&late, &chain[19..], &bodies[19..]);
    world.node.replicator.limit(400_000, Duration::MAX);
    world.node.connect(world.q);
    world.node.serve(&[(world.q, &late)]);
    world.node.connect(world.p);
    let store = world.store.clone();
    let stores = [(world.p, &store), (world.q, &late)];
    world.live(SOON, &stores);
    let used = world.node.store.used_bytes().unwrap();
    assert!(
        (300_000..=350_000).contains(&used),
        "{used}: an eighth stays free"
    );
    let oldest = world.oldest();
    assert!(world.live(Duration::from_hours(20), &stores) <= 10);
    assert_eq!(world.oldest(), oldest);
}

#[test]
fn peers_that_do_not_have_them_are_asked_seldom() {
    let (mut world, pruned) = World::late(200, 150);
    world.node.connect(world.p);
    let other = memory();
    world.author.fill(&other, &world.chain[149..], &[]);
    let stores = [(world.p, &other), (world.q, &pruned)];
    let pages = world.live(Duration::from_hours(24), &stores);
    assert!((2..=12).contains(&pages), "{pages}");
    assert_eq!(world.oldest(), 150);
    // Whoever comes and goes is not asked each time.
    let mut pages = 0;
    for _ in 0..20 {
        world.node.handle(Input::Disconnected { peer: world.p });
        world.node.connect(world.p);
        pages += world.live(SOON, &stores);
    }
    assert!(pages <= 2, "{pages}");
}

#[test]
fn another_branch_and_rubbish_are_not_taken_for_older_batches() {
    let (mut world, _) = World::late(100, 50);
    let feed = world.author.feed();
    world.node.connect(world.p);
    let (_, tag, _) = world.node.asked();
    world.node.answer(tag, Answer::Heads(Vec::new()));
    world.node.pass(SOON);
    // A chain of the same key, and of another salt.
    let mut other: Vec<Signed<Batch>> = Vec::new();
    for _ in 0..60 {
        let batch = world
            .author
            .batch_of(other.last(), &[], |batch| batch.salt = [9; 16]);
        other.push(batch);
    }
    let pages: Vec<_> = world.node.asks.drain(..).collect();
    let mut answered = 0;
    for (_, tag, request) in pages {
        if matches!(request, SyncRequest::After { .. }) {
            world.node.answer(tag, Answer::Batches(other.clone()));
            answered += 1;
        }
    }
    assert_eq!(answered, 1);
    assert_eq!(world.oldest(), 50);
    assert_eq!(
        world.node.replicator.stats().bad_answers,
        0,
        "nobody's fault"
    );
    world.node.connect(peer(3));
    world.node.pass(Duration::from_secs(10));
    let next: Vec<_> = world.node.asks.drain(..).collect();
    for (_, tag, request) in next {
        if matches!(request, SyncRequest::After { .. }) {
            let rubbish = vec![world.chain[3].clone(), world.chain[9].clone()];
            world.node.answer(tag, Answer::Batches(rubbish));
        }
    }
    assert_eq!(world.node.replicator.stats().bad_answers, 1);
    assert_eq!(world.oldest(), 50);
    assert!(!world.node.store.is_forked(&feed).unwrap());
}
