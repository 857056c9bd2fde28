//! The node's memory: one redb file. Source: decision 0003.
//!
//! Four commits move a notification: [`accept`](Store::accept) (a report's seeds are durable),
//! [`prepare`](Store::prepare) (a batch is drawn up, still invisible), [`publish`](Store::publish)
//! (it is the head, in one transaction) and [`replicate`](Store::replicate) (a foreign batch with
//! all its blocks). Each is one transaction: a crash leaves the state before or after it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::{
    Database, ReadTransaction, ReadableDatabase, StorageBackend, TableDefinition, WriteTransaction,
};
use serde::{Serialize, de::DeserializeOwned};

mod accept;
mod below;
mod blocks;
mod check;
mod codes;
mod count;
mod cut;
mod disk;
mod disown;
mod error;
mod expire;
mod feed;
mod migrate;
mod modes;
mod notes;
mod prune;
mod publish;
mod ranges;
mod replicate;
mod rows;
mod sealed;
mod settle;
mod snapshot;
mod staged;
mod submit;

pub use accept::{AcceptError, Accepted, Fate, NewCode, SubmittedUnit};
pub use codes::{CodeStatus, CodesOf};
pub use cut::Cut;
pub use disk::DiskFailure;
pub use disown::{Disowned, Disowning};
pub use error::StoreError;
pub use feed::FeedHead;
pub use prune::{Pruned, RetainPolicy};
pub use publish::{Draft, PublishError, base};
pub use ranges::Range;
pub(crate) use ranges::patients;
pub use replicate::ReplicateError;
pub use rows::{BatchRow, CodeRow, Mode, NoteRow, PreparedRow, RangeRow, SealedRow, Statement};
pub use sealed::{FaultyBatch, PartFault};
pub use snapshot::Snapshot;
pub use submit::{Item, ItemError};

type Table = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// Format version, code key: `name` → value.
const META: Table = TableDefinition::new("meta");
/// `cid[36]` → the block's bytes.
const BLOCKS: Table = TableDefinition::new("blocks");
/// `cid[36]` → size of that block, 8 bytes big-endian.
const SIZES: Table = TableDefinition::new("sizes");
/// `cid[36]` → how often it is named, 8 bytes big-endian; none at all is no row.
const REFS: Table = TableDefinition::new("refs");
/// `cid[36]` → since when nothing names that block, in seconds of UTC, 8 bytes big-endian.
const LOOSE: Table = TableDefinition::new("loose");
/// `bytes` → bytes of all blocks, 8 bytes big-endian.
const TOTALS: Table = TableDefinition::new("totals");
/// `provider[32] zone 0 seq[8 be]` → [`BatchRow`].
const BATCHES: Table = TableDefinition::new("batches");
/// A key of [`BATCHES`] → nothing: batches whose sealed parts are to be checked.
const UNCHECKED: Table = TableDefinition::new("unchecked");
/// A key of [`BATCHES`] → a list of [`PartFault`]s.
const FAULTS: Table = TableDefinition::new("faults");
/// `provider[32] zone` → seq of the head, 8 bytes big-endian. Outlives pruning.
const HEADS: Table = TableDefinition::new("heads");
/// `provider[32] zone` → [`Cut`]. Outlives pruning.
const CUTS: Table = TableDefinition::new("cuts");
/// `provider[32]` → `cid[36]` of the descriptor of the highest epoch known.
const DESCRIPTORS: Table = TableDefinition::new("descriptors");
/// `provider[32] zone` → the envelopes of two batches that contradict each other.
const FORKS: Table = TableDefinition::new("forks");
/// `code hash[32]` → [`CodeRow`].
const CODES: Table = TableDefinition::new("codes");
/// `record[16] zone` → [`NoteRow`].
const NOTES: Table = TableDefinition::new("notes");
/// `code hash[32] record[16] zone` → nothing: the notes that a code admitted.
const NOTES_OF_CODE: Table = TableDefinition::new("notes_of_code");
/// `zone 0 record[16]` → nothing: notes whose level is not the published one.
const PENDING: Table = TableDefinition::new("pending");
/// `zone` → [`PreparedRow`].
const PREPARED: Table = TableDefinition::new("prepared");

/// `zone 0 cid[36]` → a block of what is prepared in the zone, or is being.
const STAGED: Table = TableDefinition::new("staged");
/// `record[16]` → 0 open, 1 sealed: the mode of its first acceptance. Outlives the notes.
const MODES: Table = TableDefinition::new("modes");
/// `zone 0 seq[8 be] record[16]` → nothing: the notes that a batch published first.
const NOTES_OF_BATCH: Table = TableDefinition::new("notes_of_batch");
/// `zone 0 first[8 be] last[8 be]` → [`RangeRow`]: ranges of sealed parts.
const RANGES: Table = TableDefinition::new("ranges");

const ALL: [Table; 22] = [
    META,
    BLOCKS,
    SIZES,
    REFS,
    LOOSE,
    TOTALS,
    BATCHES,
    UNCHECKED,
    FAULTS,
    HEADS,
    CUTS,
    DESCRIPTORS,
    FORKS,
    CODES,
    NOTES,
    NOTES_OF_CODE,
    PENDING,
    PREPARED,
    STAGED,
    MODES,
    NOTES_OF_BATCH,
    RANGES,
];

/// Version of the tables above. Version 1 did not count what names a block, and knew no modes: a
/// program of then would publish sealed notifications openly.
const FORMAT: u8 = 2;

/// Most memory that redb keeps pages in, in bytes: a small server has little.
const CACHE_BYTES: usize = 32 * 1024 * 1024;

/// A handle on the store; clones are the same store. Its calls wait for the disk: on a runtime
/// they belong on the blocking pool.
#[derive(Clone)]
pub struct Store {
    db: Arc<Database>,
    failure: DiskFailure,
    writable: Arc<AtomicBool>,
}

impl Store {
    /// Makes a new store. It appears under its name whole or not at all.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the file exists or cannot be written.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        if path.exists() {
            return Err(StoreError::Exists {
                path: path.display().to_string(),
            });
        }
        let draft = path.with_extension("new");
        match std::fs::remove_file(&draft) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let db = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(&draft)?;
        let store = Self::of(db).set_up()?;
        std::fs::rename(&draft, path)?;
        crate::files::sync_parent(path)?;
        Ok(store)
    }

    /// Opens a store that [`create`](Self::create) made; repairs it after a crash. One of the
    /// version before gets what this one has more, in one transaction.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] if another process has it open; [`StoreError::Format`] if another
    /// version or another program wrote it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let failure = DiskFailure::default();
        let file = disk::DiskFile::open(path, failure.clone())?;
        let store = Self {
            failure,
            ..Self::on(file)?
        };
        store.of_this_format()
    }

    /// Opens a store on a disk that takes no writes: nothing is written to its file, not even what a
    /// crash left to be repaired, and whoever wants to write is refused. Reads as [`open`](Self::open).
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let store = Self::on(disk::DiskFile::open_read_only(path)?)?;
        store.set_writable(false);
        store.of_this_format()
    }

    fn on(backend: impl StorageBackend) -> Result<Self, StoreError> {
        let empty = backend.len().map_err(StoreError::Io)? == 0;
        if empty {
            // redb would make a store of it.
            return Err(StoreError::Format { found: 0 });
        }
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES);
        Ok(Self::of(builder.create_with_backend(backend)?))
    }

    fn of(db: Database) -> Self {
        Self {
            db: Arc::new(db),
            failure: DiskFailure::default(),
            writable: Arc::new(AtomicBool::new(true)),
        }
    }

    fn of_this_format(self) -> Result<Self, StoreError> {
        match self.format()? {
            Some(FORMAT) => Ok(self),
            Some(1) => self.migrate(),
            // `create` leaves no store without a format: this is somebody else's file.
            found => Err(StoreError::Format {
                found: found.unwrap_or_default(),
            }),
        }
    }

    /// Notice that the disk failed under this store, whoever met it.
    pub const fn failure(&self) -> &DiskFailure {
        &self.failure
    }

    /// Tells whether the store takes writes.
    pub fn is_writable(&self) -> bool {
        self.writable.load(Ordering::Relaxed)
    }

    /// Lets nobody write from now on, or everybody again. Before the disk is full: a write that
    /// fails half way ends the node.
    pub fn set_writable(&self, writable: bool) {
        self.writable.store(writable, Ordering::Relaxed);
    }

    /// A store on any backend: for tests that make the disk fail.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the backend fails or holds something else.
    pub fn with_backend(backend: impl StorageBackend) -> Result<Self, StoreError> {
        let db = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(backend)?;
        Self::of(db).set_up()
    }

    fn set_up(self) -> Result<Self, StoreError> {
        match self.format()? {
            Some(FORMAT) => return Ok(self),
            Some(1) => return self.migrate(),
            Some(found) => return Err(StoreError::Format { found }),
            None => {}
        }
        let tx = self.write()?;
        for table in ALL {
            tx.open_table(table)?;
        }
        tx.open_table(META)?
            .insert(b"format".as_slice(), [FORMAT].as_slice())?;
        tx.commit()?;
        Ok(self)
    }

    /// A value kept under a name, such as the key that codes are hashed with.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the disk fails.
    pub fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        get(&self.read()?, META, name.as_bytes())
    }

    /// Keeps a value under a name.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the disk fails.
    pub fn set_meta(&self, name: &str, value: &[u8]) -> Result<(), StoreError> {
        let tx = self.write()?;
        tx.open_table(META)?.insert(name.as_bytes(), value)?;
        Ok(tx.commit()?)
    }

    /// The format version; none in a file that holds no store. Of a value that is no version, 0.
    fn format(&self) -> Result<Option<u8>, StoreError> {
        let tx = self.read()?;
        match tx.open_table(META) {
            Ok(table) => Ok(table
                .get(b"format".as_slice())?
                .map(|value| match value.value() {
                    [version] => *version,
                    _ => 0,
                })),
            Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn read(&self) -> Result<ReadTransaction, StoreError> {
        Ok(self.db.begin_read()?)
    }

    /// Starts a transaction that is durable when its commit returns, and whose file needs no walk
    /// through all pages after a crash.
    fn write(&self) -> Result<WriteTransaction, StoreError> {
        if !self.is_writable() {
            return Err(StoreError::ReadOnly);
        }
        let mut tx = self.db.begin_write()?;
        tx.set_quick_repair(true);
        Ok(tx)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}

/// Reads the bytes under a key.
fn get(tx: &ReadTransaction, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(tx
        .open_table(table)?
        .get(key)?
        .map(|value| value.value().to_vec()))
}

/// Reads a row.
fn row<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    ciborium::from_reader(bytes).map_err(|error| StoreError::Row {
        error: error.to_string(),
    })
}

/// Writes a row.
fn to_row<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).expect("a row is written to memory");
    bytes
}

/// The first key after every key that starts with `prefix`.
fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    end
}

#[cfg(test)]
pub(crate) mod tests;
