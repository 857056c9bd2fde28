//! Filters, held to what the spec promises of them: nothing is missed, strangers are let through at
//! the rate of the fingerprint's width, the same keys make the same bytes, of a known size.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may panic, and prints its table"
)]

mod vectors;

use bellwether_formats::filter::{Filter, MAX_KEYS, MIN_BITS, build};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// Numbers that look random: SplitMix64 from a state of its own.
struct Random(u64);

impl Iterator for Random {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some(z ^ z >> 31)
    }
}

fn keys(state: u64, count: usize) -> Vec<u64> {
    Random(state << 32).take(count).collect()
}

fn filter_of(keys: &[u64], bits: u8) -> Filter {
    let ids = u64::try_from(keys.len()).unwrap();
    Filter::decode(&build(keys, bits).unwrap(), ids, MIN_BITS).unwrap()
}

#[test]
fn no_key_of_ten_million_is_missed() {
    let largest = usize::try_from(MAX_KEYS).unwrap();
    let sizes = [largest; 36].into_iter().chain((1..200).map(|n| n * n));
    let mut checked = 0;
    for (state, (count, bits)) in (1..).zip(sizes.zip((8..=30).cycle())) {
        let keys = keys(state, count);
        let filter = filter_of(&keys, bits);
        assert_eq!(
            (filter.len(), filter.bits()),
            (u64::try_from(count).unwrap(), bits)
        );
        let missed = keys.iter().filter(|key| !filter.contains(**key)).count();
        assert_eq!(missed, 0, "of {count} keys at {bits} bits");
        checked += count;
    }
    assert!(checked >= 10_000_000, "{checked} keys");
}

#[test]
fn strangers_are_let_through_at_the_rate_of_the_width() {
    // So many hits are expected that too many fail and too few, with 10 at 24 bits only none at all:
    // each of those costs 17 million queries.
    for (bits, expected) in [(8, 65_536_u32), (12, 4096), (16, 512), (18, 128), (24, 10)] {
        let filter = filter_of(&keys(7, 2000), bits);
        let share = usize::try_from((u64::from(expected) << bits) / 2).unwrap();
        let hits = |state: u64| {
            let strangers = Random(state).take(share);
            strangers.filter(|key| filter.contains(*key)).count()
        };
        let hits = std::thread::scope(|scope| {
            let other = scope.spawn(|| hits(0x5555_0000_0001));
            hits(0xaaaa_0000_0001) + other.join().unwrap()
        });
        let (expected, hits) = (f64::from(expected), f64::from(u32::try_from(hits).unwrap()));
        let sigmas = (hits - expected) / expected.sqrt();
        println!("r = {bits:2}: {hits:6} hits of {expected:6} expected: {sigmas:+.2} sigma");
        assert!(sigmas.abs() <= 3.0, "at {bits} bits");
    }
}

#[test]
fn small_sets_have_filters_too() {
    for count in [0, 1, 2, 3, 4, 5, 10, 100] {
        for bits in [8, 18, 30] {
            let keys = keys(9, count);
            let filter = filter_of(&keys, bits);
            assert!(keys.iter().all(|key| filter.contains(*key)), "{count} keys");
            let hits = Random(5)
                .take(1 << 18)
                .filter(|key| filter.contains(*key))
                .count();
            // 1024 expected at 8 bits, 1 at 18.
            let most = if bits == 8 { 1024 + 160 } else { 8 };
            assert!(hits <= most, "{count} keys at {bits} bits: {hits} hits");
            assert_eq!(filter.is_empty(), count == 0);
            assert!(count > 0 || hits == 0, "of nothing, nothing is possible");
        }
    }
}

#[test]
fn the_same_keys_in_any_order_make_the_same_bytes() {
    for count in [0, 1, 2, 100, 5000, 11_400] {
        let mut keys = keys(11, count);
        let bytes = build(&keys, 18).unwrap();
        keys.reverse();
        assert_eq!(build(&keys, 18).unwrap(), bytes);
        for state in 0..3 {
            let mut random = Random(state);
            keys.sort_by_cached_key(|_| random.next());
            assert_eq!(build(&keys, 18).unwrap(), bytes);
        }
    }
}

/// Whoever changes what these keys build to changes the format: relays compare bytes.
#[test]
fn the_bytes_are_pinned() {
    let pinned = [
        (
            0,
            18,
            "1248871e470340c64a984ed77a184a9158b4c830df3626306b480525c78a4036",
        ),
        (
            1,
            18,
            "041a6d5e6d89b3c7dd8206c8dd3337202771e24db31a658e29ac732a7eb9685b",
        ),
        (
            2,
            18,
            "1b17d58b892973665e620c38e0e0fa606fe933232016c685ce47455d9a1c942c",
        ),
        (
            100,
            18,
            "84390ddbfbb38be39684f4ca7bedbe184b6960c9b465242d7c77ee82d102df36",
        ),
        (
            8192,
            18,
            "f24ab472ec78879882d5cb9d4e3b7789e9215b443d1891a4808c9225baa6ec4d",
        ),
        (
            11_400,
            12,
            "9763b32cfd0ce2580500d191881b9c5fb70249eac3f1dc9cfba477d01555cf38",
        ),
        (
            1 << 17,
            18,
            "08d742b3a10a52b1db60fbed6d07d52515b1f64ff8c45b0e1fe7adfae23b5ec9",
        ),
        (
            1 << 18,
            30,
            "ad432cbece717507c3fc692ec646d69281cc234013f2505b43bd4888c218443d",
        ),
    ];
    let found = pinned.map(|(count, bits, _)| {
        let bytes = build(&keys(13, count), bits).unwrap();
        (count, bits, HEXLOWER.encode(&Sha256::digest(&bytes)))
    });
    let pinned = pinned.map(|(count, bits, hash)| (count, bits, hash.to_owned()));
    assert_eq!(found, pinned);
}

#[test]
fn a_filter_costs_little_more_than_its_bits() {
    println!("bits a key above r (header of 20 bytes counted; in brackets without)");
    println!(
        "{:>7} {:>16} {:>16} {:>16}",
        "keys", "r = 12", "r = 18", "r = 24"
    );
    for count in [100, 1000, 8192, 10_000, 1 << 14, 1 << 16, 1 << 17, 1 << 18] {
        let n = f64::from(u32::try_from(count).unwrap());
        let above = [12, 18, 24].map(|bits| {
            let bytes = build(&keys(17, count), bits).unwrap().len();
            let all = f64::from(u32::try_from(bytes * 8).unwrap()) / n - f64::from(bits);
            (all, all - 160.0 / n)
        });
        let cells = above.map(|(all, bare)| format!("{all:.3} ({bare:.3})"));
        println!(
            "{count:>7} {:>16} {:>16} {:>16}",
            cells[0], cells[1], cells[2]
        );
        for (all, bare) in above {
            assert!(count < 10_000 || all <= 1.3, "{count} keys: {all}");
            assert!(bare <= 2.0, "{count} keys: {bare}");
        }
    }
}
