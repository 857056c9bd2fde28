//! `batch/`, continued: what can be wrong with parts (spec §4.4).

use bellwether_formats::cid::{Cid, Codec};

use super::Vector;
use super::batch::{bad, parts};
use super::sample::{NOW, batch, block_ref, open_part, sealed_part, sha256};
use super::tree::{Fields, Tree};

/// A part of a kind that version 1 does not know.
pub(super) fn unknown_part() -> Fields {
    let nested = Fields::new([
        ("of", Tree::Null),
        ("cid", Cid::of(Codec::Raw, b"new").into()),
    ]);
    let list = vec![
        Tree::Raw(vec![0xf5]),
        Tree::Raw(vec![0x38, 0x63]),
        nested.into(),
    ];
    Fields::new([("a", 1.into()), ("kind", 7.into()), ("what", list.into())])
}

/// Open and sealed parts.
pub(super) fn bad_parts() -> Vec<(&'static str, Vector)> {
    let open = |key: &str, value: Tree| parts([open_part().set(key, value)]);
    let sealed = |key: &str, value: Tree| parts([sealed_part().set(key, value)]);
    let body = Cid::of(Codec::DagCbor, b"body");
    let filter = Cid::of(Codec::Raw, b"filter");
    let span = |from: u64, to: u64| vec![from.into(), to.into()].into();
    vec![
        (
            "open-body-empty",
            bad(
                "value",
                "a body of no bytes",
                open("body", block_ref(body, 0).into()),
            ),
        ),
        (
            "open-body-raw",
            bad(
                "cid",
                "a body that is a raw block",
                open("body", block_ref(filter, 1).into()),
            ),
        ),
        (
            "open-body-too-large",
            bad(
                "limit",
                "a body of 1 MiB and a byte",
                open("body", block_ref(body, (1 << 20) + 1).into()),
            ),
        ),
        (
            "open-count-0",
            bad(
                "value",
                "a part without notifications",
                open("count", 0.into()),
            ),
        ),
        (
            "open-count-too-high",
            bad(
                "limit",
                "2^20 + 1 notifications",
                open("count", ((1 << 20) + 1).into()),
            ),
        ),
        (
            "open-scheme-256",
            bad(
                "limit",
                "a scheme that does not fit a byte",
                open("scheme", 256.into()),
            ),
        ),
        (
            "open-unknown-key",
            bad(
                "unknown-key",
                "a field that open parts do not have",
                parts([open_part().add("more", 1)]),
            ),
        ),
        (
            "open-window-backwards",
            bad(
                "value",
                "a window that ends before it begins",
                open("window", span(NOW, NOW - 1)),
            ),
        ),
        (
            "open-window-empty",
            bad(
                "value",
                "a window of no seconds",
                open("window", span(NOW, NOW)),
            ),
        ),
        (
            "open-window-one",
            bad(
                "value",
                "a window with one time",
                open("window", vec![NOW.into()].into()),
            ),
        ),
        (
            "parts-33",
            bad("limit", "33 parts", parts(vec![open_part(); 33])),
        ),
        (
            "sealed-filter-dag-cbor",
            bad(
                "cid",
                "a filter that is a dag-cbor block",
                sealed("filter", block_ref(body, 1).into()),
            ),
        ),
        (
            "sealed-ids-few",
            bad("value", "8191 identifiers", sealed("ids", 8191.into())),
        ),
        (
            "sealed-ids-many",
            bad(
                "limit",
                "2^18 + 1 identifiers",
                sealed("ids", ((1 << 18) + 1).into()),
            ),
        ),
        (
            "sealed-index-missing",
            bad(
                "missing-key",
                "a sealed part without an index",
                parts([sealed_part().without("index")]),
            ),
        ),
    ]
}

/// Parts of unknown kinds.
pub(super) fn bad_unknown() -> Vec<(&'static str, Vector)> {
    let unknown = |value: Tree| parts([unknown_part().set("what", value)]);
    let links: Vec<Tree> = (0..65u8)
        .map(|n| Cid::of(Codec::Raw, &sha256(&[n])).into())
        .collect();
    let seven = (0..7).fold(Tree::Uint(1), |inner, _| vec![inner].into());
    let wide = vec![0; 8192];
    vec![
        (
            "envelope-too-large",
            bad(
                "limit",
                "an envelope of more than 8 KiB",
                unknown(wide.as_slice().into()),
            ),
        ),
        (
            "unknown-part-depth-9",
            bad(
                "limit",
                "a number in seven lists in a part: nine deep",
                unknown(seven),
            ),
        ),
        (
            "unknown-part-float",
            bad(
                "float",
                "a float in a part of an unknown kind",
                unknown(Tree::Raw(vec![0xf9, 0x3c, 0x00])),
            ),
        ),
        (
            "unknown-part-key-order",
            bad(
                "key-order",
                "keys out of order in a part of an unknown kind",
                parts([unknown_part().last("a")]),
            ),
        ),
        (
            "unknown-part-kind-256",
            bad(
                "limit",
                "a kind that does not fit a byte",
                parts([unknown_part().set("kind", 256)]),
            ),
        ),
        (
            "unknown-part-links",
            bad("limit", "a part with 65 links", unknown(links.into())),
        ),
        (
            "unknown-part-no-kind",
            bad(
                "missing-key",
                "a part without a kind",
                parts([unknown_part().without("kind")]),
            ),
        ),
        (
            "unknown-part-tag",
            bad(
                "tag",
                "a tag other than 42 in a part of an unknown kind",
                unknown(Tree::Raw(vec![0xc1, 0x00])),
            ),
        ),
        (
            "unknown-part-not-a-map",
            bad(
                "type",
                "a part that is a list",
                batch().set("parts", vec![Tree::List(vec![7.into()])]),
            ),
        ),
    ]
}
