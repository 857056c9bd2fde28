//! The way out after batches of the future: they are disowned, and published again.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_formats::descriptor::Anchor;
use bellwether_formats::id::ObjectId;

use super::*;
use crate::store::RetainPolicy;

/// A clock that was a month ahead.
pub(super) const AHEAD: u64 = NOW + 30 * DAY;

/// The next descriptor, which disowns what follows batch `seq` of the zone `gb`.
fn disowning(epoch: u64, seq: u64, id: ObjectId) -> Signed<Descriptor> {
    let mut next = descriptor(1, epoch, &[3, 4]);
    next.anchors = vec![Anchor {
        zone: gb(),
        epoch,
        seq,
        id,
    }];
    Signed::sign(&next, &key(1)).unwrap()
}

/// Disowns what follows a batch; the beginning, if there is none.
pub(super) fn disown(
    publisher: &mut Publisher,
    epoch: u64,
    after: Option<&Signed<Batch>>,
) -> Disowned {
    let (seq, id) = after.map_or((0, Anchor::BEGINNING), |after| (after.seq, after.id()));
    let next = disowning(epoch, seq, id);
    let (_, mut gone) = publisher.renew(next.envelope()).unwrap();
    assert_eq!(gone.len(), 1);
    gone.remove(0)
}

/// The units in the open parts of a batch.
fn units(store: &Store, batch: &Signed<Batch>) -> BTreeSet<Vec<u8>> {
    let bodies: Vec<Cid> = batch.open_bodies().map(|body| body.cid).collect();
    let read = |cid: &Cid| {
        let bytes = store.block(cid).unwrap().unwrap();
        let body = OpenBody::decode(unit(0).scheme, &bytes).unwrap();
        body.units()
            .map(|(_, unit)| unit.to_vec())
            .collect::<Vec<_>>()
    };
    bodies.iter().flat_map(read).collect()
}

#[test]
fn batches_of_the_future_are_disowned_and_published_again_at_once() {
    let home = Home::new();
    let mut publisher = home.publisher();
    home.store.accept(&[1; 32], &[unit(1)], NOW).unwrap();
    let first = close(&mut publisher, &gb(), NOW).unwrap();
    // The clock leaps: a new seed, and another level of the one before, go out with a wrong time.
    home.store.accept(&[1; 32], &[unit(2)], NOW + 10).unwrap();
    home.store.set_level(&[1; 32], Level::SYMPTOMATIC).unwrap();
    let wrong = close(&mut publisher, &gb(), AHEAD).unwrap();
    close(&mut publisher, &gb(), AHEAD + 3600).unwrap();
    let there = units(&home.store, &wrong);
    assert_eq!(said(&home.store, &wrong, 2), Some((4, AHEAD)));
    // It is right again, and nothing can be published.
    let refused = close(&mut publisher, &gb(), NOW + 60).unwrap_err();
    assert!(refused.hint().unwrap().contains("descriptor disown"));

    let gone = disown(&mut publisher, 2, Some(&first));
    assert_eq!(
        gone,
        Disowned {
            zone: gb(),
            from: 2,
            batches: 2,
            again: 4
        }
    );
    assert_eq!(home.store.faults().unwrap(), Vec::<String>::new());
    assert_eq!(publisher.due(&gb()).unwrap(), 0, "at once");
    let again = close(&mut publisher, &gb(), NOW + 60).unwrap();
    assert_eq!(
        (again.epoch, again.seq, again.prev),
        (2, 2, Some(first.id()))
    );
    assert_eq!(again.published_at, NOW + 60);
    assert_eq!(
        said(&home.store, &again, 1),
        Some((4, NOW)),
        "its time stays"
    );
    assert_eq!(
        said(&home.store, &again, 2),
        Some((4, NOW + 60)),
        "it is new"
    );
    // Whoever saw the disowned batch cannot tell its dummies by their absence.
    assert_eq!(units(&home.store, &again), there);
    assert_eq!(home.store.pending(&gb()).unwrap(), 0);
    assert_eq!(home.store.faults().unwrap(), Vec::<String>::new());
    let next = close(&mut publisher, &gb(), NOW + 3660).unwrap();
    assert_eq!((next.seq, next.parts.len()), (3, 0));
}

#[test]
fn a_feed_is_disowned_from_its_beginning() {
    let home = Home::new();
    let mut publisher = home.publisher();
    home.store.accept(&[1; 32], &[unit(1)], NOW).unwrap();
    close(&mut publisher, &gb(), AHEAD).unwrap();
    let gone = disown(&mut publisher, 2, None);
    assert_eq!((gone.from, gone.batches), (1, 1));
    assert_eq!(home.head(), None);
    let again = close(&mut publisher, &gb(), NOW).unwrap();
    assert_eq!((again.epoch, again.seq, again.prev), (2, 1, None));
    assert_eq!(said(&home.store, &again, 1), Some((5, NOW)));
    assert_eq!(home.store.faults().unwrap(), Vec::<String>::new());
}

#[test]
fn what_was_withdrawn_meanwhile_is_not_published_again() {
    let home = Home::new();
    let mut publisher = home.publisher();
    home.store.accept(&[1; 32], &[unit(1)], NOW).unwrap();
    close(&mut publisher, &gb(), AHEAD).unwrap();
    home.store.set_level(&[1; 32], Level::NO_ALERT).unwrap();
    disown(&mut publisher, 2, None);
    let again = close(&mut publisher, &gb(), NOW).unwrap();
    assert_eq!(said(&home.store, &again, 1), None, "it was never published");
}

#[test]
fn other_zones_stay_as_they_are() {
    let home = Home::new();
    let mut publisher = home.publisher();
    home.store.accept(&[2; 32], &[unit(2)], NOW).unwrap();
    let other = close(&mut publisher, &zone("fr"), AHEAD).unwrap();
    close(&mut publisher, &gb(), AHEAD).unwrap();
    disown(&mut publisher, 2, None);
    let feed = FeedId {
        zone: zone("fr"),
        ..feed()
    };
    let head = home.store.head(&feed).unwrap().unwrap();
    assert_eq!(head.head.id, other.id());
    assert_eq!(home.store.pending(&zone("fr")).unwrap(), 0);
}

#[test]
fn what_is_prepared_is_disowned_too_signed_or_not() {
    for signed in [false, true] {
        let home = Home::new();
        home.store.accept(&[1; 32], &[unit(1)], NOW).unwrap();
        let mut publisher = home.publisher();
        let first = close(&mut publisher, &gb(), NOW).unwrap();
        close(&mut publisher, &gb(), AHEAD).unwrap();
        home.store.accept(&[1; 32], &[unit(2)], NOW).unwrap();
        let prepared = draft(&home.store, &gb(), AHEAD + 60);
        let prepared = home.store.prepare(&prepared).unwrap();
        if signed {
            let batch = prepared.batch().unwrap();
            publisher
                .signer
                .sign(&batch, &prepared.inner, None)
                .unwrap();
        }
        disown(&mut publisher, 2, Some(&first));
        assert_eq!(home.store.prepared(&gb()).unwrap(), None);
        drop(publisher);
        let mut publisher = home.publisher();
        let again = close(&mut publisher, &gb(), NOW + 5).unwrap();
        assert_eq!((again.epoch, again.seq), (2, 2));
        assert_eq!(said(&home.store, &again, 2), Some((5, NOW + 5)));
        assert_eq!(home.store.faults().unwrap(), Vec::<String>::new());
    }
}

#[test]
fn a_feed_is_disowned_again_and_further_back() {
    let home = Home::new();
    let mut publisher = home.publisher();
    let first = close(&mut publisher, &gb(), NOW).unwrap();
    let second = close(&mut publisher, &gb(), NOW + 10).unwrap();
    home.store.accept(&[1; 32], &[unit(1)], NOW + 10).unwrap();
    close(&mut publisher, &gb(), AHEAD).unwrap();
    disown(&mut publisher, 2, Some(&second));
    let third = close(&mut publisher, &gb(), NOW + 20).unwrap();
    close(&mut publisher, &gb(), AHEAD).unwrap();
    assert_eq!(disown(&mut publisher, 3, Some(&third)).batches, 1);
    let fourth = close(&mut publisher, &gb(), NOW + 30).unwrap();
    assert_eq!(
        (fourth.epoch, fourth.seq, fourth.prev),
        (3, 4, Some(third.id()))
    );
    assert_eq!(fourth.parts.len(), 0, "it was said by the third");
    // What was true until now is disowned with the rest.
    assert_eq!(disown(&mut publisher, 4, Some(&first)).batches, 3);
    let again = close(&mut publisher, &gb(), NOW + 40).unwrap();
    assert_eq!(
        (again.epoch, again.seq, again.prev),
        (4, 2, Some(first.id()))
    );
    assert_eq!(said(&home.store, &again, 1), Some((5, NOW + 40)));
    assert_eq!(home.store.faults().unwrap(), Vec::<String>::new());
    drop(publisher);
    home.publisher();
}

#[test]
fn the_anchored_batch_may_be_deleted_already() {
    let home = Home::new();
    let mut publisher = home.publisher();
    close(&mut publisher, &gb(), NOW).unwrap();
    let second = close(&mut publisher, &gb(), NOW + 10).unwrap();
    home.store.accept(&[1; 32], &[unit(1)], NOW + 10).unwrap();
    close(&mut publisher, &gb(), AHEAD).unwrap();
    // A wrong clock deletes, too.
    let policy = RetainPolicy {
        before: NOW + 100,
        ..RetainPolicy::KEEP_ALL
    };
    home.store.prune(policy).unwrap();
    assert_eq!(home.store.row(&feed(), 2).unwrap(), None);
    disown(&mut publisher, 2, Some(&second));
    assert_eq!(home.head(), None);
    drop(publisher);
    let mut publisher = home.publisher();
    assert!(publisher.due(&gb()).unwrap() < NOW, "at once");
    let again = close(&mut publisher, &gb(), NOW + 20).unwrap();
    assert_eq!((again.seq, again.prev), (3, Some(second.id())));
    assert_eq!(said(&home.store, &again, 1), Some((5, NOW + 20)));
    assert_eq!(home.store.faults().unwrap(), Vec::<String>::new());
}

#[test]
fn a_descriptor_that_a_relay_brought_is_acted_on_at_start() {
    let home = Home::new();
    let mut publisher = home.publisher();
    home.store.accept(&[1; 32], &[unit(1)], NOW).unwrap();
    close(&mut publisher, &gb(), AHEAD).unwrap();
    drop(publisher);
    // Or a crash came before the ledger knew: the descriptor is there, and nothing else.
    home.store
        .put_descriptor(&disowning(2, 0, Anchor::BEGINNING))
        .unwrap();
    let mut publisher = home.publisher();
    assert_eq!(home.head(), None);
    let again = close(&mut publisher, &gb(), NOW).unwrap();
    assert_eq!(said(&home.store, &again, 1), Some((5, NOW)));
}

#[test]
fn a_backup_from_before_is_behind_though_it_has_more_batches() {
    let home = Home::new();
    let mut publisher = home.publisher();
    let wrong: Vec<Signed<Batch>> = (0..3)
        .map(|n| close(&mut publisher, &gb(), AHEAD + 60 * n).unwrap())
        .collect();
    disown(&mut publisher, 2, None);
    close(&mut publisher, &gb(), NOW).unwrap();
    drop(publisher);
    let backup = Store::with_backend(InMemoryBackend::new()).unwrap();
    backup.put_descriptor(&signed_descriptor(1, 1)).unwrap();
    for batch in &wrong {
        backup.replicate(batch, &[]).unwrap();
    }
    let restored = Home {
        store: backup.clone(),
        ..home
    };
    let refused = restored.open().unwrap_err();
    assert!(
        matches!(
            refused,
            PublishZoneError::Signer(SignerError::Ahead {
                signed: 1,
                head: 3,
                ..
            })
        ),
        "{refused:?}"
    );
}

#[test]
fn a_relay_is_ahead_by_epoch_and_number_and_never_with_what_is_disowned() {
    let home = Home::new();
    let mut publisher = home.publisher();
    let first = close(&mut publisher, &gb(), NOW).unwrap();
    close(&mut publisher, &gb(), AHEAD).unwrap();
    let ahead = |publisher: &Publisher, order: (u64, u64)| {
        let fence = BTreeMap::from([(gb(), order)]);
        task::check_seen(publisher, &gb(), &fence).is_err()
    };
    assert!(ahead(&publisher, (1, 3)));
    assert!(!ahead(&publisher, (1, 2)));
    disown(&mut publisher, 2, Some(&first));
    assert!(!ahead(&publisher, (1, 3)), "it has not heard yet");
    assert!(ahead(&publisher, (2, 2)));
    close(&mut publisher, &gb(), NOW + 10).unwrap();
    assert!(!ahead(&publisher, (2, 2)));
    assert!(ahead(&publisher, (2, 3)));
    assert!(ahead(&publisher, (3, 1)));
}

#[test]
fn what_came_back_and_nobody_submitted_here_is_not_published_again() {
    let home = Home::new();
    let mut publisher = home.publisher();
    let first = close(&mut publisher, &gb(), NOW).unwrap();
    // A copy of this provider, or a thief of its key, publishes a seed; a relay brings it.
    let other = Home::new();
    other.store.replicate(&first, &[]).unwrap();
    other.store.accept(&[1; 32], &[unit(7)], NOW).unwrap();
    let draft = draft(&other.store, &gb(), AHEAD);
    let stolen = Signed::sign(&draft.batch, &key(3)).unwrap();
    home.store.replicate(&stolen, &draft.blocks).unwrap();
    drop(publisher);
    publisher = home.publisher();
    disown(&mut publisher, 2, Some(&first));
    let next = close(&mut publisher, &gb(), NOW + 10).unwrap();
    assert!(next.parts.is_empty(), "{next:?}");
    // Its patient may submit it here.
    home.store.accept(&[1; 32], &[unit(7)], NOW + 20).unwrap();
    let next = close(&mut publisher, &gb(), NOW + 20).unwrap();
    assert_eq!(said(&home.store, &next, 7), Some((5, NOW + 20)));
    assert_eq!(home.store.faults().unwrap(), Vec::<String>::new());
}
