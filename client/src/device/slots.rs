//! Secrets that are each for a slot of time: an epoch, a window, a day.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::secret::Secret;
use super::{MAX_DAYS, PhoneError, Random, forget};

/// Most secrets of one kind that are kept: an epoch's for as long as a provider takes them.
const MAX_SECRETS: usize = 2016 + 1;

/// The secrets of a phone that draws one for each slot, counted from 1970-01-01.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Slots<const N: usize> {
    /// What was broadcast, and may be further.
    current: BTreeMap<u32, Secret<N>>,
    /// What was reported and not accepted.
    reported: Vec<(u32, Secret<N>)>,
}

impl<const N: usize> Slots<N> {
    /// The secret of a slot, drawn when it is first asked for.
    pub(super) fn get(&mut self, slot: u32, random: &mut Random<'_>) -> &Secret<N> {
        let fresh = || Secret::fresh(random);
        self.current.entry(slot).or_insert_with(fresh)
    }

    /// Forgets what no provider would take at `slot`, of which a day has `per_day`.
    pub(super) fn expire(&mut self, slot: u32, per_day: u32) {
        let first = slot.saturating_sub(MAX_DAYS * per_day);
        self.current.retain(|slot, _| first <= *slot);
        self.reported.retain(|(slot, _)| first <= *slot);
        while self.current.len() > MAX_SECRETS {
            self.current.pop_first();
        }
        let surplus = self.reported.len().saturating_sub(MAX_SECRETS);
        self.reported.drain(..surplus);
    }

    /// Everything that was broadcast and not accepted; none of it is broadcast further.
    pub(super) fn report(&mut self) -> &[(u32, Secret<N>)] {
        self.reported.extend(std::mem::take(&mut self.current));
        &self.reported
    }

    pub(super) fn settle(&mut self, accepted: &BTreeSet<usize>) {
        forget(&mut self.reported, accepted);
    }
}

/// The `count` steps of `step_s` seconds from the one that `at` is in; of which there are `per_day`
/// a day.
pub(super) fn steps(
    at: u64,
    count: usize,
    step_s: u64,
    per_day: u32,
) -> Result<std::ops::Range<u32>, PhoneError> {
    let first = u32::try_from(at / step_s).map_err(|_| PhoneError::Time)?;
    let count = u32::try_from(count)
        .ok()
        .filter(|count| *count <= MAX_DAYS * per_day)
        .ok_or(PhoneError::Count)?;
    let end = first.checked_add(count).ok_or(PhoneError::Time)?;
    Ok(first..end)
}
