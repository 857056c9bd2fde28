//! Byte ranges (RFC 9110 §14), as far as one range of a block; pure.

use std::ops;

use axum::http::HeaderValue;

/// What a request wants of a body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Range {
    /// All of it: nothing else was asked for, or nothing that is understood.
    Whole,
    /// These bytes; never empty.
    Part(ops::Range<usize>),
    /// Bytes that it does not have.
    Unsatisfiable,
}

/// Reads a `Range` field for a body of `len` bytes. Several ranges, other units and what is
/// malformed are ignored, as RFC 9110 allows and asks.
pub(super) fn parse(field: Option<&HeaderValue>, len: usize) -> Range {
    field
        .and_then(|field| one(field.to_str().ok()?, len))
        .unwrap_or(Range::Whole)
}

/// One range; `None` if it is not well-formed.
fn one(field: &str, len: usize) -> Option<Range> {
    let (unit, range) = field.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") || range.contains(',') {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    let part = match (first, last) {
        ("", last) => len.saturating_sub(number(last)?)..len,
        (first, "") => number(first)?..len,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return None;
            }
            first..last.saturating_add(1).min(len)
        }
    };
    Some(if part.is_empty() {
        Range::Unsatisfiable
    } else {
        Range::Part(part)
    })
}

/// A decimal number; one that is too large for us is larger than any body.
fn number(text: &str) -> Option<usize> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let part = |range| Range::Part(range);
        for (field, len, expect) in [
            ("bytes=0-0", 10, part(0..1)),
            ("bytes=2-5", 10, part(2..6)),
            ("bytes=2-", 10, part(2..10)),
            ("bytes=-3", 10, part(7..10)),
            ("bytes=-30", 10, part(0..10)),
            ("bytes=9-99", 10, part(9..10)),
            ("bytes=9-99999999999999999999999", 10, part(9..10)),
            ("BYTES= 1-2 ", 10, part(1..3)),
            ("bytes=10-", 10, Range::Unsatisfiable),
            ("bytes=10-11", 10, Range::Unsatisfiable),
            ("bytes=99999999999999999999999-", 10, Range::Unsatisfiable),
            ("bytes=-0", 10, Range::Unsatisfiable),
            ("bytes=0-", 0, Range::Unsatisfiable),
            ("bytes=-1", 0, Range::Unsatisfiable),
            ("bytes=5-4", 10, Range::Whole),
            ("bytes=0-1,3-4", 10, Range::Whole),
            ("bytes=-", 10, Range::Whole),
            ("bytes=", 10, Range::Whole),
            ("bytes=a-b", 10, Range::Whole),
            ("bytes=+1-2", 10, Range::Whole),
            ("lines=0-1", 10, Range::Whole),
            ("0-1", 10, Range::Whole),
        ] {
            let value = HeaderValue::from_static(field);
            assert_eq!(parse(Some(&value), len), expect, "{field} of {len}");
        }
        assert_eq!(parse(None, 10), Range::Whole);
    }
}
