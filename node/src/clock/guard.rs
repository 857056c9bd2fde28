//! Tells whether the local clock is believed. Pure. Source: spec §4.7 "Clock", decision 19.
//!
//! A batch that is signed in the future cannot be taken back, and what is deleted is gone. So a clock that
//! leapt, or that others contradict, is in doubt: for a while, so that no single other can stop a
//! provider for ever.

use std::collections::BTreeSet;
use std::fmt;

use bellwether_formats::id::ProviderId;
use bellwether_formats::limit::MAX_FUTURE_S;

use super::text;

/// Most that two clocks may differ, in seconds: what readers allow too.
pub(super) const TOLERANCE_S: u64 = MAX_FUTURE_S;

/// Time for which a leap is held against the clock of which nobody else says anything, in seconds: a
/// machine that starts has its clock set by then.
pub(super) const LEAP_HELD_S: u64 = 600;

/// Time for which one source alone is held against the clock, in seconds (6 hours): time for a person to
/// look, and less than the 18 hours after which a zone of the default interval is stale.
pub(super) const ONE_HELD_S: u64 = 6 * 3600;

/// A source of time. Those of one operator or provider are one source.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Source {
    /// The operator of a gateway, by its answer's `Date`.
    Gateway(String),
    /// A provider, by its newest batch: it is at least so late.
    Provider(ProviderId),
}

/// Word of a source.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Word {
    /// The source.
    pub source: Source,
    /// The time now, in seconds of UTC; by a provider, the least that it can be.
    pub time: u64,
}

/// Input of a judgement: what is known when the clock is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading<'a> {
    /// Time of the clock, in seconds of UTC.
    pub(super) local: u64,
    /// The time that it should show: what was believed last, and the monotonic time since then. Across a
    /// restart that is the least that it can be. Nothing is known before the first reading.
    pub(super) expected: Option<u64>,
    /// Words of others.
    pub(super) words: &'a [Word],
    /// Time for which the leap has been held against it, in seconds of time lived.
    pub(super) leap_held_s: u64,
    /// Time for which one source has been held against it since another agreed, in seconds of time lived.
    pub(super) one_held_s: u64,
}

/// Worth of the clock.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// Another source agrees with it.
    Agreed,
    /// Nothing speaks against it.
    Plain,
    /// Something speaks against it, and was held against it long enough.
    Alone,
    /// It is not believed now.
    Doubt(Doubt),
}

/// Evidence against the clock.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Doubt {
    /// Its time.
    pub local: u64,
    /// The time that it should show, if it leapt.
    pub expected: Option<u64>,
    /// Words that contradict it, one a source; they agree with each other.
    pub against: Vec<Word>,
}

impl Doubt {
    /// Tells whether two sources or more contradict the clock: that is held against it for as long as it
    /// is so.
    pub fn is_outvoted(&self) -> bool {
        self.against.len() > 1
    }
}

/// Judges a reading.
///
/// * Two sources or more that agree with each other against the clock, and are more than those that
///   agree with it, are believed.
/// * Else one that agrees with the clock is enough.
/// * Else one against it is held against it for [`ONE_HELD_S`], a leap alone for [`LEAP_HELD_S`].
pub(super) fn judge(reading: Reading<'_>) -> Verdict {
    let Reading {
        local,
        expected,
        words,
        ..
    } = reading;
    let agrees = |word: &&Word| word.time.abs_diff(local) <= TOLERANCE_S;
    let with: BTreeSet<&Source> = { words.iter().filter(agrees) }.map(|w| &w.source).collect();
    let against = largest_party(local, words, &with);
    let leap = expected.filter(|expected| expected.abs_diff(local) > TOLERANCE_S);
    let doubt = |against: Vec<Word>| {
        Verdict::Doubt(Doubt {
            local,
            expected: leap,
            against,
        })
    };
    if against.len() > 1 && against.len() > with.len() {
        return doubt(against);
    }
    if !with.is_empty() {
        return Verdict::Agreed;
    }
    let by_one = !against.is_empty();
    let held_by_one = by_one && reading.one_held_s < ONE_HELD_S;
    let held_by_leap = leap.is_some() && reading.leap_held_s < LEAP_HELD_S;
    if held_by_one || held_by_leap {
        doubt(against)
    } else if by_one || leap.is_some() {
        Verdict::Alone
    } else {
        Verdict::Plain
    }
}

/// The most sources that contradict the clock and agree with each other, one word of each.
fn largest_party(local: u64, words: &[Word], with: &BTreeSet<&Source>) -> Vec<Word> {
    let later = |word: &Word| word.time > local.saturating_add(TOLERANCE_S);
    // A provider's batch is as old as it is: it never says that the clock is ahead.
    let earlier = |word: &Word| {
        matches!(word.source, Source::Gateway(_)) && word.time.saturating_add(TOLERANCE_S) < local
    };
    let free = |word: &&Word| !with.contains(&word.source);
    let dissent: Vec<&Word> = { words.iter().filter(free) }
        .filter(|word| later(word) || earlier(word))
        .collect();
    let party = |leader: &Word| -> Vec<Word> {
        let mut seen = BTreeSet::new();
        let supports = |word: &&&Word| {
            later(word) == later(leader)
                && (word.time.abs_diff(leader.time) <= TOLERANCE_S
                    || matches!(word.source, Source::Provider(_)) && word.time <= leader.time)
        };
        let members = dissent.iter().filter(supports);
        { members.filter(|word| seen.insert(word.source.clone())) }
            .map(|word| Word::clone(word))
            .collect()
    };
    let parties = dissent.iter().map(|leader| party(leader));
    parties.max_by_key(Vec::len).unwrap_or_default()
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this machine's clock says {}", text(self.local))?;
        if let Some(expected) = self.expected {
            let expected = text(expected);
            write!(f, "; by what was believed last it should be {expected}")?;
        }
        for word in &self.against {
            let time = text(word.time);
            match &word.source {
                Source::Gateway(operator) => write!(f, "; a gateway of {operator} says {time}")?,
                Source::Provider(id) => write!(f, "; {id} signed a batch of {time}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
