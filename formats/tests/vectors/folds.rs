//! `folds.json`: batches that cover others, and where sealed parts stand (spec §4.5, §5.3).

use bellwether_formats::cid::{Cid, Codec};

use super::File;
use super::json::{hex, list, object, quoted, row};
use super::parts::unknown_part;
use super::sample::{batch, open_part, seal_batch, sealed_part};
use super::tree::{Fields, Tree};

const ABOUT: &str = "Batches that cover others (spec §4.5), as signed envelopes. A valid one has the range of batches whose live content its sealed parts hold, and for each part what a client makes of it: that it is read as the part-th of so many sealed parts of its scheme (part of parts, from 0), or that it is answered update-needed, or the rule that it breaks as a part.";

pub(super) fn files() -> Vec<File> {
    let text = object(
        0,
        &[
            ("about", quoted(ABOUT)),
            ("batches", list(1, &[accepted(), refused()].concat())),
        ],
    );
    vec![File {
        path: "folds.json".to_owned(),
        text: text + "\n",
    }]
}

/// What a client makes of a part.
enum Answer {
    Read(u8, u8),
    UpdateNeeded,
    Broken,
}

impl Answer {
    fn text(&self) -> String {
        match self {
            Self::Read(part, parts) => format!("{{\"part\": {part}, \"parts\": {parts}}}"),
            Self::UpdateNeeded => quoted("update-needed"),
            Self::Broken => quoted("sealed-parts"),
        }
    }
}

fn sealed() -> Fields {
    sealed_part().set("scheme", 1)
}

/// A sealed part of scheme 1 with other blocks.
fn second() -> Fields {
    let index = Fields::new([("cid", Cid::of(Codec::DagCbor, b"second").into())]);
    sealed().set("index", index)
}

/// Batch 9 with these parts.
fn nine(parts: Vec<Fields>) -> Fields {
    let parts: Vec<Tree> = parts.into_iter().map(Tree::Map).collect();
    batch().set("seq", 9).set("parts", parts)
}

fn covers(first: u64, last: u64, parts: Vec<Fields>) -> Fields {
    nine(parts).add("covers", vec![first.into(), last.into()])
}

fn accepted() -> Vec<String> {
    use Answer::{Broken, Read, UpdateNeeded};
    let good = |about, batch: Fields, range: [u64; 2], parts: &[Answer]| {
        let parts: Vec<String> = parts.iter().map(Answer::text).collect();
        object(
            2,
            &[
                ("about", quoted(about)),
                ("expect", quoted("valid")),
                ("range", row(&range.map(|seq| seq.to_string()))),
                ("parts", row(&parts)),
                ("envelope", hex(&seal_batch(&batch))),
            ],
        )
    };
    let larger = || second().set("ids", 10_240);
    vec![
        good(
            "a plain batch: its range is itself",
            nine(vec![sealed()]),
            [9, 9],
            &[Read(0, 1)],
        ),
        good(
            "a revision of batch 4",
            covers(4, 4, vec![sealed()]),
            [4, 4],
            &[Read(0, 1)],
        ),
        good(
            "a fold of batches 2 to 8, in two parts",
            covers(2, 8, vec![sealed(), second()]),
            [2, 8],
            &[Read(0, 2), Read(1, 2)],
        ),
        good(
            "a revision of the batch before, of two schemes",
            covers(8, 8, vec![sealed(), sealed_part(), sealed_part()]),
            [8, 8],
            &[Read(0, 1), Read(0, 2), Read(1, 2)],
        ),
        good("covers without parts", covers(1, 1, vec![]), [1, 1], &[]),
        good(
            "an open part in a fold: the batch stays, the part is not read",
            covers(2, 8, vec![open_part(), sealed()]),
            [2, 8],
            &[UpdateNeeded, Read(0, 1)],
        ),
        good(
            "a part of an unknown kind in a fold",
            covers(2, 8, vec![sealed(), unknown_part()]),
            [2, 8],
            &[Read(0, 1), UpdateNeeded],
        ),
        good(
            "two sealed parts of a scheme that differ in ids",
            nine(vec![sealed(), larger()]),
            [9, 9],
            &[Broken, Broken],
        ),
        good(
            "two sealed parts of a scheme with another between them",
            nine(vec![sealed(), sealed_part(), second()]),
            [9, 9],
            &[Broken, Read(0, 1), Broken],
        ),
    ]
}

fn refused() -> Vec<String> {
    let bad = |rule, about, batch: Fields| {
        object(
            2,
            &[
                ("about", quoted(about)),
                ("expect", quoted(rule)),
                ("envelope", hex(&seal_batch(&batch))),
            ],
        )
    };
    let list = |numbers: &[u64]| -> Vec<Tree> { numbers.iter().map(|n| Tree::Uint(*n)).collect() };
    vec![
        bad(
            "value",
            "covers reaches the batch itself",
            covers(4, 9, vec![sealed()]),
        ),
        bad(
            "value",
            "covers reaches a batch to come",
            covers(10, 12, vec![sealed()]),
        ),
        bad(
            "value",
            "covers ends before it begins",
            covers(5, 4, vec![sealed()]),
        ),
        bad(
            "value",
            "covers begins at batch 0",
            covers(0, 4, vec![sealed()]),
        ),
        bad(
            "limit",
            "covers with three numbers",
            nine(vec![sealed()]).add("covers", list(&[2, 3, 4])),
        ),
        bad(
            "type",
            "covers is a number",
            nine(vec![sealed()]).add("covers", 4),
        ),
    ]
}
