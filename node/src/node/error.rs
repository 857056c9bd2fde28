//! Why a node does not start.

use std::io;

use super::DiskError;
use crate::admin::AdminError;
use crate::config::ConfigError;
use crate::http::TlsError;
use crate::keys;
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
    #[error("the key that codes are hashed with cannot be used")]
    CodeKey(#[source] keys::KeyError),
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
    #[error("the signing keys cannot be used")]
    SigningKeys(#[source] keys::KeyError),
    #[error("this provider cannot sign: {0}")]
    Unusable(keys::Unusable),
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
            Self::CodeKey(_) => Some(keys::LOST_CODE_KEY),
            Self::SigningKeys(_) => Some(keys::LOST_SIGNING),
            Self::Unusable(why) => Some(why.hint()),
            Self::Tls(_) => Some(
                "put a certificate and its key in PEM where `tls_cert` and `tls_key` in node.toml say",
            ),
            Self::Listen { .. } => Some("choose another port in node.toml, or port 0 for any"),
            Self::Store(StoreError::Locked) => Some("a node is running on this data directory"),
            _ => None,
        }
    }
}
