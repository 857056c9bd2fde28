//! Why the client cannot do what it was asked.

use std::io;
use std::path::{Path, PathBuf};

use bellwether_formats::car::CarError;
use bellwether_formats::id::FeedId;

use crate::observations::ObservationError;
use crate::policy::GatewayError;

/// Why the state cannot be read or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum StateError {
    #[error("`{}` has format {found}, this version reads format 1", path.display())]
    Format { path: PathBuf, found: u32 },
    #[error("cannot read or write `{}`", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("another process works on this state: it holds `{}`", path.display())]
    Locked { path: PathBuf },
    #[error("`{}` is malformed: {reason}", path.display())]
    Malformed { path: PathBuf, reason: String },
}

impl StateError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}

/// Why the client cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum ClientError {
    #[error("the bundle is malformed ({})", .0.rule())]
    Bundle(#[from] CarError),
    #[error("cannot read or write `{}`", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("the gateway `{url}` cannot be used")]
    Gateway { url: String, source: GatewayError },
    #[error("the bundle does not have the whole of {feed}: {reason}")]
    Incomplete { feed: FeedId, reason: String },
    #[error("the bundle has nothing of what is followed")]
    NothingInside,
    #[error("no provider is followed")]
    NothingFollowed,
    #[error("cannot record the observations")]
    Observation(#[from] ObservationError),
    #[error("the operating system gives no random bytes")]
    Random,
    #[error("refused ({rule}): {reason}")]
    Refused { rule: &'static str, reason: String },
    #[error(transparent)]
    State(#[from] StateError),
    #[error("{what} would be more than {max}")]
    TooMany { what: &'static str, max: usize },
}
