//! What a test asks gateways and intakes over HTTP.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use bellwether_client::device::post::Intake;

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    /// How long it took, the connection included.
    pub took: Duration,
}

impl Answer {
    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}: {text}", self.status))
    }
}

/// Gets something of a gateway.
///
/// # Errors
///
/// [`io::Error`] if there is no answer: its node may be down.
pub fn get(url: &str) -> io::Result<Answer> {
    let began = Instant::now();
    answer(agent().get(url).call().map_err(io::Error::other)?, began)
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(20)))
        .http_status_as_error(false)
        .proxy(None)
        .build()
        .new_agent()
}

fn answer(mut response: ureq::http::Response<ureq::Body>, began: Instant) -> io::Result<Answer> {
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(8 * 1024 * 1024);
    let body = body.read_to_vec().map_err(io::Error::other)?;
    Ok(Answer {
        status,
        body,
        took: began.elapsed(),
    })
}

/// Posts a report to an intake, as an app does.
///
/// # Errors
///
/// [`io::Error`] if there is no answer: its node may be down.
pub fn post(intake: &str, certificate: &Path, report: &[u8]) -> io::Result<Answer> {
    let intake = Intake::new(intake, Some(certificate)).map_err(io::Error::other)?;
    let began = Instant::now();
    let answer = intake.post(report).map_err(io::Error::other)?;
    let (status, body) = (answer.status, answer.text.into_bytes());
    Ok(Answer {
        status,
        body,
        took: began.elapsed(),
    })
}

/// Posts to a URL, with these header fields: what systems do, and phones of other schemes.
///
/// # Errors
///
/// [`io::Error`] if there is no answer: its node may be down.
pub fn post_with(url: &str, fields: &[(&str, &str)], body: &[u8]) -> io::Result<Answer> {
    let began = Instant::now();
    let mut request = agent().post(url);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let response = request.send(body).map_err(io::Error::other)?;
    answer(response, began)
}
