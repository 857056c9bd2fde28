//! GAEN (scheme `gaen`): Apple and Google's temporary exposure keys.
//!
//! A key stands for a rolling proximity identifier in each of up to 144 intervals of 10 minutes. Its
//! [`ReportType`] is the notification's level (spec §6.2).
//!
//! ```text
//! unit = TEK(16) ‖ rolling start u32 ‖ rolling period u8 ‖ transmission risk u8 ‖ days since onset i8
//! ```
//!
//! Numbers are big-endian; days since onset are -128 where they are not known. Source: spec §7.4;
//! Exposure Notification cryptography specification 1.2.

use alloc::vec::Vec;

use aes::Aes128Enc;
use aes::cipher::{Block, BlockCipherEncrypt, KeyInit as _};
use hkdf::Hkdf;
use sha2::Sha256;

use super::{DAY_S, Facts, Family, Rules, Sink, Span, UnitError, Units, Width, bytes};
use crate::id::{Level, ProviderId, Scheme};

mod report_type;

pub use report_type::{ReportType, may_become};

/// Length of an interval, in seconds.
pub const INTERVAL_S: u64 = 600;
/// Most intervals of a key.
pub const MAX_PERIOD: u8 = 144;
/// Last end of a key, in intervals: others hold them in 32 bits with a sign (spec §14.4).
const MAX_INTERVAL: u32 = u32::MAX / 2;
/// Intervals by which an observation may miss its identifier's, before and after: 2 hours, for
/// clocks that go wrong.
const DRIFT: u64 = 12;
/// How days since onset stand that are not known.
const NO_ONSET: i8 = i8::MIN;

/// The scheme's rules.
#[derive(Clone, Copy, Debug)]
pub struct Gaen;

/// A temporary exposure key.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Key {
    /// The key.
    pub tek: [u8; 16],
    /// The first interval, counted from 1970-01-01 by tens of minutes.
    pub rolling_start: u32,
    /// Intervals for which it was used, 1 to 144.
    pub rolling_period: u8,
    /// 0 to 8; deprecated, and carried as it is.
    pub transmission_risk: u8,
    /// Days from the onset of symptoms to the key, -14 to 14.
    pub days_since_onset: Option<i8>,
}

impl Key {
    const WIDTH: usize = 23;

    /// Reads a unit.
    ///
    /// # Errors
    ///
    /// The first rule that it breaks.
    pub fn decode(unit: &[u8]) -> Result<Self, UnitError> {
        let (found, expected) = (unit.len(), Self::WIDTH);
        if found != expected {
            return Err(UnitError::Length { found, expected });
        }
        let [rolling_period, transmission_risk, onset] = bytes(unit, 20);
        let onset = i8::from_be_bytes([onset]);
        let key = Self {
            tek: bytes(unit, 0),
            rolling_start: u32::from_be_bytes(bytes(unit, 16)),
            rolling_period,
            transmission_risk,
            days_since_onset: (onset != NO_ONSET).then_some(onset),
        };
        key.checked()
    }

    /// The key, if its numbers are in range.
    ///
    /// # Errors
    ///
    /// The first rule that it breaks.
    pub fn checked(self) -> Result<Self, UnitError> {
        if !(1..=MAX_PERIOD).contains(&self.rolling_period) {
            let found = self.rolling_period;
            return Err(UnitError::RollingPeriod { found });
        }
        let end = self.rolling_start.checked_add(self.rolling_period.into());
        if end.is_none_or(|end| end > MAX_INTERVAL) {
            let found = self.rolling_start;
            return Err(UnitError::RollingStart { found });
        }
        if self.transmission_risk > 8 {
            let found = self.transmission_risk;
            return Err(UnitError::TransmissionRisk { found });
        }
        match self.days_since_onset {
            Some(found) if !(-14..=14).contains(&found) => Err(UnitError::Onset { found }),
            _ => Ok(self),
        }
    }

    /// The unit.
    pub fn encode(&self) -> Vec<u8> {
        let onset = self.days_since_onset.unwrap_or(NO_ONSET);
        let mut unit = Vec::with_capacity(Self::WIDTH);
        unit.extend(self.tek);
        unit.extend(self.rolling_start.to_be_bytes());
        unit.extend([self.rolling_period, self.transmission_risk]);
        unit.extend(onset.to_be_bytes());
        unit
    }

    /// Its identifiers, each with its interval. They are made at once: side by side, the processor
    /// makes them several times as fast.
    pub fn identifiers(&self) -> impl Iterator<Item = (u32, [u8; 16])> + use<> {
        let first = self.rolling_start;
        let end = first.saturating_add(self.rolling_period.into());
        let mut blocks = [Block::<Aes128Enc>::default(); 144];
        for (interval, block) in (first..end).zip(&mut blocks) {
            // The text, zeros, and the interval in the last four bytes.
            let number = u128::from_le_bytes(*b"EN-RPI\0\0\0\0\0\0\0\0\0\0");
            *block = (number | u128::from(interval) << 96).to_le_bytes().into();
        }
        let cipher = Aes128Enc::new(&derive(&self.tek, b"EN-RPIK").into());
        if let Some(used) = blocks.get_mut(..self.rolling_period.into()) {
            cipher.encrypt_blocks(used);
        }
        (first..end).zip(blocks.map(Into::into))
    }

    /// The key under which the metadata of its identifiers is encrypted.
    pub fn metadata_key(&self) -> [u8; 16] {
        derive(&self.tek, b"EN-AEMK")
    }
}

/// Says nothing of the key: until it is published, it is a patient's secret.
impl core::fmt::Debug for Key {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Key({} + {})", self.rolling_start, self.rolling_period)
    }
}

/// HKDF-SHA-256 without salt, 16 bytes of it.
fn derive(tek: &[u8; 16], info: &[u8]) -> [u8; 16] {
    let mut key = [0; 16];
    Hkdf::<Sha256>::new(None, tek)
        .expand(info, &mut key)
        .expect("16 bytes are fewer than HKDF can give");
    key
}

/// When an identifier of `interval` can be observed: the hashed day is that of the interval.
const fn span(interval: u64) -> Span {
    Span {
        day: interval * INTERVAL_S / DAY_S,
        from: interval.saturating_sub(DRIFT) * INTERVAL_S,
        to: (interval + DRIFT + 1) * INTERVAL_S,
    }
}

impl Rules for Gaen {
    fn scheme(&self) -> Scheme {
        Scheme::GAEN
    }

    fn family(&self) -> Family {
        Family::Gaen
    }

    fn width(&self) -> Width {
        Width::Fixed(Key::WIDTH)
    }

    fn timed(&self) -> bool {
        true
    }

    /// A key waits until 2 hours after its end: until then phones would believe its identifiers.
    fn check(&self, unit: &[u8]) -> Result<Facts, UnitError> {
        let key = Key::decode(unit)?;
        let start = u64::from(key.rolling_start);
        let end = start + u64::from(key.rolling_period);
        let period = Span::new(start * INTERVAL_S, end * INTERVAL_S);
        Ok(Facts {
            identifiers: key.rolling_period.into(),
            publish_from: (end + DRIFT) * INTERVAL_S,
            period: Some(period),
        })
    }

    /// What an owner may say anew of a key: risk and onset, never its time.
    fn may_replace(&self, old: &[u8], new: &[u8]) -> bool {
        old.get(..21) == new.get(..21)
    }

    fn may_become(&self, from: Level, to: Level) -> bool {
        may_become(from, to)
    }

    fn key_material<'a>(&self, unit: &'a [u8]) -> &'a [u8] {
        unit.get(..16).unwrap_or(unit)
    }

    fn expand(&self, units: &Units, sink: &mut Sink<'_>) {
        for (number, unit) in units.iter().enumerate() {
            if let Ok(key) = Key::decode(unit) {
                for (interval, identifier) in key.identifiers() {
                    sink(number, &identifier, Some(span(interval.into())));
                }
            }
        }
    }

    /// On the day of the observation, and on the one beside it where that is near.
    fn look_ups(
        &self,
        observed: &[u8],
        at: u64,
        _: &ProviderId,
        sink: &mut dyn FnMut(Option<u64>, &[u8]),
    ) {
        if observed.len() != 16 {
            return;
        }
        let interval = at / INTERVAL_S;
        let day = |interval: u64| interval.saturating_mul(INTERVAL_S) / DAY_S;
        let first = day(interval.saturating_sub(DRIFT));
        let last = day(interval.saturating_add(DRIFT));
        for day in first..=last {
            sink(Some(day), observed);
        }
    }

    fn dummy(&self, like: &[u8], random: &mut dyn FnMut(&mut [u8])) -> Option<Vec<u8>> {
        let mut key = Key::decode(like).ok()?;
        random(&mut key.tek);
        Some(key.encode())
    }
}
