//! Conditional requests (RFC 9110 §13), as far as entity tags; pure.

use axum::http::{HeaderMap, header};

/// Whether the asker says by `If-None-Match` that it has `etag`.
pub(super) fn is_known(fields: &HeaderMap, etag: &str) -> bool {
    fields
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == etag)
}

/// Whether a `Range` counts: not if `If-Range` names something else than `etag`.
pub(super) fn range_counts(fields: &HeaderMap, etag: &str) -> bool {
    fields
        .get(header::IF_RANGE)
        .is_none_or(|known| known.as_bytes() == etag.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_tag_is_found_in_a_list() {
        let known = |value: &str| {
            let mut fields = HeaderMap::new();
            fields.insert(header::IF_NONE_MATCH, value.parse().unwrap());
            is_known(&fields, "\"a\"")
        };
        assert!(known("\"a\""));
        assert!(known("\"b\", W/\"a\""));
        assert!(known("*"));
        assert!(!known("a"));
        assert!(!known("\"b\""));
        assert!(!is_known(&HeaderMap::new(), "\"a\""));
    }
}
