//! Whether all is well, for whoever watches a node. Source: spec §8.6.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;
use tokio::sync::Mutex;

use super::{Gateway, Trouble};
use crate::http::answer;
use crate::store::FeedHead;

/// The store is called nearly full above this share of its cap, in percent.
const NEARLY_FULL_PERCENT: u64 = 95;

/// How long a count of bytes serves, in seconds: counting walks the store, and anybody may ask.
const COUNT_SERVES_S: u64 = 10;

/// Most feeds that a list names: an answer has an end.
const MAX_LISTED: usize = 1000;

/// How full the disk is, counted now and then.
pub(super) struct Disk {
    cap: u64,
    /// When it was last counted, and how many bytes there were. Who counts is waited for.
    counted: Mutex<Option<(u64, u64)>>,
}

impl Disk {
    pub(super) fn new(cap: u64) -> Self {
        Self {
            cap,
            counted: Mutex::new(None),
        }
    }

    fn is_nearly_full(&self, used: u64) -> bool {
        used.saturating_mul(100) > self.cap.saturating_mul(NEARLY_FULL_PERCENT)
    }
}

/// 200 while all is well, else 503; the same JSON.
pub(super) async fn answer(gateway: &Gateway) -> Result<Option<Response>, Trouble> {
    let now = gateway.now();
    let disk = &gateway.0.disk;
    let used = used_bytes(gateway, now).await?;
    let heads = gateway.read(|snapshot| snapshot.heads()).await?;
    let is_stale = |head: &&FeedHead| head.head.next_by < now;
    let stale: Vec<_> = heads
        .iter()
        .filter(is_stale)
        .take(MAX_LISTED)
        .map(|head| {
            json!({
                "provider": head.feed.provider.to_string(),
                "zone": head.feed.zone.as_str(),
                "next_by": head.head.next_by,
            })
        })
        .collect();
    let too_large: Vec<_> = (gateway.0.too_large)()
        .into_iter()
        .take(MAX_LISTED)
        .map(|(feed, seq)| {
            json!({
                "provider": feed.provider.to_string(),
                "zone": feed.zone.as_str(),
                "seq": seq,
            })
        })
        .collect();
    let ok = stale.is_empty() && too_large.is_empty() && !disk.is_nearly_full(used);
    let value = json!({
        "ok": ok,
        "feeds": heads.len(),
        "stale": stale,
        "too_large": too_large,
        "disk_bytes": used,
        "disk_cap_bytes": disk.cap,
    });
    let status = if ok {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    Ok(Some(answer::json(status, &value)))
}

async fn used_bytes(gateway: &Gateway, now: u64) -> Result<u64, Trouble> {
    let mut counted = gateway.0.disk.counted.lock().await;
    if let Some((at, used)) = *counted
        && now.checked_sub(at).is_some_and(|age| age < COUNT_SERVES_S)
    {
        return Ok(used);
    }
    let used = gateway.read(|snapshot| snapshot.used_bytes()).await?;
    *counted = Some((now, used));
    Ok(used)
}
