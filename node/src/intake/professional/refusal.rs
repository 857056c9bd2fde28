//! Every way in which the page says no. Source: spec §10.8.

use std::time::Duration;

use axum::http::StatusCode;

use super::text;
use crate::store::StoreError;

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("There is no such page.")]
    NotFound,
    #[error("This page is not asked for in this way.")]
    Method { allow: &'static str },
    #[error("What was sent is not a form.")]
    MediaType,
    #[error("What was sent is too large.")]
    TooLarge { close: bool },
    #[error("What was sent cannot be read as this form.")]
    Form,
    #[error("The form was sent from another site. Nothing was done.")]
    Origin,
    #[error("The form is not of this session. Nothing was done. Go back and try again.")]
    Token,
    #[error(
        "You are not logged in, or you were logged out after a time without use. Nothing was done."
    )]
    Session,
    #[error("Nobody can log in just now. Ask your administrator.")]
    Users,
    #[error("Wrong name or password.")]
    Password,
    #[error("Too many attempts. Wait {}, then try again.", text::wait(.retry_after.as_secs()))]
    Slowed { retry_after: Duration },
    #[error("Too much to do at once. Try again in a moment.")]
    Busy,
    #[error("Choose a level.")]
    Level,
    #[error("Choose a zone from the list.")]
    Zone,
    #[error("Choose from the list how long the code is valid.")]
    Valid,
    #[error("You have issued {most} codes within an hour, which is the limit. Try again later.")]
    TooManyCodes { most: usize, retry_after: Duration },
    #[error("You have issued no such code, or it is forgotten by now.")]
    UnknownCode,
    #[error(
        "It could not be kept. Try again in a moment; if that does not help, ask your administrator."
    )]
    Store(#[from] StoreError),
    #[error("It could not be done. Try again in a moment.")]
    Failed,
}

impl Refusal {
    /// The broken rule's name.
    pub(super) const fn rule(&self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::Method { .. } => "method",
            Self::MediaType => "media-type",
            Self::TooLarge { .. } => "too-large",
            Self::Form => "form",
            Self::Origin => "origin",
            Self::Token => "token",
            Self::Session => "session",
            Self::Users => "users",
            Self::Password => "password",
            Self::Slowed { .. } => "too-many-failures",
            Self::Busy => "busy",
            Self::Level => "level",
            Self::Zone => "zone",
            Self::Valid => "valid",
            Self::TooManyCodes { .. } => "too-many-codes",
            Self::UnknownCode => "code-unknown",
            Self::Store(_) | Self::Failed => "store",
        }
    }

    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Form | Self::Level | Self::Zone | Self::Valid => StatusCode::BAD_REQUEST,
            Self::Origin | Self::Token | Self::Session | Self::Password | Self::UnknownCode => {
                StatusCode::FORBIDDEN
            }
            Self::Slowed { .. } | Self::TooManyCodes { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Users | Self::Busy | Self::Store(_) | Self::Failed => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// Seconds after which it may be done.
    pub(super) const fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Slowed { retry_after } | Self::TooManyCodes { retry_after, .. } => {
                Some(retry_after.as_secs())
            }
            Self::Busy => Some(2),
            Self::Users | Self::Store(_) | Self::Failed => Some(30),
            _ => None,
        }
    }
}
