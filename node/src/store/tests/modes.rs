//! A notification keeps the mode of its first acceptance, whatever happens afterwards.

use bellwether_formats::batch::{Batch, Part};
use bellwether_formats::id::{Level, Zone};
use bellwether_formats::signed::Signed;
use ciborium::Value;

use super::fixture::{DAY, NOW, draft, gb, issue, key, publish, sealed_unit, signed_descriptor};
use super::fixture::{unit, zone};
use super::*;

fn provider() -> Store {
    let store = memory();
    store.put_descriptor(&signed_descriptor(1, 1)).unwrap();
    issue(&store, &gb(), &[1, 3, 5]);
    issue(&store, &zone("fr"), &[2, 4, 6]);
    store
}

/// A unit that comes for a zone which is published in a mode.
fn unit_for(which: u32, mode: Mode) -> SubmittedUnit {
    match mode {
        Mode::Open => unit(which),
        Mode::Sealed => sealed_unit(which),
    }
}

const BOTH: [(Mode, Mode); 2] = [(Mode::Open, Mode::Sealed), (Mode::Sealed, Mode::Open)];

fn modes(batch: &Batch) -> Vec<Mode> {
    let modes = batch.parts.iter().map(|part| match part {
        Part::Open(_) => Mode::Open,
        Part::Sealed(_) => Mode::Sealed,
        Part::Unknown(_) => panic!("{part:?}"),
    });
    modes.collect()
}

/// Publishes a zone and says in which modes.
fn published(store: &Store, zone: &Zone, at: u64) -> Vec<Mode> {
    let batch = publish(store, zone, at);
    assert_eq!(store.faults().unwrap(), Vec::<String>::new());
    modes(&batch)
}

#[test]
fn the_first_zone_decides_for_all() {
    for (first, other) in BOTH {
        let store = provider();
        store.accept(&[1; 32], &[unit_for(1, first)], NOW).unwrap();
        store.accept(&[2; 32], &[unit_for(1, other)], NOW).unwrap();
        assert_eq!(published(&store, &zone("fr"), NOW + 1), [first]);
        assert_eq!(published(&store, &gb(), NOW + 1), [first]);
        // And for nothing else.
        store.accept(&[4; 32], &[unit_for(2, other)], NOW).unwrap();
        assert_eq!(published(&store, &zone("fr"), NOW + 2), [other]);
    }
}

#[test]
fn a_zone_whose_configuration_changed_keeps_what_it_had() {
    for (first, other) in BOTH {
        let store = provider();
        store.accept(&[1; 32], &[unit_for(1, first)], NOW).unwrap();
        // The zone is now configured the other way; the phone reports again, with a new seed too.
        let units = [unit_for(1, other), unit_for(2, other)];
        store.accept(&[3; 32], &units, NOW).unwrap();
        let mut both = published(&store, &gb(), NOW + 1);
        both.sort_by_key(|mode| *mode == Mode::Sealed);
        assert_eq!(both, [Mode::Open, Mode::Sealed]);
        let notes = store.pending_notes(&gb(), 10, u64::MAX).unwrap();
        assert_eq!(notes, []);
    }
}

#[test]
fn a_mode_outlives_its_notification() {
    for (first, other) in BOTH {
        let store = provider();
        store.accept(&[1; 32], &[unit_for(1, first)], NOW).unwrap();
        publish(&store, &gb(), NOW + 1);
        assert!(store.expire(NOW + 3 * DAY).unwrap() > 0);
        assert_eq!(store.codes().unwrap().len(), 0);
        issue(&store, &gb(), &[7]);
        issue(&store, &zone("fr"), &[8]);
        store.accept(&[7; 32], &[unit_for(1, other)], NOW).unwrap();
        store.accept(&[8; 32], &[unit_for(1, other)], NOW).unwrap();
        assert_eq!(published(&store, &gb(), NOW + 4 * DAY), [first]);
        assert_eq!(published(&store, &zone("fr"), NOW + 4 * DAY), [first]);
    }
}

#[test]
fn a_level_changes_no_mode() {
    for (first, other) in BOTH {
        let store = provider();
        store.accept(&[1; 32], &[unit_for(1, first)], NOW).unwrap();
        publish(&store, &gb(), NOW + 1);
        store.accept(&[2; 32], &[unit_for(1, other)], NOW).unwrap();
        store.accept(&[3; 32], &[unit_for(1, other)], NOW).unwrap();
        // The code that was issued last speaks.
        store.set_level(&[2; 32], Level::SYMPTOMATIC).unwrap();
        let again = match first {
            Mode::Open => vec![Mode::Open],
            // It is said in a revision of batch 1, and nowhere else.
            Mode::Sealed => vec![],
        };
        assert_eq!(published(&store, &gb(), NOW + 2), again);
        let revised: Vec<u64> = store.to_revise(&gb()).unwrap().into_iter().collect();
        assert_eq!(
            revised,
            if first == Mode::Sealed {
                vec![1]
            } else {
                vec![]
            }
        );
        assert_eq!(published(&store, &zone("fr"), NOW + 2), [first]);
    }
}

#[test]
fn a_notification_that_was_never_published_keeps_its_mode_too() {
    for (first, other) in BOTH {
        let store = provider();
        store.accept(&[1; 32], &[unit_for(1, first)], NOW).unwrap();
        store.set_level(&[1; 32], Level::NO_ALERT).unwrap();
        assert_eq!(published(&store, &gb(), NOW + 1), []);
        store.accept(&[2; 32], &[unit_for(1, other)], NOW).unwrap();
        assert_eq!(published(&store, &zone("fr"), NOW + 1), [first]);
    }
}

/// Strips what the last version's rows did not have.
fn without(row: &[u8], keys: &[&str]) -> Value {
    let mut value: Value = ciborium::from_reader(row).unwrap();
    let map = value.as_map_mut().unwrap();
    map.retain(|(key, _)| !keys.contains(&key.as_text().unwrap()));
    value
}

fn bytes(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

fn rows(tx: &WriteTransaction, table: Table) -> Vec<(Vec<u8>, Vec<u8>)> {
    let table = tx.open_table(table).unwrap();
    let rows = redb::ReadableTable::iter(&table).unwrap().map(|entry| {
        let (key, value) = entry.unwrap();
        (key.value().to_vec(), value.value().to_vec())
    });
    rows.collect()
}

/// Makes a store what the last version would have left.
fn make_old(store: &Store) {
    let tx = store.write().unwrap();
    let set = |table: Table, key: &[u8], value: &Value| {
        let mut table = tx.open_table(table).unwrap();
        table.insert(key, bytes(value).as_slice()).unwrap();
    };
    for (key, note) in rows(&tx, NOTES) {
        set(NOTES, &key, &without(&note, &["mode", "batch"]));
    }
    for (key, prepared) in rows(&tx, PREPARED) {
        let mut prepared = without(&prepared, &["blocks"]);
        let blocks = rows(&tx, STAGED).into_iter();
        let blocks = blocks.map(|(_, block)| Value::Bytes(block)).collect();
        let map = prepared.as_map_mut().unwrap();
        map.push(("blocks".into(), Value::Array(blocks)));
        set(PREPARED, &key, &prepared);
    }
    for (key, batch) in rows(&tx, BATCHES) {
        set(BATCHES, &key, &without(&batch, &["sealed"]));
    }
    for table in [
        STAGED,
        MODES,
        NOTES_OF_BATCH,
        RANGES,
        REFS,
        LOOSE,
        TOTALS,
        UNCHECKED,
        FAULTS,
    ] {
        tx.delete_table(table).unwrap();
    }
    tx.open_table(META)
        .unwrap()
        .insert(b"format".as_slice(), [1].as_slice())
        .unwrap();
    tx.commit().unwrap();
}

#[test]
fn all_of_the_last_version_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let store = Store::create(&path).unwrap();
    store.put_descriptor(&signed_descriptor(1, 1)).unwrap();
    issue(&store, &gb(), &[1, 3]);
    issue(&store, &zone("fr"), &[2]);
    store.accept(&[1; 32], &[unit(1)], NOW).unwrap();
    publish(&store, &gb(), NOW);
    store.accept(&[3; 32], &[unit(2)], NOW).unwrap();
    let prepared = draft(&store, &gb(), NOW + 5);
    store.prepare(&prepared).unwrap();
    let body = prepared.blocks[0].cid();
    make_old(&store);
    drop(store);

    let store = Store::open(&path).unwrap();
    assert_eq!(store.faults().unwrap(), Vec::<String>::new());
    drop(store);
    let store = Store::open(&path).unwrap();
    // What was prepared then is published, with its blocks.
    let batch = Signed::sign(&prepared.batch, &key(3)).unwrap();
    store.publish(&batch).unwrap();
    assert!(store.block(&body).unwrap().is_some());
    // And what was accepted then stays open, in other zones too.
    let units = [sealed_unit(1), sealed_unit(2), sealed_unit(3)];
    store.accept(&[2; 32], &units, NOW).unwrap();
    let mut both = published(&store, &zone("fr"), NOW + 5);
    both.sort_by_key(|mode| *mode == Mode::Sealed);
    assert_eq!(both, [Mode::Open, Mode::Sealed]);
    store.set_level(&[2; 32], Level::DEBUG).unwrap();
    assert_eq!(published(&store, &gb(), NOW + 10), [Mode::Open]);
}
