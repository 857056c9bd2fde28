//! `node.toml`: what this node is. Strict: an unknown key is an error.
//!
//! Durations are written `"90s"` or `"6h"`; integers carry their unit in the name. `init` writes
//! the file; `node.example.toml` shows every key with its default.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bellwether_formats::id::{FeedId, ProviderId, Zone};
use serde::{Deserialize, Serialize};

use crate::files;
use crate::store::Mode;

mod zone;

pub use zone::{Privacy, ZonePolicy};

/// The configuration of a node: provider if it has `[provider]`, relay if it has `[[carry]]`, both
/// if it has both.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Who runs this node: the name that clients tell independent gateways apart by.
    pub operator: String,
    /// The HTTP face for clients.
    pub gateway: Gateway,
    /// The libp2p network.
    pub network: Network,
    /// What is kept.
    pub retain: Retain,
    /// What this node publishes. Absent: it is a relay only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<Provider>,
    /// What this node mirrors for others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub carry: Vec<Carry>,
}

/// `[gateway]`
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gateway {
    /// Public, read-only HTTP address. Put TLS in front of it. Port 0: any free port.
    pub listen: Option<SocketAddr>,
}

/// `[network]`
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// Multiaddresses to listen on.
    pub listen: Vec<String>,
    /// Multiaddresses of relays to stay connected with.
    pub bootstrap: Vec<String>,
    /// Multiaddresses under which others reach this node, if it cannot tell by itself.
    pub external: Vec<String>,
    /// Whether to take part in gossip. Without it batches arrive by anti-entropy, every minute.
    pub gossip: bool,
    /// How often peers are asked for what gossip did not bring. Source: spec §9.3.
    #[serde(with = "humantime_serde")]
    pub anti_entropy: Duration,
    /// Most connected peers.
    pub max_peers: u32,
}

/// `[retain]`
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retain {
    /// Batches older than this are deleted.
    #[serde(with = "humantime_serde")]
    pub max_age: Duration,
    /// Most bytes of blocks; above it the oldest batches are deleted.
    pub max_bytes: u64,
}

/// `[provider]`
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The provider's id: its root key, which is not on this machine.
    pub id: String,
    /// The name that seed reports are addressed to.
    pub name: String,
    /// Where the signer remembers what it signed. Outside the data directory, so that a copy of
    /// that cannot sign.
    pub signer_dir: PathBuf,
    /// Where seed reports are taken.
    pub intake: Intake,
    /// The zones, one feed each.
    pub zone: Vec<ZonePolicy>,
}

/// `[provider.intake]`
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Intake {
    /// Address for seed reports. Port 0: any free port.
    pub listen: Option<SocketAddr>,
    /// PEM file of the certificate chain. Absent: plain HTTP, which needs a loopback address.
    pub tls_cert: Option<PathBuf>,
    /// PEM file of the certificate's private key.
    pub tls_key: Option<PathBuf>,
    /// File of the systems that may submit; relative to the data directory. Absent: none may.
    pub submitters: Option<PathBuf>,
    /// Zone for TCN reports that come without a code, at level symptomatic. Absent: they are
    /// refused.
    pub tcn_self_reports: Option<String>,
    /// File of the users of the professional's page; relative: in the data directory. Absent: no
    /// such page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<PathBuf>,
}

/// `[[carry]]`
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Carry {
    /// The provider's id.
    pub provider: String,
    /// The zones of it that are mirrored.
    pub zones: Vec<String>,
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 7400))),
        }
    }
}

impl Default for Network {
    fn default() -> Self {
        Self {
            listen: vec!["/ip4/0.0.0.0/tcp/7401".to_owned()],
            bootstrap: Vec::new(),
            external: Vec::new(),
            gossip: true,
            anti_entropy: Duration::from_mins(1),
            max_peers: 128,
        }
    }
}

impl Default for Retain {
    fn default() -> Self {
        Self {
            max_age: Duration::from_hours(15 * 24),
            max_bytes: 2 * 1024 * 1024 * 1024,
        }
    }
}

impl Config {
    /// Reads `node.toml` of a data directory and checks it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], naming the key.
    pub fn load(dir: &Path) -> Result<Self, ConfigError> {
        let path = dir.join("node.toml");
        let text = fs::read_to_string(&path).map_err(|source| ConfigError::Read {
            path: path.clone(),
            source,
        })?;
        let config: Self = toml::from_str(&text).map_err(|error| ConfigError::Parse {
            path,
            message: error.to_string(),
        })?;
        config.check()?;
        Ok(config)
    }

    /// Writes `node.toml` of a data directory.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]
    pub fn save(&self, dir: &Path) -> Result<(), ConfigError> {
        self.check()?;
        let path = dir.join("node.toml");
        let text = toml::to_string_pretty(self).map_err(|error| ConfigError::Value {
            key: "node.toml",
            why: error.to_string(),
        })?;
        files::replace(&path, text.as_bytes(), files::PUBLIC)
            .map_err(|source| ConfigError::Read { path, source })
    }

    /// Checks what types cannot say.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`], naming the key.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.carried()?;
        let Some(provider) = &self.provider else {
            if self.carry.is_empty() {
                return bad(
                    "carry",
                    "a node publishes, carries, or both; this one does neither",
                );
            }
            return Ok(());
        };
        provider.id()?;
        if provider.name.is_empty() || provider.name.len() > 128 {
            return bad("provider.name", "the name has 1 to 128 bytes");
        }
        for policy in &provider.zone {
            policy.check()?;
        }
        if provider.zone.is_empty() {
            return bad("provider.zone", "a provider has at least one zone");
        }
        let intake = &provider.intake;
        if intake.tls_cert.is_some() != intake.tls_key.is_some() {
            return bad(
                "provider.intake",
                "`tls_cert` and `tls_key` are given together",
            );
        }
        if let Some(zone) = &intake.tcn_self_reports
            && provider.zone.iter().all(|policy| policy.zone != *zone)
        {
            return bad(
                "provider.intake.tcn_self_reports",
                "it is one of the zones of `provider.zone`",
            );
        }
        let public = intake
            .listen
            .is_some_and(|listen| !listen.ip().is_loopback());
        if public && intake.tls_cert.is_none() {
            return bad(
                "provider.intake.listen",
                "plain HTTP is for loopback addresses only",
            );
        }
        Ok(())
    }

    /// The feeds that this node mirrors or publishes.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`] for a key or zone that is none.
    pub fn carried(&self) -> Result<Vec<FeedId>, ConfigError> {
        let mut feeds = self.own_feeds()?;
        for carry in &self.carry {
            let provider = parse("carry.provider", &carry.provider)?;
            for zone in &carry.zones {
                feeds.push(FeedId {
                    provider,
                    zone: parse("carry.zones", zone)?,
                });
            }
        }
        feeds.sort();
        feeds.dedup();
        Ok(feeds)
    }

    /// The feeds that this node publishes.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`] for a key or zone that is none.
    pub fn own_feeds(&self) -> Result<Vec<FeedId>, ConfigError> {
        let Some(provider) = &self.provider else {
            return Ok(Vec::new());
        };
        let id = provider.id()?;
        let zones = provider.zone.iter();
        zones
            .map(|policy| {
                Ok(FeedId {
                    provider: id,
                    zone: policy.zone()?,
                })
            })
            .collect()
    }

    /// How what is accepted for a zone is published, by the names of the zones that this node
    /// publishes in.
    pub fn modes(&self) -> BTreeMap<String, Mode> {
        let zones = self.provider.iter().flat_map(|provider| &provider.zone);
        zones
            .map(|policy| (policy.zone.clone(), policy.privacy.mode()))
            .collect()
    }
}

impl Intake {
    /// The zone for TCN reports without a code.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`]
    pub fn tcn_self_reports(&self) -> Result<Option<Zone>, ConfigError> {
        let zone = self.tcn_self_reports.as_deref();
        zone.map(|zone| parse("provider.intake.tcn_self_reports", zone))
            .transpose()
    }
}

impl Provider {
    /// The provider's id.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`]
    pub fn id(&self) -> Result<ProviderId, ConfigError> {
        parse("provider.id", &self.id)
    }

    /// The file of the users of the professional's page, if there is to be one.
    pub fn users(&self, data_dir: &Path) -> Option<PathBuf> {
        self.intake.users.as_ref().map(|users| data_dir.join(users))
    }
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(
    key: &'static str,
    text: &str,
) -> Result<T, ConfigError> {
    text.parse().map_err(|error: T::Err| ConfigError::Value {
        key,
        why: error.to_string(),
    })
}

fn bad<T>(key: &'static str, why: &str) -> Result<T, ConfigError> {
    Err(ConfigError::Value {
        key,
        why: why.to_owned(),
    })
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum ConfigError {
    #[error("cannot read or write `{}`", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("`{}`: {message}", path.display())]
    Parse { path: PathBuf, message: String },
    #[error("node.toml: `{key}`: {why}")]
    Value { key: &'static str, why: String },
}

#[cfg(test)]
mod tests;
