//! The signature of a list: a JWS in compact form (RFC 7515), by ES256 (RFC 7518 §3.4) alone.

use std::fmt;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use crate::pem::PublicKey;

/// Longest text that holds a signature, in bytes (16 KiB): one has some 400, and the HTTP headers
/// around it a few thousand. Source: spec §15.1.
pub const MAX_JWS_BYTES: usize = 16 * 1024;

/// A signature that is not yet believed.
#[derive(Clone, Debug)]
pub struct Jws {
    /// Header and claims as they were signed.
    signed: String,
    header: Vec<u8>,
    claims: Vec<u8>,
    signature: Vec<u8>,
}

/// What was signed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Claims {
    /// SHA-256 of the list.
    pub(super) content_hash: [u8; 32],
    /// Until when it may be believed, in seconds of UTC.
    pub(super) expires_at: u64,
    /// When the list was released, in milliseconds of UTC, if that is said here too.
    pub(super) released_ms: Option<u64>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    /// Extensions that a reader must know; this one knows none.
    crit: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Said {
    content_hash: String,
    hash_alg: Option<String>,
    exp: Number,
    batch_release_time: Option<Number>,
}

impl Jws {
    /// Takes a signature from the text of a file: it alone, or HTTP headers with `Signature` among
    /// them. At most [`MAX_JWS_BYTES`].
    ///
    /// # Errors
    ///
    /// [`JwsError::Form`]
    pub fn read(text: &[u8]) -> Result<Self, JwsError> {
        if text.len() > MAX_JWS_BYTES {
            return Err(JwsError::Form);
        }
        let text = str::from_utf8(text).map_err(|_| JwsError::Form)?;
        let mut fields = text.lines().filter_map(|line| line.split_once(':'));
        let named = fields.find(|(name, _)| name.trim().eq_ignore_ascii_case("signature"));
        let jws = named.map_or(text, |(_, value)| value).trim();
        let mut pieces = jws.split('.');
        let mut next = || pieces.next().ok_or(JwsError::Form);
        let [header, claims, signature] = [next()?, next()?, next()?];
        if pieces.next().is_some() {
            return Err(JwsError::Form);
        }
        let decode = |piece: &str| {
            let bytes = BASE64URL_NOPAD.decode(piece.as_bytes());
            bytes.map_err(|_| JwsError::Form)
        };
        Ok(Self {
            signed: format!("{header}.{claims}"),
            header: decode(header)?,
            claims: decode(claims)?,
            signature: decode(signature)?,
        })
    }

    /// What `key` signed.
    pub(super) fn verify(&self, key: &PublicKey) -> Result<Claims, JwsError> {
        let header: Header = json(&self.header)?;
        if header.crit.is_some() {
            return Err(JwsError::Form);
        }
        if header.alg != "ES256" {
            return Err(JwsError::Algorithm);
        }
        if !key.accepts_fixed(self.signed.as_bytes(), &self.signature) {
            return Err(JwsError::Signature);
        }
        let said: Said = json(&self.claims)?;
        // Back ends spell it both ways, or not at all.
        let hash_alg = said.hash_alg.as_deref().unwrap_or("sha-256");
        if !matches!(hash_alg, "sha-256" | "sha256") {
            return Err(JwsError::Algorithm);
        }
        let hash = BASE64.decode(said.content_hash.as_bytes()).ok();
        let hash = hash.and_then(|hash| hash.try_into().ok());
        Ok(Claims {
            content_hash: hash.ok_or(JwsError::Form)?,
            expires_at: said.exp.0,
            released_ms: said.batch_release_time.map(|time| time.0),
        })
    }
}

fn json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, JwsError> {
    serde_json::from_slice(bytes).map_err(|_| JwsError::Form)
}

/// A number, or its digits as a text: back ends do either.
struct Number(u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or its digits")
            }

            fn visit_u64<E>(self, number: u64) -> Result<Number, E> {
                Ok(Number(number))
            }

            fn visit_str<E: Error>(self, digits: &str) -> Result<Number, E> {
                digits.parse().map(Number).map_err(E::custom)
            }
        }
        from.deserialize_any(Either)
    }
}

/// Why a text is not a signature that may be believed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum JwsError {
    #[error(
        "not a JWS of three parts with `content-hash` and `exp`, alone or in a header `Signature`, \
         of at most {MAX_JWS_BYTES} bytes"
    )]
    Form,
    #[error("the signature's algorithm is not ES256, or its hash is not SHA-256")]
    Algorithm,
    #[error("the signature is not the key's")]
    Signature,
}

impl JwsError {
    /// The broken rule's name, as in the spec and its vectors.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::Form => "jws",
            Self::Algorithm => "algorithm",
            Self::Signature => "signature",
        }
    }
}
