//! Why a node does not start.

use std::io;

use super::DiskError;
use crate::admin::AdminError;
use crate::config::ConfigError;
use crate::http::TlsError;
use crate::network::{KeyError, NetworkError};
use crate::publisher::PublishZoneError;
use crate::store::StoreError;

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum StartError {
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("the data directory cannot be used")]
    Io(#[from] io::Error),
    #[error("cannot listen on {address} (`{key}`)")]
    Listen {
        key: &'static str,
        address: std::net::SocketAddr,
        source: io::Error,
    },
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error(transparent)]
    PeerKey(#[from] KeyError),
    #[error(transparent)]
    Publisher(#[from] PublishZoneError),
    #[error("the system gives no randomness")]
    Random,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the certificate cannot be used")]
    Tls(#[from] TlsError),
}

impl StartError {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Publisher(error) => error.hint(),
            Self::Listen { .. } => Some("choose another port in node.toml, or port 0 for any"),
            Self::Store(StoreError::Locked) => Some("a node is running on this data directory"),
            _ => None,
        }
    }
}
