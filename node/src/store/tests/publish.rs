use super::fixture::{NOW, draft, foreign, gb, issue, key, public, publish, signed_descriptor};
use super::fixture::{unit, zone};
use super::*;
use bellwether_formats::id::{FeedId, Level};
use bellwether_formats::signed::Signed;

fn feed() -> FeedId {
    FeedId {
        provider: public(1),
        zone: gb(),
    }
}

fn provider() -> Store {
    let store = memory();
    store.put_descriptor(&signed_descriptor(1, 1)).unwrap();
    issue(&store, &gb(), &[1]);
    store.accept(&[1; 32], &[unit(1)], NOW).unwrap();
    store
}

#[test]
fn what_is_prepared_is_not_seen_before_it_is_published() {
    let store = provider();
    let draft = draft(&store, &gb(), NOW);
    let body = draft.blocks[0].cid();
    let row = store.prepare(&draft).unwrap();
    assert_eq!(store.prepared(&gb()).unwrap(), Some(row.clone()));
    assert_eq!(row.batch().unwrap(), draft.batch);
    assert_eq!(store.head(&feed()).unwrap(), None);
    assert_eq!(store.block(&body).unwrap(), None);
    assert_eq!(store.pending(&gb()).unwrap(), 1);
    assert!(matches!(store.prepare(&draft), Err(PublishError::Prepared)));

    let mut other = draft.batch.clone();
    other.salt = [2; 16];
    let other = Signed::sign(&other, &key(3)).unwrap();
    assert!(matches!(
        store.publish(&other),
        Err(PublishError::NotPrepared)
    ));
    let batch = Signed::sign(&draft.batch, &key(3)).unwrap();
    let row = store.publish(&batch).unwrap();
    assert_eq!(store.head(&feed()).unwrap().unwrap().row, row);
    assert!(store.block(&body).unwrap().is_some());
    assert_eq!(store.pending(&gb()).unwrap(), 0);
    assert_eq!(store.prepared(&gb()).unwrap(), None);
    assert!(matches!(
        store.publish(&batch),
        Err(PublishError::NotPrepared)
    ));
}

#[test]
fn only_what_follows_the_head_is_prepared() {
    let store = provider();
    let first = draft(&store, &gb(), NOW);
    publish(&store, &gb(), NOW);
    let refused = |batch| {
        let draft = Draft {
            batch,
            blocks: Vec::new(),
            says: Vec::new(),
            dummies: Vec::new(),
        };
        match store.prepare(&draft) {
            Err(PublishError::NotNext { rule, .. }) => rule,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused(first.batch), "seq");
    let next = draft(&store, &gb(), NOW + 1).batch;
    let mut other = next.clone();
    other.prev = Some(bellwether_formats::id::ObjectId::from_bytes([0; 32]));
    assert_eq!(refused(other), "prev");
    let mut other = next.clone();
    other.published_at = NOW;
    assert_eq!(refused(other), "published-at");
    let mut other = next;
    other.epoch = 0;
    assert_eq!(refused(other), "epoch");
    assert_eq!(store.prepared(&gb()).unwrap(), None);
}

#[test]
fn a_level_that_changes_meanwhile_goes_into_the_batch_after() {
    let store = provider();
    let draft = draft(&store, &gb(), NOW);
    store.prepare(&draft).unwrap();
    store.set_level(&[1; 32], Level::NO_ALERT).unwrap();
    assert_eq!(store.pending(&gb()).unwrap(), 0);
    let batch = Signed::sign(&draft.batch, &key(3)).unwrap();
    store.publish(&batch).unwrap();
    let pending = store.pending_notes(&gb(), 10, u64::MAX).unwrap();
    assert_eq!(pending.len(), 1);
    assert_eq!(
        (pending[0].1.level, pending[0].1.published_level),
        (0, Some(5))
    );
    assert_eq!(pending[0].1.observed_before, NOW);
}

#[test]
fn zones_are_prepared_and_published_apart() {
    let store = provider();
    issue(&store, &zone("fr"), &[2]);
    store.accept(&[2; 32], &[unit(1)], NOW).unwrap();
    let one = draft(&store, &gb(), NOW);
    let other = draft(&store, &zone("fr"), NOW);
    store.prepare(&one).unwrap();
    store.prepare(&other).unwrap();
    let batch = Signed::sign(&other.batch, &key(3)).unwrap();
    store.publish(&batch).unwrap();
    assert!(store.prepared(&gb()).unwrap().is_some());
    assert_eq!(store.pending(&gb()).unwrap(), 1);
    assert_eq!(store.pending(&zone("fr")).unwrap(), 0);
    assert_eq!(store.heads().unwrap().len(), 1);
}

#[test]
fn a_batch_that_a_relay_gave_back_is_settled() {
    let store = provider();
    let draft = draft(&store, &gb(), NOW);
    store.prepare(&draft).unwrap();
    let batch = Signed::sign(&draft.batch, &key(3)).unwrap();
    store.replicate(&batch, &draft.blocks).unwrap();
    assert_eq!(store.pending(&gb()).unwrap(), 1);
    store.publish(&batch).unwrap();
    assert_eq!(store.pending(&gb()).unwrap(), 0);
    assert_eq!(store.prepared(&gb()).unwrap(), None);
    assert_eq!(store.faults().unwrap(), Vec::<String>::new());
}

#[test]
fn what_was_prepared_can_be_dropped() {
    let store = provider();
    assert!(store.discard(&gb(), 1).is_err());
    store.prepare(&draft(&store, &gb(), NOW)).unwrap();
    assert!(store.discard(&gb(), 2).is_err());
    store.discard(&gb(), 1).unwrap();
    assert_eq!(store.prepared(&gb()).unwrap(), None);
    assert_eq!(store.pending(&gb()).unwrap(), 1);
    publish(&store, &gb(), NOW + 1);
}

#[test]
fn another_providers_statement_changes_nothing_here() {
    let store = provider();
    publish(&store, &gb(), NOW);
    store.put_descriptor(&signed_descriptor(2, 1)).unwrap();
    let (batch, block) = foreign(None, 1, NOW);
    store.replicate(&batch, &[block]).unwrap();
    assert_eq!(store.pending(&gb()).unwrap(), 0);
    assert_eq!(store.heads().unwrap().len(), 2);
}
