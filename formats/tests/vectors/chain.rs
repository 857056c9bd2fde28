//! `chain/`: two objects, and whether the second stands where it claims to (spec §4.3).

use bellwether_formats::cid::{Cid, Codec};

use ed25519_dalek::SigningKey;

use super::sample::{
    DAY, NOW, batch, descriptor, key_window, public, seal, seal_batch, seal_descriptor, sha256,
    signing, spare, stranger,
};
use super::tree::Fields;
use super::{File, Vector, broken, section, valid};

/// The batch after the sample.
fn next() -> Fields {
    batch()
        .set("seq", 3)
        .set("prev", sha256(&batch().bytes()))
        .set("published_at", NOW + 3600)
        .set("next_after", NOW + 7200)
        .set("next_by", NOW + 4 * 3600)
}

/// A batch far after the sample: number 2 + `grown`, `seconds` later.
fn far(grown: u64, seconds: u64) -> Fields {
    next()
        .set("seq", 2 + grown)
        .set("prev", sha256(b"another"))
        .set("published_at", NOW + seconds)
        .set("next_after", NOW + seconds)
        .set("next_by", NOW + seconds + 3600)
}

/// The batch with the descriptor that it names.
fn under(descriptor: &Fields, batch: Fields) -> Vec<u8> {
    let desc = Cid::of(Codec::DagCbor, &seal_descriptor(descriptor));
    seal_batch(&batch.set("desc", desc))
}

pub(super) fn vectors() -> Vec<File> {
    let vectors = [following(), listed(), times()];
    section("chain", vectors.into_iter().flatten())
}

/// `next`: right after the head. `later`: somewhere after it.
fn following() -> Vec<(&'static str, Vector)> {
    let head = seal_batch(&batch());
    let blocks = |vector: Vector, check, batch: Fields| {
        let blocks = [("head", head.as_slice()), ("batch", &seal_batch(&batch))];
        vector.with("check", check).blocks(&blocks)
    };
    let good = |rule, about, check, batch| blocks(valid(rule, about, []), check, batch);
    let bad = |rule, about, check, batch| blocks(broken(rule, about, []), check, batch);
    vec![
        ("next", good("prev", "the next batch", "next", next())),
        (
            "next-epoch",
            good(
                "epoch",
                "the next batch, of a higher epoch",
                "next",
                next().set("epoch", 9),
            ),
        ),
        (
            "next-second",
            good(
                "published-at",
                "the next batch, one second later",
                "next",
                next().set("published_at", NOW + 1).set("retain_from", NOW),
            ),
        ),
        (
            "later",
            good(
                "seq-growth",
                "as many batches as seconds",
                "later",
                far(10, 10),
            ),
        ),
        (
            "epoch-falls",
            bad(
                "epoch",
                "an epoch lower than the head's",
                "next",
                next().set("epoch", 2),
            ),
        ),
        (
            "later-epoch-falls",
            bad(
                "epoch",
                "far on, an epoch lower than the head's",
                "later",
                far(5, 3600).set("epoch", 2),
            ),
        ),
        (
            "later-grows-too-fast",
            bad(
                "seq-growth",
                "eleven batches in ten seconds",
                "later",
                far(11, 10),
            ),
        ),
        (
            "later-published-before",
            bad(
                "published-at",
                "far on, published before the head",
                "later",
                far(5, 0).set("published_at", NOW - 1),
            ),
        ),
        (
            "prev-other",
            bad(
                "prev",
                "prev is another batch",
                "next",
                next().set("prev", sha256(b"another")),
            ),
        ),
        (
            "prev-envelope",
            bad(
                "prev",
                "prev is the hash of the head's envelope, not its id",
                "next",
                next().set("prev", sha256(&head)),
            ),
        ),
        (
            "published-same-second",
            bad(
                "published-at",
                "published in the head's second",
                "next",
                next().set("published_at", NOW).set("next_after", NOW + 60),
            ),
        ),
        (
            "seq-gap",
            bad(
                "seq",
                "a batch is missing between the two",
                "next",
                next().set("seq", 4),
            ),
        ),
        (
            "seq-same",
            bad(
                "seq",
                "the head's number once more",
                "next",
                next().set("seq", 2),
            ),
        ),
    ]
}

/// `listed`: may this be the newest batch under this descriptor?
fn listed() -> Vec<(&'static str, Vector)> {
    let sample = seal_descriptor(&descriptor());
    let blocks = |vector: Vector, descriptor: &[u8], batch: &[u8]| {
        let blocks = [("descriptor", descriptor), ("batch", batch)];
        vector.with("check", "listed").blocks(&blocks)
    };
    let good = |about, batch: &[u8]| blocks(valid("key-not-listed", about, []), &sample, batch);
    let bad = |rule, about, batch: &[u8]| blocks(broken(rule, about, []), &sample, batch);
    let by = |key: SigningKey, batch: Fields| {
        seal("batch", &batch.set("key", public(&key)).bytes(), &key)
    };
    let at = |published: u64| {
        batch()
            .set("published_at", published)
            .set("retain_from", published)
            .set("next_after", published)
            .set("next_by", published + 1)
    };
    let brief = descriptor().set("expires_at", NOW);
    let expired = (
        "descriptor-expired",
        "published in the second in which the descriptor expires",
    );
    let expired = blocks(
        broken(expired.0, expired.1, []),
        &seal_descriptor(&brief),
        &under(&brief, batch()),
    );
    let one_key = descriptor().set("keys", vec![key_window(&signing()).into()]);
    let removed = (
        "key-not-listed",
        "under a renewed descriptor that no longer lists its key",
    );
    let renewed = one_key.set("epoch", 4);
    let removed = blocks(
        broken(removed.0, removed.1, []),
        &seal_descriptor(&renewed),
        &by(spare(), batch()),
    );
    vec![
        (
            "listed",
            good("the first key of the descriptor", &seal_batch(&batch())),
        ),
        (
            "listed-spare",
            good("the second key of the descriptor", &by(spare(), batch())),
        ),
        (
            "listed-first-second",
            good(
                "published in the first second of the key's window",
                &seal_batch(&at(NOW - DAY)),
            ),
        ),
        (
            "listed-older-epoch",
            good(
                "a batch of an older epoch under a key that is still listed",
                &seal_batch(
                    &batch()
                        .set("epoch", 2)
                        .set("desc", Cid::of(Codec::DagCbor, b"older")),
                ),
            ),
        ),
        ("descriptor-expired", expired),
        (
            "descriptor-other",
            bad(
                "desc",
                "it names another descriptor of the same epoch",
                &seal_batch(&batch().set("desc", Cid::of(Codec::DagCbor, b"another"))),
            ),
        ),
        (
            "key-before-window",
            bad(
                "key-not-listed",
                "published a second before the key's window",
                &seal_batch(&at(NOW - DAY - 1)),
            ),
        ),
        (
            "key-after-window",
            bad(
                "key-not-listed",
                "published in the second in which the key's window ends",
                &seal_batch(&at(NOW + 300 * DAY)),
            ),
        ),
        ("key-removed", removed),
        (
            "key-of-stranger",
            bad(
                "key-not-listed",
                "a key that the descriptor does not list",
                &by(stranger(), batch()),
            ),
        ),
        (
            "new-epoch",
            bad(
                "new-epoch",
                "an epoch above the descriptor's: fetch the newer one first",
                &seal_batch(&batch().set("epoch", 4)),
            ),
        ),
        (
            "zone-not-listed",
            bad(
                "zone-not-listed",
                "a zone that the descriptor does not list",
                &seal_batch(&batch().set("zone", "gb/wls")),
            ),
        ),
    ]
}

/// `time`: may it be shown now?
fn times() -> Vec<(&'static str, Vector)> {
    let sample = seal_batch(&batch());
    let blocks = |vector: Vector, now: u64| {
        let vector = vector.with("check", "time").with("now", now);
        vector.blocks(&[("batch", &sample)])
    };
    vec![
        (
            "time-ahead",
            blocks(
                valid("future", "600 seconds ahead of the reader's clock", []),
                NOW - 600,
            ),
        ),
        (
            "time-old",
            blocks(
                valid("future", "a year behind the reader's clock", []),
                NOW + 365 * DAY,
            ),
        ),
        (
            "future",
            blocks(
                broken("future", "601 seconds ahead of the reader's clock", []),
                NOW - 601,
            ),
        ),
    ]
}
