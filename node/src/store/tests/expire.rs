use super::fixture::{DAY, NOW, code, gb, issue, publish, signed_descriptor, unit};
use super::*;
use bellwether_formats::id::Level;
use redb::ReadableTableMetadata;

fn provider() -> Store {
    let store = memory();
    store.put_descriptor(&signed_descriptor(1, 1)).unwrap();
    store
}

fn count(store: &Store, table: TableDefinition<'static, &'static [u8], &'static [u8]>) -> usize {
    let tx = store.read().unwrap();
    let table = tx.open_table(table).unwrap();
    usize::try_from(table.len().unwrap()).unwrap()
}

/// Notes, entries of codes, codes.
fn counts(store: &Store) -> [usize; 3] {
    assert_eq!(store.faults().unwrap(), Vec::<String>::new());
    [NOTES, NOTES_OF_CODE, CODES].map(|table| count(store, table))
}

#[test]
fn notifications_go_with_their_codes_when_their_time_is_over() {
    let store = provider();
    issue(&store, &gb(), &[1]);
    store.accept(&[1; 32], &[unit(1), unit(2)], NOW).unwrap();
    publish(&store, &gb(), NOW + 10);
    assert_eq!(counts(&store), [4, 2, 1], "two of them dummies");
    assert_eq!(store.expire(NOW + 10).unwrap(), 0, "not before its time");
    assert_eq!(counts(&store), [4, 2, 1]);
    assert_eq!(store.expire(NOW + 11).unwrap(), 4);
    assert_eq!(counts(&store), [0, 0, 0]);
    assert_eq!(store.expire(NOW + 11).unwrap(), 0);
}

#[test]
fn what_waits_is_not_forgotten() {
    let store = provider();
    issue(&store, &gb(), &[1, 2]);
    store.accept(&[1; 32], &[unit(1)], NOW).unwrap();
    publish(&store, &gb(), NOW);
    store.accept(&[2; 32], &[unit(2)], NOW).unwrap();
    store.set_level(&[1; 32], Level::NO_ALERT).unwrap();
    let late = NOW + 100 * DAY;
    assert_eq!(store.expire(late).unwrap(), 3, "the dummies");
    assert_eq!(counts(&store), [2, 2, 2]);
    publish(&store, &gb(), NOW + 5);
    assert_eq!(
        store.expire(NOW + 1).unwrap(),
        1,
        "the first one's time is over"
    );
    assert_eq!(store.expire(late).unwrap(), 3);
    assert_eq!(counts(&store), [0, 0, 0]);
}

#[test]
fn what_was_revoked_before_it_was_published_goes_by_its_acceptance() {
    let store = provider();
    issue(&store, &gb(), &[1]);
    store.accept(&[1; 32], &[unit(1)], NOW).unwrap();
    store.set_level(&[1; 32], Level::NO_ALERT).unwrap();
    assert_eq!(store.expire(NOW).unwrap(), 0);
    store.set_level(&[1; 32], Level::DIAGNOSED).unwrap();
    assert_eq!(store.pending(&gb()).unwrap(), 1, "it can come back");
    store.set_level(&[1; 32], Level::NO_ALERT).unwrap();
    assert_eq!(store.expire(NOW + 1).unwrap(), 1);
    assert_eq!(counts(&store), [0, 0, 0]);
}

#[test]
fn codes_that_nobody_used_go_after_their_validity() {
    let store = provider();
    issue(&store, &gb(), &[1]);
    assert_eq!(store.expire(NOW + DAY).unwrap(), 0);
    assert_eq!(counts(&store), [0, 0, 1]);
    assert_eq!(store.expire(NOW + DAY + 1).unwrap(), 0);
    assert_eq!(counts(&store), [0, 0, 0]);
}

#[test]
fn an_old_seed_is_not_published_as_a_new_one() {
    let store = provider();
    let mut long = code(1, &gb(), Level::DIAGNOSED);
    long.expires_at = NOW + 90 * DAY;
    store.issue_codes(&[long], NOW).unwrap();
    store.accept(&[1; 32], &[unit(1)], NOW).unwrap();
    publish(&store, &gb(), NOW);
    store
        .accept(&[1; 32], &[unit(1), unit(2)], NOW + 10 * DAY)
        .unwrap();
    publish(&store, &gb(), NOW + 10 * DAY);
    store.expire(NOW + DAY).unwrap();
    assert_eq!(counts(&store), [4, 2, 1]);
    let again = store.accept(&[1; 32], &[unit(1), unit(2)], NOW + 15 * DAY);
    assert_eq!(again.unwrap().known, 2);
    assert_eq!(store.pending(&gb()).unwrap(), 0);
}
