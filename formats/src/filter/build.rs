//! Makes filters. Source: spec §5.4 "How a filter is built".

use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use xorf::BinaryFuse32;

use super::{FORMAT, Filter, HEADER, Layout, MAX_BITS, MIN_BITS};
use crate::limit;

/// Most keys of a filter: the most ids of a sealed part.
pub const MAX_KEYS: u64 = limit::MAX_SEALED_IDS;

/// Most attempts at a build. Random keys took 6 at most in thousands of builds; keys that somebody
/// chose against the public seeds can make every attempt fail, and a relay rebuilds the filters of
/// strangers.
pub const MAX_ATTEMPTS: u32 = 64;

/// Most keys that may meet in a slot: the library counts them in six bits.
const MAX_LOAD: u8 = 63;

/// Builds the filter of `keys` with fingerprints of `bits` bits, as it goes on the wire. The same
/// keys in any order give the same bytes. Source: spec §5.4.
///
/// # Errors
///
/// [`FilterBuildError`]. Of equal keys and of keys without a layout another salt makes other keys.
pub fn build(keys: &[u64], bits: u8) -> Result<Vec<u8>, FilterBuildError> {
    if !(MIN_BITS..=MAX_BITS).contains(&bits) {
        return Err(FilterBuildError::Bits { found: bits });
    }
    let count = u32::try_from(keys.len())
        .ok()
        .filter(|count| u64::from(*count) <= MAX_KEYS)
        .ok_or(FilterBuildError::TooMany { found: keys.len() })?;
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    if keys.iter().zip(keys.iter().skip(1)).any(|(a, b)| a == b) {
        return Err(FilterBuildError::EqualKeys);
    }
    let attempts = Attempts::new(&keys, count);
    let built = BinaryFuse32::try_from_iterator(attempts.keys());
    let built = built.map_err(|_| FilterBuildError::NoLayout)?;
    if attempts.refused.get() {
        return Err(FilterBuildError::NoLayout);
    }
    Ok(encode(&built, count, bits))
}

/// Most bytes that [`build`] makes of `keys` keys: it makes fewer only where a value happens to be
/// 0. At most [`MAX_KEYS`] keys are counted.
pub fn built_max_bytes(keys: u64, bits: u8) -> u64 {
    let count = u32::try_from(keys.min(MAX_KEYS)).unwrap_or(u32::MAX);
    let slots = Layout::of(count, 1).slots();
    HEADER + slots.div_ceil(8) + (u64::from(count) * u64::from(bits)).div_ceil(8)
}

/// The wire form: header, bitmap, the values that are not 0.
fn encode(built: &BinaryFuse32, count: u32, bits: u8) -> Vec<u8> {
    let of = &built.descriptor;
    let segment_log = of.segment_length.trailing_zeros();
    let segments = of.segment_count_length >> segment_log;
    let mut bytes = Vec::with_capacity(Filter::HEADER_BYTES);
    bytes.extend([
        FORMAT,
        bits,
        u8::try_from(segment_log).unwrap_or(u8::MAX),
        0,
    ]);
    bytes.extend(of.seed.to_le_bytes());
    bytes.extend(segments.to_le_bytes());
    bytes.extend(count.to_le_bytes());

    let mask = (1_u32 << bits) - 1;
    let slots = &built.fingerprints;
    bytes.extend(slots.chunks(8).map(|eight| {
        let used = eight.iter().rev().map(|slot| u8::from(slot & mask != 0));
        used.fold(0, |byte, bit| byte << 1 | bit)
    }));
    let (mut pending, mut filled) = (0_u64, 0);
    for value in slots
        .iter()
        .map(|slot| slot & mask)
        .filter(|value| *value != 0)
    {
        pending |= u64::from(value) << filled;
        filled += u32::from(bits);
        while filled >= 8 {
            bytes.push(low_byte(pending));
            pending >>= 8;
            filled -= 8;
        }
    }
    if filled > 0 {
        bytes.push(low_byte(pending));
    }
    bytes
}

const fn low_byte(word: u64) -> u8 {
    let [low, ..] = word.to_le_bytes();
    low
}

impl Layout {
    /// The layout of `count` keys at an attempt, the first being 1: the library's, computed by the
    /// same `log`. Source: spec §5.4.
    pub(super) fn of(count: u32, attempt: u32) -> Self {
        let n = f64::from(count);
        let segment_log = match count {
            0 => 2,
            _ => whole(libm::floor(libm::log(n) / libm::log(3.33) + 2.25)).min(18),
        };
        let factor = libm::fmax(1.125, 0.875 + 0.25 * libm::log(1e6) / libm::log(n));
        let capacity = match count {
            0 | 1 => 0,
            _ => whole(libm::round(n * factor)),
        };
        let segments = capacity.div_ceil(1 << segment_log).saturating_sub(2).max(1);
        // Four keys and fewer keep their layout.
        let (segment_log, segments) = match attempt % 4 {
            2 if count > 4 => (segment_log - 1, 2 * segments + 2),
            _ => (segment_log, segments),
        };
        Self {
            seed: seed(attempt),
            segment_log: u8::try_from(segment_log).unwrap_or(u8::MAX),
            segments,
        }
    }
}

/// A number of at most 2^19 that is whole already.
#[expect(
    clippy::as_conversions,
    reason = "floats convert no other way; `as` saturates"
)]
const fn whole(number: f64) -> u32 {
    number as u32
}

/// The seed of an attempt: SplitMix64 from state 1.
const fn seed(attempt: u32) -> u64 {
    #[expect(clippy::as_conversions, reason = "widening, and `from` is not const")]
    let state = (attempt as u64)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(1);
    let seed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let seed = (seed ^ seed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    seed ^ seed >> 31
}

/// The keys of one build, and a watch over what the library does with them.
///
/// The library goes through the keys once an attempt, by a clone of the iterator: so a clone is an
/// attempt. It has 1000 of them, and where more than [`MAX_LOAD`] keys meet in a slot its counter
/// overflows, after which it may panic or worse. It cannot be stopped, but it can be given other
/// keys: after a refusal it gets 0, 1, 2, …, of which it makes a filter that nobody sees.
struct Attempts<'a> {
    sorted: &'a [u64],
    count: u32,
    attempt: Cell<u32>,
    refused: Cell<bool>,
    /// How many keys meet in each slot; kept from attempt to attempt for its memory.
    load: RefCell<Vec<u8>>,
}

impl<'a> Attempts<'a> {
    const fn new(sorted: &'a [u64], count: u32) -> Self {
        Self {
            sorted,
            count,
            attempt: Cell::new(0),
            refused: Cell::new(false),
            load: RefCell::new(Vec::new()),
        }
    }

    const fn keys(&self) -> Keys<'_> {
        Keys {
            attempts: self,
            next: 0,
        }
    }

    /// Another attempt begins: is it one too many, or too crowded?
    fn begin(&self) {
        let attempt = self.attempt.get() + 1;
        self.attempt.set(attempt);
        if !self.refused.get() {
            let refused = attempt > MAX_ATTEMPTS || self.crowded(Layout::of(self.count, attempt));
            self.refused.set(refused);
        }
    }

    fn crowded(&self, layout: Layout) -> bool {
        let mut load = self.load.borrow_mut();
        load.clear();
        load.resize(usize::try_from(layout.slots()).unwrap_or(0), 0);
        self.sorted.iter().any(|key| {
            layout.slots_of(layout.hash(*key)).into_iter().any(|slot| {
                let load = usize::try_from(slot)
                    .ok()
                    .and_then(|slot| load.get_mut(slot));
                load.is_none_or(|load| {
                    *load += 1;
                    *load > MAX_LOAD
                })
            })
        })
    }
}

/// The keys as the library sees them.
struct Keys<'a> {
    attempts: &'a Attempts<'a>,
    next: usize,
}

impl Clone for Keys<'_> {
    fn clone(&self) -> Self {
        self.attempts.begin();
        Self { ..*self }
    }
}

impl Iterator for Keys<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let key = self.attempts.sorted.get(self.next)?;
        let harmless = u64::try_from(self.next).ok()?;
        self.next += 1;
        Some(if self.attempts.refused.get() {
            harmless
        } else {
            *key
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.attempts.sorted.len() - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Keys<'_> {
    /// The library asks once, before its first attempt and after it has gone through the keys for a
    /// debug assertion, which is no attempt.
    fn len(&self) -> usize {
        self.attempts.attempt.set(0);
        self.size_hint().0
    }
}

/// Why there is no filter of some keys.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum FilterBuildError {
    #[error("fingerprints of {found} bits; there are 8 to 30")]
    Bits { found: u8 },
    #[error("two keys are equal")]
    EqualKeys,
    #[error("the keys have no layout within 64 attempts")]
    NoLayout,
    #[error("{found} keys, a filter takes at most 262144")]
    TooMany { found: usize },
}
