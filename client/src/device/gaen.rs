//! A phone of GAEN: a temporary exposure key a day of UTC, an identifier an interval of 10 minutes.
//! Source: spec §7.4.

use std::collections::BTreeSet;

use bellwether_formats::id::Scheme;
use bellwether_formats::scheme::gaen::{INTERVAL_S, Key, MAX_PERIOD};
use bellwether_formats::scheme::text;
use serde::{Deserialize, Serialize};

use super::secret::Secret;
use super::slots::{Slots, steps};
use super::{PhoneError, Random};
use crate::observations::ContactId;

/// The keys of a phone.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Gaen {
    days: Slots<16>,
}

impl Gaen {
    pub(super) fn ids(
        &mut self,
        count: usize,
        at: u64,
        random: &mut Random<'_>,
    ) -> Result<Vec<ContactId>, PhoneError> {
        let mut ids = Vec::new();
        let intervals = steps(at, count, INTERVAL_S, MAX_PERIOD.into())?;
        for interval in intervals.clone() {
            let day = interval / u32::from(MAX_PERIOD);
            let key = key(day, self.days.get(day, random));
            let mut identifiers = key.identifiers();
            let id = identifiers.find(|(number, _)| *number == interval);
            ids.extend(id.map(|(_, id)| ContactId::from(id)));
        }
        self.days.expire(intervals.end / u32::from(MAX_PERIOD), 1);
        Ok(ids)
    }

    /// A unit for each key. That of a day that is not over is among them: the provider holds it
    /// back, and the phone has another one for what is left of the day.
    pub(super) fn report(&mut self) -> Vec<String> {
        let text =
            |(day, tek): &(u32, Secret<16>)| text::format(Scheme::GAEN, &key(*day, tek).encode());
        self.days.report().iter().filter_map(text).collect()
    }

    pub(super) fn settle(&mut self, accepted: &BTreeSet<usize>) {
        self.days.settle(accepted);
    }
}

/// The key of a whole day.
fn key(day: u32, tek: &Secret<16>) -> Key {
    Key {
        tek: *tek.bytes(),
        rolling_start: day.saturating_mul(MAX_PERIOD.into()),
        rolling_period: MAX_PERIOD,
        transmission_risk: 0,
        days_since_onset: None,
    }
}
