//! The professional's page: a health professional logs in, issues codes, and takes them back.
//! Source: spec §10.8.
//!
//! A form runs down one slope, as a report does: body, where it comes from, shape, session, its
//! token, and then what it asks for. GET looks, POST does. No code, session or name is in a URL
//! or a log line.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::routing::any;
use bellwether_formats::id::{ProviderId, Zone};
use tokio::sync::Semaphore;

use self::browser::{Cookie, Cookies};
use self::codes::Codes;
use self::form::{Form, MAX_FORM_BYTES};
use self::login::Logins;
use self::page::{Login, Viewer};
use self::refusal::Refusal;
use self::sessions::{SessionId, Sessions};
use self::users::watch::Users;
use super::body::{self, Bounds, Received};
use super::code::CodeKey;
use crate::http::{Clock, answer};
use crate::store::Store;

mod actions;
mod attempts;
mod browser;
mod codes;
mod form;
mod login;
mod page;
pub mod password;
mod qr;
mod refusal;
mod sessions;
mod text;
pub mod users;

#[cfg(test)]
mod tests;

/// Where everything is. A path says what is done, never to what.
mod path {
    pub(super) const HOME: &str = "/professional/";
    pub(super) const LOGIN: &str = "/professional/login";
    pub(super) const LOGOUT: &str = "/professional/logout";
    pub(super) const ISSUE: &str = "/professional/issue";
    pub(super) const REVOKE: &str = "/professional/revoke";
    pub(super) const REVOKE_CONFIRMED: &str = "/professional/revoke/confirmed";
    pub(super) const STYLE: &str = "/professional/style.css";
    pub(super) const SCRIPT: &str = "/professional/script.js";
}

/// Requests that read or write the store at once; others wait. Reading every code takes a while.
const AT_THE_STORE: usize = 2;

/// Tells the time that only goes forward: [`tokio::time::Instant::now`], or what a test says.
pub type Ticks = Arc<dyn Fn() -> Instant + Send + Sync>;

/// What the page stands on.
pub struct Settings {
    /// Where codes are kept.
    pub store: Store,
    /// What they are hashed with.
    pub code_key: CodeKey,
    /// The provider, whose descriptor names zones.
    pub provider: ProviderId,
    /// Its name.
    pub name: String,
    /// The zones that it is configured for.
    pub zones: Vec<Zone>,
    /// The file of users.
    pub users: std::path::PathBuf,
    /// Whether this node ends TLS. If not, it listens on loopback, perhaps behind a proxy.
    pub tls: bool,
    /// Tells when codes are issued.
    pub clock: Clock,
    /// Tells when sessions end.
    pub ticks: Ticks,
}

/// The professional's page. Clones are the same.
#[derive(Clone)]
pub struct Professional(Arc<Inner>);

struct Inner {
    name: String,
    tls: bool,
    clock: Clock,
    ticks: Ticks,
    users: Users,
    sessions: Mutex<Sessions>,
    logins: Logins,
    codes: Arc<Codes>,
    at_the_store: Semaphore,
}

impl Professional {
    /// Reads the users and gets ready. Waits for the disk.
    ///
    /// # Errors
    ///
    /// [`getrandom::Error`] if the system gives no randomness.
    pub fn new(settings: Settings) -> Result<Self, getrandom::Error> {
        let now = (settings.ticks)();
        Ok(Self(Arc::new(Inner {
            name: settings.name,
            tls: settings.tls,
            clock: settings.clock,
            ticks: settings.ticks,
            users: Users::new(settings.users, users::watch::CHECK_EVERY, now),
            sessions: Mutex::default(),
            logins: Logins::new(!settings.tls, now)?,
            codes: Arc::new(Codes::new(
                settings.store,
                settings.code_key,
                settings.provider,
                settings.zones,
            )),
            at_the_store: Semaphore::new(AT_THE_STORE),
        })))
    }
}

impl std::fmt::Debug for Professional {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Professional")
    }
}

/// The page, at every path under `/professional/`.
pub fn router(page: Professional) -> Router {
    Router::new()
        .route("/professional", any(serve))
        .route("/professional/", any(serve))
        .route("/professional/{*rest}", any(serve))
        .with_state(page)
}

async fn serve(State(page): State<Professional>, request: Request) -> Response {
    let (asked, body) = request.into_parts();
    let mut answer = match page.answer(&asked, body).await {
        Ok(answer) => answer,
        Err(refusal) => {
            tracing::debug!(rule = refusal.rule(), "the professional's page refused");
            page.refused(&asked.headers, &refusal).await
        }
    };
    protect(answer.headers_mut());
    answer
}

/// What tells browsers to keep, run, frame and pass on nothing.
fn protect(fields: &mut HeaderMap) {
    let policy = "default-src 'none'; style-src 'self'; script-src 'self'; form-action 'self'; \
                  base-uri 'none'; frame-ancestors 'none'";
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        fields.insert(name, HeaderValue::from_static(value));
    }
}

impl Professional {
    async fn answer(&self, asked: &Parts, body: Body) -> Result<Response, Refusal> {
        let looks = asked.method == Method::GET || asked.method == Method::HEAD;
        let path = asked.uri.path();
        match path {
            "/professional" => Ok(go_to(path::HOME)),
            path::STYLE | path::SCRIPT | path::HOME if !looks => {
                Err(Refusal::Method { allow: "GET, HEAD" })
            }
            path::STYLE => Ok(asset(
                "text/css; charset=utf-8",
                include_str!("professional/style.css"),
            )),
            path::SCRIPT => Ok(asset(
                "text/javascript; charset=utf-8",
                include_str!("professional/script.js"),
            )),
            path::HOME => match self.viewer(&asked.headers).await {
                Ok(viewer) => self.home(viewer, None, None).await,
                Err(Refusal::Session) => Ok(go_to(path::LOGIN)),
                Err(refusal) => Err(refusal),
            },
            path::LOGIN if looks => Ok(html(
                StatusCode::OK,
                page::login(&self.0.name, &Login::Asked),
            )),
            // Who asks for the address of a page that a form led to has nothing to see there.
            path::LOGOUT | path::ISSUE | path::REVOKE | path::REVOKE_CONFIRMED if looks => {
                Ok(go_to(path::HOME))
            }
            path::LOGIN | path::LOGOUT | path::ISSUE | path::REVOKE | path::REVOKE_CONFIRMED => {
                let body = receive(asked, body).await?;
                self.post(asked, &body).await
            }
            _ => Err(Refusal::NotFound),
        }
    }

    /// Does what a form asks for.
    async fn post(&self, asked: &Parts, body: &[u8]) -> Result<Response, Refusal> {
        let path = asked.uri.path();
        if path == path::LOGIN {
            return self.log_in(asked, body).await;
        }
        let fields: &[&'static str] = match path {
            path::ISSUE => &["token", "level", "zone", "valid"],
            path::LOGOUT => &["token"],
            _ => &["token", "code"],
        };
        let form = Form::parse(body, fields).ok_or(Refusal::Form)?;
        let id = self.session_id(&asked.headers).ok_or(Refusal::Session)?;
        let viewer = self.viewer(&asked.headers).await?;
        if !form.get("token").is_some_and(|token| id.is_token(token)) {
            return Err(Refusal::Token);
        }
        match path {
            path::ISSUE => self.issue(viewer, form).await,
            path::REVOKE => self.ask_to_revoke(viewer, form).await,
            path::REVOKE_CONFIRMED => self.revoke(viewer, form).await,
            _ => Ok(self.log_out(&asked.headers, &id)),
        }
    }

    /// Who asks, if they are logged in. That counts as use of the session.
    async fn viewer(&self, fields: &HeaderMap) -> Result<Viewer, Refusal> {
        let id = self.session_id(fields).ok_or(Refusal::Session)?;
        let now = (self.0.ticks)();
        let users = self.0.users.now(now).await.ok_or(Refusal::Users)?;
        let stamp_of = |name: &str| Some(users.hash(name)?.stamp());
        let user = self.sessions().used(&id, stamp_of, now);
        Ok(Viewer {
            user: user.ok_or(Refusal::Session)?,
            token: id.token(),
        })
    }

    fn session_id(&self, fields: &HeaderMap) -> Option<SessionId> {
        let cookies = Cookies::of(self.0.tls, fields);
        SessionId::parse(cookies.get(fields, Cookie::Session)?)
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        // Nothing that holds it panics half-way.
        let sessions = &self.0.sessions;
        sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A refusal as a page: who is not logged in gets the form for that.
    async fn refused(&self, fields: &HeaderMap, refusal: &Refusal) -> Response {
        if let Refusal::Store(error) = refusal {
            tracing::error!(%error, "the professional's page cannot use the store");
        }
        let name = &self.0.name;
        let page = match refusal {
            Refusal::Session | Refusal::Users => page::login(name, &Login::Refused(refusal, "")),
            refusal => page::refused(name, self.viewer(fields).await.ok().as_ref(), refusal),
        };
        refusing(refusal, page)
    }
}

/// The body of a form, whose head is as it should be.
async fn receive(asked: &Parts, body: Body) -> Result<Vec<u8>, Refusal> {
    // Read to its end before anything is refused: who still sends does not read the answer.
    let bounds = Bounds::small(MAX_FORM_BYTES, "form");
    let received = body::receive(&asked.headers, body, &bounds).await;
    if asked.method != Method::POST {
        return Err(Refusal::Method {
            allow: "GET, HEAD, POST",
        });
    }
    if !browser::is_from_here(&asked.headers) {
        return Err(Refusal::Origin);
    }
    let kind = asked.headers.get(header::CONTENT_TYPE);
    if kind.is_none_or(|kind| kind != "application/x-www-form-urlencoded") {
        return Err(Refusal::MediaType);
    }
    match received {
        Received::Whole(whole) => Ok(whole.bytes),
        Received::TooLarge | Received::NoPlace => Err(Refusal::TooLarge { close: false }),
        Received::Endless => Err(Refusal::TooLarge { close: true }),
        Received::Broken => Err(Refusal::Form),
    }
}

fn html(status: StatusCode, page: String) -> Response {
    answer::answer(status, "text/html; charset=utf-8", page)
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    answer::answer(StatusCode::OK, kind, text)
}

/// A page that says no.
fn refusing(refusal: &Refusal, page: String) -> Response {
    let mut answer = html(refusal.status(), page);
    let fields = answer.headers_mut();
    if let Some(seconds) = refusal.retry_after() {
        fields.insert(header::RETRY_AFTER, seconds.into());
    }
    if let Refusal::Method { allow } = refusal {
        fields.insert(header::ALLOW, HeaderValue::from_static(allow));
    }
    if matches!(refusal, Refusal::TooLarge { close: true }) {
        let close = HeaderValue::from_static("close");
        fields.insert(header::CONNECTION, close);
    }
    answer
}

/// Sends the browser to another page, to look at it.
fn go_to(path: &'static str) -> Response {
    let mut answer = html(StatusCode::SEE_OTHER, String::new());
    let path = HeaderValue::from_static(path);
    answer.headers_mut().insert(header::LOCATION, path);
    answer
}
