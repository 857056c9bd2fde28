//! A phone of FANNY: a contact id for each contact, and token and key of those that it had.
//! Source: spec §7.5.

use std::collections::BTreeSet;

use bellwether_formats::id::{ProviderId, Scheme};
use bellwether_formats::scheme::cx::Identifier;
use bellwether_formats::scheme::{DAY_S, UnitError, fanny, text};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use super::secret::Secret;
use super::{Broadcast, PhoneError, Random, forget};

/// Most tokens kept; the oldest are forgotten. A phone in a crowd all day has some hundred a day.
const MAX_TOKENS: usize = 4096;

/// The bits of a UUID that are random, and those that mark one (RFC 9562 §5.4).
const RANDOM_BITS: u128 = !((0xf << 76) | (0b11 << 62));
const UUID_BITS: u128 = (0x4 << 76) | (0b10 << 62);

/// The contacts of a phone.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Fanny {
    /// What it broadcasts in the next contact. One id for several contacts would let two of them
    /// compute tokens of contacts that they did not have.
    contact: Secret<16>,
    /// Tokens of an earlier version, which kept no keys, with their days of expiry: reported as they
    /// are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tokens: Vec<(Secret<32>, u16)>,
    /// Token, key and day of expiry of each, oldest first.
    #[serde(default)]
    contacts: Vec<(Secret<32>, Secret<32>, u16)>,
}

impl Fanny {
    pub(super) fn new(random: &mut Random<'_>) -> Self {
        Self {
            contact: contact(random),
            tokens: Vec::new(),
            contacts: Vec::new(),
        }
    }

    /// The contact id of the next contact; or, of one with a peer, token and key, which are kept.
    pub(super) fn ids(
        &mut self,
        asked: &Broadcast,
        random: &mut Random<'_>,
    ) -> Result<String, PhoneError> {
        if asked.count != 1 {
            return Err(PhoneError::Count);
        }
        let own = Identifier::from_bytes(*self.contact.bytes());
        let Some(peer) = asked.peer else {
            return Ok(own.to_string());
        };
        let met = fanny::Contact::of(own, peer).map_err(|error| match error {
            UnitError::ContactId if own == peer => PhoneError::OwnId,
            error => PhoneError::Token(error),
        })?;
        // Days have two bytes in a unit; what is later would not even add up.
        let today = asked.at / DAY_S;
        u16::try_from(today).map_err(|_| PhoneError::Time)?;
        let expiry = fanny::expiry_day(asked.at, asked.hour);
        let expiry = u16::try_from(expiry).map_err(|_| PhoneError::Time)?;
        self.tokens.retain(|(_, day)| u64::from(*day) >= today);
        self.contacts.retain(|(.., day)| u64::from(*day) >= today);
        let (token, key) = (Secret::of(met.token), Secret::of(met.key));
        self.contacts.push((token, key, expiry));
        let surplus = self.contacts.len().saturating_sub(MAX_TOKENS);
        self.contacts.drain(..surplus);
        self.contact = contact(random);
        Ok(HEXLOWER.encode(&met.to_bytes()))
    }

    /// The tokens, encrypted for the provider.
    pub(super) fn report(&self, provider: &ProviderId) -> Vec<String> {
        let url = fanny::url(provider);
        let encrypted = |(token, key, expiry): &(Secret<32>, Secret<32>, u16)| {
            let (token, key) = (*token.bytes(), *key.bytes());
            let contact = fanny::Contact { token, key };
            (contact.encrypted(&url, *expiry), *expiry)
        };
        let plain = self.tokens.iter();
        let plain = plain.map(|(token, expiry)| (*token.bytes(), *expiry));
        let text = |(value, expiry): ([u8; 32], u16)| {
            // The claim is the provider's to add, and does not stand in the text.
            text::format(Scheme::FANNY, &fanny::unit(&value, expiry, &[0; 16]))
        };
        let all = plain.chain(self.contacts.iter().map(encrypted));
        all.filter_map(text).collect()
    }

    pub(super) fn settle(&mut self, accepted: &BTreeSet<usize>) {
        let plain = self.tokens.len();
        let behind = accepted
            .iter()
            .filter_map(|number| number.checked_sub(plain));
        forget(&mut self.contacts, &behind.collect());
        forget(&mut self.tokens, accepted);
    }
}

/// A fresh contact id.
fn contact(random: &mut Random<'_>) -> Secret<16> {
    let number = u128::from_be_bytes(*Secret::fresh(random).bytes());
    Secret::of(((number & RANDOM_BITS) | UUID_BITS).to_be_bytes())
}
