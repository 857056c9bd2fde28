//! Any object as text for people: CBOR diagnostic notation (RFC 8949 §8).
//!
//! Builds a generic tree, which nothing else here does; it is for eyes, never for decisions.

use std::fmt::Write as _;
use std::format;
use std::string::{String, ToString};

use ciborium::Value;
use data_encoding::HEXLOWER;

use crate::cid::Cid;
use crate::limit;

/// The diagnostic notation of a CBOR object, indented; none if `bytes` are not one.
pub fn diagnostic(bytes: &[u8]) -> Option<String> {
    if bytes.len() > limit::MAX_BLOCK_BYTES {
        return None;
    }
    let value: Value = ciborium::de::from_reader_with_recursion_limit(bytes, 32).ok()?;
    let mut text = String::new();
    write_value(&mut text, &value, 0);
    Some(text)
}

fn write_value(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Bytes(bytes) => out.push_str(&format!("h'{}'", HEXLOWER.encode(bytes))),
        Value::Text(text) => out.push_str(&format!("{text:?}")),
        Value::Tag(42, link) => out.push_str(&link_text(link)),
        Value::Tag(tag, value) => {
            out.push_str(&format!("{tag}("));
            write_value(out, value, depth);
            out.push(')');
        }
        Value::Array(items) => list(out, depth, ('[', ']'), items, |out, item| {
            write_value(out, item, depth + 1);
        }),
        Value::Map(entries) => list(out, depth, ('{', '}'), entries, |out, (key, value)| {
            write_value(out, key, depth + 1);
            out.push_str(": ");
            write_value(out, value, depth + 1);
        }),
        Value::Integer(number) => out.push_str(&i128::from(*number).to_string()),
        Value::Bool(value) => out.push_str(&value.to_string()),
        Value::Null => out.push_str("null"),
        other => out.push_str(&format!("{other:?}")),
    }
}

fn list<T>(
    out: &mut String,
    depth: usize,
    (open, close): (char, char),
    items: &[T],
    mut item: impl FnMut(&mut String, &T),
) {
    if items.is_empty() {
        out.push_str(&format!("{open}{close}"));
        return;
    }
    out.push(open);
    for (index, entry) in items.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(out, "{comma}\n{:width$}", "", width = 2 * (depth + 1));
        item(out, entry);
    }
    let _ = write!(out, "\n{:width$}{close}", "", width = 2 * depth);
}

/// A link as the CID that it is, so that it can be asked for.
fn link_text(link: &Value) -> String {
    let cid = link
        .as_bytes()
        .and_then(|bytes| bytes.split_first())
        .and_then(|(_, cid)| Cid::from_bytes(cid).ok());
    cid.map_or_else(|| "42(…)".to_string(), |cid| format!("42({cid})"))
}
