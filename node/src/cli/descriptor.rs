//! `descriptor renew` and `disown`, `signer adopt`: what a person does with the root key and after a restore.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bellwether_formats::descriptor::{Anchor, Descriptor};
use bellwether_formats::id::{ObjectId, Zone};
use bellwether_formats::share::parse_gateway;
use bellwether_formats::signed::Signed;
use bellwether_node::admin::{self, AdminError, Request};
use bellwether_node::clock;
use bellwether_node::config::Config;
use bellwether_node::init::{self, CLOCKS_DIFFER_S, DESCRIPTOR_LIFE_S};
use bellwether_node::keys;
use bellwether_node::publisher::{self, Places};
use bellwether_node::signer::{Signer, SignerPlace};
use bellwether_node::store::Store;
use data_encoding::HEXLOWER;
use serde_json::Value;

use super::ask::{Dir, ask, list, text, whole};
use super::{CliError, say};

/// What to do with the descriptor.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Sign the descriptor anew with the root key: the next epoch, for another year.
    Renew(RenewArgs),
    /// Say that the batches of a zone from a number on are not this provider's: a clock that was wrong
    /// signed them. What they published is published again.
    Disown(DisownArgs),
}

/// What to do with the signer.
#[derive(Debug, clap::Subcommand)]
pub(super) enum SignerVerb {
    /// Let the signer sign for this directory, which is a copy or was restored, and no other.
    Adopt(Dir),
}

#[derive(Debug, clap::Args)]
pub(super) struct RenewArgs {
    #[command(flatten)]
    dir: Dir,
    /// The root key's file.
    #[arg(long, value_name = "FILE")]
    root: PathBuf,
    /// Gateways to name instead of those named now.
    #[arg(long, value_name = "URL#OPERATOR")]
    gateway: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct DisownArgs {
    #[command(flatten)]
    dir: Dir,
    /// The zone.
    #[arg(long)]
    zone: Zone,
    /// Number of the first batch that does not count.
    #[arg(long, value_name = "SEQ")]
    from: u64,
    /// The root key's file.
    #[arg(long, value_name = "FILE")]
    root: PathBuf,
}

pub(super) fn run(verb: Verb) -> Result<ExitCode, CliError> {
    match verb {
        Verb::Renew(args) => sign(&args.dir.data_dir, &args.root, &args.gateway, |_| Ok(())),
        Verb::Disown(args) => {
            let DisownArgs {
                dir,
                zone,
                from,
                root,
            } = args;
            sign(&dir.data_dir, &root, &[], |next| {
                let asked = Request::Anchor {
                    zone: zone.to_string(),
                    from,
                };
                let anchor = anchor(zone.clone(), next.epoch, &ask(&dir.data_dir, &asked)?)?;
                next.anchors.retain(|known| known.zone != zone);
                next.anchors.push(anchor);
                next.anchors.sort();
                Ok(())
            })
        }
    }
}

/// The anchor that an answer names.
fn anchor(zone: Zone, epoch: u64, answer: &Value) -> Result<Anchor, CliError> {
    let id = admin::from_hex(text(answer, "id")?)?;
    let id: [u8; 32] = id.try_into().map_err(|_| CliError::Answer)?;
    Ok(Anchor {
        zone,
        epoch,
        seq: answer
            .get("seq")
            .and_then(Value::as_u64)
            .ok_or(CliError::Answer)?,
        id: ObjectId::from_bytes(id),
    })
}

/// Signs the next descriptor, which `change` may change, and has the node take it.
fn sign(
    dir: &Path,
    root_file: &Path,
    gateways: &[String],
    change: impl FnOnce(&mut Descriptor) -> Result<(), CliError>,
) -> Result<ExitCode, CliError> {
    let root = keys::load(root_file).map_err(AdminError::from)?;
    let answer = ask(dir, &Request::Descriptor)?;
    let envelope = admin::from_hex(text(&answer, "envelope")?)?;
    let known = Signed::<Descriptor>::open(&envelope).map_err(|_| CliError::Answer)?;
    if keys::public(&root) != known.provider {
        let what = format!(
            "`{}` is not the root key of this provider",
            root_file.display()
        );
        return Err(CliError::Usage { what });
    }
    let mut next = renewed(&known, gateways, clock::now());
    if !gateways.is_empty() {
        // Those that are named already must not keep a descriptor from being renewed in time.
        init::check_gateways(&next.gateways)?;
    }
    text(&answer, "name")?.clone_into(&mut next.name);
    next.zones = zones(list(&answer, "zones")?)?;
    change(&mut next)?;
    let renewed = Signed::sign(&next, &root).map_err(|error| CliError::Usage {
        what: error.to_string(),
    })?;
    let envelope = HEXLOWER.encode(renewed.envelope());
    let answer = ask(dir, &Request::Renew { envelope })?;
    say(&answer)?;
    whole(&answer)
}

/// The zones that the configuration names, in the descriptor's order.
fn zones(named: &[Value]) -> Result<Vec<Zone>, CliError> {
    let zone = |zone: &Value| zone.as_str().and_then(|zone| zone.parse().ok());
    let zones: Option<BTreeSet<Zone>> = named.iter().map(zone).collect();
    Ok(zones.ok_or(CliError::Answer)?.into_iter().collect())
}

/// The next descriptor: another epoch, another year; everything else stays, but for gateways given.
fn renewed(known: &Descriptor, gateways: &[String], now: u64) -> Descriptor {
    let expires_at = now.saturating_add(DESCRIPTOR_LIFE_S);
    let mut next = known.clone();
    next.epoch = known.epoch.saturating_add(1);
    next.issued_at = now;
    next.expires_at = expires_at;
    for key in &mut next.keys {
        key.not_after = key.not_after.max(expires_at);
        // A clock that was ahead when the keys were made must not keep them from signing.
        key.not_before = key.not_before.min(now.saturating_sub(CLOCKS_DIFFER_S));
    }
    if !gateways.is_empty() {
        next.gateways = gateways
            .iter()
            .map(|gateway| parse_gateway(gateway))
            .collect();
    }
    next
}

/// `signer adopt`: needs the store, so the node must be down.
pub(super) fn signer(verb: SignerVerb) -> Result<ExitCode, CliError> {
    let SignerVerb::Adopt(args) = verb;
    let dir = std::path::absolute(&args.data_dir)?;
    let config = Config::load(&dir).map_err(AdminError::from)?;
    let provider = config.provider.as_ref().ok_or(AdminError::NotProvider)?;
    let places = Places::of(&dir);
    let store = Store::open(&places.store).map_err(AdminError::from)?;
    let own = config.own_feeds().map_err(AdminError::from)?;
    let id = provider.id().map_err(AdminError::from)?;
    // A relay may have brought an anchor, and nothing have acted on it yet.
    store.settle_anchors(&own).map_err(AdminError::from)?;
    let ends = publisher::ends(&store, id, own).map_err(AdminError::from)?;
    let place = SignerPlace {
        dir: &provider.signer_dir,
        provider: id,
        store: &places.store,
        keys: &places.keys,
    };
    Signer::adopt(place, &ends).map_err(|error| {
        let causes = std::iter::successors(Error::source(&error), |&cause| cause.source());
        CliError::Node {
            hint: error.hint().map(ToOwned::to_owned),
            causes: causes.map(ToString::to_string).collect(),
            error: error.to_string(),
        }
    })?;
    tell!(
        "the signer now signs for `{}` and for no other copy",
        dir.display()
    );
    Ok(ExitCode::SUCCESS)
}
