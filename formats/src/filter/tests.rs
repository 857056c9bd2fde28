//! What is seen from inside only: layouts, and keys chosen against the public seeds.

use alloc::vec::Vec;

use xorf::BinaryFuse32;

use super::build::{FilterBuildError, MAX_ATTEMPTS, MAX_KEYS, build, built_max_bytes};
use super::{Filter, Header, Layout, fingerprint, max_bytes};

/// The key whose hash under a layout is `hash`.
fn key_of(layout: Layout, hash: u64) -> u64 {
    // The inverses of the finaliser's factors modulo 2^64.
    let hash = hash ^ hash >> 33;
    let hash = hash.wrapping_mul(0x9cb4_b2f8_1293_37db);
    let hash = hash ^ hash >> 33;
    let hash = hash.wrapping_mul(0x4f74_430c_22a5_4005);
    (hash ^ hash >> 33).wrapping_sub(layout.seed)
}

/// Keys that look random.
fn strangers(count: u64) -> impl Iterator<Item = u64> {
    let layout = Layout::of(5, 1);
    (0..count).map(move |number| layout.hash(number ^ 0xabcd_0000_0000))
}

fn header(bytes: &[u8]) -> Header {
    Header::read(bytes).unwrap().0
}

#[test]
fn a_key_is_found_by_its_hash() {
    let layout = Layout::of(1000, 3);
    for hash in [0, 1, u64::MAX, 0x1234_5678_9abc_def0] {
        assert_eq!(layout.hash(key_of(layout, hash)), hash);
    }
}

#[test]
fn the_layout_is_the_librarys_for_every_number_of_keys() {
    // Around each number at which the segments grow, and many between.
    let steps = [3, 9, 28, 92, 304, 1010, 3362, 11_193, 37_273, 124_118];
    let around = steps.into_iter().flat_map(|step| step - 2..step + 2);
    let counts = (0..600).chain(around).chain((600..12_000).step_by(97));
    for count in counts {
        let keys: Vec<u64> = strangers(count).collect();
        let bytes = build(&keys, 20).unwrap();
        let found = header(&bytes).layout;
        let attempt = (1..9).find(|attempt| Layout::of(0, *attempt).seed == found.seed);
        let count = u32::try_from(count).unwrap();
        let ours = Layout::of(count, attempt.unwrap());
        assert_eq!(
            (found.segment_log, found.segments),
            (ours.segment_log, ours.segments)
        );
        let ids = u64::from(count);
        assert!(found.slots() <= 4 * ids + 64, "{count} keys");
        let len = u64::try_from(bytes.len()).unwrap();
        assert!(len <= built_max_bytes(ids, 20) && built_max_bytes(ids, 20) <= max_bytes(ids, 20));
    }
}

#[test]
fn the_slots_are_the_librarys() {
    for (count, bits) in [(0, 18), (1, 8), (2, 30), (77, 13), (5000, 18), (11_400, 12)] {
        let keys: Vec<u64> = strangers(count).collect();
        let bytes = build(&keys, bits).unwrap();
        let filter = Filter::decode(&bytes, count, bits).unwrap();
        let library = BinaryFuse32::try_from(&keys).unwrap();
        assert_eq!(library.descriptor.seed, filter.layout.seed);
        assert_eq!(
            u64::try_from(library.fingerprints.len()),
            Ok(filter.layout.slots())
        );
        for (slot, value) in (0..).zip(&library.fingerprints) {
            assert_eq!(u64::from(*value) & filter.mask(), filter.slot(slot));
        }
    }
}

/// Keys that meet in the same three slots at an attempt.
fn meeting(count: u32, attempt: u32, how_many: u64) -> impl Iterator<Item = u64> {
    let layout = Layout::of(count, attempt);
    // Bits 30 to 45 of a hash move no slot of a small filter.
    let hash = fingerprint(u64::from(attempt)) | 0x7654_0000_0000_0000;
    (0..how_many).map(move |number| key_of(layout, hash ^ number << 30))
}

/// `spoilt` attempts at 1000 keys fail, because two keys meet in the same three slots.
fn spoilt_to(spoilt: u32) -> Vec<u64> {
    let mut keys: Vec<u64> = (1..=spoilt)
        .flat_map(|attempt| meeting(1000, attempt, 2))
        .collect();
    keys.extend(strangers(1000));
    keys.truncate(1000);
    keys
}

#[test]
fn keys_chosen_against_every_seed_end_in_an_error() {
    let last = build(&spoilt_to(MAX_ATTEMPTS - 1), 18).unwrap();
    assert_eq!(
        header(&last).layout.seed,
        Layout::of(1000, MAX_ATTEMPTS).seed
    );
    assert!(Filter::decode(&last, 1000, 18).is_ok());
    let one_more = build(&spoilt_to(MAX_ATTEMPTS), 18);
    assert_eq!(one_more, Err(FilterBuildError::NoLayout));
}

#[test]
fn keys_that_meet_in_a_slot_are_refused_where_the_librarys_counters_end() {
    let layout = Layout::of(1000, 1);
    for (meet, built) in [
        (2, true),
        (63, true),
        (64, false),
        (65, false),
        (1000, false),
    ] {
        let mut keys: Vec<u64> = meeting(1000, 1, meet).collect();
        let taken = layout.slots_of(layout.hash(keys[0]));
        let elsewhere = |key: &u64| {
            let slots = layout.slots_of(layout.hash(*key));
            !slots.iter().any(|slot| taken.contains(slot))
        };
        keys.extend(strangers(2000).filter(elsewhere));
        keys.truncate(1000);
        let verdict = build(&keys, 18);
        assert_eq!(verdict.is_ok(), built, "{meet} keys meet: {verdict:?}");
    }
}

#[test]
fn equal_keys_are_refused_before_a_build() {
    let mut keys: Vec<u64> = strangers(1000).collect();
    keys.push(keys[17]);
    assert_eq!(build(&keys, 18), Err(FilterBuildError::EqualKeys));
    assert_eq!(build(&[7; 100_000], 18), Err(FilterBuildError::EqualKeys));
}

#[test]
fn bits_and_keys_have_bounds() {
    for bits in [0, 7, 31, 255] {
        assert_eq!(
            build(&[1], bits),
            Err(FilterBuildError::Bits { found: bits })
        );
    }
    let found = usize::try_from(MAX_KEYS).unwrap() + 1;
    let keys: Vec<u64> = (0..=MAX_KEYS).collect();
    assert_eq!(build(&keys, 18), Err(FilterBuildError::TooMany { found }));
}

#[test]
fn the_largest_filter_is_a_block() {
    assert_eq!(built_max_bytes(MAX_KEYS, 30), 1_020_948);
    assert_eq!(max_bytes(MAX_KEYS, 30), 1 << 20);
    assert_eq!(max_bytes(u64::MAX, 30), 1 << 20);
    assert_eq!(max_bytes(0, 8), 28);
}
