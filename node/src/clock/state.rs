//! A node's knowledge of the time, from reading to reading. Pure: both clocks are arguments.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bellwether_formats::chain::Head;
use bellwether_formats::horizon::{self, Clocks, MAX_AHEAD_S, MAX_HELD_S};
use bellwether_formats::id::{FeedId, ProviderId};
use serde::{Deserialize, Serialize};

use super::guard::{Doubt, Reading, Source, TOLERANCE_S, Verdict, Word, judge};

/// Time for which the `Date` of a gateway serves.
const DATE_SERVES: Duration = Duration::from_hours(1);

/// Longest time that a node was off, in seconds, if it is started for one verb and nobody says
/// anything of the clock (7 days): it does not live to wait, and a provider that publishes by hand
/// does so before its promise of a next batch ends.
const ONCE_OFF_S: u64 = 7 * 86_400;

/// Both clocks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Moment {
    /// The wall clock, in seconds of UTC.
    pub(super) utc: u64,
    /// The monotonic clock, since some start.
    pub(super) at: Duration,
}

/// Values that outlive a restart.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    /// The time that was believed last, in seconds of UTC.
    pub(super) utc: u64,
    /// Tells whether the clock leapt and no second source has agreed with it since.
    pub(super) leapt: bool,
    /// Time for which deletion has been held back, in seconds of time lived.
    pub(super) held_s: u64,
}

/// Outcome of a reading.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Read {
    /// Reason why the clock is not believed, if it is not.
    pub doubt: Option<Doubt>,
    /// The time to take for now when deleting, in seconds of UTC.
    pub horizon: u64,
}

/// A node's knowledge of the time.
#[derive(Debug)]
pub(super) struct State {
    /// Its own provider, whose batches are stamped by the clock in question.
    own: Option<ProviderId>,
    /// Moment that was believed last.
    believed: Option<Moment>,
    leapt: bool,
    held: Duration,
    /// Time when the leap that is held against the clock was first seen.
    leap_since: Option<Duration>,
    /// Time for which one source was held against the clock since another agreed.
    one_held: Duration,
    /// `Date` of gateways, by operator.
    dates: BTreeMap<String, Moment>,
    /// Time when batches were published that are ignored because they are of the future.
    future: BTreeMap<FeedId, u64>,
    /// Most that the first reading may be later than expected, in seconds: the node was off.
    off_s: u64,
    last_at: Duration,
    /// Reason why the clock was not believed at the last reading, and since when, in seconds of UTC.
    doubt: Option<(Doubt, u64)>,
}

impl State {
    /// Begins with what outlived the restart, at the time 0 of the monotonic clock.
    pub(super) fn new(own: Option<ProviderId>, kept: Option<Kept>) -> Self {
        Self {
            own,
            believed: kept.map(|kept| Moment {
                utc: kept.utc,
                at: Duration::ZERO,
            }),
            leapt: kept.is_some_and(|kept| kept.leapt),
            held: Duration::from_secs(kept.map_or(0, |kept| kept.held_s)),
            leap_since: None,
            one_held: Duration::ZERO,
            dates: BTreeMap::new(),
            future: BTreeMap::new(),
            off_s: TOLERANCE_S,
            last_at: Duration::ZERO,
            doubt: None,
        }
    }

    /// The same for a node that does one thing and stops.
    pub(super) fn once(own: Option<ProviderId>, kept: Option<Kept>) -> Self {
        Self {
            off_s: ONCE_OFF_S,
            ..Self::new(own, kept)
        }
    }

    /// Values that are to outlive a restart; nothing before the first reading.
    pub(super) fn kept(&self, at: Duration) -> Option<Kept> {
        Some(Kept {
            utc: self.expected(at)?,
            leapt: self.leapt,
            held_s: self.held.as_secs(),
        })
    }

    /// A gateway of `operator` has said what time it is.
    pub(super) fn date(&mut self, operator: String, said: Moment) {
        self.dates.insert(operator, said);
    }

    /// Batches that are vouched for and ignored because they are of the future: all of them.
    pub(super) fn future(&mut self, batches: BTreeMap<FeedId, u64>) {
        self.future = batches;
    }

    /// A person says that the clock is right.
    pub(super) const fn vouch(&mut self, now: Moment) {
        self.believed = Some(now);
        self.leap_since = None;
    }

    /// Reads the clock. `heads` are the newest batches of the feeds that the store has.
    pub(super) fn read(&mut self, now: Moment, heads: &[(ProviderId, Head)]) -> Read {
        let lived = now.at.saturating_sub(self.last_at);
        self.last_at = now.at;
        self.dates
            .retain(|_, said| now.at.saturating_sub(said.at) < DATE_SERVES);
        let words = self.words(now.at, heads);
        let off = std::mem::replace(&mut self.off_s, TOLERANCE_S);
        if let Some(believed) = &mut self.believed
            && now
                .utc
                .checked_sub(believed.utc)
                .is_some_and(|gap| gap <= off)
        {
            *believed = now;
        }
        let expected = self.expected(now.at);
        let leaps = expected.is_some_and(|expected| expected.abs_diff(now.utc) > TOLERANCE_S);
        if leaps {
            self.leap_since.get_or_insert(now.at);
        } else {
            self.leap_since = None;
        }
        let leap_held = { self.leap_since }.map_or(Duration::ZERO, |at| now.at.saturating_sub(at));
        let verdict = judge(Reading {
            local: now.utc,
            expected,
            words: &words,
            leap_held_s: leap_held.as_secs(),
            one_held_s: self.one_held.as_secs(),
        });
        self.take(&verdict, now, lived, leaps);
        let doubt = match verdict {
            Verdict::Doubt(doubt) => Some(doubt),
            Verdict::Agreed | Verdict::Plain | Verdict::Alone => None,
        };
        let since = self.doubt.take().map(|(_, since)| since);
        let since = since.or(expected).unwrap_or(now.utc);
        self.doubt = doubt.clone().map(|doubt| (doubt, since));
        let horizon = self.horizon(doubt.as_ref(), now.utc, lived, heads);
        Read { doubt, horizon }
    }

    fn take(&mut self, verdict: &Verdict, now: Moment, lived: Duration, leaps: bool) {
        match verdict {
            Verdict::Doubt(doubt) => {
                if !doubt.against.is_empty() {
                    self.one_held += lived;
                }
                return;
            }
            Verdict::Agreed => {
                self.leapt = false;
                self.one_held = Duration::ZERO;
            }
            Verdict::Alone => self.leapt |= leaps,
            Verdict::Plain => {}
        }
        self.believed = Some(now);
        self.leap_since = None;
    }

    fn horizon(
        &mut self,
        doubt: Option<&Doubt>,
        local: u64,
        lived: Duration,
        heads: &[(ProviderId, Head)],
    ) -> u64 {
        let others = { heads.iter() }.filter(|(provider, _)| Some(*provider) != self.own);
        let others = horizon::newest_signed(others.copied());
        // To a day, which is how far one may be mistaken here, what others signed agrees too.
        let agreed = others.is_some_and(|at| at.saturating_add(MAX_AHEAD_S) >= local);
        let contradicted = doubt.is_some_and(|doubt| !doubt.against.is_empty());
        let leapt = (self.leapt || doubt.is_some()) && !agreed;
        if agreed && !contradicted {
            self.leapt = false;
        }
        let horizon = horizon::horizon(Clocks {
            local,
            newest_signed: horizon::newest_signed(heads.iter().copied()),
            leapt: leapt || contradicted,
            held_s: self.held.as_secs(),
        });
        if horizon.held {
            self.held += lived;
        } else {
            self.held = Duration::ZERO;
        }
        if self.held.as_secs() >= MAX_HELD_S {
            self.leapt = false;
        }
        horizon.now
    }

    /// Time that the clock should show, if that is known.
    fn expected(&self, at: Duration) -> Option<u64> {
        let believed = self.believed?;
        let since = at.saturating_sub(believed.at);
        Some(believed.utc.saturating_add(since.as_secs()))
    }

    /// Words of others now.
    fn words(&self, at: Duration, heads: &[(ProviderId, Head)]) -> Vec<Word> {
        let dates = self.dates.iter().map(|(operator, said)| Word {
            source: Source::Gateway(operator.clone()),
            time: { said.utc }.saturating_add(at.saturating_sub(said.at).as_secs()),
        });
        let mut newest: BTreeMap<ProviderId, u64> = BTreeMap::new();
        let signed = heads.iter().map(|(id, head)| (*id, head.published_at));
        let future =
            { self.future.iter() }.map(|(feed, published_at)| (feed.provider, *published_at));
        for (provider, time) in signed.chain(future) {
            let known = newest.entry(provider).or_default();
            *known = time.max(*known);
        }
        let others = { newest.into_iter() }.filter(|(provider, _)| Some(*provider) != self.own);
        let signed = others.map(|(provider, time)| Word {
            source: Source::Provider(provider),
            time,
        });
        dates.chain(signed).collect()
    }

    /// Reason why the clock was not believed when it was read last, and since when by what was believed
    /// before, in seconds of UTC.
    pub(super) fn doubt(&self) -> Option<(Doubt, u64)> {
        self.doubt.clone()
    }

    /// Providers whose batches are of the future by the clock, and how far ahead the newest is, in
    /// seconds.
    pub(super) fn ahead(&self, local: u64) -> Option<(usize, u64)> {
        let ahead = |(_, at): &(&FeedId, &u64)| **at > local.saturating_add(TOLERANCE_S);
        let batches = || self.future.iter().filter(ahead);
        let providers: BTreeSet<_> = batches().map(|(feed, _)| feed.provider).collect();
        let most = batches().map(|(_, at)| at - local).max()?;
        Some((providers.len(), most))
    }
}

#[cfg(test)]
mod tests;
