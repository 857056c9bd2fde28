//! `signatures/`: envelopes of perfect content, signed well and badly (spec §3).

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::{Scalar, clamp_integer};
use ed25519_dalek::SigningKey;
use sha2::{Digest, Sha512};

use super::sample::{
    batch, cose, descriptor, envelope, public, root, seal, seal_batch, seal_descriptor,
    sig_structure, sign, signing, spare,
};
use super::tree::Fields;
use super::{File, Vector, broken, section, valid};

/// The order of the group, little-endian.
const L: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

pub(super) fn vectors() -> Vec<File> {
    let vectors = [accepted(), spellings(), bad_signatures(), bad_keys()]
        .into_iter()
        .flatten();
    section(
        "signatures",
        vectors.map(|(name, vector)| match name.starts_with("descriptor") {
            true => (name, vector.with("as", "descriptor")),
            false => (name, vector.with("as", "batch")),
        }),
    )
}

fn accepted() -> Vec<(&'static str, Vector)> {
    vec![
        (
            "batch",
            valid(
                "signature",
                "a batch signed by its key",
                seal_batch(&batch()),
            ),
        ),
        (
            "descriptor",
            valid(
                "signature",
                "a descriptor signed by the root key",
                seal_descriptor(&descriptor()),
            ),
        ),
    ]
}

/// The right signature under another spelling of COSE. A general COSE library accepts most.
fn spellings() -> Vec<(&'static str, Vector)> {
    let inner = batch().bytes();
    let signature = sign("batch", &inner, &signing());
    let with = |head: &[u8]| envelope("batch", &[head, &signature].concat(), &inner);
    let bad = |about, head: &[u8]| broken("cose-spelling", about, with(head));
    let sig = cose(&signature);
    vec![
        (
            "algorithm",
            bad(
                "ES256 in the protected header",
                &[0xd2, 0x84, 0x43, 0xa1, 0x01, 0x26, 0xa0, 0xf6, 0x58, 0x40],
            ),
        ),
        (
            "algorithm-long",
            bad(
                "-8 in two bytes",
                &[
                    0xd2, 0x84, 0x44, 0xa1, 0x01, 0x38, 0x07, 0xa0, 0xf6, 0x58, 0x40,
                ],
            ),
        ),
        (
            "header-inserted",
            bad(
                "a key id in the unprotected header, which nobody signed",
                &[
                    0xd2, 0x84, 0x43, 0xa1, 0x01, 0x27, 0xa1, 0x04, 0x41, 0x31, 0xf6, 0x58, 0x40,
                ],
            ),
        ),
        (
            "header-indefinite",
            bad(
                "an empty unprotected header of indefinite length",
                &[
                    0xd2, 0x84, 0x43, 0xa1, 0x01, 0x27, 0xbf, 0xff, 0xf6, 0x58, 0x40,
                ],
            ),
        ),
        (
            "length-long",
            bad(
                "the signature's length in two bytes",
                &[
                    0xd2, 0x84, 0x43, 0xa1, 0x01, 0x27, 0xa0, 0xf6, 0x59, 0x00, 0x40,
                ],
            ),
        ),
        (
            "payload-empty",
            bad(
                "an empty payload instead of nil",
                &[0xd2, 0x84, 0x43, 0xa1, 0x01, 0x27, 0xa0, 0x40, 0x58, 0x40],
            ),
        ),
        (
            "protected-map",
            bad(
                "the protected header as a map, not as bytes",
                &[0xd2, 0x84, 0xa1, 0x01, 0x27, 0xa0, 0xf6, 0x58, 0x40],
            ),
        ),
        (
            "sig-cut",
            broken(
                "cose-spelling",
                "the last byte of the signature is missing",
                envelope("batch", &sig[..73], &inner),
            ),
        ),
        (
            "sig-empty",
            broken(
                "cose-spelling",
                "no signature at all",
                envelope("batch", &[], &inner),
            ),
        ),
        (
            "sig-raw",
            broken(
                "cose-spelling",
                "the 64 bytes without COSE",
                envelope("batch", &signature, &inner),
            ),
        ),
        (
            "sig-trailing",
            broken(
                "cose-spelling",
                "a byte follows the signature",
                envelope("batch", &[&sig[..], &[0]].concat(), &inner),
            ),
        ),
        (
            "tag-long",
            bad(
                "tag 18 in two bytes",
                &[
                    0xd8, 0x12, 0x84, 0x43, 0xa1, 0x01, 0x27, 0xa0, 0xf6, 0x58, 0x40,
                ],
            ),
        ),
        (
            "tag-sign",
            bad(
                "the tag of COSE_Sign, which has several signers",
                &[
                    0xd8, 0x62, 0x84, 0x43, 0xa1, 0x01, 0x27, 0xa0, 0xf6, 0x58, 0x40,
                ],
            ),
        ),
        ("untagged", bad("COSE_Sign1 without its tag", &sig[1..10])),
    ]
}

fn bad_signatures() -> Vec<(&'static str, Vector)> {
    let inner = batch().bytes();
    let good = sign("batch", &inner, &signing());
    let with = |signature: &[u8; 64]| envelope("batch", &cose(signature), &inner);
    let bad = |about, signature: &[u8; 64]| broken("signature", about, with(signature));

    let other = sign("descriptor", &inner, &signing());
    let other_inner = descriptor().bytes();
    let unsigned = batch().set("seq", 3).bytes();
    let plain = ed25519_dalek::Signer::sign(&signing(), &inner).to_bytes();
    vec![
        (
            "content-changed",
            broken(
                "signature",
                "another seq than the signed one",
                envelope("batch", &cose(&good), &unsigned),
            ),
        ),
        (
            "context-none",
            bad("the inner bytes signed without Sig_structure", &plain),
        ),
        (
            "context-of-descriptor",
            bad("signed under the context of descriptors", &other),
        ),
        (
            "descriptor-context-of-batch",
            broken(
                "signature",
                "a descriptor signed under the context of batches",
                envelope(
                    "descriptor",
                    &cose(&sign("batch", &other_inner, &root())),
                    &other_inner,
                ),
            ),
        ),
        (
            "descriptor-by-signing-key",
            broken(
                "signature",
                "a descriptor signed by a signing key",
                seal("descriptor", &other_inner, &signing()),
            ),
        ),
        (
            "r-small-order",
            bad(
                "R is the neutral element: the equation holds, but strictly it does not",
                &small_order_r(&inner),
            ),
        ),
        (
            "s-not-reduced",
            bad(
                "the group's order added to S: the equation holds, but S has another spelling",
                &not_reduced(&good),
            ),
        ),
        (
            "wrong-key",
            bad(
                "signed by another key than `key`",
                &sign("batch", &inner, &spare()),
            ),
        ),
    ]
}

fn bad_keys() -> Vec<(&'static str, Vector)> {
    let keyed = |key: [u8; 32]| batch().set("key", key);
    let neutral = EIGHT_TORSION[0].compress().to_bytes();
    // R = neutral, S = 0: holds for every message under a key of order 1.
    let forged = [neutral, [0; 32]].concat().try_into().expect("64 bytes");
    let seal = |key, signature: &[u8; 64]| envelope("batch", &cose(signature), &keyed(key).bytes());
    let no_point = (0..=255).map(|y| [y; 32]);
    let mut no_point = no_point.filter(|key| CompressedEdwardsY(*key).decompress().is_none());
    let no_point = no_point.next().expect("half of all numbers are no point");
    let (mixed, signature) = mixed_order();
    vec![
        (
            "key-mixed-order",
            broken(
                "signature",
                "a key with a part of small order: the equation holds with the cofactor only",
                seal(mixed, &signature),
            ),
        ),
        (
            "key-neutral",
            broken(
                "key",
                "the neutral element as key, under which everything is signed",
                seal(neutral, &forged),
            ),
        ),
        (
            "key-no-point",
            broken(
                "key",
                "a key that is not a point of the curve",
                seal(no_point, &forged),
            ),
        ),
        (
            "key-not-canonical",
            broken(
                "key",
                "a key whose coordinate is not reduced",
                seal(not_canonical_key(), &forged),
            ),
        ),
        (
            "key-order-8",
            broken(
                "key",
                "a key of order 8",
                seal(EIGHT_TORSION[1].compress().to_bytes(), &forged),
            ),
        ),
    ]
}

/// The secret scalar of a key.
fn secret(key: &SigningKey) -> Scalar {
    let hash = Sha512::digest(key.to_bytes());
    let mut half = [0; 32];
    half.copy_from_slice(&hash[..32]);
    Scalar::from_bytes_mod_order(clamp_integer(half))
}

/// Ed25519's challenge: what binds R, key and message.
fn challenge(r: &[u8; 32], key: &[u8; 32], inner: &[u8]) -> Scalar {
    let signed = sig_structure("bellwether/1/batch", inner);
    let hash = Sha512::new()
        .chain_update(r)
        .chain_update(key)
        .chain_update(signed);
    Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
}

/// A signature of the signing key whose R is the neutral element.
fn small_order_r(inner: &[u8]) -> [u8; 64] {
    let r = EIGHT_TORSION[0].compress().to_bytes();
    let s = challenge(&r, &public(&signing()), inner) * secret(&signing());
    [r, s.to_bytes()].concat().try_into().expect("64 bytes")
}

/// The same signature with S + L for S.
fn not_reduced(signature: &[u8; 64]) -> [u8; 64] {
    let mut changed = *signature;
    let mut carry = 0;
    for (byte, add) in changed[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    changed
}

/// A point whose y is written as y + p, for the least y that is not of small order.
fn not_canonical_key() -> [u8; 32] {
    let candidates = (2..19u8).map(|y| {
        let mut key = [0xff; 32];
        (key[0], key[31]) = (0xed + y, 0x7f);
        key
    });
    let usable = |key: &[u8; 32]| {
        let point = CompressedEdwardsY(*key).decompress();
        point.is_some_and(|point| !point.is_small_order())
    };
    candidates
        .into_iter()
        .find(usable)
        .expect("a point with a small y")
}

/// A key with a torsion part, and a signature that holds times 8 but not as it is.
fn mixed_order() -> ([u8; 32], [u8; 64]) {
    let a = secret(&signing());
    let point: EdwardsPoint = ED25519_BASEPOINT_POINT * a + EIGHT_TORSION[1];
    let key = point.compress().to_bytes();
    let inner: Fields = batch().set("key", key);
    // The first nonce whose challenge is not a multiple of 8.
    (1..)
        .map(|nonce: u64| {
            let r = Scalar::from(nonce);
            let commitment = (ED25519_BASEPOINT_POINT * r).compress().to_bytes();
            let k = challenge(&commitment, &key, &inner.bytes());
            (k, [commitment, (r + k * a).to_bytes()].concat())
        })
        .find(|(k, _)| k.to_bytes()[0] % 8 != 0)
        .map(|(_, signature)| (key, signature.try_into().expect("64 bytes")))
        .expect("seven of eight challenges")
}
