//! Rebuilds every byte string of `chain.json` from the keys alone: the Sig_structure by hand, the
//! rest by the types. What a second implementation would do.

use bellwether_formats::batch::{Batch, Part};
use bellwether_formats::body::open::OpenBody;
use bellwether_formats::chain::{Head, check_listed};
use bellwether_formats::cid::{Block, Codec};
use bellwether_formats::descriptor::Descriptor;
use bellwether_formats::id::{Level, PublicKey, Scheme};
use bellwether_formats::scheme::cx::{Generator, Seed};
use bellwether_formats::sealed::{Entry, IdHash, Payload, Plan};
use bellwether_formats::signed::{Content, Signed, inner_bytes, to_be_signed};
use data_encoding::HEXLOWER;
use ed25519_dalek::{Signer, SigningKey};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn story() -> Value {
    let text = std::fs::read_to_string(super::root().join("chain.json")).expect("chain.json");
    serde_json::from_str(&text).expect("JSON")
}

fn bytes(object: &Value, key: &str) -> Vec<u8> {
    let text = object[key].as_str().unwrap_or_else(|| panic!("`{key}`"));
    HEXLOWER.decode(text.as_bytes()).expect("lower-case hex")
}

fn key(story: &Value, name: &str) -> SigningKey {
    let seed = bytes(&story["keys"][name], "seed")
        .try_into()
        .expect("32 bytes");
    let key = SigningKey::from_bytes(&seed);
    let public = key.verifying_key().to_bytes();
    assert_eq!(bytes(&story["keys"][name], "public"), public, "{name}");
    let text = PublicKey::from_bytes(public).to_string();
    assert_eq!(story["keys"][name]["text"], text, "{name}");
    key
}

/// Rebuilds one object from its fields and the key; compares every byte string.
fn rebuild<T: Content + std::fmt::Debug>(object: &Value, key: &SigningKey) -> Signed<T> {
    let inner = bytes(object, "inner");
    let context = format!("bellwether/1/{}", T::KIND);
    let context_len = u8::try_from(context.len()).expect("a short context");
    assert!(
        (0x100..0x1_0000).contains(&inner.len()),
        "a length in two bytes"
    );
    let inner_len = u16::try_from(inner.len())
        .expect("a short object")
        .to_be_bytes();
    let signed = [
        b"\x84\x6aSignature1\x43\xa1\x01\x27".as_slice(),
        &[0x40 + context_len],
        context.as_bytes(),
        &[0x59, inner_len[0], inner_len[1]],
        &inner,
    ]
    .concat();
    assert!(context_len < 24, "a length in the head");
    assert_eq!(bytes(object, "sig_structure"), signed);
    assert_eq!(to_be_signed(T::KIND, &inner), signed);

    let signature = key.sign(&signed).to_bytes();
    assert_eq!(bytes(object, "signature"), signature);
    assert_eq!(bytes(object, "id"), Sha256::digest(&inner).as_slice());

    let read = Signed::<T>::open(&bytes(object, "envelope")).expect("a perfect object");
    assert_eq!(inner_bytes(&*read), inner);
    let written = Signed::sign(&*read, key).expect("a perfect object");
    assert_eq!(bytes(object, "envelope"), written.envelope());
    assert_eq!(object["id"], written.id().to_string());
    assert_eq!(object["cid"], written.cid().to_string());
    written
}

#[test]
fn the_chain_follows_from_its_keys() {
    let story = story();
    let (root, signing) = (key(&story, "root"), key(&story, "signing"));
    key(&story, "spare");

    let descriptor: Signed<Descriptor> = rebuild(&story["descriptor"], &root);
    let next_root = key(&story, "next_root").verifying_key().to_bytes();
    assert_eq!(
        descriptor.next_root,
        PublicKey::from_bytes(next_root).commitment()
    );

    let batches = story["batches"].as_array().expect("a list");
    let batches: Vec<Signed<Batch>> = batches
        .iter()
        .map(|object| rebuild(object, &signing))
        .collect();
    assert_eq!(batches.len(), 6);
    for pair in batches.windows(2) {
        Head::from(&pair[0]).check_next(&pair[1]).expect("a chain");
    }
    for batch in &batches {
        check_listed(batch, &descriptor).expect("a listed key");
    }
    assert!(batches[1].parts.is_empty(), "a heartbeat");
    let unknown = |part: &Part| matches!(part, Part::Unknown(part) if part.kind() == 9);
    assert!(batches[2].parts.iter().any(unknown));
    let ranges: Vec<_> = batches[3..].iter().map(|batch| batch.range()).collect();
    assert_eq!(
        ranges,
        [(4, 4), (5, 5), (4, 5)],
        "two sealed batches and their fold"
    );
}

/// The random bytes of which the vectors' dummies are made.
fn dummies(text: &str) -> impl FnMut(&mut [u8]) {
    let mut next = 0_u32;
    move |bytes| {
        for entry in bytes.chunks_mut(24) {
            let hash = Sha256::digest([text.as_bytes(), &next.to_be_bytes()].concat());
            entry.copy_from_slice(&hash[..24]);
            next += 1;
        }
    }
}

#[test]
fn the_sealed_parts_follow_from_their_seeds() {
    let story = story();
    let mut read = 0;
    for object in story["batches"].as_array().expect("a list") {
        let batch = Signed::<Batch>::open(&bytes(object, "envelope")).expect("a perfect batch");
        let Some(Part::Sealed(part)) = batch.parts.first() else {
            continue;
        };
        let mut entries = Vec::new();
        for seed in object["seeds"].as_array().expect("a list") {
            let number = |key: &str| seed[key].as_u64().expect("a number");
            let payload = Payload {
                level: Level(u8::try_from(number("level")).expect("a level")),
                grade_step: u8::try_from(number("grade_step")).expect("a step"),
                observed_before: number("observed_before"),
                span: None,
            };
            let seed = Seed::new(Generator::Aes128, &bytes(seed, "seed")).expect("24 bytes");
            entries.extend(seed.identifiers().map(|identifier| {
                let hash = IdHash::of(part.scheme, &batch.salt, None, identifier.as_bytes());
                Entry::seal(&hash, payload)
            }));
        }
        let plan = Plan::new(entries).expect("distinct keys");
        let random = &mut dummies(object["dummies"].as_str().expect("a text"));
        let built = plan.part(0, 18, random).expect("no overflow");
        assert_eq!((plan.parts(), built.ids), (1, part.ids));
        assert_eq!(built.filter.cid(), part.filter.cid);
        assert_eq!(
            u64::try_from(built.filter.bytes().len()),
            Ok(part.filter.size)
        );
        assert_eq!(built.index.cid(), part.index);
        assert_eq!(built.index.bytes(), bytes(object, "index"));
        assert_eq!(object["index_cid"], part.index.to_string());
        read += 1;
    }
    assert_eq!(read, 3);
}

#[test]
fn the_bodies_are_those_that_the_batches_name() {
    let story = story();
    let mut read = Vec::new();
    for object in story["batches"].as_array().expect("a list") {
        let batch = Signed::<Batch>::open(&bytes(object, "envelope")).expect("a perfect batch");
        let Some(body) = batch.open_bodies().next() else {
            assert!(object["body"].is_null());
            continue;
        };
        let block = Block::verify(body.cid, bytes(object, "body")).expect("the body named");
        assert_eq!(object["body_cid"], body.cid.to_string());
        assert_eq!(u64::try_from(block.bytes().len()), Ok(body.size));
        let open = OpenBody::decode(Scheme::CX1, block.bytes()).expect("a perfect body");
        let again = OpenBody::build(Scheme::CX1, open.units()).expect("a perfect body");
        assert_eq!(Block::of(Codec::DagCbor, again.encode()), Ok(block));
        read.push(open);
    }
    let [first, revised] = read.try_into().expect("two bodies");
    assert_eq!((first.count(), revised.count()), (2, 1));
    let (terms, seed) = revised.units().next().expect("a seed");
    let (before, same) = first.units().next().expect("a seed");
    assert_eq!(seed, same);
    assert_eq!(
        (before.level, terms.level),
        (Level::DIAGNOSED, Level::NO_ALERT)
    );
    assert_eq!(before.observed_before, terms.observed_before);
}
