//! What is known of a sealed part: its candidates, its two looks, and what came of them.
//! Source: spec §11.7.
//!
//! The path of an observation: `SealedPart::test` makes it a candidate if the filter says
//! "possible"; `SealedPart::draw` draws what is looked at, candidate or not;
//! `Confirm` asks for it; `SealedPart::apply` takes what came of it; and
//! `SealedPart::shown` is what may be shown. Only the choice of a look's chunk depends on
//! candidates, and no request shows it.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_formats::batch::{self, Batch, Part, Window};
use bellwether_formats::cid::Cid;
use bellwether_formats::id::{Level, ProviderId, Scheme};
use bellwether_formats::scheme::{Family, Rules};
use bellwether_formats::sealed::{IdHash, Payload, Place, SealedError, Shape, Tag};
use serde::{Deserialize, Serialize};

use crate::observations::{Observation, Observations, expired};
use crate::policy::Policy;
use crate::serial;
use crate::trust::Cause;

mod look;
mod settle;

use look::Look;
pub(crate) use look::{Kind, Which};

/// Most candidates kept of a part, in items: many times what a phone makes, and what a filter that
/// says "possible" to everything can cost.
const MAX_CANDIDATES: usize = 4096;

/// A sealed part of a known batch.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SealedPart {
    pub(crate) scheme: u8,
    from: u64,
    to: u64,
    #[serde(with = "serde_bytes")]
    salt: [u8; 16],
    /// Whose batch it is in.
    #[serde(with = "serial::text")]
    pub(crate) provider: ProviderId,
    /// Time when its batch was published, in seconds of UTC.
    published_at: u64,
    /// Its number among the sealed parts of its scheme in the batch, from 0, and how many these are.
    number: usize,
    parts: usize,
    pub(crate) ids: u64,
    #[serde(with = "serial::text")]
    pub(crate) filter: Cid,
    pub(crate) filter_bytes: u64,
    #[serde(with = "serial::text")]
    pub(crate) index: Cid,
    /// The batches whose live content it is: first and last number.
    pub(crate) range: (u64, u64),
    pub(crate) stage: Stage,
    /// The number of the first observation that it was not tested against.
    pub(crate) tested: u64,
    candidates: Vec<Candidate>,
    first: Option<Look>,
    second: Option<Look>,
}

/// What becomes of a sealed part.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum Stage {
    /// Its filter or its index is still to be fetched.
    Wanted,
    /// Filter and index are kept.
    Held,
    /// It is not processed: what it covers is, or it is in a fold that is.
    Skipped,
    /// A newer version of its range is held.
    Replaced,
    /// The provider published something that breaks a rule. What it says is not known.
    Broken,
}

/// An observation that the filter calls possible.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Candidate {
    observation: Observation,
    /// Which of the observation's look-ups: that of a day. Near midnight there can be two, and FANNY
    /// does not know on which day a token expires.
    #[serde(default)]
    day: Option<u64>,
    verdict: Verdict,
    /// What the version that this part replaces said of it.
    before: Option<Told>,
}

/// What its chunk said of a candidate. One that is not in it is none any more.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
enum Verdict {
    /// Its chunk was not looked at.
    Possible,
    /// Its chunk, or its entry, breaks a rule.
    Unreadable,
    Confirmed(Told),
}

/// What an entry said.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Told {
    level: u8,
    grade_step: u8,
    observed_before: u64,
}

/// What is looked up for an observation: it, for a day in schemes that have several look-ups.
pub(crate) type LookUp = (Observation, Option<u64>);

/// A broken rule's name, and what to tell people.
pub(crate) type Trouble = (&'static str, String);

impl SealedPart {
    /// Part `position` of `batch`, if it is sealed and its `ids` is a rung that this version knows;
    /// nothing was fetched of it yet.
    pub(crate) fn of(batch: &Batch, position: usize) -> Option<Self> {
        let Some(Part::Sealed(part)) = batch.parts.get(position) else {
            return None;
        };
        Shape::of(part.ids).ok()?;
        let of_scheme = siblings(batch, part.scheme);
        let number = of_scheme.iter().position(|(at, _)| *at == position)?;
        let (first, _) = of_scheme.first()?;
        let in_order = |(number, (at, sibling)): (usize, &(usize, &batch::SealedPart))| {
            *at == first + number && sibling.ids == part.ids
        };
        let sound = of_scheme.iter().enumerate().all(in_order);
        Some(Self {
            scheme: part.scheme.0,
            from: part.window.from,
            to: part.window.to,
            salt: batch.salt,
            provider: batch.provider,
            published_at: batch.published_at,
            number,
            parts: of_scheme.len(),
            ids: part.ids,
            filter: part.filter.cid,
            filter_bytes: part.filter.size,
            index: part.index,
            range: batch.range(),
            stage: if sound { Stage::Wanted } else { Stage::Broken },
            tested: 0,
            candidates: Vec::new(),
            first: None,
            second: None,
        })
    }

    /// How its identifiers were derived.
    pub(crate) const fn scheme(&self) -> Scheme {
        Scheme(self.scheme)
    }

    /// The observation times that it speaks of.
    pub(crate) const fn window(&self) -> Window {
        Window {
            from: self.from,
            to: self.to,
        }
    }

    /// How its body is cut.
    pub(crate) fn shape(&self) -> Result<Shape, SealedError> {
        Shape::of(self.ids)
    }

    /// Tests the observations that it was not tested against yet; `possible` is the filter's answer
    /// to a key. Gives whether the part is worth persisting.
    pub(crate) fn test(
        &mut self,
        observations: &Observations,
        possible: impl Fn(u64) -> bool,
    ) -> bool {
        let before = self.tested;
        let new = observations.since(self.tested);
        let mut candidates = Vec::new();
        for observation in new.filter(|new| self.speaks_of(new)) {
            self.look_ups(observation, |day, hash| {
                let tag = hash.tag();
                if self.place().holds(&tag) && possible(tag.key()) {
                    candidates.push(Candidate {
                        observation: *observation,
                        day,
                        verdict: Verdict::Possible,
                        before: None,
                    });
                }
            });
        }
        let room = MAX_CANDIDATES.saturating_sub(self.candidates.len());
        self.candidates.extend(candidates.into_iter().take(room));
        self.tested = observations.next();
        self.tested != before
    }

    /// Takes over what the version that it replaces showed ([`shown`](Self::shown)); to be called
    /// once it was tested against all observations and before its first look is drawn. What its own
    /// filter calls absent is withdrawn with that.
    pub(crate) fn inherit(&mut self, shown: &BTreeMap<LookUp, Told>) {
        for candidate in &mut self.candidates {
            candidate.before = shown.get(&candidate.look_up()).copied();
        }
    }

    /// What may be shown: the candidates that were confirmed, and those that the version before
    /// confirmed and that this one still may. Everything else is nobody's business.
    pub(crate) fn shown(&self) -> impl Iterator<Item = (LookUp, Told)> + '_ {
        let looked = self.is_done(Which::First) && self.is_done(Which::Second);
        self.candidates.iter().filter_map(move |candidate| {
            let told = match candidate.verdict {
                Verdict::Confirmed(told) => Some(told),
                Verdict::Possible if looked => None,
                Verdict::Possible | Verdict::Unreadable => candidate.before,
            };
            let told = told.filter(|told| told.level().alerts())?;
            Some((candidate.look_up(), told))
        })
    }

    /// The observations that are possible, and that no look confirmed: for the library, never for
    /// the user.
    pub(crate) fn unconfirmed(&self) -> impl Iterator<Item = &Observation> {
        let possible = |candidate: &&Candidate| candidate.verdict == Verdict::Possible;
        let candidates = self.candidates.iter().filter(possible);
        let observations = candidates.map(|candidate| &candidate.observation);
        // Once, on however many days it is possible.
        observations.collect::<BTreeSet<_>>().into_iter()
    }

    /// Reason why "no match" cannot be said of it yet, or ever, if so.
    pub(crate) fn unread(&self, policy: Policy) -> Option<Cause> {
        match self.stage {
            Stage::Wanted => Some(Cause::Missing),
            Stage::Broken => Some(Cause::Broken),
            Stage::Skipped | Stage::Replaced => None,
            Stage::Held => {
                let has = |verdict| {
                    let mut candidates = self.candidates.iter();
                    candidates.any(|candidate| candidate.verdict == verdict)
                };
                // Under `lean` there is a look only where there is a candidate.
                let waits = policy != Policy::Lean && !self.is_done(Which::First);
                let full = self.candidates.len() >= MAX_CANDIDATES;
                if has(Verdict::Unreadable) {
                    Some(Cause::Broken)
                } else if waits || full || has(Verdict::Possible) {
                    Some(Cause::Unsettled)
                } else {
                    None
                }
            }
        }
    }

    /// Drops candidates that are to be forgotten. No request shows it.
    pub(crate) fn forget(&mut self, gone: impl Fn(&Observation) -> bool) {
        self.candidates
            .retain(|candidate| !gone(&candidate.observation));
    }

    /// Drops what was observed before the retention.
    pub(crate) fn expire(&mut self, now: u64) {
        self.candidates
            .retain(|candidate| !expired(candidate.observation.at, now));
    }

    /// Whether an observation can be of one of its identifiers.
    pub(crate) fn speaks_of(&self, observation: &Observation) -> bool {
        Some(observation.family) == family(self.scheme()) && self.window().contains(observation.at)
    }

    /// Gives what may stand in the part for an observation, each with another day, or none.
    fn look_ups(&self, observation: &Observation, mut sink: impl FnMut(Option<u64>, IdHash)) {
        let scheme = self.scheme();
        let Some(rules) = scheme.rules() else {
            return;
        };
        let (observed, at) = (observation.id.as_bytes(), observation.at);
        rules.look_ups(observed, at, &self.provider, &mut |day, identifier| {
            let hashed = day.filter(|_| rules.timed());
            sink(day, IdHash::of(scheme, &self.salt, hashed, identifier));
        });
    }

    /// The hash of a candidate's look-up; on a day there is one.
    fn hash(&self, candidate: &Candidate) -> Option<IdHash> {
        let mut found = None;
        self.look_ups(&candidate.observation, |day, hash| {
            if day == candidate.day {
                found = Some(hash);
            }
        });
        found
    }

    const fn place(&self) -> Place {
        Place {
            parts: self.parts,
            part: self.number,
        }
    }
}

impl Candidate {
    const fn look_up(&self) -> LookUp {
        (self.observation, self.day)
    }
}

impl Told {
    const fn of(payload: &Payload) -> Self {
        Self {
            level: payload.level.0,
            grade_step: payload.grade_step,
            observed_before: payload.observed_before,
        }
    }

    /// What is said of the notification.
    pub(crate) const fn level(self) -> Level {
        Level(self.level)
    }

    /// Finer weight, 25, 50, 75 or 100, if the provider gives one.
    pub(crate) fn grade(self) -> Option<u8> {
        let Self {
            level,
            grade_step,
            observed_before,
        } = self;
        let level = Level(level);
        let payload = Payload {
            level,
            grade_step,
            observed_before,
            span: None,
        };
        payload.grade()
    }
}

/// Which observations can be of a scheme's identifiers, for the schemes that this version reads.
pub(crate) fn family(scheme: Scheme) -> Option<Family> {
    scheme.rules().map(Rules::family)
}

fn chunk_of(place: Place, shape: &Shape, tag: &Tag) -> usize {
    tag.chunk(place.parts, shape.chunks())
}

/// The sealed parts of a scheme, with their positions in the batch.
fn siblings(batch: &Batch, scheme: Scheme) -> Vec<(usize, &batch::SealedPart)> {
    let parts = batch.parts.iter().enumerate();
    parts
        .filter_map(|(at, part)| match part {
            Part::Sealed(part) if part.scheme == scheme => Some((at, part)),
            Part::Sealed(_) | Part::Open(_) | Part::Unknown(_) => None,
        })
        .collect()
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
