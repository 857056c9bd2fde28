//! From bytes to keys that somebody answers for.

use std::borrow::Cow;

use aws_lc_rs::digest::{SHA256, digest};

use super::key::{Key, KeyError, Taken};
use super::message::{self, ECDSA_SHA256, Header, Message, Signature, SignerName};
use super::zip::{self, ZipError};
use super::{MAX_KEYS, MAX_SIGNATURES, MAX_TEXT_BYTES};
use crate::pem::PublicKey;
use crate::protobuf::WireError;

/// First bytes of `export.bin`.
pub(super) const MAGIC: &[u8; 16] = b"EK Export v1    ";

/// An export that is not yet believed: its container was opened, and nobody looked at the keys.
#[derive(Debug)]
pub struct Unverified<'a> {
    export: Cow<'a, [u8]>,
    signatures: Vec<Signature>,
}

/// Whom an export is believed from.
#[derive(Debug)]
pub struct Signer {
    /// The publisher's key.
    pub key: PublicKey,
    /// What the signature must call it, where the caller knows.
    pub key_id: Option<String>,
    /// Which version the signature must say, where the caller knows.
    pub version: Option<String>,
}

/// An export whose signature holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Export {
    /// What it says of itself.
    pub header: Header,
    /// Its keys in the order of the file, new ones first.
    pub keys: Vec<Key>,
    /// Keys of the file that were dropped, new ones first.
    pub dropped: Vec<Dropped>,
    /// By what names the signature that holds calls its signer.
    pub signed_by: SignerName,
}

/// A key that was not taken, and why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Dropped {
    /// The part of the batch that it stands in, from 1.
    pub batch_num: u32,
    /// Whether it stands among the revised keys of that part.
    pub revised: bool,
    /// Its place there, from 0.
    pub index: usize,
    /// The broken rule.
    pub error: KeyError,
}

impl<'a> Unverified<'a> {
    /// Opens a file of at most [`MAX_ZIP_BYTES`](super::MAX_ZIP_BYTES).
    ///
    /// # Errors
    ///
    /// [`ExportError`], if the zip or `export.sig` is malformed.
    pub fn read(zip: &'a [u8]) -> Result<Self, ExportError> {
        let unpacked = zip::unpack(zip)?;
        Ok(Self {
            export: unpacked.export,
            signatures: Signature::list(&unpacked.signatures)?,
        })
    }

    /// Believes the export if `signer` signed it, and reads its keys.
    ///
    /// # Errors
    ///
    /// [`ExportError`]; not for a bad key, which is dropped.
    pub fn verify(&self, signer: &Signer) -> Result<Export, ExportError> {
        let signature = self.signature_of(signer)?;
        let message = self.export.strip_prefix(MAGIC).ok_or(ExportError::Header)?;
        let message = Message::decode(message)?;
        if message.infos.len() != self.signatures.len() {
            return Err(ExportError::SignatureCount {
                signed: message.infos.len(),
                found: self.signatures.len(),
            });
        }
        if !self.signatures.iter().all(|one| one.is_of(&message.header)) {
            return Err(ExportError::SignatureBatch);
        }
        if !message.infos.contains(&signature.info) {
            return Err(ExportError::SignatureInfo);
        }
        let (keys, dropped) = keys(&message)?;
        Ok(Export {
            header: message.header,
            keys,
            dropped,
            signed_by: signature.info.name.clone(),
        })
    }

    /// The first signature that goes by the signer's names and holds.
    fn signature_of(&self, signer: &Signer) -> Result<&Signature, ExportError> {
        let mut refusal = ExportError::Signer;
        let mut hash = None;
        let named = self.signatures.iter().filter(|one| {
            let name = &one.info.name;
            let fits = |wanted: &Option<String>, found: &str| {
                wanted.as_ref().is_none_or(|wanted| wanted == found)
            };
            fits(&signer.key_id, &name.key_id) && fits(&signer.version, &name.version)
        });
        for signature in named {
            if signature.info.algorithm != ECDSA_SHA256 {
                if refusal == ExportError::Signer {
                    refusal = ExportError::Algorithm;
                }
                continue;
            }
            // Hashed once, however many signatures may be ours.
            let hash = hash.get_or_insert_with(|| digest(&SHA256, &self.export));
            if signer.key.accepts(hash, &signature.bytes) {
                return Ok(signature);
            }
            refusal = ExportError::Signature;
        }
        Err(refusal)
    }
}

/// Reads the keys; a bad one costs nothing but itself.
fn keys(message: &Message<'_>) -> Result<(Vec<Key>, Vec<Dropped>), ExportError> {
    let mut taken = Taken::default();
    let (mut keys, mut dropped) = (Vec::new(), Vec::new());
    for (list, revised) in [(&message.keys, false), (&message.revised, true)] {
        for (index, bytes) in list.iter().enumerate() {
            let key = message::decode_key(bytes, revised)?;
            match key.and_then(|key| taken.take(&key).map(|()| key)) {
                Ok(key) => keys.push(key),
                Err(error) => dropped.push(Dropped {
                    batch_num: message.header.batch_num,
                    revised,
                    index,
                    error,
                }),
            }
        }
    }
    Ok((keys, dropped))
}

/// Why a file is not an export that may be believed.
///
/// [`rule`](Self::rule) is the broken rule of spec §14.1 to §14.3, and the name that the vectors in
/// `spec/vectors/gaen-export` give.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum ExportError {
    #[error(transparent)]
    Zip(#[from] ZipError),
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("`export.bin` does not begin with `EK Export v1` and four spaces")]
    Header,
    #[error("the export has no time, or ends before it begins")]
    Window,
    #[error("the export's number in its batch is not from 1 to the size of the batch")]
    Batch,
    #[error("a text is not UTF-8, has control characters, or more than {MAX_TEXT_BYTES} bytes")]
    Text,
    #[error("the export has more than {MAX_KEYS} keys")]
    TooManyKeys,
    #[error("the export has more than {MAX_SIGNATURES} signatures")]
    TooManySignatures,
    #[error("`export.bin` tells of {signed} signatures, `export.sig` has {found}")]
    SignatureCount { signed: usize, found: usize },
    #[error("a signature is of another part or batch than the export")]
    SignatureBatch,
    #[error("`export.bin` does not tell of the signature that holds")]
    SignatureInfo,
    #[error("no signature goes by the key id and version asked for")]
    Signer,
    #[error("the signature's algorithm is not ECDSA with SHA-256")]
    Algorithm,
    #[error("the signature does not match the export and the key")]
    Signature,
}

impl ExportError {
    /// The broken rule's name, as in the spec and its vectors.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::Zip(error) => error.rule(),
            Self::Wire(error) => error.rule(),
            Self::Header => "export-header",
            Self::Window => "export-window",
            Self::Batch => "export-batch",
            Self::Text => "export-text",
            Self::TooManyKeys | Self::TooManySignatures => "export-limit",
            Self::SignatureCount { .. } => "signature-count",
            Self::SignatureBatch => "signature-batch",
            Self::SignatureInfo => "signature-info",
            Self::Signer => "signer",
            Self::Algorithm => "algorithm",
            Self::Signature => "signature",
        }
    }
}
