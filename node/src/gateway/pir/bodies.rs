//! Chunks in memory, those of a part in one piece: reading them from the store for each query takes
//! longer than the answer itself (measured by the bench `pir`).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwether_formats::cid::Cid;
use bellwether_formats::pir::{Mask, PirError, xor_into};

use crate::gateway::sealed::Index;
use crate::store::{Store, StoreError};

/// The chunks of one part, one after the other.
pub(super) struct Body {
    index: Cid,
    chunks: usize,
    chunk_bytes: usize,
    bytes: Vec<u8>,
}

impl Body {
    /// Reads all chunks in one snapshot; `None` if one is not held, or the name is not an index's.
    fn read(store: &Store, index: Cid) -> Result<Option<Self>, StoreError> {
        let snapshot = store.snapshot()?;
        let Some(read) = Index::read(&snapshot, &index)? else {
            return Ok(None);
        };
        let mut bytes = Vec::with_capacity(read.len() * read.chunk_bytes());
        let whole = read.read_chunks(&snapshot, |chunk| bytes.extend_from_slice(chunk.bytes()))?;
        Ok(whole.then_some(Self {
            index,
            chunks: read.len(),
            chunk_bytes: read.chunk_bytes(),
            bytes,
        }))
    }

    /// The XOR of the chunks that a mask chooses.
    pub(super) fn answer(&self, mask: &[u8]) -> Result<Vec<u8>, PirError> {
        let mask = Mask::decode(mask, self.chunks)?;
        let mut answer = vec![0; self.chunk_bytes];
        for chosen in mask.chosen() {
            let from = chosen * self.chunk_bytes;
            let chunk = self.bytes.get(from..from + self.chunk_bytes);
            xor_into(&mut answer, chunk.unwrap_or_default())?;
        }
        Ok(answer)
    }
}

/// The bodies asked for last. Clones are the same.
#[derive(Clone)]
pub(super) struct Bodies {
    max_bytes: usize,
    /// The one asked for last stands last.
    held: Arc<Mutex<VecDeque<Arc<Body>>>>,
}

impl Bodies {
    /// Keeps `max_bytes` at most, those being read and in use not counted.
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            held: Arc::default(),
        }
    }

    /// The body of an index; `None` as [`Body::read`], also once the index is pruned.
    pub(super) fn of(&self, store: &Store, index: Cid) -> Result<Option<Arc<Body>>, StoreError> {
        let known = self.take(&index);
        let body = match known {
            Some(body) if store.lacking(&[index])?.is_empty() => Some(body),
            Some(_) => None,
            None => Body::read(store, index)?.map(Arc::new),
        };
        if let Some(body) = &body {
            self.keep(Arc::clone(body));
        }
        Ok(body)
    }

    fn take(&self, index: &Cid) -> Option<Arc<Body>> {
        let mut held = self.held();
        let at = held.iter().position(|body| body.index == *index)?;
        held.remove(at)
    }

    fn keep(&self, body: Arc<Body>) {
        let mut held = self.held();
        // Two threads may have read it at once.
        held.retain(|other| other.index != body.index);
        held.push_back(body);
        let mut bytes: usize = held.iter().map(|body| body.bytes.len()).sum();
        while bytes > self.max_bytes {
            let Some(oldest) = held.pop_front() else {
                break;
            };
            bytes -= oldest.bytes.len();
        }
    }

    fn held(&self) -> MutexGuard<'_, VecDeque<Arc<Body>>> {
        // Nothing that holds it panics half-way.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
