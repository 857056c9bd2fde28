//! What a command line asks.

use serde::{Deserialize, Serialize};

/// A request of the command line.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields are the verbs' options, see spec §12.2"
)]
pub enum Request {
    /// Make codes.
    CodeIssue {
        level: String,
        zone: String,
        count: usize,
        valid_s: u64,
    },
    /// Take codes made elsewhere.
    CodeImport {
        level: String,
        zone: String,
        codes: Vec<String>,
        valid_s: u64,
    },
    /// What is known of codes.
    CodeList,
    /// Take in units of one scheme.
    Submit(Submission),
    /// Take in keys that somebody else published.
    Import(Import),
    /// The exposure keys that were published in a zone since then.
    GaenExport { zone: String, since: u64 },
    /// Change the level of what a code admitted.
    Level { code: String, level: String },
    /// Close the batches of all zones.
    Publish,
    /// What the node is and does.
    Status,
    /// Read everything and say what is wrong.
    Check,
    /// The current descriptor.
    Descriptor,
    /// The batch before number `from`, for an anchor.
    Anchor { zone: String, from: u64 },
    /// Take a renewed descriptor, in hexadecimal.
    Renew { envelope: String },
}

/// Units to be taken in, and what is said of them.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the verb's options, see spec §12.2")]
pub struct Submission {
    pub scheme: String,
    pub zone: String,
    pub level: String,
    pub grade: Option<i64>,
    pub case: Option<String>,
    /// In their text form.
    pub units: Vec<String>,
    /// For each unit its revision token, or an empty text.
    pub revisions: Vec<String>,
    /// Only what is known is changed, whoever submitted it.
    pub mend: bool,
    /// Place of the first unit in its file, from 0.
    pub first: usize,
}

/// Keys of one level that somebody else published.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// How their identifiers are derived.
    pub scheme: String,
    /// Where they matter.
    pub zone: String,
    /// What is said of them.
    pub level: String,
    /// By what their signer is known, in hexadecimal.
    pub signer: String,
    /// Whether they say something else of keys that came before.
    pub revised: bool,
    /// Whether keys of any age are taken.
    pub any_age: bool,
    /// When they were published, in seconds of UTC.
    pub public_at: u64,
    /// The keys in their text form.
    pub units: Vec<String>,
}
