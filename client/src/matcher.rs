//! Which observations a body speaks of. Source: spec §11.4.
//!
//! An observation matches a notification if it is one of its identifiers, and was made inside the
//! part's window, before the notification was public and, in schemes that know, when the identifier
//! was broadcast. Whether the observation or the body came first makes no difference: each body
//! remembers up to which observation it was tested.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use bellwether_formats::batch::Window;
use bellwether_formats::body::check_observed_before;
use bellwether_formats::body::open::{Group, OpenBody, Terms};
use bellwether_formats::cid::{Block, Cid};
use bellwether_formats::id::{FeedId, Level, ObjectId, ProviderId, Scheme, Zone};
use bellwether_formats::scheme::{Span, WantedIds, cx, record_id};
use serde::{Deserialize, Serialize};

use crate::observations::{Observation, Observations};
use crate::serial;
use crate::trust::{Body, Feed, KnownBatch};

mod details;

pub use details::{Details, GaenDetails, Memo};

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
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Said {
    level: u8,
    grade: Option<u8>,
    #[serde(default)]
    details: Option<Details>,
    /// The batch's envelope.
    #[serde(with = "serial::text")]
    batch: Cid,
}

/// What a batch says of a notification. Of two in one batch the greater counts: the higher level,
/// then the higher grade.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Statement {
    level: Level,
    grade: Option<u8>,
    details: Option<Details>,
}

/// Statements of a batch.
type Statements = BTreeMap<Record, Statement>;

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
    /// What its unit says beyond that; of open parts, in schemes whose units do.
    pub details: Option<Details>,
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
        let batch = (known.cid, known.published_at);
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
    (batch, published_at): (Cid, u64),
    body: &OpenBody,
    window: Window,
    new: &[&Observation],
) -> BTreeSet<Hit> {
    let Some(rules) = body.scheme().rules() else {
        return BTreeSet::new();
    };
    let mut by_id: BTreeMap<&[u8], Vec<Observation>> = BTreeMap::new();
    for observation in new.iter().filter(|new| new.family == rules.family()) {
        let seen = by_id.entry(observation.id.as_bytes()).or_default();
        seen.push(**observation);
    }
    // What is compared with open parts has 16 bytes in every family.
    let short = |id: &&[u8]| (*id).try_into().map(cx::Identifier::from_bytes).ok();
    let wanted = WantedIds::new(by_id.keys().filter_map(short));
    let mut hits = BTreeSet::new();
    // What is withdrawn need not be found: only a level that alerts makes a match.
    for Group { terms, values } in body
        .groups()
        .iter()
        .filter(|group| group.terms.level.alerts() && is_sound(&group.terms, published_at))
    {
        let mut hit = |number: usize, identifier: &[u8], span: Option<Span>| {
            let unit = values.get(number).unwrap_or_default();
            let observed = by_id.get(identifier).into_iter().flatten();
            let in_time = observed.filter(|seen| {
                window.contains(seen.at)
                    && seen.at < terms.observed_before
                    && span.is_none_or(|span| span.contains(seen.at))
            });
            for observation in in_time {
                hits.insert(Hit {
                    provider: feed.provider,
                    zone: feed.zone.clone(),
                    record: Record::of(body.scheme(), unit),
                    observation: *observation,
                    said: Some(Said {
                        level: terms.level.0,
                        grade: terms.grade,
                        details: Details::of(body.scheme(), unit),
                        batch,
                    }),
                });
            }
        };
        rules.matches(values, &wanted, &mut hit);
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
        if let Some(said) = &hit.said {
            raise(&mut remembered, (said.batch, hit.record), said.statement());
        }
    }
    if observed.is_empty() {
        return (Vec::new(), lost);
    }
    let mut said: BTreeMap<ObjectId, Statements> = BTreeMap::new();
    for batch in feed.batches() {
        let (mut statements, unreadable) = statements(batch, &observed, &block);
        if !unreadable.is_empty() {
            for record in observed.keys() {
                if let Some(statement) = remembered.get(&(batch.cid, *record)) {
                    raise(&mut statements, *record, statement.clone());
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
                |batch: &&KnownBatch| Some((batch.cid, said.get(&batch.id)?.get(&record)?));
            branch.iter().find_map(said_in)
        };
        let (batch, statement) = branches
            .iter()
            .filter_map(newest)
            .find(|(_, statement)| statement.level.alerts())?;
        Some(Match {
            feed: id.clone(),
            scheme: Scheme(record.0),
            level: statement.level,
            grade: statement.grade,
            details: statement.details.clone(),
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

/// Tells whether a group of a batch that was published at `published_at` counts. Source: spec §6.1.
fn is_sound(terms: &Terms, published_at: u64) -> bool {
    check_observed_before(terms.observed_before, published_at).is_ok()
}

/// What a batch says of the notifications looked for, and which of its bodies cannot be read. A unit
/// that breaks its scheme's rules says nothing, and neither does a group that breaks its own.
fn statements<T>(
    batch: &KnownBatch,
    records: &BTreeMap<Record, T>,
    block: impl Fn(&Cid) -> Option<Block>,
) -> (Statements, BTreeSet<Cid>) {
    let mut said = Statements::new();
    let mut lost = BTreeSet::new();
    for part in &batch.parts {
        let (cid, block) = match &part.body {
            Body::Kept { cid, .. } => (cid, block(cid)),
            Body::Lost { cid, .. } => (cid, None),
            Body::Unfetched { .. } | Body::Broken | Body::Sealed(_) | Body::Unread => {
                continue;
            }
        };
        let scheme = Scheme(part.scheme.unwrap_or_default());
        let Some(body) = block.and_then(|block| OpenBody::decode(scheme, block.bytes()).ok())
        else {
            lost.insert(*cid);
            continue;
        };
        for (terms, unit) in body.units() {
            let record = Record::of(scheme, unit);
            let holds = || {
                scheme
                    .rules()
                    .is_some_and(|rules| rules.check(unit).is_ok())
            };
            if records.contains_key(&record) && is_sound(&terms, batch.published_at) && holds() {
                // Twice in one batch is the provider's mistake; the higher level is the safer one.
                let statement = Statement {
                    level: terms.level,
                    grade: terms.grade,
                    details: Details::of(scheme, unit),
                };
                raise(&mut said, record, statement);
            }
        }
    }
    (said, lost)
}

/// Takes a statement in, unless a greater one is there.
fn raise<K: Ord>(said: &mut BTreeMap<K, Statement>, key: K, statement: Statement) {
    match said.entry(key) {
        Entry::Vacant(free) => {
            free.insert(statement);
        }
        Entry::Occupied(mut known) if *known.get() < statement => {
            known.insert(statement);
        }
        Entry::Occupied(_) => {}
    }
}

impl Said {
    fn statement(&self) -> Statement {
        Statement {
            level: Level(self.level),
            grade: self.grade,
            details: self.details.clone(),
        }
    }
}

impl Record {
    fn of(scheme: Scheme, unit: &[u8]) -> Self {
        Self(scheme.0, *record_id(scheme, unit).as_bytes())
    }
}

pub(crate) mod sealed;

#[cfg(test)]
mod tests;
