//! The control socket of a running node: a line of JSON in, a line of JSON out.

use std::error::Error;
use std::fs::{self, File, Permissions};
use std::future::Future;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use super::Request;

/// Largest request, in bytes: an import of codes at its limit.
const MAX_REQUEST: u64 = 16 * 1024 * 1024;

/// Largest answer, in bytes: a list of a million codes.
const MAX_ANSWER: u64 = 256 * 1024 * 1024;

/// Longest wait for a command line that does not go on sending or reading.
const STALL: Duration = Duration::from_secs(10);

/// Longest wait for an answer: a `check` of a large store reads all of it.
const PATIENCE: Duration = Duration::from_secs(300);

/// Longest path that a socket's address holds, with room to spare (108 on Linux).
const MAX_PATH: usize = 100;

/// What a node answers.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// It did as asked.
    Done(Value),
    /// It did not.
    Failed {
        /// Why.
        error: String,
        /// What was behind it, outermost first.
        #[serde(default)]
        causes: Vec<String>,
        /// What to do about it.
        hint: Option<String>,
    },
}

impl Reply {
    /// A failure with its causes.
    pub fn failed(error: &dyn Error, hint: Option<&str>) -> Self {
        let causes = std::iter::successors(error.source(), |&cause| cause.source());
        Self::Failed {
            error: error.to_string(),
            causes: causes.map(ToString::to_string).collect(),
            hint: hint.map(ToOwned::to_owned),
        }
    }
}

/// Asks the running node of `dir`; none if no node is running there.
///
/// # Errors
///
/// [`io::Error`] if a node answers wrongly or not at all.
pub fn ask(dir: &Path, request: &Request) -> io::Result<Option<Reply>> {
    let (path, _held) = match address(dir) {
        Err(error) if is_nobody(&error) => return Ok(None),
        address => address?,
    };
    let mut stream = match UnixStream::connect(&path) {
        Ok(stream) => stream,
        Err(error) if is_nobody(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream.take(MAX_ANSWER)).read_line(&mut answer)?;
    if answer.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(serde_json::from_str(&answer)?))
}

/// Nobody listens: the file is missing, or a killed node left it behind.
fn is_nobody(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

/// Listens for requests of the command line until `stop`, one at a time: they change one store.
///
/// # Errors
///
/// [`io::Error`] if the socket cannot be made.
pub async fn serve<F: Future<Output = Reply>>(
    dir: PathBuf,
    answer: impl Fn(Request) -> F,
    stop: CancellationToken,
) -> io::Result<()> {
    let (path, _held) = address(&dir)?;
    // The store's lock is ours, so a socket that is there belongs to a node that was killed.
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        let (reader, mut writer) = stream.into_split();
        let mut line = String::new();
        let mut reader = tokio::io::BufReader::new(reader.take(MAX_REQUEST));
        let read = tokio::time::timeout(STALL, reader.read_line(&mut line)).await;
        let reply = match (read, serde_json::from_str(&line)) {
            (Ok(Ok(_)), Ok(request)) => answer(request).await,
            _ => Reply::Failed {
                error: "the request cannot be read".to_owned(),
                causes: Vec::new(),
                hint: None,
            },
        };
        let mut bytes = serde_json::to_vec(&reply).unwrap_or_default();
        bytes.push(b'\n');
        // A command line that went away, or does not read, needs no answer.
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            _ = tokio::time::timeout(STALL, writer.write_all(&bytes)) => {}
        }
    }
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The socket's path, and what must live as long as it is used: where the directory's own path is
/// too long for a socket's address, the kernel's name of the opened directory stands for it.
fn address(dir: &Path) -> io::Result<(PathBuf, Option<File>)> {
    let path = dir.join("control.sock");
    if path.as_os_str().len() <= MAX_PATH {
        return Ok((path, None));
    }
    let held = File::open(dir)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/control.sock", held.as_raw_fd()));
    Ok((path, Some(held)))
}

#[cfg(test)]
mod tests;
