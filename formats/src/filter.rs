//! Filters of sealed parts: which keys a part may hold, a little over r bits a key. Source: spec §5.4.
//!
//! A binary fuse filter in a sparse form of our own: a bitmap says which slots are used, and only
//! their values follow. [`Filter`] reads it; `build` (feature `build`) makes it.

use alloc::vec::Vec;

use crate::error::rules;
use crate::limit;

#[cfg(feature = "build")]
mod build;
#[cfg(all(test, feature = "build"))]
mod tests;
#[cfg(feature = "build")]
pub use build::{FilterBuildError, MAX_ATTEMPTS, MAX_KEYS, build, built_max_bytes};

/// The only format there is.
const FORMAT: u8 = 1;

/// Fewest bits of a fingerprint: below, a filter says "possible" to every 128th stranger or more.
pub const MIN_BITS: u8 = 8;

/// Most bits of a fingerprint: 2^18 keys still fit a block, and a look-up reads one word.
pub const MAX_BITS: u8 = 30;

/// Fewest bits that clients take: with fewer, candidates by chance would take the looks away from
/// real ones. Source: spec §11.7.
pub const MIN_CLIENT_BITS: u8 = 12;

/// Longest segment, as the power of two: 2^18 slots.
const MAX_SEGMENT_LOG: u8 = 18;

/// A filter that was read and found sound. Look-ups never fail.
///
/// It holds the values packed as they came, and 12 bytes for 64 slots: about the size of the block
/// and a sixteenth more.
#[derive(Clone, Debug)]
pub struct Filter {
    keys: u32,
    bits: u8,
    layout: Layout,
    /// Which slots are used, least significant bit first.
    used: Vec<u64>,
    /// How many used slots lie before each word of `used`.
    before: Vec<u32>,
    /// The used slots' values, and zeros so that eight bytes stand from each value's first byte on.
    values: Vec<u8>,
}

/// Where a key's three slots are.
#[derive(Clone, Copy, Debug)]
struct Layout {
    seed: u64,
    segment_log: u8,
    segments: u32,
}

impl Filter {
    /// Bytes before the bitmap.
    pub const HEADER_BYTES: usize = 20;

    /// Reads the filter of a part of `ids` identifiers. `min_bits` is the fewest bits a fingerprint
    /// that the caller accepts; [`MIN_BITS`] accepts all.
    ///
    /// Allocates less than twice the input's length, and nothing before the header is sound.
    ///
    /// # Errors
    ///
    /// [`FilterError`], one variant a rule.
    pub fn decode(bytes: &[u8], ids: u64, min_bits: u8) -> Result<Self, FilterError> {
        let (header, rest) = Header::read(bytes)?;
        header.check(ids, min_bits)?;
        let (bitmap, values) = usize::try_from(header.layout.slots().div_ceil(8))
            .ok()
            .and_then(|len| rest.split_at_checked(len))
            .ok_or_else(|| header.length(bytes, 0))?;
        if !ends_in_zeros(bitmap, header.layout.slots()) {
            return Err(FilterError::Padding);
        }
        let (used, before, count) = ranked(bitmap);
        if count > u64::from(header.keys) {
            return Err(FilterError::Used {
                found: count,
                keys: header.keys,
            });
        }
        let value_bits = count * u64::from(header.bits);
        if u64::try_from(values.len()) != Ok(value_bits.div_ceil(8)) {
            return Err(header.length(bytes, count));
        }
        if !ends_in_zeros(values, value_bits) {
            return Err(FilterError::Padding);
        }
        let filter = Self {
            keys: header.keys,
            bits: header.bits,
            layout: header.layout,
            used,
            before,
            values: [values, &[0; 8]].concat(),
        };
        match (0..count).find(|index| filter.value(*index) == 0) {
            Some(index) => Err(FilterError::Zero { index }),
            None => Ok(filter),
        }
    }

    /// Whether the part may hold `key`. Always true for a key that it holds, and for one stranger
    /// in 2^bits; never true where the part is empty.
    pub fn contains(&self, key: u64) -> bool {
        let hash = self.layout.hash(key);
        let [a, b, c] = self.layout.slots_of(hash);
        self.keys != 0
            && (self.slot(a) ^ self.slot(b) ^ self.slot(c)) == fingerprint(hash) & self.mask()
    }

    /// Bits of a fingerprint.
    pub const fn bits(&self) -> u8 {
        self.bits
    }

    /// How many keys it was built from.
    pub fn len(&self) -> u64 {
        u64::from(self.keys)
    }

    /// Whether it was built from no keys.
    pub const fn is_empty(&self) -> bool {
        self.keys == 0
    }

    /// The value of a slot; 0 where it is not used.
    fn slot(&self, slot: u64) -> u64 {
        let Ok(word) = usize::try_from(slot / 64) else {
            return 0;
        };
        let (Some(used), Some(before)) = (self.used.get(word), self.before.get(word)) else {
            return 0;
        };
        let bit = used >> (slot % 64) & 1;
        let earlier = used & ((1 << (slot % 64)) - 1);
        let index = u64::from(*before) + u64::from(earlier.count_ones());
        // A quarter of the slots is not used, at random: a branch would be guessed wrong as often.
        self.value(index) * bit
    }

    /// The value of the `index`-th used slot.
    fn value(&self, index: u64) -> u64 {
        let bit = index * u64::from(self.bits);
        let word = usize::try_from(bit / 8)
            .ok()
            .and_then(|byte| self.values.get(byte..)?.first_chunk());
        word.map_or(0, |word| {
            u64::from_le_bytes(*word) >> (bit % 8) & self.mask()
        })
    }

    const fn mask(&self) -> u64 {
        (1 << self.bits) - 1
    }
}

impl Layout {
    /// How many slots there are.
    fn slots(&self) -> u64 {
        (u64::from(self.segments) + 2) << self.segment_log
    }

    /// The key's hash: MurmurHash3's finaliser, a bijection.
    const fn hash(&self, key: u64) -> u64 {
        let hash = key.wrapping_add(self.seed);
        let hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
        let hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        hash ^ hash >> 33
    }

    /// The three slots of a hash, in three segments one after the other.
    fn slots_of(&self, hash: u64) -> [u64; 3] {
        let segment = 1_u64 << self.segment_log;
        let span = u128::from(self.segments) << self.segment_log;
        // The upper 64 bits of a product of 64 bits by less than 64 bits.
        let first = u64::try_from((u128::from(hash) * span) >> 64).unwrap_or_default();
        let second = (first + segment) ^ (hash >> 18 & (segment - 1));
        let third = (first + 2 * segment) ^ (hash & (segment - 1));
        [first, second, third]
    }
}

/// 32 bits of which a filter keeps the lowest.
const fn fingerprint(hash: u64) -> u64 {
    (hash ^ hash >> 32) & 0xffff_ffff
}

/// Whether the last byte's bits from bit number `bits` of all on are 0.
fn ends_in_zeros(bytes: &[u8], bits: u64) -> bool {
    let (rest, last) = (bits % 8, bytes.last().copied().unwrap_or(0));
    rest == 0 || last >> rest == 0
}

/// The bitmap as words, how many bits are set before each, and how many are set in all.
fn ranked(bitmap: &[u8]) -> (Vec<u64>, Vec<u32>, u64) {
    let words = bitmap.len().div_ceil(8);
    let (mut used, mut before) = (Vec::with_capacity(words), Vec::with_capacity(words));
    let mut count = 0_u32;
    for chunk in bitmap.chunks(8) {
        let mut word = [0; 8];
        word.iter_mut()
            .zip(chunk)
            .for_each(|(to, from)| *to = *from);
        let word = u64::from_le_bytes(word);
        used.push(word);
        before.push(count);
        // A bitmap of 2^32 bits and more is longer than a block by far; its count stops there.
        count = count.saturating_add(word.count_ones());
    }
    (used, before, u64::from(count))
}

/// The fixed fields.
struct Header {
    bits: u8,
    layout: Layout,
    keys: u32,
}

impl Header {
    /// Splits the header off; its first and its fourth byte are judged here, the rest by `check`.
    fn read(bytes: &[u8]) -> Result<(Self, &[u8]), FilterError> {
        let short = FilterError::Length {
            found: bytes.len(),
            expected: 20,
        };
        let (head, rest) = bytes
            .split_first_chunk::<4>()
            .ok_or_else(|| short.clone())?;
        let (seed, rest) = rest.split_first_chunk().ok_or_else(|| short.clone())?;
        let (segments, rest) = rest.split_first_chunk().ok_or_else(|| short.clone())?;
        let (keys, rest) = rest.split_first_chunk().ok_or(short)?;
        let [format, bits, segment_log, reserved] = *head;
        if format != FORMAT {
            return Err(FilterError::Format { found: format });
        }
        if reserved != 0 {
            return Err(FilterError::Reserved { found: reserved });
        }
        if segment_log > MAX_SEGMENT_LOG {
            return Err(FilterError::Segment { found: segment_log });
        }
        let layout = Layout {
            seed: u64::from_le_bytes(*seed),
            segment_log,
            segments: u32::from_le_bytes(*segments),
        };
        let keys = u32::from_le_bytes(*keys);
        Ok((Self { bits, layout, keys }, rest))
    }

    /// Everything that can be judged before the bitmap is looked at.
    fn check(&self, ids: u64, min_bits: u8) -> Result<(), FilterError> {
        if !(MIN_BITS..=MAX_BITS).contains(&self.bits) {
            return Err(FilterError::Bits { found: self.bits });
        }
        if self.bits < min_bits {
            return Err(FilterError::Minimum {
                found: self.bits,
                minimum: min_bits,
            });
        }
        if u64::from(self.keys) != ids {
            return Err(FilterError::Count {
                found: self.keys,
                ids,
            });
        }
        let (slots, max) = (self.layout.slots(), max_slots(ids));
        if self.layout.segments == 0 || slots > max {
            return Err(FilterError::Geometry { slots, max });
        }
        Ok(())
    }

    /// What is said of an input of another length than `used` slots make.
    fn length(&self, bytes: &[u8], used: u64) -> FilterError {
        let values = (used * u64::from(self.bits)).div_ceil(8);
        FilterError::Length {
            found: bytes.len(),
            expected: HEADER + self.layout.slots().div_ceil(8) + values,
        }
    }
}

const HEADER: u64 = 20;

/// Most slots of a filter of `ids` keys.
const fn max_slots(ids: u64) -> u64 {
    ids.saturating_mul(4).saturating_add(64)
}

/// Most bytes that a filter of `ids` keys and `bits` bits can have on the wire: a filter of more is
/// refused by [`Filter::decode`] or is no block. Source: spec §5.4.
pub const fn max_bytes(ids: u64, bits: u8) -> u64 {
    let bitmap = max_slots(ids).div_ceil(8);
    #[expect(clippy::as_conversions, reason = "widening, and `from` is not const")]
    let (bits, block) = (bits as u64, limit::MAX_BLOCK_BYTES as u64);
    let bytes = HEADER
        .saturating_add(bitmap)
        .saturating_add(ids.saturating_mul(bits).div_ceil(8));
    if bytes < block { bytes } else { block }
}

/// Why bytes are not the filter of a part. Source: spec §5.4.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum FilterError {
    #[error("a fingerprint of {found} bits; there are 8 to 30")]
    Bits { found: u8 },
    #[error("a filter of {found} keys, the part has {ids} ids")]
    Count { found: u32, ids: u64 },
    #[error("format {found}, this reader knows format 1")]
    Format { found: u8 },
    #[error("{slots} slots, or no segments; at least one, and at most {max} slots")]
    Geometry { slots: u64, max: u64 },
    #[error("{found} bytes, not {expected}")]
    Length { found: usize, expected: u64 },
    #[error("a fingerprint of {found} bits, at least {minimum} are asked for")]
    Minimum { found: u8, minimum: u8 },
    #[error("a bit after the last slot or the last value is set")]
    Padding,
    #[error("the reserved byte is {found}, not 0")]
    Reserved { found: u8 },
    #[error("a segment of 2^{found} slots, at most 2^18")]
    Segment { found: u8 },
    #[error("{found} slots are used by {keys} keys")]
    Used { found: u64, keys: u32 },
    #[error("the value of used slot {index} is 0")]
    Zero { index: u64 },
}

rules!(FilterError {
    Self::Bits { .. } => "filter-bits",
    Self::Count { .. } => "filter-count",
    Self::Format { .. } => "filter-format",
    Self::Geometry { .. } => "filter-geometry",
    Self::Length { .. } => "filter-length",
    Self::Minimum { .. } => "filter-minimum",
    Self::Padding => "filter-padding",
    Self::Reserved { .. } => "filter-reserved",
    Self::Segment { .. } => "filter-segment",
    Self::Used { .. } => "filter-used",
    Self::Zero { .. } => "filter-zero"
});
