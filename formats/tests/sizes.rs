//! The numbers to hold, as a table: `cargo test -p bellwether-formats --test all sizes:: -- --nocapture`.
//! KB are 1000 bytes.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may panic, and prints its table"
)]

use crate::common::{NOW, batch, open_part, sign, unit};
use bellwether_formats::batch::Batch;
use bellwether_formats::body::open::{OpenBody, Terms};
use bellwether_formats::cid::{Block, Codec};
use bellwether_formats::id::{Level, Scheme};

/// Prints a row and holds the bound.
fn row(what: &str, unit: &str, found: f64, bound: f64) {
    println!("{what:<52} {found:>9.2} {unit:<11} of {bound:>8.1}");
    assert!(found <= bound, "{what}: {found} {unit}, at most {bound}");
}

fn per(bytes: usize, items: u32) -> f64 {
    f64::from(u32::try_from(bytes).unwrap()) / f64::from(items)
}

/// A batch in the longest zone of the target, with numbers at their widest.
fn wide(batch: Batch) -> Batch {
    Batch {
        zone: "abcdefg/ijklmnop".parse().unwrap(),
        seq: u64::from(u32::MAX),
        epoch: u64::from(u16::MAX),
        ..batch
    }
}

/// Envelope and body of a batch of `seeds` seeds, spread over `groups` terms.
fn open_batch(scheme: Scheme, seeds: u32, groups: u32) -> usize {
    let width = scheme.rules().unwrap().width().max();
    // A revision keeps its time, so groups are as many as (level, grade, time) that changed.
    let terms = |seed: u32| Terms {
        level: Level(5),
        grade: Some(u8::try_from(seed % groups % 100).unwrap()),
        observed_before: NOW - u64::from(seed % groups),
    };
    let units = (0..seeds).map(|seed| (terms(seed), unit(u64::from(seed), width)));
    let body = OpenBody::build(scheme, units).unwrap();
    let block = Block::of(Codec::DagCbor, body.encode()).unwrap();
    let signed = sign(&wide(batch(vec![open_part(&body)])));
    assert_eq!(body.count(), u64::from(seeds));
    signed.envelope().len() + block.bytes().len()
}

#[test]
fn the_numbers_hold() {
    for (groups, what) in [(1, "one group"), (7, "seven groups")] {
        let bytes = open_batch(Scheme::CX1, 10_000, groups);
        let what = format!("open batch, 10,000 cx1 seeds, {what}, all included");
        row(&what, "B a seed", per(bytes, 10_000), 24.2);
    }
    let bytes = open_batch(Scheme::CX2, 10_000, 1);
    row(
        "open batch, 10,000 cx2 seeds, all included",
        "B a seed",
        per(bytes, 10_000),
        48.2,
    );
    let bytes = open_batch(Scheme::CX1, 150, 1);
    row(
        "open batch, 150 cx1 seeds (the usual padding)",
        "B a seed",
        per(bytes, 150),
        28.0,
    );

    let heartbeat = sign(&wide(batch(Vec::new())));
    let heartbeat = heartbeat.envelope().len();
    row(
        "heartbeat, zone of 16 characters, seq below 2^32",
        "B",
        per(heartbeat, 1),
        400.0,
    );
    let day = 3 * 24 * heartbeat;
    row(
        "a quiet day: three zones, hourly heartbeats",
        "KB",
        per(day, 1000),
        30.0,
    );
}
