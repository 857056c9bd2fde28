//! FANNY (scheme `fanny`): a token that two phones which met have in common.
//!
//! ```text
//! token = SHA-256(the two contact ids as text, the lesser first)            36 + 36 bytes are hashed
//! key   = HKDF-SHA-256(the same text, no salt, "FANNY-ENC/1", 32)
//! value = HMAC-SHA-256(key, "FANNY-PUB/1" ‖ SHA-256(provider's URL) ‖ expiry day u32 ‖ token)
//! unit  = value(32), or the token itself ‖ claim(16) ‖ expiry day u16           never on the wire
//! ```
//!
//! A token that is encrypted says nothing to the provider that gets it, and nothing to another one.
//! Both holders may report it, each on account of an own diagnosis, and each may be revoked
//! alone. So the claim, which says whose report it is, is part of what names the notification.
//! Always sealed. Source: spec §7.5; FANNY paper of 5 May 2020.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::cx::Identifier;
use super::{DAY_S, Facts, Family, Rules, Sink, UnitError, Units, Width, bytes};
use crate::id::{ProviderId, Scheme};

/// Most days from a report to a token's expiry: 15, and one for the provider's fixed hour.
pub const MAX_DAYS: u64 = 16;

/// Days that a token lives, before it waits for the provider's hour.
const LIFE_DAYS: u64 = 15;

/// The scheme's rules.
#[derive(Clone, Copy, Debug)]
pub struct Fanny;

/// How far the clocks of the two phones of a contact may be apart, in seconds, for each to know what
/// the other one reports. Source: spec §7.5.4.
const CLOCKS_S: u64 = 600;

/// What a phone keeps of a contact: the token, and the key that encrypts it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Contact {
    /// What both phones of the contact know, and nobody else.
    pub token: [u8; 32],
    /// What encrypts the token.
    pub key: [u8; 32],
}

impl Contact {
    /// Its length as an observation, in bytes.
    pub(super) const LEN: usize = 64;

    /// The contact of two phones, by what each broadcast.
    ///
    /// # Errors
    ///
    /// [`UnitError::ContactId`] if an id is no version 4 UUID, or they are equal.
    pub fn of(one: Identifier, other: Identifier) -> Result<Self, UnitError> {
        if one == other || !is_random(one) || !is_random(other) {
            return Err(UnitError::ContactId);
        }
        // The order of the texts is that of the bytes.
        let (first, second) = (one.min(other), one.max(other));
        let text = format!("{first}{second}");
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(None, text.as_bytes())
            .expand(b"FANNY-ENC/1", &mut key)
            .expect("HKDF-SHA-256 gives up to 8160 bytes");
        Ok(Self {
            token: Sha256::digest(&text).into(),
            key,
        })
    }

    /// As an observation: token ‖ key.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let (token, key) = bytes.split_at_mut(self.token.len());
        token.copy_from_slice(&self.token);
        key.copy_from_slice(&self.key);
        bytes
    }

    /// The token as the provider that goes by `url` is to have it: it learns nothing of the token by
    /// it, and another provider nothing at all.
    pub fn encrypted(&self, url: &str, expiry_day: u16) -> [u8; 32] {
        let mac = Hmac::<Sha256>::new_from_slice(&self.key);
        let mut mac = mac.expect("HMAC takes a key of any length");
        mac.update(b"FANNY-PUB/1");
        mac.update(&Sha256::digest(url));
        mac.update(&u32::from(expiry_day).to_be_bytes());
        mac.update(&self.token);
        mac.finalize().into_bytes().into()
    }
}

/// The URL of a provider, for [`Contact::encrypted`]: its share string without parameters.
pub fn url(provider: &ProviderId) -> String {
    format!("{}{provider}", crate::share::PREFIX)
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

/// The unit of a token, encrypted or not.
pub fn unit(value: &[u8; 32], expiry_day: u16, claim: &[u8; 16]) -> Vec<u8> {
    let mut unit = value.to_vec();
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

    /// The token itself, and encrypted with each day on which it may expire: neither the provider's
    /// hour nor the other phone's clock is known.
    fn look_ups(
        &self,
        observed: &[u8],
        at: u64,
        provider: &ProviderId,
        sink: &mut dyn FnMut(Option<u64>, &[u8]),
    ) {
        let Some((token, rest)) = observed.split_first_chunk() else {
            return;
        };
        if rest.is_empty() {
            return sink(None, token);
        }
        let Ok(key) = rest.try_into() else {
            return;
        };
        sink(None, token);
        let contact = Contact { token: *token, key };
        let url = url(provider);
        let first = expiry_day(at.saturating_sub(CLOCKS_S), 23);
        let last = expiry_day(at.saturating_add(CLOCKS_S), 0);
        for day in first..=last {
            if let Ok(expiry) = u16::try_from(day) {
                sink(Some(day), &contact.encrypted(&url, expiry));
            }
        }
    }

    fn dummy(&self, _: &[u8], _: &mut dyn FnMut(&mut [u8])) -> Option<Vec<u8>> {
        None
    }
}
