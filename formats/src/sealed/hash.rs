//! What an identifier becomes. Source: spec §5.2, §5.3, §5.5.

use core::fmt;

use sha2::{Digest, Sha256};

use super::SealedError;
use crate::id::{Level, Scheme};
use crate::scheme::DAY_S;

/// The salted hash of an identifier: where its entry lies, and what opens it.
///
/// `Debug` says nothing of it: it tells that an identifier was observed.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct IdHash {
    hash: [u8; 32],
    /// The day that was hashed, from which a payload's times count.
    day: Option<u64>,
}

impl IdHash {
    /// The hash under a batch's salt. In timed schemes it holds the day of UTC in which the
    /// identifier was broadcast, counted from 1970-01-01; others have none.
    pub fn of(scheme: Scheme, salt: &[u8; 16], day: Option<u64>, identifier: &[u8]) -> Self {
        let mut hash = Sha256::new()
            .chain_update(b"bw1")
            .chain_update([scheme.0])
            .chain_update(salt);
        if let Some(day) = day {
            hash.update(day.to_be_bytes());
        }
        let hash = hash.chain_update(identifier).finalize().into();
        Self { hash, day }
    }

    /// The day that was hashed, in timed schemes.
    pub(super) const fn day(&self) -> Option<u64> {
        self.day
    }

    /// The first 12 bytes, by which its entry is found.
    pub fn tag(&self) -> Tag {
        let mut tag = [0; Tag::LEN];
        tag.iter_mut()
            .zip(self.hash)
            .for_each(|(to, byte)| *to = byte);
        Tag(tag)
    }

    /// The key under which a filter knows it.
    pub fn key(&self) -> u64 {
        self.tag().key()
    }

    /// The 12 bytes that a payload is XORed with.
    pub(super) fn keystream(&self) -> [u8; Payload::LEN] {
        let mut keystream = [0; Payload::LEN];
        let bytes = self.hash.iter().skip(Tag::LEN);
        keystream
            .iter_mut()
            .zip(bytes)
            .for_each(|(to, byte)| *to = *byte);
        keystream
    }
}

impl fmt::Debug for IdHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdHash(…)")
    }
}

/// Names an entry, and says where it lies.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Tag([u8; Self::LEN]);

impl Tag {
    /// Length of a tag, in bytes.
    pub const LEN: usize = 12;

    /// Takes a tag's bytes as they stand in a chunk.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The tag's bytes, as in a chunk.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The key under which a filter knows it: its first 8 bytes, little-endian.
    pub const fn key(&self) -> u64 {
        self.position().swap_bytes()
    }

    /// In which of `parts` parts of the scheme its entry lies, counted from 0. Source: spec §5.3.
    pub fn part(&self, parts: usize) -> usize {
        share(self.position(), parts).0
    }

    /// In which of `chunks` chunks of its part its entry lies, counted from 0.
    pub fn chunk(&self, parts: usize, chunks: usize) -> usize {
        share(share(self.position(), parts).1, chunks).0
    }

    /// Its first 8 bytes, big-endian: by this number, tags are spread.
    pub(super) const fn position(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({:016x}…)", self.position())
    }
}

/// Cuts the range of a `u64` into `shares` equal shares: in which of them `position` lies, and
/// where in it, as a `u64` again.
fn share(position: u64, shares: usize) -> (usize, u64) {
    let shares = u64::try_from(shares).unwrap_or(u64::MAX);
    let product = u128::from(position) * u128::from(shares);
    let number = usize::try_from(product >> 64).unwrap_or(usize::MAX);
    let rest = u64::try_from(product & u128::from(u64::MAX)).unwrap_or(u64::MAX);
    (number, rest)
}

/// Length of a step in which a payload's span counts, in seconds: what GAEN's intervals and DP-3T's
/// epochs are multiples of.
const STEP_S: u64 = 300;

/// What an entry says to whoever can open it. Source: spec §5.5.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Payload {
    /// How much the notification says.
    pub level: Level,
    /// Finer weight in steps of 25: 0 none, 1 to 4.
    pub grade_step: u8,
    /// Observations at or after this time do not match, in seconds of UTC; below 2^40.
    pub observed_before: u64,
    /// In timed schemes, when the identifier can be observed: seconds of UTC, from inclusive, to
    /// exclusive.
    pub span: Option<(u64, u64)>,
}

impl Payload {
    /// Length on the wire, in bytes.
    pub const LEN: usize = 12;

    /// Highest grade step.
    pub const MAX_GRADE_STEP: u8 = 4;

    /// Highest time that fits, in seconds of UTC.
    pub const MAX_TIME: u64 = (1 << 40) - 1;

    /// The step of a grade from 0 to 100: 1 up to 25, 2 up to 50, 3 up to 75, 4 above.
    pub const fn step_of(grade: Option<u8>) -> u8 {
        match grade {
            None => 0,
            Some(0..=25) => 1,
            Some(26..=50) => 2,
            Some(51..=75) => 3,
            Some(76..) => 4,
        }
    }

    /// The grade as a number: the highest of its step.
    pub fn grade(&self) -> Option<u8> {
        let step = self.grade_step.min(Self::MAX_GRADE_STEP);
        (step > 0).then_some(step * 25)
    }

    /// Whether an observation at `at` is one of those that the entry speaks of.
    pub fn matches(&self, at: u64) -> bool {
        let in_span = self.span.is_none_or(|(from, to)| from <= at && at < to);
        in_span && at < self.observed_before
    }

    /// The bytes on the wire, before they are sealed, in an entry whose hash holds `day`. A number
    /// that is too high is written as the highest.
    #[cfg(feature = "build")]
    pub(super) fn encode(&self, day: Option<u64>) -> [u8; Self::LEN] {
        let time = self.observed_before.min(Self::MAX_TIME);
        let [_, _, _, a, b, c, d, e] = time.to_be_bytes();
        let step = self.grade_step.min(Self::MAX_GRADE_STEP);
        let (mut first, mut count) = (0, 0);
        if let (Some(day), Some((from, to))) = (day, self.span) {
            let steps = |time: u64| i64::try_from(time / STEP_S).unwrap_or(i64::MAX);
            let start = steps(day.saturating_mul(DAY_S));
            first = i16::try_from(steps(from).saturating_sub(start)).unwrap_or(i16::MAX);
            count = u16::try_from(to.saturating_sub(from) / STEP_S).unwrap_or(u16::MAX);
        }
        let ([f, g], [h, i]) = (first.to_be_bytes(), count.to_be_bytes());
        [self.level.0, step, a, b, c, d, e, f, g, h, i, 0]
    }

    /// Reads the bytes of an opened entry whose hash holds `day`.
    ///
    /// # Errors
    ///
    /// [`SealedError::Reserved`] for a grade step above 4 and for bytes that are not 0.
    pub(super) fn decode(bytes: [u8; Self::LEN], day: Option<u64>) -> Result<Self, SealedError> {
        let [level, grade_step, a, b, c, d, e, f, g, h, i, zero] = bytes;
        let (first, count) = (i16::from_be_bytes([f, g]), u16::from_be_bytes([h, i]));
        let timed = day.is_some();
        if grade_step > Self::MAX_GRADE_STEP || zero != 0 || (!timed && (first, count) != (0, 0)) {
            return Err(SealedError::Reserved);
        }
        let span = day.map(|day| {
            let start = day.saturating_mul(DAY_S);
            let from = match u64::try_from(first) {
                Ok(after) => start.saturating_add(after * STEP_S),
                Err(_) => start.saturating_sub(u64::from(first.unsigned_abs()) * STEP_S),
            };
            (from, from.saturating_add(u64::from(count) * STEP_S))
        });
        Ok(Self {
            level: Level(level),
            grade_step,
            observed_before: u64::from_be_bytes([0, 0, 0, a, b, c, d, e]),
            span,
        })
    }
}

/// XORs a payload with a keystream: seals it, or opens it.
pub(super) fn xor(payload: [u8; 12], keystream: [u8; 12]) -> [u8; 12] {
    let mut result = payload;
    result
        .iter_mut()
        .zip(keystream)
        .for_each(|(byte, key)| *byte ^= key);
    result
}
