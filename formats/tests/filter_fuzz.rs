//! A million hostile inputs to the filter's reader: no panic, no allocation beyond the bound, and
//! what is accepted can be asked anything.
//!
//! The long run: `cargo test -p bellwether-formats --test all filter_fuzz:: -- --ignored`, 200 million
//! inputs, some minutes.
#![allow(clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::BTreeMap;

use crate::counting::allocated;
use bellwether_formats::filter::{Filter, build};

/// Numbers that look random.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 33).expect("31 bits") % end
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    /// Bytes at the edges of their range more often than chance has them.
    fn edge(&mut self) -> u8 {
        match self.below(4) {
            0 => [0, 1, 2, 18, 30, 31, 127, 255][self.below(8)],
            _ => self.byte(),
        }
    }
}

/// Changes `input`, a filter of `ids` keys, in one to three places.
fn mutate(input: &mut Vec<u8>, ids: &mut u64, random: &mut Random) {
    for _ in 0..=random.below(3) {
        let at = random.below(input.len().max(1));
        match random.below(8) {
            0 => input.truncate(at),
            1 => input.extend((0..random.below(40)).map(|_| random.byte())),
            2 if at < input.len() => input[at] ^= 1 << random.below(8),
            3 if at < 24 && at < input.len() => input[at] = random.edge(),
            4 => *ids = random.next() >> random.below(64),
            5 => {
                // The count and the ids together, so that the rest is looked at.
                let keys = u32::try_from(random.next() >> (32 + random.below(32)));
                let keys = keys.expect("32 bits");
                *ids = keys.into();
                if let Some(field) = input.get_mut(16..20) {
                    field.copy_from_slice(&keys.to_le_bytes());
                }
            }
            6 if at < input.len() => input[at] = random.edge(),
            _ => {
                if let Some(field) = input.get_mut(12..16) {
                    let segments = u32::try_from(random.next() >> (32 + random.below(32)));
                    field.copy_from_slice(&segments.expect("32 bits").to_le_bytes());
                }
            }
        }
    }
}

fn run(inputs: u64, state: u64) {
    let mut random = Random(state);
    let originals: Vec<(u64, Vec<u8>)> = [0, 1, 2, 3, 7, 30, 100]
        .into_iter()
        .flat_map(|count| [8, 13, 18, 30].map(|bits| (count, bits)))
        .map(|(count, bits)| {
            let keys: Vec<u64> = (0..count).map(|_| random.next()).collect();
            (count, build(&keys, bits).expect("few keys have a filter"))
        })
        .collect();
    let mut verdicts = BTreeMap::<&str, u64>::new();
    let mut input = Vec::new();
    for _ in 0..inputs {
        let (mut ids, original) = originals[random.below(originals.len())].clone();
        input.clear();
        if random.below(16) == 0 {
            input.extend((0..random.below(200)).map(|_| random.edge()));
        } else {
            input.extend(original);
            mutate(&mut input, &mut ids, &mut random);
        }
        let (asked, verdict) = allocated(|| Filter::decode(&input, ids, 8));
        assert!(
            asked <= 2 * input.len() + 64,
            "{asked} bytes for {}",
            input.len()
        );
        let rule = match verdict {
            Ok(filter) => {
                for key in [0, u64::MAX, random.next(), random.next()] {
                    assert!(!filter.contains(key) || ids > 0);
                }
                "sound"
            }
            Err(error) => error.rule(),
        };
        *verdicts.entry(rule).or_default() += 1;
    }
    // A fuzzer that reaches few rules looks at little.
    assert!(verdicts.len() >= 9, "{verdicts:?}");
    assert!(verdicts["sound"] > inputs / 1000, "{verdicts:?}");
}

#[test]
fn a_million_hostile_inputs_are_read_within_bounds() {
    run(1_000_000, 1);
}

#[test]
#[ignore = "minutes: see the head of the file"]
fn two_hundred_million_hostile_inputs_are_read_within_bounds() {
    run(200_000_000, 2);
}
