//! Reading what is posted, however large it is.

use axum::body::Body;
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt as _;

use super::report::MAX_BODY_BYTES;

/// Most bytes of a body that are read and thrown away (8 MiB), so that who sends too much by
/// mistake can read why it was refused. Source: spec §10.1.
const MAX_THROWN_AWAY: usize = 8 * 1024 * 1024;

/// What came.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Received {
    /// At most [`MAX_BODY_BYTES`].
    Whole(Vec<u8>),
    /// More, now gone.
    TooLarge,
    /// More than is thrown away; some of it is still to come.
    Endless,
    /// The peer went away or broke the protocol.
    Broken,
}

/// Reads a body to its end, if it has one in sight.
pub(super) async fn receive(fields: &HeaderMap, mut body: Body) -> Received {
    if declared(fields).is_some_and(|len| len > MAX_THROWN_AWAY) {
        return Received::Endless;
    }
    let mut kept = Vec::new();
    let mut len = 0_usize;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Received::Broken;
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        len = len.saturating_add(data.len());
        if len > MAX_THROWN_AWAY {
            return Received::Endless;
        }
        if len <= MAX_BODY_BYTES {
            kept.extend_from_slice(&data);
        }
    }
    if len > MAX_BODY_BYTES {
        Received::TooLarge
    } else {
        Received::Whole(kept)
    }
}

fn declared(fields: &HeaderMap) -> Option<usize> {
    let len = fields.get(header::CONTENT_LENGTH)?;
    len.to_str().ok()?.parse().ok()
}
