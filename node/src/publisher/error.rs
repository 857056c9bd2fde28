//! Why a zone's batch is not published, and what a person can do about it.

use bellwether_formats::chain::ChainError;
use bellwether_formats::id::Zone;
use bellwether_formats::sealed::Again;
use bellwether_formats::signed::OpenError;

use crate::batcher::DraftError;
use crate::clock::Doubt;
use crate::config::ConfigError;
use crate::keys::Unusable;
use crate::signer::SignerError;
use crate::store::{PublishError, StoreError};

/// Why a zone's batch was not published.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum PublishZoneError {
    #[error("{0}: not signing")]
    Clock(Doubt),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the descriptor cannot be used: {what}")]
    Descriptor { what: &'static str },
    #[error(transparent)]
    Draft(#[from] DraftError),
    #[error("relays have batch {theirs} of `{zone}`, this store ends at {ours}: not signing")]
    Fenced { zone: Zone, theirs: u64, ours: u64 },
    #[error("the store has no descriptor of this provider")]
    NoDescriptor,
    #[error("nothing can be signed for the time {at}: {why}")]
    NoKey { at: u64, why: Unusable },
    #[error("this node is not a provider")]
    NotProvider,
    #[error("the object is not well signed: {0}")]
    Object(#[from] OpenError),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error("the system gives no randomness")]
    Random,
    #[error("readers would refuse the batch: {0}")]
    Refused(#[from] ChainError),
    #[error(transparent)]
    Signer(#[from] SignerError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{attempts} salts failed in turn; with the last one, {last}")]
    Unlucky { attempts: usize, last: Again },
    #[error("this provider does not publish in `{zone}`")]
    Zone { zone: Zone },
}

impl PublishZoneError {
    /// Whether trying again is of no use before the node is started anew.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Store(error) | Self::Publish(PublishError::Store(error)) => error.is_fatal(),
            _ => false,
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Signer(error) => error.hint(),
            Self::NoKey { why, .. } => Some(why.hint()),
            Self::Refused(_) => {
                Some("renew the descriptor: `bellwether-node descriptor renew --root FILE`")
            }
            Self::Clock(_) => Some(
                "set the clock right; if it is right, it is believed again once a second source \
                 agrees with it, or nobody has contradicted it for ten minutes",
            ),
            Self::Draft(DraftError::ClockBack { .. }) => Some(
                "set the clock right; if it is right, the newest batch was published by a clock \
                 that was ahead: `bellwether-node descriptor disown --data-dir DIR --zone ZONE \
                 --from SEQ --root FILE` says that it does not count",
            ),
            Self::Fenced { .. } => Some(
                "this data directory is older than what was published; the node signs again once \
                 it has caught up from its relays",
            ),
            _ => None,
        }
    }
}
