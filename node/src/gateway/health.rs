//! Whether all is well, for whoever watches a node. Source: spec §8.6.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;
use tokio::sync::Mutex;

use super::{Gateway, Trouble};
use crate::condition::{Condition, no_error};
use crate::http::answer;

/// How long a count of bytes serves, in seconds: counting walks the store, and anybody may ask.
const COUNT_SERVES_S: u64 = 10;

/// Most conditions that the answer lists: an answer has an end.
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
}

/// 200 while nothing is an error, else 503; the same JSON.
pub(super) async fn answer(gateway: &Gateway) -> Result<Option<Response>, Trouble> {
    let now = gateway.now();
    let used = used_bytes(gateway, now).await?;
    let feeds = gateway.read(|snapshot| snapshot.heads()).await?.len();
    let look = Arc::clone(&gateway.0.conditions);
    let conditions = gateway.block(move || Ok(look(now)?)).await?;
    let ok = no_error(&conditions);
    let public = || conditions.iter().filter(|is| is.kind.is_public());
    let listed: Vec<_> = public()
        .take(MAX_LISTED)
        .map(Condition::public_json)
        .collect();
    let value = json!({
        "ok": ok,
        "feeds": feeds,
        "conditions": listed,
        "others": conditions.len() > public().count(),
        "disk_bytes": used,
        "disk_cap_bytes": gateway.0.disk.cap,
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
