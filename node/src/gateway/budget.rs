//! Memory that answers take, counted until the peer has their last byte.

use std::sync::Arc;

use axum::body::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time;

use super::PATIENCE;

/// Bytes of one unit of the budget: a semaphore counts to 2^29 at least.
const UNIT: usize = 1024;

/// So many bytes of answers may be in memory.
#[derive(Debug)]
pub(super) struct Budget(Arc<Semaphore>);

/// Bytes set aside for an answer that is being made.
pub(super) struct Reservation(OwnedSemaphorePermit);

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes / UNIT)))
    }

    /// Sets `bytes` aside; waits for them, in order of asking, and gives up in the end.
    pub(super) async fn reserve(&self, bytes: usize) -> Option<Reservation> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).ok()?;
        let permit = Arc::clone(&self.0).acquire_many_owned(units);
        let permit = time::timeout(PATIENCE, permit).await.ok()?.ok()?;
        Some(Reservation(permit))
    }
}

impl Reservation {
    /// Takes the bytes that were made and gives back what they do not need; the rest follows when
    /// the last use of the bytes is over.
    pub(super) fn hold(mut self, bytes: Vec<u8>) -> Bytes {
        match self.0.split(bytes.len().div_ceil(UNIT)) {
            Some(needed) => Bytes::from_owner(Held {
                bytes,
                _permit: needed,
            }),
            // It got larger than it said: all that was set aside goes with it.
            None => Bytes::from_owner(Held {
                bytes,
                _permit: self.0,
            }),
        }
    }
}

struct Held {
    bytes: Vec<u8>,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
