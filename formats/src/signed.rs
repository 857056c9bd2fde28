//! The only gate between bytes that claim and bytes that are signed. Source: spec §3.
//!
//! An envelope is the dag-cbor block `{"sig": bytes, KIND: {…}}`. `sig` sorts first and has one
//! length, so the inner bytes are simply the rest: nothing is re-encoded to check a signature.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;

use coset::{ProtectedHeader, SignatureContext, iana};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use crate::cbor::{Reader, Writer};
use crate::cid::{Cid, Codec};
use crate::error::{DecodeError, VerifyError};
use crate::id::{ObjectId, PublicKey};

/// A tagged COSE_Sign1 up to its signature: EdDSA protected, nothing unprotected, nil payload.
/// No other spelling is accepted, or a stranger could mint variants of a batch. Source: spec §3.1.
const COSE_PREFIX: [u8; 10] = [0xd2, 0x84, 0x43, 0xa1, 0x01, 0x27, 0xa0, 0xf6, 0x58, 0x40];

/// Content that is signed: a batch or a descriptor.
pub trait Content: Sized {
    /// The envelope's second key, and the end of the signature's context.
    const KIND: &'static str;

    /// Largest envelope, in bytes.
    const MAX_BYTES: usize;

    /// Reads the inner map.
    ///
    /// # Errors
    ///
    /// The rule that the bytes break.
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Writes the inner map in its one spelling.
    fn write(&self, writer: &mut Writer);

    /// Who must have signed it.
    fn signer(&self) -> PublicKey;
}

/// Well-formed bytes that claim to be a signed `T`. No field can be read before
/// [`verify`](Self::verify), which is the only way to a [`Signed`].
#[derive(Clone)]
pub struct Unverified<T> {
    envelope: Vec<u8>,
    sig: Vec<u8>,
    inner_at: usize,
    content: T,
}

impl<T: Content> Unverified<T> {
    /// Reads an envelope, which must fill `bytes`.
    ///
    /// # Errors
    ///
    /// The first rule that the bytes break; the size is checked before anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > T::MAX_BYTES {
            let (found, limit) = (to_u64(bytes.len()), to_u64(T::MAX_BYTES));
            return Err(DecodeError::Limit {
                what: "envelope in bytes",
                found,
                limit,
                offset: 0,
            });
        }
        let mut reader = Reader::new(bytes);
        let mut map = reader.map()?;
        let sig = map.field("sig", |r| r.bytes("sig in bytes", T::MAX_BYTES))?;
        let sig = sig.to_vec();
        let (inner_at, content) = map.field(T::KIND, |r| Ok((r.offset(), T::read(r)?)))?;
        map.end()?;
        reader.finish()?;
        let unverified = Self {
            envelope: bytes.to_vec(),
            sig,
            inner_at,
            content,
        };
        // One value, one spelling: the last word is the writer's. What the reader let pass and the
        // writer spells otherwise would be a second name for the same statement.
        if inner_bytes(&unverified.content) != unverified.inner() {
            return Err(DecodeError::Value {
                what: "not the one spelling",
                offset: inner_at,
            });
        }
        Ok(unverified)
    }

    /// Believes the content if the key it names signed these very bytes.
    ///
    /// # Errors
    ///
    /// [`VerifyError`], by the rule broken.
    pub fn verify(self) -> Result<Signed<T>, VerifyError> {
        let signature = self
            .sig
            .strip_prefix(&COSE_PREFIX)
            .and_then(|signature| signature.try_into().ok())
            .map(Signature::from_bytes)
            .ok_or(VerifyError::Spelling)?;
        let key = verifying_key(&self.content.signer())?;
        key.verify_strict(&to_be_signed(T::KIND, self.inner()), &signature)
            .map_err(|_| VerifyError::Signature)?;
        Ok(Signed {
            id: ObjectId::of(self.inner()),
            cid: Cid::of(Codec::DagCbor, &self.envelope),
            envelope: self.envelope,
            content: self.content,
        })
    }

    fn inner(&self) -> &[u8] {
        self.envelope.get(self.inner_at..).unwrap_or_default()
    }
}

impl<T> fmt::Debug for Unverified<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unverified({} bytes)", self.envelope.len())
    }
}

/// Content whose signature holds, with the bytes that prove it. That the signer had the right to
/// sign is another question: see [`crate::descriptor::Descriptor::lists`].
#[derive(Clone, Eq, PartialEq)]
pub struct Signed<T> {
    content: T,
    id: ObjectId,
    cid: Cid,
    envelope: Vec<u8>,
}

impl<T: Content> Signed<T> {
    /// Reads and verifies in one step.
    ///
    /// # Errors
    ///
    /// [`OpenError`], by the rule broken.
    pub fn open(bytes: &[u8]) -> Result<Self, OpenError> {
        Ok(Unverified::<T>::decode(bytes)?.verify()?)
    }

    /// Signs `content`; `key` must be the one that it names.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if the result would not be accepted by a reader.
    pub fn sign(content: &T, key: &SigningKey) -> Result<Self, OpenError> {
        let inner = inner_bytes(content);
        let signature = key.sign(&to_be_signed(T::KIND, &inner)).to_bytes();
        Self::open(&assemble(T::KIND, &inner, &signature))
    }
}

impl<T> Signed<T> {
    /// Names the object: sha2-256 of its inner bytes.
    pub const fn id(&self) -> ObjectId {
        self.id
    }

    /// Names the envelope as a block.
    pub const fn cid(&self) -> Cid {
        self.cid
    }

    /// The envelope's bytes, as signed.
    pub fn envelope(&self) -> &[u8] {
        &self.envelope
    }
}

impl<T> Deref for Signed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.content
    }
}

impl<T: fmt::Debug> fmt::Debug for Signed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signed({:?})", self.content)
    }
}

/// The point that `key` spells: canonical, and not of small order. Source: spec §3.2.
fn verifying_key(key: &PublicKey) -> Result<VerifyingKey, VerifyError> {
    let point = VerifyingKey::from_bytes(key.as_bytes()).map_err(|_| VerifyError::Key)?;
    // The library reads a coordinate that is not reduced too: a second name for the same key.
    if point.is_weak() || point.to_edwards().compress().as_bytes() != key.as_bytes() {
        return Err(VerifyError::Key);
    }
    Ok(point)
}

/// The inner map's bytes in their one spelling.
pub fn inner_bytes<T: Content>(content: &T) -> Vec<u8> {
    let mut writer = Writer::new();
    content.write(&mut writer);
    writer.finish()
}

/// The bytes that a signature covers: COSE's Sig_structure with the context of `kind`.
/// Source: spec §3.2, RFC 9052 §4.4.
pub fn to_be_signed(kind: &str, inner: &[u8]) -> Vec<u8> {
    let header = coset::HeaderBuilder::new()
        .algorithm(iana::Algorithm::EdDSA)
        .build();
    let protected = ProtectedHeader {
        original_data: None,
        header,
    };
    let context = alloc::format!("bellwether/1/{kind}");
    coset::sig_structure_data(
        SignatureContext::CoseSign1,
        protected,
        None,
        context.as_bytes(),
        inner,
    )
}

/// The envelope of inner bytes and their signature.
pub fn assemble(kind: &str, inner: &[u8], signature: &[u8; 64]) -> Vec<u8> {
    let mut sig = COSE_PREFIX.to_vec();
    sig.extend_from_slice(signature);
    let mut writer = Writer::new();
    writer.map(2).text("sig").bytes(&sig).text(kind).raw(inner);
    writer.finish()
}

/// Why an envelope is not a [`Signed`] object.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum OpenError {
    #[error("malformed: {0}")]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Verify(#[from] VerifyError),
}

impl OpenError {
    /// The broken rule's name, as in the spec and its vectors.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::Decode(error) => error.rule(),
            Self::Verify(error) => error.rule(),
        }
    }
}

fn to_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
