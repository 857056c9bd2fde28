//! The HTTP driver: asks gateways for what [`crate::sync`] wants. Source: spec §11.2.
//!
//! No cookies, cache, redirects or proxies, and the same headers for every installation.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::crypto::aws_lc_rs;
use ureq::Agent;
use ureq::http::{HeaderMap, StatusCode, header};
use ureq::tls::{RootCerts, TlsConfig};

use crate::sync::{Answer, Request};

/// Longest time to reach a gateway. The next one may be quicker.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest time until the headers of an answer are there, and between two reads of its body.
const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

/// Slowest line on which a body is waited for, in bytes a second. What comes more slowly is given
/// up after [`WAIT_TIMEOUT`]: somebody may be holding the sync up.
const SLOWEST: u64 = 8 * 1024;

/// Longest time that one request takes in all, whatever its size.
const LONGEST: Duration = Duration::from_secs(600);

/// How much of a body is read at once, in bytes.
const READ_BYTES: usize = 16 * 1024;

/// Asks gateways, and counts what it costs.
#[derive(Debug)]
pub struct Http {
    agent: Agent,
    traffic: Traffic,
}

/// What was asked and received.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Traffic {
    /// Requests sent.
    pub requests: u64,
    /// Bytes of bodies received.
    pub body_bytes: u64,
    /// Bytes of headers received, as written in HTTP/1.1.
    pub header_bytes: u64,
}

impl Default for Http {
    fn default() -> Self {
        Self::new()
    }
}

impl Http {
    /// Gets ready; nothing is sent yet.
    pub fn new() -> Self {
        // The provider of cryptography is given here: a library must not set the process's.
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
            .root_certs(RootCerts::WebPki)
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(WAIT_TIMEOUT))
            .timeout_per_read(Some(WAIT_TIMEOUT))
            .timeout_per_write(Some(WAIT_TIMEOUT))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .proxy(None)
            .user_agent("")
            .accept("")
            .build()
            .new_agent();
        Self {
            agent,
            traffic: Traffic::default(),
        }
    }

    /// What it cost so far.
    pub const fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Asks, and waits for the answer.
    pub fn ask(&mut self, request: &Request) -> Answer {
        self.traffic.requests += 1;
        self.try_ask(request)
            .unwrap_or_else(|error| Answer::Failed(error.to_string()))
    }

    fn try_ask(&mut self, request: &Request) -> Result<Answer, ureq::Error> {
        let max = u64::try_from(request.max_bytes).unwrap_or(u64::MAX);
        let total = Some(allowed(max));
        let mut response = match &request.body {
            Some(body) => {
                let call = self.agent.post(request.url());
                let call = call.config().timeout_global(total).build();
                call.content_type("application/octet-stream")
                    .send(body.as_slice())?
            }
            None => {
                let call = self.agent.get(request.url());
                let mut call = call.config().timeout_global(total).build();
                if let Some(validator) = &request.validator {
                    call = call.header(header::IF_NONE_MATCH, validator);
                }
                call.call()?
            }
        };
        self.traffic.header_bytes += header_bytes(response.headers());
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED => return Ok(Answer::NotModified),
            StatusCode::NOT_FOUND => return Ok(Answer::NotFound),
            status => return Ok(Answer::Failed(format!("HTTP status {status}"))),
        }
        let body = response.body_mut();
        let declared = body.content_length();
        if let Some(len) = declared.filter(|len| *len > max) {
            return Ok(Answer::Failed(format!(
                "an answer of {len} bytes, the limit is {max}"
            )));
        }
        let reader = body.with_config().limit(max.saturating_add(1)).reader();
        let bytes = read(reader, &mut self.traffic.body_bytes)?;
        Ok(Answer::Body(bytes))
    }
}

/// How long a request may take until `bytes` of its body are there.
fn allowed(bytes: u64) -> Duration {
    let body = Duration::from_secs(bytes / SLOWEST);
    LONGEST.min(WAIT_TIMEOUT.saturating_add(body))
}

/// Reads a body while it comes fast enough; what came is counted even if the rest does not.
#[expect(
    clippy::disallowed_methods,
    reason = "a driver: how fast a line is shows in real time only"
)]
fn read(mut reader: impl Read, count: &mut u64) -> io::Result<Vec<u8>> {
    let start = Instant::now();
    let mut bytes = Vec::new();
    let mut piece = vec![0; READ_BYTES];
    loop {
        let read = match reader.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        if read == 0 {
            return Ok(bytes);
        }
        bytes.extend(piece.iter().take(read));
        *count = count.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if start.elapsed() > allowed(len) {
            let message = format!("too slow: {len} bytes in {} s", start.elapsed().as_secs());
            return Err(io::Error::new(io::ErrorKind::TimedOut, message));
        }
    }
}

fn header_bytes(headers: &HeaderMap) -> u64 {
    let separators = ": \r\n".len();
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + separators)
        .sum();
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives some bytes, then fails.
    struct Breaks(&'static [u8]);

    impl Read for Breaks {
        fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
            match self.0.read(piece)? {
                0 => Err(io::ErrorKind::ConnectionReset.into()),
                read => Ok(read),
            }
        }
    }

    #[test]
    fn the_time_grows_with_the_answer_and_has_an_end() {
        for (bytes, seconds) in [
            (0, 30),
            (16 * 1024, 32),
            (4 * 1024 * 1024, 542),
            (64 * 1024 * 1024, 600),
            (u64::MAX, 600),
        ] {
            assert_eq!(allowed(bytes), Duration::from_secs(seconds), "{bytes}");
        }
    }

    #[test]
    fn what_came_before_a_failure_is_counted() {
        let mut count = 1;
        assert!(read(Breaks(b"twelve bytes"), &mut count).is_err());
        assert_eq!(count, 13);
        let whole = vec![7; 3 * READ_BYTES + 1];
        assert_eq!(read(whole.as_slice(), &mut count).unwrap(), whole);
        assert_eq!(count, 13 + 3 * 16 * 1024 + 1);
    }
}
