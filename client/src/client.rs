//! The façade: all that an app needs of a client.

use std::path::Path;

use bellwether_formats::cid::{Block, Cid};
use bellwether_formats::descriptor::Gateway;
use bellwether_formats::id::{FeedId, ProviderId};
use bellwether_formats::share::Share;
use serde::Serialize;

use crate::error::ClientError;
use crate::horizon::{Moment, Times};
use crate::http::Http;
use crate::observations::{ContactId, Family, Observation, Recorded};
use crate::policy::Policy;
use crate::state::{Followed, Pin, State, Store};
use crate::sync::{Keep, Problem, Report, Step, Sync};
use crate::trust::Feed;
use crate::{policy, time};

mod answers;
mod bundles;
mod expire;
mod looks;

use expire::expire;
pub use looks::Candidate;

/// Most providers followed, in items.
const MAX_PROVIDERS: usize = 64;

/// Most zones followed of a provider, in items: as many as a descriptor has.
const MAX_ZONES: usize = 64;

/// A phone's memory, in a directory that one process works on at a time.
#[derive(Debug)]
pub struct Client {
    store: Store,
    state: State,
    /// What is wrong with chunks that were looked at, for the report of the sync under way.
    troubles: Vec<Problem>,
}

/// What a sync cost and brought.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Synced {
    /// Bytes of answers received, without headers.
    pub bytes_down: u64,
    /// Bytes of headers received, as written in HTTP/1.1.
    pub header_bytes: u64,
    /// Requests sent.
    pub requests: u64,
    /// Filter hits that are possible and not confirmed, after the sync. Nothing to tell a user.
    pub candidates: u64,
    /// Matches known now.
    pub matches: u64,
    /// What happened, feed by feed.
    #[serde(flatten)]
    pub report: Report,
}

impl Client {
    /// Opens a state directory, which is made when missing. Waits a little while another process
    /// works on it.
    ///
    /// # Errors
    ///
    /// [`ClientError::State`].
    pub fn open(state_dir: &Path) -> Result<Self, ClientError> {
        let (store, mut state) = Store::open(state_dir)?;
        looks::read_again(&mut state, &store, time::now());
        Ok(Self {
            store,
            state,
            troubles: Vec::new(),
        })
    }

    /// Pins a provider and follows its zones; adds to what is followed.
    ///
    /// # Errors
    ///
    /// [`ClientError::Gateway`] for a gateway that cannot be used, [`ClientError::TooMany`],
    /// [`ClientError::State`]. Nothing is followed then.
    pub fn follow(&mut self, share: &Share) -> Result<(), ClientError> {
        for gateway in &share.gateways {
            policy::usable(&gateway.url).map_err(|source| ClientError::Gateway {
                url: gateway.url.clone(),
                source,
            })?;
        }
        let mut state = self.state.clone();
        let followed = match state
            .followed
            .iter_mut()
            .position(|known| known.provider == share.provider)
        {
            Some(known) => state.followed.get_mut(known),
            None => {
                state.followed.push(Followed {
                    provider: share.provider,
                    pins: Vec::new(),
                    descriptor: None,
                    feeds: Vec::new(),
                });
                state.followed.last_mut()
            }
        };
        if let Some(followed) = followed {
            add(followed, share)?;
        }
        bounded("providers followed", state.followed.len(), MAX_PROVIDERS)?;
        self.store.save(&state)?;
        self.state = state;
        Ok(())
    }

    /// Records observations: all of them, or none.
    ///
    /// # Errors
    ///
    /// [`ClientError::Observation`], [`ClientError::State`].
    pub fn observe(&mut self, observations: &[Observation]) -> Result<Recorded, ClientError> {
        self.observe_at(observations, time::moment())
    }

    /// Asks the gateways for what is new, tests it, and keeps it.
    ///
    /// # Errors
    ///
    /// [`ClientError::NothingFollowed`], [`ClientError::State`]. What goes wrong at a gateway is in
    /// the report.
    pub fn sync(&mut self) -> Result<Synced, ClientError> {
        let mut http = Http::new();
        let mut sync = self.begin_sync()?;
        loop {
            match sync.poll() {
                Step::Fetch(request) => sync.answer(http.ask(&request)),
                Step::Keep(keep) => self.keep(*keep)?,
                Step::Draw => self.draw(&mut sync)?,
                Step::Done => break,
            }
        }
        let traffic = http.traffic();
        let mut report = sync.report().clone();
        report.errors.extend(self.end_sync()?);
        let (matches, _) = self.resolve(&self.state);
        Ok(Synced {
            bytes_down: traffic.body_bytes,
            header_bytes: traffic.header_bytes,
            requests: traffic.requests,
            candidates: u64::try_from(self.candidates().len()).unwrap_or(u64::MAX),
            matches: u64::try_from(matches.len()).unwrap_or(u64::MAX),
            report,
        })
    }

    /// Starts a sync that the app drives with an HTTP stack of its own: it does what
    /// [`Sync::poll`] says, hands what is to be kept to [`keep`](Self::keep), has looks drawn with
    /// [`draw`](Self::draw), and calls [`end_sync`](Self::end_sync), which gives what else belongs
    /// into the report. Where one of these fails, the sync is over: polled further, it would send
    /// what is not persisted.
    ///
    /// ```no_run
    /// use bellwether_client::sync::{Answer, Report, Request, Step};
    /// use bellwether_client::{Client, error::ClientError};
    ///
    /// fn sync(client: &mut Client, ask: fn(&Request) -> Answer) -> Result<Report, ClientError> {
    ///     let mut sync = client.begin_sync()?;
    ///     loop {
    ///         match sync.poll() {
    ///             Step::Fetch(request) => sync.answer(ask(&request)),
    ///             Step::Keep(keep) => client.keep(*keep)?,
    ///             Step::Draw => client.draw(&mut sync)?,
    ///             Step::Done => break,
    ///         }
    ///     }
    ///     let mut report = sync.report().clone();
    ///     report.errors.extend(client.end_sync()?);
    ///     Ok(report)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ClientError::NothingFollowed`], [`ClientError::Random`].
    pub fn begin_sync(&self) -> Result<Sync, ClientError> {
        if self.state.followed.is_empty() {
            return Err(ClientError::NothingFollowed);
        }
        let random = getrandom::u64().map_err(|_| ClientError::Random)?;
        let now = time::moment();
        let horizon = self.state.clone().horizon(&now);
        let sync = Sync::new(self.followed_checked(), now.utc, random);
        Ok(sync.deleting_at(horizon))
    }

    /// Tests what was verified against the observations, and persists both in one step.
    ///
    /// # Errors
    ///
    /// [`ClientError::State`]. Nothing has changed then.
    pub fn keep(&mut self, keep: Keep) -> Result<(), ClientError> {
        let mut state = self.state.clone();
        let Some(followed) = state
            .followed
            .iter_mut()
            .find(|known| known.provider == keep.provider)
        else {
            return Ok(());
        };
        self.store.put(&keep.blocks)?;
        if let Some(record) = &keep.look {
            self.troubles.extend(looks::apply(followed, record));
            if state.policy == Policy::WholeBody {
                looks::keep_whole(followed, record, &mut state.whole, &self.store)?;
            }
        }
        if keep.descriptor.is_some() {
            followed.descriptor = keep.descriptor;
        }
        if let Some(mut feed) = keep.feed
            && let Some(old) = followed.feeds.iter_mut().find(|old| old.id() == feed.id())
        {
            if old.anchored_at() == feed.anchored_at() {
                feed.remember_tests(old);
            } else {
                // What is off the anchored chain must not count; what is on it is tested anew.
                let FeedId { provider, zone } = feed.id();
                state
                    .hits
                    .retain(|hit| hit.provider != provider || hit.zone != zone);
            }
            *old = feed;
        }
        self.catch_up(&mut state);
        self.store.save(&state)?;
        self.state = state;
        Ok(())
    }

    /// Removes what is past the retention. Gives what is wrong with the chunks that this sync looked
    /// at, once: the sync hands them to [`keep`](Self::keep) unread, and cannot say it in its own
    /// report.
    ///
    /// # Errors
    ///
    /// [`ClientError::State`].
    pub fn end_sync(&mut self) -> Result<Vec<Problem>, ClientError> {
        self.end_sync_at(time::moment())
    }

    fn end_sync_at(&mut self, now: impl Into<Moment>) -> Result<Vec<Problem>, ClientError> {
        let mut state = self.state.clone();
        expire(&mut state, &now.into());
        self.catch_up(&mut state);
        self.store.save(&state)?;
        self.state = state;
        self.store.sweep(&self.state)?;
        Ok(std::mem::take(&mut self.troubles))
    }

    /// How hits in filters are confirmed.
    pub const fn policy(&self) -> Policy {
        self.state.policy
    }

    /// Sets how hits in filters are confirmed, from now on. A look under way that the new policy
    /// would not ask for in this way is drawn anew; so is, done or not, every look that was drawn
    /// under [`Policy::Lean`], for only who had a hit has one. What was confirmed stays confirmed;
    /// until the first look is done again, a part is in doubt.
    ///
    /// # Errors
    ///
    /// [`ClientError::State`].
    pub fn set_policy(&mut self, policy: Policy) -> Result<(), ClientError> {
        if self.state.policy != policy {
            let mut state = self.state.clone();
            state.policy = policy;
            let feeds = state
                .followed
                .iter_mut()
                .flat_map(|followed| &mut followed.feeds);
            feeds
                .flat_map(Feed::sealed_mut)
                .for_each(|sealed| sealed.change_policy(policy));
            self.store.save(&state)?;
            self.state = state;
        }
        Ok(())
    }

    /// Forgets identifiers of a family whenever they were observed, and what they matched: for FANNY's
    /// tokens, which a phone deletes when it has reported them, or they matched (spec §7.5.4). Gives
    /// how many observations there were.
    ///
    /// # Errors
    ///
    /// [`ClientError::State`].
    pub fn forget(&mut self, family: Family, ids: &[ContactId]) -> Result<usize, ClientError> {
        let mut state = self.state.clone();
        let gone = |seen: &Observation| seen.family == family && ids.contains(&seen.id);
        let forgotten = state.observations.forget(gone);
        state.hits.retain(|hit| !gone(&hit.observation));
        let feeds = state
            .followed
            .iter_mut()
            .flat_map(|followed| &mut followed.feeds);
        feeds
            .flat_map(Feed::sealed_mut)
            .for_each(|sealed| sealed.forget(gone));
        self.store.save(&state)?;
        self.state = state;
        Ok(forgotten)
    }

    /// How many observations are kept.
    pub fn observation_count(&self) -> usize {
        self.state.observations.len()
    }

    /// A block that is kept.
    pub fn block(&self, cid: &Cid) -> Option<Block> {
        self.store.block(cid)
    }

    /// What is followed, with the bodies that are gone or damaged marked.
    fn followed_checked(&self) -> Vec<Followed> {
        let mut followed = self.state.followed.clone();
        // All of them, whatever was observed: what is fetched again must not tell.
        for feed in followed.iter_mut().flat_map(|followed| &mut followed.feeds) {
            let kept = feed.parts().flat_map(|part| part.body.blocks());
            let lost = kept.filter(|cid| self.store.block(cid).is_none());
            feed.lose(&lost.collect());
        }
        followed
    }

    fn observe_at(
        &mut self,
        observations: &[Observation],
        now: impl Into<Moment>,
    ) -> Result<Recorded, ClientError> {
        let now = now.into();
        let mut state = self.state.clone();
        let times = Times {
            now: now.utc,
            horizon: expire(&mut state, &now),
        };
        let recorded = state.observations.record(observations, times)?;
        self.store.save(&state)?;
        self.state = state;
        Ok(recorded)
    }
}

/// Adds what a share string names to what is followed.
fn add(followed: &mut Followed, share: &Share) -> Result<(), ClientError> {
    for Gateway { url, operator } in share.gateways.iter().cloned() {
        followed.pins.retain(|pin| pin.url != url);
        followed.pins.push(Pin { url, operator });
    }
    bounded(
        "gateways of the provider",
        followed.pins.len(),
        policy::MAX_GATEWAYS,
    )?;
    let provider: ProviderId = share.provider;
    for zone in share.zones.iter().cloned() {
        let id = FeedId { provider, zone };
        if followed.feeds.iter().all(|feed| feed.id() != id) {
            followed.feeds.push(Feed::new(id));
        }
    }
    bounded("zones of the provider", followed.feeds.len(), MAX_ZONES)
}

const fn bounded(what: &'static str, found: usize, max: usize) -> Result<(), ClientError> {
    if found > max {
        return Err(ClientError::TooMany { what, max });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
