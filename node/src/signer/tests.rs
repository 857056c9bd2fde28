use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use bellwether_formats::signed::Signed;
use tempfile::TempDir;

use super::*;
use crate::store::tests::fixture::{foreign, gb, key, public, zone};

/// A signer's directory, a store's file, a directory of keys.
struct Home {
    _dir: TempDir,
    signer: PathBuf,
    store: PathBuf,
    keys: PathBuf,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let home = Self {
            signer: path("signer"),
            store: path("store.redb"),
            keys: path("keys"),
            _dir: dir,
        };
        fs::write(&home.store, b"store").unwrap();
        fs::create_dir(&home.keys).unwrap();
        fs::write(home.keys.join("a.key"), "03".repeat(32)).unwrap();
        home
    }

    fn place(&self) -> SignerPlace<'_> {
        SignerPlace {
            dir: &self.signer,
            provider: public(1),
            store: &self.store,
            keys: &self.keys,
        }
    }

    fn open(&self, published: bool) -> Result<Signer, SignerError> {
        Signer::open(self.place(), published)
    }

    fn adopt(&self, seq: u64) -> Result<(), SignerError> {
        Signer::adopt(self.place(), &BTreeMap::from([(gb(), seq)]))
    }

    fn ledger(&self) -> PathBuf {
        self.signer.join(format!("{}.json", public(1)))
    }

    fn faults(&self, seq: u64) -> usize {
        faults(self.place(), &BTreeMap::from([(gb(), seq)])).len()
    }

    /// Puts a copy of the store in its place, as a restore does.
    fn restore(&self) {
        let bytes = fs::read(&self.store).unwrap();
        fs::remove_file(&self.store).unwrap();
        fs::write(&self.store, bytes).unwrap();
    }
}

fn sign(signer: &mut Signer, seq: u64, inner: &[u8]) -> Result<Vec<u8>, SignerError> {
    signer.sign(&gb(), seq, &public(3), inner)
}

#[test]
fn a_number_is_signed_with_one_content() {
    let home = Home::new();
    let mut signer = home.open(false).unwrap();
    assert_eq!(signer.keys().collect::<Vec<_>>(), [public(3)]);
    assert_eq!(signer.last(&gb()), None);
    for life in 0..2 {
        let first = sign(&mut signer, 5, b"five").unwrap();
        assert_eq!(sign(&mut signer, 5, b"five").unwrap(), first, "{life}");
        for (seq, inner) in [(5, b"six!"), (4, b"five"), (4, b"four"), (0, b"zero")] {
            assert!(
                matches!(
                    sign(&mut signer, seq, inner),
                    Err(SignerError::Used { last: 5, .. })
                ),
                "{seq}"
            );
        }
        assert!(signer.may_have_signed(&gb(), 5, &ObjectId::of(b"five")));
        assert!(!signer.may_have_signed(&gb(), 5, &ObjectId::of(b"six!")));
        assert!(!signer.may_have_signed(&gb(), 4, &ObjectId::of(b"five")));
        drop(signer);
        signer = home.open(true).unwrap();
    }
    sign(&mut signer, 9, b"nine").unwrap();
    // Another zone counts for itself.
    signer.sign(&zone("fr"), 1, &public(3), b"one").unwrap();
    assert_eq!(signer.last(&gb()).unwrap().0, 9);
    assert!(matches!(
        signer.sign(&gb(), 10, &public(4), b"ten"),
        Err(SignerError::NoKey { .. })
    ));
    assert_eq!(
        signer.last(&gb()).unwrap().0,
        9,
        "without a key nothing is used up"
    );
}

#[test]
fn what_it_signs_is_a_batch() {
    let home = Home::new();
    let (batch, _) = foreign(None, 1, 1_800_000_000);
    let inner = bellwether_formats::signed::inner_bytes::<Batch>(&batch);
    let envelope = sign(&mut home.open(false).unwrap(), 1, &inner).unwrap();
    let expected = Signed::sign(&*batch, &key(3)).unwrap();
    assert_eq!(envelope, expected.envelope());
}

#[test]
fn a_memory_that_is_gone_or_damaged_is_no_memory() {
    let home = Home::new();
    assert!(matches!(home.open(true), Err(SignerError::Missing { .. })));
    assert_eq!((home.faults(1), home.faults(0)), (1, 0));
    sign(&mut home.open(false).unwrap(), 1, b"one").unwrap();
    assert_eq!(home.faults(1), 0);
    let good = fs::read_to_string(home.ledger()).unwrap();

    let other = good.replace(&public(1).to_string(), &public(2).to_string());
    let cut = &good[..good.len() - 2];
    let format = good.replace("\"format\": 1", "\"format\": 2");
    let field = good.replace("\"format\": 1", "\"format\": 1, \"more\": 1");
    for bad in ["", "{}", "null", cut, &other, &format, &field] {
        fs::write(home.ledger(), bad).unwrap();
        assert!(
            matches!(home.open(true), Err(SignerError::Damaged { .. })),
            "{bad}"
        );
        assert_eq!(home.faults(1), 1, "{bad}");
        assert!(home.adopt(1).is_err(), "{bad}");
    }
    fs::write(home.ledger(), good).unwrap();
    home.open(true).unwrap();
    fs::remove_file(home.ledger()).unwrap();
    assert!(matches!(home.open(true), Err(SignerError::Missing { .. })));
    assert_eq!(home.faults(1), 1);
}

#[test]
fn a_copied_store_is_not_signed_for() {
    let home = Home::new();
    sign(&mut home.open(false).unwrap(), 3, b"three").unwrap();
    home.open(true).unwrap();
    home.restore();
    for published in [false, true] {
        let refused = home.open(published);
        assert!(matches!(refused, Err(SignerError::OtherStore { .. })));
    }
    assert_eq!(home.faults(3), 1);

    // It is behind: what was signed is not in it.
    for seq in 0..3 {
        let refused = home.adopt(seq);
        let expected =
            matches!(refused, Err(SignerError::Ahead { signed: 3, head, .. }) if head == seq);
        assert!(expected, "{refused:?}");
        assert!(home.open(true).is_err());
    }
    home.adopt(3).unwrap();
    let mut signer = home.open(true).unwrap();
    assert_eq!(home.faults(3), 0);
    assert!(sign(&mut signer, 3, b"other").is_err());
    sign(&mut signer, 4, b"four").unwrap();
    assert_eq!(home.faults(3), 1, "the store is behind");
}

#[test]
fn the_store_moved_within_its_disk_is_the_store() {
    let mut home = Home::new();
    home.open(false).unwrap();
    let moved = home.store.with_extension("moved");
    fs::rename(&home.store, &moved).unwrap();
    home.store = moved;
    home.open(true).unwrap();
    fs::remove_file(&home.store).unwrap();
    assert!(matches!(home.open(true), Err(SignerError::Io { .. })));
}

#[test]
fn a_store_without_a_time_of_birth_is_known_by_its_inode() {
    let file = |inode, born_ns| StoreFile { inode, born_ns };
    for (one, other, same) in [
        (file(1, Some(5)), file(1, Some(5)), true),
        (file(1, Some(5)), file(1, Some(6)), false),
        (file(1, Some(5)), file(2, Some(5)), false),
        (file(1, None), file(1, Some(5)), true),
        (file(1, None), file(1, None), true),
        (file(1, None), file(2, None), false),
    ] {
        assert_eq!(one.is(other), same, "{one:?} {other:?}");
        assert_eq!(other.is(one), same);
    }
}

#[test]
fn a_lost_memory_begins_anew_when_a_person_says_so() {
    let home = Home::new();
    home.adopt(7).unwrap();
    sign(&mut home.open(true).unwrap(), 8, b"eight").unwrap();
}

#[test]
fn one_signer_at_a_time() {
    let home = Home::new();
    let signer = home.open(false).unwrap();
    assert!(matches!(home.open(false), Err(SignerError::Locked { .. })));
    assert!(matches!(home.adopt(0), Err(SignerError::Locked { .. })));
    assert_eq!(home.faults(0), 0, "reading needs no lock");
    drop(signer);
    home.open(false).unwrap();
}

#[test]
fn nothing_is_signed_that_could_not_be_noted() {
    let home = Home::new();
    let mut signer = home.open(false).unwrap();
    sign(&mut signer, 1, b"one").unwrap();
    // A directory in the place of the draft: the ledger cannot be replaced.
    let blocker = home.ledger().with_extension("new");
    fs::create_dir(&blocker).unwrap();
    for _ in 0..2 {
        assert!(matches!(
            sign(&mut signer, 2, b"two"),
            Err(SignerError::Io { .. })
        ));
        assert_eq!(signer.last(&gb()).unwrap().0, 1);
    }
    sign(&mut signer, 1, b"one").unwrap();
    fs::remove_dir(&blocker).unwrap();
    sign(&mut signer, 2, b"two").unwrap();
    drop(signer);
    assert_eq!(home.open(true).unwrap().last(&gb()).unwrap().0, 2);
}
