//! The `Date` of gateways: somebody else's clock, for the price of a few headers.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rustls::crypto::aws_lc_rs;
use ureq::Agent;
use ureq::http::{HeaderMap, header};
use ureq::tls::{RootCerts, TlsConfig};

/// Longest time that one gateway is waited for: whoever is to sign waits with it.
pub(super) const PATIENCE: Duration = Duration::from_secs(4);

/// Gets ready to ask; nothing is sent yet.
pub(super) fn agent() -> Agent {
    // The provider of cryptography is given here: the process's is for others to set.
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
        .root_certs(RootCerts::WebPki)
        .build();
    Agent::config_builder()
        .tls_config(tls)
        .timeout_global(Some(PATIENCE))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .proxy(None)
        .user_agent("")
        .accept("")
        .build()
        .new_agent()
}

/// Asks a gateway for its time, in seconds of UTC; nothing if it does not answer.
pub(super) fn ask(agent: &Agent, url: &str) -> Option<u64> {
    let asked = agent.head(format!("{url}/health"));
    let answer = asked
        .header(header::CACHE_CONTROL, "no-cache")
        .call()
        .ok()?;
    date(answer.headers())
}

/// The time of an answer, by the server that it was made by, and the age that a cache adds.
fn date(headers: &HeaderMap) -> Option<u64> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let age = text(header::AGE).and_then(|age| age.trim().parse().ok());
    let at = httpdate::parse_http_date(text(header::DATE)?).ok()?;
    let since = at.duration_since(UNIX_EPOCH).ok()?;
    since.as_secs().checked_add(age.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_of_an_answer_is_read_with_the_age_that_a_cache_adds() {
        let mut headers = HeaderMap::new();
        assert_eq!(date(&headers), None);
        headers.insert(
            header::DATE,
            "Sun, 13 Sep 2020 12:26:40 GMT".parse().unwrap(),
        );
        assert_eq!(date(&headers), Some(1_600_000_000));
        headers.insert(header::AGE, "3600".parse().unwrap());
        assert_eq!(date(&headers), Some(1_600_003_600));
    }

    #[test]
    fn date_that_is_none_says_nothing() {
        for text in [
            "",
            "Sun",
            "Sun, 13 Sep 2020 12:26:40",
            "Sun, 13 Sep 2020 12:26:40 CET",
            "Sun, 13 Spt 2020 12:26:40 GMT",
            "Sun, 33 Sep 2020 12:26:40 GMT",
            "Sun, 13 Sep 2020 25:26:40 GMT",
            "Sun, 13 Sep 99999999999999 12:26:40 GMT",
            "Thu, 01 Jan 1960 00:00:00 GMT",
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::DATE, text.parse().unwrap());
            assert_eq!(date(&headers), None, "{text}");
        }
    }
}
