use bellwether_formats::batch::Part;
use redb::ReadableTable;

use super::fixture::{NOW, draft, foreign, gb, publish, signed_descriptor};
use super::refs::{feed, next, part};
use super::*;

/// What the version before did not have.
const NEW: [Table; 5] = [REFS, LOOSE, TOTALS, UNCHECKED, FAULTS];

/// Makes a store what the version before would have written.
fn age(store: &Store) {
    let tx = store.write().unwrap();
    for table in NEW {
        tx.delete_table(table).unwrap();
    }
    tx.open_table(META)
        .unwrap()
        .insert(b"format".as_slice(), [1].as_slice())
        .unwrap();
    tx.commit().unwrap();
}

#[test]
fn a_store_of_the_version_before_is_counted_when_it_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let store = Store::create(&path).unwrap();
    store.put_descriptor(&signed_descriptor(1, 1)).unwrap();
    store.put_descriptor(&signed_descriptor(2, 1)).unwrap();
    publish(&store, &gb(), NOW);
    store.prepare(&draft(&store, &gb(), NOW + 1)).unwrap();
    let (other, block) = foreign(None, 1, NOW);
    store
        .replicate(&other, std::slice::from_ref(&block))
        .unwrap();
    let (fork, _) = foreign(None, 2, NOW);
    store.put_fork(&other, &fork).unwrap();
    store.put_descriptor(&signed_descriptor(1, 2)).unwrap();
    // A sealed part without its chunks: they were not looked for.
    let (sealed, blocks) = part(0);
    let (chunks, links) = blocks.split_at(blocks.len() - 2);
    store.put_blocks(links).unwrap();
    let batch = next(&store, 1, 1, NOW, vec![sealed]);
    assert!(matches!(batch.parts[0], Part::Sealed(_)));
    let filter = links[0].cid();
    store
        .replicate_without(&batch, &[], &[(0, filter)].into())
        .unwrap();
    // A block that nothing names.
    store.put_blocks(&chunks[..1]).unwrap();
    let used = store.used_bytes().unwrap();
    age(&store);
    drop(store);

    let store = Store::open(&path).unwrap();
    assert_eq!(store.faults().unwrap(), Vec::<String>::new());
    assert_eq!(store.used_bytes().unwrap(), used);
    let row = store.head(&feed(1)).unwrap().unwrap().row;
    assert!(!row.sealed()[0].chunks);
    assert!(store.unchecked().unwrap().is_none());
    let policy = RetainPolicy {
        loose_before: u64::MAX,
        fetching_since: u64::MAX,
        ..RetainPolicy::KEEP_ALL
    };
    assert_eq!(store.prune(policy).unwrap().blocks, 1);
    assert_eq!(store.faults().unwrap(), Vec::<String>::new());
    drop(store);
    let store = Store::open(&path).unwrap();
    assert_eq!(store.faults().unwrap(), Vec::<String>::new());
    let tx = store.read().unwrap();
    assert_eq!(tx.open_table(LOOSE).unwrap().iter().unwrap().count(), 0);
}
