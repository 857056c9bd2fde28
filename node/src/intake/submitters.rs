//! The systems that may submit, and their file.
//!
//! ```text
//! # a line a system: its name, and SHA-256 of its token in hexadecimal
//! laboratory-1:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//! ```
//!
//! A token is 32 random bytes in base64url, so that its hash alone lets nobody in. Source: spec §10.6.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use data_encoding::{BASE64URL_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use sha2::{Digest as _, Sha256};

use super::proof;
use crate::files::{self, Stamp};

#[cfg(test)]
mod tests;

/// Largest file, in bytes: some thousand systems.
const MAX_FILE: u64 = 128 * 1024;

/// Longest name, in bytes.
const MAX_NAME: usize = 32;

/// Longest token that is looked at, in bytes; those made here have 43.
const MAX_TOKEN: usize = 256;

/// How often the file is looked at, at most.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A system that may submit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Submitter {
    /// Its name.
    pub name: String,
    /// SHA-256 of its token.
    hash: [u8; 32],
}

/// The submitters of a running node: their file is read again when it has changed.
#[derive(Debug)]
pub(super) struct Submitters {
    path: PathBuf,
    read: Mutex<Option<Read>>,
}

#[derive(Debug)]
struct Read {
    looked_at: Instant,
    stamp: Option<Stamp>,
    /// Whether the file was ever there: one that went away is no list of nobody.
    existed: bool,
    /// None where the file cannot be used: then nobody may submit.
    list: Option<Vec<Submitter>>,
}

impl Submitters {
    pub(super) const fn new(path: PathBuf) -> Self {
        let read = Mutex::new(None);
        Self { path, read }
    }

    /// The name of the system that a token belongs to. Waits for the disk.
    ///
    /// # Errors
    ///
    /// [`Unusable`] if the file is.
    pub(super) fn find(&self, token: &str, now: Instant) -> Result<Option<String>, Unusable> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let before = read.take();
        let read = read.insert(self.refresh(before, now));
        let list = read.list.as_ref().ok_or(Unusable)?;
        let hash = hash(token);
        // All are compared, so that the time does not tell which one was nearly right.
        let mut found = None;
        for submitter in list {
            if proof::same(&hash, &submitter.hash) && token.len() <= MAX_TOKEN {
                found = Some(submitter.name.clone());
            }
        }
        Ok(found)
    }

    /// What the file says, read again if that is due and it has changed.
    fn refresh(&self, before: Option<Read>, now: Instant) -> Read {
        let existed = before.as_ref().is_some_and(|read| read.existed);
        let stamp = match before {
            Some(read) if now.saturating_duration_since(read.looked_at) < LOOK_AGAIN => {
                return read;
            }
            before => {
                let stamp = Stamp::of(&self.path);
                if let Some(read) = before.filter(|read| read.stamp == stamp) {
                    return Read {
                        looked_at: now,
                        ..read
                    };
                }
                stamp
            }
        };
        let list = load(&self.path).inspect_err(|error| {
            tracing::error!(%error, "the file of submitters cannot be used; nobody may submit");
        });
        let gone = existed && stamp.is_none();
        if gone {
            tracing::error!("the file of submitters is gone; nobody may submit");
        }
        Read {
            looked_at: now,
            stamp,
            existed: existed || stamp.is_some(),
            list: list.ok().filter(|_| !gone),
        }
    }
}

/// The file of submitters cannot be used; the log says why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Unusable;

/// Reads a file of submitters; one that is missing names none.
///
/// # Errors
///
/// [`SubmittersError`]
pub fn load(path: &Path) -> Result<Vec<Submitter>, SubmittersError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    if file.metadata()?.mode() & 0o077 != 0 {
        return Err(SubmittersError::Mode);
    }
    let mut text = String::new();
    file.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() > usize::try_from(MAX_FILE).unwrap_or(usize::MAX) {
        return Err(SubmittersError::TooLarge);
    }
    let mut list: Vec<Submitter> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let submitter = parse(line).ok_or(SubmittersError::Line { number })?;
        if list.iter().any(|other| other.name == submitter.name) {
            return Err(SubmittersError::Twice { number });
        }
        list.push(submitter);
    }
    Ok(list)
}

fn parse(line: &str) -> Option<Submitter> {
    let (name, hash) = line.split_once(':')?;
    let hash = HEXLOWER_PERMISSIVE.decode(hash.as_bytes()).ok()?;
    let hash = hash.try_into().ok()?;
    let name = is_name(name).then(|| name.to_owned())?;
    Some(Submitter { name, hash })
}

fn is_name(name: &str) -> bool {
    let letter = |letter| matches!(letter, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_');
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(letter)
}

/// Adds a system to a file, which is made if it is missing. Gives its token, made of `random`.
///
/// # Errors
///
/// [`SubmittersError`]; then the file is as it was.
pub fn add(path: &Path, name: &str, random: [u8; 32]) -> Result<String, SubmittersError> {
    if !is_name(name) {
        return Err(SubmittersError::Name);
    }
    let mut list = load(path)?;
    if list.iter().any(|other| other.name == name) {
        let name = name.to_owned();
        return Err(SubmittersError::Known { name });
    }
    let token = BASE64URL_NOPAD.encode(&random);
    list.push(Submitter {
        name: name.to_owned(),
        hash: hash(&token),
    });
    save(path, &list)?;
    Ok(token)
}

/// Takes a system out of a file. What it submitted stays.
///
/// # Errors
///
/// [`SubmittersError`]; then the file is as it was.
pub fn remove(path: &Path, name: &str) -> Result<(), SubmittersError> {
    let mut list = load(path)?;
    let before = list.len();
    list.retain(|submitter| submitter.name != name);
    if list.len() == before {
        let name = name.to_owned();
        return Err(SubmittersError::Unknown { name });
    }
    save(path, &list)
}

fn save(path: &Path, list: &[Submitter]) -> Result<(), SubmittersError> {
    let lines = list.iter();
    let lines = lines.map(|one| format!("{}:{}\n", one.name, HEXLOWER.encode(&one.hash)));
    let text: String = lines.collect();
    Ok(files::replace(path, text.as_bytes(), files::SECRET)?)
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Why a file of submitters cannot be used or changed. No message holds a token or its hash.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum SubmittersError {
    #[error("cannot read or write it")]
    Io(#[from] io::Error),
    #[error("`{name}` may submit already")]
    Known { name: String },
    #[error("line {number} is not a name, a colon and 64 hexadecimal digits")]
    Line { number: usize },
    #[error("others than its owner may read it")]
    Mode,
    #[error("a name is 1 to {MAX_NAME} of a to z, 0 to 9, `-`, `.` and `_`")]
    Name,
    #[error("it has more than {MAX_FILE} bytes")]
    TooLarge,
    #[error("line {number} names a system for the second time")]
    Twice { number: usize },
    #[error("no system is called `{name}`")]
    Unknown { name: String },
}

impl SubmittersError {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Io(error) => files::hint(error),
            Self::Known { .. } => Some("remove it first; it keeps what it submitted by its name"),
            Self::Mode => Some("`chmod 600` it"),
            _ => None,
        }
    }
}
