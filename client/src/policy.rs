//! Which gateways are asked, in which order. Source: spec §11.2.
//!
//! What a client reveals by fetching is decided here and in [`crate::sync`]: the order depends on
//! the gateways known and on chance, never on what the device observed.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use bellwether_formats::descriptor::Gateway;
use bellwether_formats::limit;
use serde::{Deserialize, Serialize};
use ureq::http::Uri;

use crate::confirm::Operators;

/// Largest body that is fetched whole under [`Policy::Private`] where one operator is known, in bytes
/// (512 KiB); larger ones are asked for behind decoys. Source: spec §11.7.
pub(crate) const MAX_WHOLE_BYTES: usize = 512 * 1024;

/// Most gateways kept for a provider, in items: those of a descriptor, and as many by hand.
pub const MAX_GATEWAYS: usize = 32;

/// How hits in filters are confirmed. Source: spec §11.7.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Two relays of different operators answer, and neither learns anything, exposed or not.
    #[default]
    Private,
    /// The whole body of every sealed part, always: most bytes, nothing to learn.
    WholeBody,
    /// One chunk, on a hit alone: fewest bytes, and the relay learns who was exposed.
    Lean,
}

impl Policy {
    /// As on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::WholeBody => "whole-body",
            Self::Lean => "lean",
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Policy {
    type Err = ParsePolicyError;

    fn from_str(text: &str) -> Result<Self, ParsePolicyError> {
        let all = [Self::Private, Self::WholeBody, Self::Lean];
        all.into_iter()
            .find(|policy| policy.name() == text)
            .ok_or(ParsePolicyError)
    }
}

/// A text that names no policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a policy is private, whole-body or lean")]
pub struct ParsePolicyError;

/// Whether a gateway can be asked at all: `https://`, or `http://` on this very machine, where
/// nobody listens; an address without user, query, fragment or trailing slash.
///
/// # Errors
///
/// [`GatewayError`], by what is wrong.
pub fn usable(url: &str) -> Result<(), GatewayError> {
    if url.len() > limit::MAX_URL_BYTES {
        return Err(GatewayError::Length { found: url.len() });
    }
    let uri: Uri = url.parse().map_err(|_| GatewayError::Malformed)?;
    let host = uri.host().ok_or(GatewayError::Malformed)?;
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    if authority.contains('@') || url.contains(['?', '#']) || url.ends_with('/') {
        return Err(GatewayError::Extra);
    }
    match uri.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if loopback(host) => Ok(()),
        Some("http") => Err(GatewayError::Plain),
        _ => Err(GatewayError::Malformed),
    }
}

/// A gateway given by hand as `URL` or `URL#OPERATOR`. An operator that is not named is the host:
/// two gateways on one host are one witness.
///
/// # Errors
///
/// [`GatewayError`], by what is wrong.
pub fn parse(text: &str) -> Result<Gateway, GatewayError> {
    let (url, operator) = text.split_once('#').unwrap_or((text, ""));
    let url = url.trim_end_matches('/');
    usable(url)?;
    if operator.len() > limit::MAX_OPERATOR_BYTES {
        return Err(GatewayError::Operator);
    }
    let host = url
        .parse::<Uri>()
        .ok()
        .and_then(|uri| uri.host().map(str::to_owned));
    let operator = match operator {
        "" => host.unwrap_or_default(),
        operator => operator.to_owned(),
    };
    Ok(Gateway {
        url: url.to_owned(),
        operator,
    })
}

/// The gateways to ask, in order: those given by hand, then those that the provider names, each
/// group shuffled by `random`.
pub fn order(pinned: &[Gateway], named: &[Gateway], random: u64) -> Vec<Gateway> {
    let mut order: Vec<Gateway> = Vec::new();
    for group in [pinned, named] {
        let mut group: Vec<&Gateway> = group.iter().collect();
        shuffle(&mut group, random);
        for gateway in group {
            let known = order.iter().any(|other| other.url == gateway.url);
            if !known && usable(&gateway.url).is_ok() && order.len() < MAX_GATEWAYS {
                order.push(gateway.clone());
            }
        }
    }
    order
}

/// Numbers of the gateways to ask, those that are not `dead` in order, except that the second is the
/// first of another operator than the first's, as looks tell them apart: the first two are asked in
/// every sync, and should not be one witness.
pub(crate) fn witnesses(gateways: &[Gateway], dead: impl Fn(&Gateway) -> bool) -> Vec<usize> {
    let alive = gateways
        .iter()
        .enumerate()
        .filter(|(_, gateway)| !dead(gateway));
    let mut alive: Vec<(usize, &Gateway)> = alive.collect();
    if let Some((_, first)) = alive.first().copied() {
        let operators = Operators::of(gateways, |_| false);
        let other = |(_, gateway): &(usize, &Gateway)| !operators.are_one(first, gateway);
        if let Some(other) = alive.iter().position(other) {
            let witness = alive.remove(other);
            alive.insert(1, witness);
        }
    }
    alive.into_iter().map(|(index, _)| index).collect()
}

/// Adds to a running sync's `order` the gateways that a new descriptor names; the others keep their
/// places, so that no request changes its addressee.
pub(crate) fn again(order_so_far: &[Gateway], named: &[Gateway], random: u64) -> Vec<Gateway> {
    let new: Vec<Gateway> = order(&[], named, random);
    let known = |url: &str| order_so_far.iter().any(|other| other.url == url);
    let new = new.into_iter().filter(|gateway| !known(&gateway.url));
    order_so_far
        .iter()
        .cloned()
        .chain(new)
        .take(MAX_GATEWAYS)
        .collect()
}

/// Fisher and Yates, with a small generator: which gateway is asked first is no secret.
fn shuffle<T>(items: &mut [T], random: u64) {
    let mut state = random;
    for last in (1..items.len()).rev() {
        // SplitMix64 (Steele, Lea, Flood 2014)
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let among = u64::try_from(last).unwrap_or(u64::MAX).saturating_add(1);
        let chosen = (mixed ^ (mixed >> 31)) % among;
        items.swap(last, usize::try_from(chosen).unwrap_or(0));
    }
}

fn loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Why a gateway cannot be asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum GatewayError {
    #[error("a gateway's address has no user, query, fragment or trailing `/`")]
    Extra,
    #[error(
        "a gateway's address of {found} bytes, the limit is {}",
        limit::MAX_URL_BYTES
    )]
    Length { found: usize },
    #[error("a gateway's address is `https://host[:port]`")]
    Malformed,
    #[error("an operator's name has at most {} bytes", limit::MAX_OPERATOR_BYTES)]
    Operator,
    #[error("plain `http://` is for loopback only: on the way, everybody could read along")]
    Plain,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateway(url: &str, operator: &str) -> Gateway {
        Gateway {
            url: url.to_owned(),
            operator: operator.to_owned(),
        }
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        for url in [
            "https://relay.example",
            "https://relay.example:8443/mirror",
            "http://127.0.0.1:8080",
            "http://127.8.8.8:1",
            "http://[::1]:8080",
            "http://localhost:8080",
        ] {
            assert_eq!(usable(url), Ok(()), "{url}");
        }
        for (url, error) in [
            ("http://relay.example", GatewayError::Plain),
            ("http://127.0.0.1.example", GatewayError::Plain),
            ("http://localhost.example", GatewayError::Plain),
            ("http://10.0.0.1", GatewayError::Plain),
            ("http://127.0.0.1@relay.example", GatewayError::Extra),
            ("https://user:word@relay.example", GatewayError::Extra),
            ("https://relay.example?x", GatewayError::Extra),
            ("https://relay.example/", GatewayError::Extra),
            ("ftp://relay.example", GatewayError::Malformed),
            ("relay.example", GatewayError::Malformed),
            ("", GatewayError::Malformed),
        ] {
            assert_eq!(usable(url), Err(error), "{url}");
        }
    }

    #[test]
    fn an_operator_that_is_not_named_is_the_host() {
        assert_eq!(
            parse("https://a.example:8443/"),
            Ok(gateway("https://a.example:8443", "a.example"))
        );
        assert_eq!(
            parse("https://a.example#Alpha"),
            Ok(gateway("https://a.example", "Alpha"))
        );
        assert_eq!(parse("http://a.example#Alpha"), Err(GatewayError::Plain));
    }

    #[test]
    fn the_first_two_are_of_different_operators_and_pinned_ones_come_first() {
        let pinned = [gateway("https://a", "A"), gateway("https://b", "A")];
        let named = [
            gateway("https://a", "other"),
            gateway("http://far", "F"),
            gateway("https://c", "A"),
            gateway("https://d", "D"),
        ];
        let mut firsts = Vec::new();
        for random in 0..50 {
            let order = order(&pinned, &named, random);
            let asked = witnesses(&order, |_| false);
            let urls: Vec<&str> = asked
                .iter()
                .map(|index| order[*index].url.as_str())
                .collect();
            assert!(urls[0] == "https://a" || urls[0] == "https://b");
            assert_eq!((urls[1], urls.len()), ("https://d", 4));
            firsts.push(urls[0].to_owned());
            let without_d = witnesses(&order, |gateway| gateway.operator == "D");
            assert_eq!(without_d.len(), 3);
        }
        firsts.sort();
        firsts.dedup();
        assert_eq!(firsts.len(), 2, "chance decides");
    }

    #[test]
    fn the_second_witness_is_not_the_first_under_another_name() {
        let known = [
            gateway("https://a.example", "Relay Aid"),
            gateway("https://a.example:8443", "Other"),
            gateway("https://b.example", "relay aid "),
            gateway("https://c.example", "other"),
            gateway("https://d.example", "D"),
        ];
        assert_eq!(witnesses(&known, |_| false), [0, 4, 1, 2, 3]);
        assert_eq!(witnesses(&known[..4], |_| false), [0, 1, 2, 3]);
    }

    #[test]
    fn a_new_descriptor_adds_gateways_behind_the_others() {
        let so_far = [gateway("https://a", "A")];
        let named = [
            gateway("https://a", "A"),
            gateway("https://b", "A"),
            gateway("https://c", "C"),
        ];
        for random in 0..10 {
            let order = again(&so_far, &named, random);
            assert_eq!((order[0].url.as_str(), order.len()), ("https://a", 3));
            let second = witnesses(&order, |_| false)[1];
            assert_eq!(order[second].operator, "C");
        }
    }
}
