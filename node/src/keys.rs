//! Key files: 64 hexadecimal digits of an Ed25519 seed, readable by their owner alone.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use bellwether_formats::descriptor::Descriptor;
use bellwether_formats::id::PublicKey;
use data_encoding::HEXLOWER;
use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

use crate::files;

/// The root key's file: signs descriptors only. To be taken offline; `run` never opens it.
pub const ROOT: &str = "root.key";

/// The root key that a descriptor promises for the day the root is lost or stolen.
pub const NEXT_ROOT: &str = "next-root.key";

/// The directory of the keys that sign batches.
pub const SIGNING: &str = "keys";

/// Most bytes that are read of a key's file: it has 65.
const MAX_FILE_BYTES: u64 = 1024;

/// Makes a key and writes it to a new file.
///
/// # Errors
///
/// [`KeyError`] if the file exists or cannot be written.
pub fn create(path: &Path) -> Result<SigningKey, KeyError> {
    if path.exists() {
        let source = io::ErrorKind::AlreadyExists.into();
        return Err(KeyError::Io {
            path: path.to_owned(),
            source,
        });
    }
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut()).map_err(|_| KeyError::Random)?;
    let text = Zeroizing::new(format!("{}\n", HEXLOWER.encode(seed.as_ref())));
    files::replace(path, text.as_bytes(), files::SECRET).map_err(|source| KeyError::Io {
        path: path.to_owned(),
        source,
    })?;
    Ok(SigningKey::from_bytes(&seed))
}

/// Reads a key's file.
///
/// # Errors
///
/// [`KeyError`]
pub fn load(path: &Path) -> Result<SigningKey, KeyError> {
    let mut text = Zeroizing::new(Vec::new());
    let read = File::open(path).and_then(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut text));
    read.map_err(|source| KeyError::Io {
        path: path.to_owned(),
        source,
    })?;
    let seed = HEXLOWER.decode(text.trim_ascii()).map(Zeroizing::new);
    let seed = seed.ok().and_then(|seed| seed.as_slice().try_into().ok());
    let seed = seed.ok_or_else(|| KeyError::Malformed {
        path: path.to_owned(),
    })?;
    Ok(SigningKey::from_bytes(&seed))
}

/// Makes a signing key in `dir`; its file is named by its public key.
///
/// # Errors
///
/// [`KeyError`]
pub fn create_signing(dir: &Path) -> Result<SigningKey, KeyError> {
    let io = |source| KeyError::Io {
        path: dir.to_owned(),
        source,
    };
    files::create_dirs(dir).map_err(io)?;
    let draft = dir.join("draft.key");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    let key = create(&draft)?;
    let name = dir.join(format!("{}.key", public(&key)));
    fs::rename(&draft, &name).map_err(io)?;
    files::sync_parent(&name).map_err(io)?;
    Ok(key)
}

/// Reads every signing key of `dir`.
///
/// # Errors
///
/// [`KeyError`]
pub fn load_signing(dir: &Path) -> Result<Vec<SigningKey>, KeyError> {
    let io = |source| KeyError::Io {
        path: dir.to_owned(),
        source,
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if name.ends_with(".key") && name != "draft.key" {
            paths.push(path);
        }
    }
    paths.sort();
    paths.iter().map(|path| load(path)).collect()
}

/// The key that signs under a descriptor at a time, in seconds of UTC: the first one that it lists for
/// then and that is on this machine.
///
/// # Errors
///
/// [`Unusable`]
pub fn usable(descriptor: &Descriptor, here: &[PublicKey], at: u64) -> Result<PublicKey, Unusable> {
    let listed = descriptor.keys.iter().map(|window| window.key);
    let listed: Vec<PublicKey> = listed.filter(|key| here.contains(key)).collect();
    let now = listed.iter().find(|key| descriptor.lists(key, at));
    match now {
        Some(key) => Ok(*key),
        None if here.is_empty() => Err(Unusable::NoneHere),
        None if listed.is_empty() => Err(Unusable::Unlisted),
        None => Err(Unusable::OtherTimes),
    }
}

/// Reason why no key of this machine may sign.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unusable {
    /// They are lost.
    #[error("no signing key is on this machine")]
    NoneHere,
    /// Those that are there are others.
    #[error("the descriptor lists none of the signing keys of this machine")]
    Unlisted,
    /// Their windows are over, or have not begun.
    #[error("the descriptor lists the signing keys of this machine for other times")]
    OtherTimes,
}

impl Unusable {
    /// Advice for the person who sees it.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::NoneHere | Self::Unlisted => LOST_SIGNING,
            Self::OtherTimes => {
                "renew the descriptor: `bellwether-node descriptor renew --root FILE`"
            }
        }
    }
}

/// Advice for a provider that has lost its signing keys.
pub const LOST_SIGNING: &str =
    "restore the directory `keys` from the backup that was made with the data directory";

/// Advice for a provider that has lost the key that codes are hashed with.
pub const LOST_CODE_KEY: &str = "restore `code.key` from the backup that was made with the data directory; without one, \
     64 random hexadecimal digits in that file are a new key, and codes that were issued before count no more";

/// A key's public half, as on the wire.
pub fn public(key: &SigningKey) -> PublicKey {
    PublicKey::from_bytes(key.verifying_key().to_bytes())
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum KeyError {
    #[error("cannot read or write the key file `{}`", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("`{}` is not a key file: 64 hexadecimal digits", path.display())]
    Malformed { path: PathBuf },
    #[error("the system gives no randomness")]
    Random,
}

#[cfg(test)]
mod tests;
