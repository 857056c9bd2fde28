//! Which observations a feed's filters call possible, and what looks made of them. Source: spec
//! §11.4, §11.7.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_formats::cid::{Block, Cid};
use bellwether_formats::filter::{Filter, MIN_CLIENT_BITS};
use bellwether_formats::id::{Level, Scheme};

use super::Match;
use crate::observations::{Observation, Observations};
use crate::sealed::{SealedPart, Stage};
use crate::trust::Feed;

/// Observations, by time.
type Seen = BTreeSet<(u64, Observation)>;

/// What an entry says: level and grade.
type Statement = (Level, Option<u8>);

/// Tests every filter that is kept against the observations that it was not tested against yet, and
/// lets new versions take the place of those before. Gives whether the feed's state is worth
/// persisting.
pub(crate) fn catch_up(
    feed: &mut Feed,
    observations: &Observations,
    block: impl Fn(&Cid) -> Option<Block>,
) -> bool {
    let mut changed = false;
    let held = |sealed: &&mut SealedPart| sealed.stage == Stage::Held;
    for sealed in feed.sealed_mut().filter(held) {
        if sealed.tested >= observations.next() {
            continue;
        }
        let mut new = observations.since(sealed.tested);
        if !new.any(|new| sealed.speaks_of(new)) {
            sealed.tested = observations.next();
            continue;
        }
        changed = true;
        let filter = block(&sealed.filter)
            .and_then(|block| Filter::decode(block.bytes(), sealed.ids, MIN_CLIENT_BITS).ok());
        match filter {
            Some(filter) => {
                sealed.test(observations, |key| filter.contains(key));
            }
            // These observations are not answered until it was fetched again.
            None => sealed.stage = Stage::Wanted,
        }
    }
    changed | feed.replace()
}

/// What is confirmed in the sealed parts of a feed: an alert for each range, scheme, level and
/// grade.
pub(crate) fn resolve(feed: &Feed) -> Vec<Match> {
    let disputed = !feed.forks().is_empty();
    let mut matches = Vec::new();
    for batch in feed.batches() {
        let mut found: BTreeMap<(u8, Statement), Seen> = BTreeMap::new();
        let counts = |sealed: &&SealedPart| matches!(sealed.stage, Stage::Held | Stage::Wanted);
        for sealed in batch.sealed().filter(counts) {
            for ((observation, _), told) in sealed.shown() {
                let key = (sealed.scheme, (told.level(), told.grade()));
                let seen = found.entry(key).or_default();
                seen.insert((observation.at, observation));
            }
        }
        matches.extend(
            found
                .into_iter()
                .map(|((scheme, (level, grade)), seen)| Match {
                    feed: feed.id(),
                    scheme: Scheme(scheme),
                    level,
                    grade,
                    details: None,
                    batch: batch.cid,
                    disputed,
                    observations: seen.into_iter().map(|(_, seen)| seen).collect(),
                }),
        );
    }
    matches
}
