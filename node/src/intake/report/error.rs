//! Why a seed report is refused.

use super::{MAX_BODY_BYTES, MAX_DESCRIPTORS};
use crate::intake::code::MAX_CODE_BYTES;

/// Why bytes are not a seed report that a provider may accept.
///
/// [`rule`](Self::rule) is the broken rule of spec §10.1 to §10.4, and the name that its vectors in
/// `spec/vectors/seed-reports` give. Indices count descriptors from 0. The
/// messages go back to the client: none holds a code, a key or a seed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum ReportError {
    #[error("the report has {found} bytes, the limit is {MAX_BODY_BYTES}")]
    TooLarge { found: usize },
    #[error("byte {offset}: not DER: {why}")]
    Der { offset: usize, why: &'static str },
    #[error("{extra} bytes follow the end of the report")]
    Trailing { extra: usize },
    #[error("the report has no seed descriptor")]
    NoDescriptors,
    #[error("the report has more than {MAX_DESCRIPTORS} seed descriptors")]
    TooManyDescriptors,
    #[error("the number of signatures is not {descriptors}, the number of seed descriptors")]
    SignatureCount { descriptors: usize },
    #[error("the publisher's name or the code is not UTF-8")]
    Utf8,
    #[error("descriptor {index}: unknown generator type")]
    Generator { index: usize },
    #[error("descriptor {index}: the pre-seed has {found} bytes, its type has {expected}")]
    PreseedLength {
        index: usize,
        found: usize,
        expected: usize,
    },
    #[error("descriptor {index}: keys are RSA of at most 8192 bits, P-256, P-384 or Ed25519")]
    UnsupportedKey { index: usize },
    #[error("descriptor {index}: the key is too weak; RSA keys have at least 2048 bits")]
    WeakKey { index: usize },
    #[error("descriptor {index}: the key is malformed")]
    Key { index: usize },
    #[error("descriptor {index}: the signature algorithm is unknown or does not fit the key")]
    Algorithm { index: usize },
    #[error("the report is not addressed to this publisher")]
    Publisher,
    #[error("no code is empty or longer than {MAX_CODE_BYTES} bytes, so this one is not known")]
    Code,
    #[error("descriptor {index}: the signature does not match the report")]
    Signature { index: usize },
}

impl ReportError {
    /// The broken rule's name, as in the spec, its vectors and the answer to the client.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too-large",
            Self::Der { .. } => "der",
            Self::Trailing { .. } => "trailing",
            Self::NoDescriptors => "descriptors",
            Self::TooManyDescriptors => "limit",
            Self::SignatureCount { .. } => "signature-count",
            Self::Utf8 => "utf8",
            Self::Generator { .. } => "generator-type",
            Self::PreseedLength { .. } => "preseed-length",
            Self::UnsupportedKey { .. } | Self::WeakKey { .. } | Self::Key { .. } => "key",
            Self::Algorithm { .. } => "algorithm",
            Self::Publisher => "publisher",
            Self::Code => "code-unknown",
            Self::Signature { .. } => "signature",
        }
    }
}
