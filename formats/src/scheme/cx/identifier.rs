//! A CX contact identifier and its text form.

use core::{fmt, str::FromStr};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};

/// The bits that a random UUID leaves random, as a big-endian number (RFC 9562 §5.4).
pub(super) const RANDOM_BITS: u128 = !((0xf << 76) | (0b11 << 62));
/// The bits that mark a version 4, variant 1 UUID.
pub(super) const UUID_BITS: u128 = (0x4 << 76) | (0b10 << 62);

/// A contact identifier of CX: what a phone broadcasts and others observe, 16 bytes.
///
/// Text is a UUID in lower case; `FromStr` takes a UUID or 32 hex digits, both in any case.
/// Observed bytes are taken as they come: whether they are a random UUID is not checked, because
/// an identifier that is none simply matches no seed.
///
/// Source: spec §7.1.2.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Identifier([u8; Self::LEN]);

impl Identifier {
    /// Length of an identifier, in bytes.
    pub const LEN: usize = 16;

    /// Takes the bytes as they were broadcast.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes, as broadcast.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// Marks 16 random bytes as a version 4, variant 1 UUID (RFC 9562 §5.4).
    #[inline]
    pub(crate) const fn from_random(bytes: [u8; Self::LEN]) -> Self {
        Self(((u128::from_be_bytes(bytes) & RANDOM_BITS) | UUID_BITS).to_be_bytes())
    }

    /// The bytes as one number, whose order is that of the bytes.
    #[inline]
    pub(crate) const fn number(self) -> u128 {
        u128::from_be_bytes(self.0)
    }

    /// The first four bytes, in the order that costs most processors nothing.
    #[inline]
    pub(crate) const fn head(self) -> u32 {
        let [a, b, c, d, ..] = self.0;
        u32::from_le_bytes([a, b, c, d])
    }

    /// The last four bytes, alike.
    #[inline]
    pub(crate) const fn tail(self) -> u32 {
        let [.., a, b, c, d] = self.0;
        u32::from_le_bytes([a, b, c, d])
    }
}

/// Hex digits of a UUID between its hyphens.
const UUID_GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = HEXLOWER.encode(&self.0);
        let mut rest = digits.as_str();
        for (count, len) in UUID_GROUPS.into_iter().enumerate() {
            let (group, after) = rest.split_at_checked(len).ok_or(fmt::Error)?;
            if count > 0 {
                f.write_str("-")?;
            }
            f.write_str(group)?;
            rest = after;
        }
        Ok(())
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identifier({self})")
    }
}

impl FromStr for Identifier {
    type Err = ParseIdentifierError;

    fn from_str(text: &str) -> Result<Self, ParseIdentifierError> {
        let mut digits = [0; 2 * Self::LEN];
        let groups: &[usize] = match text.len() {
            32 => &[32],
            36 => &UUID_GROUPS,
            found => return Err(ParseIdentifierError::Length { found }),
        };
        let mut left = text.as_bytes();
        let mut to = digits.iter_mut();
        for (count, len) in groups.iter().enumerate() {
            if count > 0 {
                left = left
                    .strip_prefix(b"-")
                    .ok_or(ParseIdentifierError::NotHex)?;
            }
            let (group, after) = left
                .split_at_checked(*len)
                .ok_or(ParseIdentifierError::NotHex)?;
            for (from, to) in group.iter().zip(to.by_ref()) {
                *to = *from;
            }
            left = after;
        }
        let mut bytes = [0; Self::LEN];
        HEXLOWER_PERMISSIVE
            .decode_mut(&digits, &mut bytes)
            .map_err(|_| ParseIdentifierError::NotHex)?;
        Ok(Self(bytes))
    }
}

/// Why a text is not an [`Identifier`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum ParseIdentifierError {
    #[error("an identifier is a UUID (36 characters) or 32 hex digits, this is {found} bytes long")]
    Length { found: usize },
    #[error(
        "an identifier is a UUID or 32 hex digits; this has other characters or hyphens astray"
    )]
    NotHex,
}
