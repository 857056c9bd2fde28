//! Private queries: a mask of chunk numbers in, the XOR of those chunks out. Source: spec §8.7.
//!
//! A query costs a good part of a millisecond of one core, so it has threads of its own (`pool`), a
//! share for each peer (`peers`), and its chunks at hand (`bodies`). A mask is read, used and
//! forgotten: nothing here logs or keeps it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use bellwether_formats::cid::Cid;
use bellwether_formats::limit::MAX_MASK_BYTES;
use bellwether_formats::pir::PirError;
use http_body_util::BodyExt as _;
use tokio::time;

use super::path::PathError;
use super::{Gateway, Trouble, sealed};
use crate::http::answer::{answer, refuse};
use crate::store::{Store, StoreError};

mod bodies;
mod peers;
mod pool;

#[cfg(test)]
mod tests;

use bodies::Bodies;
use peers::{Peers, Share};
use pool::Pool;

/// Longest wait for a mask, which fits the packet of its head.
const MASK_PATIENCE: Duration = Duration::from_secs(10);

/// What queries may take of the process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Threads that answer.
    pub(super) workers: usize,
    /// Most queries that wait for a thread: the last of them then waits a tenth of a second for
    /// bodies in memory, and for others, of which each is read from the disk, a few seconds.
    pub(super) queue: usize,
    /// What one peer may take: 16 queries at once, 80 a second. A phone has one at a time, and some
    /// tens a day; a mobile network puts many thousand phones behind one address.
    pub(super) of_peer: Share,
    /// Most bytes of chunks kept in memory (30 MiB): four of the largest bodies.
    pub(super) body_bytes: usize,
    /// Longest wait for a mask.
    pub(super) patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self {
            workers: (cores / 2).max(1),
            queue: 128,
            of_peer: Share {
                places: 16,
                pace: Duration::from_millis(200),
                patience: Duration::from_secs(1),
            },
            body_bytes: 4 * sealed::MAX_BODY_BYTES,
            patience: MASK_PATIENCE,
        }
    }
}

/// What queries need.
pub(super) struct Pir {
    pool: Pool,
    peers: Peers,
    bodies: Bodies,
    patience: Duration,
}

/// What became of a query.
enum Outcome {
    Chunk(Vec<u8>),
    /// No index whose chunks are held.
    NotFound,
    Mask(PirError),
}

impl Pir {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            pool: Pool::new(limits.workers, limits.queue),
            peers: Peers::new(limits.of_peer),
            bodies: Bodies::new(limits.body_bytes),
            patience: limits.patience,
        }
    }
}

/// Answers a query.
pub(super) async fn query(
    gateway: &Gateway,
    asked: &Parts,
    body: Body,
    index: Cid,
) -> Result<Response, Trouble> {
    let pir = &gateway.0.pir;
    let mask = match time::timeout(pir.patience, receive(asked, body)).await {
        Ok(Ok(mask)) => mask,
        Ok(Err(refusal)) => return Ok(refusal),
        Err(_) => {
            let message = "the mask took too long";
            return Ok(closing(StatusCode::REQUEST_TIMEOUT, "timeout", message));
        }
    };
    // Counted from here on: who sends slowly takes no place from a neighbour.
    let place = pir.peers.enter(peer(asked)).await;
    let place = place.ok_or(Trouble::Busy)?;
    let (store, bodies) = (gateway.0.store.clone(), pir.bodies.clone());
    let job = move || {
        let _place = place;
        answer_of(&store, &bodies, index, &mask)
    };
    match pir.pool.run(job).await?? {
        Outcome::Chunk(chunk) => {
            let mut answer = answer(StatusCode::OK, "application/octet-stream", chunk);
            let no_store = HeaderValue::from_static("no-store");
            answer.headers_mut().insert(header::CACHE_CONTROL, no_store);
            Ok(answer)
        }
        Outcome::NotFound => {
            let error = PathError::NotFound;
            Ok(refuse(error.status(), error.rule(), error))
        }
        Outcome::Mask(error) => Ok(refuse(StatusCode::BAD_REQUEST, error.rule(), error)),
    }
}

fn answer_of(
    store: &Store,
    bodies: &Bodies,
    index: Cid,
    mask: &[u8],
) -> Result<Outcome, StoreError> {
    let Some(body) = bodies.of(store, index)? else {
        return Ok(Outcome::NotFound);
    };
    Ok(body.answer(mask).map_or_else(Outcome::Mask, Outcome::Chunk))
}

/// Reads what may be a mask; nothing more is awaited once it is too long.
async fn receive(asked: &Parts, mut body: Body) -> Result<Vec<u8>, Response> {
    let declared = asked.headers.get(header::CONTENT_LENGTH);
    let declared = declared.and_then(|len| len.to_str().ok()?.parse().ok());
    if declared.is_some_and(|len: usize| len > MAX_MASK_BYTES) {
        return Err(too_large());
    }
    let mut mask = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            let message = "the mask did not come whole";
            return Err(closing(StatusCode::BAD_REQUEST, "mask", message));
        };
        let data = frame.into_data().unwrap_or_default();
        if mask.len() + data.len() > MAX_MASK_BYTES {
            return Err(too_large());
        }
        mask.extend_from_slice(&data);
    }
    Ok(mask)
}

fn too_large() -> Response {
    let message = format!("a mask has {MAX_MASK_BYTES} bytes at most");
    closing(StatusCode::PAYLOAD_TOO_LARGE, "too-large", &message)
}

/// A refusal after which the connection ends, as some of the request is still to come.
fn closing(status: StatusCode, rule: &str, message: &str) -> Response {
    let mut answer = refuse(status, rule, message);
    let close = HeaderValue::from_static("close");
    answer.headers_mut().insert(header::CONNECTION, close);
    answer
}

/// Who asks. The accept loop always says; whom it did not name share one place.
fn peer(asked: &Parts) -> IpAddr {
    let peer = asked.extensions.get::<ConnectInfo<SocketAddr>>();
    peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.0.ip())
}
