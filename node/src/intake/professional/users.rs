//! Who may log in: a file of `name:argon2id-PHC-string` lines. Source: spec §10.8.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::password::{PasswordError, PasswordHash};
use crate::files;

pub(in crate::intake) mod watch;

/// Most users of a file.
pub const MAX_USERS: usize = 1024;
/// Most bytes of a name.
pub const MAX_NAME_BYTES: usize = 64;
/// Most bytes of a file: a line has at most some 170.
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// The users of a file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UserList(BTreeMap<String, PasswordHash>);

impl UserList {
    /// Reads a file, which only its owner may read. One that is missing has no users.
    ///
    /// # Errors
    ///
    /// [`UsersError`]
    pub fn read(path: &Path) -> Result<Self, UsersError> {
        let io = |source| UsersError::Io {
            path: path.to_owned(),
            source,
        };
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            file => file.map_err(io)?,
        };
        let mode = file.metadata().map_err(io)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(UsersError::Mode {
                path: path.to_owned(),
            });
        }
        let mut text = String::new();
        let mut bounded = file.take(MAX_FILE_BYTES + 1);
        bounded.read_to_string(&mut text).map_err(io)?;
        Self::parse(&text)
    }

    /// Reads the lines of a file.
    ///
    /// # Errors
    ///
    /// [`UsersError`], naming the line.
    pub fn parse(text: &str) -> Result<Self, UsersError> {
        let mut users = Self::default();
        if u64::try_from(text.len()).map_or(true, |len| len > MAX_FILE_BYTES) {
            return Err(UsersError::TooMany);
        }
        for (line, text) in (1..).zip(text.lines()) {
            let (name, hash) = text.split_once(':').ok_or(UsersError::Line { line })?;
            let hash = PasswordHash::parse(hash).map_err(|why| UsersError::Hash { line, why })?;
            if !users.set(name, hash)? {
                return Err(UsersError::Twice { line });
            }
        }
        Ok(users)
    }

    /// Writes the file, for its owner alone.
    ///
    /// # Errors
    ///
    /// [`UsersError::Io`]
    pub fn write(&self, path: &Path) -> Result<(), UsersError> {
        let line = |(name, hash): (&String, &PasswordHash)| format!("{name}:{}\n", hash.text());
        let text: String = self.0.iter().map(line).collect();
        files::replace(path, text.as_bytes(), files::SECRET).map_err(|source| UsersError::Io {
            path: path.to_owned(),
            source,
        })
    }

    /// Adds a user, or gives a known one another password. Gives whether the user is new.
    ///
    /// # Errors
    ///
    /// [`UsersError`]; then nothing has changed.
    pub fn set(&mut self, name: &str, hash: PasswordHash) -> Result<bool, UsersError> {
        if !is_name(name) {
            return Err(UsersError::Name);
        }
        if self.0.len() >= MAX_USERS && !self.0.contains_key(name) {
            return Err(UsersError::TooMany);
        }
        Ok(self.0.insert(name.to_owned(), hash).is_none())
    }

    /// Removes a user. Gives whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// A user's hash.
    pub(super) fn hash(&self, name: &str) -> Option<&PasswordHash> {
        self.0.get(name)
    }
}

/// Whether a text can be a user's name: 1 to [`MAX_NAME_BYTES`] of `a-z`, `0-9`, `.`, `_`, `@`,
/// `-`.
fn is_name(text: &str) -> bool {
    let letter = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'@' | b'-');
    (1..=MAX_NAME_BYTES).contains(&text.len()) && text.bytes().all(letter)
}

/// Why a file of users cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum UsersError {
    #[error("cannot read or write `{}`", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("`{}` can be read by others than its owner", path.display())]
    Mode { path: PathBuf },
    #[error("line {line}: a user is written `name:hash`")]
    Line { line: usize },
    #[error("line {line}: {why}")]
    Hash { line: usize, why: PasswordError },
    #[error("line {line}: this name stands there twice")]
    Twice { line: usize },
    #[error("a name has 1 to {MAX_NAME_BYTES} of a-z, 0-9, `.`, `_`, `@` and `-`")]
    Name,
    #[error("there are at most {MAX_USERS} users")]
    TooMany,
}

#[cfg(test)]
mod tests;
