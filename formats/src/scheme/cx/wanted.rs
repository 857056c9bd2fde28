//! The identifiers that a device observed, arranged for a quick "no".

use super::Identifier;
use alloc::{vec, vec::Vec};

/// Bits of the bitmap for each identifier: one in 64 strangers passes it.
const BITS_PER_ID: usize = 64;
/// Bounds of the bitmap, as powers of two: 512 bytes to 2 MiB.
const LOG2_BITS: core::ops::RangeInclusive<u32> = 12..=24;

/// A set of observed identifiers, built once and asked for every identifier of every seed.
///
/// Anyone nearby chooses what a device observes, so nothing here depends on identifiers being
/// random: the bitmap over their first bits makes the common "no" cheap, and what passes it costs
/// one binary search, however many observations share a prefix.
#[derive(Clone, Debug)]
pub struct WantedIds {
    /// Ascending, each once.
    sorted: Vec<u128>,
    /// Bit `x` is set if some identifier's first bits are `x`.
    bitmap: Vec<u64>,
    /// 128 less the number of those first bits.
    shift: u32,
}

impl WantedIds {
    /// Arranges the identifiers; repetitions are counted once.
    pub fn new(identifiers: impl IntoIterator<Item = Identifier>) -> Self {
        let mut sorted: Vec<u128> = identifiers.into_iter().map(Identifier::number).collect();
        sorted.sort_unstable();
        sorted.dedup();
        let log2 = sorted
            .len()
            .saturating_mul(BITS_PER_ID)
            .max(1)
            .ilog2()
            .clamp(*LOG2_BITS.start(), *LOG2_BITS.end());
        let mut wanted = Self {
            sorted: Vec::new(),
            bitmap: vec![0; 1 << (log2 - u64::BITS.ilog2())],
            shift: u128::BITS - log2,
        };
        for number in &sorted {
            let (word, bit) = wanted.place(*number);
            if let Some(word) = wanted.bitmap.get_mut(word) {
                *word |= bit;
            }
        }
        wanted.sorted = sorted;
        wanted
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
        let number = identifier.number();
        let (word, bit) = self.place(number);
        self.bitmap.get(word).is_some_and(|word| word & bit != 0)
            && self.sorted.binary_search(&number).is_ok()
    }

    /// Where an identifier's bit is: the word, and the bit in it.
    #[inline]
    fn place(&self, number: u128) -> (usize, u64) {
        // At most 24 bits are left, which any usize holds.
        let first = usize::try_from(number >> self.shift).unwrap_or(usize::MAX);
        (first / 64, 1 << (first % 64))
    }
}
