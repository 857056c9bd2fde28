//! Tells whether the disk takes writes: proved now and then, so that a full disk stops writes before one
//! fails half way; and what ends the node when one did.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::condition::{ConditionKind, Conditions, Subject};
use crate::store::Store;

/// Time between two proofs while all is well: each is a file that is made durable, and disks wear.
const PROVED: Duration = Duration::from_secs(30);

/// Time between two proofs while the disk is full.
const PROVED_AGAIN: Duration = Duration::from_secs(5);

/// Least room for a write to begin, in bytes (64 MiB): the blocks of the largest batch, what redb
/// needs beside them, and some log.
const MIN_FREE: u64 = 64 * 1024 * 1024;

/// Bytes that a proof writes: a page.
const PROOF: [u8; 4096] = [0; 4096];

/// A proof's file.
const NAME: &str = "disk-proof";

/// Reason why nothing can be written, or the node has to be started anew.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum DiskError {
    #[error("the disk of `{}` takes no writes: {source}", dir.display())]
    Refused { dir: PathBuf, source: io::Error },
    #[error("the disk of `{}` has {free} bytes free, {MIN_FREE} are needed", dir.display())]
    Full { dir: PathBuf, free: u64 },
    #[error("the disk failed under the store: {why}; the node has to be started anew")]
    Failed { why: String },
    #[error("the disk takes writes again: the node has to be started anew to write")]
    Recovered,
}

/// Proves that a write below each directory becomes durable, and that there is room for more.
///
/// # Errors
///
/// [`DiskError::Refused`], [`DiskError::Full`]
pub(super) fn prove(dirs: &[PathBuf]) -> Result<(), DiskError> {
    dirs.iter().try_for_each(|dir| prove_one(dir))
}

fn prove_one(dir: &Path) -> Result<(), DiskError> {
    let refused = |source| DiskError::Refused {
        dir: dir.to_owned(),
        source,
    };
    let disk = rustix::fs::statvfs(dir).map_err(|error| refused(error.into()))?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free < MIN_FREE {
        let dir = dir.to_owned();
        return Err(DiskError::Full { dir, free });
    }
    let path = dir.join(NAME);
    let write = || {
        let mut file = File::create(&path)?;
        file.write_all(&PROOF)?;
        file.sync_data()
    };
    let written = write();
    // One that stays is written over by the next.
    let _ = fs::remove_file(&path);
    written.map_err(refused)
}

/// Raises the condition of a full disk, or clears it.
pub(super) fn tell(conditions: &Conditions, error: Option<&DiskError>) {
    let kind = ConditionKind::DiskFull;
    match error {
        Some(error) => conditions.raise(kind, Subject::Node, error.to_string(), clock::now()),
        None => conditions.clear(kind, &Subject::Node),
    }
}

/// Guards a store: lets nobody write while the disk takes no writes. Ends when the disk failed under
/// it, or when a store that was opened without writing can be opened anew.
///
/// # Errors
///
/// [`DiskError::Failed`], [`DiskError::Recovered`]
pub(super) async fn guard(
    store: Store,
    dirs: Vec<PathBuf>,
    conditions: Conditions,
    stop: CancellationToken,
) -> Result<(), DiskError> {
    let opened_read_only = !store.is_writable();
    loop {
        let wait = if store.is_writable() {
            PROVED
        } else {
            PROVED_AGAIN
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            why = store.failure().happened() => return Err(DiskError::Failed { why }),
            () = tokio::time::sleep(wait) => {}
        }
        let dirs = dirs.clone();
        let Ok(proved) = tokio::task::spawn_blocking(move || prove(&dirs)).await else {
            continue;
        };
        tell(&conditions, proved.as_ref().err());
        match proved {
            Ok(()) if opened_read_only => return Err(DiskError::Recovered),
            proved => store.set_writable(proved.is_ok()),
        }
    }
}
