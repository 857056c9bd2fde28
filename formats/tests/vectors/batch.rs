//! `batch/`: batch envelopes (spec §4.2, §4.4), all properly signed.

use bellwether_formats::cid::{Cid, Codec};

use super::parts::{bad_parts, bad_unknown, unknown_part};
use super::sample::{DAY, NOW, batch, block_ref, open_part, seal_batch, sealed_part};
use super::tree::{Fields, Tree};
use super::{File, Vector, broken, section, valid};

fn good(rule: &'static str, about: &'static str, fields: Fields) -> Vector {
    valid(rule, about, seal_batch(&fields))
}

pub(super) fn bad(rule: &'static str, about: &'static str, fields: Fields) -> Vector {
    broken(rule, about, seal_batch(&fields))
}

/// The sample batch with these parts.
pub(super) fn parts(parts: impl IntoIterator<Item = Fields>) -> Fields {
    batch().set(
        "parts",
        parts.into_iter().map(Tree::Map).collect::<Vec<_>>(),
    )
}

/// The first batch of a feed.
fn first() -> Fields {
    batch().set("seq", 1).without("prev")
}

fn span(first: u64, last: u64) -> Vec<Tree> {
    vec![first.into(), last.into()]
}

pub(super) fn vectors() -> Vec<File> {
    let vectors = [
        accepted(),
        bad_fields(),
        bad_times(),
        bad_parts(),
        bad_unknown(),
    ];
    section("batch", vectors.into_iter().flatten())
}

fn accepted() -> Vec<(&'static str, Vector)> {
    let at_the_edge = batch()
        .set("next_by", NOW + 7 * DAY)
        .set("next_after", NOW + DAY);
    let soonest = batch().set("next_by", NOW + 1).set("next_after", NOW);
    let last = (1 << 53) - 1;
    vec![
        (
            "heartbeat",
            good("missing-key", "a batch without parts", batch()),
        ),
        (
            "first",
            good("value", "batch 1, which has no prev", first()),
        ),
        (
            "last",
            good(
                "limit",
                "the highest number and epoch",
                batch().set("seq", last).set("epoch", last),
            ),
        ),
        (
            "times-latest",
            good(
                "value",
                "next_by 7 days on, next_after 24 hours on",
                at_the_edge,
            ),
        ),
        (
            "times-soonest",
            good(
                "value",
                "next_by a second on, next_after and retain_from at once",
                soonest.set("retain_from", NOW),
            ),
        ),
        (
            "covers",
            good(
                "value",
                "a fold of the one batch before it",
                batch().add("covers", span(1, 1)),
            ),
        ),
        (
            "open-part",
            good("value", "an open part", parts([open_part()])),
        ),
        (
            "open-part-largest",
            good(
                "limit",
                "2^20 notifications in a body of 1 MiB",
                parts([open_part()
                    .set("count", 1 << 20)
                    .set("body", block_ref(Cid::of(Codec::DagCbor, b"body"), 1 << 20))]),
            ),
        ),
        (
            "open-part-scheme-255",
            good(
                "limit",
                "a scheme that nobody knows yet: kept, relayed, answered \"update needed\"",
                parts([open_part().set("scheme", 255)]),
            ),
        ),
        (
            "parts-32",
            good("limit", "32 parts", parts(vec![open_part(); 32])),
        ),
        (
            "sealed-part",
            good("value", "a sealed part", parts([sealed_part()])),
        ),
        (
            "unknown-part",
            good(
                "value",
                "a part of an unknown kind between two known ones: kept to the byte and relayed",
                parts([open_part(), unknown_part(), sealed_part()]),
            ),
        ),
    ]
}

fn bad_fields() -> Vec<(&'static str, Vector)> {
    let b = batch;
    let raw = Cid::of(Codec::Raw, b"descriptor");
    vec![
        (
            "covers-backwards",
            bad(
                "value",
                "covers ends before it begins",
                b().set("seq", 9).add("covers", span(5, 4)),
            ),
        ),
        (
            "covers-itself",
            bad(
                "value",
                "covers reaches the batch itself",
                b().add("covers", span(1, 2)),
            ),
        ),
        (
            "covers-one-number",
            bad(
                "value",
                "covers with one number",
                b().add("covers", vec![1.into()]),
            ),
        ),
        (
            "covers-zero",
            bad(
                "value",
                "covers from batch 0",
                b().add("covers", span(0, 1)),
            ),
        ),
        (
            "desc-bytes",
            bad(
                "type",
                "desc as bytes, not as a link",
                b().set("desc", raw.to_bytes()),
            ),
        ),
        (
            "desc-raw",
            bad("cid", "desc names a raw block", b().set("desc", raw)),
        ),
        ("epoch-0", bad("value", "epoch 0", b().set("epoch", 0))),
        (
            "epoch-too-high",
            bad("limit", "epoch 2^53", b().set("epoch", 1 << 53)),
        ),
        (
            "key-order",
            bad("key-order", "seq at the end", b().last("seq")),
        ),
        (
            "key-short",
            bad("value", "a key of 31 bytes", b().set("key", [7; 31])),
        ),
        (
            "missing-salt",
            bad("missing-key", "no salt", b().without("salt")),
        ),
        (
            "prev-in-first",
            bad("value", "batch 1 with a prev", b().set("seq", 1)),
        ),
        (
            "prev-missing",
            bad("value", "batch 2 without a prev", b().without("prev")),
        ),
        (
            "prev-null",
            bad(
                "type",
                "prev is null instead of absent",
                b().set("seq", 1).set("prev", Tree::Null),
            ),
        ),
        (
            "salt-15",
            bad("value", "a salt of 15 bytes", b().set("salt", [7; 15])),
        ),
        (
            "salt-17",
            bad("limit", "a salt of 17 bytes", b().set("salt", [7; 17])),
        ),
        ("seq-0", bad("value", "batch 0", first().set("seq", 0))),
        (
            "seq-long",
            bad(
                "not-shortest",
                "seq in two bytes where one would do",
                b().set("seq", Tree::Raw(vec![0x18, 0x02])),
            ),
        ),
        ("seq-text", bad("type", "seq as text", b().set("seq", "2"))),
        (
            "seq-too-high",
            bad("limit", "seq 2^53", b().set("seq", 1 << 53)),
        ),
        (
            "unknown-key",
            bad(
                "unknown-key",
                "a field that batches do not have",
                b().add("note", "hello"),
            ),
        ),
        ("version-0", bad("version", "version 0", b().set("v", 0))),
        ("version-2", bad("version", "version 2", b().set("v", 2))),
        (
            "zone-not-one",
            bad(
                "value",
                "a zone with an empty label",
                b().set("zone", "gb//sct"),
            ),
        ),
        (
            "zone-too-long",
            bad(
                "limit",
                "a zone of 68 bytes",
                b().set("zone", "a".repeat(68).as_str()),
            ),
        ),
    ]
}

fn bad_times() -> Vec<(&'static str, Vector)> {
    let b = batch;
    vec![
        (
            "next-after-before",
            bad(
                "value",
                "next_after before published_at",
                b().set("next_after", NOW - 1),
            ),
        ),
        (
            "next-after-past-next-by",
            bad(
                "value",
                "next_after later than next_by",
                b().set("next_after", NOW + 3 * 3600 + 1),
            ),
        ),
        (
            "next-after-too-late",
            bad(
                "value",
                "next_after 24 hours and a second on",
                b().set("next_by", NOW + 2 * DAY)
                    .set("next_after", NOW + DAY + 1),
            ),
        ),
        (
            "next-by-now",
            bad(
                "value",
                "next_by when it is published: stale from the start",
                b().set("next_by", NOW).set("next_after", NOW),
            ),
        ),
        (
            "next-by-too-late",
            bad(
                "value",
                "next_by 7 days and a second on",
                b().set("next_by", NOW + 7 * DAY + 1),
            ),
        ),
        (
            "published-at-too-late",
            bad(
                "limit",
                "published in the second 2^53",
                b().set("published_at", 1 << 53),
            ),
        ),
        (
            "retain-from-later",
            bad(
                "value",
                "retain_from after published_at",
                b().set("retain_from", NOW + 1),
            ),
        ),
    ]
}
