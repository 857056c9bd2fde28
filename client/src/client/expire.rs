//! Deletes what is past the retention, by a time that nothing speaks against.

use super::looks;
use crate::horizon::Moment;
use crate::observations::expired;
use crate::state::State;

/// Drops what is past the retention, by a clock that nothing speaks against. Gives the time that was
/// taken for now.
pub(super) fn expire(state: &mut State, now: &Moment) -> u64 {
    let horizon = state.horizon(now);
    state.observations.expire(horizon);
    state
        .hits
        .retain(|hit| !expired(hit.observation.at, horizon));
    let feeds = state
        .followed
        .iter_mut()
        .flat_map(|followed| &mut followed.feeds);
    feeds.for_each(|feed| feed.expire(horizon));
    looks::forget(state);
    horizon
}
