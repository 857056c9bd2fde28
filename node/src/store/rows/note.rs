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
    /// Closes its window: the time of its first publication, here or by others.
    pub observed_before: u64,
    /// The time of its first publication here, in seconds of UTC; 0 if it is that by which its window
    /// closes, as it always was in earlier versions.
    #[serde(default)]
    pub published_at: u64,
    /// Padding: made by this node, kept so that publishing it again agrees.
    pub dummy: bool,
    /// How it is published. Stores of the first version know open ones only.
    #[serde(default)]
    pub mode: Mode,
    /// Number of the zone's batch in which it was published first, as far as it is known: the first
    /// version did not keep it.
    #[serde(default)]
    pub batch: Option<u64>,
    /// Finer weight, 0 to 100, if who submitted it gave one: that of the newest batch with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grade: Option<u8>,
    /// The grade that the next batch is to say, if it is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_grade: Option<u8>,
    /// It is not published before, in seconds of UTC: its identifiers could still be broadcast.
    #[serde(default)]
    pub publish_from: u64,
    /// Somebody else published it at this time, in seconds of UTC: from then on whoever read it could
    /// broadcast its identifiers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_at: Option<u64>,
    /// Who submitted it first, by what only they can show; the others change nothing. None where the
    /// scheme's own proof is asked for each time, as CX's is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<[u8; 32]>,
}

/// What a batch says of a notification.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Statement {
    /// Its level.
    pub level: u8,
    /// Its grade, if it has one.
    pub grade: Option<u8>,
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
        let regraded = self.next_grade.is_some() && self.is_live();
        match (self.published_level, self.mode) {
            (None, _) => self.is_live(),
            (Some(level), Mode::Open) => level != self.level || regraded,
            // One that does not alert is not in a sealed part, whichever its level.
            (Some(level), Mode::Sealed) => {
                let changed = level != self.level && (Level(level).alerts() || self.is_live());
                changed || regraded
            }
        }
    }

    /// What the next batch with it says.
    pub(crate) fn statement(&self) -> Statement {
        Statement {
            level: self.level,
            grade: self.grade_now(),
        }
    }

    /// Its grade, as the next batch with it says it.
    pub(crate) fn grade_now(&self) -> Option<u8> {
        self.next_grade.or(self.grade)
    }

    /// Gives it another grade. Gives whether that changed anything.
    pub(in crate::store) fn regrade(&mut self, grade: u8) -> bool {
        let changed = self.grade_now() != Some(grade);
        if self.published_level.is_none() {
            self.grade = Some(grade);
        } else {
            self.next_grade = (self.grade != Some(grade)).then_some(grade);
        }
        changed
    }

    /// A batch said this grade of it.
    pub(in crate::store) fn said_grade(&mut self, grade: Option<u8>) {
        self.next_grade = self.grade_now().filter(|now| Some(*now) != grade);
        self.grade = grade;
    }

    /// Closes its window in a batch that is published at `at`: the time at which it is public, and
    /// never later (`observed-before`, spec §6.1).
    pub(crate) fn observed_before_at(&self, at: u64) -> u64 {
        match self.published_level {
            Some(_) => self.observed_before.min(at),
            None => self.public_at.map_or(at, |public| public.min(at)),
        }
    }

    /// Whether a batch must say something new about it in a revision of the batch that it was
    /// published in.
    pub(in crate::store) fn revises(&self) -> Option<u64> {
        let published = self.published_level.is_some() && self.mode == Mode::Sealed;
        self.batch.filter(|_| published && self.is_pending())
    }

    /// When it was first published here, in seconds of UTC.
    pub(crate) const fn first_published(&self) -> u64 {
        match self.published_at {
            0 => self.observed_before,
            at => at,
        }
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
