//! Key files: 64 hexadecimal digits of an Ed25519 seed, readable by their owner alone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

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
    let text = fs::read_to_string(path).map_err(|source| KeyError::Io {
        path: path.to_owned(),
        source,
    })?;
    let text = Zeroizing::new(text);
    let seed = HEXLOWER.decode(text.trim().as_bytes()).map(Zeroizing::new);
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
