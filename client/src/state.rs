//! What a client remembers, as one file that is replaced atomically, and blocks beside it.
//! Source: spec §11.1.
//!
//! ```text
//! state.cbor       everything but observations and blocks
//! observations-<SHA-256>   what was observed, as long as state.cbor names it
//! blocks/<CID>     envelopes and bodies that state.cbor names
//! lock             held while a process works on it
//! ```
//!
//! Both are durable before the state names them, and removed after it no longer does. A crash at
//! any point leaves the old state or the new one.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bellwether_formats::cid::{Block, Cid};
use bellwether_formats::descriptor::{Descriptor, Gateway};
use bellwether_formats::id::ProviderId;
use bellwether_formats::signed::Signed;
use serde::{Deserialize, Serialize};

use crate::error::StateError;
use crate::horizon::{Lived, Moment};
use crate::matcher::Hit;
use crate::observations::Observations;
use crate::policy::Policy;
use crate::serial;
use crate::trust::Feed;

/// Version of the state file that this code reads and writes.
const FORMAT: u32 = 1;

/// Largest state file, in bytes (256 MiB): many times what the bounds on observations and on
/// batches of the retention allow.
const MAX_STATE_BYTES: u64 = 256 * 1024 * 1024;

/// How long another process is waited for, in tenths of a second: longer than one request.
const LOCK_TRIES: u32 = 450;

/// Everything but blocks; of the observations, the file that has them.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    format: u32,
    pub(crate) followed: Vec<Followed>,
    pub(crate) observations: Observations,
    pub(crate) hits: BTreeSet<Hit>,
    /// How hits in filters are confirmed.
    #[serde(default)]
    pub(crate) policy: Policy,
    /// Whole bodies of sealed parts that are kept, the oldest first: for bundles.
    #[serde(default)]
    pub(crate) whole: Vec<WholeBody>,
    /// Knowledge of the time.
    #[serde(default)]
    pub(crate) lived: Lived,
}

impl State {
    /// Reads the clocks; gives the time to take for now when deleting.
    pub(crate) fn horizon(&mut self, now: &Moment) -> u64 {
        let feeds = self.followed.iter().flat_map(|followed| &followed.feeds);
        let heads = feeds.filter_map(|feed| Some((feed.id().provider, feed.head()?.as_head())));
        self.lived.read(now, heads)
    }
}

/// The body of a sealed part that is kept.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WholeBody {
    /// The list of its chunks.
    #[serde(with = "serial::text")]
    pub(crate) index: Cid,
    /// The chunks' CIDs in their binary form, in order.
    #[serde(with = "serde_bytes")]
    chunks: Vec<u8>,
    /// Size of all chunks, in bytes.
    pub(crate) bytes: usize,
}

impl WholeBody {
    /// A body of these chunks.
    pub(crate) fn of(index: Cid, chunks: &[Block]) -> Self {
        Self {
            index,
            chunks: chunks
                .iter()
                .flat_map(|chunk| chunk.cid().to_bytes())
                .collect(),
            bytes: chunks.iter().map(|chunk| chunk.bytes().len()).sum(),
        }
    }

    /// Its chunks.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = Cid> + '_ {
        let cids = self.chunks.chunks_exact(Cid::LEN);
        cids.filter_map(|cid| Cid::from_bytes(cid).ok())
    }
}

/// A provider whose feeds are followed.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Followed {
    #[serde(with = "serial::text")]
    pub(crate) provider: ProviderId,
    pub(crate) pins: Vec<Pin>,
    #[serde(with = "serial::descriptor")]
    pub(crate) descriptor: Option<Signed<Descriptor>>,
    pub(crate) feeds: Vec<Feed>,
}

/// A gateway that was given by hand.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pin {
    pub(crate) url: String,
    pub(crate) operator: String,
}

impl From<&Pin> for Gateway {
    fn from(pin: &Pin) -> Self {
        Self {
            url: pin.url.clone(),
            operator: pin.operator.clone(),
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            format: FORMAT,
            followed: Vec::new(),
            observations: Observations::default(),
            hits: BTreeSet::new(),
            policy: Policy::default(),
            whole: Vec::new(),
            lived: Lived::default(),
        }
    }
}

impl State {
    /// The blocks that it names.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = Cid> {
        let batches = self
            .followed
            .iter()
            .flat_map(|followed| &followed.feeds)
            .flat_map(Feed::batches);
        batches
            .flat_map(|batch| {
                let bodies = batch.parts.iter().flat_map(|part| part.body.blocks());
                bodies.chain([batch.cid])
            })
            .chain(self.whole.iter().flat_map(WholeBody::chunks))
    }
}

/// The directory, held against other processes while this lives.
#[derive(Debug)]
pub(crate) struct Store {
    dir: PathBuf,
    _lock: File,
    #[cfg(test)]
    steps: tests::Steps,
}

/// What of the format must be known before the rest is read.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

impl Store {
    /// Opens the directory, which is made when missing, and reads the state.
    pub(crate) fn open(dir: &Path) -> Result<(Self, State), StateError> {
        make_private_dir(&dir.join("blocks")).map_err(|error| StateError::io(dir, error))?;
        let path = dir.join("lock");
        let lock = private(&path).map_err(|error| StateError::io(&path, error))?;
        wait_for(&lock, &path)?;
        let store = Self {
            dir: dir.to_owned(),
            _lock: lock,
            #[cfg(test)]
            steps: tests::Steps::default(),
        };
        let state = store.read()?;
        Ok((store, state))
    }

    fn read(&self) -> Result<State, StateError> {
        let path = self.dir.join("state.cbor");
        let bytes = match read_bounded(&path, MAX_STATE_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(State::default()),
            Err(error) => return Err(StateError::io(&path, error)),
        };
        let malformed = |error: ciborium::de::Error<io::Error>| StateError::Malformed {
            path: path.clone(),
            reason: error.to_string(),
        };
        let Version { format } = ciborium::from_reader(bytes.as_slice()).map_err(malformed)?;
        if format != FORMAT {
            return Err(StateError::Format {
                path,
                found: format,
            });
        }
        let mut rest = bytes.as_slice();
        let mut state: State = ciborium::from_reader(&mut rest).map_err(malformed)?;
        if !rest.is_empty() {
            let reason = format!("{} bytes follow the end", rest.len());
            return Err(StateError::Malformed { path, reason });
        }
        self.read_observations(&mut state)?;
        Ok(state)
    }

    /// Replaces the state. What it names must have been put before.
    pub(crate) fn save(&self, state: &State) -> Result<(), StateError> {
        let news = self.put_observations(state)?;
        let mut bytes = Vec::new();
        let path = self.dir.join("state.cbor");
        ciborium::into_writer(state, &mut bytes).map_err(|error| StateError::Malformed {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        self.replace(&self.dir, "state.cbor", &bytes)
            .and_then(|()| self.sync_dir(&self.dir))
            .map_err(|error| StateError::io(&path, error))?;
        if news {
            // The state is durable: what is left over now costs room alone, and goes the next time.
            let _: io::Result<()> = self.sweep_observations(state);
        }
        Ok(())
    }

    /// Makes blocks durable.
    pub(crate) fn put(&self, blocks: &[Block]) -> Result<(), StateError> {
        let dir = self.dir.join("blocks");
        let put_all = || -> io::Result<()> {
            for block in blocks {
                let name = block.cid().to_string();
                if self.block(&block.cid()).is_none() {
                    self.replace(&dir, &name, block.bytes())?;
                }
            }
            self.sync_dir(&dir)
        };
        put_all().map_err(|error| StateError::io(&dir, error))
    }

    /// A block, if it is kept and whole.
    pub(crate) fn block(&self, cid: &Cid) -> Option<Block> {
        let path = self.dir.join("blocks").join(cid.to_string());
        let max = u64::try_from(bellwether_formats::limit::MAX_BLOCK_BYTES).unwrap_or(u64::MAX);
        let bytes = read_bounded(&path, max).ok()?;
        Block::verify(*cid, bytes).ok()
    }

    /// Removes the blocks that the saved state does not name.
    pub(crate) fn sweep(&self, state: &State) -> Result<(), StateError> {
        let dir = self.dir.join("blocks");
        let named: BTreeSet<String> = state.blocks().map(|cid| cid.to_string()).collect();
        let sweep_all = || -> io::Result<()> {
            for entry in fs::read_dir(&dir)? {
                let entry = entry?;
                if !entry
                    .file_name()
                    .to_str()
                    .is_some_and(|name| named.contains(name))
                {
                    self.step()?;
                    fs::remove_file(entry.path())?;
                }
            }
            Ok(())
        };
        sweep_all().map_err(|error| StateError::io(&dir, error))
    }

    /// Writes a file under a temporary name, makes it durable, and renames it. The lock sees to it
    /// that nobody else uses the name.
    fn replace(&self, dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
        let temporary = dir.join("new");
        self.step()?;
        let mut file = private(&temporary)?;
        file.set_len(0)?;
        self.step()?;
        file.write_all(bytes)?;
        self.step()?;
        self.wait_for_disk(&file)?;
        self.step()?;
        fs::rename(&temporary, dir.join(name))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.step()?;
        self.wait_for_disk(&File::open(dir)?)
    }

    /// Where a test has the process die.
    #[cfg_attr(
        not(test),
        expect(
            clippy::unused_self,
            clippy::unnecessary_wraps,
            reason = "tests use both"
        )
    )]
    fn step(&self) -> io::Result<()> {
        #[cfg(test)]
        self.steps.step()?;
        Ok(())
    }

    fn wait_for_disk(&self, file: &File) -> io::Result<()> {
        #[cfg(test)]
        if self.steps.hasty.get() {
            return Ok(());
        }
        file.sync_all()
    }

    /// From now on nothing is waited for: crowds of phones in tests survive no power cut.
    #[cfg(test)]
    pub(crate) fn make_hasty(&self) {
        self.steps.hasty.set(true);
    }
}

/// Waits for another process to let go of the lock, within bounds.
fn wait_for(lock: &File, path: &Path) -> Result<(), StateError> {
    for _ in 0..LOCK_TRIES {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(100)),
            Err(TryLockError::Error(error)) => return Err(StateError::io(path, error)),
        }
    }
    Err(StateError::Locked {
        path: path.to_owned(),
    })
}

/// Opens a file that only its owner can read: observations say where somebody was.
fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn make_private_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Reads a file of at most `max` bytes, found before they are read.
pub(crate) fn read_bounded(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if file.metadata()?.len() > max {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, max), &mut bytes)?;
    Ok(bytes)
}

mod observed;

#[cfg(test)]
mod tests;
