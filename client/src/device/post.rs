//! Sends reports to a provider's intake. Source: spec §10.1.

use data_encoding::HEXUPPER;
use rustls::crypto::aws_lc_rs;
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use ureq::{
    Agent,
    http::Uri,
    tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem},
};

/// Longest time a report takes in all. The intake bounds itself to far less.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Longest answer that is read, in bytes (1 MiB): a line of 180 for each of 4096 items, and a third.
const MAX_ANSWER_BYTES: u64 = 1024 * 1024;
/// Longest file of certificates, in bytes.
const MAX_CA_BYTES: u64 = 1024 * 1024;

/// Where an intake takes what.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Door {
    /// Seed reports of CX, which hold their code.
    Reports,
    /// A signed report of TCN.
    Tcn,
    /// Items of any scheme, one a line.
    Submissions,
}

/// A provider's intake, and whom to believe that it is.
pub struct Intake {
    agent: Agent,
    uri: Uri,
    door: Door,
}

/// What the intake said.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Whether the report was taken: any status 2xx.
    pub accepted: bool,
    /// The answer's body.
    pub text: String,
}

impl Intake {
    /// Gets ready to send seed reports of CX; nothing is sent yet. `ca`: a PEM file of the
    /// certificates to believe, instead of the public ones.
    ///
    /// # Errors
    ///
    /// [`PostError`]
    pub fn new(url: &str, ca: Option<&Path>) -> Result<Self, PostError> {
        Self::at(Door::Reports, url, ca)
    }

    /// As [`new`](Self::new), for what another door takes.
    ///
    /// # Errors
    ///
    /// [`PostError`]
    pub fn at(door: Door, url: &str, ca: Option<&Path>) -> Result<Self, PostError> {
        let uri = intake_uri(url, door)?;
        let roots = match ca {
            Some(path) => certificates(path)?,
            None => RootCerts::WebPki,
        };
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
            .root_certs(roots)
            .build();
        // A report is for one recipient: no redirects, and no proxy of the environment's.
        let agent = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(TIMEOUT))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .proxy(None)
            .user_agent("")
            .build()
            .new_agent();
        Ok(Self { agent, uri, door })
    }

    /// Sends a report that holds its code, and reads the answer.
    ///
    /// # Errors
    ///
    /// [`PostError::Http`]
    pub fn post(&self, report: &[u8]) -> Result<Answer, PostError> {
        self.send(None, None, report)
    }

    /// Sends a report under a code, which stands beside it where the door wants it so, and reads the
    /// answer. `revision`: the token of an earlier answer under the code, with which it admits more.
    ///
    /// # Errors
    ///
    /// [`PostError::Http`]
    pub fn post_under(
        &self,
        code: &str,
        revision: Option<&str>,
        report: &[u8],
    ) -> Result<Answer, PostError> {
        if !self.door.has_code() {
            return self.post(report);
        }
        self.send(Some(code), revision, report)
    }

    fn send(
        &self,
        code: Option<&str>,
        revision: Option<&str>,
        report: &[u8],
    ) -> Result<Answer, PostError> {
        let mut request = self.agent.post(&self.uri);
        if let Some(code) = code {
            request = request.header("bellwether-code", escaped(code));
        }
        if let Some(revision) = revision {
            request = request.header("bellwether-revision", escaped(revision));
        }
        let mut response = request
            .content_type(self.door.media_type())
            .send(report)
            .map_err(Box::new)?;
        let status = response.status();
        let text = response
            .body_mut()
            .with_config()
            .limit(MAX_ANSWER_BYTES)
            .lossy_utf8(true)
            .read_to_string()
            .map_err(Box::new)?;
        Ok(Answer {
            status: status.as_u16(),
            accepted: status.is_success(),
            text,
        })
    }
}

impl Door {
    /// Its path at an intake.
    const fn path(self) -> &'static str {
        match self {
            Self::Reports => "/v1/reports",
            Self::Tcn => "/v1/tcn",
            Self::Submissions => "/v1/submissions",
        }
    }

    const fn media_type(self) -> &'static str {
        match self {
            Self::Reports | Self::Tcn => "application/octet-stream",
            Self::Submissions => "application/x-ndjson",
        }
    }

    /// Whether the code stands beside the report.
    const fn has_code(self) -> bool {
        matches!(self, Self::Tcn | Self::Submissions)
    }
}

/// A code as a header has it: bytes that are not letters, digits or one of `-._~` as `%` and two
/// hexadecimal digits.
fn escaped(code: &str) -> String {
    let mut text = String::new();
    for byte in code.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push_str(&HEXUPPER.encode(&[byte]));
        }
    }
    text
}

/// Takes `https` anywhere and `http` on this machine only: a report names a patient's seed.
fn intake_uri(url: &str, door: Door) -> Result<Uri, PostError> {
    let uri: Uri = url.parse().map_err(|_| PostError::Url)?;
    let host = uri.host().ok_or(PostError::Url)?;
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let here = address == "localhost"
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    match uri.scheme_str() {
        Some("https") => {}
        Some("http") if here => {}
        Some("http") => return Err(PostError::Plain),
        _ => return Err(PostError::Url),
    }
    if uri.path() != "/" {
        return Ok(uri);
    }
    let mut parts = uri.into_parts();
    parts.path_and_query = door.path().parse().ok();
    Uri::from_parts(parts).map_err(|_| PostError::Url)
}

/// The certificates of a PEM file.
fn certificates(path: &Path) -> Result<RootCerts, PostError> {
    let read = |source| PostError::Ca {
        path: path.to_owned(),
        source,
    };
    if fs::metadata(path).map_err(read)?.len() > MAX_CA_BYTES {
        return Err(read(io::ErrorKind::FileTooLarge.into()));
    }
    let pem = fs::read(path).map_err(read)?;
    let certificates: Vec<Certificate<'static>> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(PostError::NoCertificate {
            path: path.to_owned(),
        });
    }
    Ok(RootCerts::Specific(Arc::new(certificates)))
}

/// Why a report was not sent, or no answer came.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum PostError {
    #[error("the intake's address must be a URL, such as https://intake.example")]
    Url,
    #[error("a report is sent over https; http is for this machine only")]
    Plain,
    #[error("cannot read the certificates in `{}`", path.display())]
    Ca { path: PathBuf, source: io::Error },
    #[error("there is no certificate in `{}`", path.display())]
    NoCertificate { path: PathBuf },
    #[error("no answer from the intake; sending the same report again does no harm")]
    Http(#[from] Box<ureq::Error>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_intake_is_https_or_on_this_machine() {
        for (url, expected) in [
            ("https://in.example", "https://in.example/v1/reports"),
            ("https://in.example/", "https://in.example/v1/reports"),
            ("https://in.example:8443/x/y", "https://in.example:8443/x/y"),
            ("http://127.0.0.1:80", "http://127.0.0.1:80/v1/reports"),
            ("http://localhost:1/", "http://localhost:1/v1/reports"),
            ("http://[::1]:80/", "http://[::1]:80/v1/reports"),
        ] {
            let uri = intake_uri(url, Door::Reports).unwrap();
            assert_eq!(uri.to_string(), expected);
        }
        for url in [
            "http://in.example",
            "http://10.0.0.1/",
            "http://localhost.example",
        ] {
            let uri = intake_uri(url, Door::Reports);
            assert!(matches!(uri, Err(PostError::Plain)), "{url}");
        }
        for url in [
            "",
            "in.example",
            "ftp://in.example",
            "https://",
            "/v1/reports",
        ] {
            let uri = intake_uri(url, Door::Reports);
            assert!(matches!(uri, Err(PostError::Url)), "{url}");
        }
        let uri = |door| intake_uri("https://in.example", door).unwrap().to_string();
        assert_eq!(uri(Door::Tcn), "https://in.example/v1/tcn");
        assert_eq!(uri(Door::Submissions), "https://in.example/v1/submissions");
    }

    #[test]
    fn a_code_of_any_characters_fits_a_header() {
        assert_eq!(escaped("4323-1948_7.5~"), "4323-1948_7.5~");
        assert_eq!(escaped("a b/é%\n"), "a%20b%2F%C3%A9%25%0A");
    }
}
