//! What becomes of an item, and how it is told. Source: spec §10.6.

use bellwether_formats::scheme::UnitError;
use bellwether_formats::scheme::text::TextError;
use data_encoding::HEXLOWER;
use serde::Serialize;

use super::line::MAX_LINE_BYTES;
use crate::store::{Fate, ItemError};

/// What became of an item.
#[derive(Debug)]
pub enum Outcome {
    /// It is its submitter's.
    Taken {
        /// New, known or changed.
        fate: Fate,
        /// Names it to its submitter.
        receipt: [u8; 16],
        /// Lets its submitter change it.
        revision: [u8; 32],
    },
    /// The provider mended what is said of it: known or changed.
    Mended(Fate),
    /// Another submitted it first: nothing changed.
    Others,
    /// It is not accepted.
    Refused(ItemRefusal),
}

impl Outcome {
    /// The line about the item number `index`, counted from 0.
    pub fn line(&self, index: usize) -> Line {
        let line = Line {
            index,
            ..Line::default()
        };
        match self {
            Self::Taken {
                fate,
                receipt,
                revision,
            } => Line {
                accepted: Some(true),
                known: *fate != Fate::New,
                changed: *fate == Fate::Changed,
                receipt: Some(HEXLOWER.encode(receipt)),
                revision: Some(HEXLOWER.encode(revision)),
                ..line
            },
            Self::Mended(fate) => Line {
                accepted: Some(true),
                known: true,
                changed: *fate == Fate::Changed,
                ..line
            },
            Self::Others => Line {
                accepted: Some(false),
                known: true,
                ..line
            },
            Self::Refused(refusal) => Line {
                error: Some(refusal.rule()),
                message: Some(refusal.to_string()),
                ..line
            },
        }
    }

    /// What became of it in the store; none if it was refused.
    pub const fn fate(&self) -> Option<Fate> {
        match self {
            Self::Taken { fate, .. } | Self::Mended(fate) => Some(*fate),
            Self::Others => Some(Fate::Others),
            Self::Refused(_) => None,
        }
    }

    /// The rule that it broke.
    pub const fn rule(&self) -> Option<&'static str> {
        match self {
            Self::Refused(refusal) => Some(refusal.rule()),
            Self::Taken { .. } | Self::Mended(_) | Self::Others => None,
        }
    }
}

/// What is said of an item.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Line {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted: Option<bool>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    known: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    changed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// Why an item is not accepted. The messages go back to who sent it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum ItemRefusal {
    #[error("not JSON: {why}")]
    Json { why: String },
    #[error("not an item: {why}")]
    Value { why: String },
    #[error("a line has at most {MAX_LINE_BYTES} bytes")]
    Line,
    #[error("no such scheme")]
    Scheme,
    #[error("CX seeds of a phone come in a seed report, whose signature shows whose they are")]
    SeedReport,
    #[error("this provider does not publish in this zone")]
    Zone,
    #[error("no such level")]
    Level,
    #[error("a grade is 0 to 100")]
    Grade,
    #[error("a case has 1 to 64 bytes")]
    Case,
    #[error(transparent)]
    Text(#[from] TextError),
    #[error(transparent)]
    Unit(#[from] UnitError),
    #[error("more than {most} {what}")]
    TooMany { most: usize, what: &'static str },
    #[error("this is not the revision token of what is said to be revised")]
    Revision,
    #[error("this code was used by another device")]
    UsedCode,
    #[error(transparent)]
    Store(#[from] ItemError),
}

impl ItemRefusal {
    /// The broken rule's name, as in the spec.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::Json { .. } => "json",
            Self::Value { .. } | Self::Case => "value",
            Self::Line | Self::TooMany { .. } => "limit",
            Self::Scheme | Self::SeedReport => "scheme",
            Self::Zone => "zone",
            Self::Level => "level",
            Self::Grade => "grade",
            Self::Text(error) => error.rule(),
            Self::Unit(error) => error.rule(),
            Self::Revision => "revision",
            Self::UsedCode => "code-used",
            Self::Store(error) => error.rule(),
        }
    }
}
