//! Makes a data directory: a provider's with its keys, descriptor and signer, or a relay's.

use std::fs::{self, File, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bellwether_formats::descriptor::{Descriptor, Gateway, KeyWindow};
use bellwether_formats::id::{PublicKey, Zone};
use bellwether_formats::share::Share;
use bellwether_formats::signed::Signed;
use ed25519_dalek::SigningKey;

use crate::config::{self, Carry, Config, Intake, Privacy, Provider, ZonePolicy};
use crate::files;
use crate::http;
use crate::keys;
use crate::publisher::Places;
use crate::signer::{Signer, SignerPlace};
use crate::store::Store;

pub(crate) mod check;
mod error;

pub use error::InitError;

pub use check::gateways as check_gateways;

/// How long a descriptor made here counts, in seconds: a year, and a month to notice.
pub const DESCRIPTOR_LIFE_S: u64 = 395 * 86_400;

/// Most that the clocks of one provider's machines may differ, in seconds.
pub const CLOCKS_DIFFER_S: u64 = 600;

/// Where a new node listens.
#[derive(Clone, Debug, Default)]
pub struct Listen {
    /// Gateway.
    pub http: Option<SocketAddr>,
    /// Seed reports.
    pub intake: Option<SocketAddr>,
    /// libp2p.
    pub p2p: Vec<String>,
    /// Relays to stay connected with.
    pub bootstrap: Vec<String>,
}

/// A new provider.
#[derive(Clone, Debug)]
pub struct NewProvider {
    /// The name that seed reports are addressed to.
    pub name: String,
    /// Its zones.
    pub zones: Vec<Zone>,
    /// How they are published.
    pub privacy: Privacy,
    /// How often.
    pub interval: Duration,
    /// Notifications that a part is padded up to.
    pub k: u32,
    /// Where it listens.
    pub listen: Listen,
    /// Certificate and key; none: a self-signed one is made.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Gateways to name in the descriptor.
    pub gateways: Vec<Gateway>,
    /// Where the signer remembers; none: under the user's state directory.
    pub signer_dir: Option<PathBuf>,
    /// Who runs the node.
    pub operator: Option<String>,
}

/// Makes a provider's directory. Gives its share string, as far as it is known before it runs.
///
/// # Errors
///
/// [`InitError`], in particular if the directory is not empty.
pub fn provider(dir: &Path, new: NewProvider, now: u64) -> Result<Share, InitError> {
    check::provider(&new)?;
    let mut new = new;
    new.zones.sort();
    new.zones.dedup();
    if new.signer_dir.is_none() {
        new.signer_dir = Some(default_signer_dir()?);
    }
    // Everything is tried with keys that are thrown away, before anything is written.
    let trial = SigningKey::from_bytes(&[0; 32]);
    let config = provider_config(dir, &new, keys::public(&trial))?;
    config.check()?;
    check::network(&config.network)?;
    descriptor(&new, &trial, std::slice::from_ref(&trial), &trial, now)?;
    within_new(dir, || provider_in(dir, new, now))
}

/// Writes what a provider's directory holds.
fn provider_in(dir: &Path, new: NewProvider, now: u64) -> Result<Share, InitError> {
    let keys_dir = dir.join(keys::SIGNING);
    let root = keys::create(&dir.join(keys::ROOT))?;
    let next_root = keys::create(&dir.join(keys::NEXT_ROOT))?;
    let signing = [
        keys::create_signing(&keys_dir)?,
        keys::create_signing(&keys_dir)?,
    ];
    keys::create(&dir.join(CODE_KEY))?;
    let id = keys::public(&root);
    if new.tls.is_none() {
        make_tls(dir, new.listen.intake)?;
    }
    let config = provider_config(dir, &new, id)?;
    let descriptor = descriptor(&new, &root, &signing, &next_root, now)?;
    let places = Places::of(dir);
    let store = create_store(&places)?;
    store.put_descriptor(&descriptor)?;
    if let Some(provider) = &config.provider {
        open_signer(&provider.signer_dir, id, &places)?;
    }
    // Written last: a directory without it is not yet a node, and `init` says so.
    config.save(dir)?;
    Ok(Share {
        provider: id,
        zones: new.zones,
        gateways: new.gateways,
        peers: Vec::new(),
    })
}

/// The configuration of a provider with an id.
fn provider_config(dir: &Path, new: &NewProvider, id: PublicKey) -> Result<Config, InitError> {
    let signer_dir = new.signer_dir.as_deref().ok_or(InitError::NoStateDir)?;
    let (tls_cert, tls_key) = match &new.tls {
        Some((cert, key)) => (std::path::absolute(cert)?, std::path::absolute(key)?),
        None => made_tls(dir)?,
    };
    let policies = new.zones.iter();
    Ok(Config {
        operator: new.operator.clone().unwrap_or_else(|| new.name.clone()),
        gateway: gateway(&new.listen),
        network: network(&new.listen, Vec::new()),
        retain: config::Retain::default(),
        provider: Some(Provider {
            id: id.to_string(),
            name: new.name.clone(),
            signer_dir: std::path::absolute(signer_dir)?,
            intake: Intake {
                listen: Some(new.listen.intake.unwrap_or(DEFAULT_INTAKE)),
                tls_cert: Some(tls_cert),
                tls_key: Some(tls_key),
                submitters: Some(SUBMITTERS.into()),
                tcn_self_reports: None,
                users: None,
            },
            zone: policies
                .map(|zone| ZonePolicy::new(zone, new.privacy, new.interval, new.k))
                .collect(),
        }),
        carry: Vec::new(),
    })
}

/// A provider's first descriptor.
fn descriptor(
    new: &NewProvider,
    root: &SigningKey,
    signing: &[SigningKey],
    next_root: &SigningKey,
    now: u64,
) -> Result<Signed<Descriptor>, InitError> {
    let expires_at = now.saturating_add(DESCRIPTOR_LIFE_S);
    let mut keys: Vec<KeyWindow> = signing
        .iter()
        .map(|key| KeyWindow {
            key: keys::public(key),
            not_before: now.saturating_sub(CLOCKS_DIFFER_S),
            not_after: expires_at,
        })
        .collect();
    keys.sort();
    let descriptor = Descriptor {
        provider: keys::public(root),
        epoch: 1,
        issued_at: now,
        expires_at,
        name: new.name.clone(),
        keys,
        zones: new.zones.clone(),
        gateways: new.gateways.clone(),
        anchors: Vec::new(),
        next_root: keys::public(next_root).commitment(),
        upstream: None,
        peers: Vec::new(),
        successor: None,
    };
    Signed::sign(&descriptor, root).map_err(InitError::Descriptor)
}

/// Makes a relay's directory, for the feeds of some share strings.
///
/// # Errors
///
/// [`InitError`], in particular if the directory is not empty or nothing is to be carried.
pub fn relay(
    dir: &Path,
    operator: Option<String>,
    follow: &[Share],
    listen: Listen,
) -> Result<(), InitError> {
    check::operator(operator.as_deref())?;
    let carry: Vec<Carry> = follow
        .iter()
        .map(|share| Carry {
            provider: share.provider.to_string(),
            zones: share.zones.iter().map(ToString::to_string).collect(),
        })
        .collect();
    let peers = follow
        .iter()
        .flat_map(|share| share.peers.clone())
        .collect();
    let config = Config {
        operator: operator.unwrap_or_default(),
        gateway: gateway(&listen),
        network: network(&listen, peers),
        retain: config::Retain::default(),
        provider: None,
        carry,
    };
    config.check()?;
    if config.network.bootstrap.is_empty() {
        return Err(InitError::NoPeer);
    }
    check::network(&config.network)?;
    within_new(dir, || {
        create_store(&Places::of(dir))?;
        Ok(config.save(dir)?)
    })
}

/// The file of the key that codes are hashed with.
pub const CODE_KEY: &str = "code.key";

/// The file of the systems that may submit, in the data directory of a provider made here.
pub const SUBMITTERS: &str = "submitters";

/// Where seed reports are taken unless told.
const DEFAULT_INTAKE: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7443);

fn open_signer(dir: &Path, provider: PublicKey, places: &Places) -> Result<(), InitError> {
    let place = SignerPlace {
        dir,
        provider,
        store: &places.store,
        keys: &places.keys,
    };
    Signer::open(place, false)?;
    Ok(())
}

fn gateway(listen: &Listen) -> config::Gateway {
    listen
        .http
        .map_or_else(config::Gateway::default, |http| config::Gateway {
            listen: Some(http),
        })
}

fn network(listen: &Listen, mut peers: Vec<String>) -> config::Network {
    let default = config::Network::default();
    peers.extend(listen.bootstrap.iter().cloned());
    peers.sort();
    peers.dedup();
    let addresses = if listen.p2p.is_empty() {
        default.listen.clone()
    } else {
        listen.p2p.clone()
    };
    config::Network {
        listen: addresses,
        bootstrap: peers,
        ..default
    }
}

/// Where the files of a certificate that is made here lie.
fn made_tls(dir: &Path) -> io::Result<(PathBuf, PathBuf)> {
    let folder = std::path::absolute(dir.join("tls"))?;
    Ok((folder.join("cert.pem"), folder.join("key.pem")))
}

/// Makes a self-signed certificate, for trying out.
fn make_tls(dir: &Path, intake: Option<SocketAddr>) -> Result<(), InitError> {
    let address = intake.unwrap_or(DEFAULT_INTAKE).ip();
    let mut names = Vec::new();
    if !address.is_unspecified() && !address.is_loopback() {
        names.push(address.to_string());
    }
    let tls =
        http::self_signed(&names).map_err(|error| InitError::Certificate(error.to_string()))?;
    files::create_dirs(&dir.join("tls"))?;
    let (cert, key) = made_tls(dir)?;
    files::replace(&cert, tls.cert_pem.as_bytes(), files::PUBLIC)?;
    files::replace(&key, tls.key_pem.as_bytes(), files::SECRET)?;
    Ok(())
}

/// Makes the store, for its owner alone: it tells who was admitted when.
fn create_store(places: &Places) -> Result<Store, InitError> {
    let store = Store::create(&places.store)?;
    let file = File::open(&places.store)?;
    file.set_permissions(Permissions::from_mode(files::SECRET))?;
    files::hand_over(&places.store, &file)?;
    Ok(store)
}

/// Makes the directory, or takes an empty one, and fills it; after a failure it is as it was.
fn within_new<T>(dir: &Path, fill: impl FnOnce() -> Result<T, InitError>) -> Result<T, InitError> {
    let existed = dir.exists();
    if existed && fs::read_dir(dir)?.next().is_some() {
        return Err(InitError::NotEmpty {
            dir: dir.to_owned(),
            node: dir.join("node.toml").exists(),
        });
    }
    let filled = files::create_dirs(dir)
        .and_then(|()| fs::set_permissions(dir, Permissions::from_mode(OWNERS)))
        .map_err(InitError::from)
        .and_then(|()| fill());
    if filled.is_err() {
        // What cannot be removed is told by the next `init`; the first failure is what matters.
        let _ = clear(dir);
        if !existed {
            let _ = fs::remove_dir(dir);
        }
    }
    filled
}

/// Removes what a directory holds.
fn clear(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Mode of a data directory: it holds keys and codes.
const OWNERS: u32 = 0o700;

/// The user's state directory, by the XDG rules.
#[expect(
    clippy::disallowed_methods,
    reason = "where the user's state lies is the environment's"
)]
fn default_signer_dir() -> Result<PathBuf, InitError> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let state = state.filter(|path| path.is_absolute()).or_else(home);
    Ok(state
        .ok_or(InitError::NoStateDir)?
        .join("bellwether/signer"))
}

#[cfg(test)]
mod tests;
