//! Batches that peers show or do not show, and a node without peers.

use super::*;

/// Three rounds of questions.
const LONG: Duration = Duration::from_secs(180);

/// A provider's node with `count` batches of its own.
fn provider(count: usize) -> (Author, Vec<Signed<Batch>>, Node) {
    let author = Author::new(1);
    let chain = author.chain(count + 2);
    let store = memory();
    author.fill(&store, &chain[..count], &[]);
    let node = Node::with(store, &[], &[author.feed()]);
    (author, chain, node)
}

fn told(node: &Node, author: &Author) -> Option<u64> {
    node.replicator.status()[&author.feed()].not_relayed
}

/// Answers every open question for heads.
fn show(node: &mut Node, heads: &[Signed<Batch>]) {
    while let Some((_, tag, request)) = node.asks.pop_front() {
        assert!(matches!(request, SyncRequest::Heads(_)), "{request:?}");
        node.answer(tag, Answer::Heads(heads.to_vec()));
    }
}

fn publish(node: &mut Node, author: &Author, batch: &Signed<Batch>) {
    author.fill(&node.store, std::slice::from_ref(batch), &[]);
    node.handle(Input::Published(Box::new(batch.clone())));
}

#[test]
fn newest_batch_that_no_peer_shows_for_three_rounds_is_not_relayed() {
    let (author, chain, mut node) = provider(1);
    let start = node.now.utc;
    node.connect(peer(1));
    show(&mut node, &[]);
    node.pass(LONG - Duration::from_millis(1));
    assert_eq!(told(&node, &author), None);
    node.pass(Duration::from_millis(1));
    assert_eq!(told(&node, &author), Some(start));
    show(&mut node, &chain[..1]);
    assert_eq!(told(&node, &author), None);
    // The next one is waited for anew.
    publish(&mut node, &author, &chain[1]);
    let published = node.now.utc;
    node.pass(LONG);
    assert_eq!(told(&node, &author), Some(published));
    show(&mut node, &chain[1..2]);
    assert_eq!(told(&node, &author), None);
}

#[test]
fn batch_after_the_one_waited_for_neither_puts_it_off_nor_is_shown_by_it() {
    let (author, chain, mut node) = provider(1);
    let start = node.now.utc;
    node.connect(peer(1));
    show(&mut node, &[]);
    node.pass(Duration::from_secs(100));
    publish(&mut node, &author, &chain[1]);
    node.pass(LONG - Duration::from_secs(100));
    assert_eq!(told(&node, &author), Some(start));
    // A peer has what was waited for, and the next one is waited for from now on.
    show(&mut node, &chain[..1]);
    let now = node.now.utc;
    assert_eq!(told(&node, &author), None);
    node.pass(LONG);
    assert_eq!(told(&node, &author), Some(now));
}

#[test]
fn feed_of_another_is_not_waited_for() {
    let mut world = World::connected(1, 1);
    world.node.pass(LONG * 2);
    assert_eq!(told(&world.node, &world.author), None);
}

#[test]
fn node_is_alone_half_a_minute_after_its_last_peer_left() {
    let (_, _, mut node) = provider(1);
    let long = Duration::from_secs(30);
    let start = node.now.utc;
    node.pass(long - Duration::from_millis(1));
    assert_eq!(node.replicator.alone(), None);
    node.pass(Duration::from_millis(1));
    assert_eq!(node.replicator.alone(), Some(start));
    node.connect(peer(1));
    node.connect(peer(2));
    assert_eq!(node.replicator.alone(), None);
    node.handle(Input::Disconnected { peer: peer(1) });
    node.pass(long);
    assert_eq!(node.replicator.alone(), None);
    node.handle(Input::Disconnected { peer: peer(2) });
    let left = node.now.utc;
    node.handle(Input::Disconnected { peer: peer(2) });
    node.pass(long);
    assert_eq!(node.replicator.alone(), Some(left));
}
