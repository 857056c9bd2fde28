//! What is asked for, read from the path; pure.

use axum::http::{HeaderMap, StatusCode, Uri, header};
use bellwether_formats::cid::Cid;
use bellwether_formats::id::{FeedId, ProviderId, Zone};
use bellwether_formats::limit::MAX_NUMBER;

/// What is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Target {
    /// `/ipfs/{cid}?format=raw`
    Block(Cid),
    /// `/ipfs/{index cid}?format=car`
    Sealed(Cid),
    /// `/v1/zones/{zone…}/heads`
    Heads(Zone),
    /// `/v1/feeds/{provider}/{zone…}/after/{seq}`
    After(FeedId, u64),
    /// `/v1/providers/{provider}/descriptor`
    Descriptor(ProviderId),
    /// `/health`
    Health,
}

/// Why a path names nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum PathError {
    #[error("there is nothing under this path")]
    NotFound,
    #[error("not a CID of version 1 with sha2-256, codec dag-cbor or raw, in base32 lower case")]
    Cid,
    #[error("say `?format=raw` for a block, `?format=car` for a sealed part's index and chunks")]
    Format,
    #[error("an index comes with all its chunks: `dag-scope` is `all`")]
    Scope,
    #[error("not a zone: 1 to 4 labels of 1 to 16 of `a-z`, `0-9` and `-`")]
    Zone,
    #[error("not a provider id: 48 characters from `z6Mk`")]
    Provider,
    #[error("a sequence number is 0 or a decimal number below 2^53 without leading zeros")]
    Seq,
}

impl PathError {
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The broken rule's name.
    pub(super) const fn rule(self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::Cid => "cid",
            Self::Format => "format",
            Self::Scope => "dag-scope",
            Self::Zone => "zone",
            Self::Provider => "provider-id",
            Self::Seq => "value",
        }
    }
}

/// Reads a path. Zones have slashes, so it is read from the right. Nothing that is served needs
/// percent-encoding, so nothing is decoded.
pub(super) fn parse(uri: &Uri, fields: &HeaderMap) -> Result<Target, PathError> {
    let path = uri.path();
    if path == "/health" {
        return Ok(Target::Health);
    }
    if let Some(cid) = path.strip_prefix("/ipfs/") {
        return content(cid, uri.query().unwrap_or_default(), fields);
    }
    if let Some(rest) = path.strip_prefix("/v1/zones/") {
        let zone = rest.strip_suffix("/heads").ok_or(PathError::NotFound)?;
        return Ok(Target::Heads(parse_zone(zone)?));
    }
    if let Some(rest) = path.strip_prefix("/v1/providers/") {
        let provider = rest.strip_suffix("/descriptor");
        let provider = provider.ok_or(PathError::NotFound)?;
        return Ok(Target::Descriptor(parse_provider(provider)?));
    }
    let rest = path.strip_prefix("/v1/feeds/").ok_or(PathError::NotFound)?;
    let (rest, seq) = rest.rsplit_once('/').ok_or(PathError::NotFound)?;
    let feed = rest.strip_suffix("/after").ok_or(PathError::NotFound)?;
    let (provider, zone) = feed.split_once('/').ok_or(PathError::NotFound)?;
    let feed = FeedId {
        provider: parse_provider(provider)?,
        zone: parse_zone(zone)?,
    };
    Ok(Target::After(feed, parse_seq(seq)?))
}

/// Reads `/v1/pir/{index cid}`; `None` if the path is another.
pub(super) fn query(uri: &Uri) -> Option<Result<Cid, PathError>> {
    let index = uri.path().strip_prefix("/v1/pir/")?;
    Some(index.parse().map_err(|_| PathError::Cid))
}

fn content(cid: &str, query: &str, fields: &HeaderMap) -> Result<Target, PathError> {
    let cid = cid.parse().map_err(|_| PathError::Cid)?;
    let parameter = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find_map(|(key, value)| (key == name).then_some(value))
    };
    match parameter("format").or_else(|| accepted(fields)) {
        Some("raw") => Ok(Target::Block(cid)),
        Some("car") if parameter("dag-scope").is_none_or(|scope| scope == "all") => {
            Ok(Target::Sealed(cid))
        }
        Some("car") => Err(PathError::Scope),
        _ => Err(PathError::Format),
    }
}

/// The first format that is asked for by its type's name; `*/*` is not enough, as other gateways
/// answer that with a page.
fn accepted(fields: &HeaderMap) -> Option<&'static str> {
    fields
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|kind| kind.split(';').next())
        .find_map(|kind| match kind.trim().to_ascii_lowercase().as_str() {
            "application/vnd.ipld.raw" => Some("raw"),
            "application/vnd.ipld.car" => Some("car"),
            _ => None,
        })
}

fn parse_zone(text: &str) -> Result<Zone, PathError> {
    text.parse().map_err(|_| PathError::Zone)
}

fn parse_provider(text: &str) -> Result<ProviderId, PathError> {
    text.parse().map_err(|_| PathError::Provider)
}

fn parse_seq(text: &str) -> Result<u64, PathError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || (text.len() > 1 && text.starts_with('0')) {
        return Err(PathError::Seq);
    }
    let seq = text.parse().ok().filter(|seq| *seq <= MAX_NUMBER);
    seq.ok_or(PathError::Seq)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";

    fn rule(path: &str) -> &'static str {
        let uri = path.parse().unwrap();
        parse(&uri, &HeaderMap::new()).map_or_else(PathError::rule, |_| "valid")
    }

    #[test]
    fn a_path_is_read_from_the_right() {
        let uri = format!("/v1/feeds/{KEY}/gb/after/after/7").parse().unwrap();
        let Ok(Target::After(feed, 7)) = parse(&uri, &HeaderMap::new()) else {
            panic!("a feed's batches after 7");
        };
        assert_eq!(feed.to_string(), format!("{KEY}/gb/after"));
        let uri = "/v1/zones/heads/heads".parse().unwrap();
        let zone = "heads".parse().unwrap();
        assert_eq!(parse(&uri, &HeaderMap::new()), Ok(Target::Heads(zone)));
    }

    #[test]
    fn what_is_wrong_with_a_path_is_named() {
        for (path, expect) in [
            ("/health", "valid"),
            ("/health/", "not-found"),
            ("/", "not-found"),
            ("/v1/zones/gb/sct/heads", "valid"),
            ("/v1/zones/GB/heads", "zone"),
            ("/v1/zones/a/b/c/d/e/heads", "zone"),
            ("/v1/zones//heads", "zone"),
            ("/v1/zones/heads", "not-found"),
            ("/v1/zones/gb", "not-found"),
            ("/v1/providers/z6Mk/descriptor", "provider-id"),
            ("/v1/feeds/gb/after/1", "not-found"),
            ("/v1/feeds/x/gb/after/1", "provider-id"),
            ("/ipfs/bafkqaaa?format=raw", "cid"),
            (
                "/ipfs/QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG",
                "cid",
            ),
        ] {
            assert_eq!(rule(path), expect, "{path}");
        }
        for (seq, expect) in [
            ("0", "valid"),
            ("9007199254740991", "valid"),
            ("9007199254740992", "value"),
            ("99999999999999999999999", "value"),
            ("01", "value"),
            ("00", "value"),
            ("+1", "value"),
            ("-1", "value"),
            ("", "value"),
            ("x", "value"),
        ] {
            assert_eq!(rule(&format!("/v1/feeds/{KEY}/gb/after/{seq}")), expect);
        }
    }

    #[test]
    fn a_format_is_asked_for_by_query_or_by_name() {
        let cid = Cid::of(bellwether_formats::cid::Codec::Raw, b"x");
        let ask = |query: &str, accept: &str| {
            let uri = format!("/ipfs/{cid}{query}").parse().unwrap();
            let mut fields = HeaderMap::new();
            fields.insert(header::ACCEPT, accept.parse().unwrap());
            match parse(&uri, &fields) {
                Ok(Target::Block(found)) if found == cid => "raw",
                Ok(Target::Sealed(found)) if found == cid => "car",
                other => other.unwrap_err().rule(),
            }
        };
        let (raw, car) = ("application/vnd.ipld.raw", "application/vnd.ipld.car");
        for (query, accept, expect) in [
            ("?format=raw", "text/html", "raw"),
            ("?filename=x&format=raw", "*/*", "raw"),
            ("", "text/html, application/vnd.ipld.RAW;q=0.5", "raw"),
            ("", "*/*", "format"),
            ("?format", raw, "raw"),
            ("?format=", raw, "format"),
            ("?format=tar", raw, "format"),
            ("?format=car", raw, "car"),
            ("?format=raw", car, "raw"),
            ("", "application/vnd.ipld.car; version=1", "car"),
            ("?dag-scope=all&format=car", "*/*", "car"),
            ("?format=car&dag-scope=block", "*/*", "dag-scope"),
            ("?format=car&dag-scope=", "*/*", "dag-scope"),
            ("?dag-scope=entity", car, "dag-scope"),
            ("?format=raw&dag-scope=block", "*/*", "raw"),
        ] {
            assert_eq!(ask(query, accept), expect, "{query} {accept}");
        }
    }

    #[test]
    fn a_query_names_an_index() {
        let cid = Cid::of(bellwether_formats::cid::Codec::DagCbor, b"x");
        let query = |path: String| query(&path.parse().unwrap());
        assert_eq!(query(format!("/v1/pir/{cid}")), Some(Ok(cid)));
        assert_eq!(query(format!("/v1/pir/{cid}?x")), Some(Ok(cid)));
        for path in ["/v1/pir/", "/v1/pir/x", "/v1/pir//"] {
            assert_eq!(query(path.to_owned()), Some(Err(PathError::Cid)), "{path}");
        }
        assert_eq!(query(format!("/v1/pir/{cid}/")), Some(Err(PathError::Cid)));
        for path in [format!("/v1/pir{cid}"), format!("/V1/pir/{cid}")] {
            assert_eq!(query(path), None);
        }
    }
}
