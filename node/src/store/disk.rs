//! The store's file, as redb sees it: where a failure of the disk is noticed, whoever met it, and
//! where a store on a full disk finds a place for what opening it writes.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
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

/// The store's file.
#[derive(Debug)]
pub(super) struct DiskFile {
    file: FileBackend,
    writes: Writes,
}

/// The way of what redb writes.
#[derive(Debug)]
enum Writes {
    /// Into the file; a failure is noticed.
    Through(DiskFailure),
    /// Into memory, over a file that is never written: redb's mark that the file is in use, and a
    /// repair after a crash. The store lets nobody else write, so that this stays small.
    Over(Mutex<Over>),
}

#[derive(Debug)]
struct Over {
    len: u64,
    /// Bytes that were written, by their place, in pieces of at most [`PIECE`].
    pieces: BTreeMap<u64, Vec<u8>>,
}

/// Bytes of a piece of the overlay; pieces begin at multiples of it.
const PIECE: u64 = 4096;

impl DiskFile {
    /// Opens a file to be written; `failure` tells when that fails.
    pub(super) fn open(path: &Path, failure: DiskFailure) -> Result<Self, DatabaseError> {
        let (file, writes) = (open(path)?, Writes::Through(failure));
        Ok(Self { file, writes })
    }

    /// Opens a file that is only read.
    pub(super) fn open_read_only(path: &Path) -> Result<Self, DatabaseError> {
        let file = open(path)?;
        let (len, pieces) = (file.len()?, BTreeMap::new());
        let writes = Writes::Over(Mutex::new(Over { len, pieces }));
        Ok(Self { file, writes })
    }
}

fn open(path: &Path) -> Result<FileBackend, DatabaseError> {
    let file = OpenOptions::new().read(true).write(true).open(path);
    let file = file.map_err(|error| DatabaseError::Storage(error.into()))?;
    FileBackend::new(file)
}

fn locked(over: &Mutex<Over>) -> MutexGuard<'_, Over> {
    over.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Over {
    fn read(&self, file: &FileBackend, offset: u64, out: &mut [u8]) -> io::Result<()> {
        below(file, offset, out)?;
        for (base, within, to, len) in pieces(offset, out.len()) {
            let piece = self.pieces.get(&base);
            let piece = piece.and_then(|piece| piece.get(within..within + len));
            if let (Some(piece), Some(out)) = (piece, out.get_mut(to..to + len)) {
                out.copy_from_slice(piece);
            }
        }
        Ok(())
    }

    fn write(&mut self, file: &FileBackend, offset: u64, data: &[u8]) -> io::Result<()> {
        for (base, within, from, len) in pieces(offset, data.len()) {
            let piece = match self.pieces.entry(base) {
                Entry::Occupied(piece) => piece.into_mut(),
                Entry::Vacant(place) => {
                    let mut piece = vec![0; usize::try_from(PIECE).unwrap_or_default()];
                    below(file, base, &mut piece)?;
                    place.insert(piece)
                }
            };
            let new = data.get(from..from + len);
            if let (Some(old), Some(new)) = (piece.get_mut(within..within + len), new) {
                old.copy_from_slice(new);
            }
        }
        Ok(())
    }
}

/// Bytes of the file; zero where it ends before the overlay does.
fn below(file: &FileBackend, offset: u64, out: &mut [u8]) -> io::Result<()> {
    out.fill(0);
    let there = file.len()?.saturating_sub(offset);
    let there = usize::try_from(there).unwrap_or(usize::MAX).min(out.len());
    match out.get_mut(..there) {
        Some(out) if there > 0 => file.read(offset, out),
        _ => Ok(()),
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

impl StorageBackend for DiskFile {
    fn len(&self) -> io::Result<u64> {
        match &self.writes {
            Writes::Through(failure) => failure.note(self.file.len()),
            Writes::Over(over) => Ok(locked(over).len),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match &self.writes {
            Writes::Through(failure) => failure.note(self.file.read(offset, out)),
            Writes::Over(over) => locked(over).read(&self.file, offset, out),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        match &self.writes {
            Writes::Through(failure) => failure.note(self.file.set_len(len)),
            Writes::Over(over) => {
                locked(over).len = len;
                Ok(())
            }
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        match &self.writes {
            Writes::Through(failure) => failure.note(self.file.sync_data()),
            Writes::Over(_) => Ok(()),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        match &self.writes {
            Writes::Through(failure) => failure.note(self.file.write(offset, data)),
            Writes::Over(over) => locked(over).write(&self.file, offset, data),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads back what was written over a file, at any offset; the file stays as it was.
    #[test]
    fn overlay_reads_back_what_was_written_and_the_file_stays_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let bytes: Vec<u8> = (0..10_000_u32).map(|at| at.to_le_bytes()[0]).collect();
        std::fs::write(&path, &bytes).unwrap();
        let disk = DiskFile::open_read_only(&path).unwrap();
        let mut expected = bytes.clone();
        for (offset, len) in [(0, 1), (4095, 2), (4000, 5000), (9990, 300), (12_288, 4096)] {
            let new = vec![0xee; len];
            let end = offset + len;
            expected.resize(expected.len().max(end), 0);
            expected[offset..end].copy_from_slice(&new);
            disk.set_len(u64::try_from(expected.len()).unwrap())
                .unwrap();
            disk.write(u64::try_from(offset).unwrap(), &new).unwrap();
        }
        for (offset, len) in [(0, expected.len()), (4094, 4), (8191, 2), (9_999, 2000)] {
            let mut out = vec![1; len];
            disk.read(u64::try_from(offset).unwrap(), &mut out).unwrap();
            assert_eq!(out, expected[offset..offset + len], "{offset} {len}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
}
