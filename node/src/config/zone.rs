//! `[[provider.zone]]`: how a zone is published.

use std::time::Duration;

use bellwether_formats::filter;
use bellwether_formats::id::Zone;
use serde::{Deserialize, Serialize};

use super::{ConfigError, bad, parse};
use crate::store::Mode;

/// `[[provider.zone]]`
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ZonePolicy {
    /// The zone.
    pub zone: String,
    /// Whether whoever recorded several identifiers of a patient can link them.
    pub privacy: Privacy,
    /// How often a batch is published, with notifications or as a heartbeat.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
    /// Notifications that an open part which is not empty is padded up to.
    pub k: u32,
    /// Notifications that close a batch before its time. Absent: as `init` writes it for the zone's
    /// privacy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_notifications: Option<u32>,
    /// Bits of a filter's fingerprints: one more halves the wrong hits and costs every client a bit
    /// an identifier.
    #[serde(default = "filter_bits")]
    pub filter_bits: u8,
    /// Observation times that a batch speaks of, before its publication.
    #[serde(default = "window", with = "humantime_serde")]
    pub window: Duration,
}

/// How notifications are published.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Privacy {
    /// Sealed parts: nobody can link a patient's identifiers; each costs its clients some 2.4 bytes.
    Unlinkable,
    /// Open parts: lowest bytes; a patient's identifiers can be linked by who recorded several.
    Linkable,
}

impl Privacy {
    /// How what is accepted for such a zone is published.
    pub const fn mode(self) -> Mode {
        match self {
            Self::Unlinkable => Mode::Sealed,
            Self::Linkable => Mode::Open,
        }
    }

    /// What publishes so.
    pub const fn of(mode: Mode) -> Self {
        match mode {
            Mode::Sealed => Self::Unlinkable,
            Mode::Open => Self::Linkable,
        }
    }

    /// How often such a zone is published unless told: the patients of one sealed batch hide among
    /// each other, so it waits for more of them.
    pub const fn interval(self) -> Duration {
        match self {
            Self::Unlinkable => Duration::from_hours(6),
            Self::Linkable => Duration::from_hours(1),
        }
    }

    /// Notifications that close a batch before its time unless told.
    const fn max_notifications(self) -> u32 {
        match self {
            Self::Unlinkable => 1000,
            Self::Linkable => 40_000,
        }
    }

    /// Most notifications of a batch.
    const fn limit(self) -> u32 {
        match self {
            // 8 million identifiers: as many as the parts of one batch hold.
            Self::Unlinkable => 4000,
            Self::Linkable => 40_000,
        }
    }
}

/// Wrong hits are one in 2^18: with 20,000 observations, one look in thirteen finds one.
const fn filter_bits() -> u8 {
    18
}

const fn window() -> Duration {
    Duration::from_hours(14 * 24)
}

impl ZonePolicy {
    /// The policy that `init` writes for a zone.
    pub fn new(zone: &Zone, privacy: Privacy, interval: Duration, k: u32) -> Self {
        Self {
            zone: zone.to_string(),
            privacy,
            interval,
            k,
            max_notifications: Some(privacy.max_notifications()),
            filter_bits: filter_bits(),
            window: window(),
        }
    }

    /// The zone.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`]
    pub fn zone(&self) -> Result<Zone, ConfigError> {
        parse("provider.zone.zone", &self.zone)
    }

    /// Notifications that close a batch before its time.
    pub fn max_notifications(&self) -> u32 {
        let default = self.privacy.max_notifications();
        self.max_notifications.unwrap_or(default)
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.zone()?;
        let (shortest, longest) = (Duration::from_secs(1), Duration::from_hours(24));
        if !(shortest..=longest).contains(&self.interval) {
            return bad("provider.zone.interval", "an interval lasts from 1s to 24h");
        }
        if self.window < shortest {
            return bad("provider.zone.window", "a window lasts at least 1s");
        }
        if self.k > 10_000 {
            return bad(
                "provider.zone.k",
                "parts are padded up to 10000 notifications at most",
            );
        }
        if !(filter::MIN_CLIENT_BITS..=filter::MAX_BITS).contains(&self.filter_bits) {
            return bad(
                "provider.zone.filter_bits",
                "a fingerprint has 12 to 30 bits: clients refuse fewer",
            );
        }
        let limit = self.privacy.limit();
        if !(1..=limit).contains(&self.max_notifications()) {
            return bad(
                "provider.zone.max_notifications",
                &format!("a batch of such a zone holds 1 to {limit}"),
            );
        }
        Ok(())
    }
}
