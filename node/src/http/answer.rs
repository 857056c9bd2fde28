//! Answers that every listener gives in the same words. Source: spec §8.1.

use std::fmt::Display;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

/// An answer of bytes of a known kind.
pub(crate) fn answer(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

/// An answer in JSON that no cache keeps.
pub(crate) fn json(status: StatusCode, value: &Value) -> Response {
    let mut answer = answer(status, "application/json", value.to_string());
    let no_store = HeaderValue::from_static("no-store");
    answer.headers_mut().insert(header::CACHE_CONTROL, no_store);
    answer
}

/// A refusal: the broken rule's name, and a sentence for people.
pub(crate) fn refuse(status: StatusCode, rule: &str, message: impl Display) -> Response {
    json(
        status,
        &json!({"error": rule, "message": message.to_string()}),
    )
}

/// A refusal that asks to try again in `seconds`.
pub(crate) fn later(
    status: StatusCode,
    rule: &str,
    message: impl Display,
    seconds: u64,
) -> Response {
    let mut answer = refuse(status, rule, message);
    answer
        .headers_mut()
        .insert(header::RETRY_AFTER, seconds.into());
    answer
}
