//! What a day costs a client: the tables of spec/13-figures.md, made here and held equal to the page.
//! `cargo test -p bellwether-formats --features build --test all bytes:: -- --nocapture` prints them, and
//! with `BLESS=1` writes the page. KB are 1000 bytes.
#![cfg(feature = "build")]
#![allow(
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may panic, prints its tables, and counts in floating point"
)]

use std::fmt::Write as _;
use std::fs;

use crate::common::{DAY, NOW, batch, open_part, sign, unit};
use bellwether_formats::batch::{BlockRef, Part, SealedPart};
use bellwether_formats::body::open::{OpenBody, Terms};
use bellwether_formats::cid::{Block, Cid, Codec};
use bellwether_formats::filter;
use bellwether_formats::id::{Level, Scheme};
use bellwether_formats::limit;
use bellwether_formats::pir::Mask;
use bellwether_formats::scheme::cx::{self, Generator};
use bellwether_formats::sealed::{Entry, IdHash, Index, LADDER, Payload, Plan, Shape};

/// Bits of a filter's fingerprint: the usual.
const BITS: u8 = 18;

/// Identifiers of a notification.
const IDS: u64 = Generator::MAX_IDENTIFIERS as u64;

/// Notifications that close a sealed batch before its time, by default.
const MAX_SEALED: u64 = 1000;

/// Notifications that an open part is padded up to, by default.
const PADDED: u64 = 150;

/// Looks at a sealed part's body (spec §11.7).
const LOOKS: u64 = 2;

/// Bytes of the blocks of one sealed part, as `ids` alone decides them.
#[derive(Clone, Copy, Debug)]
struct Size {
    filter: u64,
    index: u64,
    body: u64,
    /// Both halves of one query: masks up.
    up: u64,
    /// Both halves of one query: chunks down.
    down: u64,
}

/// The size function: what the rest of this page is computed with. Only the filter's size is a
/// bound, missed by a few bytes; the builds below check it.
fn size(ids: u64) -> Size {
    let shape = Shape::of(ids).unwrap();
    let cid = Cid::of(Codec::Raw, b"any chunk");
    let index = Index::of(vec![cid; shape.chunks()], &shape)
        .unwrap()
        .encode();
    Size {
        filter: filter::built_max_bytes(ids, BITS),
        index: count(index.len()),
        body: count(shape.body_bytes()),
        up: 2 * count(Mask::len_of(shape.chunks())),
        down: 2 * count(shape.chunk_bytes()),
    }
}

/// How many parts identifiers take, and the `ids` of each, where tags fall evenly.
fn parts(ids: u64) -> (u64, u64) {
    let parts = (ids * 102).div_ceil(100 * limit::MAX_SEALED_IDS).max(1);
    let mean = ids as f64 / parts as f64;
    // The fullest of a few parts; with one part there is nothing to spread.
    let spread = if parts == 1 { 0.0 } else { 2.0 * mean.sqrt() };
    (parts, Shape::rung((mean + spread) as u64).unwrap())
}

fn count(items: usize) -> u64 {
    u64::try_from(items).unwrap()
}

/// Bytes of an envelope with these sealed parts.
fn envelope(parts: u64, ids: u64) -> u64 {
    let sealed = |_| {
        Part::Sealed(SealedPart {
            scheme: Scheme::CX1,
            window: bellwether_formats::batch::Window {
                from: NOW - 14 * DAY,
                to: NOW,
            },
            filter: BlockRef {
                cid: Cid::of(Codec::Raw, b"filter"),
                size: size(ids).filter,
            },
            index: Cid::of(Codec::DagCbor, b"index"),
            ids,
        })
    };
    count(
        sign(&batch((0..parts).map(sealed).collect()))
            .envelope()
            .len(),
    )
}

/// A day of one zone, in bytes.
#[derive(Default)]
struct Day {
    batches: u64,
    envelopes: u64,
    filters: u64,
    indexes: u64,
    bodies: u64,
    pir: u64,
    limit: f64,
}

impl Day {
    fn total(&self) -> u64 {
        self.envelopes + self.filters + self.indexes + self.bodies + self.pir
    }
}

/// What a patient reports by a scheme: so many notifications, each of so many bytes in an open body,
/// and of so many identifiers.
#[derive(Clone, Copy)]
struct Report {
    scheme: Scheme,
    text: &'static str,
    notifications: u64,
    bytes: u64,
    ids: u64,
}

/// A fortnight of a patient, in each scheme. Those without bytes are always sealed.
const REPORTS: [Report; 8] = [
    report(Scheme::CX1, "a seed", 1, 24, 2048),
    report(Scheme::CX2, "a seed", 1, 48, 2048),
    report(
        Scheme::TCN,
        "56 reports of 6 h, 20 bytes of memo",
        56,
        154,
        24,
    ),
    report(Scheme::DP3T_LOWCOST, "a key of 14 days", 1, 35, 14 * 96),
    report(Scheme::DP3T_UNLINKABLE, "480 epochs (5 days)", 480, 0, 1),
    report(Scheme::DP3T_HYBRID, "84 windows of 4 h", 84, 21, 16),
    report(Scheme::GAEN, "14 keys", 14, 23, 144),
    report(Scheme::FANNY, "50 tokens", 50, 0, 1),
];

const fn report(
    scheme: Scheme,
    text: &'static str,
    notifications: u64,
    bytes: u64,
    ids: u64,
) -> Report {
    Report {
        scheme,
        text,
        notifications,
        bytes,
        ids,
    }
}

/// The seeds of the tables that tell of CX.
const SEEDS: Report = REPORTS[0];

/// Most bytes of units in a body: the provider's, which leaves room for the heads of groups.
const MAX_BODY_BYTES: u64 = 1_000_000;

/// A day in which every hour has its share of the patients.
fn open_day(report: Report, patients: u64) -> Day {
    let batches = 24;
    let notifications = patients * report.notifications;
    let mut day = Day {
        batches,
        ..Day::default()
    };
    for hour in 0..batches {
        let share = notifications / batches + u64::from(hour < notifications % batches);
        let padded = if share == 0 { 0 } else { share.max(PADDED) };
        let terms = Terms {
            level: Level(5),
            grade: None,
            observed_before: NOW,
        };
        let in_part = padded.div_ceil((padded * report.bytes).div_ceil(MAX_BODY_BYTES).max(1));
        let mut parts = Vec::new();
        for first in (0..padded).step_by(usize::try_from(in_part.max(1)).unwrap()) {
            let numbers = first..padded.min(first + in_part);
            let units = numbers.map(|number| (terms, unit(number, report.bytes as usize)));
            let body = OpenBody::build(report.scheme, units).unwrap();
            day.bodies += count(body.encode().len());
            parts.push(open_part(&body));
        }
        day.envelopes += count(sign(&batch(parts)).envelope().len());
    }
    // A set of n random seeds: what its order would say need not be sent.
    let n = notifications as f64;
    day.limit = n * (192.0 - n.log2() + 1.443) / 8.0;
    day
}

/// A day in which every six hours have their share; a batch closes early at the identifiers of
/// [`MAX_SEALED`] seeds. The fold of the day is not fetched by who was there, its envelope is.
fn sealed_day(report: Report, patients: u64) -> Day {
    let each = report.notifications * report.ids;
    let batches = 4.max((patients * each).div_ceil(MAX_SEALED * IDS));
    let mut day = Day {
        batches: batches + 1,
        envelopes: envelope(4, 8192),
        ..Day::default()
    };
    for number in 0..batches {
        let share = patients / batches + u64::from(number < patients % batches);
        let (parts, ids) = parts(share * each);
        let size = size(ids);
        day.envelopes += envelope(parts, ids);
        day.filters += parts * size.filter;
        day.indexes += parts * size.index;
        day.pir += parts * LOOKS * (size.up + size.down);
    }
    day.limit = (patients * each) as f64 * f64::from(BITS) / 8.0;
    day
}

fn kb(bytes: u64) -> String {
    match bytes as f64 / 1000.0 {
        kb if kb >= 1000.0 => format!("{kb:.0}"),
        kb => format!("{kb:.1}"),
    }
}

const DAYS: [u64; 4] = [100, 1000, 10_000, 40_000];

/// What others' clients fetch for as many patients, in bytes a patient.
const PEERS: [(&str, f64); 7] = [
    ("DP-3T low-cost (36 B)", 36.0),
    ("TCN, 14 reports of 134 B", 14.0 * 134.0),
    ("GAEN, 14 keys of 28 B (CWA)", 14.0 * 28.0),
    ("GAEN, 14 keys of 18.5 B (export, zipped)", 14.0 * 18.5),
    ("DP-3T hybrid, 4 h (640 B)", 640.0),
    ("DP-3T unlinkable (2,880 B)", 2880.0),
    ("CX identifiers, plain (32,768 B)", 16.0 * 2048.0),
];

fn tables() -> String {
    let mut page = String::new();
    let mut line = |text: String| writeln!(page, "{text}").unwrap();
    line("| zone | notifications a day | batches | envelopes | filters | indexes | bodies | PIR | **total** | a notification | information limit |".into());
    line("|---|---|---|---|---|---|---|---|---|---|---|".into());
    for notifications in DAYS {
        for (mode, day) in [
            ("open", open_day(SEEDS, notifications)),
            ("sealed", sealed_day(SEEDS, notifications)),
        ] {
            line(format!(
                "| {mode} | {notifications} | {} | {} | {} | {} | {} | {} | **{}** | {:.0} B | {} |",
                day.batches,
                kb(day.envelopes),
                kb(day.filters),
                kb(day.indexes),
                kb(day.bodies),
                kb(day.pir),
                kb(day.total()),
                day.total() as f64 / notifications as f64,
                kb(day.limit as u64),
            ));
        }
    }
    line(String::new());
    let few = &DAYS[..3];
    line("| scheme | a patient reports | mode | 100 patients a day | 1000 | 10000 | a patient, of 1000 |".into());
    line("|---|---|---|---|---|---|---|".into());
    for report in REPORTS {
        let (scheme, text) = (report.scheme, report.text);
        let mut row = |mode: &str, day: &dyn Fn(u64) -> Day| {
            let days: Vec<u64> = few.iter().map(|patients| day(*patients).total()).collect();
            let cells: Vec<String> = days.iter().map(|day| kb(*day)).collect();
            let one = days[1] as f64 / 1000.0;
            line(format!(
                "| {scheme} | {text} | {mode} | {} | {one:.0} B |",
                cells.join(" | ")
            ));
        };
        if report.bytes > 0 {
            row("open", &|patients| open_day(report, patients));
        }
        row("sealed", &|patients| sealed_day(report, patients));
    }
    line(String::new());
    line("| others, for as many patients a day | 100 | 1000 | 10000 | 40000 |".into());
    line("|---|---|---|---|---|".into());
    for (name, bytes) in PEERS {
        let days = DAYS.map(|day| kb((day as f64 * bytes) as u64));
        line(format!("| {name} | {} |", days.join(" | ")));
    }
    line(String::new());
    line("| `ids` | filter at most | index | body | one query up | one query down | bytes an identifier, one query |".into());
    line("|---|---|---|---|---|---|---|".into());
    for ids in LADDER {
        let size = size(ids);
        let all = size.filter + size.index + size.up + size.down;
        line(format!(
            "| {ids} | {} | {} | {} | {} | {} | {:.3} |",
            size.filter,
            size.index,
            size.body,
            size.up,
            size.down,
            all as f64 / ids as f64
        ));
    }
    page
}

#[test]
fn the_page_of_figures_is_what_the_size_function_says() {
    let tables = tables();
    println!("{tables}");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/13-figures.md");
    let page = fs::read_to_string(path).unwrap();
    let (begin, end) = ("<!-- begin: tests/bytes.rs -->\n", "<!-- end -->");
    let (before, rest) = page.split_once(begin).unwrap();
    let (held, after) = rest.split_once(end).unwrap();
    if std::env::var_os("BLESS").is_some() {
        fs::write(path, format!("{before}{begin}{tables}{end}{after}")).unwrap();
    } else {
        assert_eq!(held, tables, "BLESS=1 writes the page anew");
    }
}

#[test]
fn builds_have_the_sizes_that_the_function_says() {
    for notifications in [1, 25, 100, 250, 1000] {
        let mut seeds = Vec::new();
        (0..notifications).for_each(|seed| seeds.extend(unit(seed, 24)));
        let payload = Payload {
            level: Level(5),
            grade_step: 0,
            observed_before: NOW,
            span: None,
        };
        let mut entries = Vec::new();
        cx::expand(Generator::Aes128, &seeds, |_, _, id| {
            entries.push(Entry::seal(
                &IdHash::of(Scheme::CX1, &[9; 16], None, id.as_bytes()),
                payload,
            ));
        })
        .unwrap();
        let plan = Plan::new(entries).unwrap();
        let (expected, ids) = parts(notifications * IDS);
        assert_eq!(
            (count(plan.parts()), plan.shape().ids()),
            (expected, ids),
            "{notifications}"
        );
        let mut number = 0_u64;
        let mut random = |to: &mut [u8]| {
            for bytes in to.chunks_mut(32) {
                number += 1;
                bytes.copy_from_slice(&unit(number, 64)[..bytes.len()]);
            }
        };
        let part = plan.part(0, BITS, &mut random).unwrap();
        let size = size(ids);
        let bytes = |block: &Block| count(block.bytes().len());
        assert_eq!(bytes(&part.index), size.index);
        assert_eq!(part.chunks.iter().map(bytes).sum::<u64>(), size.body);
        let filter = bytes(&part.filter);
        println!(
            "{notifications:>5} notifications: {expected} parts of {ids}; filter {filter} of at most {}",
            size.filter
        );
        assert!(
            filter <= size.filter && filter + 64 >= size.filter,
            "the bound is near"
        );
    }
}

#[test]
fn a_sealed_identifier_costs_what_the_design_allows() {
    for (ids, most) in [(1 << 17, 2.8), (1 << 18, 2.65)] {
        let size = size(ids);
        let found = (size.filter + size.index + size.up + size.down) as f64 / ids as f64;
        println!("sealed, r = {BITS}, one query, index counted, {ids} ids: {found:.3} B of {most}");
        assert!(found <= most, "{found} bytes an identifier at {ids}");
    }
}
