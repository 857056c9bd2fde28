//! Exposure keys that are handed to others. Source: spec §12.2, §14.7.

use bellwether_formats::id::{Level, Scheme};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use super::{Admin, AdminError};
use crate::store::Mode;

impl Admin {
    /// The exposure keys that were published openly in a zone, with their levels as published: those
    /// first published at `since` or later, and all that were withdrawn. Padding is among them, as
    /// in the bodies: without it, the two would tell what is padding. How many are left out because
    /// they are sealed stands beside them.
    pub(super) fn export_gaen(&self, zone: &str, since: u64) -> Result<Value, AdminError> {
        let (_, zone) = self.level_and_zone(Level::NO_ALERT.name(), zone)?;
        let mut keys = Vec::new();
        let mut sealed = 0_u64;
        let mut first = None;
        self.store.each_note(&zone, |note| {
            let Some(level) = note.published_level else {
                return;
            };
            if note.scheme != Scheme::GAEN.0 || Level(level) == Level::DEBUG {
                return;
            }
            if note.mode == Mode::Sealed {
                sealed += u64::from(!note.dummy);
                return;
            }
            let alerts = Level(level).alerts();
            // Padding of what is withdrawn was never anything else, and hides nothing here.
            let at = note.first_published();
            if (alerts && at < since) || (note.dummy && !alerts) {
                return;
            }
            first = Some(first.map_or(at, |first: u64| first.min(at)));
            keys.push(json!([HEXLOWER.encode(&note.unit), level]));
        })?;
        Ok(json!({ "keys": keys, "first": first, "sealed": sealed }))
    }
}
