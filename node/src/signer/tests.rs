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
        Signer::adopt(self.place(), &BTreeMap::from([(gb(), end(seq, None))]))
    }

    fn ledger(&self) -> PathBuf {
        self.signer.join(format!("{}.json", public(1)))
    }

    fn faults(&self, seq: u64) -> usize {
        let ends = || Ok::<_, ()>(BTreeMap::from([(gb(), end(seq, None))]));
        faults(self.place(), ends).unwrap().len()
    }

    /// Puts a copy of the store in its place, as a restore does.
    fn restore(&self) {
        let bytes = fs::read(&self.store).unwrap();
        fs::remove_file(&self.store).unwrap();
        fs::write(&self.store, bytes).unwrap();
    }
}

/// End of a store, in epoch 1.
fn end(seq: u64, id: Option<ObjectId>) -> End {
    End {
        epoch: 1,
        seq,
        id,
        anchor: None,
    }
}

/// A batch of an epoch, as far as the signer looks.
fn batch(epoch: u64, seq: u64) -> Batch {
    let batch = Batch::clone(&foreign(None, 1, 1_800_000_000).0);
    Batch {
        zone: gb(),
        key: public(3),
        epoch,
        seq,
        ..batch
    }
}

fn sign(signer: &mut Signer, seq: u64, inner: &[u8]) -> Result<Vec<u8>, SignerError> {
    signer.sign(&batch(1, seq), inner, None)
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
    let other = Batch {
        zone: zone("fr"),
        ..batch(1, 1)
    };
    signer.sign(&other, b"one", None).unwrap();
    assert_eq!(signer.last(&gb()).unwrap().0, 9);
    let keyless = Batch {
        key: public(4),
        ..batch(1, 10)
    };
    assert!(matches!(
        signer.sign(&keyless, b"ten", None),
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
    let format = good.replace("\"format\": 2", "\"format\": 1");
    let field = good.replace("\"format\": 2", "\"format\": 2, \"more\": 1");
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
fn a_store_with_another_batch_in_its_place_is_found() {
    let home = Home::new();
    sign(&mut home.open(false).unwrap(), 3, b"three").unwrap();
    for (id, seq, found) in [
        (b"three".as_slice(), 3, 0),
        (b"other", 3, 1),
        (b"other", 4, 0),
    ] {
        let ends = BTreeMap::from([(gb(), end(seq, Some(ObjectId::of(id))))]);
        let faults = faults(home.place(), || Ok::<_, ()>(ends.clone())).unwrap();
        assert_eq!(faults.len(), found, "{faults:?}");
        assert_eq!(Signer::adopt(home.place(), &ends).is_err(), found > 0);
    }
}

/// An anchor of epoch 2 on batch `seq`.
fn anchor(seq: u64, id: &[u8]) -> Anchor {
    let id = if seq == 0 {
        Anchor::BEGINNING
    } else {
        ObjectId::of(id)
    };
    Anchor {
        zone: gb(),
        epoch: 2,
        seq,
        id,
    }
}

#[test]
fn a_disowned_number_is_signed_anew_in_the_anchors_epoch_and_no_earlier_one() {
    for (seq, id) in [(3, b"three".as_slice()), (0, b"")] {
        let home = Home::new();
        let mut signer = home.open(false).unwrap();
        sign(&mut signer, 3, b"three").unwrap();
        sign(&mut signer, 9, b"nine").unwrap();
        let anchor = anchor(seq, id);
        let mut sign = |epoch, seq, inner: &[u8]| {
            signer
                .sign(&batch(epoch, seq), inner, Some(&anchor))
                .map(drop)
        };
        for (epoch, number, inner) in [
            (1, seq + 1, b"again".as_slice()),
            (1, 9, b"nine"),
            (1, 10, b"ten"),
            (2, seq, b"anchored"),
        ] {
            assert!(
                matches!(sign(epoch, number, inner), Err(SignerError::Used { .. })),
                "{epoch} {number}"
            );
        }
        sign(2, seq + 1, b"again").unwrap();
        sign(2, seq + 1, b"again").unwrap();
        assert!(sign(2, seq + 1, b"other").is_err(), "once in each epoch");
        // The ledger remembers, with the anchor and without.
        drop(signer);
        let mut signer = home.open(true).unwrap();
        for anchor in [None, Some(&anchor)] {
            for (epoch, number, inner) in [
                (1, 9, b"nine".as_slice()),
                (1, 10, b"ten"),
                (2, seq + 1, b"other"),
            ] {
                let refused = signer.sign(&batch(epoch, number), inner, anchor);
                assert!(matches!(refused, Err(SignerError::Used { .. })), "{number}");
            }
        }
        signer
            .sign(&batch(3, seq + 2), b"more", Some(&anchor))
            .unwrap();
    }
}

#[test]
fn without_its_anchor_a_later_epoch_frees_no_number() {
    let home = Home::new();
    let mut signer = home.open(false).unwrap();
    sign(&mut signer, 9, b"nine").unwrap();
    let old = Anchor {
        epoch: 1,
        ..anchor(3, b"three")
    };
    for anchor in [None, Some(&old)] {
        assert!(signer.sign(&batch(2, 4), b"four", anchor).is_err());
        assert!(signer.sign(&batch(2, 9), b"other", anchor).is_err());
    }
    signer.sign(&batch(2, 10), b"ten", None).unwrap();
}

#[test]
fn a_store_is_compared_by_epoch_and_number() {
    let home = Home::new();
    let mut signer = home.open(false).unwrap();
    sign(&mut signer, 9, b"nine").unwrap();
    let anchor = anchor(3, b"three");
    let faults = |newest: Option<End>, anchor: Option<&Anchor>| {
        let end = End::of(newest, anchor.cloned());
        let ends = BTreeMap::from([(gb(), end)]);
        faults(home.place(), || Ok::<_, ()>(ends.clone()))
            .unwrap()
            .len()
    };
    let at = |epoch, seq, id: &[u8]| {
        Some(End {
            epoch,
            ..end(seq, Some(ObjectId::of(id)))
        })
    };
    // The anchor is held, and nothing was signed after it yet.
    assert_eq!(faults(at(1, 3, b"three"), Some(&anchor)), 0);
    assert_eq!(
        faults(None, Some(&anchor)),
        0,
        "the anchored batch is deleted by now"
    );
    assert_eq!(
        faults(at(1, 2, b"two"), Some(&anchor)),
        1,
        "it is not here yet"
    );
    assert_eq!(
        faults(at(1, 9, b"nine"), Some(&anchor)),
        1,
        "nobody acted on it"
    );
    assert_eq!(faults(at(2, 4, b"four"), Some(&anchor)), 0);
    signer.sign(&batch(2, 4), b"four", Some(&anchor)).unwrap();
    drop(signer);
    // A backup from before has more batches, of an earlier epoch: it is behind all the same.
    assert_eq!(faults(at(1, 9, b"nine"), None), 1);
    assert_eq!(faults(at(1, 30, b"thirty"), None), 1);
    assert_eq!(faults(at(1, 3, b"three"), Some(&anchor)), 1);
    assert_eq!(faults(at(2, 4, b"four"), Some(&anchor)), 0);
    assert_eq!(faults(at(2, 4, b"other"), Some(&anchor)), 1);
    assert_eq!(faults(at(2, 5, b"five"), Some(&anchor)), 0);
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
