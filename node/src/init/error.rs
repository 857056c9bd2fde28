//! Why no node is made, and what a person can do about it.

use std::io;
use std::path::PathBuf;

use crate::config;
use crate::http::TlsError;
use crate::keys;

/// Why no node was made.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum InitError {
    #[error("no certificate could be made: {0}")]
    Certificate(String),
    #[error(transparent)]
    Config(#[from] config::ConfigError),
    #[error("the descriptor would not be accepted: {0}")]
    Descriptor(bellwether_formats::signed::OpenError),
    #[error("the directory cannot be written")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Key(#[from] keys::KeyError),
    #[error("a relay needs a peer to get feeds from")]
    NoPeer,
    #[error("neither XDG_STATE_HOME nor HOME says where the signer can remember")]
    NoStateDir,
    #[error("`{}` is not empty", dir.display())]
    NotEmpty { dir: PathBuf, node: bool },
    #[error("`{option}`: {why}")]
    Option { option: &'static str, why: String },
    #[error(transparent)]
    Signer(#[from] crate::signer::SignerError),
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    #[error("the certificate cannot be used")]
    Tls(#[from] TlsError),
}

impl InitError {
    /// What a person can do about it.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoPeer => {
                Some("name one with `--bootstrap MULTIADDR`, or use a share string with `peer=`")
            }
            Self::NoStateDir => Some("name a directory with `--signer-dir DIR`"),
            Self::NotEmpty { node: true, .. } => {
                Some("use a new directory; the node that is there is started with `run`")
            }
            Self::NotEmpty { node: false, .. } => Some(
                "use a new directory; without node.toml, what is there may be left of an `init` \
                 that was interrupted: then remove it",
            ),
            _ => None,
        }
    }
}
