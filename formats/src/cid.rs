//! Blocks and their names. Source: spec §2.4.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use sha2::{Digest, Sha256};

use crate::error::rules;
use crate::limit;

/// What a block's bytes are. Source: spec §2.4.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Codec {
    /// Bytes without structure (0x55).
    Raw,
    /// Deterministic CBOR with links (0x71).
    DagCbor,
}

impl Codec {
    /// The multicodec number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Raw => 0x55,
            Self::DagCbor => 0x71,
        }
    }
}

/// Names a block: CID version 1, sha2-256, codec dag-cbor or raw.
///
/// Text is base32 lower case (`bafy…`, `bafk…`), 59 characters; `Display` and `FromStr` are exact
/// inverses. `Debug` shows the last characters only, so that logs stay readable.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Cid {
    codec: Codec,
    digest: [u8; 32],
}

impl Cid {
    /// Length of the binary form, in bytes.
    pub const LEN: usize = 36;

    /// Length of the text form, in characters.
    pub const TEXT_LEN: usize = 59;

    /// The name of these bytes.
    pub fn of(codec: Codec, bytes: &[u8]) -> Self {
        Self {
            codec,
            digest: Sha256::digest(bytes).into(),
        }
    }

    /// What the block's bytes are.
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// The binary form: version, codec, hash function, hash length, hash.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let parts = [1, self.codec.code(), 0x12, 32]
            .into_iter()
            .chain(self.digest);
        bytes
            .iter_mut()
            .zip(parts)
            .for_each(|(to, from)| *to = from);
        bytes
    }

    /// Reads the binary form, which must fill `bytes`.
    ///
    /// # Errors
    ///
    /// [`ParseCidError`] for every other version, codec, hash or spelling.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ParseCidError> {
        let parsed = cid::Cid::try_from(bytes).map_err(|_| ParseCidError)?;
        let cid = Self::try_from(parsed)?;
        if cid.to_bytes() == bytes {
            Ok(cid)
        } else {
            Err(ParseCidError)
        }
    }

    fn to_cid(self) -> cid::Cid {
        let hash = multihash::Multihash::wrap(0x12, &self.digest).expect("32 bytes fit 64");
        cid::Cid::new_v1(u64::from(self.codec.code()), hash)
    }
}

impl TryFrom<cid::Cid> for Cid {
    type Error = ParseCidError;

    fn try_from(cid: cid::Cid) -> Result<Self, ParseCidError> {
        let codec = match cid.codec() {
            0x55 => Codec::Raw,
            0x71 => Codec::DagCbor,
            _ => return Err(ParseCidError),
        };
        if cid.version() != cid::Version::V1 || cid.hash().code() != 0x12 {
            return Err(ParseCidError);
        }
        let digest = cid.hash().digest().try_into().map_err(|_| ParseCidError)?;
        Ok(Self { codec, digest })
    }
}

impl fmt::Display for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_cid().fmt(f)
    }
}

impl fmt::Debug for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: String = alloc::format!("{self}");
        write!(
            f,
            "…{}",
            text.get(text.len().saturating_sub(8)..).unwrap_or_default()
        )
    }
}

impl FromStr for Cid {
    type Err = ParseCidError;

    fn from_str(text: &str) -> Result<Self, ParseCidError> {
        // Before parsing: some of the forms that the library knows cost the square of the length.
        if text.len() != Self::TEXT_LEN {
            return Err(ParseCidError);
        }
        let parsed: cid::Cid = text.parse().map_err(|_| ParseCidError)?;
        let cid = Self::try_from(parsed)?;
        if alloc::format!("{cid}") == text {
            Ok(cid)
        } else {
            Err(ParseCidError)
        }
    }
}

/// A text or bytes that are not a [`Cid`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a CID of version 1 with sha2-256, codec dag-cbor or raw, in base32 lower case")]
pub struct ParseCidError;

impl ParseCidError {
    /// Every rule's name: there is one.
    pub const RULES: &'static [&'static str] = &["cid"];

    /// The broken rule's name, as in the spec and its vectors.
    pub const fn rule(&self) -> &'static str {
        "cid"
    }
}

/// Bytes of at most 1 MiB that hash to their name. Made by [`Block::of`] and [`Block::verify`]
/// alone, so whoever holds one need not hash again.
#[derive(Clone, Eq, PartialEq)]
pub struct Block {
    cid: Cid,
    bytes: Vec<u8>,
}

impl Block {
    /// Names bytes of one's own.
    ///
    /// # Errors
    ///
    /// [`BlockError::Size`] if they are too many.
    pub fn of(codec: Codec, bytes: Vec<u8>) -> Result<Self, BlockError> {
        check_size(&bytes)?;
        Ok(Self {
            cid: Cid::of(codec, &bytes),
            bytes,
        })
    }

    /// Believes bytes from outside if they hash to `cid`.
    ///
    /// # Errors
    ///
    /// [`BlockError::Size`] before anything is hashed, and [`BlockError::Hash`].
    pub fn verify(cid: Cid, bytes: Vec<u8>) -> Result<Self, BlockError> {
        check_size(&bytes)?;
        if Cid::of(cid.codec, &bytes) != cid {
            return Err(BlockError::Hash { cid });
        }
        Ok(Self { cid, bytes })
    }

    /// The block's name.
    pub const fn cid(&self) -> Cid {
        self.cid
    }

    /// The block's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Gives the bytes up.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({:?}, {} bytes)", self.cid, self.bytes.len())
    }
}

fn check_size(bytes: &[u8]) -> Result<(), BlockError> {
    if bytes.len() > limit::MAX_BLOCK_BYTES {
        return Err(BlockError::Size { found: bytes.len() });
    }
    Ok(())
}

/// Why bytes are not the block asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum BlockError {
    #[error("the bytes do not hash to {cid}")]
    Hash { cid: Cid },
    #[error("a block of {found} bytes, the limit is {}", limit::MAX_BLOCK_BYTES)]
    Size { found: usize },
}

rules!(BlockError {
    Self::Hash { .. } => "block-hash",
    Self::Size { .. } => "block-size"
});
