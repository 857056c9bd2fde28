//! CX (schemes `cx1` and `cx2`): a seed stands for 2048 contact identifiers.
//!
//! An identifier is 16 bytes of a NIST SP 800-90A CTR_DRBG, marked as a random UUID. It carries no
//! time: the order of generation is the order in which a phone broadcasts them.
//!
//! [`expand`] is where the time goes (three or four AES blocks and a fresh key schedule an
//! identifier): everything that runs over many seeds goes through it, and it takes the fastest
//! [`Engine`] of the machine. [`Seed::identifiers`] is for a look at one seed.
//!
//! Source: spec §7.1; vectors `spec/vectors/schemes/cx.json`.

#[cfg(target_arch = "x86_64")]
mod aesni;
mod bench;
mod drbg;
mod expand;
mod identifier;

#[cfg(test)]
mod tests;

use aes::{Aes128Enc, Aes256Enc};

pub use bench::{bench_checksum, bench_seed};
pub use expand::{Engine, expand, matches};
pub use identifier::{Identifier, ParseIdentifierError};

use alloc::vec::Vec;

use super::{Facts, Family, Rules, Sink, UnitError, Units, WantedIds, Width};
use crate::id::{ProviderId, Scheme};
use drbg::Drbg;

/// The generator of type 1.
type Drbg128 = Drbg<Aes128Enc, 3>;
/// The generator of type 2.
type Drbg256 = Drbg<Aes256Enc, 4>;

/// Rules of scheme `cx1`.
pub const CX1: Cx = Cx(Generator::Aes128);
/// Rules of scheme `cx2`.
pub const CX2: Cx = Cx(Generator::Aes256);

/// The rules of CX with one generator.
#[derive(Clone, Copy, Debug)]
pub struct Cx(Generator);

impl Rules for Cx {
    fn scheme(&self) -> Scheme {
        Scheme(self.0.code())
    }

    fn family(&self) -> Family {
        Family::Cx
    }

    fn width(&self) -> Width {
        Width::Fixed(self.0.seed_len())
    }

    fn check(&self, unit: &[u8]) -> Result<Facts, UnitError> {
        let (found, expected) = (unit.len(), self.0.seed_len());
        if found != expected {
            return Err(UnitError::Length { found, expected });
        }
        Ok(Facts {
            identifiers: IDENTIFIERS,
            period: None,
            publish_from: 0,
        })
    }

    fn expand(&self, units: &Units, sink: &mut Sink<'_>) {
        let whole = expand(self.0, units.as_bytes(), |unit, _, identifier| {
            sink(unit, identifier.as_bytes(), None);
        });
        debug_assert!(whole.is_ok(), "units are whole");
    }

    /// By [`matches()`], which is compiled as one with the engine.
    fn matches(&self, units: &Units, wanted: &WantedIds, hit: &mut Sink<'_>) {
        let mut hit = |unit, _, identifier: Identifier| hit(unit, identifier.as_bytes(), None);
        let whole = matches(self.0, units.as_bytes(), wanted, &mut hit);
        debug_assert!(whole.is_ok(), "units are whole");
    }

    fn look_ups(
        &self,
        observed: &[u8],
        _: u64,
        _: &ProviderId,
        sink: &mut dyn FnMut(Option<u64>, &[u8]),
    ) {
        if observed.len() == 16 {
            sink(None, observed);
        }
    }

    fn dummy(&self, like: &[u8], random: &mut dyn FnMut(&mut [u8])) -> Option<Vec<u8>> {
        self.check(like).ok()?;
        let mut unit = alloc::vec![0; self.0.seed_len()];
        random(&mut unit);
        Some(unit)
    }
}

/// Longest pre-seed verification key, in bytes of its DER SubjectPublicKeyInfo.
///
/// An RSA key of 16,384 bits takes 2.1 KiB; more is nobody's key. Source: spec §2.6.
pub const MAX_KEY_BYTES: usize = 4096;

/// Identifiers of one seed, as [`Facts`] count them.
const IDENTIFIERS: u32 = 2048;

/// A kind of generator: CX's generator type.
///
/// Source: spec §7.1.1.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Generator {
    /// `aes128-ctr-drbg-df-n2k`, generator type 1, scheme `cx1`.
    Aes128,
    /// `aes256-ctr-drbg-df-n2k`, generator type 2, scheme `cx2`.
    Aes256,
}

impl Generator {
    /// Identifiers of one seed. There is no 2049th.
    pub const MAX_IDENTIFIERS: usize = 2048;
    /// The longest [`seed_len`](Self::seed_len), in bytes.
    pub const MAX_SEED_BYTES: usize = 48;

    /// The generator of a CX type; `None` for a type that is not defined (yet).
    pub const fn from_code(code: u64) -> Option<Self> {
        match code {
            1 => Some(Self::Aes128),
            2 => Some(Self::Aes256),
            _ => None,
        }
    }

    /// The CX type, which is the scheme's code as well.
    pub const fn code(self) -> u8 {
        match self {
            Self::Aes128 => 1,
            Self::Aes256 => 2,
        }
    }

    /// Length of a seed, and of a pre-seed, in bytes.
    pub const fn seed_len(self) -> usize {
        match self {
            Self::Aes128 => 24,
            Self::Aes256 => 48,
        }
    }
}

/// A seed of the length that its generator takes.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(missing_docs, reason = "the variants are those of `Generator`")]
pub enum Seed {
    Aes128([u8; 24]),
    Aes256([u8; 48]),
}

impl Seed {
    /// Takes the bytes of a seed.
    ///
    /// # Errors
    ///
    /// [`CxError::SeedLength`] if they are not [`Generator::seed_len`] bytes.
    pub fn new(generator: Generator, bytes: &[u8]) -> Result<Self, CxError> {
        let seed = match generator {
            Generator::Aes128 => bytes.try_into().map(Self::Aes128),
            Generator::Aes256 => bytes.try_into().map(Self::Aes256),
        };
        seed.map_err(|_| CxError::SeedLength {
            found: bytes.len(),
            unit: generator.seed_len(),
        })
    }

    /// What the seed is for.
    pub const fn generator(&self) -> Generator {
        match self {
            Self::Aes128(_) => Generator::Aes128,
            Self::Aes256(_) => Generator::Aes256,
        }
    }

    /// The bytes, as on the wire.
    pub const fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Aes128(bytes) => bytes,
            Self::Aes256(bytes) => bytes,
        }
    }

    /// The seed's 2048 identifiers, in the order in which they are broadcast.
    ///
    /// One after another on the portable path: for many seeds use [`expand`].
    pub fn identifiers(&self) -> Identifiers {
        let state = match self {
            Self::Aes128(bytes) => State::Aes128(Drbg::instantiate(bytes, &[])),
            Self::Aes256(bytes) => State::Aes256(Drbg::instantiate(bytes, &[])),
        };
        Identifiers {
            state,
            left: Generator::MAX_IDENTIFIERS,
        }
    }
}

/// Says only the kind: until it is published, a seed is a patient's secret.
impl core::fmt::Debug for Seed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Seed({:?})", self.generator())
    }
}

/// The identifiers of one seed; ends after [`Generator::MAX_IDENTIFIERS`].
pub struct Identifiers {
    state: State,
    left: usize,
}

enum State {
    Aes128(Drbg128),
    Aes256(Drbg256),
}

impl Iterator for Identifiers {
    type Item = Identifier;

    fn next(&mut self) -> Option<Identifier> {
        self.left = self.left.checked_sub(1)?;
        let bytes = match &mut self.state {
            State::Aes128(drbg) => drbg.next_block(),
            State::Aes256(drbg) => drbg.next_block(),
        };
        Some(Identifier::from_random(bytes))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Identifiers {}

impl core::iter::FusedIterator for Identifiers {}

/// Hides the state, which is as good as the seed.
impl core::fmt::Debug for Identifiers {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Identifiers({} left)", self.left)
    }
}

/// Derives a seed from what a seed report shows: the pre-seed and its verification key.
///
/// Only the holder of the signing key can therefore file a report for the seed. `spki_der` is the
/// DER SubjectPublicKeyInfo exactly as presented: another spelling of the key is another seed.
///
/// # Errors
///
/// [`CxError::PreseedLength`] if `preseed` is not [`Generator::seed_len`] bytes;
/// [`CxError::KeyLength`] if `spki_der` is longer than [`MAX_KEY_BYTES`].
///
/// Source: spec §7.1.3.
pub fn calculate_seed(
    generator: Generator,
    preseed: &[u8],
    spki_der: &[u8],
) -> Result<Seed, CxError> {
    if preseed.len() != generator.seed_len() {
        return Err(CxError::PreseedLength {
            found: preseed.len(),
            expected: generator.seed_len(),
        });
    }
    if spki_der.len() > MAX_KEY_BYTES {
        return Err(CxError::KeyLength {
            found: spki_der.len(),
            limit: MAX_KEY_BYTES,
        });
    }
    Ok(match generator {
        Generator::Aes128 => Seed::Aes128(Drbg128::instantiate(preseed, spki_der).generate()),
        Generator::Aes256 => Seed::Aes256(Drbg256::instantiate(preseed, spki_der).generate()),
    })
}

/// Why bytes are not a CX seed, or do not make one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum CxError {
    #[error("{found} bytes of seeds, which is not a whole number of seeds of {unit} bytes")]
    SeedLength { found: usize, unit: usize },
    #[error("a pre-seed of {found} bytes, expected {expected}")]
    PreseedLength { found: usize, expected: usize },
    #[error("a pre-seed verification key of {found} bytes, the limit is {limit}")]
    KeyLength { found: usize, limit: usize },
}

impl CxError {
    /// The broken rule's name, as in the spec and its vectors.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::SeedLength { .. } => "unit-length",
            Self::PreseedLength { .. } => "preseed-length",
            Self::KeyLength { .. } => "key",
        }
    }
}
