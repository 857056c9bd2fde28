//! Every way in which the intake says no, and how it says so. Source: spec §10.1.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use bellwether_formats::scheme::UnitError;
use bellwether_formats::scheme::cx::CxError;

use super::code::guesses::Refused;
use super::report::ReportError;
use crate::http::answer;
use crate::store::{AcceptError, StoreError};

/// Why nothing of a request is accepted.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("nothing is taken at this path")]
    NotFound,
    #[error("reports are posted")]
    Method,
    #[error("what is posted here is {kind}")]
    MediaType { kind: &'static str },
    #[error("a body has at most {limit} bytes here")]
    TooLarge { limit: usize, close: bool },
    #[error("the body ended early")]
    Broken { rule: &'static str },
    #[error("more than {limit} lines")]
    Lines { limit: usize },
    #[error("the body has no line")]
    Empty,
    #[error("a header is not of its form: {why}")]
    Header { why: &'static str },
    #[error("a code is needed")]
    CodeMissing,
    #[error("no code is empty or longer than 64 bytes, so this one is not known")]
    NoCode,
    #[error("this token is not known")]
    Token,
    #[error("this is not the code's revision token")]
    Revision,
    #[error("it cannot be looked up who may submit")]
    Submitters,
    #[error("this provider does not publish in `{zone}` now; the code stays as it is")]
    ZoneClosed { zone: String },
    #[error("too many reports without a code; try again in {} s", retry_after.as_secs())]
    TooManyReports { retry_after: Duration },
    #[error(transparent)]
    Unit(#[from] UnitError),
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
            Self::MediaType { .. } => "media-type",
            Self::TooLarge { .. } => "too-large",
            Self::Broken { rule } => rule,
            Self::Lines { .. } => "limit",
            Self::Empty => "json",
            Self::Header { .. } => "value",
            Self::CodeMissing => "code-missing",
            Self::NoCode => "code-unknown",
            Self::Token => "token-unknown",
            Self::Revision => "revision",
            Self::Submitters => "submitters",
            Self::ZoneClosed { .. } => "zone-closed",
            Self::TooManyReports { .. } => "too-many-reports",
            Self::Unit(error) => error.rule(),
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
            Self::MediaType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge { .. } | Self::Report(ReportError::TooLarge { .. }) => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Self::Guesses(_) | Self::TooManyReports { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy
            | Self::Panic
            | Self::Submitters
            | Self::ZoneClosed { .. }
            | Self::Accept(AcceptError::Store(_)) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Accept(_)
            | Self::CodeMissing
            | Self::NoCode
            | Self::Token
            | Self::Revision
            | Self::Report(ReportError::Publisher | ReportError::Code) => StatusCode::FORBIDDEN,
            Self::Broken { .. }
            | Self::Lines { .. }
            | Self::Empty
            | Self::Header { .. }
            | Self::Unit(_)
            | Self::Generator
            | Self::Report(_)
            | Self::Seed(_) => StatusCode::BAD_REQUEST,
        }
    }

    /// Seconds after which the same report may be accepted.
    const fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Guesses(Refused { retry_after }) | Self::TooManyReports { retry_after } => {
                Some(retry_after.as_secs())
            }
            Self::Busy => Some(2),
            Self::ZoneClosed { .. } => Some(3600),
            Self::Panic | Self::Submitters | Self::Accept(AcceptError::Store(_)) => Some(30),
            _ => None,
        }
    }

    pub(super) fn into_response(self) -> Response {
        let message = match &self {
            Self::Accept(AcceptError::Store(error)) => {
                tracing::error!(%error, "what was reported could not be kept");
                "it could not be kept; what was not answered is to be sent again".to_owned()
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
        if matches!(
            self,
            Self::TooLarge { close: true, .. } | Self::Broken { .. }
        ) {
            fields.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
