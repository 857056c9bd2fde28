//! What `init` refuses before it writes anything.

use axum::http::Uri;
use bellwether_formats::descriptor::Gateway;
use bellwether_formats::limit;

use super::{InitError, NewProvider};
use crate::config::Network;
use crate::http::Tls;
use crate::network::Multiaddr;

/// Checks what the configuration and the descriptor do not check themselves.
pub(super) fn provider(new: &NewProvider) -> Result<(), InitError> {
    text("--name", &new.name, limit::MAX_NAME_BYTES)?;
    if new.name.is_empty() {
        return bad("--name", "the name is empty");
    }
    operator(new.operator.as_deref())?;
    if u64::try_from(new.zones.len()).is_ok_and(|count| count > limit::MAX_ZONES) {
        return bad(
            "--zone",
            &format!("a provider has at most {} zones", limit::MAX_ZONES),
        );
    }
    gateways(&new.gateways)?;
    if let Some((cert, key)) = &new.tls {
        Tls::from_files(cert, key)?;
    }
    Ok(())
}

/// Checks who runs the node.
pub(super) fn operator(name: Option<&str>) -> Result<(), InitError> {
    text(
        "--operator",
        name.unwrap_or_default(),
        limit::MAX_NAME_BYTES,
    )
}

/// Checks the addresses of peers and for peers.
pub(super) fn network(network: &Network) -> Result<(), InitError> {
    let named = [
        ("--listen-p2p", &network.listen),
        ("--bootstrap", &network.bootstrap),
    ];
    for (option, addresses) in named {
        for address in addresses {
            if let Err(error) = address.parse::<Multiaddr>() {
                return bad(option, &format!("`{address}`: {error}"));
            }
        }
    }
    Ok(())
}

/// Checks that clients can reach the gateways of a list, and will ask them.
///
/// # Errors
///
/// [`InitError::Option`]
pub fn gateways(gateways: &[Gateway]) -> Result<(), InitError> {
    gateways.iter().try_for_each(gateway)?;
    match refused_by_phones(gateways).first() {
        Some((url, why)) => bad("--gateway", &format!("`{url}`: {why}")),
        None => Ok(()),
    }
}

fn gateway(gateway: &Gateway) -> Result<(), InitError> {
    text("--gateway", &gateway.url, limit::MAX_URL_BYTES)?;
    text("--gateway", &gateway.operator, limit::MAX_OPERATOR_BYTES)?;
    let url: Option<Uri> = gateway.url.parse().ok();
    let reachable = url.is_some_and(|url| {
        matches!(url.scheme_str(), Some("http" | "https"))
            && url.host().is_some_and(|host| !host.is_empty())
    });
    if !reachable {
        let why = format!("`{}` is not http://HOST or https://HOST", gateway.url);
        return bad("--gateway", &why);
    }
    Ok(())
}

/// The gateways of a list that phones do not ask, or do not believe to be two, and why.
pub(crate) fn refused_by_phones(gateways: &[Gateway]) -> Vec<(String, String)> {
    let plain = gateways.iter().filter(|gateway| is_plain(&gateway.url));
    let plain = plain.map(|gateway| {
        let text = "phones ask `http://` on their own machine only; use `https://`".to_owned();
        (gateway.url.clone(), text)
    });
    let again = gateways.iter().enumerate().filter_map(|(at, gateway)| {
        let mut before = gateways.iter().take(at);
        let other = before.find(|other| {
            other.url == gateway.url && other.operator.trim() != gateway.operator.trim()
        })?;
        let (one, two) = (&other.operator, &gateway.operator);
        let text = format!("one address is named for `{one}` and for `{two}`: it has one operator");
        Some((gateway.url.clone(), text))
    });
    plain.chain(again).collect()
}

/// Tells whether an address is `http://` and not of this machine. Source: spec §11.2.
fn is_plain(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else {
        return false;
    };
    let host = uri.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = address
        .parse::<std::net::IpAddr>()
        .map(|ip| ip.is_loopback());
    uri.scheme_str() == Some("http") && host != "localhost" && loopback != Ok(true)
}

fn text(option: &'static str, text: &str, max: usize) -> Result<(), InitError> {
    if text.len() > max {
        return bad(option, &format!("at most {max} bytes"));
    }
    if text.chars().any(char::is_control) {
        return bad(option, "no control characters");
    }
    Ok(())
}

fn bad<T>(option: &'static str, why: &str) -> Result<T, InitError> {
    Err(InitError::Option {
        option,
        why: why.to_owned(),
    })
}
