//! `sealed.json`, continued: valid and broken pieces of a part (spec §5.5).

use bellwether_formats::cid::{Cid, Codec};

use super::json::{hex, object, quoted};
use super::sample::{DAY, NOW, sha256};
use super::sealed::{IDS, chunk, plain};
use super::tree::Tree;

/// A chunk, an index, an opened payload or a number of identifiers, valid or broken.
pub(super) fn pieces() -> Vec<String> {
    [chunks(), indexes(), payloads(), rungs()].concat()
}

fn piece(kind: &str, rule: &str, expect: &str, about: &str, more: &[(&str, String)]) -> String {
    let head = [
        ("about", quoted(about)),
        ("as", quoted(kind)),
        ("rule", quoted(rule)),
        ("expect", quoted(expect)),
    ];
    object(2, &[&head, more].concat())
}

fn chunks() -> Vec<String> {
    // Entries of chunk 5 of 64: their first six bits are 5.
    let entry = |first: u8, second: u8| {
        let mut entry = sha256(&[first, second])[..24].to_vec();
        (entry[0], entry[1]) = (first, second);
        entry
    };
    let good = [entry(20, 0), entry(20, 9), entry(23, 255)];
    let piece_at = |parts: usize, number: usize, bytes: &[u8]| {
        let used = bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |at| at + 1);
        vec![
            ("ids", IDS.to_string()),
            ("parts", parts.to_string()),
            ("part", "0".to_owned()),
            ("number", number.to_string()),
            ("bytes", hex(&bytes[..used])),
            ("zeros", (bytes.len() - used).to_string()),
        ]
    };
    let of = |rule, expect, about, parts, number, bytes: &[u8]| {
        piece(
            "chunk",
            rule,
            expect,
            about,
            &piece_at(parts, number, bytes),
        )
    };
    let bad = |rule, about, bytes: &[u8]| of(rule, rule, about, 1, 5, bytes);
    let count = |count: u16| {
        let mut bytes = chunk(&good);
        bytes[..2].copy_from_slice(&count.to_le_bytes());
        bytes
    };
    let mut tail = chunk(&good);
    tail[4095] = 1;
    let mut full: Vec<Vec<u8>> = (0..170).map(|i| entry(20, i)).collect();
    full.sort();
    let mut long = chunk(&good);
    long.push(0);
    vec![
        of(
            "tag-place",
            "valid",
            "three entries, at both edges of the chunk",
            1,
            5,
            &chunk(&good),
        ),
        of("chunk-count", "valid", "no entries", 1, 5, &chunk(&[])),
        of(
            "chunk-count",
            "valid",
            "as many entries as fit",
            1,
            5,
            &chunk(&full),
        ),
        bad("chunk-count", "171 entries, where 170 fit", &count(171)),
        bad("chunk-count", "65535 entries", &count(u16::MAX)),
        bad("chunk-size", "a byte is missing", &chunk(&good)[..4095]),
        bad("chunk-size", "a byte too many", &long),
        bad("chunk-size", "nothing", &[]),
        bad("chunk-tail", "the last byte is not 0", &tail),
        bad("chunk-tail", "an entry that is not counted", &count(2)),
        bad(
            "tag-order",
            "two entries with one tag",
            &chunk(&[good[0].clone(), good[0].clone()]),
        ),
        bad(
            "tag-order",
            "the higher tag first",
            &chunk(&[good[1].clone(), good[0].clone()]),
        ),
        bad(
            "tag-place",
            "an entry of the chunk before",
            &chunk(&[entry(19, 255), good[1].clone()]),
        ),
        bad(
            "tag-place",
            "an entry of the chunk after",
            &chunk(&[good[1].clone(), entry(24, 0)]),
        ),
        of(
            "tag-place",
            "tag-place",
            "a good chunk as another one",
            1,
            6,
            &chunk(&good),
        ),
        of(
            "tag-place",
            "tag-place",
            "the only part's chunk as that of the first of two",
            2,
            5,
            &chunk(&good),
        ),
    ]
}

fn indexes() -> Vec<String> {
    let links = |codec| move |i: u8| Tree::Link(Cid::of(codec, &[i]));
    let list = |count: u8| (0..count).map(links(Codec::Raw)).collect::<Vec<_>>();
    let write = |links: Vec<Tree>| Tree::List(links).bytes();
    let mut typed = list(64);
    typed[63] = links(Codec::DagCbor)(63);
    let mut other = list(64);
    other[0] = Tree::Bytes(Cid::of(Codec::Raw, &[0]).to_bytes().to_vec());
    let of = |rule, expect, about, bytes: Vec<u8>| {
        let more = [
            ("ids", IDS.to_string()),
            ("bytes", hex(&bytes)),
            ("zeros", "0".to_owned()),
        ];
        piece("index", rule, expect, about, &more)
    };
    let bad = |rule, about, bytes| of(rule, rule, about, bytes);
    vec![
        of("value", "valid", "64 chunks", write(list(64))),
        bad("value", "63 chunks, where there are 64", write(list(63))),
        bad("limit", "65 chunks, where there are 64", write(list(65))),
        bad("cid", "a chunk that is a dag-cbor block", write(typed)),
        bad("type", "a chunk's CID as bytes", write(other)),
        bad(
            "trailing",
            "a byte follows the list",
            [write(list(64)), vec![0]].concat(),
        ),
        bad(
            "truncated",
            "the last byte is missing",
            write(list(64))[..].split_last().expect("bytes").1.to_vec(),
        ),
    ]
}

/// Opened payloads; in timed schemes the hash holds the `day`, and the payload a span.
fn payloads() -> Vec<String> {
    let of = |expect, about, bytes: &[u8], means: &[(&str, String)]| {
        let more = [&[("bytes", hex(bytes)), ("zeros", "0".to_owned())], means].concat();
        piece("payload", "reserved", expect, about, &more)
    };
    let means = |level: u8, step: u8, before: u64| {
        [
            ("level", level.to_string()),
            ("grade_step", step.to_string()),
            ("observed_before", before.to_string()),
        ]
    };
    let all = (1 << 40) - 1;
    let mut last = plain(5, 0, NOW);
    last[11] = 1;
    let mut first = plain(5, 0, NOW);
    first[7] = 0x80;
    let mut pieces = vec![
        of(
            "valid",
            "diagnosed, no grade",
            &plain(5, 0, NOW),
            &means(5, 0, NOW),
        ),
        of(
            "valid",
            "the highest of all",
            &plain(255, 4, all),
            &means(255, 4, all),
        ),
        of("reserved", "the last byte is not 0", &last, &[]),
        of("reserved", "the first reserved byte is not 0", &first, &[]),
        of("reserved", "grade step 5", &plain(5, 5, NOW), &[]),
    ];
    pieces.extend(timed_payloads());
    let in_batch = |expect, about, before| {
        let bytes = plain(5, 0, before);
        let more = [
            ("published_at", NOW.to_string()),
            ("bytes", hex(&bytes)),
            ("zeros", "0".to_owned()),
        ];
        let means = if expect == "valid" {
            &means(5, 0, before)[..]
        } else {
            &[]
        };
        let more = [&more, means].concat();
        piece("payload", "observed-before", expect, about, &more)
    };
    pieces.extend([
        in_batch("valid", "public when its batch was published", NOW),
        in_batch(
            "observed-before",
            "it matches observations of the second in which its batch was published",
            NOW + 1,
        ),
    ]);
    pieces
}

/// The bytes of a span: steps of 300 s from the start of the day, and how many.
fn spanned(first: i16, count: u16) -> [u8; 12] {
    let mut plain = plain(5, 0, NOW);
    plain[7..9].copy_from_slice(&first.to_be_bytes());
    plain[9..11].copy_from_slice(&count.to_be_bytes());
    plain
}

fn timed_payloads() -> Vec<String> {
    let today = NOW / DAY;
    let of = |expect, about, day: u64, bytes: [u8; 12], span: Option<(u64, u64)>| {
        let mut more = vec![
            ("day", day.to_string()),
            ("bytes", hex(&bytes)),
            ("zeros", "0".to_owned()),
        ];
        if let Some((from, to)) = span {
            more.extend([
                ("level", "5".to_owned()),
                ("grade_step", "0".to_owned()),
                ("observed_before", NOW.to_string()),
                ("span", format!("{{\"from\": {from}, \"to\": {to}}}")),
            ]);
        }
        piece("payload", "reserved", expect, about, &more)
    };
    let good = |about, day, first, count, from, to| {
        of("valid", about, day, spanned(first, count), Some((from, to)))
    };
    let midnight = today * DAY;
    let mut last = spanned(0, 288);
    last[11] = 1;
    let mut grade = spanned(0, 288);
    grade[1] = 5;
    vec![
        good(
            "a day, as of a low-cost key",
            today,
            0,
            288,
            midnight,
            midnight + DAY,
        ),
        good(
            "8 epochs from 10:00, as of a hybrid window",
            today,
            120,
            24,
            midnight + 36_000,
            midnight + 43_200,
        ),
        good(
            "gaen's first interval of a day: from two hours before it",
            today,
            -24,
            50,
            midnight - 7200,
            midnight + 7800,
        ),
        good(
            "gaen's last interval of a day: into the next",
            today,
            262,
            50,
            midnight + 78_600,
            midnight + 93_600,
        ),
        good(
            "no step: it matches nothing",
            today,
            0,
            0,
            midnight,
            midnight,
        ),
        good(
            "the longest, from the earliest step",
            today,
            i16::MIN,
            u16::MAX,
            midnight - 9_830_400,
            midnight + 9_830_100,
        ),
        good("cut where time begins", 0, -1, 2, 0, 600),
        of(
            "reserved",
            "a byte after the span is not 0",
            today,
            last,
            None,
        ),
        of(
            "reserved",
            "grade step 5 in a timed scheme",
            today,
            grade,
            None,
        ),
    ]
}

fn rungs() -> Vec<String> {
    let of = |expect, about, ids: u64| {
        piece("ids", "ladder", expect, about, &[("ids", ids.to_string())])
    };
    vec![
        of("valid", "the lowest rung", 8192),
        of("valid", "the highest rung", 262_144),
        of("ladder", "between two rungs", 8193),
        of("ladder", "below the lowest", 4096),
        of("ladder", "above the highest", 327_680),
    ]
}
