//! What the command line asks of a node, running or not: one request, one answer.
//!
//! The same function answers in both cases. A running node hears requests on a Unix socket in its
//! data directory; otherwise the command opens the store itself.

use std::io;
use std::path::{Path, PathBuf};

use bellwether_formats::descriptor::Descriptor;
use bellwether_formats::id::{FeedId, Level, ParseIdError, Zone};
use bellwether_formats::signed::Signed;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use crate::clock::{ClockStatus, text as time};
use crate::condition::{Condition, Conditions};
use crate::config::{Config, ConfigError, Provider, ZonePolicy};
use crate::init::CODE_KEY;
use crate::intake::code::{self, CodeKey};
use crate::keys::{self, KeyError};
use crate::network::NetworkStatus;
use crate::publisher::{Places, PublishZoneError};
use crate::relay::RelayStatus;
use crate::store::{NewCode, Store, StoreError};

mod anchor;
mod check;
mod gaen;
mod published;
mod request;
pub mod socket;
mod status;
mod submit;
mod unreadable;

pub use self::anchor::renewed;
pub use self::published::{NobodyTook, published};
pub use self::request::{Import, Request, Submission};
pub use self::submit::MAX_UNITS;

/// Most codes issued or imported at once: the request is one message.
pub const MAX_CODES: usize = 50_000;

/// What a node has at hand to answer with.
#[derive(Clone, Debug)]
pub struct Admin {
    dir: PathBuf,
    config: Config,
    store: Store,
    conditions: Conditions,
}

/// What only a running node knows.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// Its addresses, as `run` printed them.
    pub info: Value,
    /// Its peers, and counters.
    pub network: NetworkStatus,
    /// Its feeds, and counters.
    pub relay: RelayStatus,
    /// Its clock.
    pub clock: ClockStatus,
}

impl Admin {
    /// For the node of a data directory. Its tasks raise conditions on the board.
    pub const fn new(dir: PathBuf, config: Config, store: Store, conditions: Conditions) -> Self {
        Self {
            dir,
            config,
            store,
            conditions,
        }
    }

    /// Everything that is wrong, found now.
    ///
    /// # Errors
    ///
    /// [`AdminError`] if the store cannot be read.
    pub fn look(&self, live: Option<&Live>, now: u64) -> Result<Vec<Condition>, AdminError> {
        let found = check::compute(self, live, now)?;
        if live.is_some() {
            self.conditions.replace(found, now);
            return Ok(self.conditions.list());
        }
        // Nobody knows for how long it was so.
        let mut list = self.conditions.list();
        list.extend(found);
        list.sort_by_key(|condition| (condition.kind.severity(), condition.kind));
        Ok(list)
    }

    /// Answers what needs the store only. `live` is what a running node adds.
    ///
    /// # Errors
    ///
    /// [`AdminError`]
    pub fn answer(
        &self,
        request: &Request,
        live: Option<&Live>,
        now: u64,
    ) -> Result<Value, AdminError> {
        match request {
            Request::CodeIssue {
                level,
                zone,
                count,
                valid_s,
            } => self.issue(level, zone, *count, now.saturating_add(*valid_s), now),
            Request::CodeImport {
                level,
                zone,
                codes,
                valid_s,
            } => self.import(level, zone, codes, now.saturating_add(*valid_s), now),
            Request::CodeList => self.list(now),
            Request::Submit(submission) => self.submit(submission, now),
            Request::Import(import) => self.take_over(import, now),
            Request::GaenExport { zone, since } => self.export_gaen(zone, *since),
            Request::Level { code, level } => self.level(code, level),
            Request::Status => status::status(self, live, now),
            Request::Check => check::check(self, live, now),
            Request::Descriptor => {
                let descriptor = self.descriptor()?;
                let zones = self.config.own_feeds()?.into_iter().map(|feed| feed.zone);
                Ok(json!({
                    "envelope": HEXLOWER.encode(descriptor.envelope()),
                    "name": self.provider()?.name,
                    "zones": zones.map(|zone| zone.to_string()).collect::<Vec<String>>(),
                }))
            }
            Request::Anchor { zone, from } => self.anchor(zone, *from),
            Request::Publish | Request::Renew { .. } => Err(AdminError::Publisher),
        }
    }

    fn issue(
        &self,
        level: &str,
        zone: &str,
        count: usize,
        expires_at: u64,
        now: u64,
    ) -> Result<Value, AdminError> {
        let (level, zone) = self.level_and_zone(level, zone)?;
        within(count)?;
        let key = self.code_key()?;
        let mut codes = Vec::new();
        let mut rows = Vec::new();
        for _ in 0..count {
            let mut random = [0; 16];
            getrandom::fill(&mut random).map_err(|_| KeyError::Random)?;
            let code = code::generate(random);
            let hash = *key.hash(&code).as_bytes();
            rows.push(NewCode {
                hash,
                zone: zone.clone(),
                level,
                expires_at,
                issuer: None,
            });
            codes.push(code);
        }
        self.store.issue_codes(&rows, now)?;
        Ok(json!({ "codes": codes }))
    }

    fn import(
        &self,
        level: &str,
        zone: &str,
        codes: &[String],
        expires_at: u64,
        now: u64,
    ) -> Result<Value, AdminError> {
        let (level, zone) = self.level_and_zone(level, zone)?;
        let lines = || (1..).zip(codes).filter(|(_, text)| !text.is_empty());
        within(lines().count())?;
        let key = self.code_key()?;
        let mut rows = Vec::new();
        for (line, text) in lines() {
            let code = code::import(text.as_bytes()).map_err(|error| AdminError::Code {
                line,
                why: error.to_string(),
            })?;
            let hash = *key.hash(code).as_bytes();
            rows.push(NewCode {
                hash,
                zone: zone.clone(),
                level,
                expires_at,
                issuer: None,
            });
        }
        let new = self.store.issue_codes(&rows, now)?;
        Ok(json!({ "new": new, "known": rows.len() - new }))
    }

    fn list(&self, now: u64) -> Result<Value, AdminError> {
        self.provider()?;
        let codes = self.store.codes()?.into_iter().map(|code| {
            let hash: Vec<u8> = code.hash.iter().take(4).copied().collect();
            json!({
                "code": HEXLOWER.encode(&hash),
                "level": Level(code.row.level).name(),
                "zone": code.row.zone,
                "issued_at": time(code.row.issued_at),
                "issuer": code.row.issuer,
                "valid_until": time(code.row.expires_at),
                "used_at": code.row.used_at.map(time),
                "notifications": code.row.admitted,
                "expired": code.row.used_at.is_none() && now >= code.row.expires_at,
            })
        });
        Ok(json!({ "codes": codes.collect::<Vec<Value>>() }))
    }

    fn level(&self, code: &str, level: &str) -> Result<Value, AdminError> {
        self.provider()?;
        let level: Level = level.parse()?;
        let hash = self.code_key()?.hash(code);
        let changed = self.store.set_level(hash.as_bytes(), level)?;
        Ok(json!({ "changed": changed.ok_or(AdminError::UnknownCode)? }))
    }

    fn level_and_zone(&self, level: &str, zone: &str) -> Result<(Level, Zone), AdminError> {
        let id = self.provider()?.id()?;
        let (level, zone): (Level, Zone) = (level.parse()?, zone.parse()?);
        let own = self.config.own_feeds()?;
        if !own.iter().any(|feed| feed.zone == zone) {
            return Err(AdminError::Zone { zone });
        }
        let descriptor = self.store.descriptor(&id)?;
        if descriptor.is_some_and(|descriptor| !descriptor.zones.contains(&zone)) {
            return Err(AdminError::Undescribed { zone });
        }
        Ok((level, zone))
    }

    fn code_key(&self) -> Result<CodeKey, AdminError> {
        code_key(&self.dir)
    }

    fn descriptor(&self) -> Result<Signed<Descriptor>, AdminError> {
        self.store
            .descriptor(&self.provider()?.id()?)?
            .ok_or(AdminError::NotProvider)
    }

    /// Size of the store's file: some three times the blocks, and it does not shrink. 0 if it cannot
    /// be seen.
    fn file_bytes(&self) -> u64 {
        let file = std::fs::metadata(Places::of(&self.dir).store);
        file.map_or(0, |file| file.len())
    }

    /// How a feed is published, if it is one's own.
    fn policy(&self, feed: &FeedId) -> Result<Option<&ZonePolicy>, AdminError> {
        let own = self.config.own_feeds()?;
        let zones = self.config.provider.iter().flat_map(|own| &own.zone);
        let mut found = own.iter().zip(zones).filter(|(own, _)| *own == feed);
        Ok(found.next().map(|(_, policy)| policy))
    }

    fn provider(&self) -> Result<&Provider, AdminError> {
        let provider = self.config.provider.as_ref();
        provider.ok_or(AdminError::NotProvider)
    }
}

/// The key that codes are hashed with.
///
/// # Errors
///
/// [`AdminError::Key`]
pub fn code_key(dir: &Path) -> Result<CodeKey, AdminError> {
    Ok(CodeKey::new(&keys::load(&dir.join(CODE_KEY))?.to_bytes()))
}

/// Bytes in a request, such as an envelope.
///
/// # Errors
///
/// [`AdminError::Hex`]
pub fn from_hex(hex: &str) -> Result<Vec<u8>, AdminError> {
    HEXLOWER.decode(hex.as_bytes()).map_err(|_| AdminError::Hex)
}

fn within(count: usize) -> Result<(), AdminError> {
    if count > MAX_CODES {
        return Err(AdminError::TooMany { count });
    }
    Ok(())
}

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum AdminError {
    #[error("line {line}: {why}")]
    Code { line: usize, why: String },
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("batches {seq} and the next one of `{zone}` are not kept any more")]
    Deleted { zone: Zone, seq: u64 },
    #[error("bytes are sent in hexadecimal")]
    Hex,
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("`{zone}` has no batch {from}: the newest is {newest}")]
    NoBatch { zone: Zone, from: u64, newest: u64 },
    #[error("this node is not a provider")]
    NotProvider,
    #[error("this node runs with --no-publish: it only catches up")]
    NotPublishing,
    #[error(transparent)]
    Parse(#[from] ParseIdError),
    #[error("not for the store alone")]
    Publisher,
    #[error(transparent)]
    Publish(#[from] PublishZoneError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the node is stopping")]
    Stopping,
    #[error("{count} codes at once, the limit is {MAX_CODES}")]
    TooMany { count: usize },
    #[error("more than {MAX_UNITS} units at once")]
    TooManyUnits,
    #[error("the descriptor does not name `{zone}` yet")]
    Undescribed { zone: Zone },
    #[error("this code was not issued here")]
    UnknownCode,
    #[error("this provider does not publish in `{zone}`")]
    Zone { zone: Zone },
}

impl AdminError {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Config(error) => config_hint(error),
            Self::Publish(error) => error.hint(),
            Self::Store(StoreError::Locked) => {
                Some("the node is starting or stopping; try again in a moment")
            }
            Self::Undescribed { .. } => {
                Some("renew it: `bellwether-node descriptor renew --data-dir DIR --root FILE`")
            }
            _ => None,
        }
    }
}

/// What a person can do about a configuration that cannot be used.
pub fn config_hint(error: &ConfigError) -> Option<&'static str> {
    match error {
        ConfigError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => {
            Some("make a node there with `bellwether-node init`")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
