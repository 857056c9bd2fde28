//! Which observations a body speaks of. Source: spec §11.4.
//!
//! An observation matches a notification if it is one of its identifiers, and was made inside the
//! part's window and before the notification was public. Whether the observation or the body came
//! first makes no difference: each body remembers up to which observation it was tested.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_formats::batch::Window;
use bellwether_formats::body::open::{Group, OpenBody};
use bellwether_formats::cid::{Block, Cid};
use bellwether_formats::id::{FeedId, Level, ObjectId, ProviderId, RecordId, Scheme, Zone};
use bellwether_formats::scheme::cx::{self, Generator, WantedIds};
use serde::{Deserialize, Serialize};

use crate::observations::{ContactId, Family, Observation, Observations};
use crate::serial;
use crate::trust::{Body, Feed, KnownBatch};

/// An observation that is one of a notification's.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hit {
    #[serde(with = "serial::text")]
    pub(crate) provider: ProviderId,
    #[serde(with = "serial::text")]
    pub(crate) zone: Zone,
    pub(crate) record: Record,
    pub(crate) observation: Observation,
    /// What the body said; the match is shown by it while the body is lost.
    #[serde(default)]
    pub(crate) said: Option<Said>,
}

/// An alert, as a batch gave it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Said {
    level: u8,
    grade: Option<u8>,
    /// The batch's envelope.
    #[serde(with = "serial::text")]
    batch: Cid,
}

/// What a batch says of a notification.
type Statement = (Level, Option<u8>);

/// A notification of a feed: its scheme's code and its record id.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub(crate) struct Record(u8, #[serde(with = "serde_bytes")] [u8; 16]);

/// A notification that the device was near to, at the times observed. Nothing else is ever shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Match {
    /// Who says so, and where it matters.
    pub feed: FeedId,
    /// How the identifiers were derived.
    pub scheme: Scheme,
    /// What is said of the notification now.
    pub level: Level,
    /// Finer weight, 0 to 100, if the provider gives one.
    pub grade: Option<u8>,
    /// The envelope of the newest batch that speaks of it.
    pub batch: Cid,
    /// The provider signed two stories; this is in one of them.
    pub disputed: bool,
    /// Every observation that is the notification's, ascending by time.
    pub observations: Vec<Observation>,
}

/// Tests every kept body of `feed` against the observations that it was not tested against yet.
/// Gives the hits, and whether the feed's state is worth persisting.
pub(crate) fn catch_up(
    feed: &mut Feed,
    observations: &Observations,
    block: impl Fn(&Cid) -> Option<Block>,
) -> (Vec<Hit>, bool) {
    let id = feed.id();
    let mut hits = Vec::new();
    let mut changed = false;
    let parts = feed.batches_mut().flat_map(|known| {
        let batch = known.cid;
        known.parts.iter_mut().map(move |part| (batch, part))
    });
    for (batch, part) in parts {
        let Body::Kept { cid, tested } = part.body else {
            continue;
        };
        let window = part.window();
        let new: Vec<&Observation> = observations
            .since(tested)
            .filter(|new| window.contains(new.at))
            .collect();
        let scheme = Scheme(part.scheme.unwrap_or_default());
        if !new.is_empty() {
            changed = true;
            let body = block(&cid).and_then(|block| OpenBody::decode(scheme, block.bytes()).ok());
            let Some(body) = body else {
                // These observations are not answered until it was fetched again.
                part.body = Body::Lost { cid, tested };
                continue;
            };
            hits.extend(test(&id, batch, &body, window, &new));
        }
        part.body = Body::Kept {
            cid,
            tested: observations.next(),
        };
    }
    (hits, changed)
}

/// Compares a body with observations. This and the scheme decide what is a match, and nothing else.
fn test(
    feed: &FeedId,
    batch: Cid,
    body: &OpenBody,
    window: Window,
    new: &[&Observation],
) -> BTreeSet<Hit> {
    let Some((generator, family)) = expansion(body.scheme()) else {
        return BTreeSet::new();
    };
    let mut by_id: BTreeMap<ContactId, Vec<Observation>> = BTreeMap::new();
    for observation in new.iter().filter(|new| new.family == family) {
        by_id.entry(observation.id).or_default().push(**observation);
    }
    let wanted = WantedIds::new(by_id.keys().map(|id| cx::Identifier::from_bytes(id.0)));
    let mut hits = BTreeSet::new();
    // What is withdrawn need not be found: only a level that alerts makes a match.
    for Group { terms, values } in body
        .groups()
        .iter()
        .filter(|group| group.terms.level.alerts())
    {
        let units: Vec<&[u8]> = values.chunks_exact(generator.seed_len()).collect();
        let mut hit = |unit: usize, _, id: cx::Identifier| {
            let observed = by_id.get(&ContactId(*id.as_bytes())).into_iter().flatten();
            let in_time =
                observed.filter(|seen| window.contains(seen.at) && seen.at < terms.observed_before);
            for observation in in_time {
                let material = units.get(unit).copied().unwrap_or_default();
                hits.insert(Hit {
                    provider: feed.provider,
                    zone: feed.zone.clone(),
                    record: Record::of(body.scheme(), material),
                    observation: *observation,
                    said: Some(Said {
                        level: terms.level.0,
                        grade: terms.grade,
                        batch,
                    }),
                });
            }
        };
        let whole = cx::matches(generator, values, &wanted, &mut hit);
        debug_assert!(whole.is_ok(), "a decoded body is made of whole units");
    }
    hits
}

/// What the hits of a feed come to: for each notification its newest statement, on the main branch
/// or, where that is silent, on another. Source: spec §6.3, §11.3.
///
/// Gives as well the bodies that could not be read. What a lost one said is taken from the hits.
pub(crate) fn resolve<'a>(
    feed: &Feed,
    hits: impl Iterator<Item = &'a Hit>,
    block: impl Fn(&Cid) -> Option<Block>,
) -> (Vec<Match>, BTreeSet<Cid>) {
    let id = feed.id();
    let mut lost = BTreeSet::new();
    let mut remembered: BTreeMap<(Cid, Record), Statement> = BTreeMap::new();
    let mut observed: BTreeMap<Record, BTreeSet<(u64, Observation)>> = BTreeMap::new();
    for hit in hits.filter(|hit| hit.provider == id.provider && hit.zone == id.zone) {
        let seen = observed.entry(hit.record).or_default();
        seen.insert((hit.observation.at, hit.observation));
        if let Some(Said {
            level,
            grade,
            batch,
        }) = hit.said
        {
            let statement = (Level(level), grade);
            let known = remembered.entry((batch, hit.record)).or_insert(statement);
            *known = (*known).max(statement);
        }
    }
    if observed.is_empty() {
        return (Vec::new(), lost);
    }
    let mut said: BTreeMap<ObjectId, BTreeMap<Record, Statement>> = BTreeMap::new();
    for batch in feed.batches() {
        let (mut statements, unreadable) = statements(batch, &observed, &block);
        if !unreadable.is_empty() {
            for record in observed.keys() {
                if let Some(statement) = remembered.get(&(batch.cid, *record)) {
                    let known = statements.entry(*record).or_insert(*statement);
                    *known = (*known).max(*statement);
                }
            }
        }
        lost.extend(unreadable);
        said.insert(batch.id, statements);
    }
    let branches = feed.branches();
    let matched = observed.into_iter().filter_map(|(record, seen)| {
        let newest = |branch: &Vec<&KnownBatch>| {
            let said_in =
                |batch: &&KnownBatch| Some((batch.cid, *said.get(&batch.id)?.get(&record)?));
            branch.iter().find_map(said_in)
        };
        let (batch, (level, grade)) = branches
            .iter()
            .filter_map(newest)
            .find(|(_, (level, _))| level.alerts())?;
        Some(Match {
            feed: id.clone(),
            scheme: Scheme(record.0),
            level,
            grade,
            batch,
            disputed: !feed.forks().is_empty(),
            observations: seen
                .into_iter()
                .map(|(_, observation)| observation)
                .collect(),
        })
    });
    (matched.collect(), lost)
}

/// What a batch says of the notifications looked for, and which of its bodies cannot be read.
fn statements<T>(
    batch: &KnownBatch,
    records: &BTreeMap<Record, T>,
    block: impl Fn(&Cid) -> Option<Block>,
) -> (BTreeMap<Record, Statement>, BTreeSet<Cid>) {
    let mut said: BTreeMap<Record, Statement> = BTreeMap::new();
    let mut lost = BTreeSet::new();
    for part in &batch.parts {
        let (cid, block) = match &part.body {
            Body::Kept { cid, .. } => (cid, block(cid)),
            Body::Lost { cid, .. } => (cid, None),
            Body::Past | Body::Broken | Body::Sealed(_) | Body::Unread => continue,
        };
        let scheme = Scheme(part.scheme.unwrap_or_default());
        let Some(body) = block.and_then(|block| OpenBody::decode(scheme, block.bytes()).ok())
        else {
            lost.insert(*cid);
            continue;
        };
        for (terms, unit) in body.units() {
            let record = Record::of(scheme, unit);
            if records.contains_key(&record) {
                // Twice in one batch is the provider's mistake; the higher level is the safer one.
                let statement = (terms.level, terms.grade);
                let said = said.entry(record).or_insert(statement);
                *said = (*said).max(statement);
            }
        }
    }
    (said, lost)
}

impl Record {
    fn of(scheme: Scheme, key_material: &[u8]) -> Self {
        Self(scheme.0, *RecordId::of(scheme, key_material).as_bytes())
    }
}

/// How units of a scheme expand, and which observations are compared with them.
const fn expansion(scheme: Scheme) -> Option<(Generator, Family)> {
    match scheme {
        Scheme::CX1 => Some((Generator::Aes128, Family::Cx)),
        Scheme::CX2 => Some((Generator::Aes256, Family::Cx)),
        _ => None,
    }
}

pub(crate) mod sealed;

#[cfg(test)]
mod tests;
