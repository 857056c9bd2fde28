//! `descriptor/`: descriptor envelopes (spec §1.3), all properly signed.

use super::sample::{
    DAY, NOW, descriptor, key_window, keys, next_root, public, seal_descriptor, sha256, signing,
    stranger,
};
use super::tree::{Fields, Tree};
use super::{File, Vector, broken, section, valid};

fn good(rule: &'static str, about: &'static str, fields: Fields) -> Vector {
    valid(rule, about, seal_descriptor(&fields))
}

fn bad(rule: &'static str, about: &'static str, fields: Fields) -> Vector {
    broken(rule, about, seal_descriptor(&fields))
}

fn anchor(zone: &str, epoch: u64) -> Tree {
    Fields::new([
        ("id", sha256(zone.as_bytes()).into()),
        ("seq", 17.into()),
        ("zone", zone.into()),
        ("epoch", epoch.into()),
    ])
    .into()
}

/// An anchor with a number and an id.
fn anchored(seq: u64, id: [u8; 32]) -> Tree {
    Fields::new([
        ("id", id.into()),
        ("seq", seq.into()),
        ("zone", "gb".into()),
        ("epoch", 2.into()),
    ])
    .into()
}

fn gateway(url: &str, operator: &str) -> Tree {
    Fields::new([("url", url.into()), ("operator", operator.into())]).into()
}

pub(super) fn vectors() -> Vec<File> {
    let vectors = [accepted(), bad_lists(), bad_fields()];
    section("descriptor", vectors.into_iter().flatten())
}

fn accepted() -> Vec<(&'static str, Vector)> {
    let d = descriptor;
    let mut peers = [public(&stranger()), public(&next_root())];
    peers.sort_unstable();
    let full = d()
        .add("anchors", vec![anchor("gb", 2), anchor("gb/sct", 3)])
        .add("upstream", public(&stranger()))
        .add("successor", public(&next_root()))
        .set("peers", peers.map(Tree::from).to_vec());
    vec![
        (
            "plain",
            good("missing-key", "the required fields alone", d()),
        ),
        ("full", good("unknown-key", "every optional field", full)),
        (
            "anchor-beginning",
            good(
                "value",
                "an anchor at the beginning of a feed: number 0 and a zero id",
                d().add("anchors", vec![anchored(0, [0; 32])]),
            ),
        ),
        (
            "life-400-days",
            good(
                "value",
                "a life of 400 days",
                d().set("issued_at", NOW).set("expires_at", NOW + 400 * DAY),
            ),
        ),
        (
            "name-128",
            good(
                "limit",
                "a name of 128 bytes",
                d().set("name", "n".repeat(128).as_str()),
            ),
        ),
        (
            "no-gateways",
            good("limit", "no gateways", d().set("gateways", Vec::new())),
        ),
        (
            "url-odd",
            good(
                "value",
                "a gateway whose address a client cannot use, which is no reason to refuse",
                d().set("gateways", vec![gateway("gopher:", "A")]),
            ),
        ),
    ]
}

fn bad_lists() -> Vec<(&'static str, Vector)> {
    let d = descriptor;
    let with = |first: Tree, second: Tree| vec![first, second];
    let [one, two] = <[Tree; 2]>::try_from(keys()).expect("two keys");
    let nine = (10..19).map(|n| key_window(&ed25519_dalek::SigningKey::from_bytes(&[n; 32])));
    let nine: Vec<Tree> = nine.map(Tree::from).collect();
    let later = key_window(&signing()).set("not_after", NOW + 301 * DAY);
    let empty = key_window(&signing()).set("not_after", NOW - DAY);
    vec![
        (
            "anchors-empty",
            bad(
                "value",
                "an empty list of anchors, which is spelt by leaving it out",
                d().add("anchors", Vec::new()),
            ),
        ),
        (
            "anchors-descend",
            bad(
                "order",
                "anchors in descending order of zones",
                d().add("anchors", with(anchor("gb/sct", 3), anchor("gb", 3))),
            ),
        ),
        (
            "anchors-twice",
            bad(
                "duplicate",
                "two anchors of a zone",
                d().add("anchors", with(anchor("gb", 2), anchor("gb", 3))),
            ),
        ),
        (
            "anchor-later",
            bad(
                "value",
                "an anchor of a later epoch than the descriptor's",
                d().add("anchors", vec![anchor("gb", 4)]),
            ),
        ),
        (
            "anchor-beginning-id",
            bad(
                "value",
                "an anchor of number 0 with the id of a batch",
                d().add("anchors", vec![anchored(0, sha256(b"gb"))]),
            ),
        ),
        (
            "anchor-zero-id",
            bad(
                "value",
                "an anchor of number 17 with a zero id",
                d().add("anchors", vec![anchored(17, [0; 32])]),
            ),
        ),
        (
            "gateway-operator-long",
            bad(
                "limit",
                "an operator of 65 bytes",
                d().set(
                    "gateways",
                    vec![gateway("https://a.example", &"o".repeat(65))],
                ),
            ),
        ),
        (
            "gateway-url-empty",
            bad(
                "value",
                "a gateway without an address",
                d().set("gateways", vec![gateway("", "A")]),
            ),
        ),
        (
            "gateways-17",
            bad(
                "limit",
                "17 gateways",
                d().set("gateways", vec![gateway("https://a.example", "A"); 17]),
            ),
        ),
        (
            "key-twice",
            bad(
                "duplicate",
                "one signing key with two windows",
                d().set("keys", with(key_window(&signing()).into(), later.into())),
            ),
        ),
        (
            "key-window-empty",
            bad(
                "value",
                "a key that is never valid",
                d().set("keys", vec![empty.into()]),
            ),
        ),
        (
            "keys-9",
            bad("limit", "nine signing keys", d().set("keys", nine)),
        ),
        (
            "keys-descend",
            bad(
                "order",
                "signing keys in descending order",
                d().set("keys", with(two, one)),
            ),
        ),
        (
            "keys-empty",
            bad("value", "no signing key", d().set("keys", Vec::new())),
        ),
        (
            "peer-short",
            bad(
                "value",
                "a peer of 31 bytes",
                d().set("peers", vec![Tree::from([7; 31])]),
            ),
        ),
        (
            "zone-not-one",
            bad(
                "value",
                "a zone in upper case",
                d().set("zones", vec!["GB".into()]),
            ),
        ),
        (
            "zones-descend",
            bad(
                "order",
                "zones in descending order",
                d().set("zones", with("gb/sct".into(), "gb".into())),
            ),
        ),
        (
            "zones-empty",
            bad("value", "no zone", d().set("zones", Vec::new())),
        ),
        (
            "zones-twice",
            bad(
                "duplicate",
                "one zone twice",
                d().set("zones", with("gb".into(), "gb".into())),
            ),
        ),
    ]
}

fn bad_fields() -> Vec<(&'static str, Vector)> {
    let d = descriptor;
    vec![
        ("epoch-0", bad("value", "epoch 0", d().set("epoch", 0))),
        (
            "expires-at-issue",
            bad(
                "value",
                "it expires when it is issued",
                d().set("expires_at", NOW - DAY),
            ),
        ),
        (
            "life-too-long",
            bad(
                "value",
                "a life of 400 days and a second",
                d().set("issued_at", NOW)
                    .set("expires_at", NOW + 400 * DAY + 1),
            ),
        ),
        (
            "missing-next-root",
            bad(
                "missing-key",
                "no commitment to the next root key",
                d().without("next_root"),
            ),
        ),
        (
            "name-129",
            bad(
                "limit",
                "a name of 129 bytes",
                d().set("name", "n".repeat(129).as_str()),
            ),
        ),
        (
            "name-empty",
            bad("value", "an empty name", d().set("name", "")),
        ),
        (
            "name-utf8",
            bad(
                "utf8",
                "a name that is not UTF-8",
                d().set("name", Tree::Raw(vec![0x62, 0xc3, 0x28])),
            ),
        ),
        (
            "order",
            bad(
                "key-order",
                "provider after the fields that follow it",
                d().last("provider"),
            ),
        ),
        (
            "unknown-key",
            bad(
                "unknown-key",
                "a field that descriptors do not have",
                d().add("comment", "hello"),
            ),
        ),
        (
            "upstream-null",
            bad(
                "type",
                "an optional field that is null instead of absent",
                d().add("upstream", Tree::Null),
            ),
        ),
        ("version-2", bad("version", "version 2", d().set("v", 2))),
    ]
}
