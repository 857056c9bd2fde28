//! Keys that sign what others publish: ECDSA on P-256, from PEM.

use aws_lc_rs::digest::Digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED, EcdsaKeyPair,
    ParsedPublicKey,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer};

/// Most bytes of a PEM file. A key has 200.
const MAX_PEM_BYTES: usize = 16 * 1024;

/// A publisher's public key.
#[derive(Debug)]
pub struct PublicKey(ParsedPublicKey);

impl PublicKey {
    /// Reads the first `PUBLIC KEY` of a PEM file.
    ///
    /// # Errors
    ///
    /// [`PemError`], also of a key on another curve.
    pub fn from_pem(pem: &[u8]) -> Result<Self, PemError> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(bounded(pem)?);
        let der = der.map_err(|_| PemError::Pem)?;
        ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, der.as_ref())
            .map(Self)
            .map_err(|_| PemError::Key)
    }

    /// Its DER (SubjectPublicKeyInfo), as it stood in the file.
    pub fn der(&self) -> &[u8] {
        self.0.as_ref()
    }

    /// Whether `signature` (X9.62) is the key's over what has this SHA-256.
    pub(crate) fn accepts(&self, hash: &Digest, signature: &[u8]) -> bool {
        self.0.verify_digest_sig(hash, signature).is_ok()
    }

    /// Whether `signature` (r ‖ s, 64 bytes) is the key's over `message`.
    pub(crate) fn accepts_fixed(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.der());
        key.is_ok_and(|key| key.verify_sig(message, signature).is_ok())
    }
}

/// A key that signs exports.
#[derive(Debug)]
pub struct PrivateKey(EcdsaKeyPair);

impl PrivateKey {
    /// Reads the first `PRIVATE KEY` (PKCS #8) or `EC PRIVATE KEY` (SEC 1) of a PEM file.
    ///
    /// # Errors
    ///
    /// [`PemError`], also of a key on another curve, or of an encrypted one.
    pub fn from_pem(pem: &[u8]) -> Result<Self, PemError> {
        let der = PrivateKeyDer::from_pem_slice(bounded(pem)?).map_err(|_| PemError::Pem)?;
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        EcdsaKeyPair::from_private_key_der(algorithm, der.secret_der())
            .map(Self)
            .map_err(|_| PemError::Key)
    }

    /// Signs; X9.62. `None` if the library fails.
    pub(crate) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let signature = self.0.sign(&SystemRandom::new(), message).ok()?;
        Some(signature.as_ref().to_vec())
    }
}

const fn bounded(pem: &[u8]) -> Result<&[u8], PemError> {
    if pem.len() > MAX_PEM_BYTES {
        return Err(PemError::Pem);
    }
    Ok(pem)
}

/// Why bytes are not a key for exports.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum PemError {
    #[error("no PEM of the kind of key that is wanted, or more than {MAX_PEM_BYTES} bytes")]
    Pem,
    #[error("the key is not one of the curve P-256")]
    Key,
}
