//! Reading what is posted, however large it is.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Most bytes of a body that are read and thrown away (8 MiB), so that who sends too much by
/// mistake can read why it was refused. Source: spec §10.1.
const MAX_THROWN_AWAY: usize = 8 * 1024 * 1024;

/// Bytes of a body (64 KiB) that every connection may have in memory; larger ones need a place.
pub(super) const SMALL_BYTES: usize = 64 * 1024;

/// How much of a body is kept, and read at all.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    /// Most bytes that are kept.
    pub(super) keep: usize,
    /// Most bytes that are read.
    pub(super) read: usize,
    /// Places for bodies above [`SMALL_BYTES`]; none is needed where nothing larger is kept.
    pub(super) large: Option<Arc<Semaphore>>,
    /// What a body that breaks off breaks.
    pub(super) broken: &'static str,
}

impl Bounds {
    /// For a body of at most `keep` bytes, which is not more than [`SMALL_BYTES`].
    pub(super) const fn small(keep: usize, broken: &'static str) -> Self {
        Self {
            keep,
            read: MAX_THROWN_AWAY,
            large: None,
            broken,
        }
    }

    /// For a body of at most `keep` bytes, which takes one of the places of `large`.
    pub(super) fn large(keep: usize, large: &Arc<Semaphore>, broken: &'static str) -> Self {
        Self {
            keep,
            read: MAX_THROWN_AWAY.max(keep.saturating_mul(2)),
            large: Some(Arc::clone(large)),
            broken,
        }
    }

    /// The same, of which nothing is kept: it is refused already.
    pub(super) const fn nothing() -> Self {
        Self::small(0, "json")
    }
}

/// What came.
#[derive(Debug)]
pub(super) enum Received {
    /// At most [`Bounds::keep`].
    Whole(Whole),
    /// More, now gone.
    TooLarge,
    /// More than is read; some of it is still to come.
    Endless,
    /// It is large, and so are too many others.
    NoPlace,
    /// The peer went away or broke the protocol.
    Broken,
}

/// A body in memory.
#[derive(Debug)]
pub(super) struct Whole {
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
    _place: Option<OwnedSemaphorePermit>,
}

/// Reads a body to its end, if it has one in sight.
pub(super) async fn receive(fields: &HeaderMap, mut body: Body, bounds: &Bounds) -> Received {
    if declared(fields).is_some_and(|len| len > bounds.read) {
        return Received::Endless;
    }
    let mut bytes = Vec::new();
    let mut place = None;
    let mut no_place = false;
    let mut len = 0_usize;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Received::Broken;
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        len = len.saturating_add(data.len());
        if len > bounds.read {
            return Received::Endless;
        }
        if len > SMALL_BYTES && len <= bounds.keep && place.is_none() {
            let large = bounds.large.as_ref().map(Arc::clone);
            place = large.and_then(|large| large.try_acquire_owned().ok());
            no_place |= place.is_none();
        }
        if len > bounds.keep || no_place {
            // Nobody will want what came before either.
            (bytes, place) = (Vec::new(), None);
        } else {
            bytes.extend_from_slice(&data);
        }
    }
    if len > bounds.keep {
        Received::TooLarge
    } else if no_place {
        Received::NoPlace
    } else {
        let _place = place;
        Received::Whole(Whole { bytes, _place })
    }
}

fn declared(fields: &HeaderMap) -> Option<usize> {
    let len = fields.get(header::CONTENT_LENGTH)?;
    len.to_str().ok()?.parse().ok()
}
