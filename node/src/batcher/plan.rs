//! Which batches a zone needs now, and in which order. Source: spec §4.5, §4.7, §5.6.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_formats::limit;

use crate::store::Range;

/// A batch to be drawn up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Job {
    /// What is new, or a heartbeat.
    New,
    /// The live content of a sealed batch at its levels of now.
    Revise(u64),
    /// The live content of sealed batches, `first` to `last`, for those who were away.
    Fold {
        /// Its first batch.
        first: u64,
        /// Its last batch.
        last: u64,
    },
}

/// What is known of a zone.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The time, in seconds of UTC.
    pub now: u64,
    /// Whether a batch of what is new is wanted, be it a heartbeat.
    pub new: bool,
    /// Batches of which a sealed notification has another level than was published.
    pub revise: &'a BTreeSet<u64>,
    /// The ranges of sealed parts that were published, by their first batch.
    pub ranges: &'a [Range],
}

/// A day of UTC, in seconds.
const DAY_S: u64 = 86_400;

/// The batches that are to be published, each as one: what is new, then revisions, then the folds
/// that revisions made out of date, then folds of days that are over.
pub fn jobs(known: &Known<'_>) -> Vec<Job> {
    let new = known.new.then_some(Job::New);
    let revise = known.revise.iter().map(|batch| Job::Revise(*batch));
    let folds = outdated(known).chain(new_folds(known));
    let folds = folds.map(|(first, last)| Job::Fold { first, last });
    new.into_iter().chain(revise).chain(folds).collect()
}

/// Folds over a batch that was revised after they were published, or is about to be: who took the
/// fold instead of the batch looks for its revisions there.
fn outdated<'a>(known: &Known<'a>) -> impl Iterator<Item = (u64, u64)> + use<'a> {
    let Known { revise, ranges, .. } = *known;
    let folds = ranges.iter().filter(|range| range.is_fold());
    folds
        .filter(move |fold| {
            let inside = fold.first..=fold.last;
            let mut revised = ranges.iter().filter(|range| !range.is_fold());
            revise.range(inside.clone()).next().is_some()
                || revised
                    .any(|range| inside.contains(&range.first) && range.row.seq > fold.row.seq)
        })
        .map(|fold| (fold.first, fold.last))
}

/// Folds of the days that are over and have none yet: of each day's sealed batches as many as fit
/// one, again and again. A batch that would be alone needs none. One that came back from a relay
/// after a restore is in none: a fold without the seeds that are missing here would hide them from
/// whoever was away, and a fold around it would be such a one.
fn new_folds(known: &Known<'_>) -> impl Iterator<Item = (u64, u64)> {
    let day = |range: &Range| range.row.published_at / DAY_S;
    let today = known.now / DAY_S;
    let over = known
        .ranges
        .iter()
        .filter(|range| !range.is_fold() && day(range) < today);
    let mut groups: Vec<Group> = Vec::new();
    for range in over {
        let same_day = groups.last_mut().filter(|group| group.day == day(range));
        let goes_on = same_day.filter(|group| !group.came_back && !range.row.came_back);
        if !goes_on.is_some_and(|group| group.takes(range)) {
            groups.push(Group::of(day(range), range));
        }
    }
    let folds = known.ranges.iter().filter(|range| range.is_fold());
    groups.retain(|group| {
        let known = |fold: &Range| fold.first <= group.last && group.first <= fold.last;
        group.first < group.last && !folds.clone().any(known)
    });
    groups.into_iter().map(|group| (group.first, group.last))
}

/// Batches of one day that fit one fold, whatever becomes of the levels of what is in them.
struct Group {
    day: u64,
    first: u64,
    last: u64,
    ids: BTreeMap<u8, u64>,
    came_back: bool,
}

impl Group {
    fn of(day: u64, range: &Range) -> Self {
        Self {
            day,
            first: range.first,
            last: range.last,
            ids: range.row.identifiers(),
            came_back: range.row.came_back,
        }
    }

    /// Takes the next batch of the day if a fold with it has no more parts than a batch may.
    fn takes(&mut self, range: &Range) -> bool {
        let mut ids = self.ids.clone();
        for (scheme, more) in range.row.identifiers() {
            let sum = ids.entry(scheme).or_default();
            *sum = sum.saturating_add(more);
        }
        let fits = parts(&ids) <= limit::MAX_PARTS;
        if fits {
            self.last = range.last;
            self.ids = ids;
        }
        fits
    }
}

/// How many sealed parts so many identifiers of each scheme take at most. Source: spec §5.3.
pub(super) fn parts(ids: &BTreeMap<u8, u64>) -> u64 {
    let parts = |ids: &u64| {
        let ids = ids.saturating_mul(102);
        ids.div_ceil(100 * limit::MAX_SEALED_IDS).max(1)
    };
    ids.values().map(parts).sum()
}

#[cfg(test)]
mod tests;
