//! `body/`: open bodies (spec §6), read as the scheme that the header names.

use ed25519_dalek::{Signer, SigningKey};

use super::sample::{NOW, group, public, seed, sha256};
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

/// A signed TCN report for the first 24 numbers of a key, with a memo.
fn report(number: u8, memo: &[u8]) -> Vec<u8> {
    let rak = sha256(&[b"tcn", &[number][..]].concat());
    let signer = SigningKey::from_bytes(&rak);
    let key = sha256(&[b"H_TCK", &rak[..]].concat());
    let length = u8::try_from(memo.len()).expect("a memo is short");
    let head = [&public(&signer)[..], &key, &[1, 0, 24, 0, 0, length], memo].concat();
    let signature = signer.sign(&head).to_bytes();
    [head, signature.to_vec()].concat()
}

/// A group whose values are a list, as TCN has them, of level 5 without grade.
fn listed(values: &[&[u8]]) -> Tree {
    let values: Vec<Tree> = values.iter().map(|value| (*value).into()).collect();
    vec![5.into(), Tree::Null, NOW.into(), values.into()].into()
}

pub(super) fn vectors() -> Vec<File> {
    let vectors = accepted().into_iter().chain(refused());
    let vectors = vectors.chain(in_batch());
    let vectors = vectors.chain(of_reports()).chain(of_schemes());
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

/// Bodies of a batch that was published at [`NOW`].
fn in_batch() -> Vec<(&'static str, Vector)> {
    let at = |vector: Vector| vector.with("scheme", 1).with("published_at", NOW);
    let groups = |second| {
        let (first, second) = (diagnosed(&seed(1)), group(6, Tree::Null, second, &seed(2)));
        body(&[first, second])
    };
    vec![
        (
            "observed-before-batch",
            at(valid(
                "observed-before",
                "groups that were public when the batch was published",
                groups(NOW - 1),
            )),
        ),
        (
            "observed-before-later",
            at(broken(
                "observed-before",
                "the second group matches observations of the second in which the batch was published",
                groups(NOW + 1),
            )),
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

/// Bodies of TCN, whose values are a list (spec §6.1).
fn of_reports() -> Vec<(&'static str, Vector)> {
    let mut reports = [report(1, b""), report(2, b"memo"), report(3, &[7; 255])];
    reports.sort();
    let [one, two, three] = reports.each_ref().map(Vec::as_slice);
    let long = [&[0xff; 389][..], &[0]].concat();
    let bad = |rule, about, groups: &[Tree]| broken(rule, about, body(groups));
    let vectors = vec![
        (
            "tcn",
            valid(
                "order",
                "three reports, the shortest and the longest among them",
                body(&[listed(&[one, two, three])]),
            ),
        ),
        (
            "tcn-groups",
            valid(
                "order",
                "two groups of reports",
                body(&[
                    vec![4.into(), Tree::Null, NOW.into(), vec![two.into()].into()].into(),
                    listed(&[one, three]),
                ]),
            ),
        ),
        (
            "tcn-bytes",
            bad(
                "type",
                "reports concatenated, where they are a list",
                &[diagnosed(one)],
            ),
        ),
        (
            "tcn-empty",
            bad("value", "a group with an empty list", &[listed(&[])]),
        ),
        (
            "tcn-text",
            bad(
                "type",
                "a report as text",
                &[vec![
                    5.into(),
                    Tree::Null,
                    NOW.into(),
                    vec!["report".into()].into(),
                ]
                .into()],
            ),
        ),
        (
            "tcn-short",
            bad(
                "value",
                "a report of 133 bytes, one fewer than the shortest",
                &[listed(&[&[1; 133]])],
            ),
        ),
        (
            "tcn-long",
            bad(
                "limit",
                "a report of 390 bytes, one more than the longest",
                &[listed(&[&long])],
            ),
        ),
        (
            "tcn-descend",
            bad(
                "order",
                "reports in descending order",
                &[listed(&[two, one])],
            ),
        ),
        (
            "tcn-longer-first",
            valid(
                "order",
                "a longer report first: bytes order them, not lengths",
                body(&[listed(&[&[1; 389], &[2; 134]])]),
            ),
        ),
        (
            "tcn-twice",
            bad("duplicate", "one report twice", &[listed(&[one, one])]),
        ),
        (
            "tcn-huge",
            broken(
                "limit",
                "a list that claims 2^60 reports",
                [
                    &[0x81, 0x84, 5, 0xf6][..],
                    &Tree::from(NOW).bytes(),
                    &[0x9b, 0x10, 0, 0, 0, 0, 0, 0, 0],
                ]
                .concat(),
            ),
        ),
    ];
    let of_tcn = |(name, vector): (_, Vector)| (name, vector.with("scheme", 3));
    vectors.into_iter().map(of_tcn).collect()
}

/// Bodies of the other schemes: units of their width, or none at all.
fn of_schemes() -> Vec<(&'static str, Vector)> {
    let units = |width| diagnosed(&vec![0x11; width]);
    let good = |scheme: u8, about, width| {
        valid("value", about, body(&[units(width)])).with("scheme", scheme)
    };
    let bad = |scheme: u8, about, width| {
        broken("value", about, body(&[units(width)])).with("scheme", scheme)
    };
    vec![
        ("dp3t-lowcost", good(4, "one key of 35 bytes", 35)),
        ("dp3t-lowcost-cut", bad(4, "a key of 34 bytes", 34)),
        (
            "values-list",
            broken("type", "seeds in a list", body(&[listed(&[&seed(1)])])).with("scheme", 1),
        ),
        (
            "dp3t-unlinkable",
            bad(5, "a hash, which is published sealed only", 36),
        ),
        ("dp3t-hybrid", good(6, "one window of 21 bytes", 21)),
        ("gaen", good(7, "one key of 23 bytes", 23)),
        ("gaen-long", bad(7, "a key of 24 bytes", 24)),
        (
            "fanny",
            bad(8, "a token, which is published sealed only", 50),
        ),
    ]
}
