//! The blocks of what is being prepared.

use bellwether_formats::cid::{Block, Codec};
use bellwether_formats::id::{Level, Zone};
use bellwether_formats::signed::Signed;
use redb::ReadableTableMetadata;

use super::fixture::zone;
use super::fixture::{DAY, NOW, draft, gb, issue, key, publish, sealed_unit, signed_descriptor};
use super::*;

fn provider() -> Store {
    let store = memory();
    store.put_descriptor(&signed_descriptor(1, 1)).unwrap();
    for (zone, code) in [(gb(), 1), (zone("gb/sct"), 2)] {
        issue(&store, &zone, &[code]);
        let units = [sealed_unit(code.into())];
        store.accept(&[code; 32], &units, NOW).unwrap();
    }
    store
}

fn staged(store: &Store) -> u64 {
    store
        .read()
        .unwrap()
        .open_table(STAGED)
        .unwrap()
        .len()
        .unwrap()
}

fn raw(byte: u8) -> Block {
    Block::of(Codec::Raw, vec![byte; 10]).unwrap()
}

/// A draft as the publisher makes it: its blocks are staged before it is prepared.
fn stage(store: &Store, zone: &Zone) -> Draft {
    let mut draft = draft(store, zone, NOW);
    for blocks in std::mem::take(&mut draft.blocks).chunks(7) {
        store.stage(zone, blocks).unwrap();
    }
    draft
}

#[test]
fn blocks_are_staged_and_appear_with_their_batch() {
    let store = provider();
    // Of an attempt that failed.
    store.stage(&gb(), &[raw(1), raw(2)]).unwrap();
    store.unstage(&gb()).unwrap();
    assert_eq!(staged(&store), 0);
    // Of another that nobody cleared, and of another zone.
    store.stage(&gb(), &[raw(1)]).unwrap();
    store.stage(&zone("gb/sct"), &[raw(3)]).unwrap();
    let draft = stage(&store, &gb());
    store.prepare(&draft).unwrap();
    assert_eq!(staged(&store), 64 + 2 + 1);
    assert_eq!(store.faults().unwrap(), Vec::<String>::new());
    // From now on they are fixed; nobody sees them, and pruning leaves them alone.
    assert!(matches!(
        store.stage(&gb(), &[raw(4)]),
        Err(PublishError::Prepared)
    ));
    assert!(matches!(store.unstage(&gb()), Err(PublishError::Prepared)));
    let links = draft.batch.links();
    assert_eq!(store.lacking(&links).unwrap(), links);
    let everything = RetainPolicy {
        before: u64::MAX,
        max_bytes: 0,
        loose_before: u64::MAX,
        fetching_since: u64::MAX,
    };
    store.prune(everything).unwrap();
    assert_eq!(staged(&store), 64 + 2 + 1);
    let batch = Signed::sign(&draft.batch, &key(3)).unwrap();
    store.publish(&batch).unwrap();
    assert_eq!(store.lacking(&links).unwrap(), []);
    assert_eq!(staged(&store), 1, "the other zone's");
    assert_eq!(store.faults().unwrap(), Vec::<String>::new());
    store.prune(everything).unwrap();
    assert_eq!(store.lacking(&links).unwrap(), [], "it is the head");
    assert_eq!(store.faults().unwrap(), Vec::<String>::new());
}

#[test]
fn what_lacks_a_block_is_not_prepared() {
    let store = provider();
    let whole = draft(&store, &gb(), NOW);
    for lost in 0..whole.blocks.len() {
        let mut draft = whole.clone();
        draft.blocks.remove(lost);
        let refused = store.prepare(&draft);
        assert!(
            matches!(refused, Err(PublishError::Missing { .. })),
            "{lost}"
        );
        assert_eq!(staged(&store), 0);
    }
    store.prepare(&whole).unwrap();
}

#[test]
fn what_is_dropped_leaves_nothing() {
    let store = provider();
    let draft = stage(&store, &gb());
    store.prepare(&draft).unwrap();
    store.discard(&gb(), 1).unwrap();
    assert_eq!(staged(&store), 0);
    assert_eq!(store.pending(&gb()).unwrap(), 1);
    assert_eq!(store.faults().unwrap(), Vec::<String>::new());
    publish(&store, &gb(), NOW + 1);
    assert_eq!(store.pending(&gb()).unwrap(), 0);
}

#[test]
fn sealed_notifications_of_a_day_are_forgotten_together() {
    let store = provider();
    issue(&store, &gb(), &[3, 4]);
    // NOW lies 8 hours after midnight.
    let midnight = NOW / DAY * DAY;
    publish(&store, &gb(), midnight + 10);
    store.accept(&[3; 32], &[sealed_unit(3)], NOW).unwrap();
    publish(&store, &gb(), midnight + 3600);
    store.accept(&[4; 32], &[sealed_unit(4)], NOW).unwrap();
    publish(&store, &gb(), midnight + DAY);
    let left = |store: &Store| {
        assert_eq!(store.faults().unwrap(), Vec::<String>::new());
        let ranges = store.ranges(&gb()).unwrap();
        let notes = store.sealed_notes(&gb(), 1, 9).unwrap();
        (notes.len(), ranges.len())
    };
    assert_eq!(left(&store), (3, 3));
    store.expire(midnight + DAY - 1).unwrap();
    assert_eq!(left(&store), (3, 3), "the day is not over");
    // A change that has still to be said keeps all of its day.
    store.set_level(&[3; 32], Level::NO_ALERT).unwrap();
    store.expire(midnight + DAY).unwrap();
    assert_eq!(left(&store), (3, 3));
    store.set_level(&[3; 32], Level::DIAGNOSED).unwrap();
    store.expire(midnight + DAY).unwrap();
    assert_eq!(left(&store), (1, 1));
    assert_eq!(store.newest_content(&gb()).unwrap(), Some(3));
    store.expire(midnight + 2 * DAY).unwrap();
    assert_eq!(left(&store), (0, 0));
    assert_eq!(store.newest_content(&gb()).unwrap(), None);
}
