//! JSON as the generator writes it, for the vectors that are not one byte string.

use data_encoding::HEXLOWER;

/// Bytes as a JSON string of lower-case hex digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    quoted(&HEXLOWER.encode(bytes))
}

/// A JSON string; no text here needs an escape.
pub(super) fn quoted(text: &str) -> String {
    assert!(!text.contains(['"', '\\']), "a text without escapes");
    format!("\"{text}\"")
}

/// A JSON object at a depth, in the order given.
pub(super) fn object(depth: usize, pairs: &[(&str, String)]) -> String {
    let indent = "  ".repeat(depth);
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(k, v)| format!("{indent}  \"{k}\": {v}"))
        .collect();
    format!("{{\n{}\n{indent}}}", pairs.join(",\n"))
}

/// A JSON list of objects at a depth.
pub(super) fn list(depth: usize, items: &[String]) -> String {
    let indent = "  ".repeat(depth);
    format!(
        "[\n{indent}  {}\n{indent}]",
        items.join(&format!(",\n{indent}  "))
    )
}

/// A JSON list in one line.
pub(super) fn row(items: &[String]) -> String {
    format!("[{}]", items.join(", "))
}
