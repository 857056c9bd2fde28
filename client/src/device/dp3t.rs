//! Phones of DP-3T's three designs. Source: spec §7.3.
//!
//! Where one key gives the identifiers of many epochs, they are broadcast in another order than they
//! are derived in. The order comes from a secret of its own, which is never reported: who gets the
//! key does not learn when each was broadcast.

use std::collections::BTreeSet;

use bellwether_formats::id::Scheme;
use bellwether_formats::scheme::dp3t::{
    EPOCH_S, EPOCHS, MAX_DAYS, hybrid_unit, id_of_seed, ids_of_day, ids_of_window, lowcost_unit,
    next_day,
};
use bellwether_formats::scheme::text;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::secret::Secret;
use super::slots::{Slots, steps};
use super::{PhoneError, Random, forget};
use crate::observations::ContactId;

/// Epochs of a window of the hybrid design: 2 hours, so that none crosses midnight.
const WINDOW: u8 = 8;

/// A phone of the low-cost design: a key a day, each the hash of the one before.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LowCost {
    order: Secret<32>,
    /// The key of the first day on which it was broadcast, or will be.
    key: Secret<32>,
    /// First and last day on which it was broadcast.
    days: Option<(u16, u16)>,
    /// What was reported and not accepted: key, first day, days.
    reported: Vec<(Secret<32>, u16, u8)>,
}

impl LowCost {
    pub(super) fn new(random: &mut Random<'_>) -> Self {
        Self {
            order: Secret::fresh(random),
            key: Secret::fresh(random),
            days: None,
            reported: Vec::new(),
        }
    }

    pub(super) fn ids(&mut self, count: usize, at: u64) -> Result<Vec<ContactId>, PhoneError> {
        let mut ids = Vec::new();
        let mut of_day = (None, Vec::new());
        for epoch in steps(at, count, EPOCH_S, EPOCHS.into())? {
            let day = epoch / u32::from(EPOCHS);
            if of_day.0 != Some(day) {
                let number = u16::try_from(day).map_err(|_| PhoneError::Time)?;
                let key = self.key_of(number)?;
                let derived = ids_of_day(key.bytes()).collect();
                of_day = (Some(day), shuffled(derived, &self.order, day));
            }
            let place = usize::try_from(epoch % u32::from(EPOCHS)).unwrap_or(usize::MAX);
            ids.extend(of_day.1.get(place).copied().map(ContactId::from));
        }
        Ok(ids)
    }

    /// The key of a day on which it is broadcast from now on.
    fn key_of(&mut self, day: u16) -> Result<Secret<32>, PhoneError> {
        let (mut first, last) = self.days.unwrap_or((day, day));
        if day < first {
            return Err(PhoneError::Time);
        }
        let last = last.max(day);
        // No report is for more days.
        let oldest = last.saturating_sub(u16::from(MAX_DAYS) - 1);
        while first < oldest {
            self.key = Secret::of(next_day(self.key.bytes()));
            first += 1;
        }
        self.days = Some((first, last));
        let mut key = self.key.clone();
        for _ in first..day {
            key = Secret::of(next_day(key.bytes()));
        }
        Ok(key)
    }

    /// A unit for each key, the oldest first; the phone takes a fresh key.
    pub(super) fn report(&mut self, random: &mut Random<'_>) -> Vec<String> {
        if let Some((first, last)) = self.days.take() {
            let key = std::mem::replace(&mut self.key, Secret::fresh(random));
            let days = u8::try_from(last - first).map_or(MAX_DAYS, |more| more + 1);
            self.reported.push((key, first, days));
            let surplus = self.reported.len().saturating_sub(MAX_DAYS.into());
            self.reported.drain(..surplus);
        }
        let text = |(key, first, days): &(Secret<32>, u16, u8)| {
            let unit = lowcost_unit(key.bytes(), *first, *days);
            text::format(Scheme::DP3T_LOWCOST, &unit)
        };
        self.reported.iter().filter_map(text).collect()
    }

    pub(super) fn settle(&mut self, accepted: &BTreeSet<usize>) {
        forget(&mut self.reported, accepted);
    }
}

/// A phone of the unlinkable design: a seed an epoch.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Unlinkable {
    epochs: Slots<32>,
}

impl Unlinkable {
    pub(super) fn ids(
        &mut self,
        count: usize,
        at: u64,
        random: &mut Random<'_>,
    ) -> Result<Vec<ContactId>, PhoneError> {
        let mut ids = Vec::new();
        let epochs = steps(at, count, EPOCH_S, EPOCHS.into())?;
        for epoch in epochs.clone() {
            let seed = self.epochs.get(epoch, random);
            ids.push(id_of_seed(seed.bytes()).into());
        }
        self.epochs.expire(epochs.end, EPOCHS.into());
        Ok(ids)
    }

    pub(super) fn report(&mut self) -> Vec<String> {
        let text = |(epoch, seed): &(u32, Secret<32>)| text::format_epoch(*epoch, seed.bytes());
        self.epochs.report().iter().map(text).collect()
    }

    pub(super) fn settle(&mut self, accepted: &BTreeSet<usize>) {
        self.epochs.settle(accepted);
    }
}

/// A phone of the hybrid design: a seed a window of 2 hours.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Hybrid {
    order: Secret<32>,
    windows: Slots<16>,
}

impl Hybrid {
    pub(super) fn new(random: &mut Random<'_>) -> Self {
        Self {
            order: Secret::fresh(random),
            windows: Slots::default(),
        }
    }

    pub(super) fn ids(
        &mut self,
        count: usize,
        at: u64,
        random: &mut Random<'_>,
    ) -> Result<Vec<ContactId>, PhoneError> {
        let mut ids = Vec::new();
        let epochs = steps(at, count, EPOCH_S, EPOCHS.into())?;
        for epoch in epochs.clone() {
            let window = epoch / u32::from(WINDOW);
            let seed = self.windows.get(window, random);
            let derived = ids_of_window(seed.bytes(), WINDOW).collect();
            let in_order = shuffled(derived, &self.order, window);
            let place = usize::try_from(epoch % u32::from(WINDOW)).unwrap_or(usize::MAX);
            ids.extend(in_order.get(place).copied().map(ContactId::from));
        }
        let window = epochs.end / u32::from(WINDOW);
        self.windows.expire(window, u32::from(EPOCHS / WINDOW));
        Ok(ids)
    }

    pub(super) fn report(&mut self) -> Vec<String> {
        let text = |(window, seed): &(u32, Secret<16>)| {
            let first = window.checked_mul(WINDOW.into())?;
            let unit = hybrid_unit(seed.bytes(), first, WINDOW);
            text::format(Scheme::DP3T_HYBRID, &unit)
        };
        self.windows.report().iter().filter_map(text).collect()
    }

    pub(super) fn settle(&mut self, accepted: &BTreeSet<usize>) {
        self.windows.settle(accepted);
    }
}

/// Identifiers in the order in which they are broadcast in a slot of time.
fn shuffled(derived: Vec<[u8; 16]>, order: &Secret<32>, slot: u32) -> Vec<[u8; 16]> {
    let mut ids = derived;
    ids.sort_by_cached_key(|id| {
        let hash = Sha256::new().chain_update(order.bytes());
        let hash = hash.chain_update(slot.to_be_bytes()).chain_update(id);
        <[u8; 32]>::from(hash.finalize())
    });
    ids
}
