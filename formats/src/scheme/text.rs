//! Units as text, one a line: what phones and systems submit. Source: spec §7.6.
//!
//! Fields are separated by one space. Bytes are hexadecimal in any case, dates `2026-11-20`, days of
//! UTC.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};

use super::{bytes, dp3t, gaen};
use crate::error::rules;
use crate::id::Scheme;

/// Longest text of a unit, in bytes: a TCN report in hexadecimal has 778.
pub const MAX_BYTES: usize = 1024;

/// Reads a unit as it is submitted; [`Rules::check`](super::Rules::check) is for the caller. A FANNY
/// token comes without the claim, 34 bytes: the claim is not for the sender to choose.
///
/// # Errors
///
/// [`TextError`], by what is wrong.
pub fn parse(scheme: Scheme, text: &str) -> Result<Vec<u8>, TextError> {
    if text.len() > MAX_BYTES {
        let found = text.len();
        return Err(TextError::Long { found });
    }
    let mut fields = Fields::new(text);
    let unit = match scheme {
        Scheme::CX1 => fields.hex::<24>()?.to_vec(),
        Scheme::CX2 => fields.hex::<48>()?.to_vec(),
        Scheme::TCN => report(fields.field()?)?,
        Scheme::DP3T_LOWCOST => {
            let (key, first) = (fields.hex()?, fields.date()?);
            dp3t::lowcost_unit(&key, first, fields.number("days", 1)?)
        }
        Scheme::DP3T_UNLINKABLE => {
            let epoch = fields.required("epoch")?;
            dp3t::unlinkable_unit(epoch, &fields.hex()?)
        }
        Scheme::DP3T_HYBRID => {
            let (seed, first) = (fields.hex()?, fields.required("epoch")?);
            dp3t::hybrid_unit(&seed, first, fields.required("epochs")?)
        }
        Scheme::GAEN => {
            let key = gaen::Key {
                tek: fields.hex()?,
                rolling_start: fields.required("rolling start")?,
                rolling_period: fields.number("rolling period", gaen::MAX_PERIOD)?,
                transmission_risk: fields.number("transmission risk", 0)?,
                days_since_onset: fields.maybe("days since onset")?,
            };
            key.encode()
        }
        Scheme::FANNY => {
            let (token, expiry) = (fields.hex::<32>()?, fields.date()?);
            [token.as_slice(), &expiry.to_be_bytes()].concat()
        }
        _ => return Err(TextError::Scheme),
    };
    fields.end()?;
    Ok(unit)
}

/// Writes a unit as it is submitted. `None` for a unit of dp3t-unlinkable, of which only the seed is
/// submitted ([`format_epoch`]), and for what is no unit.
pub fn format(scheme: Scheme, unit: &[u8]) -> Option<String> {
    let hex = |from: usize, to: usize| unit.get(from..to).map(|part| HEXLOWER.encode(part));
    let date = |at: usize| date_of(u16::from_be_bytes(bytes(unit, at)));
    let text = match scheme {
        Scheme::CX1 | Scheme::CX2 | Scheme::TCN => HEXLOWER.encode(unit),
        Scheme::DP3T_LOWCOST => format!("{} {} {}", hex(0, 32)?, date(32), unit.get(34)?),
        Scheme::DP3T_HYBRID => {
            let epoch = u32::from_be_bytes(bytes(unit, 16));
            format!("{} {epoch} {}", hex(0, 16)?, unit.get(20)?)
        }
        Scheme::GAEN => {
            let key = gaen::Key::decode(unit).ok()?;
            let onset = key.days_since_onset.map(|days| format!(" {days}"));
            format!(
                "{} {} {} {}{}",
                hex(0, 16)?,
                key.rolling_start,
                key.rolling_period,
                key.transmission_risk,
                onset.unwrap_or_default()
            )
        }
        Scheme::FANNY => format!("{} {}", hex(0, 32)?, date(unit.len().checked_sub(2)?)),
        _ => return None,
    };
    Some(text)
}

/// Writes an epoch and its seed, for dp3t-unlinkable.
pub fn format_epoch(epoch: u32, seed: &[u8; 32]) -> String {
    format!("{epoch} {}", HEXLOWER.encode(seed))
}

/// A report in hexadecimal, or in base64 as CoEpi's servers took it.
fn report(text: &str) -> Result<Vec<u8>, TextError> {
    let hex = HEXLOWER_PERMISSIVE.decode(text.as_bytes());
    let bytes = hex.or_else(|_| BASE64.decode(text.as_bytes()));
    bytes.map_err(|_| TextError::Bytes)
}

/// The fields of a text, in order.
struct Fields<'a> {
    left: core::str::Split<'a, char>,
}

impl<'a> Fields<'a> {
    fn new(text: &'a str) -> Self {
        let left = text.split(' ');
        Self { left }
    }

    fn field(&mut self) -> Result<&'a str, TextError> {
        let field = self.left.next().filter(|field| !field.is_empty());
        field.ok_or(TextError::Fields)
    }

    fn hex<const N: usize>(&mut self) -> Result<[u8; N], TextError> {
        let bytes = HEXLOWER_PERMISSIVE.decode(self.field()?.as_bytes());
        let bytes = bytes.map_err(|_| TextError::Bytes)?;
        let found = bytes.len();
        let wrong = |_| TextError::Length { found, expected: N };
        bytes.try_into().map_err(wrong)
    }

    fn maybe<T: core::str::FromStr>(&mut self, what: &'static str) -> Result<Option<T>, TextError> {
        // Digits, and a sign where there can be one; no `+`, which is another spelling.
        let read = |text: &str| {
            let plain = !text.starts_with('+');
            text.parse().ok().filter(|_| plain)
        };
        let field = self.left.next();
        if field == Some("") {
            return Err(TextError::Fields);
        }
        let value = field.map(|text| read(text).ok_or(TextError::Number { what }));
        value.transpose()
    }

    fn number<T: core::str::FromStr>(
        &mut self,
        what: &'static str,
        missing: T,
    ) -> Result<T, TextError> {
        Ok(self.maybe(what)?.unwrap_or(missing))
    }

    fn required<T: core::str::FromStr>(&mut self, what: &'static str) -> Result<T, TextError> {
        self.maybe(what)?.ok_or(TextError::Fields)
    }

    fn date(&mut self) -> Result<u16, TextError> {
        day_of(self.field()?).ok_or(TextError::Date)
    }

    fn end(mut self) -> Result<(), TextError> {
        match self.left.next() {
            Some(_) => Err(TextError::Fields),
            None => Ok(()),
        }
    }
}

/// Days of the months before March to February, from 1 March.
const MONTHS: [u32; 12] = [0, 31, 61, 92, 122, 153, 184, 214, 245, 275, 306, 337];

/// The day of a date, counted from 1970-01-01; `None` if there is no such date or it is later than
/// 2149. Only the canonical spelling is read.
fn day_of(date: &str) -> Option<u16> {
    let number = |from: usize, to: usize| -> Option<u32> {
        let digits = date.get(from..to)?;
        let all = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|_| all)
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let from_march = MONTHS.get(usize::try_from((month + 9) % 12).ok()?)?;
    if !(1970..=2150).contains(&year) || !(1..=12).contains(&month) {
        return None;
    }
    // A year from March on: its leap day is its last.
    let years = year - u32::from(month < 3);
    let leap_days = years / 4 - years / 100 + years / 400;
    let days = (years * 365 + leap_days + from_march + day).checked_sub(719_469)?;
    let days = u16::try_from(days).ok()?;
    (date_of(days) == date).then_some(days)
}

/// The date of a day, counted from 1970-01-01.
fn date_of(day: u16) -> String {
    // Days from 1 March of the year 0; years of 365.2425 days.
    let days = u32::from(day) + 719_468;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (year_of_era * 365 + year_of_era / 4 - year_of_era / 100);
    let month = MONTHS.iter().rposition(|first| *first <= of_year);
    let month = u32::try_from(month.unwrap_or_default()).unwrap_or_default();
    let first = MONTHS.iter().rfind(|first| **first <= of_year);
    let day = of_year - first.copied().unwrap_or_default() + 1;
    let year = days / 146_097 * 400 + year_of_era + u32::from(month >= 10);
    let month = (month + 2) % 12 + 1;
    format!("{year:04}-{month:02}-{day:02}")
}

/// Why a text is not a unit as it is submitted. The messages do not hold it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum TextError {
    #[error("bytes are written in hexadecimal")]
    Bytes,
    #[error("a date is written 2026-11-20, and lies between 1970 and 2149")]
    Date,
    #[error("a unit of this scheme has fewer or more fields, separated by one space")]
    Fields,
    #[error("a field of {found} bytes, expected {expected}")]
    Length { found: usize, expected: usize },
    #[error("a text of {found} bytes, the limit is {MAX_BYTES}")]
    Long { found: usize },
    #[error("{what} is a number")]
    Number { what: &'static str },
    #[error("units of this scheme are not known here")]
    Scheme,
}

rules!(TextError {
    Self::Bytes => "text-bytes",
    Self::Date => "text-date",
    Self::Fields => "text-fields",
    Self::Length { .. } => "unit-length",
    Self::Long { .. } => "text-length",
    Self::Number { .. } => "text-number",
    Self::Scheme => "scheme"
});

#[cfg(test)]
mod tests;
