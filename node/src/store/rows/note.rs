//! A notification of the provider, as it is kept.

use bellwether_formats::id::{Level, Scheme};
use serde::{Deserialize, Serialize};

use super::{StoreError, bytes};

/// How a notification is published: its mode, which it keeps in every zone. Source: spec §5.7.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// As its unit, which everybody expands: its identifiers can be linked.
    #[default]
    Open,
    /// As its identifiers, one entry each: only who observed one can open it.
    Sealed,
}

impl Mode {
    /// As it stands in the table of modes.
    pub(in crate::store) const fn code(self) -> [u8; 1] {
        match self {
            Self::Open => [0],
            Self::Sealed => [1],
        }
    }

    pub(in crate::store) fn from_code(code: &[u8]) -> Result<Self, StoreError> {
        match code {
            [0] => Ok(Self::Open),
            [1] => Ok(Self::Sealed),
            _ => Err(StoreError::Row {
                error: "a mode".to_owned(),
            }),
        }
    }
}

/// A notification of this provider in one zone.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct NoteRow {
    /// Its scheme's code.
    pub scheme: u8,
    /// Its unit: a seed.
    #[serde(with = "bytes")]
    pub unit: Vec<u8>,
    /// Its level now.
    pub level: u8,
    /// Issue number of the code that gave the level.
    pub issue: u64,
    /// When it was accepted, in seconds of UTC.
    pub accepted_at: u64,
    /// The level that the newest batch with it says.
    pub published_level: Option<u8>,
    /// Closes its window; the time of its first publication.
    pub observed_before: u64,
    /// Padding: made by this node, kept so that publishing it again agrees.
    pub dummy: bool,
    /// How it is published. Stores of the first version know open ones only.
    #[serde(default)]
    pub mode: Mode,
    /// Number of the zone's batch in which it was published first, as far as it is known: the first
    /// version did not keep it.
    #[serde(default)]
    pub batch: Option<u64>,
    /// Finer weight, 0 to 100, if who submitted it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grade: Option<u8>,
    /// It is not published before, in seconds of UTC: its identifiers could still be broadcast.
    #[serde(default)]
    pub publish_from: u64,
    /// Who submitted it first, by what only they can show; the others change nothing. None where the
    /// scheme's own proof is asked for each time, as CX's is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<[u8; 32]>,
}

/// What a notification weighs when a batch is filled: an open one as much as a CX seed.
pub(in crate::store) const OPEN_WEIGHT: u32 = 2048;

impl NoteRow {
    /// How many identifiers it stands for; 0 if its scheme or unit cannot be read.
    pub(crate) fn identifiers(&self) -> u32 {
        let rules = self.scheme().rules();
        let facts = rules.and_then(|rules| rules.expansion(&self.unit));
        facts.unwrap_or_default()
    }

    /// What it weighs when a batch is filled, in identifiers.
    pub(in crate::store) fn weight(&self) -> u32 {
        match self.mode {
            Mode::Open => OPEN_WEIGHT,
            Mode::Sealed => self.identifiers(),
        }
    }

    pub(in crate::store) const fn scheme(&self) -> Scheme {
        Scheme(self.scheme)
    }

    /// Whether a batch must say something new about it. What was never published need not be
    /// withdrawn.
    pub(in crate::store) fn is_pending(&self) -> bool {
        match (self.published_level, self.mode) {
            (None, _) => self.is_live(),
            (Some(level), Mode::Open) => level != self.level,
            // One that does not alert is not in a sealed part, whichever its level.
            (Some(level), Mode::Sealed) => {
                level != self.level && (Level(level).alerts() || self.is_live())
            }
        }
    }

    /// Whether a batch must say something new about it in a revision of the batch that it was
    /// published in.
    pub(in crate::store) fn revises(&self) -> Option<u64> {
        let published = self.published_level.is_some() && self.mode == Mode::Sealed;
        self.batch.filter(|_| published && self.is_pending())
    }

    /// Whether it alerts at the level that was published last.
    pub(crate) fn is_published_live(&self) -> bool {
        self.published_level
            .is_some_and(|level| Level(level).alerts())
    }

    /// Whether it alerts at its level of now.
    pub fn is_live(&self) -> bool {
        Level(self.level).alerts()
    }
}
