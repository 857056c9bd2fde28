use super::fixture::{NOW, foreign, gb, public, signed_descriptor};
use super::*;
use bellwether_formats::id::FeedId;

fn relay() -> Store {
    let store = memory();
    store.put_descriptor(&signed_descriptor(2, 1)).unwrap();
    store
}

fn feed() -> FeedId {
    FeedId {
        provider: public(2),
        zone: gb(),
    }
}

fn rows(store: &Store) -> usize {
    store.rows_after(&feed(), 0, usize::MAX).unwrap().len()
}

#[test]
fn the_descriptor_of_the_highest_epoch_is_kept() {
    let store = memory();
    assert!(store.put_descriptor(&signed_descriptor(2, 5)).unwrap());
    assert!(!store.put_descriptor(&signed_descriptor(2, 4)).unwrap());
    assert!(!store.put_descriptor(&signed_descriptor(2, 5)).unwrap());
    assert!(!store.put_descriptor(&signed_descriptor(2, 1006)).unwrap());
    assert!(store.put_descriptor(&signed_descriptor(1, 1)).unwrap());
    let known = store.descriptor(&public(2)).unwrap().unwrap();
    assert_eq!(known.epoch, 5);
    assert_eq!(store.descriptor(&public(7)).unwrap(), None);
}

#[test]
fn a_batch_without_a_block_leaves_nothing() {
    let store = memory();
    let (batch, block) = foreign(None, 1, NOW);
    let missing = store.replicate(&batch, std::slice::from_ref(&block));
    assert!(
        matches!(missing, Err(ReplicateError::Missing { cid }) if cid == batch.desc),
        "the descriptor"
    );
    assert_eq!(store.block(&block.cid()).unwrap(), None);
    store.put_descriptor(&signed_descriptor(2, 1)).unwrap();
    let missing = store.replicate(&batch, &[]);
    assert!(matches!(missing, Err(ReplicateError::Missing { cid }) if cid == block.cid()));
    let (_, stranger) = foreign(None, 9, NOW);
    let missing = store.replicate(&batch, std::slice::from_ref(&stranger));
    assert!(missing.is_err());
    assert_eq!(store.head(&feed()).unwrap(), None);

    store
        .replicate(&batch, &[block.clone(), stranger.clone()])
        .unwrap();
    assert!(store.block(&block.cid()).unwrap().is_some());
    assert_eq!(
        store.block(&stranger.cid()).unwrap(),
        None,
        "nobody names it"
    );
    assert_eq!(store.head(&feed()).unwrap().unwrap().head.seq, 1);
}

#[test]
fn what_does_not_follow_is_refused() {
    let store = relay();
    let (one, a) = foreign(None, 1, NOW);
    let (other, b) = foreign(None, 2, NOW);
    let (two, c) = foreign(Some(&one), 3, NOW + 1);
    let (wrong, d) = foreign(Some(&other), 4, NOW + 1);
    let (three, e) = foreign(Some(&two), 5, NOW + 2);
    let (early, f) = foreign(Some(&one), 6, NOW);
    store.replicate(&one, std::slice::from_ref(&a)).unwrap();
    for (batch, block, rule) in [
        (&one, &a, "seq"),
        (&other, &b, "seq"),
        (&three, &e, "seq"),
        (&wrong, &d, "prev"),
        (&early, &f, "published-at"),
    ] {
        match store.replicate(batch, std::slice::from_ref(block)) {
            Err(ReplicateError::Chain(error)) => assert_eq!(error.rule(), rule),
            other => panic!("{rule}: {other:?}"),
        }
        assert_eq!(store.head(&feed()).unwrap().unwrap().head.id, one.id());
        assert_eq!(store.block(&batch.cid()).unwrap().is_some(), *batch == one);
    }
    store.replicate(&two, &[c]).unwrap();
    store.replicate(&three, &[e]).unwrap();
    assert_eq!(rows(&store), 3);
    assert_eq!(store.faults().unwrap(), Vec::<String>::new());
}

#[test]
fn a_feed_may_be_entered_anywhere_and_cut() {
    let store = relay();
    let (one, _) = foreign(None, 1, NOW);
    let (two, b) = foreign(Some(&one), 2, NOW + 1);
    let (three, c) = foreign(Some(&two), 3, NOW + 2);
    let (other, d) = foreign(Some(&two), 4, NOW + 2);
    store.replicate(&two, &[b]).unwrap();
    store.replicate(&three, &[c]).unwrap();
    assert_eq!(store.rows_after(&feed(), 2, 10).unwrap().len(), 1);
    assert_eq!(store.rows_after(&feed(), 0, 1).unwrap()[0].seq, 2);

    store.put_fork(&three, &other).unwrap();
    assert!(store.is_forked(&feed()).unwrap());
    store.truncate(&feed(), 2).unwrap();
    assert!(!store.is_forked(&feed()).unwrap());
    assert_eq!(store.head(&feed()).unwrap().unwrap().head.id, two.id());
    store.replicate(&other, &[d]).unwrap();
    assert_eq!(rows(&store), 2);
    assert_eq!(store.faults().unwrap(), Vec::<String>::new());

    store.truncate(&feed(), 0).unwrap();
    assert_eq!(store.head(&feed()).unwrap(), None);
    assert_eq!(rows(&store), 0);
    store.truncate(&feed(), u64::MAX).unwrap();
    assert_eq!(store.faults().unwrap(), Vec::<String>::new());
}
