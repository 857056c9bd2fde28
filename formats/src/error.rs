//! What can be wrong with bytes, one variant a rule.

use alloc::string::String;

/// Gives an error enum its rules' names: `rule()` for one error, `RULES` for all of them, from the
/// same lines. Errors after `;` are those of an inner enum, which lists its own.
macro_rules! rules {
    ($error:ident { $($pattern:pat => $rule:literal),+ $(; $($outer:pat => $inner:ident),+)? $(,)? }) => {
        impl $error {
            /// Every rule's name, save those of an error inside this one.
            pub const RULES: &'static [&'static str] = &[$($rule),+];

            /// The broken rule's name, as in the spec and its vectors.
            pub const fn rule(&self) -> &'static str {
                match self {
                    $($pattern => $rule,)+
                    $($($outer => $inner.rule(),)+)?
                }
            }
        }
    };
}
pub(crate) use rules;

/// Why bytes are not a well-formed object. Source: spec §2.
///
/// [`rule`](Self::rule) is the name under which the rule's vectors lie in `spec/vectors`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum DecodeError {
    #[error("byte {offset}: not a CID of version 1 with sha2-256 and codec dag-cbor or raw")]
    Cid { offset: usize },
    #[error("byte {offset}: {what} stands twice")]
    Duplicate { what: &'static str, offset: usize },
    #[error("byte {offset}: floating-point numbers have no place here")]
    Float { offset: usize },
    #[error("byte {offset}: indefinite lengths are not allowed")]
    Indefinite { offset: usize },
    #[error(
        "byte {offset}: map keys are not in strictly ascending order (shorter first, then bytewise)"
    )]
    KeyOrder { offset: usize },
    #[error("byte {offset}: {what} is {found}, the limit is {limit}")]
    Limit {
        what: &'static str,
        found: u64,
        limit: u64,
        offset: usize,
    },
    #[error("byte {offset}: the field `{key}` is missing")]
    MissingKey { key: &'static str, offset: usize },
    #[error("byte {offset}: a length or number is not in its shortest form")]
    NotShortest { offset: usize },
    #[error("byte {offset}: {what} is not in ascending order")]
    Order { what: &'static str, offset: usize },
    #[error("byte {offset}: the only tag is 42, for CIDs")]
    Tag { offset: usize },
    #[error("{extra} bytes follow the end of the object")]
    Trailing { extra: usize },
    #[error("byte {offset}: the input ends inside an item")]
    Truncated { offset: usize },
    #[error("byte {offset}: expected {expected}")]
    Type {
        expected: &'static str,
        offset: usize,
    },
    #[error("byte {offset}: the field `{key}` is not known")]
    UnknownKey { key: String, offset: usize },
    #[error("byte {offset}: text is not UTF-8")]
    Utf8 { offset: usize },
    #[error("byte {offset}: {what}")]
    Value { what: &'static str, offset: usize },
    #[error("version {found}, this reader knows version 1")]
    Version { found: u64 },
}

rules!(DecodeError {
    Self::Cid { .. } => "cid",
    Self::Duplicate { .. } => "duplicate",
    Self::Float { .. } => "float",
    Self::Indefinite { .. } => "indefinite",
    Self::KeyOrder { .. } => "key-order",
    Self::Limit { .. } => "limit",
    Self::MissingKey { .. } => "missing-key",
    Self::NotShortest { .. } => "not-shortest",
    Self::Order { .. } => "order",
    Self::Tag { .. } => "tag",
    Self::Trailing { .. } => "trailing",
    Self::Truncated { .. } => "truncated",
    Self::Type { .. } => "type",
    Self::UnknownKey { .. } => "unknown-key",
    Self::Utf8 { .. } => "utf8",
    Self::Value { .. } => "value",
    Self::Version { .. } => "version"
});

/// Why a well-formed object is not to be believed. Source: spec §3.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum VerifyError {
    #[error("the signature is not the 74 bytes of a tagged COSE_Sign1 in its one spelling")]
    Spelling,
    #[error("the signing key is not a point of the curve, or one of small order")]
    Key,
    #[error("the signature does not match the content")]
    Signature,
}

rules!(VerifyError {
    Self::Spelling => "cose-spelling",
    Self::Key => "key",
    Self::Signature => "signature"
});
