//! `chain.json`: a descriptor and six batches with their keys and every byte string between, for
//! whoever writes a second implementation.

use bellwether_formats::cid::{Cid, Codec};
use bellwether_formats::id::PublicKey;
use bellwether_formats::scheme::cx::{Generator, Identifier, Seed};
use ed25519_dalek::SigningKey;

use super::File;
use super::json::{hex, list, object, quoted};
use super::sample::{
    DAY, NOW, batch, block_ref, cose, descriptor, envelope, group, next_root, public, root, seed,
    sha256, sig_structure, sign, signing, spare,
};
use super::sealed::{IDS, Part, Said, part as sealed_part};
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

    // Two more seeds, sealed; then both again in a fold, at the time before which each matches.
    let seeds = [(3, NOW + 3 * 3600), (4, NOW + 4 * 3600)];
    let fourth = SealedBatch::new(4, desc, &third, &seeds[..1]);
    let fifth = SealedBatch::new(5, desc, &fourth.batch, &seeds[1..]);
    let sixth = SealedBatch::fold(6, (4, 5), desc, &fifth.batch, &seeds);

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
        fourth.text("a cx1 seed, sealed: its 2048 identifiers"),
        fifth.text("another, sealed"),
        sixth.text("a fold: what batches 4 and 5 said, under another salt"),
    ];
    let text = object(
        0,
        &[
            (
                "about",
                quoted(
                    "A descriptor and six batches of one feed. Keys are Ed25519 seeds; everything else follows from them (spec §3 to §6). A sealed part has the identifiers of its seeds; its dummies are made as in sealed.json.",
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
        let mut more = Vec::new();
        if let Some(body) = body {
            let cid = Cid::of(Codec::DagCbor, body);
            more.push(("body", hex(body)));
            more.push(("body_cid", quoted(&cid.to_string())));
        }
        self.text_with(about, more)
    }

    fn text_with(&self, about: &str, more: Vec<(&str, String)>) -> String {
        let mut pairs = vec![("about", quoted(about))];
        pairs.extend(more);
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

/// A batch with one sealed part.
struct SealedBatch {
    batch: Sealed,
    seeds: Vec<(u8, u64)>,
    dummies: String,
    part: Part,
}

impl SealedBatch {
    /// Batch `seq`, which publishes these seeds; each comes with its `observed_before`.
    fn new(seq: u64, desc: Cid, before: &Sealed, seeds: &[(u8, u64)]) -> Self {
        let fields = at(seq, NOW + (seq - 1) * 3600, desc);
        Self::of(fields, seq, before, seeds)
    }

    /// Batch `seq`, which folds the batches that published these seeds.
    fn fold(seq: u64, of: (u64, u64), desc: Cid, before: &Sealed, seeds: &[(u8, u64)]) -> Self {
        let fields = at(seq, NOW + (seq - 1) * 3600, desc);
        let covers = vec![of.0.into(), of.1.into()];
        Self::of(fields.add("covers", covers), seq, before, seeds)
    }

    fn of(fields: Fields, seq: u64, before: &Sealed, seeds: &[(u8, u64)]) -> Self {
        let salt: [u8; 32] = sha256(&seq.to_be_bytes());
        let said = seeds.iter().flat_map(|(number, before)| {
            let seed = Seed::new(Generator::Aes128, &seed(*number)).expect("24 bytes");
            let said = |identifier: Identifier| Said {
                identifier: identifier.as_bytes().to_vec(),
                level: 5,
                step: 0,
                before: *before,
                span: None,
            };
            seed.identifiers().map(said).collect::<Vec<Said>>()
        });
        let dummies = format!("chain.json batch {seq}");
        let part = sealed_part(1, &salt[..16], &said.collect::<Vec<_>>(), &dummies);
        let last = seeds.iter().map(|(_, before)| *before).max().unwrap_or(NOW);
        let index = Fields::new([("cid", Cid::of(Codec::DagCbor, &part.index).into())]);
        let size = u64::try_from(part.filter.len()).expect("a small filter");
        let filter = block_ref(Cid::of(Codec::Raw, &part.filter), size);
        let signed = Fields::new([
            ("ids", u64::try_from(IDS).expect("8192").into()),
            ("kind", 1.into()),
            ("index", index.into()),
            ("filter", filter.into()),
            ("scheme", 1.into()),
            ("window", vec![(NOW - 10 * DAY).into(), last.into()].into()),
        ]);
        let fields = fields
            .set("prev", sha256(&before.inner))
            .set("parts", vec![signed.into()]);
        Self {
            batch: sealed("batch", &fields, &signing()),
            seeds: seeds.to_vec(),
            dummies,
            part,
        }
    }

    fn text(&self, about: &str) -> String {
        let seed = |(number, before): &(u8, u64)| {
            let seed = hex(&seed(*number));
            format!(
                "{{\"seed\": {seed}, \"level\": 5, \"grade_step\": 0, \"observed_before\": {before}}}"
            )
        };
        let seeds: Vec<String> = self.seeds.iter().map(seed).collect();
        let index = Cid::of(Codec::DagCbor, &self.part.index);
        let more = vec![
            ("seeds", list(3, &seeds)),
            ("dummies", quoted(&self.dummies)),
            ("index", hex(&self.part.index)),
            ("index_cid", quoted(&index.to_string())),
        ];
        self.batch.text_with(about, more)
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
