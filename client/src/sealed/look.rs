//! What is looked at in a part, when, and how it is asked for: drawn once, persisted before the
//! first request, and asked for as drawn until it is there. Source: spec §11.7.

use bellwether_formats::pir::Mask;
use bellwether_formats::sealed::Shape;
use serde::{Deserialize, Serialize};

use super::{SealedPart, Stage, Trouble, Verdict, chunk_of};
use crate::confirm::{Half, Halves, Operators, What};
use crate::policy::{MAX_WHOLE_BYTES, Policy};

/// Time between the draws of a part's two looks, in seconds (24 hours): most late observations are
/// there by then. Source: spec §11.7.
const SECOND_LOOK_S: u64 = 86_400;

/// How many chunks hide the one that is looked at where even that is too much, in items.
const DECOYS: usize = 7;

/// Writes random bytes, fit for secrets, over all that it is given.
pub(crate) type Random<'a> = dyn FnMut(&mut [u8]) + 'a;

/// Which of a part's looks.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Which {
    /// Drawn in the sync that first holds the part.
    First,
    /// Drawn a day later: for late observations, and second hits.
    Second,
}

impl Which {
    /// Both.
    pub(crate) const BOTH: [Self; 2] = [Self::First, Self::Second];

    const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

/// A look that was drawn.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Look {
    /// When it was drawn, in seconds of UTC.
    drawn_at: u64,
    /// What is asked for; nothing once it is there.
    pub(crate) open: Option<Kind>,
    /// It was drawn under `lean`, where only a candidate has a look drawn: that there is one must
    /// not decide what is asked for under another policy. An older state does not say.
    #[serde(default)]
    lean: bool,
}

/// What a look asks for, and whom.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum Kind {
    /// A chunk, of two operators, neither of which learns which one.
    Pir {
        /// Which chunk.
        chunk: usize,
        /// The mask of half A.
        #[serde(with = "serde_bytes")]
        mask: Vec<u8>,
        /// Draws the order of operators.
        #[serde(with = "serde_bytes")]
        order: [u8; 16],
        /// Who was given which half.
        halves: Halves,
    },
    /// All chunks.
    Whole,
    /// Some chunks, one of which is looked at, in order.
    Decoys {
        /// Which chunks.
        chunks: Vec<usize>,
    },
    /// A chunk, plainly.
    Lean {
        /// Which chunk.
        chunk: usize,
    },
}

impl Look {
    /// Whether it is as the policy would have it. Who changes the policy means the looks that are
    /// under way, too; and of those that are done, the ones that only a candidate has.
    const fn fits(&self, policy: Policy) -> bool {
        if self.lean && !matches!(policy, Policy::Lean) {
            return false;
        }
        matches!(
            (&self.open, policy),
            (None, _)
                | (Some(Kind::Whole), Policy::Private | Policy::WholeBody)
                | (
                    Some(Kind::Pir { .. } | Kind::Decoys { .. }),
                    Policy::Private
                )
                | (Some(Kind::Lean { .. }), Policy::Lean)
        )
    }

    /// Whether it will settle what lies in `chunk`.
    fn will_settle(&self, chunk: usize) -> bool {
        match &self.open {
            None => false,
            Some(Kind::Pir { chunk: drawn, .. } | Kind::Lean { chunk: drawn }) => *drawn == chunk,
            Some(Kind::Decoys { chunks }) => chunks.contains(&chunk),
            Some(Kind::Whole) => true,
        }
    }
}

impl SealedPart {
    /// A look, if it was drawn.
    pub(super) const fn look(&self, which: Which) -> Option<&Look> {
        match which {
            Which::First => self.first.as_ref(),
            Which::Second => self.second.as_ref(),
        }
    }

    /// The looks that are to be asked for.
    pub(crate) fn open_looks(&self) -> impl Iterator<Item = (Which, &Kind)> {
        let held = self.stage == Stage::Held;
        let looks = Which::BOTH.into_iter().filter(move |_| held);
        looks.filter_map(|which| Some((which, self.look(which)?.open.as_ref()?)))
    }

    /// Whether something of it is to be looked at at `now`, once it is held.
    pub(crate) fn is_unsettled(&self, now: u64) -> bool {
        let unsettled = |which| match self.look(which) {
            Some(look) => look.open.is_some(),
            None => self.is_due(which, now),
        };
        matches!(self.stage, Stage::Wanted | Stage::Held) && Which::BOTH.into_iter().any(unsettled)
    }

    /// Whether a look was drawn, and what it asked for is there.
    pub(crate) fn is_done(&self, which: Which) -> bool {
        self.look(which).is_some_and(|look| look.open.is_none())
    }

    /// Draws the looks that are due. Gives whether something is to be persisted, which must be done
    /// before anything is asked for.
    ///
    /// When a look is drawn depends on time, policy and operators; so does what it asks for, except
    /// for the chunk. In `lean` it depends on candidates too, and that is what `lean` leaks.
    pub(crate) fn draw(
        &mut self,
        now: u64,
        policy: Policy,
        operators: &Operators,
        random: &mut Random<'_>,
    ) -> bool {
        let (Stage::Held, Ok(shape)) = (self.stage, self.shape()) else {
            return false;
        };
        let mut news = false;
        for which in Which::BOTH {
            let look = self.look_mut(which);
            match look {
                Some(look) if look.fits(policy) => {
                    if let Some(Kind::Pir { halves, .. }) = &mut look.open {
                        news |= halves.learn(operators);
                    }
                    continue;
                }
                Some(_) => {
                    *look = None;
                    news = true;
                }
                None => {}
            }
            if !self.is_due(which, now) {
                continue;
            }
            let kind = match policy {
                Policy::Private => self.private(which, &shape, operators, random),
                Policy::WholeBody => Some(Kind::Whole),
                Policy::Lean => {
                    let pick = number(random);
                    let chunk = self.wanted(which, &shape, pick);
                    chunk.map(|chunk| Kind::Lean { chunk })
                }
            };
            if kind.is_some() {
                *self.look_mut(which) = kind.map(|kind| Look {
                    drawn_at: now,
                    open: Some(kind),
                    lean: policy == Policy::Lean,
                });
                news = true;
            }
        }
        news
    }

    /// Drops the looks that are not as `policy` would have them, done or not; they are drawn anew.
    /// What they confirmed stays, and so does what they withdrew.
    pub(crate) fn change_policy(&mut self, policy: Policy) {
        let looked = self.is_done(Which::First) && self.is_done(Which::Second);
        let mut any = false;
        for which in Which::BOTH {
            let look = self.look_mut(which);
            any |= look.take_if(|look| !look.fits(policy)).is_some();
        }
        if any && looked {
            self.candidates
                .iter_mut()
                .filter(|candidate| candidate.verdict == Verdict::Possible)
                .for_each(|candidate| candidate.before = None);
        }
    }

    /// Takes what [`crate::confirm::Confirm`] wants to have persisted. Gives what is wrong with the
    /// chunks, for the report.
    pub(crate) fn apply(&mut self, which: Which, what: &What) -> Vec<Trouble> {
        let mut troubles = Vec::new();
        match what {
            What::Sending(new) => {
                if let Some(look) = self.look_mut(which)
                    && let Some(Kind::Pir { halves, .. }) = &mut look.open
                {
                    halves.clone_from(new);
                }
            }
            What::Verified(chunks) => {
                if let Ok(shape) = self.shape() {
                    for (number, bytes) in chunks {
                        if let Err((rule, error)) = self.settle(&shape, *number, bytes) {
                            let message =
                                format!("a chunk of {} is malformed: {error}", self.index);
                            troubles.push((rule, message));
                        }
                    }
                }
                if let Some(look) = self.look_mut(which) {
                    look.open = None;
                }
            }
        }
        troubles
    }

    /// Takes a whole body that came unasked, as in a bundle, with the numbers of its chunks; it was
    /// tested before. That is as good as every look that is open, and as the first one.
    pub(crate) fn take_whole(&mut self, chunks: Vec<(usize, Vec<u8>)>, now: u64) -> Vec<Trouble> {
        let troubles = self.apply(Which::First, &What::Verified(chunks));
        let seen = Look {
            drawn_at: now,
            open: None,
            lean: false,
        };
        // A look that only a candidate has must not decide when the next one is due.
        if self.first.as_ref().is_none_or(|first| first.lean) {
            self.first = Some(seen);
        }
        if let Some(second) = &mut self.second {
            second.open = None;
        }
        troubles
    }

    fn is_due(&self, which: Which, now: u64) -> bool {
        match which {
            Which::First => true,
            Which::Second => self
                .look(Which::First)
                .is_some_and(|first| first.drawn_at.saturating_add(SECOND_LOOK_S) <= now),
        }
    }

    /// A look under policy `private`. With two operators that are known but cannot be asked now,
    /// it is drawn in a later sync: whoever keeps one of them away gains nothing by it.
    fn private(
        &self,
        which: Which,
        shape: &Shape,
        operators: &Operators,
        random: &mut Random<'_>,
    ) -> Option<Kind> {
        // As much randomness is used with a candidate as without.
        let (anywhere, pick) = (number(random), number(random));
        let anywhere = below(anywhere, shape.chunks());
        let chunk = self.wanted(which, shape, pick).unwrap_or(anywhere);
        match operators.known() {
            0 => None,
            1 if shape.body_bytes() <= MAX_WHOLE_BYTES => Some(Kind::Whole),
            1 => Some(decoys(chunk, shape, random)),
            _ => pir(chunk, shape, operators, random),
        }
    }

    /// The chunk of a candidate that no look will settle: of one that the version before confirmed,
    /// if there is one; else of any.
    fn wanted(&self, which: Which, shape: &Shape, pick: u64) -> Option<usize> {
        let other = self.look(which.other());
        let unsettled = |before: bool| -> Vec<usize> {
            self.candidates
                .iter()
                .filter(|candidate| candidate.verdict == Verdict::Possible)
                .filter(|candidate| candidate.before.is_some() || !before)
                .filter_map(|candidate| {
                    let tag = self.hash(candidate)?.tag();
                    Some(chunk_of(self.place(), shape, &tag))
                })
                .filter(|chunk| !other.is_some_and(|look| look.will_settle(*chunk)))
                .collect()
        };
        let mut chunks = unsettled(true);
        if chunks.is_empty() {
            chunks = unsettled(false);
        }
        chunks.get(below(pick, chunks.len())).copied()
    }

    const fn look_mut(&mut self, which: Which) -> &mut Option<Look> {
        match which {
            Which::First => &mut self.first,
            Which::Second => &mut self.second,
        }
    }
}

/// A query of two operators, if as many can be asked.
fn pir(
    chunk: usize,
    shape: &Shape,
    operators: &Operators,
    random: &mut Random<'_>,
) -> Option<Kind> {
    let mut order = [0; 16];
    random(&mut order);
    let mut mask = vec![0; Mask::len_of(shape.chunks())];
    random(&mut mask);
    let mask = Mask::of_bytes(&mask, shape.chunks()).ok()?;
    let mut halves = Halves::default();
    let drawn = operators.drawn(&order);
    let (first, rest) = drawn.split_first()?;
    halves.give(Half::A, first)?;
    halves.give(Half::B, rest.first()?)?;
    Some(Kind::Pir {
        chunk,
        mask: mask.as_bytes().to_vec(),
        order,
        halves,
    })
}

/// `chunk` among others, at a place that says nothing.
fn decoys(chunk: usize, shape: &Shape, random: &mut Random<'_>) -> Kind {
    let mut others: Vec<usize> = (0..shape.chunks())
        .filter(|other| *other != chunk)
        .collect();
    let mut chunks = Vec::with_capacity(DECOYS + 1);
    while chunks.len() < DECOYS && !others.is_empty() {
        chunks.push(others.swap_remove(below(number(random), others.len())));
    }
    chunks.insert(below(number(random), chunks.len() + 1), chunk);
    Kind::Decoys { chunks }
}

fn number(random: &mut Random<'_>) -> u64 {
    let mut bytes = [0; 8];
    random(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// Scales a random number to `0..end`; what is uneven about it is below 2^-50.
fn below(random: u64, end: usize) -> usize {
    let end = u128::try_from(end).unwrap_or(0);
    usize::try_from((u128::from(random) * end) >> 64).unwrap_or(0)
}
