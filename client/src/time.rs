//! Times as people and other programs write them: RFC 3339, or seconds of UTC.

use crate::horizon::{Moment, Up};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The device's clock, in seconds of UTC. The one place that reads it.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the clock; everything below takes the time as an argument"
)]
pub fn now() -> u64 {
    seconds(SystemTime::now())
}

/// Both clocks of the device. On Linux and Android the monotonic one goes on while the device sleeps,
/// from one process to the next; elsewhere there is none.
pub(crate) fn moment() -> Moment {
    Moment {
        utc: now(),
        up: up(),
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn up() -> Option<Up> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let since = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(since.tv_sec).ok()?;
    Some(Up { boot, seconds })
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
const fn up() -> Option<Up> {
    None
}

/// `at` (seconds of UTC) as RFC 3339, such as `2026-11-21T09:30:00Z`. Times after the year 9999,
/// which the format cannot say, are given as seconds.
pub fn format(at: u64) -> String {
    const YEAR_10000: u64 = 253_402_300_800;
    if at >= YEAR_10000 {
        return at.to_string();
    }
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(at)).to_string()
}

/// Reads RFC 3339 with `Z` or an offset, or seconds of UTC in decimal. Fractions are cut.
///
/// # Errors
///
/// [`ParseTimeError`] for everything else, and for times before 1970.
pub fn parse(text: &str) -> Result<u64, ParseTimeError> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map_err(|_| ParseTimeError);
    }
    if !text.is_ascii() {
        return Err(ParseTimeError);
    }
    let upper = text.to_ascii_uppercase();
    let (local, offset) = split_offset(&upper)
        .filter(|(local, _)| local.ends_with(|last: char| last.is_ascii_digit()))
        .ok_or(ParseTimeError)?;
    let local = humantime::parse_rfc3339(&format!("{local}Z")).map_err(|_| ParseTimeError)?;
    seconds(local)
        .checked_add_signed(-offset)
        .ok_or(ParseTimeError)
}

/// Splits `…T…Z` or `…T…+hh:mm` in the local time and the offset in seconds.
fn split_offset(text: &str) -> Option<(&str, i64)> {
    if let Some(local) = text.strip_suffix('Z') {
        return Some((local, 0));
    }
    let (local, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
    let (sign, offset) = match offset.split_at_checked(1)? {
        ("+", offset) => (1, offset),
        ("-", offset) => (-1, offset),
        _ => return None,
    };
    let (hours, minutes) = offset.split_once(':')?;
    let number = |text: &str, below: i64| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        let number: i64 = text.parse().ok()?;
        (digits && number < below).then_some(number)
    };
    Some((
        local,
        sign * (number(hours, 24)? * 3600 + number(minutes, 60)? * 60),
    ))
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// A text that is not a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a time is RFC 3339, such as 2026-11-21T09:30:00Z, or seconds of UTC")]
pub struct ParseTimeError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_several_spellings() {
        for text in [
            "2026-11-21T09:30:00Z",
            "2026-11-21t09:30:00z",
            "2026-11-21T09:30:00.999Z",
            "2026-11-21T10:30:00+01:00",
            "2026-11-21T04:00:00-05:30",
            "1795253400",
        ] {
            assert_eq!(
                parse(text).map(format).unwrap(),
                "2026-11-21T09:30:00Z",
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_not_a_time_is_refused() {
        for text in [
            "",
            "yesterday",
            "-5",
            "2026-11-21",
            "2026-11-21T09:30:00",
            "2026-13-21T09:30:00Z",
            "2026-11-21T09:30:00+1:00",
            "2026-11-21T09:30:00+24:00",
            "2026-11-21T09:30:00ZZ",
            "2026-11-21T09:30:00Z+01:00",
            "1970-01-01T00:00:00+00:01",
            "99999999999999999999999",
            "é026-11-21T09:30:00+01:00",
        ] {
            assert_eq!(parse(text), Err(ParseTimeError), "{text}");
        }
    }

    #[test]
    fn every_number_has_a_text() {
        assert_eq!(format(253_402_300_799), "9999-12-31T23:59:59Z");
        assert_eq!(format(u64::MAX), u64::MAX.to_string());
    }
}
