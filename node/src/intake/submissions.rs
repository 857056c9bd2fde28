//! `POST /v1/submissions`: notifications of every scheme, a line of JSON each. Source: spec §10.6.
//!
//! A *system* has a token, and says zone and level of each. A *phone* has a code, which says them.
//! One bad item refuses that item only; what is answered as accepted is durable.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;

use super::body::Bounds;
use super::refusal::Refusal;
use super::submitters::Unusable;
use super::{IntakeState, address_of, now};
use crate::http::answer;
use crate::store::Fate;

pub(super) mod asked;
mod line;
mod outcome;
mod phone;
mod system;

#[cfg(test)]
mod tests;

pub use self::line::MAX_LINE_BYTES;
pub use self::outcome::{ItemRefusal, Line, Outcome};
pub use self::system::{Said, Taker};

/// Largest body of a system, in bytes (8 MiB). Source: spec §10.6.
const MAX_SYSTEM_BYTES: usize = 8 * 1024 * 1024;

/// Most lines of a system: some seconds of work. Source: spec §10.6.
const MAX_SYSTEM_LINES: usize = 50_000;

/// Largest body of a phone, in bytes (1 MiB). Source: spec §10.6.
const MAX_PHONE_BYTES: usize = 1024 * 1024;

/// What is posted, and answered: JSON lines.
const KIND: &str = "application/x-ndjson";

/// Who submits.
enum Who {
    /// The system of this name.
    System(String),
    /// Who has a code, not yet looked up, and may have its revision token.
    Phone {
        code: String,
        revision: Option<[u8; 32]>,
    },
}

pub(super) async fn post(state: IntakeState, request: Request) -> Result<Response, Refusal> {
    if request.method() != Method::POST {
        return Err(Refusal::Method);
    }
    let address = address_of(&request);
    // Before the body is kept: a stranger's is not as large as a system's.
    let who = who(&state, request.headers(), address).await;
    let inner = &state.0;
    let bounds = match &who {
        Ok(Who::System(_)) => Bounds::large(MAX_SYSTEM_BYTES, &inner.large_of_systems, "json"),
        Ok(Who::Phone { .. }) => Bounds::large(MAX_PHONE_BYTES, &inner.large_of_phones, "json"),
        Err(_) => Bounds::nothing(),
    };
    let received = super::receive(request, KIND, &bounds).await;
    let who = who?;
    let (_, body) = received?;
    let job = move |intake: &IntakeState| match who {
        Who::System(name) => intake.take_of_system(&body.bytes, &name),
        Who::Phone { code, revision } => {
            intake.take_of_phone(&body.bytes, &code, revision, address)
        }
    };
    let outcomes = state.work(job).await?;
    let count = |fate| outcomes.iter().filter(|one| one.fate() == fate).count();
    let new = count(Some(Fate::New));
    let (changed, refused) = (count(Some(Fate::Changed)), count(None));
    tracing::info!(new, changed, refused, of = outcomes.len(), "submission");
    if new > 0 {
        state.0.accepted.notify_one();
    }
    Ok(lines(&outcomes))
}

/// Who submits, as far as it can be said without a look at what.
async fn who(state: &IntakeState, fields: &HeaderMap, address: IpAddr) -> Result<Who, Refusal> {
    match (asked::token(fields)?, asked::code(fields)?) {
        (Some(_), Some(_)) => Err(Refusal::Header {
            why: "a token or a code, not both",
        }),
        (None, None) => Err(Refusal::CodeMissing),
        (Some(token), None) => state.system(token, address).await.map(Who::System),
        (None, Some(code)) => {
            state.check_guesses(address)?;
            let revision = asked::revision(fields)?;
            Ok(Who::Phone { code, revision })
        }
    }
}

impl IntakeState {
    /// The system that a token belongs to; a wrong one counts as a guess.
    async fn system(&self, token: String, address: IpAddr) -> Result<String, Refusal> {
        self.check_guesses(address)?;
        let inner = Arc::clone(&self.0);
        let at = now();
        let find = move || match &inner.submitters {
            Some(submitters) => submitters.find(&token, at),
            None => Ok(None),
        };
        let found = tokio::task::spawn_blocking(find).await;
        let found = found.map_err(|_| Refusal::Panic)?;
        let found = found.map_err(|Unusable| Refusal::Submitters)?;
        let mut guesses = self.guesses();
        guesses.check(address, now())?;
        found.ok_or_else(|| {
            guesses.failed(address, now());
            Refusal::Token
        })
    }
}

/// One line for each item, in order.
fn lines(outcomes: &[Outcome]) -> Response {
    let mut text = Vec::new();
    for (index, outcome) in outcomes.iter().enumerate() {
        serde_json::to_writer(&mut text, &outcome.line(index)).expect("it is written to memory");
        text.push(b'\n');
    }
    let mut response = answer::answer(StatusCode::OK, KIND, text);
    let no_store = HeaderValue::from_static("no-store");
    let fields = response.headers_mut();
    fields.insert(header::CACHE_CONTROL, no_store);
    response
}
