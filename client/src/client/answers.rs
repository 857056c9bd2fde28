//! What a client can say: alerts, doubts, status.

use std::collections::BTreeSet;

use bellwether_formats::cid::Cid;

use super::{Client, expire};
use crate::answers::{Alerts, Doubt, Observed};
use crate::error::ClientError;
use crate::horizon::{Moment, Times};
use crate::matcher::Match;
use crate::sealed::{SealedPart, Stage};
use crate::state::{Followed, State};
use crate::status::FeedStatus;
use crate::trust::{Coverage, Feed};
use crate::{answers, matcher, time};

impl Client {
    /// What the device was near to, and what is not known.
    ///
    /// # Errors
    ///
    /// [`ClientError::NothingFollowed`], [`ClientError::State`].
    pub fn alerts(&mut self) -> Result<Alerts, ClientError> {
        self.alerts_at(time::moment())
    }

    /// The feeds followed.
    pub fn status(&self) -> Vec<FeedStatus> {
        let now = time::moment();
        let horizon = self.state.clone().horizon(&now);
        let times = Times {
            now: now.utc,
            horizon,
        };
        let observed = self.observed();
        let policy = self.state.policy;
        let of =
            |followed: &Followed, feed| FeedStatus::of(followed, feed, policy, observed, times);
        self.state
            .followed
            .iter()
            .flat_map(|followed| followed.feeds.iter().map(move |feed| of(followed, feed)))
            .collect()
    }

    pub(super) fn alerts_at(&mut self, now: impl Into<Moment>) -> Result<Alerts, ClientError> {
        let now = now.into();
        if self.state.followed.is_empty() {
            return Err(ClientError::NothingFollowed);
        }
        let mut state = self.state.clone();
        let horizon = expire(&mut state, &now);
        let times = Times {
            now: now.utc,
            horizon,
        };
        let mut changed = self.catch_up(&mut state);
        let (matches, lost) = self.resolve(&state);
        for feed in state
            .followed
            .iter_mut()
            .flat_map(|followed| &mut followed.feeds)
        {
            changed |= feed.lose(&lost);
        }
        if changed {
            self.store.save(&state)?;
        }
        self.state = state;
        let observed = self.observed();
        let policy = self.state.policy;
        let feeds = || self.state.followed.iter().flat_map(|known| &known.feeds);
        let covered = feeds().map(|feed| answers::coverage(feed, policy, observed, horizon));
        let covered = covered.collect::<Option<Vec<Coverage>>>();
        let covered_from = covered.and_then(|all| all.iter().map(|known| known.from).max());
        let of = |followed: &Followed, feed: &Feed| {
            answers::doubts(feed, followed.descriptor.as_ref(), policy, observed, times)
        };
        let doubts: Vec<Doubt> = self
            .state
            .followed
            .iter()
            .flat_map(|followed| {
                followed
                    .feeds
                    .iter()
                    .flat_map(move |feed| of(followed, feed))
            })
            .collect();
        Ok(Alerts {
            matches,
            doubts,
            covered_from,
        })
    }

    fn observed(&self) -> Observed {
        Observed {
            earliest: self.state.observations.earliest(),
            dropped: self.state.observations.dropped(),
        }
    }

    /// Tests kept bodies against observations that they were not tested against; gives whether it
    /// was any work.
    pub(super) fn catch_up(&self, state: &mut State) -> bool {
        let mut any = false;
        let State {
            followed,
            observations,
            hits,
            whole,
            ..
        } = state;
        for feed in followed.iter_mut().flat_map(|followed| &mut followed.feeds) {
            let (found, changed) =
                matcher::catch_up(feed, observations, |cid| self.store.block(cid));
            hits.extend(found);
            any |= changed;
            any |= matcher::sealed::catch_up(feed, observations, |cid| self.store.block(cid));
            let held = |sealed: &&mut SealedPart| sealed.stage == Stage::Held;
            for sealed in feed.sealed_mut().filter(held) {
                let kept = whole.iter().find(|kept| kept.index == sealed.index);
                if let Some(kept) = kept {
                    any |= sealed.settle_by(|at| self.store.block(&kept.chunks().nth(at)?));
                }
            }
        }
        any
    }

    /// The matches, and the kept bodies that could not be read.
    pub(super) fn resolve(&self, state: &State) -> (Vec<Match>, BTreeSet<Cid>) {
        let mut matches = Vec::new();
        let mut lost = BTreeSet::new();
        for feed in state.followed.iter().flat_map(|followed| &followed.feeds) {
            let (found, unreadable) =
                matcher::resolve(feed, state.hits.iter(), |cid| self.store.block(cid));
            matches.extend(found);
            matches.extend(matcher::sealed::resolve(feed));
            lost.extend(unreadable);
        }
        (matches, lost)
    }
}
