//! Log lines that cannot be written: lost and counted. A node outlives its log's disk and the reader
//! of its pipe.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

static LOST: AtomicU64 = AtomicU64::new(0);

/// Number of log lines that could not be written since the process started.
pub fn lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// Standard error. A line that cannot be written is counted, and is no error.
#[derive(Clone, Copy, Debug, Default)]
pub struct LossyStderr;

impl Write for LossyStderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if io::stderr().write_all(line).is_err() {
            LOST.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
