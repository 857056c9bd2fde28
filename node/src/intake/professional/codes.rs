//! What a professional does with codes: issue, look, take back. All of it waits for the disk.
//! Source: spec §10.8.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bellwether_formats::id::{Level, ProviderId, Zone};
use data_encoding::HEXLOWER;

use super::page::Issued;
use super::refusal::Refusal;
use super::text;
use crate::intake::code::{self, CodeKey};
use crate::store::{CodeStatus, CodesOf, NewCode, Store};

/// The levels that a professional issues codes of.
pub(super) const LEVELS: [Level; 3] = [
    Level::DIAGNOSED,
    Level::CLINICALLY_DIAGNOSED,
    Level::SYMPTOMATIC,
];
/// How long a code is valid unless chosen otherwise, in seconds: 24 h.
pub(super) const DEFAULT_VALID_S: u64 = 86_400;
/// Most codes that a user issues within [`HOUR_S`]: one every 18 s.
pub(super) const MAX_CODES_AN_HOUR: usize = 200;
const HOUR_S: u64 = 3600;
/// How far back the list goes, in seconds: 14 days.
pub(super) const LISTED_S: u64 = 14 * 86_400;
/// Most codes in the list: a page of some 200 KB.
pub(super) const MAX_LISTED: usize = 200;

/// The codes of a provider, as its professionals see them.
#[derive(Debug)]
pub(super) struct Codes {
    store: Store,
    key: CodeKey,
    provider: ProviderId,
    /// The zones of the configuration.
    zones: Vec<Zone>,
    /// Held while a code is issued: the limit is for all that a user does at once.
    issuing: Mutex<()>,
}

impl Codes {
    pub(super) const fn new(
        store: Store,
        key: CodeKey,
        provider: ProviderId,
        zones: Vec<Zone>,
    ) -> Self {
        Self {
            store,
            key,
            provider,
            zones,
            issuing: Mutex::new(()),
        }
    }

    /// The zones that codes can be issued for: those that the descriptor names too, as by
    /// `code issue`.
    pub(super) fn zones(&self) -> Result<Vec<Zone>, Refusal> {
        let descriptor = self.store.descriptor(&self.provider)?;
        let named = |zone: &&Zone| {
            let descriptor = descriptor.as_ref();
            descriptor.is_none_or(|descriptor| descriptor.zones.contains(zone))
        };
        Ok(self.zones.iter().filter(named).cloned().collect())
    }

    /// Issues a code, of what a form chose.
    pub(super) fn issue(
        &self,
        user: &str,
        (level, zone, valid): (Option<&str>, Option<&str>, Option<&str>),
        now: u64,
    ) -> Result<Issued, Refusal> {
        let named = |of: &Level| level == Some(of.name());
        let level = LEVELS.into_iter().find(named).ok_or(Refusal::Level)?;
        let zones = self.zones()?;
        let named = |of: &Zone| zone == Some(of.as_str());
        let zone = zones.into_iter().find(named).ok_or(Refusal::Zone)?;
        let valid: u64 = valid
            .and_then(|valid| valid.parse().ok())
            .ok_or(Refusal::Valid)?;
        if !text::VALIDITIES
            .iter()
            .any(|(seconds, _)| *seconds == valid)
        {
            return Err(Refusal::Valid);
        }

        let _alone = self.issuing.lock().unwrap_or_else(PoisonError::into_inner);
        self.check_limit(user, now)?;
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|_| Refusal::Failed)?;
        let code = code::generate(random);
        let expires_at = now.saturating_add(valid);
        let new = NewCode {
            hash: *self.key.hash(&code).as_bytes(),
            zone: zone.clone(),
            level,
            expires_at,
            issuer: Some(user.to_owned()),
        };
        if self.store.issue_codes(&[new], now)? != 1 {
            // One of 10^16 was drawn that exists already: it is somebody else's.
            return Err(Refusal::Failed);
        }
        Ok(Issued {
            code,
            level,
            zone,
            left: valid,
            expires_at,
        })
    }

    fn check_limit(&self, user: &str, now: u64) -> Result<(), Refusal> {
        let since = now.saturating_sub(HOUR_S - 1);
        let codes = self.store.codes_of(user, since, MAX_CODES_AN_HOUR)?;
        if codes.count < MAX_CODES_AN_HOUR {
            return Ok(());
        }
        let oldest = codes.newest.last().map_or(now, |code| code.row.issued_at);
        let over_at = oldest.saturating_add(HOUR_S);
        Err(Refusal::TooManyCodes {
            most: MAX_CODES_AN_HOUR,
            retry_after: Duration::from_secs(over_at.saturating_sub(now).max(1)),
        })
    }

    /// A user's own codes.
    pub(super) fn list(&self, user: &str, now: u64) -> Result<CodesOf, Refusal> {
        let since = now.saturating_sub(LISTED_S);
        Ok(self.store.codes_of(user, since, MAX_LISTED)?)
    }

    /// A code of a user's own, by its hash in hexadecimal.
    pub(super) fn own(&self, user: &str, hash: Option<&str>) -> Result<CodeStatus, Refusal> {
        let hash = hash.filter(|hash| hash.len() == 64);
        let hash = hash.and_then(|hash| HEXLOWER.decode(hash.as_bytes()).ok()?.try_into().ok());
        let hash = hash.ok_or(Refusal::UnknownCode)?;
        let row = self.store.code(&hash)?;
        let row = row.filter(|row| row.issuer.as_deref() == Some(user));
        let row = row.ok_or(Refusal::UnknownCode)?;
        Ok(CodeStatus { hash, row })
    }

    /// Takes a code of a user's own back. Gives how many notifications that changes.
    pub(super) fn revoke(&self, user: &str, code: &CodeStatus, now: u64) -> Result<usize, Refusal> {
        let revoked = self.store.revoke_code(&code.hash, user, now)?;
        revoked.ok_or(Refusal::UnknownCode)
    }
}
