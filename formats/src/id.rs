//! Names: providers, keys, signed objects, records, zones, levels, schemes. Source: spec §1.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use data_encoding::HEXLOWER;
use multibase::Base;
use sha2::{Digest, Sha256};

use crate::error::rules;

/// Multicodec prefix of an Ed25519 public key (`ed25519-pub`, 0xed as a varint).
const ED25519_PUB: [u8; 2] = [0xed, 0x01];

/// An Ed25519 public key: 32 bytes on the wire; as text the multikey of `did:key` (`z6Mk…`).
///
/// `Display` and `FromStr` are exact inverses. Whether the bytes are a curve point is for the
/// verifier to find. `Debug` shows the first characters only. Source: spec §1.1.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PublicKey([u8; Self::LEN]);

impl PublicKey {
    /// Length of the key, in bytes.
    pub const LEN: usize = 32;

    /// Takes the key's bytes as they stand on the wire.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The key's bytes, as on the wire.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The commitment to this key that a descriptor's `next_root` carries: sha2-256 of its bytes.
    pub fn commitment(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: Vec<u8> = ED25519_PUB.iter().chain(&self.0).copied().collect();
        f.write_str(&multibase::encode(Base::Base58Btc, bytes))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.to_string();
        write!(f, "{}…", text.get(..12).unwrap_or_default())
    }
}

impl FromStr for PublicKey {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        // A key is 48 characters; decoding base58 costs the square of the length.
        if text.len() > 64 {
            return Err(ParseIdError::Key);
        }
        let (base, bytes) = multibase::decode(text).map_err(|_| ParseIdError::Key)?;
        let key = bytes.strip_prefix(&ED25519_PUB).ok_or(ParseIdError::Key)?;
        let key = Self(key.try_into().map_err(|_| ParseIdError::Key)?);
        if base != Base::Base58Btc || key.to_string() != text {
            return Err(ParseIdError::Key);
        }
        Ok(key)
    }
}

/// Names a provider: its root key. It signs descriptors and nothing else. Source: spec §1.1.
pub type ProviderId = PublicKey;

/// Names a signed object: sha2-256 of its inner bytes, never of its envelope. Source: spec §3.3.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ObjectId([u8; 32]);

impl ObjectId {
    /// The id of these inner bytes.
    pub fn of(inner: &[u8]) -> Self {
        Self(Sha256::digest(inner).into())
    }

    /// Takes an id as it stands on the wire.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The id's bytes, as on the wire.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.to_string();
        write!(f, "{}…", text.get(..8).unwrap_or_default())
    }
}

/// Names a notification at its provider: first 16 bytes of sha2-256("bw1-id" ‖ scheme ‖ key
/// material). Never on the wire. Source: spec §6.4.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RecordId([u8; 16]);

impl RecordId {
    /// The id of a unit of `scheme`.
    pub fn of(scheme: Scheme, key_material: &[u8]) -> Self {
        let digest: [u8; 32] = Sha256::new()
            .chain_update(b"bw1-id")
            .chain_update([scheme.0])
            .chain_update(key_material)
            .finalize()
            .into();
        let mut id = [0; 16];
        id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Self(id)
    }

    /// Takes an id as stored.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The id's bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Where a notification matters: 1 to 4 labels of `[a-z0-9-]{1,16}` joined by `/`, such as `gb/sct`.
/// Source: spec §1.2.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Zone(String);

impl Zone {
    /// Longest zone, in bytes.
    pub const MAX_LEN: usize = 4 * 16 + 3;

    /// The zone as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Zone {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let label = |label: &str| {
            (1..=16).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        };
        let fits = text.len() <= Self::MAX_LEN
            && text.split('/').count() <= 4
            && text.split('/').all(label);
        if fits {
            Ok(Self(text.to_string()))
        } else {
            Err(ParseIdError::Zone)
        }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A feed: the batches of one provider in one zone.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FeedId {
    /// Who signs the batches.
    pub provider: ProviderId,
    /// Where their notifications matter.
    pub zone: Zone,
}

impl fmt::Display for FeedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.zone)
    }
}

/// How much a notification says: a code point of CX's scale. Unknown values are carried verbatim
/// and shown as [`Level::UNKNOWN`]. Source: spec §6.2.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Level(pub u8);

impl Level {
    /// Withdraws the notification.
    pub const NO_ALERT: Self = Self(0);
    /// For tests of a deployment.
    pub const DEBUG: Self = Self(1);
    /// No longer matters.
    pub const EXPIRED: Self = Self(2);
    /// An alert of unspecified weight.
    pub const UNKNOWN: Self = Self(3);
    /// Symptoms, reported by the person.
    pub const SYMPTOMATIC: Self = Self(4);
    /// A positive test.
    pub const DIAGNOSED: Self = Self(5);
    /// A diagnosis without a test.
    pub const CLINICALLY_DIAGNOSED: Self = Self(6);

    const NAMES: [&'static str; 7] = [
        "no-alert",
        "debug",
        "expired",
        "unknown",
        "symptomatic",
        "diagnosed",
        "clinically-diagnosed",
    ];

    /// The level that people are shown.
    pub const fn shown(self) -> Self {
        if self.0 > 6 { Self::UNKNOWN } else { self }
    }

    /// Whether a match of this level is an alert; the others withdraw what they name.
    pub const fn alerts(self) -> bool {
        !matches!(self, Self::NO_ALERT | Self::EXPIRED)
    }

    /// The name of the level that people are shown.
    pub fn name(self) -> &'static str {
        Self::NAMES
            .get(usize::from(self.shown().0))
            .copied()
            .unwrap_or("unknown")
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Level {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        (0..)
            .zip(Self::NAMES)
            .find_map(|(code, name)| (name == text).then_some(Self(code)))
            .ok_or(ParseIdError::Level)
    }
}

/// How contact identifiers are derived and compared, by its code on the wire. Source: spec §7.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Scheme(pub u8);

impl Scheme {
    /// CX, generator type 1 (AES-128).
    pub const CX1: Self = Self(1);
    /// CX, generator type 2 (AES-256).
    pub const CX2: Self = Self(2);
    /// TCN's signed reports.
    pub const TCN: Self = Self(3);
    /// DP-3T, low-cost design.
    pub const DP3T_LOWCOST: Self = Self(4);
    /// DP-3T, unlinkable design.
    pub const DP3T_UNLINKABLE: Self = Self(5);
    /// DP-3T, hybrid design.
    pub const DP3T_HYBRID: Self = Self(6);
    /// Apple and Google's Exposure Notification.
    pub const GAEN: Self = Self(7);
    /// FANNY's tokens.
    pub const FANNY: Self = Self(8);

    /// The schemes that this version knows, in the order of their codes.
    pub const ALL: [Self; 8] = [
        Self::CX1,
        Self::CX2,
        Self::TCN,
        Self::DP3T_LOWCOST,
        Self::DP3T_UNLINKABLE,
        Self::DP3T_HYBRID,
        Self::GAEN,
        Self::FANNY,
    ];

    const NAMES: [&'static str; 8] = [
        "cx1",
        "cx2",
        "tcn",
        "dp3t-lowcost",
        "dp3t-unlinkable",
        "dp3t-hybrid",
        "gaen",
        "fanny",
    ];
}

impl FromStr for Scheme {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let named = Self::ALL.into_iter().zip(Self::NAMES);
        named
            .into_iter()
            .find_map(|(scheme, name)| (name == text).then_some(scheme))
            .ok_or(ParseIdError::Scheme)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = usize::from(self.0)
            .checked_sub(1)
            .and_then(|i| Self::NAMES.get(i));
        match name {
            Some(name) => f.write_str(name),
            None => write!(f, "scheme-{}", self.0),
        }
    }
}

/// Why a text is not the name of something.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum ParseIdError {
    #[error("a provider id or key is the multikey of an Ed25519 key: 48 characters from `z6Mk`")]
    Key,
    #[error(
        "a zone is 1 to 4 labels joined by `/`, each 1 to 16 of `a-z`, `0-9` and `-`, like `gb/sct`"
    )]
    Zone,
    #[error("a level is one of {}", Level::NAMES.join(", "))]
    Level,
    #[error("a scheme is one of {}", Scheme::NAMES.join(", "))]
    Scheme,
}

rules!(ParseIdError {
    Self::Key => "provider-id",
    Self::Zone => "zone",
    Self::Level => "level",
    Self::Scheme => "scheme"
});

#[cfg(test)]
mod tests;
