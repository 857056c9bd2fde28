use super::fixture::{DAY, NOW, foreign, gb, public, publish, signed_descriptor, unit};
use super::*;
use bellwether_formats::batch::Batch;
use bellwether_formats::id::FeedId;
use bellwether_formats::signed::Signed;
use redb::ReadableTable;

const ALL: u64 = u64::MAX;

/// A relay with `n` batches of provider 2, a day apart, the first at `NOW`.
fn relay(n: u32) -> (Store, Vec<Signed<Batch>>) {
    let store = memory();
    store.put_descriptor(&signed_descriptor(2, 1)).unwrap();
    let mut batches: Vec<Signed<Batch>> = Vec::new();
    for i in 0..n {
        let (batch, block) = foreign(batches.last(), i, NOW + u64::from(i) * DAY);
        store.replicate(&batch, &[block]).unwrap();
        batches.push(batch);
    }
    (store, batches)
}

fn seqs(store: &Store) -> Vec<u64> {
    let feed = FeedId {
        provider: public(2),
        zone: gb(),
    };
    let rows = store.rows_after(&feed, 0, usize::MAX).unwrap();
    rows.iter().map(|row| row.seq).collect()
}

fn prune(store: &Store, before: u64, max_bytes: u64) -> Pruned {
    let policy = RetainPolicy {
        before,
        max_bytes,
        loose_before: u64::MAX,
        fetching_since: u64::MAX,
    };
    let pruned = store.prune(policy).unwrap();
    assert_eq!(store.faults().unwrap(), Vec::<String>::new());
    pruned
}

#[test]
fn batches_go_by_age_and_the_head_stays() {
    let (store, batches) = relay(4);
    assert_eq!(prune(&store, NOW, ALL), Pruned::default());
    let pruned = prune(&store, NOW + 2 * DAY, ALL);
    assert_eq!((pruned.batches, pruned.blocks), (2, 4));
    assert_eq!(seqs(&store), [3, 4]);
    assert_eq!(store.block(&batches[0].cid()).unwrap(), None);
    assert_eq!(prune(&store, u64::MAX, ALL).batches, 1);
    assert_eq!(seqs(&store), [4]);
    assert_eq!(prune(&store, u64::MAX, 0), Pruned::default());
    let desc = batches[3].desc;
    assert!(store.block(&desc).unwrap().is_some(), "the head names it");
}

#[test]
fn batches_go_by_disk_oldest_first_over_all_feeds() {
    let (store, _) = relay(4);
    store.put_descriptor(&signed_descriptor(1, 1)).unwrap();
    for i in 0..4 {
        publish(&store, &gb(), NOW + i * DAY + 60);
    }
    let own = FeedId {
        provider: public(1),
        zone: gb(),
    };
    let left = |used| {
        prune(&store, 0, used);
        let own = store.rows_after(&own, 0, 10).unwrap().len();
        (seqs(&store).len(), own)
    };
    let used = || -> u64 {
        let tx = store.read().unwrap();
        let table = tx.open_table(BLOCKS).unwrap();
        let lens = table.iter().unwrap().map(|e| e.unwrap().1.value().len());
        u64::try_from(lens.sum::<usize>()).unwrap()
    };
    assert_eq!(left(used()), (4, 4));
    assert_eq!(left(used() - 1), (3, 4));
    assert_eq!(left(used() - 1), (3, 3));
    assert_eq!(left(0), (1, 1));
}

#[test]
fn what_is_deleted_for_want_of_room_alone_is_remembered() {
    let (store, batches) = relay(5);
    let feed = batches[0].feed();
    let cut = || store.cut(&feed).unwrap();
    // For its age.
    prune(&store, NOW + DAY, ALL);
    assert_eq!((seqs(&store), cut()), (vec![2, 3, 4, 5], None));
    let used = store.used_bytes().unwrap();
    prune(&store, NOW + 2 * DAY, used - 1);
    assert_eq!((seqs(&store), cut()), (vec![3, 4, 5], None));
    // For want of room, the newest of them.
    prune(&store, NOW + 2 * DAY, 0);
    let published_at = NOW + 3 * DAY;
    let last = Cut {
        seq: 4,
        published_at,
    };
    assert_eq!((seqs(&store), cut()), (vec![5], Some(last)));
    prune(&store, u64::MAX, 0);
    assert_eq!(cut(), Some(last));
}

#[test]
fn what_was_cut_is_missed_until_its_age_or_until_it_is_here_again() {
    let cut = Cut {
        seq: 4,
        published_at: NOW,
    };
    let until = NOW + 15 * DAY;
    let missed = |oldest, now| cut.missed_until(oldest, 15 * DAY, now);
    assert_eq!(missed(Some(5), until - 1), Some(until));
    assert_eq!(missed(None, until - 1), Some(until));
    assert_eq!(missed(Some(5), until), None);
    assert_eq!(missed(Some(4), NOW), None);
}

#[test]
fn a_block_of_two_batches_stays_as_long_as_one_of_them() {
    let store = memory();
    store.put_descriptor(&signed_descriptor(2, 1)).unwrap();
    let (one, block) = foreign(None, 7, NOW);
    let (two, _) = foreign(Some(&one), 7, NOW + DAY);
    let (three, last) = foreign(Some(&two), 8, NOW + 2 * DAY);
    store.replicate(&one, std::slice::from_ref(&block)).unwrap();
    store.replicate(&two, &[]).unwrap();
    store.replicate(&three, &[last]).unwrap();
    assert_eq!(prune(&store, NOW + DAY, ALL).blocks, 1);
    assert!(store.block(&block.cid()).unwrap().is_some());
    assert_eq!(prune(&store, NOW + 2 * DAY, ALL).blocks, 2);
    assert_eq!(store.block(&block.cid()).unwrap(), None);
}

#[test]
fn what_nothing_names_goes_first() {
    let (store, batches) = relay(3);
    let own = signed_descriptor(1, 1);
    store.put_descriptor(&own).unwrap();
    fixture::issue(&store, &gb(), &[1]);
    store.accept(&[1; 32], &[unit(1)], NOW).unwrap();
    store.prepare(&fixture::draft(&store, &gb(), NOW)).unwrap();
    store.put_descriptor(&signed_descriptor(1, 2)).unwrap();
    let feed = batches[0].feed();
    store.truncate(&feed, 2).unwrap();
    let pruned = prune(&store, 0, ALL);
    assert_eq!(
        (pruned.batches, pruned.blocks),
        (0, 2),
        "batch 3 and its body"
    );
    assert!(
        store.block(&own.cid()).unwrap().is_some(),
        "what is prepared names it"
    );
    store.discard(&gb(), 1).unwrap();
    assert_eq!(prune(&store, 0, ALL).blocks, 1);

    let (other, _) = foreign(Some(&batches[0]), 9, NOW + DAY);
    store.put_fork(&batches[1], &other).unwrap();
    assert_eq!(prune(&store, 0, ALL).blocks, 0, "a proof stays");
}
