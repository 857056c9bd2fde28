//! What is submitted from the command line. Source: spec §10.6, §12.2.

use std::iter;

use bellwether_formats::id::Scheme;
use serde_json::{Value, json};

use super::{Admin, AdminError, Import, Submission, from_hex};
use crate::intake::proof::{self, Owner};
use crate::intake::submissions::{ItemRefusal, Line, MAX_LINE_BYTES, Outcome, Said, Taker};
use crate::store::{Fate, Item};

/// Most units of one request: it is one message.
pub const MAX_UNITS: usize = 10_000;

/// When something is taken in, in seconds of UTC, and what units' times are checked against.
#[derive(Clone, Copy)]
struct Time {
    now: u64,
    check: Option<u64>,
}

/// By what right what is known is changed.
#[derive(Clone, Copy, Eq, PartialEq)]
enum How {
    /// Each item's revision token.
    Shown,
    /// Who submits has proved it.
    Proven,
    /// It is the provider, which mends.
    Mend,
}

impl Admin {
    /// Takes in units; tells of each by its place.
    pub(super) fn submit(&self, submission: &Submission, now: u64) -> Result<Value, AdminError> {
        let said = Said {
            scheme: &submission.scheme,
            zone: &submission.zone,
            level: &submission.level,
            unit: "",
            grade: submission.grade,
            case: submission.case.as_deref(),
            revision: None,
            public_at: None,
        };
        let shown = submission.revisions.iter().map(String::as_str);
        let shown = shown.chain(iter::repeat("")).zip(&submission.units);
        let items = shown.map(|(token, unit)| Said {
            unit,
            revision: (!token.is_empty()).then_some(token),
            ..said
        });
        let time = Time {
            now,
            check: (!submission.mend).then_some(now),
        };
        let how = if submission.mend {
            How::Mend
        } else {
            How::Shown
        };
        let outcomes = self.take(&said, items, &proof::local(), how, time)?;
        let lines = (submission.first..).zip(&outcomes);
        let lines: Vec<Line> = lines.map(|(index, outcome)| outcome.line(index)).collect();
        Ok(json!({ "lines": lines }))
    }

    /// Takes in keys that somebody else published. What they revised changes what was taken from them
    /// before: their signature is the proof. Tells of those that are refused by their
    /// places, and of the others how many there are.
    pub(super) fn take_over(&self, import: &Import, now: u64) -> Result<Value, AdminError> {
        let said = Said {
            scheme: &import.scheme,
            zone: &import.zone,
            level: &import.level,
            unit: "",
            grade: None,
            case: None,
            revision: None,
            public_at: Some(import.public_at),
        };
        let items = import.units.iter().map(|unit| Said { unit, ..said });
        let owner = proof::import(&import.scheme, &from_hex(&import.signer)?);
        let time = Time {
            now,
            check: (!import.any_age).then_some(now),
        };
        let how = if import.revised {
            How::Proven
        } else {
            How::Shown
        };
        let outcomes = self.take(&said, items, &owner, how, time)?;
        let count = |fate| {
            outcomes
                .iter()
                .filter(|one| one.fate() == Some(fate))
                .count()
        };
        let refused = outcomes.iter().enumerate().filter_map(|(index, outcome)| {
            let rule = outcome.rule()?;
            Some(json!({ "index": index, "rule": rule }))
        });
        Ok(json!({
            "new": count(Fate::New),
            "known": count(Fate::Known),
            "changed": count(Fate::Changed),
            "others": count(Fate::Others),
            "refused": refused.collect::<Vec<Value>>(),
        }))
    }

    /// `all` is what is said of every item. What it breaks is refused once.
    fn take<'a>(
        &self,
        all: &Said<'_>,
        items: impl Iterator<Item = Said<'a>>,
        owner: &Owner,
        how: How,
        time: Time,
    ) -> Result<Vec<Outcome>, AdminError> {
        self.level_and_zone(all.level, all.zone)?;
        let _: Scheme = all.scheme.parse()?;
        let (code_key, modes) = (self.code_key()?, self.config.modes());
        let taker = Taker {
            store: &self.store,
            code_key: &code_key,
            modes: &modes,
        };
        let item = |said: Said<'_>| {
            if said.unit.len() > MAX_LINE_BYTES {
                return Err(ItemRefusal::Line);
            }
            let item = taker.item(&said, owner, time.check)?;
            let proven = how == How::Proven || item.proven;
            Ok(Item { proven, ..item })
        };
        let items: Vec<_> = items.take(MAX_UNITS + 1).map(item).collect();
        if items.len() > MAX_UNITS {
            return Err(AdminError::TooManyUnits);
        }
        Ok(match how {
            How::Mend => taker.mend(items)?,
            How::Shown | How::Proven => taker.take(items, time.now)?,
        })
    }
}
