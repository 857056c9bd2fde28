//! `chain.json`: a descriptor and three batches with their keys and every byte string between, for
//! whoever writes a second implementation.

use bellwether_formats::cid::{Cid, Codec};
use bellwether_formats::id::PublicKey;
use ed25519_dalek::SigningKey;

use super::File;
use super::json::{hex, object, quoted};
use super::sample::{
    DAY, NOW, batch, block_ref, cose, descriptor, envelope, group, next_root, public, root, seed,
    sha256, sig_structure, sign, signing, spare,
};
use super::tree::{Fields, Tree};

pub(super) fn files() -> Vec<File> {
    let descriptor = sealed("descriptor", &descriptor(), &root());
    let desc = Cid::of(Codec::DagCbor, &descriptor.envelope);

    let one = body(&[group(5, Tree::Null, NOW, &[seed(1), seed(2)].concat())]);
    let first = at(1, NOW, desc)
        .without("prev")
        .set("parts", vec![part(&one, 2, NOW)]);
    let first = sealed("batch", &first, &signing());

    let second = at(2, NOW + 3600, desc).set("prev", sha256(&first.inner));
    let second = sealed("batch", &second, &signing());

    // The first seed is withdrawn; the time before which it matches stays what it was.
    let three = body(&[group(0, Tree::Null, NOW, &seed(1))]);
    let parts = vec![part(&three, 1, NOW + 7200), unknown_part()];
    let third = at(3, NOW + 7200, desc)
        .set("prev", sha256(&second.inner))
        .set("parts", parts);
    let third = sealed("batch", &third, &signing());

    let keys = [
        ("root", root()),
        ("next_root", next_root()),
        ("signing", signing()),
        ("spare", spare()),
    ];
    let keys = keys.map(|(name, key)| (name, key_text(&key)));
    let batches = [
        first.text("two cx1 seeds at level diagnosed", Some(&one)),
        second.text("a heartbeat, an hour later", None),
        third.text(
            "the first seed is withdrawn, and a part of kind 9, which version 1 does not know",
            Some(&three),
        ),
    ];
    let text = object(
        0,
        &[
            (
                "about",
                quoted(
                    "A descriptor and three batches of one feed. Keys are Ed25519 seeds; everything else follows from them (spec §3, §4, §6).",
                ),
            ),
            ("keys", object(1, &keys)),
            (
                "descriptor",
                descriptor.text("epoch 3, two signing keys, zones gb and gb/sct", None),
            ),
            (
                "batches",
                format!("[\n    {}\n  ]", batches.join(",\n    ")),
            ),
        ],
    );
    vec![File {
        path: "chain.json".to_owned(),
        text: text + "\n",
    }]
}

/// An object on its way to the wire.
struct Sealed {
    inner: Vec<u8>,
    signed: Vec<u8>,
    signature: [u8; 64],
    envelope: Vec<u8>,
}

fn sealed(kind: &str, fields: &Fields, key: &SigningKey) -> Sealed {
    let inner = fields.bytes();
    let signature = sign(kind, &inner, key);
    Sealed {
        signed: sig_structure(&format!("bellwether/1/{kind}"), &inner),
        envelope: envelope(kind, &cose(&signature), &inner),
        signature,
        inner,
    }
}

impl Sealed {
    fn text(&self, about: &str, body: Option<&[u8]>) -> String {
        let mut pairs = vec![("about", quoted(about))];
        if let Some(body) = body {
            pairs.push(("body", hex(body)));
            pairs.push((
                "body_cid",
                quoted(&Cid::of(Codec::DagCbor, body).to_string()),
            ));
        }
        pairs.extend([
            ("inner", hex(&self.inner)),
            ("id", hex(&sha256(&self.inner))),
            ("sig_structure", hex(&self.signed)),
            ("signature", hex(&self.signature)),
            ("envelope", hex(&self.envelope)),
            (
                "cid",
                quoted(&Cid::of(Codec::DagCbor, &self.envelope).to_string()),
            ),
        ]);
        object(2, &pairs)
    }
}

/// Batch `seq` of the feed, published at `at`.
fn at(seq: u64, at: u64, desc: Cid) -> Fields {
    let salt: [u8; 32] = sha256(&seq.to_be_bytes());
    batch()
        .set("seq", seq)
        .set("desc", desc)
        .set("salt", &salt[..16])
        .set("published_at", at)
        .set("next_after", at + 3600)
        .set("next_by", at + 3 * 3600)
        .set("retain_from", at - 14 * DAY)
}

fn body(groups: &[Tree]) -> Vec<u8> {
    Tree::from(groups.to_vec()).bytes()
}

/// The open part of a body.
fn part(body: &[u8], count: u64, published: u64) -> Tree {
    let size = u64::try_from(body.len()).expect("a small body");
    let window = vec![(published - 14 * DAY).into(), published.into()];
    Fields::new([
        (
            "body",
            block_ref(Cid::of(Codec::DagCbor, body), size).into(),
        ),
        ("kind", 0.into()),
        ("count", count.into()),
        ("scheme", 1.into()),
        ("window", window.into()),
    ])
    .into()
}

fn unknown_part() -> Tree {
    let link = Cid::of(Codec::Raw, b"of a later version");
    Fields::new([
        ("data", link.into()),
        ("kind", 9.into()),
        ("note", "later".into()),
    ])
    .into()
}

fn key_text(key: &SigningKey) -> String {
    let public = public(key);
    object(
        2,
        &[
            ("seed", hex(&key.to_bytes())),
            ("public", hex(&public)),
            ("text", quoted(&PublicKey::from_bytes(public).to_string())),
        ],
    )
}
