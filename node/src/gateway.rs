//! The node's public, read-only face over HTTP. Source: spec §8.
//!
//! What is asked is read from the path alone (`path`, pure), found in one snapshot of the store on
//! the blocking pool (`bundle`, `sealed`), and answered with what caches need (`conditional`,
//! `range`, pure). Private queries have a path and threads of their own (`pir`).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use bellwether_formats::cid::Cid;
use bellwether_formats::limit::{MAX_BLOCK_BYTES, MAX_CAR_BYTES, MAX_DESCRIPTOR_BYTES};
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tokio::time;

use crate::admin::AdminError;
use crate::condition::Condition;
use crate::http::Clock;
use crate::http::answer::{answer, later, refuse};
use crate::store::{Snapshot, Store, StoreError};

mod budget;
mod bundle;
mod conditional;
mod health;
mod path;
mod pir;
mod range;
mod sealed;

#[cfg(test)]
mod tests;

use budget::Budget;
use path::{PathError, Target};
use pir::Pir;
use range::Range;

/// Most reads of the store at once. More would wait for the same disk, on more threads.
const READS: usize = 8;

/// Most bytes of answers in memory at once (96 MiB): what is being put together and what slow
/// peers have not yet taken.
const ANSWER_BYTES: usize = 96 * 1024 * 1024;

/// Longest wait for a place among the reads, and for memory, before `busy`.
const PATIENCE: Duration = Duration::from_secs(5);

/// A head changes at any time: what names it is kept for a minute at most, in seconds.
const MAX_AGE: u64 = 60;

/// Memory that a bundle takes while it is made: its blocks, and the bundle.
const BUNDLE_BYTES: usize = 2 * (MAX_CAR_BYTES + MAX_BLOCK_BYTES);

const RAW: &str = "application/vnd.ipld.raw";
const CAR: &str = "application/vnd.ipld.car; version=1";
const DAG_CBOR: &str = "application/vnd.ipld.dag-cbor";

/// Tells what is wrong with the node at a time; it may read the store.
pub type Look = Arc<dyn Fn(u64) -> Result<Vec<Condition>, AdminError> + Send + Sync>;

/// What the gateway serves from.
#[derive(Clone)]
pub struct GatewayState {
    /// The node's store; only read.
    pub store: Store,
    /// Tells the time.
    pub clock: Clock,
    /// Most bytes of blocks that the store shall keep, for `/health`.
    pub max_bytes: u64,
    /// Tells what is wrong, for `/health`.
    pub conditions: Look,
}

impl fmt::Debug for GatewayState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GatewayState")
    }
}

/// The gateway at work. Clones are the same.
#[derive(Clone)]
struct Gateway(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Clock,
    disk: health::Disk,
    conditions: Look,
    reads: Arc<Semaphore>,
    budget: Budget,
    pir: Pir,
}

impl Gateway {
    fn new(state: GatewayState, pir: pir::Limits) -> Self {
        Self(Arc::new(Inner {
            store: state.store,
            clock: state.clock,
            disk: health::Disk::new(state.max_bytes),
            conditions: state.conditions,
            reads: Arc::new(Semaphore::new(READS)),
            budget: Budget::new(ANSWER_BYTES),
            pir: Pir::new(pir),
        }))
    }

    fn now(&self) -> u64 {
        (self.0.clock)()
    }

    /// Reads a snapshot on the blocking pool.
    async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Snapshot) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Trouble> {
        let store = self.0.store.clone();
        self.block(move || Ok(job(&store.snapshot()?)?)).await
    }

    /// Does what may read the disk on the blocking pool.
    async fn block<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, Trouble> {
        let place = Arc::clone(&self.0.reads).acquire_owned();
        let place = time::timeout(PATIENCE, place).await;
        let place = place.map_err(|_| Trouble::Busy)?;
        let read = tokio::task::spawn_blocking(move || {
            // Held until the read is done, also if the peer has long gone.
            let _place = place;
            job()
        });
        read.await.map_err(|_| Trouble::Panic)?
    }
}

/// Why the gateway cannot answer now.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error("too many requests at once")]
    Busy,
    #[error("a read did not end")]
    Panic,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The gateway. It answers every path, those with 404 too that it does not know.
pub fn router(state: GatewayState) -> Router {
    routes(Gateway::new(state, pir::Limits::default()))
}

fn routes(gateway: Gateway) -> Router {
    Router::new().fallback(serve).with_state(gateway)
}

async fn serve(State(gateway): State<Gateway>, request: Request) -> Response {
    let (asked, body) = request.into_parts();
    let query = path::query(&asked.uri);
    let methods = if query.is_some() { "POST" } else { "GET, HEAD" };
    let mut answer = match (&asked.method, query) {
        (&Method::GET | &Method::HEAD, None) => look_up(&gateway, &asked).await,
        (&Method::POST, Some(Ok(index))) => {
            let answered = pir::query(&gateway, &asked, body, index).await;
            answered.unwrap_or_else(trouble)
        }
        (&Method::POST, Some(Err(error))) => refuse(error.status(), error.rule(), error),
        (&Method::OPTIONS, _) if asked.headers.contains_key(PREFLIGHT) => preflight(methods),
        _ => {
            let message = format!("this resource is for {methods}");
            let mut answer = refuse(StatusCode::METHOD_NOT_ALLOWED, "method", message);
            let allow = HeaderValue::from_static(methods);
            answer.headers_mut().insert(header::ALLOW, allow);
            answer
        }
    };
    // Public data, the same for everybody: a page of any origin may read it.
    let fields = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            "ETag, Content-Range, Accept-Ranges, Retry-After",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in fields {
        let value = HeaderValue::from_static(value);
        answer.headers_mut().insert(name, value);
    }
    answer
}

const PREFLIGHT: header::HeaderName = header::ACCESS_CONTROL_REQUEST_METHOD;

/// Tells a browser that its page may send validators and ranges, or a mask.
fn preflight(methods: &'static str) -> Response {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    let fields = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, methods),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Accept, Content-Type, If-None-Match, If-Range, Range",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    for (name, value) in fields {
        let value = HeaderValue::from_static(value);
        answer.headers_mut().insert(name, value);
    }
    answer
}

async fn look_up(gateway: &Gateway, asked: &Parts) -> Response {
    let target = match path::parse(&asked.uri, &asked.headers) {
        Ok(target) => target,
        Err(error) => return refuse(error.status(), error.rule(), error),
    };
    let found = match target {
        Target::Block(cid) => block(gateway, asked, cid).await,
        Target::Sealed(index) => body(gateway, asked, index).await,
        Target::Heads(zone) => {
            let make = move |snapshot: &Snapshot| bundle::heads(snapshot, &zone).map(Some);
            made(gateway, asked, CAR, BUNDLE_BYTES, make).await
        }
        Target::After(feed, seq) => {
            let make = move |snapshot: &Snapshot| bundle::after(snapshot, &feed, seq);
            made(gateway, asked, CAR, BUNDLE_BYTES, make).await
        }
        Target::Descriptor(provider) => {
            let make = move |snapshot: &Snapshot| bundle::descriptor(snapshot, &provider);
            made(gateway, asked, DAG_CBOR, MAX_DESCRIPTOR_BYTES, make).await
        }
        Target::Health => health::answer(gateway).await,
    };
    match found {
        Ok(Some(answer)) => answer,
        Ok(None) => {
            let error = PathError::NotFound;
            refuse(error.status(), error.rule(), error)
        }
        Err(error) => trouble(error),
    }
}

fn trouble(error: Trouble) -> Response {
    if matches!(error, Trouble::Busy) {
        return later(StatusCode::SERVICE_UNAVAILABLE, "busy", error, 5);
    }
    tracing::error!(%error, "the gateway cannot read the store");
    let message = "the store is not available";
    later(StatusCode::SERVICE_UNAVAILABLE, "store", message, 30)
}

/// A block never changes: it is kept for ever, and asked for in ranges.
async fn block(gateway: &Gateway, asked: &Parts, cid: Cid) -> Result<Option<Response>, Trouble> {
    let memory = gateway.0.budget.reserve(MAX_BLOCK_BYTES).await;
    let memory = memory.ok_or(Trouble::Busy)?;
    let bytes = gateway.read(move |snapshot| snapshot.bytes(&cid)).await?;
    let Some(bytes) = bytes.map(|bytes| memory.hold(bytes)) else {
        return Ok(None);
    };
    let etag = format!("\"{cid}.raw\"");
    let mut answer = if conditional::is_known(&asked.headers, &etag) {
        not_modified()
    } else {
        ranged(asked, &etag, bytes)
    };
    for_ever(&mut answer, &etag, "bytes");
    Ok(Some(answer))
}

/// A sealed part's index and chunks in one answer; they never change either.
async fn body(gateway: &Gateway, asked: &Parts, index: Cid) -> Result<Option<Response>, Trouble> {
    let memory = gateway.0.budget.reserve(sealed::CAR_BYTES).await;
    let memory = memory.ok_or(Trouble::Busy)?;
    let made = gateway.read(move |snapshot| sealed::bundle(snapshot, &index));
    let Some(bytes) = made.await?.map(|bytes| memory.hold(bytes)) else {
        return Ok(None);
    };
    let etag = format!("\"{index}.car\"");
    let mut answer = if conditional::is_known(&asked.headers, &etag) {
        not_modified()
    } else {
        answer(StatusCode::OK, CAR, bytes)
    };
    for_ever(&mut answer, &etag, "none");
    Ok(Some(answer))
}

/// Says that an answer never changes, and in what ranges it may be asked for.
fn for_ever(answer: &mut Response, etag: &str, ranges: &'static str) {
    let fields = answer.headers_mut();
    let immutable = HeaderValue::from_static("public, max-age=29030400, immutable");
    fields.insert(header::CACHE_CONTROL, immutable);
    fields.insert(header::ACCEPT_RANGES, HeaderValue::from_static(ranges));
    set_etag(fields, etag);
}

fn ranged(asked: &Parts, etag: &str, bytes: Bytes) -> Response {
    let whole = bytes.len();
    let range = if asked.method == Method::GET && conditional::range_counts(&asked.headers, etag) {
        range::parse(asked.headers.get(header::RANGE), whole)
    } else {
        Range::Whole
    };
    let (status, said, bytes) = match range {
        Range::Whole => return answer(StatusCode::OK, RAW, bytes),
        Range::Part(part) => (
            StatusCode::PARTIAL_CONTENT,
            format!("bytes {}-{}/{whole}", part.start, part.end - 1),
            bytes.slice(part),
        ),
        Range::Unsatisfiable => (
            StatusCode::RANGE_NOT_SATISFIABLE,
            format!("bytes */{whole}"),
            Bytes::new(),
        ),
    };
    let mut answer = answer(status, RAW, bytes);
    if let Ok(said) = HeaderValue::try_from(said) {
        answer.headers_mut().insert(header::CONTENT_RANGE, said);
    }
    answer
}

/// Bytes put together from the store, and until when they say the newest.
struct Made {
    bytes: Vec<u8>,
    /// In seconds of UTC.
    fresh_until: u64,
}

/// What changes with the feeds: known by its hash, kept for a minute and never past its time.
async fn made(
    gateway: &Gateway,
    asked: &Parts,
    kind: &'static str,
    memory: usize,
    make: impl FnOnce(&Snapshot) -> Result<Option<Made>, StoreError> + Send + 'static,
) -> Result<Option<Response>, Trouble> {
    let memory = gateway.0.budget.reserve(memory).await;
    let memory = memory.ok_or(Trouble::Busy)?;
    let made = gateway.read(move |snapshot| {
        let made = make(snapshot)?;
        Ok(made.map(|made| (Sha256::digest(&made.bytes), made)))
    });
    let Some((hash, made)) = made.await? else {
        return Ok(None);
    };
    let etag = format!("\"{}\"", HEXLOWER.encode(&hash));
    let mut answer = if conditional::is_known(&asked.headers, &etag) {
        not_modified()
    } else {
        answer(StatusCode::OK, kind, memory.hold(made.bytes))
    };
    let max_age = made.fresh_until.saturating_sub(gateway.now()).min(MAX_AGE);
    let fields = answer.headers_mut();
    if let Ok(kept) = HeaderValue::try_from(format!("public, max-age={max_age}")) {
        fields.insert(header::CACHE_CONTROL, kept);
    }
    set_etag(fields, &etag);
    Ok(Some(answer))
}

fn not_modified() -> Response {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::NOT_MODIFIED;
    answer
}

fn set_etag(fields: &mut HeaderMap, etag: &str) {
    if let Ok(etag) = HeaderValue::try_from(etag) {
        fields.insert(header::ETAG, etag);
    }
}
