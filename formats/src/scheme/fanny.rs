//! FANNY (scheme `fanny`): a token that two phones which met have in common.
//!
//! ```text
//! token = SHA-256(the two contact ids as text, the lesser first)            36 + 36 bytes are hashed
//! unit  = token(32) ‖ claim(16) ‖ expiry day u16                               never on the wire
//! ```
//!
//! Both holders may report the token, each on account of an own diagnosis, and each may be revoked
//! alone. So the claim, which says whose report it is, is part of what names the notification.
//! Always sealed. Source: spec §7.5; FANNY paper of 5 May 2020.

use alloc::string::ToString;
use alloc::vec::Vec;

use sha2::{Digest, Sha256};

use super::cx::Identifier;
use super::{DAY_S, Facts, Family, Rules, Sink, UnitError, Units, Width, bytes};
use crate::id::Scheme;

/// Most days from a report to a token's expiry: 15, and one for the provider's fixed hour.
pub const MAX_DAYS: u64 = 16;

/// Days that a token lives, before it waits for the provider's hour.
const LIFE_DAYS: u64 = 15;

/// The scheme's rules.
#[derive(Clone, Copy, Debug)]
pub struct Fanny;

/// The token of two contact ids.
///
/// # Errors
///
/// [`UnitError::ContactId`] if one is no version 4 UUID, or they are equal.
pub fn token(one: Identifier, other: Identifier) -> Result<[u8; 32], UnitError> {
    if one == other || !is_random(one) || !is_random(other) {
        return Err(UnitError::ContactId);
    }
    // The order of the texts is that of the bytes.
    let (first, second) = (one.min(other), one.max(other));
    let hash = Sha256::new().chain_update(first.to_string());
    Ok(hash.chain_update(second.to_string()).finalize().into())
}

/// Whether an id is a version 4 UUID.
fn is_random(id: Identifier) -> bool {
    let [version] = bytes(id.as_bytes(), 6);
    let [variant] = bytes(id.as_bytes(), 8);
    version & 0xf0 == 0x40 && variant & 0xc0 == 0x80
}

/// The day of a token's expiry: that of the first time, 15 days after the contact or later, at which
/// the clock in UTC shows the provider's fixed hour.
pub const fn expiry_day(contact_at: u64, fixed_hour: u8) -> u64 {
    #[expect(clippy::as_conversions, reason = "widens, in a const fn")]
    let hour = fixed_hour as u64 * 3600;
    contact_at
        .saturating_add(LIFE_DAYS * DAY_S)
        .saturating_sub(hour)
        .div_ceil(DAY_S)
}

/// The unit of a token.
pub fn unit(token: &[u8; 32], expiry_day: u16, claim: &[u8; 16]) -> Vec<u8> {
    let mut unit = token.to_vec();
    unit.extend(claim);
    unit.extend(expiry_day.to_be_bytes());
    unit
}

impl Fanny {
    const WIDTH: usize = 50;
}

impl Rules for Fanny {
    fn scheme(&self) -> Scheme {
        Scheme::FANNY
    }

    fn family(&self) -> Family {
        Family::Fanny
    }

    fn width(&self) -> Width {
        Width::Fixed(Self::WIDTH)
    }

    fn always_sealed(&self) -> bool {
        true
    }

    fn check(&self, unit: &[u8]) -> Result<Facts, UnitError> {
        let (found, expected) = (unit.len(), Self::WIDTH);
        if found != expected {
            return Err(UnitError::Length { found, expected });
        }
        Ok(Facts {
            identifiers: 1,
            period: None,
            publish_from: 0,
        })
    }

    /// The hour is the provider's, so a token whose day is today has not passed yet.
    fn check_at(&self, unit: &[u8], now: u64) -> Result<Facts, UnitError> {
        let facts = self.check(unit)?;
        let day = u64::from(u16::from_be_bytes(bytes(unit, 48)));
        let today = now / DAY_S;
        if !(today..=today + MAX_DAYS).contains(&day) {
            return Err(UnitError::Expiry);
        }
        Ok(facts)
    }

    fn key_material<'a>(&self, unit: &'a [u8]) -> &'a [u8] {
        unit.get(..48).unwrap_or(unit)
    }

    fn expand(&self, units: &Units, sink: &mut Sink<'_>) {
        for (number, unit) in units.iter().enumerate() {
            if let Some(token) = unit.get(..32) {
                sink(number, token, None);
            }
        }
    }

    fn look_ups(&self, observed: &[u8], _: u64, sink: &mut dyn FnMut(Option<u64>, &[u8])) {
        if observed.len() == 32 {
            sink(None, observed);
        }
    }

    fn dummy(&self, _: &[u8], _: &mut dyn FnMut(&mut [u8])) -> Option<Vec<u8>> {
        None
    }
}
