//! The HTTP driver: asks gateways for what [`crate::sync`] wants. Source: spec §11.2.
//!
//! No cookies, cache, redirects or proxies, and the same headers for every installation.

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use ureq::Agent;
use ureq::http::{HeaderMap, StatusCode, header};
use ureq::tls::{RootCerts, TlsConfig};

use crate::sync::{Answer, Request};

/// Longest time to reach a gateway. The next one may be quicker.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest time that one request takes in all.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(30);

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
            .timeout_global(Some(TOTAL_TIMEOUT))
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
        let mut response = match &request.body {
            Some(body) => {
                let call = self.agent.post(request.url());
                call.content_type("application/octet-stream")
                    .send(body.as_slice())?
            }
            None => {
                let mut call = self.agent.get(request.url());
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
        let max = u64::try_from(request.max_bytes).unwrap_or(u64::MAX);
        let body = response.body_mut();
        if let Some(len) = body.content_length().filter(|len| *len > max) {
            return Ok(Answer::Failed(format!(
                "an answer of {len} bytes, the limit is {max}"
            )));
        }
        let bytes = body
            .with_config()
            .limit(max.saturating_add(1))
            .read_to_vec()?;
        self.traffic.body_bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Ok(Answer::Body(bytes))
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
