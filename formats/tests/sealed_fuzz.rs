//! A million broken chunks, indexes, masks and batches each: no panic, and no allocation past its bound.
//!
//! The long run is `cargo test -p bellwether-formats --test all sealed_fuzz:: -- --ignored`: 20 million
//! cases each. It met every rule, allocated nothing for chunks, 183 bytes at most for a mask and
//! 33,660 for an index, and took some minutes.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::collections::BTreeMap;

use crate::common::{DAY, NOW, batch, body, open_part, random, sign};
use crate::counting::allocated;
use bellwether_formats::batch::{Batch, BlockRef, Part, SealedPart, Window};
use bellwether_formats::cid::{Cid, Codec};
use bellwether_formats::error::DecodeError;
use bellwether_formats::id::Scheme;
use bellwether_formats::pir::{Mask, PirError};
use bellwether_formats::sealed::{Chunk, IdHash, Index, LADDER, Place, Plan, SealedError, Shape};
use bellwether_formats::signed::Unverified;

const CASES: u64 = 1_000_000;
const LONG: u64 = 20_000_000;

/// Random numbers, many from one draw.
struct Dice<R>(R);

impl<R: FnMut(&mut [u8])> Dice<R> {
    /// A number below `limit`.
    fn below(&mut self, limit: usize) -> usize {
        let mut bytes = [0; 8];
        (self.0)(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % u64::try_from(limit).unwrap()).unwrap()
    }

    /// Spoils some bytes, or the length; in one of eight cases all of them. Early bytes, which hold
    /// the lengths, more often.
    fn spoil(&mut self, bytes: &mut Vec<u8>) {
        match self.below(16) {
            0 | 1 => (self.0)(bytes),
            2 => bytes.truncate(self.below(bytes.len() + 1)),
            3 => bytes.extend([0; 3]),
            _ => {
                for _ in 0..=self.below(4) {
                    let reach = [4, 64, bytes.len()][self.below(3)].min(bytes.len());
                    if reach > 0 {
                        bytes[self.below(reach)] = u8::try_from(self.below(256)).unwrap();
                    }
                }
            }
        }
    }
}

/// Counts verdicts, so that a run shows that it went everywhere.
#[derive(Default)]
struct Verdicts(BTreeMap<&'static str, u64>);

impl Verdicts {
    fn add(&mut self, rule: &'static str) {
        *self.0.entry(rule).or_default() += 1;
    }

    fn hold(&self, what: &str, most: usize, expected: &[&str], known: &[&str]) {
        println!("{what}: at most {most} bytes allocated; {:?}", self.0);
        for rule in self.0.keys() {
            assert!(*rule == "valid" || known.contains(rule), "no rule `{rule}`");
        }
        for rule in expected {
            assert!(self.0.contains_key(rule), "{what}: never {rule}");
        }
    }
}

fn chunks(cases: u64) {
    let plan = Plan::new(Vec::new()).unwrap();
    let built = (0..).find_map(|seed| plan.part(0, 8, &mut random(seed)).ok());
    let built = built.unwrap();
    let shape = *plan.shape();
    let hash = IdHash::of(Scheme::CX1, &[7; 16], None, b"somebody");
    let (mut dice, mut verdicts) = (Dice(random(1)), Verdicts::default());
    let mut bytes = Vec::new();
    for _ in 0..cases {
        let number = dice.below(shape.chunks());
        bytes.clear();
        bytes.extend_from_slice(built.chunks[number].bytes());
        dice.spoil(&mut bytes);
        let (used, verdict) = allocated(|| {
            let chunk = Chunk::decode(&bytes, &shape, Place::ONLY, number)?;
            let _ = chunk.open(&hash);
            assert!(chunk.tags().count() <= shape.capacity());
            Ok::<_, SealedError>(())
        });
        assert_eq!(used, 0, "reading a chunk allocates nothing");
        verdicts.add(verdict.map_or_else(|error| error.rule(), |()| "valid"));
    }
    let met = [
        "valid",
        "chunk-count",
        "chunk-size",
        "chunk-tail",
        "tag-order",
        "tag-place",
    ];
    verdicts.hold("chunk", 0, &met, SealedError::RULES);
}

fn indexes(cases: u64) {
    let shapes = [LADDER[0], LADDER[5], LADDER[20]].map(|ids| Shape::of(ids).unwrap());
    let indexes = shapes.map(|shape| {
        let cid = |chunk: usize| Cid::of(Codec::Raw, &chunk.to_be_bytes());
        let index = Index::of((0..shape.chunks()).map(cid).collect(), &shape);
        index.unwrap().encode()
    });
    let (mut dice, mut verdicts) = (Dice(random(2)), Verdicts::default());
    let (mut bytes, mut most) = (Vec::new(), 0);
    for case in 0..cases {
        // Of the larger ones few, since they take long to read.
        let of = match case % 64 {
            0 => 2,
            1..8 => 0,
            _ => 1,
        };
        bytes.clear();
        bytes.extend_from_slice(&indexes[of]);
        dice.spoil(&mut bytes);
        let (used, verdict) = allocated(|| Index::decode(&bytes, &shapes[of]));
        // A list that doubles as it grows to its bound, and a CID of 33 bytes each.
        let bound = 4 * shapes[of].chunks() * size_of::<Cid>() + 256;
        assert!(
            used <= bound,
            "{used} bytes for {} chunks",
            shapes[of].chunks()
        );
        most = most.max(used);
        let verdict = verdict.map(|index| assert_eq!(index.encode(), bytes));
        verdicts.add(verdict.map_or_else(|error| error.rule(), |()| "valid"));
    }
    let met = [
        "valid",
        "cid",
        "limit",
        "not-shortest",
        "tag",
        "trailing",
        "truncated",
        "type",
        "value",
    ];
    verdicts.hold("index", most, &met, DecodeError::RULES);
}

fn masks(cases: u64) {
    let (mut dice, mut verdicts) = (Dice(random(3)), Verdicts::default());
    let (mut bytes, mut most) = (Vec::new(), 0);
    for _ in 0..cases {
        let chunks = Shape::of(LADDER[dice.below(21)]).unwrap().chunks();
        bytes.clear();
        bytes.resize(Mask::len_of(chunks), 0);
        dice.spoil(&mut bytes);
        if dice.below(64) == 0 {
            bytes.resize(dice.below(100_000), 0);
        }
        let (used, verdict) = allocated(|| {
            let mask = Mask::decode(&bytes, chunks)?;
            assert!(mask.chosen().all(|number| number < chunks));
            assert!(mask.flipped(chunks).is_err() && mask.flipped(chunks - 1).is_ok());
            Ok::<_, PirError>(())
        });
        assert!(used <= 4 * 64, "{used} bytes for {chunks} chunks");
        most = most.max(used);
        verdicts.add(verdict.map_or_else(|error| error.rule(), |()| "valid"));
    }
    verdicts.hold("mask", most, &["valid", "mask"], PirError::RULES);
}

/// Envelopes of batches with sealed parts, an open one and a range. Whether the signature holds is
/// asked for after decoding.
fn batches(cases: u64) {
    let sealed = |scheme| {
        Part::Sealed(SealedPart {
            scheme,
            window: Window {
                from: NOW - 14 * DAY,
                to: NOW,
            },
            filter: BlockRef {
                cid: Cid::of(Codec::Raw, b"filter"),
                size: 19_796,
            },
            index: Cid::of(Codec::DagCbor, b"index"),
            ids: LADDER[0],
        })
    };
    let mut batch = batch(vec![
        sealed(Scheme::CX1),
        sealed(Scheme::CX2),
        open_part(&body(3)),
    ]);
    batch.seq = 9;
    batch.covers = Some((2, 4));
    let envelope = sign(&batch).envelope().to_vec();
    let (mut dice, mut verdicts) = (Dice(random(4)), Verdicts::default());
    let (mut most, mut bytes) = (0, Vec::new());
    for _ in 0..cases {
        bytes.clear();
        bytes.extend_from_slice(&envelope);
        // Mostly behind the signature, which stands first and is opaque here.
        let mut inner = bytes.split_off([0, 90, 90, 90][dice.below(4)]);
        dice.spoil(&mut inner);
        bytes.append(&mut inner);
        let (used, verdict) = allocated(|| Unverified::<Batch>::decode(&bytes).map(|_| ()));
        most = most.max(used);
        verdicts.add(verdict.map_or_else(|error| error.rule(), |()| "valid"));
    }
    assert!(
        most <= 16 * envelope.len(),
        "{most} bytes for an envelope of {}",
        envelope.len()
    );
    let met = ["valid", "type", "key-order", "value", "limit", "truncated"];
    verdicts.hold("batch", most, &met, DecodeError::RULES);
}

#[test]
fn batches_of_strangers() {
    batches(CASES);
}

#[test]
#[ignore = "takes minutes"]
fn batches_at_length() {
    batches(LONG);
}

#[test]
fn chunks_of_strangers() {
    chunks(CASES);
}

#[test]
fn indexes_of_strangers() {
    indexes(CASES);
}

#[test]
fn masks_of_strangers() {
    masks(CASES);
}

#[test]
#[ignore = "takes minutes"]
fn chunks_at_length() {
    chunks(LONG);
}

#[test]
#[ignore = "takes minutes"]
fn indexes_at_length() {
    indexes(LONG);
}

#[test]
#[ignore = "takes minutes"]
fn masks_at_length() {
    masks(LONG);
}
