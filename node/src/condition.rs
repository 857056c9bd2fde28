//! The one list of what is wrong with a node. `check`, `status` and `/health` print it and nothing
//! else, so they cannot disagree. Source: spec §12.4.
//!
//! Conditions have two sources: those that are computed from store, configuration and the state of
//! the network when somebody looks, and those that running tasks raise and clear on the board.

use std::fmt;
use std::path::PathBuf;

use bellwether_formats::id::FeedId;
use serde_json::{Value, json};

mod board;
mod kind;

pub use board::Conditions;
pub use kind::ConditionKind;

/// The urgency of a condition.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// It cannot wait: somebody is not served, or soon will not be.
    Error,
    /// Somebody should look at it in the next days.
    Warning,
}

impl Severity {
    /// Its name in JSON and in text.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// The thing that a condition is about.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Subject {
    /// The node as a whole.
    Node,
    /// A feed that it publishes or carries.
    Feed(FeedId),
    /// A file or directory.
    File(PathBuf),
    /// Something else that has a name: a peer, a gateway, a key.
    Name(String),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node => f.write_str("the node"),
            Self::Feed(feed) => write!(f, "{feed}"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Something that is wrong now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Condition {
    /// Its entry in the catalogue.
    pub kind: ConditionKind,
    /// The thing that it is about.
    pub subject: Subject,
    /// The time since when it holds, or since when the node has seen it; none where nobody knows.
    pub since: Option<u64>,
    /// A sentence with the values of this case.
    pub text: String,
}

impl Condition {
    /// A condition that somebody finds now and that may have held for long.
    pub fn new(kind: ConditionKind, subject: Subject, text: impl Into<String>) -> Self {
        Self {
            kind,
            subject,
            since: None,
            text: text.into(),
        }
    }

    /// The same, where the time of its begin is known.
    #[must_use]
    pub fn since(self, since: u64) -> Self {
        Self {
            since: Some(since),
            ..self
        }
    }

    /// An object for `check --json` and `status --json`.
    pub fn json(&self, time: impl Fn(u64) -> String) -> Value {
        let subject = match &self.subject {
            Subject::Node => Value::Null,
            subject => subject.to_string().into(),
        };
        json!({
            "name": self.kind.name(),
            "severity": self.kind.severity().name(),
            "subject": subject,
            "since": self.since.map(time),
            "text": self.text,
            "meaning": self.kind.meaning(),
            "remedy": self.kind.remedy(),
        })
    }

    /// An object for `/health`: the name and severity, and the feed, which is public too.
    pub fn public_json(&self) -> Value {
        let feed = match &self.subject {
            Subject::Feed(feed) => Some(feed),
            _ => None,
        };
        json!({
            "name": self.kind.name(),
            "severity": self.kind.severity().name(),
            "provider": feed.map(|feed| feed.provider.to_string()),
            "zone": feed.map(|feed| feed.zone.as_str()),
        })
    }
}

/// Tells whether nothing in a list is an error.
pub fn no_error(conditions: &[Condition]) -> bool {
    let errors = |condition: &Condition| condition.kind.severity() == Severity::Error;
    !conditions.iter().any(errors)
}

#[cfg(test)]
mod tests;
