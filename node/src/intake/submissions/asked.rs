//! What the header of a request says of its sender.

use axum::http::{HeaderMap, HeaderName, header};
use data_encoding::HEXLOWER_PERMISSIVE;

use super::super::code::MAX_CODE_BYTES;
use super::super::refusal::Refusal;

/// A code, percent-encoded.
const CODE: HeaderName = HeaderName::from_static("bellwether-code");

/// The revision token of a code that was used before.
const REVISION: HeaderName = HeaderName::from_static("bellwether-revision");

/// `Authorization: Bearer TOKEN`
pub(in crate::intake) fn token(fields: &HeaderMap) -> Result<Option<String>, Refusal> {
    let why = "Authorization is `Bearer` and a token";
    let Some(text) = one(fields, &header::AUTHORIZATION, why)? else {
        return Ok(None);
    };
    let bad = Refusal::Header { why };
    let (kind, token) = text.split_once(' ').ok_or(bad)?;
    if !kind.eq_ignore_ascii_case("bearer") {
        return Err(Refusal::Header { why });
    }
    Ok(Some(token.trim().to_owned()))
}

/// `Bellwether-Code: CODE`, of the length that codes have.
pub(in crate::intake) fn code(fields: &HeaderMap) -> Result<Option<String>, Refusal> {
    let why = "Bellwether-Code is a code, percent-encoded outside of A-Z a-z 0-9 - . _ ~";
    let Some(text) = one(fields, &CODE, why)? else {
        return Ok(None);
    };
    let code = decode(text.as_bytes()).ok_or(Refusal::Header { why })?;
    let code = String::from_utf8(code).map_err(|_| Refusal::NoCode)?;
    if (1..=MAX_CODE_BYTES).contains(&code.len()) {
        Ok(Some(code))
    } else {
        Err(Refusal::NoCode)
    }
}

/// `Bellwether-Revision: TOKEN`
pub(super) fn revision(fields: &HeaderMap) -> Result<Option<[u8; 32]>, Refusal> {
    let why = "Bellwether-Revision is 64 hexadecimal digits";
    let text = one(fields, &REVISION, why)?;
    let token = text.map(|text| hex32(text).ok_or(Refusal::Header { why }));
    token.transpose()
}

/// 32 bytes in hexadecimal.
pub(super) fn hex32(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 {
        return None;
    }
    let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?;
    bytes.try_into().ok()
}

/// The text of a field that may stand once.
fn one<'a>(
    fields: &'a HeaderMap,
    name: &HeaderName,
    why: &'static str,
) -> Result<Option<&'a str>, Refusal> {
    let mut found = fields.get_all(name).iter();
    let Some(value) = found.next() else {
        return Ok(None);
    };
    match (value.to_str(), found.next()) {
        (Ok(text), None) => Ok(Some(text)),
        _ => Err(Refusal::Header { why }),
    }
}

/// Undoes percent-encoding. Strict: what need not be encoded may be, what must be is.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                bytes.push(*first);
            }
            b'%' => {
                let (digits, after) = rest.split_first_chunk::<2>()?;
                bytes.extend(HEXLOWER_PERMISSIVE.decode(digits).ok()?);
                rest = after;
            }
            _ => return None,
        }
    }
    Some(bytes)
}
