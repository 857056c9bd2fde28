//! A phone's knowledge of the time, from one use to the next, and the time that counts for deleting.
//! Pure: both clocks are arguments. Source: spec §4.8, §11.1.

use bellwether_formats::chain::Head;
use bellwether_formats::horizon::{self, Clocks, MAX_AHEAD_S, MAX_HELD_S};
use bellwether_formats::id::ProviderId;
use serde::{Deserialize, Serialize};

use crate::trust::CLOCKS_S;

/// Both clocks of the device.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Moment {
    /// The wall clock, in seconds of UTC.
    pub(crate) utc: u64,
    /// The monotonic clock, where there is one that goes on while the device sleeps.
    pub(crate) up: Option<Up>,
}

/// Time for which the device has been up.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Up {
    /// The name of this start of the device: times of two starts cannot be compared.
    pub(crate) boot: String,
    /// Seconds since then, sleep counted.
    pub(crate) seconds: u64,
}

#[cfg(test)]
impl Moment {
    /// A device that has been up for as long as its clock says.
    pub(crate) fn lived(utc: u64) -> Self {
        let (boot, seconds) = (String::new(), utc);
        Self {
            utc,
            up: Some(Up { boot, seconds }),
        }
    }
}

impl From<u64> for Moment {
    /// A wall clock alone.
    fn from(utc: u64) -> Self {
        Self { utc, up: None }
    }
}

/// The times that an answer needs, in seconds of UTC.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// The wall clock.
    pub(crate) now: u64,
    /// The time to take for now when something is left or deleted for its age.
    pub(crate) horizon: u64,
}

impl From<u64> for Times {
    /// A clock that nothing speaks against.
    fn from(now: u64) -> Self {
        Self { now, horizon: now }
    }
}

impl Times {
    /// The same where a batch of `published_at` is believed: no later than a day after it, so that a
    /// new phone whose clock is ahead does not leave what is not old.
    pub(crate) fn beside(self, published_at: u64) -> Self {
        let most = published_at.saturating_add(MAX_AHEAD_S);
        let horizon = self.horizon.min(most);
        Self { horizon, ..self }
    }
}

/// Memory of the time.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lived {
    last: Option<Moment>,
    /// Tells whether the wall clock leapt, and what providers signed has not agreed with it since.
    leapt: bool,
    /// Time for which deletion has been held back, in seconds of time lived.
    held_s: u64,
}

impl Lived {
    /// Reads both clocks; gives the time to take for now when deleting. `heads` are the newest batches
    /// of the feeds followed.
    pub(crate) fn read(
        &mut self,
        now: &Moment,
        heads: impl IntoIterator<Item = (ProviderId, Head)>,
    ) -> u64 {
        let lived = self.lived(now);
        if let (Some(lived), Some(last)) = (lived, &self.last) {
            let expected = last.utc.saturating_add(lived);
            self.leapt |= expected.abs_diff(now.utc) > CLOCKS_S;
        }
        let newest_signed = horizon::newest_signed(heads);
        // A batch of the future is never believed, so that this is never far behind the clock.
        if newest_signed.is_some_and(|at| at.saturating_add(MAX_AHEAD_S) >= now.utc) {
            self.leapt = false;
        }
        let horizon = horizon::horizon(Clocks {
            local: now.utc,
            newest_signed,
            leapt: self.leapt,
            held_s: self.held_s,
        });
        self.held_s = match horizon.held {
            true => self.held_s.saturating_add(lived.unwrap_or_default()),
            false => 0,
        };
        if self.held_s >= MAX_HELD_S {
            self.leapt = false;
        }
        self.last = Some(now.clone());
        horizon.now
    }

    /// Seconds since the last reading; none if the device was started anew in between.
    fn lived(&self, now: &Moment) -> Option<u64> {
        let (then, now) = (self.last.as_ref()?.up.as_ref()?, now.up.as_ref()?);
        (then.boot == now.boot).then(|| now.seconds.saturating_sub(then.seconds))
    }
}

#[cfg(test)]
mod tests;
