//! Conditions of a provider: its descriptor, its keys, its certificate, its signer, and relays that do
//! not take its batches.

use std::error::Error as _;

use bellwether_formats::descriptor::{Descriptor, Gateway};
use bellwether_formats::id::{FeedId, PublicKey};

use super::super::{Admin, AdminError, Live, time};
use super::node;
use crate::condition::{Condition, ConditionKind, Subject};
use crate::config::Provider;
use crate::http::{TlsError, Validity};
use crate::init::{CODE_KEY, check};
use crate::keys::{self, KeyError};
use crate::publisher::{self, Places};
use crate::signer::{self, SignerPlace};

/// Time before its end in which a descriptor is to be renewed, in seconds (60 days).
const RENEW_S: u64 = 60 * 86_400;

/// Time before its end in which a certificate is to be renewed, in seconds (14 days): those of 90 days are
/// renewed a month before, so the renewal has failed by then.
const RENEW_CERTIFICATE_S: u64 = 14 * 86_400;

/// Conditions of the provider of this node.
pub(super) fn conditions(
    admin: &Admin,
    provider: &Provider,
    now: u64,
) -> Result<Vec<Condition>, AdminError> {
    let mut found = Vec::new();
    let descriptor = admin.descriptor()?;
    let end = time(descriptor.expires_at);
    let left = descriptor.expires_at.saturating_sub(now);
    if left == 0 {
        let text = format!("the descriptor expired at {end}");
        let expired = node(ConditionKind::DescriptorExpired, text);
        found.push(expired.since(descriptor.expires_at));
    } else if left < RENEW_S {
        let text = format!(
            "the descriptor expires at {end}, in {} days: renew it with the root key",
            left / 86_400
        );
        found.push(node(ConditionKind::DescriptorExpiring, text));
    }
    let own = admin.config.own_feeds()?;
    let undescribed = own
        .iter()
        .filter(|feed| !descriptor.zones.contains(&feed.zone));
    for feed in undescribed {
        let text = format!(
            "the descriptor does not name the zone `{}`: `descriptor renew` adds it",
            feed.zone
        );
        let kind = ConditionKind::ZoneUndescribed;
        found.push(Condition::new(kind, Subject::Feed(feed.clone()), text));
    }
    for (url, text) in check::refused_by_phones(&descriptor.gateways) {
        let kind = ConditionKind::GatewayRefused;
        found.push(Condition::new(kind, Subject::Name(url), text));
    }
    if descriptor.name != provider.name {
        let text = format!(
            "the descriptor names `{}`, node.toml `{}`: `descriptor renew` changes it",
            descriptor.name, provider.name
        );
        found.push(node(ConditionKind::NameDiffers, text));
    }
    for feed in publisher::closed(&admin.store, provider.id()?, &own)? {
        let waits = admin.store.pending(&feed.zone)?;
        let text = format!("{waits} notifications wait in `{}`", feed.zone);
        found.push(Condition::new(
            ConditionKind::ZoneClosed,
            Subject::Feed(feed),
            text,
        ));
    }
    for (what, name) in [
        ("the root key", keys::ROOT),
        ("the next root key", keys::NEXT_ROOT),
    ] {
        let path = admin.dir.join(name);
        if path.exists() {
            let text = format!(
                "{what} is on this machine: take `{}` offline",
                path.display()
            );
            let kind = ConditionKind::RootKeyOnline;
            found.push(Condition::new(kind, Subject::File(path), text));
        }
    }
    found.extend(key_conditions(admin, &descriptor, now));
    if let (Some(cert), Some(key)) = (&provider.intake.tls_cert, &provider.intake.tls_key) {
        let told = certificate(Validity::of(cert, key), now);
        let of = Subject::File(cert.clone());
        found.extend(told.map(|(kind, since, text)| Condition {
            since,
            ..Condition::new(kind, of, text)
        }));
    }
    found.extend(ledger_conditions(admin, provider)?);
    Ok(found)
}

/// Says that no peer shows the newest batch of a zone of one's own, where a relay is to carry it. A node
/// without peers hears that instead.
pub(super) fn not_relayed(
    admin: &Admin,
    live: &Live,
    feed: &FeedId,
) -> Result<Option<Condition>, AdminError> {
    let status = live.relay.feeds.get(feed);
    let Some(since) = status.and_then(|status| status.not_relayed) else {
        return Ok(None);
    };
    let peers = live.relay.peers;
    let named = !admin.config.network.bootstrap.is_empty();
    let expected = match peers {
        // `no-peers` says it.
        0 if named => false,
        0 => {
            let descriptor = admin.descriptor()?;
            of_others(&descriptor.gateways, &admin.config.operator)
        }
        _ => true,
    };
    let plural = if peers == 1 { "" } else { "s" };
    let text = format!("{peers} peer{plural}, none of which shows the newest batch");
    let kind = ConditionKind::ZoneNotRelayed;
    let told = Condition::new(kind, Subject::Feed(feed.clone()), text).since(since);
    Ok(expected.then_some(told))
}

/// Tells if somebody else runs one of these gateways.
fn of_others(gateways: &[Gateway], operator: &str) -> bool {
    let mut operators = gateways.iter().map(|gateway| gateway.operator.trim());
    operators.any(|named| named != operator.trim())
}

/// Looks for the keys: a node that runs has them in memory and would not come up again.
fn key_conditions(admin: &Admin, descriptor: &Descriptor, now: u64) -> Vec<Condition> {
    let mut found = Vec::new();
    let signing = Places::of(&admin.dir).keys;
    let usable = match keys::load_signing(&signing) {
        Ok(here) => {
            let here: Vec<PublicKey> = here.iter().map(keys::public).collect();
            keys::usable(descriptor, &here, now).map_err(|why| why.to_string())
        }
        Err(error) => Err(with_cause(&error)),
    };
    // Its keys are over with a descriptor, which is said already.
    if let Err(why) = usable
        && now < descriptor.expires_at
    {
        let kind = ConditionKind::SigningKeyMissing;
        found.push(Condition::new(kind, Subject::File(signing), why));
    }
    let code = admin.dir.join(CODE_KEY);
    if let Err(error) = keys::load(&code) {
        let kind = ConditionKind::CodeKeyMissing;
        found.push(Condition::new(
            kind,
            Subject::File(code),
            with_cause(&error),
        ));
    }
    found
}

fn with_cause(error: &KeyError) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// Condition of a certificate, the time since when it holds, and its text.
fn certificate(
    read: Result<Validity, TlsError>,
    now: u64,
) -> Option<(ConditionKind, Option<u64>, String)> {
    let broken = ConditionKind::CertificateBroken;
    let validity = match read {
        Ok(validity) => validity,
        Err(error) => return Some((broken, None, error.to_string())),
    };
    let Validity {
        not_before,
        not_after,
    } = validity;
    if now < not_before {
        let text = format!("the certificate counts from {} on", time(not_before));
        return Some((broken, None, text));
    }
    if now > not_after {
        let text = format!("the certificate ended at {}", time(not_after));
        return Some((broken, Some(not_after), text));
    }
    let left = not_after - now;
    let text = format!(
        "the certificate ends at {}, in {} days",
        time(not_after),
        left / 86_400
    );
    let soon = left <= RENEW_CERTIFICATE_S;
    soon.then_some((ConditionKind::CertificateExpiring, None, text))
}

/// Reasons for which the signer would not sign for this directory, found without its lock.
fn ledger_conditions(admin: &Admin, provider: &Provider) -> Result<Vec<Condition>, AdminError> {
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
    let refuses = |fault| node(ConditionKind::LedgerRefuses, fault);
    Ok(faults.into_iter().map(refuses).collect())
}

#[cfg(test)]
mod tests;
