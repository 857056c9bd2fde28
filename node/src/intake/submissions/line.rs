//! A body's lines, and what one may say.

use serde::Deserialize;

use super::super::refusal::Refusal;
use super::outcome::ItemRefusal;
use super::system::Said;

/// Longest line, in bytes (2 KiB): a TCN report of 389 bytes in hexadecimal, and as much again.
/// Source: spec §10.6.
pub const MAX_LINE_BYTES: usize = 2 * 1024;

/// An item of a phone: the rest is its code's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PhoneItem {
    pub(super) scheme: String,
    pub(super) unit: String,
}

/// Reads the items of a body, of which it has `limit` at most. Empty lines are none.
pub(super) fn items<'a, T: Deserialize<'a>>(
    body: &'a [u8],
    limit: usize,
) -> Result<Vec<Result<T, ItemRefusal>>, Refusal> {
    let lines = body.split(|byte| *byte == b'\n');
    let lines = || lines.clone().filter(|line| !line.trim_ascii().is_empty());
    // Counted before the first is read: nothing of such a body is accepted.
    match lines().take(limit.saturating_add(1)).count() {
        0 => Err(Refusal::Empty),
        found if found > limit => Err(Refusal::Lines { limit }),
        _ => Ok(lines().map(item).collect()),
    }
}

fn item<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, ItemRefusal> {
    if line.len() > MAX_LINE_BYTES {
        return Err(ItemRefusal::Line);
    }
    let refusal = |error: serde_json::Error| {
        let why = error.to_string();
        if error.is_data() {
            ItemRefusal::Value { why }
        } else {
            ItemRefusal::Json { why }
        }
    };
    // First whether it is JSON at all: reading an item stops at the first member that is none.
    serde_json::from_slice::<serde::de::IgnoredAny>(line).map_err(refusal)?;
    // (A list of values in the members' order would be taken for them.)
    if line.trim_ascii_start().first() != Some(&b'{') {
        let why = "an item is an object".to_owned();
        return Err(ItemRefusal::Value { why });
    }
    serde_json::from_slice(line).map_err(refusal)
}

/// An item of a system.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SystemItem {
    scheme: String,
    zone: String,
    level: String,
    unit: String,
    grade: Option<i64>,
    case: Option<String>,
    revision: Option<String>,
}

impl SystemItem {
    pub(super) fn said(&self) -> Said<'_> {
        Said {
            scheme: &self.scheme,
            zone: &self.zone,
            level: &self.level,
            unit: &self.unit,
            grade: self.grade,
            case: self.case.as_deref(),
            revision: self.revision.as_deref(),
            public_at: None,
        }
    }
}
