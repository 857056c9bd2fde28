//! The store as a file, and what its parts promise.

use std::fs;

use redb::backends::InMemoryBackend;

use super::*;

mod accept;
mod check;
mod codes;
mod expire;
pub(crate) mod fixture;
mod migrate;
mod modes;
mod prune;
mod publish;
mod refs;
mod replicate;
mod returned;
mod staged;
mod submit;
pub(crate) mod units;

fn memory() -> Store {
    Store::with_backend(InMemoryBackend::new()).unwrap()
}

#[test]
fn a_store_appears_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    // A draft that a crash left behind is nobody's store.
    fs::write(dir.path().join("store.new"), b"half").unwrap();
    assert!(Store::open(&path).is_err());
    let store = Store::create(&path).unwrap();
    store.set_meta("name", b"value").unwrap();
    assert!(!dir.path().join("store.new").exists());
    drop(store);

    assert!(matches!(
        Store::create(&path),
        Err(StoreError::Exists { .. })
    ));
    let store = Store::open(&path).unwrap();
    assert_eq!(store.meta("name").unwrap(), Some(b"value".to_vec()));
    assert_eq!(store.meta("other").unwrap(), None);
    assert!(matches!(Store::open(&path), Err(StoreError::Locked)));
}

#[test]
fn another_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    for (format, expected) in [(vec![3], 3), (vec![], 0), (vec![1, 1], 0)] {
        let _ = fs::remove_file(&path);
        let store = Store::create(&path).unwrap();
        store.set_meta("format", &format).unwrap();
        drop(store);
        match Store::open(&path) {
            Err(StoreError::Format { found }) => assert_eq!(found, expected),
            other => panic!("{format:?}: {other:?}"),
        }
    }
}

#[test]
fn a_file_that_is_no_store_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    drop(Database::create(&path).unwrap());
    let result = Store::open(&path);
    assert!(
        matches!(result, Err(StoreError::Format { found: 0 })),
        "{result:?}"
    );
    drop(result);
    let db = Database::open(&path).unwrap();
    let tables = db.begin_read().unwrap().list_tables().unwrap().count();
    assert_eq!(tables, 0);

    fs::write(dir.path().join("text"), b"not a database").unwrap();
    assert!(Store::open(&dir.path().join("text")).is_err());
}

#[test]
fn a_prefix_ends_before_whatever_follows_it() {
    for (prefix, end) in [
        (&b"ab"[..], &b"ac"[..]),
        (b"a\xff", b"b"),
        (b"a\x00", b"a\x01"),
        (b"\xff\xff", b""),
    ] {
        assert_eq!(prefix_end(prefix), end);
    }
}
