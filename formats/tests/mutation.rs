//! Small true objects with every bit flipped, every byte deleted, bytes inserted at every place:
//! refused by a named rule, never a panic. And no stranger makes a second envelope of a batch.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use crate::common::{batch, body, descriptor, open_part, root, sign};
use bellwether_formats::batch::Batch;
use bellwether_formats::body::open::{OpenBody, Terms};
use bellwether_formats::car::{Car, CarError};
use bellwether_formats::cid::{Block, BlockError, Codec};
use bellwether_formats::descriptor::Descriptor;
use bellwether_formats::error::{DecodeError, VerifyError};
use bellwether_formats::id::{Level, Scheme};
use bellwether_formats::limit;
use bellwether_formats::scheme::tcn;
use bellwether_formats::signed::{Signed, inner_bytes};

/// Bytes that are inserted: edges of CBOR's heads, text, and what repeats a neighbour.
const INSERTED: [u8; 12] = [
    0x00, 0x01, 0x17, 0x18, 0x40, 0x61, 0x80, 0xa0, 0xd8, 0xf6, 0x7f, 0xff,
];

/// Every object that differs from `bytes` by one bit or one byte.
fn mutants(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let flipped = (0..bytes.len()).flat_map(|at| (0..8).map(move |bit| (at, 1 << bit)));
    let flipped = flipped.map(|(at, mask): (usize, u8)| {
        let mut mutant = bytes.to_vec();
        mutant[at] ^= mask;
        mutant
    });
    let deleted = (0..bytes.len()).map(|at| [&bytes[..at], &bytes[at + 1..]].concat());
    let inserted = (0..=bytes.len()).flat_map(move |at| {
        let twin = bytes.get(at).copied().into_iter();
        let insert = move |byte| [&bytes[..at], &[byte], &bytes[at..]].concat();
        INSERTED.into_iter().chain(twin).map(insert)
    });
    let cut = (0..bytes.len()).map(|at| bytes[..at].to_vec());
    flipped.chain(deleted).chain(inserted).chain(cut)
}

/// Holds that `read` refuses every mutant by one of `rules`; gives how many there were.
fn all_refused(
    bytes: &[u8],
    rules: &[&[&'static str]],
    read: impl Fn(&[u8]) -> Result<(), &'static str>,
) -> usize {
    assert_eq!(read(bytes), Ok(()), "the object itself is true");
    let rules = rules.concat();
    mutants(bytes)
        .map(|mutant| match read(&mutant) {
            Ok(()) => panic!("accepted: {mutant:02x?}"),
            Err(rule) => assert!(rules.contains(&rule), "no rule: {rule}"),
        })
        .count()
}

fn open<T: bellwether_formats::signed::Content>(bytes: &[u8]) -> Result<(), &'static str> {
    Signed::<T>::open(bytes)
        .map(drop)
        .map_err(|error| error.rule())
}

#[test]
fn a_changed_batch_is_refused() {
    let signed = sign(&batch(vec![open_part(&body(3))]));
    let rules = [DecodeError::RULES, VerifyError::RULES];
    let tried = all_refused(signed.envelope(), &rules, open::<Batch>);
    assert!(tried > 8_000, "{tried} mutants");
}

#[test]
fn a_changed_descriptor_is_refused() {
    let signed = Signed::sign(&descriptor(), &root()).unwrap();
    let rules = [DecodeError::RULES, VerifyError::RULES];
    let tried = all_refused(signed.envelope(), &rules, open::<Descriptor>);
    assert!(tried > 8_000, "{tried} mutants");
}

#[test]
fn a_changed_body_is_refused_under_its_name() {
    let body = body(6);
    let block = Block::of(Codec::DagCbor, body.encode()).unwrap();
    let rules = [BlockError::RULES, DecodeError::RULES];
    let read = |bytes: &[u8]| {
        let block = Block::verify(block.cid(), bytes.to_vec()).map_err(|error| error.rule())?;
        let body = OpenBody::decode(Scheme::CX1, block.bytes());
        body.map(drop).map_err(|error| error.rule())
    };
    all_refused(block.bytes(), &rules, read);
}

/// Without its name a changed body may be another true body. It is then what it says.
#[test]
fn a_changed_body_without_a_name_is_itself_or_refused() {
    for body in [body(6), reports()] {
        let mut others = 0;
        for mutant in mutants(&body.encode()) {
            if let Ok(read) = OpenBody::decode(body.scheme(), &mutant) {
                assert_eq!(read.encode(), mutant);
                assert_ne!(read, body);
                others += 1;
            }
        }
        assert!(others > 0, "another byte of a unit is another unit");
    }
}

/// A body whose units are a list.
fn reports() -> OpenBody {
    let terms = Terms {
        level: Level::SYMPTOMATIC,
        grade: None,
        observed_before: crate::common::NOW,
    };
    let report = |memo| tcn::report(&[7; 32], &[8; 32], (1, 24), 0, memo).unwrap();
    let units = [report(b""), report(b"memo")];
    OpenBody::build(Scheme::TCN, units.map(|unit| (terms, unit))).unwrap()
}

/// What a bundle's header says is nobody's promise: other roots are another bundle. No block
/// changes unnoticed.
#[test]
fn a_changed_bundle_is_refused_or_has_the_same_blocks() {
    let envelope = sign(&batch(Vec::new())).envelope().to_vec();
    let blocks = [
        Block::of(Codec::DagCbor, envelope).unwrap(),
        Block::of(Codec::DagCbor, body(2).encode()).unwrap(),
    ];
    let roots = vec![blocks[0].cid()];
    let car = Car {
        roots,
        blocks: blocks.to_vec(),
    };
    let rules = [CarError::RULES, BlockError::RULES].concat();
    let bytes = car.encode();
    let header = bytes.len()
        - blocks
            .iter()
            .map(bellwether_formats::car::section_len)
            .sum::<usize>();
    let mut survivors = 0;
    for mutant in mutants(&bytes) {
        match Car::decode(&mutant, limit::MAX_CAR_BYTES) {
            Err(error) => assert!(rules.contains(&error.rule())),
            Ok(read) => {
                survivors += 1;
                assert!(read.blocks.iter().all(|block| blocks.contains(block)));
                // Either the roots were changed, or whole blocks are missing at the end.
                let cut = bytes.starts_with(&mutant);
                assert!(cut || mutant[header..] == bytes[header..], "{mutant:02x?}");
            }
        }
    }
    // The 256 bits of the root's hash, and the cuts before a block.
    assert_eq!(survivors, 256 + 2, "what survives is known");
}

/// The 74 bytes of `sig` and the nine before them: a stranger has no choice at all.
#[test]
fn a_stranger_cannot_make_a_second_envelope() {
    let signed = sign(&batch(Vec::new()));
    let (envelope, inner) = (signed.envelope(), inner_bytes(&*signed));
    let head = envelope.len() - inner.len();
    for at in 0..head {
        for mask in 1..=u8::MAX {
            let mut mutant = envelope.to_vec();
            mutant[at] ^= mask;
            assert!(
                Signed::<Batch>::open(&mutant).is_err(),
                "byte {at} ^ {mask:02x}"
            );
        }
    }
    // The signature, once more around the group: S + n·L for every n that fits.
    let order = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
    let order = data_encoding::HEXLOWER.decode(order.as_bytes()).unwrap();
    let mut mutant = envelope.to_vec();
    for _ in 0..15 {
        let mut carry = 0;
        for (byte, add) in mutant[47..79].iter_mut().zip(&order) {
            let sum = u16::from(*byte) + u16::from(*add) + carry;
            *byte = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
        let refused = Signed::<Batch>::open(&mutant).map_err(|error| error.rule());
        assert_eq!(refused.map(drop), Err("signature"));
        if carry == 1 {
            break;
        }
    }
}

/// Whoever holds the key can sign the same statement in many ways (another nonce), each another
/// envelope. They have one id, by which everything after verification goes.
#[test]
fn two_signatures_of_one_statement_have_one_id() {
    let signed = sign(&batch(Vec::new()));
    let inner = inner_bytes(&*signed);
    let again = crate::common::sign_with_nonce(&inner, 7);
    let again = bellwether_formats::signed::assemble("batch", &inner, &again);
    let again = Signed::<Batch>::open(&again).expect("a true signature");
    assert_eq!(again.id(), signed.id());
    assert_ne!(again.cid(), signed.cid());
}
