//! The node's peer key: who it is among nodes. It is not the provider's key.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use libp2p::identity::Keypair;
use zeroize::Zeroizing;

/// Reads the peer key, or makes one if there is none.
///
/// The file holds the 32 secret bytes of an Ed25519 key as 64 hex digits and a newline, readable
/// by its owner only. A new one appears whole or not at all, and is durable on return.
///
/// # Errors
///
/// [`KeyError`] if the file cannot be read or written, or holds something else.
pub fn load_or_create_peer_key(path: &Path) -> Result<Keypair, KeyError> {
    let file = |source| KeyError::File {
        path: path.to_owned(),
        source,
    };
    match fs::read(path) {
        Ok(text) => parse(&Zeroizing::new(text), path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut secret = Zeroizing::new([0; 32]);
            getrandom::fill(secret.as_mut()).map_err(|_| KeyError::Random)?;
            create(path, secret.as_ref()).map_err(file)?;
            // Read back what is there: another process may have been first.
            parse(&Zeroizing::new(fs::read(path).map_err(file)?), path)
        }
        Err(error) => Err(file(error)),
    }
}

fn parse(text: &[u8], path: &Path) -> Result<Keypair, KeyError> {
    let broken = || KeyError::Broken {
        path: path.to_owned(),
    };
    let digits = text.strip_suffix(b"\n").unwrap_or(text);
    let secret = Zeroizing::new(HEXLOWER.decode(digits).map_err(|_| broken())?);
    let mut secret: [u8; 32] = secret.as_slice().try_into().map_err(|_| broken())?;
    // Wipes what it is given.
    Keypair::ed25519_from_bytes(&mut secret).map_err(|_| broken())
}

/// Writes the file under a temporary name, and gives it its own once it is on disk.
fn create(path: &Path, secret: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    // Made with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    let text = Zeroizing::new(HEXLOWER.encode(secret) + "\n");
    file.write_all(text.as_bytes())?;
    crate::files::hand_over(path, file.as_file())?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error.error),
        _ => File::open(folder)?.sync_all(),
    }
}

/// Why there is no peer key.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum KeyError {
    #[error("`{}` does not hold a peer key (64 hex digits)", path.display())]
    Broken { path: PathBuf },
    #[error("the peer key `{}`", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("the system gives no random numbers")]
    Random,
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peer.key");
        let made = load_or_create_peer_key(&path).unwrap();
        let read = load_or_create_peer_key(&path).unwrap();
        assert_eq!(made.public(), read.public());
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "nothing is left behind"
        );
    }

    #[test]
    fn a_broken_file_is_refused_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peer.key");
        for text in ["", "00", "zz", &"A".repeat(64), &"a".repeat(65)] {
            fs::write(&path, text).unwrap();
            assert!(matches!(
                load_or_create_peer_key(&path),
                Err(KeyError::Broken { .. })
            ));
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}
