//! Which keys and signature algorithms a report may use, and whether a signature holds.
//!
//! RSA and ECDSA are `aws-lc-rs`'s; it is handed the bare key and never a whole
//! SubjectPublicKeyInfo, so that what was checked here is what it uses. Ed25519 is
//! `ed25519-dalek`'s `verify_strict`, as everywhere in the project: a key of small order "signs"
//! every message.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1,
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, VerificationAlgorithm,
};
use ed25519_dalek::{Signature, VerifyingKey};

use super::ReportError;
use super::der::{BIT_STRING, NULL, OID, Reader, Value};

/// Smallest RSA modulus, in bits: what the weakest generator type's 128 bits can bear with.
/// Source: spec §10.3, NIST SP 800-131A; vector `key-rsa1024`.
const MIN_RSA_BITS: usize = 2048;
/// Largest RSA modulus, in bits: bounds the work of one signature. Source: spec §10.3; vector `key-rsa-8200`.
const MAX_RSA_BITS: usize = 8192;

/// Object identifiers, as the content of their DER value.
mod oid {
    /// 1.2.840.113549.1.1.1 (RFC 8017)
    pub(super) const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    /// 1.2.840.113549.1.1.11 to 13 (RFC 8017)
    pub(super) const RSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
    pub(super) const RSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c];
    pub(super) const RSA_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d];
    /// 1.2.840.10045.2.1, 1.2.840.10045.3.1.7, 1.3.132.0.34 (RFC 5480)
    pub(super) const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    pub(super) const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    pub(super) const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
    /// 1.2.840.10045.4.3.2 and 3 (RFC 5758)
    pub(super) const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
    pub(super) const ECDSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
    /// 1.3.101.112 (RFC 8410)
    pub(super) const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
}

/// What can check a signature: a key together with an algorithm that fits it.
#[derive(Debug)]
pub(super) enum Verifier {
    AwsLc(ParsedPublicKey),
    Ed25519(Box<VerifyingKey>),
}

impl Verifier {
    /// Joins descriptor `index`'s key (a SubjectPublicKeyInfo) and signature algorithm (an
    /// AlgorithmIdentifier).
    pub(super) fn new(
        index: usize,
        spki: &Value<'_>,
        algorithm: &Value<'_>,
    ) -> Result<Self, ReportError> {
        let key = Key::read(index, spki)?;
        let algorithm = Algorithm::read(algorithm)?;
        let fitting: &'static dyn VerificationAlgorithm = match (key.kind, algorithm) {
            (Kind::Ed25519, Algorithm::Ed25519) => return key.ed25519(index),
            (Kind::Rsa, Algorithm::RsaSha256) => &RSA_PKCS1_2048_8192_SHA256,
            (Kind::Rsa, Algorithm::RsaSha384) => &RSA_PKCS1_2048_8192_SHA384,
            (Kind::Rsa, Algorithm::RsaSha512) => &RSA_PKCS1_2048_8192_SHA512,
            (Kind::P256, Algorithm::EcdsaSha256) => &ECDSA_P256_SHA256_ASN1,
            (Kind::P256, Algorithm::EcdsaSha384) => &ECDSA_P256_SHA384_ASN1,
            (Kind::P384, Algorithm::EcdsaSha256) => &ECDSA_P384_SHA256_ASN1,
            (Kind::P384, Algorithm::EcdsaSha384) => &ECDSA_P384_SHA384_ASN1,
            _ => return Err(ReportError::Algorithm { index }),
        };
        ParsedPublicKey::new(fitting, key.bytes)
            .map(Self::AwsLc)
            .map_err(|_| ReportError::Key { index })
    }

    /// Whether `signature` is the key's over exactly `message`.
    pub(super) fn accepts(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::AwsLc(key) => key.verify_sig(message, signature).is_ok(),
            Self::Ed25519(key) => Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

/// A key of a supported kind; on RSA, of a good size.
struct Key<'a> {
    kind: Kind,
    /// RSA: the DER of `RSAPublicKey`. P-256, P-384: the point, compressed or not.
    /// Ed25519: the 32 bytes.
    bytes: &'a [u8],
}

impl<'a> Key<'a> {
    /// Reads `SEQUENCE { SEQUENCE { OID, parameters }, BIT STRING }` (RFC 5280 §4.1).
    fn read(index: usize, spki: &Value<'a>) -> Result<Self, ReportError> {
        let mut fields = spki.reader();
        let mut algorithm = fields.sequence()?;
        let name = algorithm.expect(OID)?.content;
        let parameters = optional(&mut algorithm)?;
        algorithm.finish()?;
        let bits = fields.expect(BIT_STRING)?;
        fields.finish()?;

        let kind = match (name, parameters) {
            // RFC 8017 wants NULL; leaving it out is common.
            (oid::RSA, parameters) if is_null_or_absent(parameters) => Kind::Rsa,
            (oid::EC, Some(curve)) if curve.is(OID) && curve.content == oid::P256 => Kind::P256,
            (oid::EC, Some(curve)) if curve.is(OID) && curve.content == oid::P384 => Kind::P384,
            (oid::ED25519, None) => Kind::Ed25519,
            _ => return Err(ReportError::UnsupportedKey { index }),
        };
        // The first byte counts unused bits: none, as keys are whole bytes.
        let Some((0, bytes)) = bits
            .content
            .split_first()
            .map(|(&unused, key)| (unused, key))
        else {
            return Err(ReportError::Key { index });
        };
        let well_formed = match kind {
            Kind::Rsa => rsa(index, bytes).map(|()| true)?,
            Kind::P256 => is_point(bytes, 32),
            Kind::P384 => is_point(bytes, 48),
            Kind::Ed25519 => bytes.len() == 32,
        };
        if !well_formed {
            return Err(ReportError::Key { index });
        }
        Ok(Self { kind, bytes })
    }

    fn ed25519(&self, index: usize) -> Result<Verifier, ReportError> {
        let key = self
            .bytes
            .try_into()
            .ok()
            .and_then(|bytes| VerifyingKey::from_bytes(bytes).ok())
            .ok_or(ReportError::Key { index })?;
        if key.is_weak() {
            return Err(ReportError::WeakKey { index });
        }
        Ok(Verifier::Ed25519(Box::new(key)))
    }
}

/// Checks `SEQUENCE { INTEGER n, INTEGER e }` (RFC 8017 A.1.1) and the size of n. That the
/// numbers make a key, and that e is small, is for the library to find.
fn rsa(index: usize, key: &[u8]) -> Result<(), ReportError> {
    let malformed = |_| ReportError::Key { index };
    let mut outer = Reader::new(key);
    let mut numbers = outer.sequence().map_err(malformed)?;
    outer.finish().map_err(malformed)?;
    let modulus = numbers.integer().map_err(malformed)?;
    numbers.integer().map_err(malformed)?;
    numbers.finish().map_err(malformed)?;

    let magnitude = match modulus {
        [0, magnitude @ ..] => magnitude,
        [0x80..=0xff, ..] => return Err(ReportError::Key { index }),
        magnitude => magnitude,
    };
    // At most 64 KiB of bytes, so neither the product nor the count can overflow.
    let bits = magnitude.first().map_or(0, |top| {
        8 * magnitude.len() - usize::try_from(top.leading_zeros()).unwrap_or(0)
    });
    match bits {
        0..MIN_RSA_BITS => Err(ReportError::WeakKey { index }),
        MIN_RSA_BITS..=MAX_RSA_BITS => Ok(()),
        _ => Err(ReportError::UnsupportedKey { index }),
    }
}

/// Whether bytes have the shape of a point, compressed or not, with coordinates of `width` bytes
/// (SEC 1 §2.3.3). The hybrid form and the point at infinity are not keys (RFC 5480 §2.2).
fn is_point(bytes: &[u8], width: usize) -> bool {
    match bytes.first() {
        Some(0x02 | 0x03) => bytes.len() == 1 + width,
        Some(0x04) => bytes.len() == 1 + 2 * width,
        _ => false,
    }
}

#[derive(Clone, Copy)]
enum Algorithm {
    RsaSha256,
    RsaSha384,
    RsaSha512,
    EcdsaSha256,
    EcdsaSha384,
    Ed25519,
    /// SHA-1 among others. Fits no key.
    Unknown,
}

impl Algorithm {
    /// Reads `SEQUENCE { OID, parameters }`.
    fn read(identifier: &Value<'_>) -> Result<Self, ReportError> {
        let mut fields = identifier.reader();
        let name = fields.expect(OID)?.content;
        let parameters = optional(&mut fields)?;
        fields.finish()?;
        let rsa = is_null_or_absent(parameters);
        let bare = parameters.is_none();
        Ok(match name {
            oid::RSA_SHA256 if rsa => Self::RsaSha256,
            oid::RSA_SHA384 if rsa => Self::RsaSha384,
            oid::RSA_SHA512 if rsa => Self::RsaSha512,
            oid::ECDSA_SHA256 if bare => Self::EcdsaSha256,
            oid::ECDSA_SHA384 if bare => Self::EcdsaSha384,
            oid::ED25519 if bare => Self::Ed25519,
            _ => Self::Unknown,
        })
    }
}

fn optional<'a>(reader: &mut Reader<'a>) -> Result<Option<Value<'a>>, ReportError> {
    if reader.is_empty() {
        return Ok(None);
    }
    reader.any().map(Some)
}

fn is_null_or_absent(parameters: Option<Value<'_>>) -> bool {
    parameters.is_none_or(|value| value.is(NULL) && value.content.is_empty())
}
