//! Every way in which the intake says no, and how it says so. Source: spec §10.1.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use bellwether_formats::scheme::cx::CxError;

use super::code::guesses::Refused;
use super::report::{MAX_BODY_BYTES, ReportError};
use crate::http::answer;
use crate::store::{AcceptError, StoreError};

/// Why a report is not accepted.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("reports are posted to /v1/reports")]
    NotFound,
    #[error("reports are posted")]
    Method,
    #[error("a report is application/octet-stream")]
    MediaType,
    #[error("a report has at most {MAX_BODY_BYTES} bytes")]
    TooLarge { close: bool },
    #[error("the body ended early")]
    Broken,
    #[error("the generator type is not known")]
    Generator,
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error(transparent)]
    Seed(#[from] CxError),
    #[error(transparent)]
    Guesses(#[from] Refused),
    #[error(transparent)]
    Accept(#[from] AcceptError),
    #[error("too many reports at once; nothing was accepted")]
    Busy,
    #[error("the report could not be worked on; it is not known whether it was accepted")]
    Panic,
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Accept(error.into())
    }
}

impl Refusal {
    /// The broken rule's name.
    pub(super) const fn rule(&self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::Method => "method",
            Self::MediaType => "media-type",
            Self::TooLarge { .. } => "too-large",
            Self::Broken => "der",
            Self::Generator => "generator-type",
            Self::Report(error) => error.rule(),
            Self::Seed(CxError::KeyLength { .. }) => "key",
            Self::Seed(_) => "preseed-length",
            Self::Guesses(refused) => refused.rule(),
            Self::Accept(error) => match error {
                AcceptError::UnknownCode => "code-unknown",
                AcceptError::ExpiredCode => "code-expired",
                AcceptError::UsedCode | AcceptError::FullCode => "code-used",
                AcceptError::Store(_) => "store",
            },
            Self::Busy => "busy",
            Self::Panic => "store",
        }
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge { .. } | Self::Report(ReportError::TooLarge { .. }) => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Self::Guesses(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy | Self::Panic | Self::Accept(AcceptError::Store(_)) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Accept(_) | Self::Report(ReportError::Publisher | ReportError::Code) => {
                StatusCode::FORBIDDEN
            }
            Self::Broken | Self::Generator | Self::Report(_) | Self::Seed(_) => {
                StatusCode::BAD_REQUEST
            }
        }
    }

    /// Seconds after which the same report may be accepted.
    const fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Guesses(refused) => Some(refused.retry_after.as_secs()),
            Self::Busy => Some(2),
            Self::Panic | Self::Accept(AcceptError::Store(_)) => Some(30),
            _ => None,
        }
    }

    pub(super) fn into_response(self) -> Response {
        let message = match &self {
            Self::Accept(AcceptError::Store(error)) => {
                tracing::error!(%error, "a report could not be kept");
                "the report could not be kept; nothing was accepted".to_owned()
            }
            other => other.to_string(),
        };
        let mut response = match self.retry_after() {
            Some(seconds) => answer::later(self.status(), self.rule(), message, seconds),
            None => answer::refuse(self.status(), self.rule(), message),
        };
        let fields = response.headers_mut();
        if matches!(self, Self::Method) {
            fields.insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        if matches!(self, Self::TooLarge { close: true } | Self::Broken) {
            fields.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
