//! Logging in. Source: spec §10.8.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::extract::ConnectInfo;
use axum::http::header;
use axum::http::request::Parts;
use axum::response::Response;
use tokio::sync::Semaphore;

use super::attempts::{Asker, Attempts};
use super::browser::{Cookie, Cookies, KnownBrowsers};
use super::form::Form;
use super::page::{self, Login};
use super::password::{self, PasswordHash};
use super::refusal::Refusal;
use super::sessions::SessionId;
use super::{Professional, go_to, path, refusing};

/// Passwords that are verified at once, 19 MiB each.
const AT_ONCE: usize = 2;
/// Passwords that wait for that; one more is `busy`. The last one waits less than a second.
const WAITING: usize = 16;

/// What logging in stands on.
pub(super) struct Logins {
    attempts: Mutex<Attempts>,
    browsers: KnownBrowsers,
    /// Verified for names that are nobody's, so that they take as long as others.
    nobody: PasswordHash,
    pub(super) admitted: Arc<Semaphore>,
    pub(super) verifying: Arc<Semaphore>,
}

impl Logins {
    pub(super) fn new(behind_proxy: bool, now: Instant) -> Result<Self, getrandom::Error> {
        let secret = random::<32>()?;
        // The hash of a password that nobody knows.
        let nobody = PasswordHash::unknown(random()?, random()?);
        Ok(Self {
            attempts: Mutex::new(Attempts::new(behind_proxy, now)),
            browsers: KnownBrowsers::new(&secret),
            nobody,
            admitted: Arc::new(Semaphore::new(AT_ONCE + WAITING)),
            verifying: Arc::new(Semaphore::new(AT_ONCE)),
        })
    }

    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        // Counting does not panic half-way.
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Professional {
    /// Logs somebody in, or shows the form again.
    pub(super) async fn log_in(&self, asked: &Parts, body: &[u8]) -> Result<Response, Refusal> {
        let form = Form::parse(body, &["name", "password"]).ok_or(Refusal::Form)?;
        let (name, password) = form
            .get("name")
            .zip(form.get("password"))
            .ok_or(Refusal::Form)?;
        let refusal = match self.try_to_log_in(asked, name, password).await {
            Ok(answer) => return Ok(answer),
            Err(refusal) => refusal,
        };
        tracing::debug!(rule = refusal.rule(), "a login was refused");
        let why = Login::Refused(&refusal, name);
        Ok(refusing(&refusal, page::login(&self.0.name, &why)))
    }

    async fn try_to_log_in(
        &self,
        asked: &Parts,
        name: &str,
        password: &str,
    ) -> Result<Response, Refusal> {
        let logins = &self.0.logins;
        let now = (self.0.ticks)();
        let cookies = Cookies::of(self.0.tls, &asked.headers);
        let browser = cookies.get(&asked.headers, Cookie::Browser);
        let browser = browser.and_then(|cookie| logins.browsers.number(name, cookie));
        let asker = browser.map_or_else(|| Asker::at(address(asked)), Asker::Browser);
        let users = self.0.users.now(now).await.ok_or(Refusal::Users)?;

        // A place first: what is refused for want of one is no attempt.
        let admitted = Arc::clone(&logins.admitted).try_acquire_owned();
        let admitted = admitted.map_err(|_| Refusal::Busy)?;
        let begun = logins.attempts().begin(name, asker, now);
        begun.map_err(|slowed| Refusal::Slowed {
            retry_after: slowed.retry_after,
        })?;
        let verifying = Arc::clone(&logins.verifying).acquire_owned().await;
        let verifying = verifying.map_err(|_| Refusal::Busy)?;
        let known = users.hash(name).cloned();
        let stamp = known.as_ref().map(PasswordHash::stamp);
        let hash = known.unwrap_or_else(|| logins.nobody.clone());
        let tried = password.to_owned();
        let verified = tokio::task::spawn_blocking(move || {
            // They are held until the work is done, also if the browser has long gone.
            let _places = (admitted, verifying);
            tried.len() <= password::MAX_BYTES && hash.verify(&tried)
        });
        let right = verified.await.map_err(|_| Refusal::Failed)?;

        let now = (self.0.ticks)();
        let Some(stamp) = stamp.filter(|_| right) else {
            logins.attempts().failed(name, asker, now);
            tracing::info!("a login failed");
            return Err(Refusal::Password);
        };
        logins.attempts().succeeded(name, asker);
        let id = SessionId::new(random().map_err(|_| Refusal::Failed)?);
        if let Some(before) = self.session_id(&asked.headers) {
            self.sessions().end(&before);
        }
        self.sessions().begin(&id, name, stamp, now);
        tracing::info!("a professional logged in");

        let number = browser.map_or_else(random, Ok);
        let number = number.map_err(|_| Refusal::Failed)?;
        let known = logins.browsers.cookie(name, number);
        let mut answer = go_to(path::HOME);
        let given = [
            cookies.set(Cookie::Session, &id.text()),
            cookies.set(Cookie::Browser, &known),
        ];
        for cookie in given.into_iter().flatten() {
            answer.headers_mut().append(header::SET_COOKIE, cookie);
        }
        Ok(answer)
    }
}

fn address(asked: &Parts) -> std::net::IpAddr {
    match asked.extensions.get::<ConnectInfo<SocketAddr>>() {
        Some(ConnectInfo(peer)) => peer.ip(),
        None => Ipv4Addr::UNSPECIFIED.into(),
    }
}

/// Bytes of the system's generator.
fn random<const LEN: usize>() -> Result<[u8; LEN], getrandom::Error> {
    let mut bytes = [0; LEN];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
