//! The store's file, as redb sees it: where a failure of the disk is noticed, whoever met it, and
//! where a store on a full disk finds a place for what opening it writes.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use redb::backends::FileBackend;
use redb::{BackendError, DatabaseError, StorageBackend};
use tokio_util::sync::CancellationToken;

/// Tells that the disk failed under a store. redb answers nothing any more then, until the file is
/// opened anew; so whoever holds the store has to end.
#[derive(Clone, Debug, Default)]
pub struct DiskFailure {
    token: CancellationToken,
    why: Arc<OnceLock<String>>,
}

impl DiskFailure {
    /// Waits until the disk fails; gives what the system said.
    pub async fn happened(&self) -> String {
        self.token.cancelled().await;
        self.why.get().cloned().unwrap_or_default()
    }

    fn note<T>(&self, done: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &done {
            // The first failure is the cause; the others follow from it.
            let _ = self.why.set(error.to_string());
            self.token.cancel();
        }
        done
    }
}

fn open(path: &Path) -> Result<FileBackend, DatabaseError> {
    let file = OpenOptions::new().read(true).write(true).open(path);
    let file = file.map_err(|error| DatabaseError::Storage(error.into()))?;
    FileBackend::new(file)
}

/// A file whose failures are noticed.
#[derive(Debug)]
pub(super) struct Watched {
    file: FileBackend,
    failure: DiskFailure,
}

impl Watched {
    pub(super) fn open(path: &Path, failure: DiskFailure) -> Result<Self, DatabaseError> {
        let file = open(path)?;
        Ok(Self { file, failure })
    }
}

/// A file that is never written: what redb writes while it opens it (its mark that the file is in
/// use, a repair after a crash) is kept in memory, over the file. The store lets nobody else write,
/// so that this stays small.
#[derive(Debug)]
pub(super) struct Overlaid {
    file: FileBackend,
    over: Mutex<Over>,
}

#[derive(Debug)]
struct Over {
    len: u64,
    /// Bytes that were written, by their place, in pieces of at most [`PIECE`].
    pieces: BTreeMap<u64, Vec<u8>>,
}

/// Bytes of a piece of the overlay; pieces begin at multiples of it.
const PIECE: u64 = 4096;

impl Overlaid {
    pub(super) fn open(path: &Path) -> Result<Self, DatabaseError> {
        let file = open(path)?;
        let len = file.len()?;
        let pieces = BTreeMap::new();
        Ok(Self {
            file,
            over: Mutex::new(Over { len, pieces }),
        })
    }

    fn over(&self) -> MutexGuard<'_, Over> {
        self.over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of the file; zero where it ends before the overlay does.
    fn below(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        out.fill(0);
        let there = self.file.len()?.saturating_sub(offset);
        let there = usize::try_from(there).unwrap_or(usize::MAX).min(out.len());
        match out.get_mut(..there) {
            Some(out) if there > 0 => self.file.read(offset, out),
            _ => Ok(()),
        }
    }
}

/// Goes through a span piece by piece: the piece's beginning, where in it, where in the span.
fn pieces(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, usize, usize)> {
    let len = u64::try_from(len).unwrap_or(u64::MAX);
    let end = offset.saturating_add(len);
    let mut at = offset;
    std::iter::from_fn(move || {
        if at >= end {
            return None;
        }
        let base = at / PIECE * PIECE;
        let stop = base.saturating_add(PIECE).min(end);
        let small = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        let found = (base, small(at - base), small(at - offset), small(stop - at));
        at = stop;
        Some(found)
    })
}

impl StorageBackend for Overlaid {
    fn len(&self) -> io::Result<u64> {
        Ok(self.over().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.below(offset, out)?;
        let over = self.over();
        for (base, within, to, len) in pieces(offset, out.len()) {
            let piece = over
                .pieces
                .get(&base)
                .and_then(|p| p.get(within..within + len));
            if let (Some(piece), Some(out)) = (piece, out.get_mut(to..to + len)) {
                out.copy_from_slice(piece);
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.over().len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        for (base, within, from, len) in pieces(offset, data.len()) {
            let mut piece = match self.over().pieces.remove(&base) {
                Some(piece) => piece,
                None => {
                    let mut piece = vec![0; usize::try_from(PIECE).unwrap_or_default()];
                    self.below(base, &mut piece)?;
                    piece
                }
            };
            let new = data.get(from..from + len);
            if let (Some(old), Some(new)) = (piece.get_mut(within..within + len), new) {
                old.copy_from_slice(new);
            }
            self.over().pieces.insert(base, piece);
        }
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, from: Bound<u64>, to: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(from, to)
    }

    fn try_lock_shared_range(
        &self,
        from: Bound<u64>,
        to: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(from, to)
    }

    fn lock_range(&self, from: Bound<u64>, to: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(from, to)
    }

    fn lock_shared_range(&self, from: Bound<u64>, to: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(from, to)
    }

    fn unlock_range(&self, from: Bound<u64>, to: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(from, to)
    }

    fn query_lock_range(&self, from: Bound<u64>, to: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(from, to)
    }
}

impl StorageBackend for Watched {
    fn len(&self) -> io::Result<u64> {
        self.failure.note(self.file.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.failure.note(self.file.read(offset, out))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.failure.note(self.file.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.failure.note(self.file.sync_data())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.failure.note(self.file.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, from: Bound<u64>, to: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(from, to)
    }

    fn try_lock_shared_range(
        &self,
        from: Bound<u64>,
        to: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(from, to)
    }

    fn lock_range(&self, from: Bound<u64>, to: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(from, to)
    }

    fn lock_shared_range(&self, from: Bound<u64>, to: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(from, to)
    }

    fn unlock_range(&self, from: Bound<u64>, to: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(from, to)
    }

    fn query_lock_range(&self, from: Bound<u64>, to: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(from, to)
    }
}
