//! What is wrong with a node, found before its users find it.

use std::fs;

use bellwether_formats::id::FeedId;
use serde_json::{Value, json};

use super::{Admin, AdminError, Live, time, unreadable};
use crate::config::Provider;
use crate::cost::zone::{Lately, Newest};
use crate::publisher::{self, Places};
use crate::signer::{self, SignerPlace};

/// How long before its end a descriptor is to be renewed, in seconds (60 days).
const RENEW_S: u64 = 60 * 86_400;

/// How much of the store is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Depth {
    /// Heads only: quick enough for a monitor.
    Glance,
    /// Every batch and block.
    Whole,
}

/// Something that a person should know.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    /// Whether it can wait.
    pub(super) warning: bool,
    /// What it is.
    pub(super) what: String,
}

/// Answers `check`: reads everything.
pub(super) fn check(admin: &Admin, live: Option<&Live>, now: u64) -> Result<Value, AdminError> {
    let findings = findings(admin, live, now, Depth::Whole)?;
    let texts = |warning: bool| -> Vec<&str> {
        let some = findings.iter().filter(|finding| finding.warning == warning);
        some.map(|finding| finding.what.as_str()).collect()
    };
    Ok(json!({ "ok": texts(false).is_empty(), "errors": texts(false), "warnings": texts(true) }))
}

/// Everything found, at a depth. What peers have and this node cannot take is known while it runs.
pub(super) fn findings(
    admin: &Admin,
    live: Option<&Live>,
    now: u64,
    depth: Depth,
) -> Result<Vec<Finding>, AdminError> {
    let mut found = Vec::new();
    if depth == Depth::Whole {
        found.extend(admin.store.faults()?.into_iter().map(error));
    }
    for feed in admin.config.carried()? {
        let head = admin.store.head(&feed)?;
        match head.map(|head| head.head.next_by) {
            Some(next_by) if now > next_by => {
                found.push(warning(format!("{feed}: stale since {}", time(next_by))));
            }
            Some(_) => {}
            None => found.push(warning(format!("{feed}: no batch yet"))),
        }
        if admin.store.is_forked(&feed)? {
            found.push(error(format!(
                "{feed}: the provider signed two batches of one number"
            )));
        }
        found.extend(live.and_then(|live| too_large(live, &feed)));
        found.extend(part_findings(admin, &feed)?);
        found.extend(zone_findings(admin, &feed, now)?);
    }
    let (used, max) = (admin.store.used_bytes()?, admin.config.retain.max_bytes);
    if used > max / 20 * 19 {
        let file = admin.file_bytes();
        found.push(warning(format!(
            "{used} bytes of blocks, the cap is {max}; the file has {file} bytes"
        )));
    }
    found.extend(unreadable::unreadable(admin)?.iter().map(|path| {
        error(format!(
            "the node's user cannot read `{}`: give it to the owner of the data directory (`chown`)",
            path.display()
        ))
    }));
    if let Some(provider) = &admin.config.provider {
        provider_findings(admin, provider, now, &mut found)?;
    }
    Ok(found)
}

/// A batch that there can be no place for: the feed stands still here, and its clients with it.
fn too_large(live: &Live, feed: &FeedId) -> Option<Finding> {
    let listed = live.network.get("batches_too_large")?.as_array()?;
    let (provider, zone) = (feed.provider.to_string(), feed.zone.as_str());
    let is = |entry: &Value, key: &str, text: &str| entry.get(key).is_some_and(|is| is == text);
    let mut own = listed
        .iter()
        .filter(|entry| is(entry, "provider", &provider) && is(entry, "zone", zone));
    let seq = own.next()?.get("seq")?;
    Some(error(format!(
        "{feed}: batch {seq} is not taken, nor any after it: it is larger than the disk cap \
         (`retain.max_bytes`)"
    )))
}

/// Sealed parts that break rules: an error for whoever published them, and for others to know.
fn part_findings(admin: &Admin, feed: &FeedId) -> Result<Option<Finding>, AdminError> {
    let newest = admin.store.faulty_batches(feed, 1)?;
    let Some((seq, fault)) = newest
        .first()
        .and_then(|b| Some((b.seq, b.faults.first()?)))
    else {
        return Ok(None);
    };
    let what = format!(
        "{feed}: part {} of batch {seq} is broken (`{}`); the provider is to blame",
        fault.part, fault.rule
    );
    let own = admin.config.own_feeds()?.contains(feed);
    Ok(Some(if own { error(what) } else { warning(what) }))
}

/// What a zone of one's own costs its clients, and whether its patients hide among each other.
fn zone_findings(admin: &Admin, feed: &FeedId, now: u64) -> Result<Vec<Finding>, AdminError> {
    let Some(policy) = admin.policy(feed)? else {
        return Ok(Vec::new());
    };
    let lately = Lately::of(&admin.store, feed, policy.interval.as_secs(), now)?;
    let newest = Newest::of(&admin.store, &feed.zone)?;
    let told = [lately.advice(), newest.and_then(|newest| newest.advice())];
    let told = told.into_iter().flatten();
    Ok(told
        .map(|what| warning(format!("{feed}: {what}")))
        .collect())
}

fn provider_findings(
    admin: &Admin,
    provider: &Provider,
    now: u64,
    found: &mut Vec<Finding>,
) -> Result<(), AdminError> {
    let descriptor = admin.descriptor()?;
    let left = descriptor.expires_at.saturating_sub(now);
    if left == 0 {
        found.push(error(format!(
            "the descriptor expired at {}",
            time(descriptor.expires_at)
        )));
    } else if left < RENEW_S {
        found.push(warning(format!(
            "the descriptor expires at {}, in {} days: renew it with the root key",
            time(descriptor.expires_at),
            left / 86_400
        )));
    }
    let own = admin.config.own_feeds()?;
    let undescribed = own
        .iter()
        .map(|feed| &feed.zone)
        .filter(|zone| !descriptor.zones.contains(zone));
    for zone in undescribed {
        found.push(error(format!(
            "the descriptor does not name the zone `{zone}`: `descriptor renew` adds it"
        )));
    }
    if descriptor.name != provider.name {
        found.push(error(format!(
            "the descriptor names `{}`, node.toml `{}`: `descriptor renew` changes it",
            descriptor.name, provider.name
        )));
    }
    for (what, name) in [
        ("the root key", crate::keys::ROOT),
        ("the next root key", crate::keys::NEXT_ROOT),
    ] {
        let path = admin.dir.join(name);
        if path.exists() {
            found.push(warning(format!(
                "{what} is on this machine: take `{}` offline",
                path.display()
            )));
        }
    }
    for path in [&provider.intake.tls_cert, &provider.intake.tls_key]
        .into_iter()
        .flatten()
    {
        if let Err(why) = fs::metadata(path) {
            found.push(error(format!("`{}` cannot be read: {why}", path.display())));
        }
    }
    found.extend(ledger_findings(admin, provider)?);
    Ok(())
}

/// Whether the signer would sign for this directory, found without its lock.
fn ledger_findings(admin: &Admin, provider: &Provider) -> Result<Vec<Finding>, AdminError> {
    let places = Places::of(&admin.dir);
    let place = SignerPlace {
        dir: &provider.signer_dir,
        provider: provider.id()?,
        store: &places.store,
        keys: &places.keys,
    };
    let own = admin.config.own_feeds()?;
    let id = provider.id()?;
    let faults = signer::faults(place, || publisher::ends(&admin.store, id, own))?;
    Ok(faults.into_iter().map(error).collect())
}

fn error(what: String) -> Finding {
    Finding {
        warning: false,
        what,
    }
}

fn warning(what: String) -> Finding {
    Finding {
        warning: true,
        what,
    }
}
