//! The one place where the node reads the clocks; everything else is told the time.
//!
//! [`now`] is what the wall clock says. Whoever signs or deletes asks the [`Clock`], which holds that
//! against the monotonic clock, against what others say, and across a restart against the last time
//! that was believed. Source: spec §4.7, §4.8.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bellwether_formats::id::{FeedId, ProviderId};

use crate::store::{Store, StoreError};

mod dates;
mod guard;
mod state;
mod task;

pub use guard::{Doubt, Source, Word};
pub use state::Read;
use state::{Kept, Moment, State};
pub use task::{Asked, ask_dates, run};

/// Name of the store's value that outlives a restart.
const KEPT: &str = "clock";

/// Now, in seconds of UTC.
#[expect(
    clippy::disallowed_methods,
    reason = "a driver reads the clock, here alone"
)]
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// A time as text, to the second.
pub(crate) fn text(seconds: u64) -> String {
    let at = UNIX_EPOCH + Duration::from_secs(seconds.min(1 << 37));
    humantime::format_rfc3339_seconds(at).to_string()
}

/// State of the clock, for an operator.
#[derive(Clone, Debug, Default)]
pub struct ClockStatus {
    /// Reason why it is not believed, and since when, in seconds of UTC.
    pub doubt: Option<(Doubt, u64)>,
    /// Number of providers whose batches are ignored because they are of the future, and how far ahead the
    /// newest is, in seconds.
    pub ahead: Option<(usize, u64)>,
}

/// The node's clock, held against others; clones are the same.
#[derive(Clone, Debug)]
pub struct Clock {
    start: Instant,
    state: Arc<Mutex<State>>,
}

impl Clock {
    /// Begins with what the store kept. `own` is the node's provider, if it is one; `once` says that
    /// the node does one thing and stops.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    #[expect(
        clippy::disallowed_methods,
        reason = "a driver reads the clock, here alone"
    )]
    pub fn open(store: &Store, own: Option<ProviderId>, once: bool) -> Result<Self, StoreError> {
        let kept = store.meta(KEPT)?;
        let kept: Option<Kept> = kept.and_then(|row| serde_json::from_slice(&row).ok());
        // What was signed is not later than now, but by a clock that was ahead.
        let heads = store
            .heads()?
            .into_iter()
            .map(|head| head.head.published_at);
        let signed = heads.filter(|at| *at <= now()).max();
        let kept = match (kept, signed) {
            (Some(kept), signed) => Some(Kept {
                utc: kept.utc.max(signed.unwrap_or_default()),
                ..kept
            }),
            (None, signed) => signed.map(|utc| Kept {
                utc,
                leapt: false,
                held_s: 0,
            }),
        };
        let begin = if once { State::once } else { State::new };
        Ok(Self {
            start: Instant::now(),
            state: Arc::new(Mutex::new(begin(own, kept))),
        })
    }

    /// Reads both clocks, and what the store's heads say.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn read(&self, store: &Store) -> Result<Read, StoreError> {
        let heads = store.heads()?.into_iter();
        let heads: Vec<_> = heads.map(|head| (head.feed.provider, head.head)).collect();
        // Read under the lock: of two readings the later one comes later.
        let mut state = self.state();
        Ok(state.read(self.moment(), &heads))
    }

    /// Takes a person's word that the clock is right: who disowns batches of the future with the root
    /// key says so. What was believed last is no longer held against it; what others say still is.
    pub fn vouch(&self) {
        let mut state = self.state();
        state.vouch(self.moment());
    }

    /// Makes durable what has to outlive a restart.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    fn keep(&self, store: &Store) -> Result<(), StoreError> {
        let kept = self.state().kept(self.start.elapsed());
        let row = kept.and_then(|kept| serde_json::to_vec(&kept).ok());
        row.map_or(Ok(()), |row| store.set_meta(KEPT, &row))
    }

    /// Batches that are vouched for and ignored because they are of the future: all of them.
    pub fn future(&self, batches: BTreeMap<FeedId, u64>) {
        self.state().future(batches);
    }

    /// State of it, for an operator.
    pub fn status(&self) -> ClockStatus {
        let state = self.state();
        ClockStatus {
            doubt: state.doubt(),
            ahead: state.ahead(now()),
        }
    }

    /// A gateway of `operator` has just said that it is `utc`.
    fn date(&self, operator: String, utc: u64) {
        let at = self.start.elapsed();
        self.state().date(operator, Moment { utc, at });
    }

    fn moment(&self) -> Moment {
        Moment {
            utc: now(),
            at: self.start.elapsed(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in there is left half done by a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
