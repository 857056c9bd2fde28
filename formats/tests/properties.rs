//! What holds for every input: round trips, one spelling, agreement with a second codec, no panic,
//! bounds before allocation.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod strategy;

use std::collections::BTreeSet;

use crate::common::{public, root, signing};
use bellwether_formats::batch::Batch;
use bellwether_formats::body::open::OpenBody;
use bellwether_formats::car::Car;
use bellwether_formats::cbor::Reader;
use bellwether_formats::cid::{Block, Cid, Codec};
use bellwether_formats::descriptor::{Descriptor, Gateway};
use bellwether_formats::id::{Level, PublicKey, Scheme, Zone};
use bellwether_formats::limit;
use bellwether_formats::share::Share;
use bellwether_formats::signed::{Signed, Unverified, inner_bytes};
use ipld_core::ipld::Ipld;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use strategy::{batch, cid, descriptor, key, scratched, scratches, tree, units, zone};

/// Whether our reader takes `bytes` as one value of any shape.
fn taken(bytes: &[u8]) -> bool {
    let mut reader = Reader::new(bytes);
    reader.any().is_ok() && reader.finish().is_ok()
}

/// What the second codec makes of `bytes`, written again.
fn oracle(bytes: &[u8]) -> Option<Vec<u8>> {
    let tree: Ipld = serde_ipld_dagcbor::from_slice(bytes).ok()?;
    serde_ipld_dagcbor::to_vec(&tree).ok()
}

/// Hands `bytes` to every decoder; whatever one takes, it writes again to the byte.
fn decode_all(bytes: &[u8]) -> Result<(), TestCaseError> {
    let _ = taken(bytes);
    prop_assert!(Signed::<Batch>::open(bytes).is_err(), "nobody signed this");
    prop_assert!(
        Signed::<Descriptor>::open(bytes).is_err(),
        "nobody signed this"
    );
    for scheme in Scheme::ALL.into_iter().chain([Scheme(9)]) {
        if let Ok(body) = OpenBody::decode(scheme, bytes) {
            prop_assert_eq!(body.encode(), bytes);
        }
    }
    if let Ok(car) = Car::decode(bytes, limit::MAX_CAR_BYTES) {
        prop_assert_eq!(car.encode(), bytes);
    }
    if let Ok(cid) = Cid::from_bytes(bytes) {
        prop_assert!(cid.to_bytes() == bytes);
    }
    Ok(())
}

/// Hands `text` to every parser; whatever one takes, it writes again to the byte.
fn parse_all(text: &str) -> Result<(), TestCaseError> {
    if let Ok(zone) = text.parse::<Zone>() {
        prop_assert_eq!(zone.as_str(), text);
    }
    if let Ok(key) = text.parse::<PublicKey>() {
        prop_assert_eq!(key.to_string(), text);
    }
    if let Ok(cid) = text.parse::<Cid>() {
        prop_assert_eq!(cid.to_string(), text);
    }
    if let Ok(level) = text.parse::<Level>() {
        prop_assert_eq!(level.to_string(), text);
    }
    if let Ok(share) = text.parse::<Share>() {
        prop_assert_eq!(share.to_string().parse(), Ok(share));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// What the second codec writes, we read.
    #[test]
    fn every_tree_of_the_oracle_is_taken(tree in tree()) {
        let bytes = serde_ipld_dagcbor::to_vec(&tree).unwrap();
        prop_assert!(taken(&bytes));
    }

    /// What we read, the second codec reads too, and writes to the byte.
    #[test]
    fn what_is_taken_the_oracle_writes_again(tree in tree(), scratches in scratches()) {
        let bytes = scratched(&serde_ipld_dagcbor::to_vec(&tree).unwrap(), &scratches);
        if taken(&bytes) {
            prop_assert_eq!(oracle(&bytes), Some(bytes));
        }
    }

    #[test]
    fn what_is_taken_of_noise_the_oracle_writes_again(bytes in vec(any::<u8>(), 0..12)) {
        if taken(&bytes) {
            prop_assert_eq!(oracle(&bytes), Some(bytes));
        }
    }

    #[test]
    fn batches_round_trip(batch in batch()) {
        let signed = Signed::sign(&batch, &signing()).unwrap();
        prop_assert_eq!(&*signed, &batch);
        let again = Signed::<Batch>::open(signed.envelope()).unwrap();
        prop_assert_eq!(&again, &signed);
        prop_assert_eq!(oracle(signed.envelope()), Some(signed.envelope().to_vec()));
    }

    #[test]
    fn descriptors_round_trip(descriptor in descriptor()) {
        let signed = Signed::sign(&descriptor, &root()).unwrap();
        prop_assert_eq!(&*signed, &descriptor);
        let again = Signed::<Descriptor>::open(signed.envelope()).unwrap();
        prop_assert_eq!(&again, &signed);
        prop_assert_eq!(oracle(signed.envelope()), Some(signed.envelope().to_vec()));
    }

    /// A part of an unknown kind is kept to the byte, and its links are found.
    #[test]
    fn unknown_parts_round_trip(tree in btree_map("[a-j]{5,9}", tree(), 0..4), kind in 2..=255u8) {
        let mut part = tree;
        part.insert("kind".to_owned(), Ipld::Integer(kind.into()));
        let parts = Ipld::List(vec![Ipld::Map(part)]);
        let parts = serde_ipld_dagcbor::to_vec(&parts).unwrap();
        let inner = inner_bytes(&crate::common::batch(Vec::new()));
        let at = inner.windows(7).position(|bytes| bytes == b"\x65parts\x80").unwrap() + 6;
        let inner = [&inner[..at], &parts, &inner[at + 1..]].concat();
        let envelope = bellwether_formats::signed::assemble("batch", &inner, &[0; 64]);
        prop_assume!(envelope.len() <= limit::MAX_BATCH_BYTES);
        prop_assert!(Unverified::<Batch>::decode(&envelope).is_ok());
    }

    /// A signature holds for one envelope only.
    #[test]
    fn any_changed_bit_is_refused(batch in batch(), at: prop::sample::Index, bit in 0..8) {
        let signed = Signed::sign(&batch, &signing()).unwrap();
        let mut envelope = signed.envelope().to_vec();
        envelope[at.index(signed.envelope().len())] ^= 1u8 << bit;
        prop_assert!(Signed::<Batch>::open(&envelope).is_err());
    }

    /// Whatever shape of a batch decodes has one spelling, signed or not.
    #[test]
    fn scratched_batches_are_refused_or_canonical(batch in batch(), scratches in scratches()) {
        let signed = Signed::sign(&batch, &signing()).unwrap();
        let envelope = scratched(signed.envelope(), &scratches);
        if Unverified::<Batch>::decode(&envelope).is_ok() {
            prop_assert_eq!(oracle(&envelope), Some(envelope));
        }
    }

    #[test]
    fn bodies_round_trip((scheme, units) in units()) {
        let given = units.iter().map(|(unit, terms)| (*terms, unit));
        let body = OpenBody::build(scheme, given).unwrap();
        let again = OpenBody::decode(scheme, &body.encode()).unwrap();
        prop_assert_eq!(&again, &body);
        let read = again.units().map(|(terms, unit)| (unit.to_vec(), terms)).collect();
        prop_assert_eq!(units, read);
        prop_assert_eq!(oracle(&body.encode()), Some(body.encode()));
    }

    #[test]
    fn scratched_bodies_are_refused_or_canonical(units in 1..9u64, scratches in scratches()) {
        decode_all(&scratched(&crate::common::body(units).encode(), &scratches))?;
    }

    #[test]
    fn bundles_round_trip(blocks in vec(vec(any::<u8>(), 0..200), 0..6), roots in vec(cid(Codec::DagCbor), 0..6)) {
        let blocks = blocks.into_iter().map(|bytes| Block::of(Codec::Raw, bytes).unwrap()).collect();
        let car = Car { roots, blocks };
        prop_assert_eq!(Car::decode(&car.encode(), limit::MAX_CAR_BYTES), Ok(car));
    }

    #[test]
    fn shares_round_trip(
        zones in vec(zone(), 1..4),
        again in any::<bool>(),
        gateways in vec(("https://[a-z]{1,9}\\.example(:[0-9]{1,4})?", "\\PC{1,12}"), 0..4),
        peers in vec("/dns4/\\PC{1,20}", 0..3),
    ) {
        let gateways = gateways.into_iter().map(|(url, operator)| Gateway { url, operator });
        let provider = public(&root());
        let zones = BTreeSet::from_iter(zones).into_iter().collect();
        let share = Share { provider, zones, gateways: gateways.collect(), peers };
        let mut text = share.to_string();
        prop_assert!(text.is_ascii());
        if again {
            // A zone given twice counts once.
            text += &format!("&zone={}", share.zones[0]);
        }
        prop_assert_eq!(text.parse(), Ok(share));
    }

    #[test]
    fn names_round_trip(key in key(), zone in zone(), cid in cid(Codec::Raw)) {
        prop_assert_eq!(key.to_string().parse(), Ok(key));
        prop_assert_eq!(zone.to_string().parse(), Ok(zone));
        prop_assert_eq!(cid.to_string().parse(), Ok(cid));
        prop_assert_eq!(Cid::from_bytes(&cid.to_bytes()), Ok(cid));
    }

    #[test]
    fn text_never_panics(text in "\\PC{0,80}", near in "(bellwether:)?[zmuf]?[0-9A-Za-z/?=&%-]{0,90}") {
        parse_all(&text)?;
        parse_all(&near)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn noise_never_panics(bytes in vec(any::<u8>(), 0..300)) {
        decode_all(&bytes)?;
    }

    /// Noise behind a good beginning comes further.
    #[test]
    fn noise_behind_a_beginning_never_panics(cut in 0..1000usize, noise in vec(any::<u8>(), 0..40)) {
        let signed = crate::common::sign(&crate::common::batch(vec![crate::common::open_part(&crate::common::body(2))]));
        let beginnings = [signed.envelope().to_vec(), crate::common::body(5).encode()];
        for beginning in beginnings {
            let kept = beginning.get(..cut).unwrap_or(&beginning);
            let bytes = [kept, &noise].concat();
            // The object itself is signed; all else is not.
            if bytes != beginning {
                decode_all(&bytes)?;
            }
        }
    }
}

/// A length of 2^60 in the place of every head that has one: refused before anything is allocated
/// for it (the allocation would end the process).
#[test]
fn claimed_lengths_are_refused_before_allocation() {
    let signed = crate::common::sign(&crate::common::batch(vec![crate::common::open_part(
        &crate::common::body(2),
    )]));
    let car = Car {
        roots: vec![signed.cid()],
        blocks: Vec::new(),
    };
    let objects = [
        signed.envelope().to_vec(),
        crate::common::body(2).encode(),
        car.encode(),
    ];
    for object in objects {
        for (at, head) in object.iter().enumerate() {
            for major in [0x40, 0x60, 0x80, 0xa0, 0xc0] {
                let huge = [major | 0x1b, 0x10, 0, 0, 0, 0, 0, 0, 0];
                let claim = [&object[..at], &huge, &object[at + 1..]].concat();
                assert!(decode_all(&claim).is_ok(), "byte {at}, {head:02x}");
                assert!(!taken(&claim) || major == 0xc0);
                assert!(OpenBody::decode(Scheme::CX1, &claim).is_err());
                assert!(Car::decode(&claim, limit::MAX_CAR_BYTES).is_err());
            }
        }
    }
    let varint = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    assert!(Car::decode(&varint, limit::MAX_CAR_BYTES).is_err());
}
