//! What the node is and does, for people and monitors.

use bellwether_formats::id::FeedId;
use bellwether_formats::share::Share;
use serde_json::{Value, json};

use super::{Admin, AdminError, Live, check, time};
use crate::config::Privacy;
use crate::cost::zone::{Lately, Newest};
use crate::store::FeedHead;

/// Most batches of a feed whose faults are told.
const MAX_FAULTY: usize = 16;

/// Answers `status`: identity, feeds, sizes, and what is wrong at a glance.
pub(super) fn status(admin: &Admin, live: Option<&Live>, now: u64) -> Result<Value, AdminError> {
    let own = admin.config.own_feeds()?;
    let mut feeds = Vec::new();
    for feed in admin.config.carried()? {
        let head = admin.store.head(&feed)?;
        let own = own.contains(&feed);
        let mut told = json!({
            "provider": feed.provider.to_string(),
            "zone": feed.zone.as_str(),
            "own": own,
            "seq": head.as_ref().map(|head| head.head.seq),
            "epoch": head.as_ref().map(|head| head.head.epoch),
            "cid": head.as_ref().and_then(|head| head.row.cid().ok()).map(|cid| cid.to_string()),
            "published_at": head.as_ref().map(|head| time(head.head.published_at)),
            "next_by": head.as_ref().map(|head| time(head.head.next_by)),
            "stale": head.as_ref().is_none_or(|head| now > head.head.next_by),
            "forked": admin.store.is_forked(&feed)?,
            "faults": faults(admin, &feed)?,
            "pending": if own { Some(admin.store.pending(&feed.zone)?) } else { None },
        });
        if let (Some(told), Some(Value::Object(zone))) = (
            told.as_object_mut(),
            zone(admin, &feed, head.as_ref(), now)?,
        ) {
            told.extend(zone);
        }
        feeds.push(told);
    }
    let provider = admin.config.provider.as_ref();
    let info = live.map(|live| &live.info);
    let share = info.and_then(|info| info.get("share")).cloned();
    let mut answer = json!({
        "running": live.is_some(),
        "provider": provider.map(|provider| &provider.id),
        "name": provider.map(|provider| &provider.name),
        "operator": admin.config.operator,
        "share": match share {
            Some(share) => share,
            None => share_offline(admin)?.map_or(Value::Null, Value::String),
        },
        "addresses": info,
        "network": live.map(network),
        "feeds": feeds,
        "used_bytes": admin.store.used_bytes()?,
        "max_bytes": admin.config.retain.max_bytes,
        "file_bytes": admin.file_bytes(),
    });
    if let Some(answer) = answer.as_object_mut() {
        answer.extend(check::members(&admin.look(live, now)?));
    }
    Ok(answer)
}

/// Numbers of the network, for an operator.
fn network(live: &Live) -> Value {
    let (network, relay) = (&live.network, &live.relay);
    let too_large = relay.too_large().into_iter().map(|(feed, seq)| {
        json!({ "provider": feed.provider.to_string(), "zone": feed.zone.as_str(), "seq": seq })
    });
    let too_large: Vec<Value> = too_large.collect();
    json!({
        "peers": network.peers,
        "rejected": relay.rejected,
        "batches_checked": relay.checked,
        "batches_faulty": relay.faulty,
        "batches_too_large": too_large,
        "dropped": network.gossip_dropped,
        "requests_refused": network.requests_refused,
        "connections_hung": network.connections_hung,
        "peers_silent": network.peers_silent,
    })
}

/// How a zone of one's own is published, what that costs clients, and whom it hides.
fn zone(
    admin: &Admin,
    feed: &FeedId,
    head: Option<&FeedHead>,
    now: u64,
) -> Result<Option<Value>, AdminError> {
    let Some(policy) = admin.policy(feed)? else {
        return Ok(None);
    };
    let lately = Lately::of(&admin.store, feed, policy.interval.as_secs(), now)?;
    let newest = Newest::of(&admin.store, &feed.zone)?;
    let last_batch = head.map(|head| {
        let cid = head.row.cid().ok().map(|cid| cid.to_string());
        json!({ "seq": head.head.seq, "cid": cid, "published_at": time(head.head.published_at) })
    });
    Ok(Some(json!({
        "mode": policy.privacy,
        "mode_beside": lately.beside(policy.privacy.mode()).map(Privacy::of),
        "bytes_client_day": lately.day.map(|day| day.bytes),
        "bytes_client_day_basis": lately.day.map(|day| day.basis.name()),
        "last_batch": last_batch,
        "patients": newest.and_then(|newest| newest.patients),
    })))
}

/// What is wrong with the sealed parts of a feed's kept batches, newest first: the provider is to
/// blame, and they are served all the same.
fn faults(admin: &Admin, feed: &FeedId) -> Result<Vec<Value>, AdminError> {
    let batches = admin.store.faulty_batches(feed, MAX_FAULTY)?;
    let faults = batches.iter().flat_map(|batch| {
        let faults = batch.faults.iter();
        faults.map(|fault| json!({ "seq": batch.seq, "part": fault.part, "rule": fault.rule }))
    });
    Ok(faults.collect())
}

/// The share string as far as it is known while the node is down.
fn share_offline(admin: &Admin) -> Result<Option<String>, AdminError> {
    let Ok(descriptor) = admin.descriptor() else {
        return Ok(None);
    };
    let share = Share {
        provider: descriptor.provider,
        zones: admin
            .config
            .own_feeds()?
            .into_iter()
            .map(|feed| feed.zone)
            .collect(),
        gateways: descriptor.gateways.clone(),
        peers: admin.config.network.external.clone(),
    };
    Ok(Some(share.to_string()))
}
