//! The keys, times and perfect objects that the vectors are made from.

use bellwether_formats::cbor::Writer;
use bellwether_formats::cid::{Cid, Codec};
use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha256};

use super::tree::{Fields, Tree};

/// When the sample batch is published: 2026-01-15T12:00:00Z.
pub(crate) const NOW: u64 = 1_768_478_400;
/// A day, in seconds.
pub(crate) const DAY: u64 = 86_400;

/// The root key. Seeds are one byte repeated.
pub(crate) fn root() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

/// The signing key that the descriptor lists.
pub(crate) fn signing() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}

/// The second signing key of the descriptor.
pub(crate) fn spare() -> SigningKey {
    SigningKey::from_bytes(&[3; 32])
}

/// The root key to come.
pub(crate) fn next_root() -> SigningKey {
    SigningKey::from_bytes(&[4; 32])
}

/// A key that the descriptor does not list.
pub(crate) fn stranger() -> SigningKey {
    SigningKey::from_bytes(&[5; 32])
}

/// The public half.
pub(crate) fn public(key: &SigningKey) -> [u8; 32] {
    key.verifying_key().to_bytes()
}

/// sha2-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The Sig_structure of spec §3.2, written out.
pub(crate) fn sig_structure(context: &str, inner: &[u8]) -> Vec<u8> {
    let mut w = Writer::new();
    w.array(4).text("Signature1").bytes(&[0xa1, 0x01, 0x27]);
    w.bytes(context.as_bytes()).bytes(inner);
    w.finish()
}

/// The 64 bytes of a signature over an object of `kind`.
pub(crate) fn sign(kind: &str, inner: &[u8], key: &SigningKey) -> [u8; 64] {
    let context = format!("bellwether/1/{kind}");
    key.sign(&sig_structure(&context, inner)).to_bytes()
}

/// `sig` in its one spelling.
pub(crate) fn cose(signature: &[u8; 64]) -> Vec<u8> {
    let head = [0xd2, 0x84, 0x43, 0xa1, 0x01, 0x27, 0xa0, 0xf6, 0x58, 0x40];
    [&head, signature.as_slice()].concat()
}

/// An envelope with any `sig`.
pub(crate) fn envelope(kind: &str, sig: &[u8], inner: &[u8]) -> Vec<u8> {
    let mut w = Writer::new();
    w.map(2).text("sig").bytes(sig).text(kind).raw(inner);
    w.finish()
}

/// Signs an inner map and wraps it.
pub(crate) fn seal(kind: &str, inner: &[u8], key: &SigningKey) -> Vec<u8> {
    envelope(kind, &cose(&sign(kind, inner, key)), inner)
}

/// Signs a batch with the signing key.
pub(crate) fn seal_batch(batch: &Fields) -> Vec<u8> {
    seal("batch", &batch.bytes(), &signing())
}

/// Signs a descriptor with the root key.
pub(crate) fn seal_descriptor(descriptor: &Fields) -> Vec<u8> {
    seal("descriptor", &descriptor.bytes(), &root())
}

/// A signing key with its window in a descriptor.
pub(crate) fn key_window(key: &SigningKey) -> Fields {
    Fields::new([
        ("key", public(key).into()),
        ("not_after", (NOW + 300 * DAY).into()),
        ("not_before", (NOW - DAY).into()),
    ])
}

/// The descriptor's keys, sorted as they must be.
pub(crate) fn keys() -> Vec<Tree> {
    let mut keys = [signing(), spare()];
    keys.sort_by_key(public);
    keys.iter().map(|key| key_window(key).into()).collect()
}

/// A perfect descriptor of epoch 3.
pub(crate) fn descriptor() -> Fields {
    let gateway = Fields::new([
        ("url", "https://bw.example.org".into()),
        ("operator", "Example Trust".into()),
    ]);
    Fields::new([
        ("v", 1.into()),
        ("keys", keys().into()),
        ("name", "Example Health".into()),
        ("epoch", 3.into()),
        ("peers", Vec::new().into()),
        ("zones", vec!["gb".into(), "gb/sct".into()].into()),
        ("gateways", vec![gateway.into()].into()),
        ("provider", public(&root()).into()),
        ("issued_at", (NOW - DAY).into()),
        ("next_root", sha256(&public(&next_root())).into()),
        ("expires_at", (NOW + 364 * DAY).into()),
    ])
}

/// A perfect heartbeat: batch 2 of the sample descriptor.
pub(crate) fn batch() -> Fields {
    let desc = Cid::of(Codec::DagCbor, &seal_descriptor(&descriptor()));
    Fields::new([
        ("v", 1.into()),
        ("key", public(&signing()).into()),
        ("seq", 2.into()),
        ("desc", desc.into()),
        ("prev", sha256(b"batch 1").into()),
        ("salt", [0x5a; 16].into()),
        ("zone", "gb/sct".into()),
        ("epoch", 3.into()),
        ("parts", Vec::new().into()),
        ("next_by", (NOW + 3 * 3600).into()),
        ("provider", public(&root()).into()),
        ("next_after", (NOW + 3600).into()),
        ("retain_from", (NOW - 14 * DAY).into()),
        ("published_at", NOW.into()),
    ])
}

/// A link to a block with its size.
pub(crate) fn block_ref(cid: Cid, size: u64) -> Fields {
    Fields::new([("cid", cid.into()), ("size", size.into())])
}

/// The 14 days before the sample batch.
pub(crate) fn window() -> Tree {
    vec![(NOW - 14 * DAY).into(), NOW.into()].into()
}

/// A perfect open part.
pub(crate) fn open_part() -> Fields {
    let body = block_ref(Cid::of(Codec::DagCbor, b"body"), 3640);
    Fields::new([
        ("body", body.into()),
        ("kind", 0.into()),
        ("count", 150.into()),
        ("scheme", 1.into()),
        ("window", window()),
    ])
}

/// A perfect sealed part.
pub(crate) fn sealed_part() -> Fields {
    let index = Fields::new([("cid", Cid::of(Codec::DagCbor, b"index").into())]);
    let filter = block_ref(Cid::of(Codec::Raw, b"filter"), 19_200);
    Fields::new([
        ("ids", 8192.into()),
        ("kind", 1.into()),
        ("index", index.into()),
        ("filter", filter.into()),
        ("scheme", 2.into()),
        ("window", window()),
    ])
}

/// A CX seed: 24 bytes of which the first two number it.
pub(crate) fn seed(number: u8) -> Vec<u8> {
    let tail = sha256(&[number]);
    [&[0, number], &tail[..22]].concat()
}

/// A group of an open body.
pub(crate) fn group(level: u64, grade: impl Into<Tree>, before: u64, values: &[u8]) -> Tree {
    vec![level.into(), grade.into(), before.into(), values.into()].into()
}
