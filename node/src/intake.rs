//! What a provider takes in: who may submit, and what counts as well submitted.
//!
//! `POST /v1/reports` runs down one slope, cheap to dear, and the code comes last: body, type,
//! address, shape, publisher, signatures, then the code, then the disk. Nobody learns of a code
//! without a well-signed report, and every wrong one counts. Source: spec §10.
//!
//! No log line holds an address, a code or a seed.

pub mod code;
pub mod professional;
pub mod report;

mod body;
mod refusal;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use bellwether_formats::id::Scheme;
use bellwether_formats::scheme::cx::{Generator, calculate_seed};
use serde_json::json;
use tokio::sync::{Notify, Semaphore};

use self::body::Received;
use self::code::CodeKey;
use self::code::guesses::Guesses;
use self::refusal::Refusal;
use self::report::{Item, SeedReport};
use crate::http::{Clock, answer};
use crate::store::{Accepted, Mode, Store, SubmittedUnit};

/// Reports that wait for a core, for each core; one more is `busy`. A core verifies the dearest
/// report (64 RSA signatures) in some ten milliseconds, so that the last one waits a second.
const WAITING_PER_CORE: usize = 32;

/// What the intake decides by. Clones are the same.
#[derive(Clone)]
pub struct IntakeState(Arc<Inner>);

struct Inner {
    store: Store,
    publisher: String,
    code_key: CodeKey,
    accepted: Arc<Notify>,
    clock: Clock,
    guesses: Mutex<Guesses>,
    modes: BTreeMap<String, Mode>,
    /// Reports in work or waiting for it.
    admitted: Arc<Semaphore>,
    /// Reports in work: as many as there are cores, so that a flood leaves the rest of the node
    /// its share.
    working: Arc<Semaphore>,
}

impl IntakeState {
    /// An intake for the provider `publisher` (its descriptor's `name`), which publishes zones as
    /// `modes` says. `accepted` is notified when there are new notifications to publish.
    pub fn new(
        store: Store,
        publisher: String,
        modes: BTreeMap<String, Mode>,
        code_key: CodeKey,
        accepted: Arc<Notify>,
        clock: Clock,
        behind_proxy: bool,
    ) -> Self {
        let guesses = Guesses::new(now()).behind_proxy(behind_proxy);
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Inner {
            store,
            publisher,
            code_key,
            accepted,
            clock,
            guesses: Mutex::new(guesses),
            modes,
            admitted: Arc::new(Semaphore::new(cores * (1 + WAITING_PER_CORE))),
            working: Arc::new(Semaphore::new(cores)),
        }))
    }
}

impl fmt::Debug for IntakeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IntakeState")
    }
}

/// The intake. It answers every path, those with 404 too that it does not know.
pub fn router(state: IntakeState) -> Router {
    Router::new().fallback(serve).with_state(state)
}

/// Reads the clock that limits on guessing run by.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

async fn serve(State(state): State<IntakeState>, request: Request) -> Response {
    match post(state, request).await {
        Ok(accepted) => answer::json(StatusCode::OK, &said(accepted)),
        Err(refusal) => {
            tracing::debug!(rule = refusal.rule(), "report refused");
            refusal.into_response()
        }
    }
}

fn said(accepted: Accepted) -> serde_json::Value {
    if accepted.known == 0 {
        json!({"accepted": accepted.new})
    } else {
        json!({"accepted": accepted.new, "known": accepted.known})
    }
}

async fn post(state: IntakeState, request: Request) -> Result<Accepted, Refusal> {
    let (asked, body) = request.into_parts();
    if asked.uri.path() != "/v1/reports" {
        return Err(Refusal::NotFound);
    }
    if asked.method != Method::POST {
        return Err(Refusal::Method);
    }
    // Read to its end before anything is refused: who still sends does not read the answer.
    let received = body::receive(&asked.headers, body).await;
    if !is_report(&asked.headers) {
        return Err(Refusal::MediaType);
    }
    let body = match received {
        Received::Whole(body) => body,
        Received::TooLarge => return Err(Refusal::TooLarge { close: false }),
        Received::Endless => return Err(Refusal::TooLarge { close: true }),
        Received::Broken => return Err(Refusal::Broken),
    };
    let address = match asked.extensions.get::<ConnectInfo<SocketAddr>>() {
        Some(ConnectInfo(peer)) => peer.ip(),
        None => Ipv4Addr::UNSPECIFIED.into(),
    };
    state.check_guesses(address)?;

    let admitted = Arc::clone(&state.0.admitted).try_acquire_owned();
    let admitted = admitted.map_err(|_| Refusal::Busy)?;
    let working = Arc::clone(&state.0.working).acquire_owned().await;
    let working = working.map_err(|_| Refusal::Busy)?;
    let intake = state.clone();
    let judged = tokio::task::spawn_blocking(move || {
        // They are held until the work is done, also if the peer has long gone.
        let _places = (admitted, working);
        intake.judge(&body, address)
    });
    let judged = judged.await;
    let accepted = judged.map_err(|_| Refusal::Panic)??;
    tracing::info!(
        new = accepted.new,
        known = accepted.known,
        "report accepted"
    );
    if accepted.new > 0 {
        state.0.accepted.notify_one();
    }
    Ok(accepted)
}

/// Whether the body is said to be what a report is; nothing said is good enough.
fn is_report(fields: &HeaderMap) -> bool {
    let said = |value: &HeaderValue| {
        let kind = value.to_str().unwrap_or_default().split(';').next();
        kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/octet-stream"))
    };
    fields.get_all(header::CONTENT_TYPE).iter().all(said)
}

impl IntakeState {
    fn check_guesses(&self, address: IpAddr) -> Result<(), Refusal> {
        Ok(self.guesses().check(address, now())?)
    }

    fn guesses(&self) -> std::sync::MutexGuard<'_, Guesses> {
        // Counting does not panic half-way.
        self.0
            .guesses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides on a report, and makes it durable. Waits for the disk.
    fn judge(&self, body: &[u8], address: IpAddr) -> Result<Accepted, Refusal> {
        // Only a well-signed report can be a guess: what is malformed costs nothing to send, and
        // would shut the intake for everybody behind the same address.
        let verified = SeedReport::parse(body)?.verify(&self.0.publisher)?;
        let hash = self.0.code_key.hash(&verified.code);
        let code = {
            // Under one lock, or a hundred guesses at once would count as one.
            let mut guesses = self.guesses();
            guesses.check(address, now())?;
            let Some(code) = self.0.store.code(hash.as_bytes())? else {
                guesses.failed(address, now());
                return Err(Refusal::Accept(crate::store::AcceptError::UnknownCode));
            };
            code
        };
        let mode = self.mode(&code.zone);
        let units = verified.items.iter().map(|item| unit(item, mode));
        let units = units.collect::<Result<Vec<_>, _>>()?;
        let at = (self.0.clock)();
        Ok(self.0.store.accept(hash.as_bytes(), &units, at)?)
    }
}

impl IntakeState {
    /// How what is new in a zone is to be published. In a zone that is no longer configured nothing
    /// is; should the same seed come for another one, it is not opened because of that.
    fn mode(&self, zone: &str) -> Mode {
        self.0.modes.get(zone).copied().unwrap_or(Mode::Sealed)
    }
}

/// The seed that a descriptor stands for.
fn unit(item: &Item, mode: Mode) -> Result<SubmittedUnit, Refusal> {
    let generator = Generator::from_code(item.generator.into()).ok_or(Refusal::Generator)?;
    let seed = calculate_seed(generator, &item.preseed, &item.spki)?;
    Ok(SubmittedUnit {
        scheme: Scheme(generator.code()),
        unit: seed.as_bytes().to_vec(),
        key: item.key_id(),
        mode,
    })
}
