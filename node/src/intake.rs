//! What a provider takes in: who may submit, and what counts as well submitted.
//!
//! Every path runs down one slope, cheap to dear, and the code comes last: body, type, address,
//! shape, signatures, then the code, then the disk. Nobody learns of a code without a well-formed
//! report, and every wrong one counts. Source: spec §10.
//!
//! No log line holds an address, a code, a token or a unit.

pub mod code;
pub mod professional;
pub mod proof;
pub mod report;
pub mod submissions;
pub mod submitters;

mod body;
mod refusal;
mod reports;
mod tcn;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::response::Response;
use bellwether_formats::id::{Scheme, Zone};
use tokio::sync::{Notify, Semaphore};

use self::body::{Bounds, Received, Whole};
use self::code::guesses::Guesses;
use self::code::{CodeHash, CodeKey};
use self::refusal::Refusal;
use self::submitters::Submitters;
use crate::http::Clock;
use crate::store::{AcceptError, CodeRow, Mode, Store};

/// Requests that wait for a core, for each core; one more is `busy`. A core verifies the dearest
/// report (64 RSA signatures) in some ten milliseconds, so that the last one waits a second.
const WAITING_PER_CORE: usize = 32;

/// Bodies of phones above [`body::SMALL_BYTES`] in memory at once; one more is `busy`. 64 MiB.
const LARGE_OF_PHONES: usize = 64;

/// Bodies of systems above [`body::SMALL_BYTES`] in memory at once; one more is `busy`. 32 MiB, and
/// as much for their answers.
const LARGE_OF_SYSTEMS: usize = 4;

/// What an intake is made of.
pub struct Setup {
    /// Where what is accepted is kept.
    pub store: Store,
    /// The provider's name in its descriptor, to which seed reports are addressed.
    pub publisher: String,
    /// How zones are published, by their names.
    pub modes: BTreeMap<String, Mode>,
    /// The key that codes are hashed with.
    pub code_key: CodeKey,
    /// Notified when there are new notifications to publish.
    pub accepted: Arc<Notify>,
    /// Tells the time.
    pub clock: Clock,
    /// Whether it speaks plain HTTP, to a proxy that ends TLS.
    pub behind_proxy: bool,
    /// The file of the systems that may submit.
    pub submitters: Option<PathBuf>,
    /// The zone for TCN reports without a code. Absent: they are refused.
    pub tcn_self_reports: Option<Zone>,
}

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
    submitters: Option<Submitters>,
    self_reports: Option<tcn::SelfReports>,
    /// Held from the look at a code until it is used: of two phones that use it at once, one is
    /// the first.
    codes: Mutex<()>,
    /// Requests in work or waiting for it.
    admitted: Arc<Semaphore>,
    /// Requests in work: as many as there are cores, so that a flood leaves the rest of the node
    /// its share.
    working: Arc<Semaphore>,
    large_of_phones: Arc<Semaphore>,
    large_of_systems: Arc<Semaphore>,
}

impl IntakeState {
    /// An intake.
    pub fn new(setup: Setup) -> Self {
        let guesses = Guesses::new(now()).behind_proxy(setup.behind_proxy);
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let self_reports = setup
            .tcn_self_reports
            .map(|zone| tcn::SelfReports::new(zone, now(), setup.behind_proxy));
        Self(Arc::new(Inner {
            store: setup.store,
            publisher: setup.publisher,
            code_key: setup.code_key,
            accepted: setup.accepted,
            clock: setup.clock,
            guesses: Mutex::new(guesses),
            modes: setup.modes,
            submitters: setup.submitters.map(Submitters::new),
            self_reports,
            codes: Mutex::new(()),
            admitted: Arc::new(Semaphore::new(cores * (1 + WAITING_PER_CORE))),
            working: Arc::new(Semaphore::new(cores)),
            large_of_phones: Arc::new(Semaphore::new(LARGE_OF_PHONES)),
            large_of_systems: Arc::new(Semaphore::new(LARGE_OF_SYSTEMS)),
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

async fn serve(State(state): State<IntakeState>, request: Request) -> Response {
    let answered = match request.uri().path() {
        "/v1/reports" => reports::post(state, request).await,
        "/v1/submissions" => submissions::post(state, request).await,
        "/v1/tcn" => tcn::post(state, request).await,
        _ => Err(Refusal::NotFound),
    };
    answered.unwrap_or_else(|refusal| {
        tracing::debug!(rule = refusal.rule(), "refused");
        refusal.into_response()
    })
}

/// Reads the clock that limits run by.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Who sent a request.
fn address_of(request: &Request) -> IpAddr {
    match request.extensions().get::<ConnectInfo<SocketAddr>>() {
        Some(ConnectInfo(peer)) => peer.ip(),
        None => Ipv4Addr::UNSPECIFIED.into(),
    }
}

/// Reads what was posted to a path that takes `kind`.
async fn receive(
    request: Request,
    kind: &'static str,
    bounds: &Bounds,
) -> Result<(HeaderMap, Whole), Refusal> {
    let (asked, body) = request.into_parts();
    if asked.method != Method::POST {
        return Err(Refusal::Method);
    }
    // Read to its end before anything is refused: who still sends does not read the answer.
    let received = body::receive(&asked.headers, body, bounds).await;
    if !is_kind(&asked.headers, kind) {
        return Err(Refusal::MediaType { kind });
    }
    match received {
        Received::Whole(body) => Ok((asked.headers, body)),
        Received::TooLarge => Err(Refusal::TooLarge {
            limit: bounds.keep,
            close: false,
        }),
        Received::Endless => Err(Refusal::TooLarge {
            limit: bounds.keep,
            close: true,
        }),
        Received::NoPlace => Err(Refusal::Busy),
        Received::Broken => Err(Refusal::Broken {
            rule: bounds.broken,
        }),
    }
}

/// Whether the body is said to be what is taken; nothing said is good enough.
fn is_kind(fields: &HeaderMap, expected: &str) -> bool {
    let mut said = fields.get_all(header::CONTENT_TYPE).iter();
    said.all(|value| {
        let kind = value.to_str().unwrap_or_default().split(';').next();
        kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case(expected))
    })
}

impl IntakeState {
    fn check_guesses(&self, address: IpAddr) -> Result<(), Refusal> {
        Ok(self.guesses().check(address, now())?)
    }

    fn guesses(&self) -> MutexGuard<'_, Guesses> {
        // Counting does not panic half-way.
        let guesses = self.0.guesses.lock();
        guesses.unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what waits for a core or the disk, when there is a place.
    async fn work<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Self) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let admitted = Arc::clone(&self.0.admitted).try_acquire_owned();
        let admitted = admitted.map_err(|_| Refusal::Busy)?;
        let working = Arc::clone(&self.0.working).acquire_owned().await;
        let working = working.map_err(|_| Refusal::Busy)?;
        let state = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            // They are held until the work is done, also if the peer has long gone.
            let _places = (admitted, working);
            job(&state)
        });
        done.await.map_err(|_| Refusal::Panic)?
    }

    /// Looks up a code whose zone is open; an unknown one counts. Waits for the disk.
    fn look_up(&self, hash: &CodeHash, address: IpAddr) -> Result<CodeRow, Refusal> {
        // Under one lock, or a hundred guesses at once would count as one.
        let mut guesses = self.guesses();
        guesses.check(address, now())?;
        let Some(code) = self.0.store.code(hash.as_bytes())? else {
            guesses.failed(address, now());
            return Err(Refusal::Accept(AcceptError::UnknownCode));
        };
        if !self.0.modes.contains_key(&code.zone) {
            // Accepted, it would be published nowhere, and nobody would tell its sender.
            return Err(Refusal::ZoneClosed { zone: code.zone });
        }
        Ok(code)
    }

    /// How what is new in a zone is to be published.
    fn mode(&self, zone: &str, scheme: Scheme) -> Mode {
        mode(&self.0.modes, zone, scheme)
    }
}

/// How what is new in a zone is to be published. In a zone that is no longer configured nothing is;
/// should the same unit come for another one, it is not opened because of that.
pub(crate) fn mode(modes: &BTreeMap<String, Mode>, zone: &str, scheme: Scheme) -> Mode {
    let sealed = |rules: &dyn bellwether_formats::scheme::Rules| rules.always_sealed();
    if scheme.rules().is_none_or(sealed) {
        return Mode::Sealed;
    }
    modes.get(zone).copied().unwrap_or(Mode::Sealed)
}
