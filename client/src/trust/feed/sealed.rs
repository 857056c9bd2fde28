//! Which sealed parts of a feed are looked at, and what of them is there. Source: spec §11.2, §11.7.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_formats::cid::Cid;
use bellwether_formats::id::ObjectId;

use super::ranges::{self, Choice, Range, Sealed};
use super::{Body, Feed, KnownBatch};
use crate::observations::{Observation, expired};
use crate::sealed::{LookUp, SealedPart, Stage, Told};

/// A sealed part that is looked at, and of which filter or index is not there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Wanted {
    batch: ObjectId,
    part: usize,
    pub(crate) filter: Cid,
    pub(crate) filter_bytes: u64,
    pub(crate) index: Cid,
    pub(crate) ids: u64,
}

impl KnownBatch {
    /// Its sealed parts that this version reads.
    pub(crate) fn sealed(&self) -> impl Iterator<Item = &SealedPart> {
        self.parts.iter().filter_map(|part| match &part.body {
            Body::Sealed(sealed) => Some(sealed.as_ref()),
            _ => None,
        })
    }

    pub(crate) fn sealed_mut(&mut self) -> impl Iterator<Item = &mut SealedPart> {
        self.parts
            .iter_mut()
            .filter_map(|part| match &mut part.body {
                Body::Sealed(sealed) => Some(sealed.as_mut()),
                _ => None,
            })
    }

    /// The range whose live content it has, if it has one: in sealed parts that this version reads,
    /// or by saying that nothing of it is live (spec §4.5). Of parts that this version does not
    /// read nothing is known, and they take nothing's place.
    fn range(&self) -> Option<Range> {
        let empty = self.covers.filter(|_| self.parts.is_empty());
        empty.or_else(|| self.sealed().next().map(|sealed| sealed.range))
    }

    /// Whether it takes the place of what it has another version of: all of it is there.
    fn is_held(&self) -> bool {
        self.sealed().all(|sealed| sealed.stage == Stage::Held)
    }
}

impl Feed {
    pub(crate) fn sealed(&self) -> impl Iterator<Item = &SealedPart> {
        self.batches.iter().flat_map(KnownBatch::sealed)
    }

    pub(crate) fn sealed_mut(&mut self) -> impl Iterator<Item = &mut SealedPart> {
        self.batches.iter_mut().flat_map(KnownBatch::sealed_mut)
    }

    /// Chooses which batches with sealed parts are processed, where that is not chosen yet; gives
    /// whether there was anything to choose.
    ///
    /// Batches beside the main branch are all processed, and none replaces another: whichever story
    /// is the true one, it is heard.
    pub(crate) fn choose(&mut self) -> bool {
        let of = |known: &KnownBatch| {
            let range = known.range()?;
            let (seq, choice) = (known.seq, known.choice);
            (!known.side).then_some(Sealed { seq, range, choice })
        };
        let main: Vec<Sealed> = self.batches.iter().filter_map(of).collect();
        let mut choices = ranges::choose(&main).into_iter();
        let mut any = false;
        for known in &mut self.batches {
            if known.range().is_none() {
                continue;
            }
            let chosen = if known.side {
                Some(Choice::Taken)
            } else {
                choices.next()
            };
            if known.choice == chosen {
                continue;
            }
            any = true;
            known.choice = chosen;
            if chosen == Some(Choice::Skipped) {
                let left = known
                    .sealed_mut()
                    .filter(|sealed| sealed.stage != Stage::Broken);
                left.for_each(|sealed| sealed.stage = Stage::Skipped);
            }
        }
        any
    }

    /// Has what was skipped chosen anew, and what was replaced fetched: what it made way for may be
    /// gone, or be disputed.
    pub(super) fn choose_again(&mut self) {
        for known in &mut self.batches {
            if known.choice == Some(Choice::Skipped) {
                known.choice = None;
            }
            for sealed in known.sealed_mut() {
                if matches!(sealed.stage, Stage::Skipped | Stage::Replaced) {
                    sealed.stage = Stage::Wanted;
                }
            }
        }
    }

    /// Has the newest version of each range that is held take the place of those before it. To be
    /// called when all that is held was tested. Gives whether that was any work.
    pub(crate) fn replace(&mut self) -> bool {
        let taken = |known: &KnownBatch| !known.side && known.choice == Some(Choice::Taken);
        let mut any = false;
        for at in self.newer_versions() {
            let Some((older, [newest, ..])) = self.batches.split_at_mut_checked(at) else {
                continue;
            };
            let range = newest.range();
            if !newest.is_held() {
                continue;
            }
            let mut shown: BTreeMap<u8, BTreeMap<LookUp, Told>> = BTreeMap::new();
            let mut found = false;
            let replaced = older
                .iter_mut()
                .filter(|known| taken(known))
                .flat_map(KnownBatch::sealed_mut)
                .filter(|sealed| {
                    Some(sealed.range) == range
                        && matches!(sealed.stage, Stage::Held | Stage::Wanted)
                });
            for sealed in replaced {
                shown
                    .entry(sealed.scheme)
                    .or_default()
                    .extend(sealed.shown());
                sealed.stage = Stage::Replaced;
                found = true;
            }
            if found {
                let none = BTreeMap::new();
                for sealed in newest.sealed_mut() {
                    sealed.inherit(shown.get(&sealed.scheme).unwrap_or(&none));
                }
            }
            any |= found;
        }
        any
    }

    /// Positions of the batches on the main branch of which an older version is not replaced yet,
    /// the newest first.
    fn newer_versions(&self) -> Vec<usize> {
        let mut ranges = BTreeSet::new();
        let mut newer = Vec::new();
        for (at, known) in self.batches.iter().enumerate() {
            let Some(range) = known.range() else {
                continue;
            };
            if known.side || known.choice != Some(Choice::Taken) {
                continue;
            }
            if ranges.contains(&range) {
                newer.push(at);
            }
            if known
                .sealed()
                .any(|sealed| matches!(sealed.stage, Stage::Held | Stage::Wanted))
            {
                ranges.insert(range);
            }
        }
        newer.reverse();
        newer
    }

    /// Takes over from an older state of the same feed what is known of sealed parts.
    pub(super) fn remember_looks(&mut self, old: &Self) {
        let known: BTreeMap<ObjectId, &KnownBatch> =
            old.batches.iter().map(|known| (known.id, known)).collect();
        for batch in &mut self.batches {
            let Some(old) = known.get(&batch.id) else {
                continue;
            };
            for (part, old) in batch.parts.iter_mut().zip(&old.parts) {
                let (Body::Sealed(sealed), Body::Sealed(old)) = (&mut part.body, &old.body) else {
                    continue;
                };
                let stage = match (sealed.stage, old.stage) {
                    (Stage::Held, Stage::Replaced) => Stage::Replaced,
                    (stage, _) => stage,
                };
                sealed.clone_from(old);
                sealed.stage = stage;
            }
        }
    }

    /// What is to be fetched: filters and indexes of what is processed and may still match.
    pub(crate) fn wanted(&self, now: u64) -> Vec<Wanted> {
        let mut wanted = Vec::new();
        for known in &self.batches {
            let parts = known.parts.iter().enumerate();
            wanted.extend(parts.filter_map(|(part, known_part)| {
                let Body::Sealed(sealed) = &known_part.body else {
                    return None;
                };
                let missing = sealed.stage == Stage::Wanted
                    && known.choice == Some(Choice::Taken)
                    && !expired(known_part.to, now)
                    && !self.is_outdated(known);
                missing.then_some(Wanted {
                    batch: known.id,
                    part,
                    filter: sealed.filter,
                    filter_bytes: sealed.filter_bytes,
                    index: sealed.index,
                    ids: sealed.ids,
                })
            }));
        }
        wanted
    }

    /// Filter and index of a part are there, or one of them breaks a rule.
    pub(crate) fn set_stage(&mut self, wanted: &Wanted, stage: Stage) {
        let batch = self
            .batches
            .iter_mut()
            .find(|known| known.id == wanted.batch);
        let part = batch.and_then(|known| known.parts.get_mut(wanted.part));
        if let Some(Body::Sealed(sealed)) = part.map(|part| &mut part.body) {
            sealed.stage = stage;
        }
    }

    /// Takes note that filters or indexes are gone or damaged; gives whether any was named.
    pub(super) fn lose_sealed(&mut self, is_lost: impl Fn(&Cid) -> bool) -> bool {
        let mut any = false;
        for sealed in self.sealed_mut() {
            if sealed.stage == Stage::Held && (is_lost(&sealed.filter) || is_lost(&sealed.index)) {
                sealed.stage = Stage::Wanted;
                any = true;
            }
        }
        any
    }

    /// Whether a look is due or under way, or will be once a filter is there.
    pub(crate) fn looks_due(&self, now: u64) -> bool {
        self.live(now).any(|sealed| sealed.is_unsettled(now))
    }

    /// What filters call possible and no look confirmed.
    pub(crate) fn possible(&self) -> impl Iterator<Item = &Observation> {
        let held = self.sealed().filter(|sealed| sealed.stage == Stage::Held);
        held.flat_map(SealedPart::unconfirmed)
    }

    /// The sealed parts that are looked at and that something may still match.
    pub(crate) fn live(&self, now: u64) -> impl Iterator<Item = &SealedPart> {
        self.batches
            .iter()
            .filter(|known| self.is_looked_at(known))
            .flat_map(KnownBatch::sealed)
            .filter(move |sealed| !expired(sealed.window().to, now))
    }

    /// Tells whether its sealed parts are looked at: no fold was taken for it, and no newer version.
    pub(super) fn is_looked_at(&self, known: &KnownBatch) -> bool {
        known.choice != Some(Choice::Skipped) && !self.is_outdated(known)
    }

    /// Whether a newer version of what it has is processed.
    fn is_outdated(&self, known: &KnownBatch) -> bool {
        let Some(range) = known.range() else {
            return false;
        };
        !known.side
            && self.batches.iter().any(|other| {
                !other.side
                    && other.seq > known.seq
                    && other.choice == Some(Choice::Taken)
                    && other.range() == Some(range)
            })
    }
}
