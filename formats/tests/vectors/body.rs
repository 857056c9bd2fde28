//! `body/`: open bodies (spec §6), read as the scheme that the header names.

use super::sample::{NOW, group, seed};
use super::tree::Tree;
use super::{File, Vector, broken, section, valid};

/// A body of groups.
fn body(groups: &[Tree]) -> Vec<u8> {
    Tree::from(groups.to_vec()).bytes()
}

/// Seeds, concatenated.
fn seeds(numbers: &[u8]) -> Vec<u8> {
    numbers.iter().flat_map(|number| seed(*number)).collect()
}

/// A group of level 5 without grade.
fn diagnosed(values: &[u8]) -> Tree {
    group(5, Tree::Null, NOW, values)
}

pub(super) fn vectors() -> Vec<File> {
    let vectors = accepted().into_iter().chain(refused()).chain(listed());
    // Bodies are of scheme 1 unless they say otherwise.
    section(
        "body",
        vectors.map(|(name, vector)| match vector.more.is_empty() {
            true => (name, vector.with("scheme", 1)),
            false => (name, vector),
        }),
    )
}

fn accepted() -> Vec<(&'static str, Vector)> {
    let (one, two) = (seed(1), seeds(&[2, 3]));
    vec![
        ("one", valid("value", "one seed", body(&[diagnosed(&one)]))),
        (
            "cx2",
            valid("value", "one seed of 48 bytes", body(&[diagnosed(&two)])).with("scheme", 2),
        ),
        (
            "groups",
            valid(
                "order",
                "groups by level, then grade with null first, then time",
                body(&[
                    group(0, Tree::Null, NOW, &one),
                    group(5, Tree::Null, NOW, &two),
                    group(5, 0, NOW - 1, &seed(4)),
                    group(5, 0, NOW, &seed(5)),
                    group(5, 100, 0, &seed(6)),
                    group(255, Tree::Null, (1 << 53) - 1, &seed(7)),
                ]),
            ),
        ),
    ]
}

/// Bodies of schemes whose units have several lengths, and of those that have no open body.
fn listed() -> Vec<(&'static str, Vector)> {
    // What they say is for their scheme's reader; a body is judged by lengths and order.
    let report = |first: u8, len: usize| {
        let mut unit = vec![first];
        unit.resize(len, 0x77);
        Tree::Bytes(unit)
    };
    let tcn =
        |values: Vec<Tree>| body(&[vec![5.into(), Tree::Null, NOW.into(), values.into()].into()]);
    let of = |scheme: u64, vector: Vector| vector.with("scheme", scheme);
    vec![
        (
            "list",
            of(
                3,
                valid(
                    "value",
                    "reports of the shortest and the longest length",
                    tcn(vec![report(1, 134), report(2, 389)]),
                ),
            ),
        ),
        (
            "list-short",
            of(
                3,
                broken("value", "a report of 133 bytes", tcn(vec![report(1, 133)])),
            ),
        ),
        (
            "list-long",
            of(
                3,
                broken("limit", "a report of 390 bytes", tcn(vec![report(1, 390)])),
            ),
        ),
        (
            "list-empty",
            of(3, broken("value", "a group without reports", tcn(vec![]))),
        ),
        (
            "list-descends",
            of(
                3,
                broken(
                    "order",
                    "reports are ordered by bytes, not by length",
                    tcn(vec![report(2, 134), report(1, 389)]),
                ),
            ),
        ),
        (
            "list-twice",
            of(
                3,
                broken(
                    "duplicate",
                    "one report twice",
                    tcn(vec![report(1, 134), report(1, 134)]),
                ),
            ),
        ),
        (
            "list-joined",
            of(
                3,
                broken(
                    "type",
                    "reports in one byte string",
                    body(&[diagnosed(&[0x77; 134])]),
                ),
            ),
        ),
        (
            "list-of-seeds",
            of(
                1,
                broken("type", "seeds in a list", tcn(vec![Tree::Bytes(seed(1))])),
            ),
        ),
        (
            "gaen",
            of(
                7,
                valid(
                    "value",
                    "a key of 23 bytes",
                    body(&[diagnosed(&[0x77; 23])]),
                ),
            ),
        ),
        (
            "dp3t-lowcost",
            of(
                4,
                valid(
                    "value",
                    "a key of 35 bytes",
                    body(&[diagnosed(&[0x77; 35])]),
                ),
            ),
        ),
        (
            "dp3t-hybrid",
            of(
                6,
                valid(
                    "value",
                    "a seed of 21 bytes",
                    body(&[diagnosed(&[0x77; 21])]),
                ),
            ),
        ),
        (
            "dp3t-unlinkable",
            of(
                5,
                broken(
                    "value",
                    "a scheme that is always sealed has no open body",
                    body(&[diagnosed(&[0x77; 36])]),
                ),
            ),
        ),
        (
            "fanny",
            of(
                8,
                broken(
                    "value",
                    "a scheme that is always sealed has no open body",
                    body(&[diagnosed(&[0x77; 50])]),
                ),
            ),
        ),
    ]
}

fn refused() -> Vec<(&'static str, Vector)> {
    let (one, two) = (seed(1), seed(2));
    let four = |level: Tree, grade: Tree, before: Tree, values: Tree| {
        body(&[vec![level, grade, before, values].into()])
    };
    vec![
        ("empty", broken("value", "a body without groups", body(&[]))),
        (
            "grade-101",
            broken(
                "limit",
                "a grade above 100",
                body(&[group(5, 101, NOW, &one)]),
            ),
        ),
        (
            "grade-bool",
            broken(
                "type",
                "a grade that is a boolean",
                four(
                    5.into(),
                    Tree::Raw(vec![0xf5]),
                    NOW.into(),
                    one.as_slice().into(),
                ),
            ),
        ),
        (
            "group-of-3",
            broken(
                "value",
                "a group without its time",
                body(&[vec![5.into(), Tree::Null, one.as_slice().into()].into()]),
            ),
        ),
        (
            "group-of-5",
            broken(
                "limit",
                "a group with a fifth item",
                body(&[vec![
                    5.into(),
                    Tree::Null,
                    NOW.into(),
                    one.as_slice().into(),
                    0.into(),
                ]
                .into()]),
            ),
        ),
        (
            "groups-descend",
            broken(
                "order",
                "a higher level before a lower one",
                body(&[diagnosed(&one), group(4, Tree::Null, NOW, &two)]),
            ),
        ),
        (
            "groups-grade-before-null",
            broken(
                "order",
                "a grade before no grade",
                body(&[group(5, 0, NOW, &one), diagnosed(&two)]),
            ),
        ),
        (
            "groups-huge",
            broken(
                "limit",
                "a body that claims 2^60 groups",
                [0x9b, 0x10, 0, 0, 0, 0, 0, 0, 0],
            ),
        ),
        (
            "groups-twice",
            broken(
                "duplicate",
                "two groups of the same terms",
                body(&[diagnosed(&one), diagnosed(&two)]),
            ),
        ),
        (
            "level-256",
            broken(
                "limit",
                "a level that does not fit a byte",
                body(&[group(256, Tree::Null, NOW, &one)]),
            ),
        ),
        (
            "scheme-unknown",
            broken(
                "value",
                "a scheme whose bodies this version does not read",
                body(&[diagnosed(&one)]),
            )
            .with("scheme", 200),
        ),
        (
            "time-null",
            broken(
                "type",
                "observed_before is null",
                four(5.into(), Tree::Null, Tree::Null, one.as_slice().into()),
            ),
        ),
        (
            "time-too-late",
            broken(
                "limit",
                "observed_before is 2^53",
                body(&[group(5, Tree::Null, 1 << 53, &one)]),
            ),
        ),
        (
            "trailing",
            broken(
                "trailing",
                "a byte follows the body",
                [body(&[diagnosed(&one)]), vec![0]].concat(),
            ),
        ),
        (
            "unit-in-two-groups",
            broken(
                "duplicate",
                "one seed in two groups",
                body(&[group(4, Tree::Null, NOW, &one), diagnosed(&one)]),
            ),
        ),
        (
            "unit-twice",
            broken(
                "duplicate",
                "one seed twice in a group",
                body(&[diagnosed(&seeds(&[1, 1]))]),
            ),
        ),
        (
            "units-descend",
            broken(
                "order",
                "seeds in descending order",
                body(&[diagnosed(&seeds(&[2, 1]))]),
            ),
        ),
        (
            "values-cut",
            broken(
                "value",
                "a seed lacks its last byte",
                body(&[diagnosed(&one[..23])]),
            ),
        ),
        (
            "values-empty",
            broken("value", "a group without seeds", body(&[diagnosed(&[])])),
        ),
        (
            "values-of-other-scheme",
            broken(
                "value",
                "a seed of 24 bytes where the scheme has 48",
                body(&[diagnosed(&one)]),
            )
            .with("scheme", 2),
        ),
        (
            "values-text",
            broken(
                "type",
                "seeds as text",
                four(
                    5.into(),
                    Tree::Null,
                    NOW.into(),
                    "abcdefghijklmnopqrstuvwx".into(),
                ),
            ),
        ),
    ]
}
