//! After a restore: what came back from relays decides modes for good.

use bellwether_formats::batch::{Batch, Part};
use bellwether_formats::id::{FeedId, Zone};
use bellwether_formats::signed::Signed;

use super::fixture::{DAY, NOW, draft, gb, issue, key, public, publish, sealed_unit};
use super::fixture::{signed_descriptor, unit, zone};
use super::*;

/// A provider as a backup left it: codes, and nothing accepted.
fn backup() -> Store {
    let store = memory();
    store.put_descriptor(&signed_descriptor(1, 1)).unwrap();
    issue(&store, &gb(), &[1, 3]);
    issue(&store, &zone("fr"), &[2, 4]);
    store
}

fn fr() -> Zone {
    zone("fr")
}

/// Another copy of the provider published a seed in `fr` after the backup, and a relay gives it
/// back.
fn give_back(to: &Store, seed: SubmittedUnit) {
    let lived = backup();
    lived.accept(&[2; 32], &[seed], NOW).unwrap();
    let draft = draft(&lived, &fr(), NOW);
    let batch = Signed::sign(&draft.batch, &key(3)).unwrap();
    to.put_blocks(&draft.blocks).unwrap();
    let links = batch.links();
    let blocks = draft.blocks.into_iter();
    let blocks: Vec<_> = blocks.filter(|b| links.contains(&b.cid())).collect();
    to.replicate(&batch, &blocks).unwrap();
}

fn settle(store: &Store) -> usize {
    store.settle(&public(1)).unwrap()
}

/// In which modes the next batch of `gb` publishes.
fn published(store: &Store, at: u64) -> Vec<Mode> {
    let batch: Signed<Batch> = publish(store, &gb(), at);
    assert_eq!(store.faults().unwrap(), Vec::<String>::new());
    let modes = batch.parts.iter().map(|part| match part {
        Part::Open(_) => Mode::Open,
        Part::Sealed(_) => Mode::Sealed,
        Part::Unknown(_) => panic!("{part:?}"),
    });
    modes.collect()
}

/// How many sealed batches are looked into for every new seed.
fn looked_into(store: &Store) -> usize {
    let tx = store.read().unwrap();
    let meta = tx.open_table(META).unwrap();
    let all = redb::ReadableTable::iter(&meta).unwrap();
    let keys = all.map(|entry| entry.unwrap().0.value().to_vec());
    keys.filter(|key| key.starts_with(b"returned ")).count()
}

#[test]
fn what_came_back_sealed_is_never_published_open() {
    let store = backup();
    give_back(&store, sealed_unit(1));
    assert_eq!(settle(&store), 1);
    store.accept(&[1; 32], &[unit(1)], NOW + 1).unwrap();
    assert_eq!(published(&store, NOW + 2), [Mode::Sealed]);
    // And nothing else is.
    store.accept(&[3; 32], &[unit(2)], NOW + 3).unwrap();
    assert_eq!(published(&store, NOW + 4), [Mode::Open]);
    assert_eq!(settle(&store), 0);
}

#[test]
fn a_seed_that_was_accepted_before_its_batch_came_back_is_sealed_too() {
    let store = backup();
    store.accept(&[1; 32], &[unit(1), unit(2)], NOW).unwrap();
    give_back(&store, sealed_unit(1));
    assert_eq!(settle(&store), 1);
    let mut both = published(&store, NOW + 2);
    both.sort_by_key(|mode| *mode == Mode::Sealed);
    assert_eq!(both, [Mode::Open, Mode::Sealed]);
    store.accept(&[4; 32], &[unit(1)], NOW + 3).unwrap();
    let sealed = publish(&store, &fr(), NOW + 4);
    assert!(matches!(*sealed.parts, [Part::Sealed(_)]));
}

#[test]
fn what_came_back_open_stays_open() {
    for settled_first in [true, false] {
        let store = backup();
        let accept = |store: &Store| store.accept(&[1; 32], &[sealed_unit(1)], NOW + 1).unwrap();
        if !settled_first {
            accept(&store);
        }
        give_back(&store, unit(1));
        assert_eq!(settle(&store), 1);
        if settled_first {
            accept(&store);
        }
        assert_eq!(published(&store, NOW + 2), [Mode::Open]);
        assert_eq!(looked_into(&store), 0, "an open body tells its seeds once");
    }
}

#[test]
fn without_a_restore_nothing_is_looked_into() {
    let store = backup();
    store.accept(&[2; 32], &[sealed_unit(1)], NOW).unwrap();
    publish(&store, &fr(), NOW);
    assert_eq!(settle(&store), 0);
    assert_eq!(looked_into(&store), 0);
}

#[test]
fn a_batch_that_is_gone_is_looked_into_no_more() {
    let store = backup();
    give_back(&store, sealed_unit(1));
    settle(&store);
    publish(&store, &fr(), NOW + DAY);
    assert_eq!(looked_into(&store), 1);
    let policy = RetainPolicy {
        before: NOW + DAY,
        ..RetainPolicy::KEEP_ALL
    };
    assert_eq!(store.prune(policy).unwrap().batches, 1);
    let feed = FeedId {
        provider: public(1),
        zone: fr(),
    };
    assert!(store.row(&feed, 1).unwrap().is_none());
    store.accept(&[1; 32], &[unit(2)], NOW + 5).unwrap();
    assert_eq!(looked_into(&store), 0);
    assert_eq!(published(&store, NOW + DAY), [Mode::Open]);
}
