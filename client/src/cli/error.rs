//! What the command line says when it fails: what happened, why, what to do about it.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use bellwether_client::error::{ClientError, StateError};
use bellwether_client::observations::ObservationError;
use bellwether_client::policy::GatewayError;
use bellwether_client::time::ParseTimeError;
use bellwether_formats::id::ParseIdError;
use bellwether_formats::share::ParseShareError;

use super::device::DeviceError;

/// Why a verb failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error("cannot use the gateway `{text}`")]
    Gateway { text: String, source: GatewayError },
    #[error("cannot use `{text}`")]
    Id { text: String, source: ParseIdError },
    #[error("line {number} of the input is not an observation; nothing was recorded")]
    Line {
        number: usize,
        source: ObservationError,
    },
    #[error(
        "line {number} of the input is longer than {max} bytes, or not text; nothing was recorded"
    )]
    LineLength { number: usize, max: usize },
    #[error("there is no file `{what}`, and it is not a CID")]
    NothingToInspect { what: String },
    #[error("`{text}` is not an observation; nothing was recorded")]
    Observation {
        text: String,
        source: ObservationError,
    },
    #[error("cannot print")]
    Print(#[source] io::Error),
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("not a share string")]
    Share(#[from] ParseShareError),
    #[error("cannot read the standard input")]
    Stdin(#[source] io::Error),
    #[error("the time `{text}` is not one")]
    Time {
        text: String,
        source: ParseTimeError,
    },
    #[error("{} feeds were not reached", feeds.len())]
    Unreached { feeds: Vec<String> },
    #[error("the block {cid} is not kept here")]
    UnknownBlock { cid: String },
    #[error("a CID is looked up in a state, and none is given")]
    WhereIsTheBlock,
}

impl CliError {
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Client(error) => hint_of(error),
            Self::Gateway { .. } => Some(
                "a gateway is `https://host[:port]`, with `#OPERATOR` behind it if you know who runs it",
            ),
            Self::Line { .. } | Self::LineLength { .. } => Some(
                "a line is `id time`: hexadecimal digits (in cx a UUID too), and RFC 3339 or seconds; without a time, now",
            ),
            Self::NothingToInspect { .. } | Self::WhereIsTheBlock => {
                Some("give a file, or `--state DIR` and the CID of a block that is kept there")
            }
            Self::Share(_) => Some(
                "a provider's share string is printed by its `bellwether-node status`; quote it, it has a `?` and `&`",
            ),
            Self::Unreached { .. } => Some(
                "the warnings above say what each gateway did; what was fetched is kept, and `sync` goes on from there",
            ),
            _ => None,
        }
    }

    /// Writes the error, its causes and its hint to standard error; gives the exit status.
    pub(crate) fn report(&self) -> ExitCode {
        tell!("error: {self}");
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            tell!("  cause: {error}");
            cause = error.source();
        }
        if let Some(hint) = self.hint() {
            tell!("hint: {hint}");
        }
        ExitCode::from(2)
    }
}

const fn hint_of(error: &ClientError) -> Option<&'static str> {
    match error {
        ClientError::NothingFollowed => {
            Some("follow a provider first: `bellwether follow --state DIR 'bellwether:…'`")
        }
        ClientError::NothingInside => {
            Some("`bellwether status` shows which providers and zones are followed")
        }
        ClientError::State(StateError::Locked { .. }) => Some("wait until it is done"),
        ClientError::State(StateError::Format { .. }) => Some(
            "it was written by another version of `bellwether`; use that one, or another directory",
        ),
        ClientError::State(StateError::Malformed { .. }) => Some(
            "nothing was changed; move the directory away, then follow and sync again (observations in it are lost)",
        ),
        _ => None,
    }
}
