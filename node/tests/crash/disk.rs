//! A disk in memory whose power fails at a chosen write operation.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

/// What is on the disk after the power failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Loss {
    /// Everything that was written, and the failing operation too.
    FailingKept,
    /// Everything that was written, without the failing operation.
    FailingLost,
    /// What was written before the last sync.
    UnsyncedLost,
    /// Of what was written since the last sync every second operation, for a disk may order its
    /// writes as it likes.
    UnsyncedTorn,
}

/// The disk; clones are the same disk.
#[derive(Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    /// What was done since the last sync.
    unsynced: Vec<Operation>,
    /// What the bytes were at the last sync.
    synced: Vec<u8>,
    operations: u64,
    fail_at: Option<(u64, Loss)>,
    failed: bool,
}

enum Operation {
    Write { offset: usize, data: Vec<u8> },
    SetLen(usize),
    Sync,
}

impl Operation {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write { offset, data } => {
                let end = offset + data.len();
                // Of a torn disk the growing may be lost and what was written there not.
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*offset..end].copy_from_slice(data);
            }
            Self::SetLen(len) => bytes.resize(*len, 0),
            Self::Sync => {}
        }
    }
}

impl Disk {
    /// A disk with the bytes of another.
    pub(crate) fn with_bytes(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State {
            bytes,
            ..State::default()
        })))
    }

    /// Fails at the `n`-th write operation from now, counted from 1, and at every operation after.
    pub(crate) fn fail_at(&self, n: u64, loss: Loss) {
        let mut state = self.state();
        state.operations = 0;
        state.synced = state.bytes.clone();
        state.fail_at = Some((n, loss));
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.state().failed
    }

    /// How many write operations there were.
    pub(crate) fn operations(&self) -> u64 {
        self.state().operations
    }

    /// What is there when the power is back.
    pub(crate) fn survivors(&self) -> Vec<u8> {
        self.state().bytes.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn run(&self, operation: Operation) -> io::Result<()> {
        let mut state = self.state();
        if state.failed {
            return Err(power());
        }
        state.operations += 1;
        match state.fail_at {
            Some((n, loss)) if n == state.operations => {
                state.fail(operation, loss);
                Err(power())
            }
            _ => {
                state.apply(operation);
                Ok(())
            }
        }
    }
}

impl State {
    fn apply(&mut self, operation: Operation) {
        operation.apply(&mut self.bytes);
        if self.fail_at.is_none() {
            return;
        }
        match operation {
            Operation::Sync => {
                for operation in self.unsynced.drain(..) {
                    operation.apply(&mut self.synced);
                }
            }
            _ => self.unsynced.push(operation),
        }
    }

    fn fail(&mut self, operation: Operation, loss: Loss) {
        self.failed = true;
        match loss {
            Loss::FailingKept => operation.apply(&mut self.bytes),
            Loss::FailingLost => {}
            Loss::UnsyncedLost => self.bytes.clone_from(&self.synced),
            Loss::UnsyncedTorn => {
                self.bytes.clone_from(&self.synced);
                self.unsynced.push(operation);
                for kept in self.unsynced.iter().skip(1).step_by(2) {
                    kept.apply(&mut self.bytes);
                }
            }
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(u64::try_from(self.state().bytes.len()).unwrap())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        if state.failed {
            return Err(power());
        }
        let start = usize::try_from(offset).unwrap();
        let found = state.bytes.get(start..start + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.run(Operation::SetLen(usize::try_from(len).unwrap()))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.run(Operation::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.run(Operation::Write {
            offset: usize::try_from(offset).unwrap(),
            data: data.to_vec(),
        })
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Disk")
    }
}

fn power() -> io::Error {
    io::Error::other("the power failed")
}
