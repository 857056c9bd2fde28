//! A temporary exposure key with what is said of it, and which of a list are taken.

use std::collections::BTreeMap;
use std::fmt;

use bellwether_formats::scheme::gaen::ReportType;

/// Length of a temporary exposure key, in bytes.
pub const TEK_BYTES: usize = 16;

/// Longest validity of a key, in intervals of ten minutes: a day. Absent, it is this.
pub(super) const MAX_PERIOD: u8 = 144;

/// Last interval (2^31 - 1): others hold them in 32 bits with a sign.
const MAX_INTERVAL: u32 = u32::MAX / 2;

/// Largest transmission risk.
const MAX_RISK: u8 = 8;

/// Most days between the onset of symptoms and the key, either way.
const MAX_ONSET_DAYS: i8 = 14;

/// A temporary exposure key: what a phone broadcast identifiers from, and what is said of it.
///
/// Its `Debug` does not hold the key.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Key {
    /// The key itself.
    pub tek: [u8; TEK_BYTES],
    /// First interval of its validity: ten minutes each, counted from 1970.
    pub rolling_start: u32,
    /// Length of its validity, in intervals: 1 to 144.
    pub rolling_period: u8,
    /// 0 to 8; each publisher's own, and given up by later ones.
    pub transmission_risk: u8,
    /// Why it was reported.
    pub report_type: ReportType,
    /// Days from the onset of symptoms to the key: -14 to 14.
    pub days_since_onset: Option<i8>,
    /// Whether this says something else of a key that was published before.
    pub revised: bool,
}

impl Key {
    /// The interval after its last; `None` if that is beyond [`MAX_INTERVAL`].
    fn end(&self) -> Option<u32> {
        let end = self.rolling_start.checked_add(self.rolling_period.into());
        end.filter(|end| *end <= MAX_INTERVAL)
    }

    /// Whether every number is in its range.
    ///
    /// # Errors
    ///
    /// [`KeyError`], but neither [`Duplicate`](KeyError::Duplicate) nor
    /// [`Overlap`](KeyError::Overlap), which take another key.
    pub fn check(&self) -> Result<(), KeyError> {
        if !(1..=MAX_PERIOD).contains(&self.rolling_period) {
            return Err(KeyError::RollingPeriod);
        }
        if self.end().is_none() {
            return Err(KeyError::RollingStart);
        }
        if self.transmission_risk > MAX_RISK {
            return Err(KeyError::TransmissionRisk);
        }
        let days = -MAX_ONSET_DAYS..=MAX_ONSET_DAYS;
        if self
            .days_since_onset
            .is_some_and(|day| !days.contains(&day))
        {
            return Err(KeyError::DaysSinceOnset);
        }
        Ok(())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("rolling_start", &self.rolling_start)
            .field("rolling_period", &self.rolling_period)
            .field("report_type", &self.report_type)
            .field("revised", &self.revised)
            .finish_non_exhaustive()
    }
}

/// The keys of a list that were taken so far: the first of each, by when it is valid. New keys
/// and revised ones are lists of their own, since a revised key was once a new one.
#[derive(Debug, Default)]
pub(super) struct Taken(BTreeMap<(bool, [u8; TEK_BYTES], u32), u32>);

impl Taken {
    /// Takes a key, unless one with the same 16 bytes was taken that begins when it does, or
    /// whose validity shares an interval with its own.
    pub(super) fn take(&mut self, key: &Key) -> Result<(), KeyError> {
        key.check()?;
        let start = key.rolling_start;
        let end = key.end().ok_or(KeyError::RollingStart)?;
        let at = |start| (key.revised, key.tek, start);
        if self.0.contains_key(&at(start)) {
            return Err(KeyError::Duplicate);
        }
        // What was taken never overlaps: the last one that begins before `end` also ends last.
        let before = self.0.range(at(0)..at(end)).next_back();
        if before.is_some_and(|(_, &its_end)| its_end > start) {
            return Err(KeyError::Overlap);
        }
        self.0.insert(at(start), end);
        Ok(())
    }
}

/// Why a key is not taken.
///
/// [`rule`](Self::rule) is the broken rule of spec §14.4. No message holds the key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum KeyError {
    #[error("a key has {TEK_BYTES} bytes")]
    KeyData,
    #[error("the first interval is missing, or the validity ends beyond {MAX_INTERVAL}")]
    RollingStart,
    #[error("a key is valid for 1 to {MAX_PERIOD} intervals")]
    RollingPeriod,
    #[error("a transmission risk is 0 to {MAX_RISK}")]
    TransmissionRisk,
    #[error("days since the onset are -{MAX_ONSET_DAYS} to {MAX_ONSET_DAYS}")]
    DaysSinceOnset,
    #[error("the same key with the same beginning came before")]
    Duplicate,
    #[error("the same key, valid at the same time, came before")]
    Overlap,
}

impl KeyError {
    /// The broken rule's name, as in the spec and its vectors.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::KeyData => "key-data",
            Self::RollingStart => "rolling-start",
            Self::RollingPeriod => "rolling-period",
            Self::TransmissionRisk => "transmission-risk",
            Self::DaysSinceOnset => "days-since-onset",
            Self::Duplicate => "duplicate",
            Self::Overlap => "overlap",
        }
    }
}
