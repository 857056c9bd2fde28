//! Secret bytes of a phone, in its file in hexadecimal digits.

use data_encoding::HEXLOWER;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::Random;

/// So many secret bytes; zeroed when dropped, and never shown.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Secret<const N: usize>(Zeroizing<[u8; N]>);

impl<const N: usize> Secret<N> {
    pub(super) fn fresh(random: &mut Random<'_>) -> Self {
        let mut bytes = Zeroizing::new([0; N]);
        random(bytes.as_mut_slice());
        Self(bytes)
    }

    pub(super) fn of(bytes: [u8; N]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(super) fn bytes(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> std::fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl<const N: usize> Serialize for Secret<N> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&Zeroizing::new(HEXLOWER.encode(self.bytes())))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Secret<N> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(from)?);
        let bytes = Zeroizing::new(HEXLOWER.decode(text.as_bytes()).unwrap_or_default());
        let bytes = bytes.as_slice().try_into();
        let wrong = |_| D::Error::custom(format!("a secret is {N} bytes in hexadecimal digits"));
        bytes.map(Self::of).map_err(wrong)
    }
}
