use super::fixture::{NOW, foreign, gb, issue, publish, signed_descriptor, unit};
use super::*;
use bellwether_formats::id::Level;
use redb::{ReadableTable, TableHandle};

/// A store in which everything occurs: two feeds, a fork, notes that wait, a prepared batch.
fn full() -> Store {
    let store = memory();
    store.put_descriptor(&signed_descriptor(1, 1)).unwrap();
    store.put_descriptor(&signed_descriptor(2, 1)).unwrap();
    issue(&store, &gb(), &[1]);
    store.accept(&[1; 32], &[unit(1), unit(2)], NOW).unwrap();
    publish(&store, &gb(), NOW);
    publish(&store, &gb(), NOW + 1);
    publish(&store, &gb(), NOW + 2);
    store.set_level(&[1; 32], Level::NO_ALERT).unwrap();
    store
        .prepare(&fixture::draft(&store, &gb(), NOW + 3))
        .unwrap();
    let (one, block) = foreign(None, 1, NOW);
    let (other, _) = foreign(None, 2, NOW);
    store.replicate(&one, &[block]).unwrap();
    store.put_fork(&one, &other).unwrap();
    let (sealed, blocks) = refs::part(0);
    let batch = refs::next(&store, 1, 1, NOW, vec![sealed]);
    store.replicate(&batch, &blocks).unwrap();
    store.put_blocks(&refs::part(7).1[..2]).unwrap();
    store
}

fn rows(store: &Store, table: Table) -> Vec<(Vec<u8>, Vec<u8>)> {
    let tx = store.read().unwrap();
    let table = tx.open_table(table).unwrap();
    let rows = table.iter().unwrap().map(|entry| {
        let (key, value) = entry.unwrap();
        (key.value().to_vec(), value.value().to_vec())
    });
    rows.collect()
}

fn set(store: &Store, table: Table, key: &[u8], value: Option<&[u8]>) {
    let tx = store.write().unwrap();
    match value {
        Some(value) => drop(tx.open_table(table).unwrap().insert(key, value).unwrap()),
        None => drop(tx.open_table(table).unwrap().remove(key).unwrap()),
    }
    tx.commit().unwrap();
}

#[test]
fn a_whole_store_has_no_faults() {
    assert_eq!(full().faults().unwrap(), Vec::<String>::new());
    assert_eq!(memory().faults().unwrap(), Vec::<String>::new());
}

/// The tables of which every row is needed: `CODES` has no row without a note, `NOTES_OF_CODE`
/// entries outlive notes, and without `META`, `DESCRIPTORS`, `FORKS`, `PREPARED` rows a store is
/// another one, and whole.
#[test]
fn every_row_that_is_lost_is_missed() {
    for table in [
        BLOCKS, SIZES, REFS, LOOSE, TOTALS, BATCHES, HEADS, CODES, PENDING,
    ] {
        let store = full();
        let rows = rows(&store, table);
        assert!(!rows.is_empty());
        for (key, value) in rows {
            set(&store, table, &key, None);
            assert_ne!(
                store.faults().unwrap(),
                Vec::<String>::new(),
                "{}",
                table.name()
            );
            set(&store, table, &key, Some(&value));
        }
        assert_eq!(store.faults().unwrap(), Vec::<String>::new());
    }
}

#[test]
fn every_row_that_is_damaged_is_seen() {
    for table in [
        BLOCKS,
        SIZES,
        REFS,
        TOTALS,
        BATCHES,
        HEADS,
        DESCRIPTORS,
        FORKS,
        NOTES,
        PREPARED,
    ] {
        let store = full();
        for (key, value) in rows(&store, table) {
            let mut broken = value.clone();
            broken[0] ^= 0x40;
            set(&store, table, &key, Some(&broken));
            assert_ne!(
                store.faults().unwrap(),
                Vec::<String>::new(),
                "{}",
                table.name()
            );
            set(&store, table, &key, Some(&value[..value.len() - 1]));
            assert_ne!(
                store.faults().unwrap(),
                Vec::<String>::new(),
                "{}",
                table.name()
            );
            set(&store, table, &key, Some(&value));
        }
        assert_eq!(store.faults().unwrap(), Vec::<String>::new());
    }
}

#[test]
fn a_note_that_is_lost_while_it_waits_is_missed() {
    let store = full();
    for (key, value) in rows(&store, NOTES) {
        let note: NoteRow = row(&value).unwrap();
        if note.is_pending() {
            set(&store, NOTES, &key, None);
            assert_ne!(store.faults().unwrap(), Vec::<String>::new());
            set(&store, NOTES, &key, Some(&value));
        }
    }
    set(&store, PENDING, b"gb\0sixteen bytes id", Some(b""));
    assert_ne!(store.faults().unwrap(), Vec::<String>::new());
}

#[test]
fn a_row_that_contradicts_its_envelope_is_seen() {
    let store = full();
    let batches = rows(&store, BATCHES);
    let (key, _) = &batches[0];
    set(&store, BATCHES, key, Some(&batches[1].1));
    assert_ne!(store.faults().unwrap(), Vec::<String>::new());
}
