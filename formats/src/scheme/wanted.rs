//! The identifiers that a device observed, arranged for a quick "no".

use super::cx::Identifier;
use alloc::{vec, vec::Vec};

/// Bits of a bitmap for each identifier: one in 64 strangers passes it.
const BITS_PER_ID: usize = 64;
/// Bounds of a bitmap, as powers of two: 512 bytes to 2 MiB.
const LOG2_BITS: core::ops::RangeInclusive<u32> = 12..=24;

/// A set of observed identifiers, built once and asked for every identifier of every unit.
///
/// Anyone nearby chooses what a device observes, so nothing here depends on identifiers being
/// random: two bitmaps over different bytes make the common "no" cheap, and what passes them costs
/// one binary search, however many observations share a prefix. (For 5000 observations a bitmap
/// has 32 KiB and nearly always the first is asked alone, so that it stays in the nearest cache.)
#[derive(Clone, Debug)]
pub struct WantedIds {
    /// Ascending, each once.
    sorted: Vec<u128>,
    /// Of the first bytes.
    head: Bitmap,
    /// Of the last bytes.
    tail: Bitmap,
}

impl WantedIds {
    /// Arranges the identifiers; repetitions are counted once.
    pub fn new(identifiers: impl IntoIterator<Item = Identifier>) -> Self {
        let mut sorted: Vec<u128> = identifiers.into_iter().map(Identifier::number).collect();
        sorted.sort_unstable();
        sorted.dedup();
        let mut head = Bitmap::new(sorted.len());
        let mut tail = head.clone();
        for number in &sorted {
            let identifier = Identifier::from_bytes(number.to_be_bytes());
            head.set(identifier.head());
            tail.set(identifier.tail());
        }
        Self { sorted, head, tail }
    }

    /// How many different identifiers there are.
    pub const fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// Whether the identifier was observed.
    #[inline]
    pub fn contains(&self, identifier: Identifier) -> bool {
        self.head.get(identifier.head()) && self.contains_likely(identifier)
    }

    /// The rest of [`contains`](Self::contains), apart so that what is inlined is small.
    #[inline(never)]
    fn contains_likely(&self, identifier: Identifier) -> bool {
        self.tail.get(identifier.tail()) && self.sorted.binary_search(&identifier.number()).is_ok()
    }
}

/// Which values occur among the low bits of some numbers.
#[derive(Clone, Debug)]
struct Bitmap(Vec<u64>);

impl Bitmap {
    /// Empty, of a size for `count` numbers.
    fn new(count: usize) -> Self {
        let bits = count.saturating_mul(BITS_PER_ID).max(1);
        let log2 = bits.ilog2().clamp(*LOG2_BITS.start(), *LOG2_BITS.end());
        Self(vec![0; 1 << (log2 - u64::BITS.ilog2())])
    }

    fn set(&mut self, number: u32) {
        let place = self.place(number);
        if let Some(word) = self.0.get_mut(place) {
            *word |= Self::bit(number);
        }
    }

    #[inline]
    fn get(&self, number: u32) -> bool {
        let word = self.0.get(self.place(number));
        word.is_some_and(|word| word & Self::bit(number) != 0)
    }

    /// The word that a number's bit is in; the number of words is a power of two.
    #[inline]
    fn place(&self, number: u32) -> usize {
        usize::try_from(number / u64::BITS).unwrap_or(usize::MAX) & self.0.len().wrapping_sub(1)
    }

    /// The bit in its word.
    #[inline]
    const fn bit(number: u32) -> u64 {
        1 << (number % u64::BITS)
    }
}
