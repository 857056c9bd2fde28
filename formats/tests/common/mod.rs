//! Small true objects for the tests to change.
#![allow(dead_code, reason = "each test uses some of it")]
#![allow(clippy::indexing_slicing, reason = "a test may panic")]

use bellwether_formats::batch::{Batch, BlockRef, OpenPart, Part, Window};
use bellwether_formats::body::open::{OpenBody, Terms};
use bellwether_formats::cid::{Block, Cid, Codec};
use bellwether_formats::descriptor::{Descriptor, Gateway, KeyWindow};
use bellwether_formats::id::{Level, ObjectId, PublicKey, Scheme};
use bellwether_formats::signed::Signed;
use ed25519_dalek::SigningKey;
use sha2::{Digest, Sha256};

pub(crate) const NOW: u64 = 1_768_478_400;
pub(crate) const DAY: u64 = 86_400;

pub(crate) fn root() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

pub(crate) fn signing() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}

pub(crate) fn public(key: &SigningKey) -> PublicKey {
    PublicKey::from_bytes(key.verifying_key().to_bytes())
}

/// A unit of `width` bytes that looks random.
pub(crate) fn unit(number: u64, width: usize) -> Vec<u8> {
    let hash = |piece: u8| Sha256::digest([number.to_be_bytes(), [piece; 8]].concat());
    let mut unit: Vec<u8> = (0..u8::MAX)
        .take(width.div_ceil(32))
        .flat_map(hash)
        .collect();
    unit.truncate(width);
    unit
}

pub(crate) fn body(units: u64) -> OpenBody {
    let terms = |number| Terms {
        level: Level(u8::try_from(4 + number % 2).unwrap()),
        grade: None,
        observed_before: NOW,
    };
    OpenBody::build(Scheme::CX1, (0..units).map(|n| (terms(n), unit(n, 24)))).unwrap()
}

pub(crate) fn open_part(body: &OpenBody) -> Part {
    let block = Block::of(Codec::DagCbor, body.encode()).unwrap();
    Part::Open(OpenPart {
        scheme: body.scheme(),
        window: Window {
            from: NOW - 14 * DAY,
            to: NOW,
        },
        body: BlockRef {
            cid: block.cid(),
            size: u64::try_from(block.bytes().len()).unwrap(),
        },
        count: body.count(),
    })
}

pub(crate) fn descriptor() -> Descriptor {
    Descriptor {
        provider: public(&root()),
        epoch: 3,
        issued_at: NOW - DAY,
        expires_at: NOW + 300 * DAY,
        name: "Example Health".to_owned(),
        keys: vec![KeyWindow {
            key: public(&signing()),
            not_before: NOW - DAY,
            not_after: NOW + 300 * DAY,
        }],
        zones: vec!["gb".parse().unwrap()],
        gateways: vec![Gateway {
            url: "https://bw.example.org".to_owned(),
            operator: "Example Trust".to_owned(),
        }],
        anchors: Vec::new(),
        next_root: [7; 32],
        upstream: None,
        peers: Vec::new(),
        successor: None,
    }
}

/// Batch 2 of a feed.
pub(crate) fn batch(parts: Vec<Part>) -> Batch {
    Batch {
        provider: public(&root()),
        zone: "gb/sct".parse().unwrap(),
        key: public(&signing()),
        epoch: 3,
        seq: 2,
        prev: Some(ObjectId::of(b"batch 1")),
        published_at: NOW,
        next_after: NOW + 3600,
        next_by: NOW + 3 * 3600,
        retain_from: NOW - 14 * DAY,
        desc: Cid::of(Codec::DagCbor, b"descriptor"),
        salt: [0x5a; 16],
        covers: None,
        parts,
    }
}

pub(crate) fn sign(batch: &Batch) -> Signed<Batch> {
    Signed::sign(batch, &signing()).unwrap()
}

/// A true signature of the signing key that RFC 8032 would not make: with a nonce of one's own.
pub(crate) fn sign_with_nonce(inner: &[u8], nonce: u64) -> [u8; 64] {
    use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
    use curve25519_dalek::scalar::{Scalar, clamp_integer};
    use sha2::Sha512;

    let hash: [u8; 64] = Sha512::digest(signing().to_bytes()).into();
    let half = hash[..32].try_into().unwrap();
    let secret = Scalar::from_bytes_mod_order(clamp_integer(half));
    let commitment = (ED25519_BASEPOINT_POINT * Scalar::from(nonce))
        .compress()
        .to_bytes();
    let challenge = Sha512::new()
        .chain_update(commitment)
        .chain_update(public(&signing()).as_bytes())
        .chain_update(bellwether_formats::signed::to_be_signed("batch", inner));
    let challenge = Scalar::from_bytes_mod_order_wide(&challenge.finalize().into());
    let s = Scalar::from(nonce) + challenge * secret;
    [commitment, s.to_bytes()].concat().try_into().unwrap()
}

/// A source of bytes that look random, the same for a seed (SplitMix64).
pub(crate) fn random(seed: u64) -> impl FnMut(&mut [u8]) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    move |bytes| {
        for word in bytes.chunks_mut(8) {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let mixed = (mixed ^ (mixed >> 31)).to_le_bytes();
            word.copy_from_slice(&mixed[..word.len()]);
        }
    }
}
