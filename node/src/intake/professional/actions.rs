//! What forms ask for, once it is known who sent them. Source: spec §10.8.

use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;

use super::browser::{Cookie, Cookies};
use super::codes::Codes;
use super::form::Form;
use super::page::{self, Home, Login, Viewer};
use super::refusal::Refusal;
use super::sessions::SessionId;
use super::{Professional, html, refusing, text};

impl Professional {
    pub(super) fn log_out(&self, fields: &HeaderMap, id: &SessionId) -> Response {
        self.sessions().end(id);
        tracing::info!("a professional logged out");
        let page = page::login(&self.0.name, &Login::LoggedOut);
        let mut answer = html(StatusCode::OK, page);
        let cookies = Cookies::of(self.0.tls, fields);
        if let Some(gone) = cookies.set(Cookie::Session, "") {
            answer.headers_mut().append(header::SET_COOKIE, gone);
        }
        answer
    }

    pub(super) async fn home(
        &self,
        viewer: Viewer,
        done: Option<String>,
        refusal: Option<Refusal>,
    ) -> Result<Response, Refusal> {
        let name = self.0.name.clone();
        self.at_the_store(move |codes, now| {
            let shown = Home {
                zones: &codes.zones()?,
                codes: &codes.list(&viewer.user, now)?,
                done: done.as_deref(),
                refusal: refusal.as_ref(),
                now,
            };
            let page = page::home(&name, &viewer, &shown);
            Ok(match &refusal {
                Some(refusal) => refusing(refusal, page),
                None => html(StatusCode::OK, page),
            })
        })
        .await
    }

    pub(super) async fn issue(&self, viewer: Viewer, form: Form) -> Result<Response, Refusal> {
        let user = viewer.user.clone();
        let issued = self.at_the_store(move |codes, now| {
            let chosen = (form.get("level"), form.get("zone"), form.get("valid"));
            codes.issue(&user, chosen, now)
        });
        match issued.await {
            Ok(issued) => {
                tracing::info!("a professional issued a code");
                let page = page::issued(&self.0.name, &viewer, &issued);
                Ok(html(StatusCode::OK, page))
            }
            Err(
                refusal @ (Refusal::Level
                | Refusal::Zone
                | Refusal::Valid
                | Refusal::TooManyCodes { .. }),
            ) => {
                tracing::debug!(rule = refusal.rule(), "the professional's page refused");
                self.home(viewer, None, Some(refusal)).await
            }
            Err(refusal) => Err(refusal),
        }
    }

    pub(super) async fn ask_to_revoke(
        &self,
        viewer: Viewer,
        form: Form,
    ) -> Result<Response, Refusal> {
        let name = self.0.name.clone();
        self.at_the_store(move |codes, now| {
            let code = codes.own(&viewer.user, form.get("code"))?;
            let page = page::revoke(&name, &viewer, &code, now);
            Ok(html(StatusCode::OK, page))
        })
        .await
    }

    pub(super) async fn revoke(&self, viewer: Viewer, form: Form) -> Result<Response, Refusal> {
        let user = viewer.user.clone();
        let revoked = self.at_the_store(move |codes, now| {
            let code = codes.own(&user, form.get("code"))?;
            let changed = codes.revoke(&user, &code, now)?;
            Ok(text::was_revoked(&page::short(&code), changed))
        });
        let done = revoked.await?;
        tracing::info!("a professional revoked a code");
        self.home(viewer, Some(done), None).await
    }

    /// Works at the store, on the blocking pool.
    async fn at_the_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Codes, u64) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let place = self.0.at_the_store.acquire().await;
        let _place = place.map_err(|_| Refusal::Busy)?;
        let (codes, now) = (Arc::clone(&self.0.codes), (self.0.clock)());
        let worked = tokio::task::spawn_blocking(move || work(&codes, now)).await;
        worked.map_err(|_| Refusal::Failed)?
    }
}
