//! The one string that a provider hands over to followers and relays. Source: spec §1.6.
//!
//! `bellwether:z6Mk…?zone=gb/sct&gateway=https://…&operator=…&peer=/dns4/…`

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use crate::descriptor::Gateway;
use crate::error::rules;
use crate::id::{ParseIdError, ProviderId, Zone};
use crate::limit;

/// What a share string begins with; the provider's id follows.
pub(crate) const PREFIX: &str = "bellwether:";

/// What a follower needs to know: who, which zones, and where to ask.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Share {
    /// Whose feeds.
    pub provider: ProviderId,
    /// The zones, one or more, each once.
    pub zones: Vec<Zone>,
    /// Gateways for clients; an operator that is not named is the gateway's host.
    pub gateways: Vec<Gateway>,
    /// Multiaddresses for relays.
    pub peers: Vec<String>,
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.provider)?;
        let zones = self.zones.iter().map(|zone| ("zone", zone.as_str()));
        let gateways = self
            .gateways
            .iter()
            .flat_map(|gateway| [("gateway", &*gateway.url), ("operator", &*gateway.operator)]);
        let peers = self.peers.iter().map(|peer| ("peer", peer.as_str()));
        let mut separator = '?';
        for (key, value) in zones.chain(gateways).chain(peers) {
            write!(f, "{separator}{key}=")?;
            escape(f, value)?;
            separator = '&';
        }
        Ok(())
    }
}

impl FromStr for Share {
    type Err = ParseShareError;

    fn from_str(text: &str) -> Result<Self, ParseShareError> {
        if text.len() > limit::MAX_SHARE_BYTES {
            return Err(ParseShareError::Size { found: text.len() });
        }
        let text = text.strip_prefix(PREFIX).ok_or(ParseShareError::Prefix)?;
        let (provider, query) = text.split_once('?').unwrap_or((text, ""));
        let mut share = Self {
            provider: provider.parse()?,
            zones: Vec::new(),
            gateways: Vec::new(),
            peers: Vec::new(),
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or(ParseShareError::Pair)?;
            let value = unescape(value)?;
            match key {
                "zone" => {
                    let zone = value.parse()?;
                    if !share.zones.contains(&zone) {
                        share.zones.push(zone);
                    }
                }
                "gateway" => share.gateways.push(parse_gateway(&value)),
                "operator" => {
                    let last = share.gateways.last_mut().ok_or(ParseShareError::Operator)?;
                    last.operator = value;
                }
                "peer" => share.peers.push(value),
                // A later version may add keys; what it adds must not break this one.
                _ => {}
            }
        }
        if share.zones.is_empty() {
            return Err(ParseShareError::NoZone);
        }
        Ok(share)
    }
}

/// Reads `URL` or `URL#OPERATOR`, as on the command line. Without one, the operator is the host:
/// two ports of one host are one operator.
pub fn parse_gateway(text: &str) -> Gateway {
    let (url, operator) = text.split_once('#').unwrap_or((text, ""));
    let operator = if operator.is_empty() {
        host(url)
    } else {
        operator
    };
    Gateway {
        url: url.trim_end_matches('/').to_string(),
        operator: operator.to_string(),
    }
}

/// The host of an address, without its port; an IPv6 address keeps its brackets.
fn host(url: &str) -> &str {
    let authority = url.split_once("//").map_or(url, |(_, rest)| rest);
    let authority = authority.split('/').next().unwrap_or(authority);
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// Writes a value, the bytes that have a meaning in the string (and `#`, controls, non-ASCII)
/// percent-encoded.
fn escape(f: &mut fmt::Formatter<'_>, value: &str) -> fmt::Result {
    value.bytes().try_for_each(|byte| match byte {
        b'%' | b'&' | b'#' | b'+' | b'=' | b'?' | ..=b' ' | 0x7f.. => write!(f, "%{byte:02X}"),
        _ => write!(f, "{}", char::from(byte)),
    })
}

fn unescape(value: &str) -> Result<String, ParseShareError> {
    let mut bytes = Vec::new();
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || {
            char::from(rest.next()?)
                .to_digit(16)
                .and_then(|d| u8::try_from(d).ok())
        };
        let (high, low) = digit().zip(digit()).ok_or(ParseShareError::Escape)?;
        bytes.push(high << 4 | low);
    }
    String::from_utf8(bytes).map_err(|_| ParseShareError::Escape)
}

/// Why a text is not a share string.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum ParseShareError {
    #[error("a `%` is not followed by two hexadecimal digits of UTF-8 text")]
    Escape,
    #[error(transparent)]
    Id(#[from] ParseIdError),
    #[error("no `zone=` is given")]
    NoZone,
    #[error("an `operator=` does not follow a `gateway=`")]
    Operator,
    #[error("the part after `?` is not `key=value` pairs joined by `&`")]
    Pair,
    #[error("a share string starts with `bellwether:`")]
    Prefix,
    #[error(
        "a share string of {found} bytes, the limit is {}",
        limit::MAX_SHARE_BYTES
    )]
    Size { found: usize },
}

rules!(ParseShareError {
    Self::Escape => "share-escape",
    Self::NoZone => "share-no-zone",
    Self::Operator => "share-operator",
    Self::Pair => "share-pair",
    Self::Prefix => "share-prefix",
    Self::Size { .. } => "share-size";
    Self::Id(error) => error
});
