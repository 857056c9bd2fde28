//! A contact identifier of any family.

use std::fmt;

use bellwether_formats::scheme::{Family, cx};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ObservationError;

/// A contact identifier as it was on the air, 16 bytes; or 32, of what the unlinkable design of dp3t
/// keeps and of a token of fanny's; or 64, of a token with the key that encrypts it.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ContactId(Bytes);

#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Bytes {
    Short([u8; 16]),
    Long([u8; 32]),
    Pair([u8; 64]),
}

impl ContactId {
    /// Takes an identifier's bytes; `None` if they are not 16, 32 or 64.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let short = bytes.try_into().map(Bytes::Short);
        let long = short.or_else(|_| bytes.try_into().map(Bytes::Long));
        let any = long.or_else(|_| bytes.try_into().map(Bytes::Pair));
        any.ok().map(Self)
    }

    /// The bytes, as they were on the air.
    pub const fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Bytes::Short(bytes) => bytes,
            Bytes::Long(bytes) => bytes,
            Bytes::Pair(bytes) => bytes,
        }
    }

    /// Reads an identifier of a family: a UUID or 32 hexadecimal digits in `cx`, and hexadecimal
    /// digits in all others; in any case.
    ///
    /// # Errors
    ///
    /// [`ObservationError::Id`], [`ObservationError::Digits`], [`ObservationError::Length`].
    pub fn parse(family: Family, text: &str) -> Result<Self, ObservationError> {
        if family == Family::Cx {
            let id: cx::Identifier = text.parse()?;
            return Ok((*id.as_bytes()).into());
        }
        // Found before anything is decoded.
        let found = text.len() / 2;
        if !family.takes(found) {
            return Err(ObservationError::Length { family, found });
        }
        let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes());
        let id = bytes.ok().and_then(|bytes| Self::new(&bytes));
        id.ok_or(ObservationError::Digits { family })
    }

    /// The identifier as text, which [`parse`](Self::parse) reads: a UUID in `cx`, and hexadecimal
    /// digits in all others; in lower case.
    pub fn text(&self, family: Family) -> String {
        match (&self.0, family) {
            (Bytes::Short(bytes), Family::Cx) => cx::Identifier::from_bytes(*bytes).to_string(),
            _ => HEXLOWER.encode(self.as_bytes()),
        }
    }
}

impl From<[u8; 16]> for ContactId {
    fn from(bytes: [u8; 16]) -> Self {
        Self(Bytes::Short(bytes))
    }
}

impl From<[u8; 32]> for ContactId {
    fn from(bytes: [u8; 32]) -> Self {
        Self(Bytes::Long(bytes))
    }
}

impl From<[u8; 64]> for ContactId {
    fn from(bytes: [u8; 64]) -> Self {
        Self(Bytes::Pair(bytes))
    }
}

impl fmt::Debug for ContactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(self.as_bytes()))
    }
}

/// As its bytes.
impl Serialize for ContactId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(self.as_bytes())
    }
}

impl<'de> Deserialize<'de> for ContactId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let bytes: Vec<u8> = serde_bytes::deserialize(from)?;
        Self::new(&bytes).ok_or_else(|| D::Error::custom("an identifier has 16, 32 or 64 bytes"))
    }
}
