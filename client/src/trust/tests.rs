use bellwether_formats::chain::ChainError;
use bellwether_formats::descriptor::Anchor;

use super::*;
use crate::fixture::{Provider, zone};

const NOW: u64 = 1_795_253_400;

/// A feed that knows `batches`, in order.
fn feed(provider: &Provider, batches: &[Signed<Batch>]) -> Feed {
    let mut feed = Feed::new(provider.feed());
    take(&mut feed, batches);
    feed
}

fn take(feed: &mut Feed, batches: &[Signed<Batch>]) {
    for batch in batches {
        let place = feed.place(batch).unwrap();
        feed.accept(batch, place, Vec::new());
    }
}

/// Signs a descriptor that disowns what follows a batch, and keeps its keys.
fn disown(provider: &mut Provider, seq: u64, id: ObjectId) {
    provider.descriptor.epoch += 1;
    provider.descriptor.anchors = vec![Anchor {
        zone: zone(),
        epoch: provider.descriptor.epoch,
        seq,
        id,
    }];
}

fn head(feed: &Feed) -> (u64, ObjectId) {
    feed.head().map(|head| (head.seq, head.id)).unwrap()
}

fn believed_seqs(batches: &[Signed<Batch>], descriptor: &Signed<Descriptor>) -> Vec<u64> {
    let candidates = batches
        .iter()
        .map(|batch| (batch.id(), batch.clone()))
        .collect();
    let ids = believed(&candidates, descriptor, NOW);
    ids.iter().map(|id| candidates[id].seq).collect()
}

#[test]
fn the_highest_epoch_counts_and_nothing_goes_back() {
    let mut provider = Provider::new(1, NOW);
    let first = provider.signed();
    let judge = |held: Option<&Signed<Descriptor>>, new: &Provider| {
        replaces(held, provider.id(), &new.signed(), NOW)
    };
    assert_eq!(judge(None, &provider), Ok(true));
    assert_eq!(judge(Some(&first), &provider), Ok(false));
    let mut new = provider.clone();
    new.descriptor.epoch = 1001;
    assert_eq!(judge(Some(&first), &new), Ok(true));
    let second = new.signed();
    assert_eq!(
        judge(Some(&second), &provider),
        Ok(false),
        "an old answer is no crime"
    );

    let rule = |change: &dyn Fn(&mut Descriptor)| {
        let mut new = provider.clone();
        change(&mut new.descriptor);
        judge(Some(&first), &new).unwrap_err().rule()
    };
    assert_eq!(rule(&|new| new.name.push('x')), "descriptor-epoch");
    assert_eq!(rule(&|new| new.epoch = 1002), "descriptor-epoch");
    assert_eq!(
        rule(&|new| (new.epoch, new.next_root) = (2, [9; 32])),
        "next-root"
    );
    assert_eq!(
        rule(&|new| (new.epoch, new.issued_at) = (2, NOW + 601)),
        "future"
    );
    provider.descriptor.provider = first.provider;
    let stranger = Provider::new(2, NOW);
    assert_eq!(
        replaces(None, provider.id(), &stranger.signed(), NOW)
            .unwrap_err()
            .rule(),
        "feed"
    );
}

#[test]
fn an_unlisted_key_is_believed_as_an_ancestor_only() {
    let mut provider = Provider::new(1, NOW);
    let old = provider.heartbeats(3, NOW - 600);
    provider.revoke(None);
    let descriptor = provider.signed();
    assert_eq!(believed_seqs(&old, &descriptor), [0; 0]);
    let chain = provider.extend(&old, 1, NOW - 60);
    assert_eq!(believed_seqs(&chain, &descriptor), [1, 2, 3, 4]);
    // Without the one between, nobody knows where 1 and 2 belong.
    let holed = [chain[0].clone(), chain[1].clone(), chain[3].clone()];
    assert_eq!(believed_seqs(&holed, &descriptor), [4]);
}

#[test]
fn a_batch_from_the_future_vouches_for_nothing() {
    let provider = Provider::new(1, NOW);
    let chain = provider.heartbeats(2, NOW + 601);
    assert_eq!(believed_seqs(&chain, &provider.signed()), [1]);
}

#[test]
fn an_anchor_says_what_is_true_below_its_epoch() {
    let mut provider = Provider::new(1, NOW);
    let thief = provider.clone();
    let chain = provider.heartbeats(3, NOW - 3000);
    // The thief's key stays listed here: the anchor alone decides.
    let false_ones = thief.extend(&chain, 2, NOW - 2000);
    provider.revoke(Some(&chain[2]));
    provider.keys = thief.keys.clone();
    provider.descriptor.keys = thief.descriptor.keys.clone();
    let descriptor = provider.signed();
    assert_eq!(believed_seqs(&false_ones, &descriptor), [1, 2, 3]);
    let true_ones = provider.extend(&chain, 1, NOW - 1000);
    assert_eq!(believed_seqs(&true_ones, &descriptor), [1, 2, 3, 4]);
}

#[test]
fn batches_take_their_places() {
    let provider = Provider::new(1, NOW);
    let chain = provider.heartbeats(9, NOW);
    let mut feed = feed(&provider, &chain[2..5]);
    assert_eq!(head(&feed), (5, chain[4].id()));
    assert_eq!(feed.place(&chain[3]), Ok(Place::Known));
    assert_eq!(feed.place(&chain[1]), Ok(Place::Before));
    assert_eq!(feed.place(&chain[0]), Ok(Place::Known), "of what branch?");
    assert_eq!(feed.place(&chain[5]), Ok(Place::Next));
    assert_eq!(feed.place(&chain[6]), Ok(Place::AfterGap));
    take(&mut feed, &chain[6..]);
    assert_eq!(head(&feed), (9, chain[8].id()));
    assert_eq!(feed.place(&chain[5]), Ok(Place::Before));
    assert_eq!(feed.branches().len(), 1);
    assert_eq!(
        feed.branches()[0].len(),
        6,
        "a branch goes on across its gap"
    );
}

#[test]
fn a_chain_that_breaks_its_rules_is_refused() {
    let provider = Provider::new(1, NOW);
    let chain = provider.heartbeats(3, NOW - 100);
    let feed = feed(&provider, &chain);
    let early = provider.batch(chain.last(), chain[2].published_at, Vec::new());
    assert!(matches!(
        feed.place(&early),
        Err(ChainError::PublishedAt { .. })
    ));
    let dense = provider.extend(&chain, 200, NOW - 99);
    let mut batch = (*dense[202]).clone();
    batch.published_at = NOW - 50;
    (batch.next_after, batch.next_by) = (NOW, NOW + 60);
    let dense = Signed::sign(&batch, &provider.keys[0]).unwrap();
    assert!(matches!(
        feed.place(&dense),
        Err(ChainError::SeqGrowth { .. })
    ));
}

#[test]
fn both_branches_of_a_fork_are_kept() {
    let provider = Provider::new(1, NOW);
    let common = provider.heartbeats(3, NOW - 3000);
    let main = provider.extend(&common, 2, NOW - 2000);
    let side = provider.extend(&common, 3, NOW - 1990);
    let mut feed = feed(&provider, &main);
    take(&mut feed, &side);
    assert_eq!(
        head(&feed),
        (5, main[4].id()),
        "the head stays on its branch"
    );
    let fork = Fork {
        seq: 4,
        main: main[3].id(),
        side: side[3].id(),
        at: side[3].published_at,
    };
    assert_eq!(feed.forks(), [fork]);
    let lengths: Vec<usize> = feed.branches().iter().map(Vec::len).collect();
    assert_eq!(lengths, [5, 6]);
    // The main branch grows on.
    take(&mut feed, &provider.extend(&main, 1, NOW - 1000));
    assert_eq!(feed.head().unwrap().seq, 6);
    assert_eq!(feed.forks(), [fork]);
}

#[test]
fn a_contradiction_right_after_the_head_is_a_fork() {
    let provider = Provider::new(1, NOW);
    let main = provider.heartbeats(5, NOW - 2000);
    let other = provider.heartbeats(6, NOW - 1000);
    let mut feed = feed(&provider, &main);
    assert_eq!(feed.place(&other[5]), Ok(Place::Side));
    take(&mut feed, &other[5..]);
    let fork = feed.forks()[0];
    assert_eq!(
        (fork.seq, fork.main, fork.side),
        (5, main[4].id(), other[4].id())
    );
}

#[test]
fn a_branch_of_a_higher_epoch_becomes_the_main_one() {
    let mut provider = Provider::new(1, NOW);
    let common = provider.heartbeats(3, NOW - 3000);
    let main = provider.extend(&common, 2, NOW - 2000);
    provider.revoke(None);
    let side = provider.extend(&common, 1, NOW - 1990);
    let mut feed = feed(&provider, &main);
    take(&mut feed, &side);
    assert_eq!(head(&feed), (4, side[3].id()));
    assert!(!feed.forks().is_empty());
    let lengths: Vec<usize> = feed.branches().iter().map(Vec::len).collect();
    assert_eq!(lengths, [4, 5]);
}

#[test]
fn an_anchor_drops_what_a_thief_added() {
    let mut provider = Provider::new(1, NOW);
    let thief = provider.clone();
    let chain = provider.heartbeats(4, NOW - 3000);
    let stolen = thief.extend(&chain, 3, NOW - 2000);
    let mut feed = feed(&provider, &stolen);
    provider.revoke(Some(&chain[2]));
    let anchor = provider.descriptor.anchor(&zone()).unwrap().clone();
    assert!(feed.apply_anchor(&anchor, NOW));
    assert_eq!(head(&feed), (3, chain[2].id()), "seq may fall");
    assert_eq!(feed.batches().len(), 3);
    assert_eq!(feed.anchored_at(), Some(NOW));
    assert!(!feed.apply_anchor(&anchor, NOW + 1), "it acts once");
    take(&mut feed, &provider.extend(&chain[..3], 2, NOW - 100)[3..]);
    assert_eq!(feed.head().unwrap().seq, 5);
    assert!(
        !feed.apply_anchor(&anchor, NOW + 1),
        "never on its own epoch"
    );
}

#[test]
fn an_anchor_that_is_not_known_has_all_fetched_again() {
    let mut provider = Provider::new(1, NOW);
    let chain = provider.heartbeats(3, NOW - 3000);
    let stolen = provider.extend(&chain, 3, NOW - 2000);
    let true_fourth = provider.extend(&chain, 1, NOW - 1500);
    let mut feed = feed(&provider, &stolen);
    provider.revoke(true_fourth.last());
    let anchor = provider.descriptor.anchor(&zone()).unwrap().clone();
    assert!(feed.apply_anchor(&anchor, NOW));
    assert_eq!((feed.head(), feed.batches().len()), (None, 0));
}

#[test]
fn an_anchor_on_the_beginning_drops_all_that_was_signed_before_it() {
    let mut provider = Provider::new(1, NOW);
    let wrong = provider.heartbeats(5, NOW - 3000);
    let mut feed = feed(&provider, &wrong);
    disown(&mut provider, 0, Anchor::BEGINNING);
    let anchor = provider.descriptor.anchor(&zone()).unwrap().clone();
    assert!(feed.apply_anchor(&anchor, NOW));
    assert_eq!((feed.head(), feed.batches().len()), (None, 0));
    assert_eq!(feed.anchored_at(), Some(NOW));
    assert!(!feed.apply_anchor(&anchor, NOW + 1), "it acts once");
    let descriptor = provider.signed();
    assert_eq!(believed_seqs(&wrong, &descriptor), [0; 0]);
    let again = provider.extend(&[], 2, NOW - 1000);
    assert_eq!(believed_seqs(&again, &descriptor), [1, 2]);
    take(&mut feed, &again);
    assert_eq!(head(&feed), (2, again[1].id()));
    assert!(!feed.apply_anchor(&anchor, NOW + 1));
    assert_eq!(feed.forks(), []);
}

#[test]
fn an_anchor_on_the_beginning_drops_a_side_branch_and_keeps_the_main_one() {
    let mut provider = Provider::new(1, NOW);
    let wrong = provider.heartbeats(2, NOW - 3000);
    disown(&mut provider, 0, Anchor::BEGINNING);
    let again = provider.extend(&[], 3, NOW - 1000);
    let mut feed = feed(&provider, &again);
    take(&mut feed, &wrong);
    assert_eq!(feed.batches().len(), 5);
    let anchor = provider.descriptor.anchor(&zone()).unwrap().clone();
    assert!(feed.apply_anchor(&anchor, NOW));
    assert_eq!(feed.batches().len(), 3);
    assert_eq!(head(&feed), (3, again[2].id()));
    assert_eq!(feed.forks(), []);
}

#[test]
fn a_second_anchor_drops_what_the_first_one_disowned_below_it() {
    // The phone slept through the first: it has false batches 3 to 5, the true ones go on to 9.
    let mut provider = Provider::new(1, NOW);
    let begun = provider.heartbeats(2, NOW - 30_000);
    let wrong = provider.extend(&begun, 3, NOW - 29_000);
    let mut feed = feed(&provider, &wrong);
    disown(&mut provider, 2, begun[1].id());
    let right = provider.extend(&begun, 7, NOW - 20_000);
    disown(&mut provider, 9, right[8].id());
    let next = provider.extend(&right, 1, NOW - 1000);
    let anchor = provider.descriptor.anchor(&zone()).unwrap().clone();
    assert!(!feed.apply_anchor(&anchor, NOW), "it may be an ancestor");
    for batch in &next {
        take(&mut feed, std::slice::from_ref(batch));
        feed.apply_anchor(&anchor, NOW);
    }
    let known: Vec<_> = feed.batches().iter().map(|batch| batch.id).collect();
    let expected: Vec<_> = next.iter().map(|batch| batch.id()).collect();
    assert_eq!(known, expected);
    assert_eq!(head(&feed), (10, next[9].id()));
    assert_eq!((feed.forks(), feed.anchored_at()), (&[][..], Some(NOW)));
}

#[test]
fn an_anchor_ahead_waits_until_it_is_seen() {
    let mut provider = Provider::new(1, NOW);
    let chain = provider.heartbeats(6, NOW - 3000);
    let mut behind = feed(&provider, &chain[..4]);
    let stolen = provider.extend(&chain[..3], 1, NOW - 2000);
    let mut astray = feed(&provider, &stolen);
    provider.revoke(chain.last());
    let anchor = provider.descriptor.anchor(&zone()).unwrap().clone();
    for feed in [&mut behind, &mut astray] {
        assert!(!feed.apply_anchor(&anchor, NOW), "it may be an ancestor");
        take(feed, &chain);
    }
    assert!(!behind.apply_anchor(&anchor, NOW));
    assert_eq!(behind.batches().len(), 6);
    assert!(
        astray.apply_anchor(&anchor, NOW),
        "the head turned out to be none"
    );
    assert_eq!(head(&astray), (6, chain[5].id()));
    assert_eq!((astray.batches().len(), astray.forks().len()), (6, 0));
}

#[test]
fn the_retention_ends_for_all_but_the_head() {
    let provider = Provider::new(1, NOW);
    let mut feed = feed(&provider, &provider.heartbeats(5, NOW));
    feed.expire(NOW + CLOCKS_S + crate::observations::RETENTION_S + 1);
    assert_eq!(feed.batches().len(), 1);
    assert_eq!(feed.head().unwrap().seq, 5);
}

/// The head is on the true chain already; what a thief added beside it is no doubt any more.
#[test]
fn an_anchor_drops_what_it_disowns_on_every_branch() {
    let mut provider = Provider::new(1, NOW);
    let common = provider.heartbeats(3, NOW - 3000);
    let main = provider.extend(&common, 2, NOW - 2000);
    let stolen = provider.extend(&common, 3, NOW - 1990);
    let mut feed = feed(&provider, &main);
    take(&mut feed, &stolen[..5]);
    assert!(feed.see(&stolen[5]), "and this was not fetched");
    assert_eq!((feed.forks().len(), feed.unreached().count()), (1, 1));
    provider.revoke(main.last());
    let anchor = provider.descriptor.anchor(&zone()).unwrap().clone();
    assert!(feed.apply_anchor(&anchor, NOW));
    assert_eq!(head(&feed), (5, main[4].id()));
    assert_eq!((feed.batches().len(), feed.forks().len()), (5, 0));
    assert_eq!(feed.unreached().count(), 0);
    assert!(!feed.apply_anchor(&anchor, NOW), "it acts once");
}

#[test]
fn what_was_seen_counts_until_it_is_there_and_the_newest_are_remembered() {
    let provider = Provider::new(1, NOW);
    let chain = provider.heartbeats(30, NOW - 3000);
    let mut feed = feed(&provider, &chain[..2]);
    for batch in &chain[2..] {
        assert!(feed.see(batch));
        assert!(!feed.see(batch), "once");
    }
    assert_eq!(feed.unreached().count(), 16);
    let newest = feed.unreached().map(|seen| seen.seq).max();
    assert_eq!(newest, Some(30));
    take(&mut feed, &chain[2..]);
    assert_eq!(feed.unreached().count(), 0);
}
