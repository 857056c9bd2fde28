//! The conditions of a node that are found by looking, and the verb that prints them all.

use std::time::Duration;

use bellwether_formats::id::FeedId;
use serde_json::{Map, Value};

use super::{Admin, AdminError, Live, time, unreadable};
use crate::batcher::MAX_RUN_AHEAD_S;
use crate::clock::ClockStatus;
use crate::condition::{Condition, ConditionKind, Severity, Subject, no_error};
use crate::cost::zone::{Lately, Newest};

mod provider;

/// Most batches of the future that are looked for: more are told from the last of them on.
const MAX_AHEAD_TOLD: usize = 10_000;

/// Most faults of the store that are told.
const MAX_FAULTS: usize = 100;

/// Answers `check`: reads everything.
pub(super) fn check(admin: &Admin, live: Option<&Live>, now: u64) -> Result<Value, AdminError> {
    read_store(admin, now)?;
    let conditions = admin.look(live, now)?;
    Ok(Value::Object(members(&conditions)))
}

/// The members of an answer that print the list of conditions.
pub(super) fn members(conditions: &[Condition]) -> Map<String, Value> {
    let of = |severity: Severity| -> Vec<Value> {
        let some = conditions.iter();
        let some = some.filter(|condition| condition.kind.severity() == severity);
        some.map(|condition| condition.json(time)).collect()
    };
    let members = [
        ("ok", no_error(conditions).into()),
        ("errors", of(Severity::Error).into()),
        ("warnings", of(Severity::Warning).into()),
    ];
    members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Reads every batch and block. The outcome stays on the board until somebody reads them again.
fn read_store(admin: &Admin, now: u64) -> Result<(), AdminError> {
    let faults = admin.store.faults()?;
    if faults.is_empty() {
        let kind = ConditionKind::StoreBroken;
        admin.conditions.clear(kind, &Subject::Node);
        return Ok(());
    }
    let more = faults.len().saturating_sub(MAX_FAULTS);
    let mut text = faults
        .into_iter()
        .take(MAX_FAULTS)
        .collect::<Vec<String>>()
        .join("; ");
    if more > 0 {
        text.push_str(&format!("; {more} more"));
    }
    let kind = ConditionKind::StoreBroken;
    admin.conditions.raise(kind, Subject::Node, text, now);
    Ok(())
}

/// Every condition that heads, files, configuration and the state of the network show: quick enough
/// for a monitor.
pub(super) fn compute(
    admin: &Admin,
    live: Option<&Live>,
    now: u64,
) -> Result<Vec<Condition>, AdminError> {
    let mut found = Vec::new();
    if live.is_none() {
        let text = "peers, relays and what they have are unknown";
        found.push(node(ConditionKind::NotRunning, text));
    }
    found.extend(
        live.into_iter()
            .flat_map(|live| clock_conditions(&live.clock)),
    );
    let lost = crate::logging::lost();
    if lost > 0 && live.is_some() {
        let text = format!("{lost} lines since the start");
        found.push(node(ConditionKind::LogLost, text));
    }
    let named = admin.config.network.bootstrap.len();
    if let Some(since) = live.and_then(|live| live.relay.alone).filter(|_| named > 0) {
        let text = format!("0 peers, {named} in `network.bootstrap`");
        found.push(node(ConditionKind::NoPeers, text).since(since));
    }
    for feed in admin.config.carried()? {
        let of = |kind, text: String| Condition::new(kind, Subject::Feed(feed.clone()), text);
        let head = admin.store.head(&feed)?;
        match head.map(|head| head.head.next_by) {
            Some(next_by) if now > next_by => {
                let text = format!("the next batch was due at {}", time(next_by));
                found.push(of(ConditionKind::FeedStale, text).since(next_by));
            }
            Some(_) => {}
            None => found.push(of(ConditionKind::FeedEmpty, "no batch yet".to_owned())),
        }
        if admin.store.is_forked(&feed)? {
            let text = "the provider signed two batches of one number".to_owned();
            found.push(of(ConditionKind::FeedForked, text));
        }
        found.extend(batch_ahead(admin, &feed, now)?);
        let status = live.and_then(|live| live.relay.feeds.get(&feed));
        if let Some(seq) = status.and_then(|status| status.too_large) {
            let text = format!(
                "batch {seq} is not taken, nor any after it: it is larger than the disk cap \
                 (`retain.max_bytes`)"
            );
            found.push(of(ConditionKind::BatchTooLarge, text));
        }
        if let Some(live) = live {
            found.extend(provider::not_relayed(admin, live, &feed)?);
        }
        found.extend(cut(admin, &feed, now)?);
        found.extend(part_condition(admin, &feed)?);
        found.extend(zone_conditions(admin, &feed, now)?);
    }
    let (used, max) = (admin.store.used_bytes()?, admin.config.retain.max_bytes);
    if used > max / 20 * 19 {
        let file = admin.file_bytes();
        let text = format!("{used} bytes of blocks, the cap is {max}; the file has {file} bytes");
        found.push(node(ConditionKind::DiskCapNear, text));
    }
    found.extend(unreadable::unreadable(admin)?.into_iter().map(|path| {
        let text = format!("the node's user cannot read `{}`", path.display());
        Condition::new(ConditionKind::FileUnreadable, Subject::File(path), text)
    }));
    if let Some(provider) = &admin.config.provider {
        found.extend(provider::conditions(admin, provider, now)?);
    }
    Ok(found)
}

/// Conditions of the clock, or of those of others.
fn clock_conditions(clock: &ClockStatus) -> Vec<Condition> {
    let mut found = Vec::new();
    if let Some((doubt, since)) = &clock.doubt {
        found.push(node(ConditionKind::ClockInDoubt, doubt.to_string()).since(*since));
    }
    if let Some((providers, by)) = clock.ahead {
        let plural = if providers == 1 { "" } else { "s" };
        let text = format!(
            "batches of {providers} provider{plural} are dated up to {} ahead of this machine's clock",
            span(by)
        );
        found.push(node(ConditionKind::BatchesAhead, text));
    }
    found
}

/// A batch of one's own that the clock has not caught up with: nothing can follow it until then.
fn batch_ahead(admin: &Admin, feed: &FeedId, now: u64) -> Result<Option<Condition>, AdminError> {
    let limit = now.saturating_add(MAX_RUN_AHEAD_S);
    let own = admin.config.own_feeds()?.contains(feed);
    let head = admin.store.head(feed)?.filter(|_| own);
    let Some(head) = head.filter(|head| head.head.published_at > limit) else {
        return Ok(None);
    };
    let newest = admin.store.rows_since(feed, limit, MAX_AHEAD_TOLD)?;
    let ahead = newest.iter().take_while(|row| row.published_at > limit);
    let first = ahead.last().map_or(head.head.seq, |row| row.seq);
    let text = format!(
        "the batches from {first} on are dated ahead of this machine's clock; the newest, batch {}, of \
         {}, {} ahead",
        head.head.seq,
        time(head.head.published_at),
        span(head.head.published_at - now)
    );
    let kind = ConditionKind::OwnBatchAhead;
    Ok(Some(Condition::new(
        kind,
        Subject::Feed(feed.clone()),
        text,
    )))
}

/// Batches that were deleted for want of room and are missed.
fn cut(admin: &Admin, feed: &FeedId, now: u64) -> Result<Option<Condition>, AdminError> {
    let oldest = admin.store.rows_after(feed, 0, 1)?;
    let oldest = oldest.first().map(|row| row.seq);
    let max_age = admin.config.retain.max_age.as_secs();
    let Some(cut) = admin.store.cut(feed)? else {
        return Ok(None);
    };
    let missed = cut.missed_until(oldest, max_age, now).map(|until| {
        let text = format!(
            "batches up to {} were deleted because {} bytes (`retain.max_bytes`) have no room for \
             them; they are missed until {}",
            cut.seq,
            admin.config.retain.max_bytes,
            time(until)
        );
        Condition::new(
            ConditionKind::CapInRetention,
            Subject::Feed(feed.clone()),
            text,
        )
    });
    Ok(missed)
}

/// A span of time as people write it, to the minute.
fn span(seconds: u64) -> String {
    let minutes = Duration::from_secs(seconds / 60 * 60);
    humantime::format_duration(minutes).to_string()
}

/// Sealed parts that break rules: an error for whoever published them, and for others to know.
fn part_condition(admin: &Admin, feed: &FeedId) -> Result<Option<Condition>, AdminError> {
    let newest = admin.store.faulty_batches(feed, 1)?;
    let Some((seq, fault)) = newest
        .first()
        .and_then(|b| Some((b.seq, b.faults.first()?)))
    else {
        return Ok(None);
    };
    let text = format!(
        "part {} of batch {seq} is broken (`{}`); the provider is to blame",
        fault.part, fault.rule
    );
    let kind = match admin.config.own_feeds()?.contains(feed) {
        true => ConditionKind::OwnPartBroken,
        false => ConditionKind::PartBroken,
    };
    Ok(Some(Condition::new(
        kind,
        Subject::Feed(feed.clone()),
        text,
    )))
}

/// What a zone of one's own costs its clients, and whether its patients hide among each other.
fn zone_conditions(admin: &Admin, feed: &FeedId, now: u64) -> Result<Vec<Condition>, AdminError> {
    let Some(policy) = admin.policy(feed)? else {
        return Ok(Vec::new());
    };
    let lately = Lately::of(&admin.store, feed, policy.interval.as_secs(), now)?;
    let newest = Newest::of(&admin.store, &feed.zone)?;
    let advice = [
        (ConditionKind::ZoneCost, lately.advice()),
        (
            ConditionKind::FewPatients,
            newest.and_then(|newest| newest.advice()),
        ),
    ];
    let given = advice
        .into_iter()
        .filter_map(|(kind, text)| Some((kind, text?)));
    Ok(given
        .map(|(kind, text)| Condition::new(kind, Subject::Feed(feed.clone()), text))
        .collect())
}

fn node(kind: ConditionKind, text: impl Into<String>) -> Condition {
    Condition::new(kind, Subject::Node, text)
}
