use bellwether_formats::batch::{BlockRef, Window};
use bellwether_formats::id::{Level, Scheme};
use bellwether_formats::sealed::{Entry, IdHash, LADDER, Payload, Plan};

use super::zone::{Lately, Newest, few_patients};
use super::*;
use crate::store::Mode;

/// An entry of a made-up identifier.
fn entry(number: u64) -> Entry {
    let hash = IdHash::of(Scheme::CX1, &[7; 16], None, &number.to_be_bytes());
    let payload = Payload {
        level: Level::DIAGNOSED,
        grade_step: 0,
        observed_before: 1_800_000_000,
        span: None,
    };
    Entry::seal(&hash, payload)
}

#[test]
fn the_sizes_are_those_of_parts_as_built() {
    // The lowest rung, and the lowest with large chunks; more take long without optimisation.
    for ids in [8192_u64, 20_480] {
        let plan = Plan::new((0..ids).map(entry).collect()).unwrap();
        let mut random = |bytes: &mut [u8]| bytes.fill(3);
        let built = plan.part(0, 18, &mut random).unwrap();
        let part = SealedPart {
            scheme: Scheme::CX1,
            window: Window { from: 0, to: 1 },
            filter: BlockRef {
                cid: built.filter.cid(),
                size: count(built.filter.bytes().len()),
            },
            index: built.index.cid(),
            ids: built.ids,
        };
        let chunk = built.chunks[0].bytes().len();
        let cost = Cost::of_sealed(&part);
        assert_eq!(cost.filters, count(built.filter.bytes().len()));
        assert_eq!(cost.indexes, count(built.index.bytes().len()));
        let halves = 4 * (built.chunks.len().div_ceil(8) + chunk);
        assert_eq!(cost.queries, count(halves));
        let sum = cost.filters + cost.indexes + cost.queries;
        assert_eq!(cost.total(), sum);
    }
}

#[test]
fn an_index_is_as_long_as_its_spelling_on_every_rung() {
    for ids in LADDER {
        let shape = Shape::of(ids).unwrap();
        let cid = bellwether_formats::cid::Cid::of(bellwether_formats::cid::Codec::Raw, b"");
        let index = Index::of(vec![cid; shape.chunks()], &shape).unwrap();
        assert_eq!(index.encode().len(), Index::len_of(shape.chunks()), "{ids}");
    }
}

#[test]
fn a_day_is_counted_or_scaled() {
    let now = 1_800_000_000;
    let day = |batches: &[(u64, u64)], before, interval_s| {
        client_day(batches, before, interval_s, now).map(|day| (day.bytes, day.basis))
    };
    assert_eq!(day(&[], false, 3600), None);
    assert_eq!(day(&[], true, 3600), Some((0, Basis::Published)));
    let hours = |n: u64| now - n * 3600;
    let two = [(hours(20), 1000), (hours(1), 10)];
    assert_eq!(day(&two, true, 3600), Some((1010, Basis::Published)));
    // The first batch stands for its interval.
    assert_eq!(
        day(&[(now, 1000)], false, 6 * 3600),
        Some((4000, Basis::Scaled))
    );
    let two = [(hours(6), 1000), (now, 1000)];
    assert_eq!(day(&two, false, 6 * 3600), Some((4000, Basis::Scaled)));
    // What was there for nearly a day is not made more of.
    let two = [(hours(20), 1000), (now, 1000)];
    assert_eq!(day(&two, false, 6 * 3600), Some((2000, Basis::Scaled)));
    assert_eq!(
        day(&[(now + 9, u64::MAX)], false, 0),
        Some((u64::MAX, Basis::Scaled))
    );
}

#[test]
fn what_costs_much_or_hides_badly_is_told() {
    let lately = |bytes: u64, sealed: bool| Lately {
        day: Some(ClientDay {
            bytes,
            basis: Basis::Published,
        }),
        open: !sealed,
        sealed,
        could_be_open: sealed,
    };
    assert_eq!(lately(MUCH_BYTES, true).advice(), None);
    let advice = lately(MUCH_BYTES + 170_000, true).advice().unwrap();
    assert!(advice.contains("5.1 MB a day (published)"), "{advice}");
    assert!(advice.contains("privacy = \"linkable\""), "{advice}");
    let advice = lately(MUCH_BYTES * 2, false).advice().unwrap();
    assert!(!advice.contains("privacy"), "{advice}");
    assert_eq!(lately(0, true).beside(Mode::Open), Some(Mode::Sealed));
    assert_eq!(lately(0, true).beside(Mode::Sealed), None);

    let newest = |patients: usize, sealed: bool| Newest {
        seq: 7,
        patients: Some(patients),
        sealed,
    };
    assert_eq!(newest(9, true).advice(), Some(few_patients(7, 9)));
    assert!(few_patients(7, 9).contains("at least 1/9"));
    for told in [newest(10, true), newest(0, true), newest(1, false)] {
        assert_eq!(told.advice(), None);
    }
    let unknown = Newest {
        patients: None,
        ..newest(1, true)
    };
    assert_eq!(unknown.advice(), None);
}

#[test]
fn a_part_on_no_rung_costs_nothing() {
    let cid = bellwether_formats::cid::Cid::of(bellwether_formats::cid::Codec::Raw, b"");
    let part = SealedPart {
        scheme: Scheme::CX1,
        window: Window { from: 0, to: 1 },
        filter: BlockRef { cid, size: 9 },
        index: cid,
        ids: 8193,
    };
    assert_eq!(Cost::of_sealed(&part), Cost::default());
}
