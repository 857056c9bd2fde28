use std::path::Path;

use bellwether_formats::id::{Level, Scheme};
use bellwether_formats::scheme::tcn;
use data_encoding::HEXLOWER;
use redb::backends::InMemoryBackend;
use serde_json::{Value, json};

use super::super::code::CodeKey;
use super::super::submitters;
use super::super::tests::{KEY, START, World, ZONE, zone};
use super::phone::MAX_LINES;
use super::*;
use crate::http::client::Reply;
use crate::store::NoteRow;

mod phones;
mod systems;

/// The interval of GAEN that the tests are in.
const INTERVAL: u64 = START / 600;

/// The day of DP-3T and FANNY that the tests are in: START is of 2027-01-15.
const TODAY: &str = "2027-01-15";

const EPOCH: u64 = START / 900;

/// An intake that knows the systems `lab` and `clinic`, and their tokens.
struct Open {
    world: World,
    lab: String,
    clinic: String,
    _dir: tempfile::TempDir,
}

impl Open {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("submitters");
        let add = |name, random| submitters::add(&file, name, [random; 32]).unwrap();
        let (lab, clinic) = (add("lab", 1), add("clinic", 2));
        let world = World::with(InMemoryBackend::new(), |setup| {
            setup.submitters = Some(file.clone());
            setup
                .modes
                .insert("gb".to_owned(), crate::store::Mode::Sealed);
        });
        Self {
            world,
            lab,
            clinic,
            _dir: dir,
        }
    }

    fn post(&self, fields: &[(&str, &str)], body: &str) -> Reply {
        let mut client = self.world.served.connect();
        client.ask("POST", "/v1/submissions", fields, body.as_bytes())
    }

    /// What a system is answered.
    fn system(&self, token: &str, items: &[Value]) -> Vec<Value> {
        let bearer = format!("Bearer {token}");
        let fields = [("Authorization", bearer.as_str()), ("Content-Type", KIND)];
        answers(&self.post(&fields, &body(items)))
    }

    /// What a phone is answered.
    fn phone(&self, code: &str, items: &[Value]) -> Reply {
        self.post(&[("Bellwether-Code", code)], &body(items))
    }

    fn notes(&self, zone: &str) -> Vec<NoteRow> {
        let zone = zone.parse().unwrap();
        let notes = self.world.state.0.store.pending_notes(&zone, 10_000, START);
        notes.unwrap().into_iter().map(|(_, note)| note).collect()
    }
}

fn body(items: &[Value]) -> String {
    items.iter().map(|item| format!("{item}\n")).collect()
}

/// The lines of an answer of 200, each with its index.
fn answers(reply: &Reply) -> Vec<Value> {
    let text = String::from_utf8(reply.body.clone()).unwrap();
    assert_eq!(reply.status, 200, "{text}");
    assert_eq!(reply.field("content-type"), KIND);
    assert_eq!(reply.field("cache-control"), "no-store");
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let lines: Vec<Value> = lines.collect();
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(line["index"], index, "{line}");
    }
    lines
}

fn rule(reply: &Reply) -> (u16, String) {
    (reply.status, reply.rule())
}

/// An exposure key in its text form, whose validity began so many days ago.
fn gaen(which: u32, days_ago: u64) -> String {
    let start = INTERVAL / 144 * 144 - 144 * days_ago;
    format!("{which:032x} {start}")
}

fn item(unit: &str) -> Value {
    json!({"scheme": "gaen", "zone": ZONE, "level": "diagnosed", "unit": unit})
}

fn with(mut item: Value, more: &[(&str, Value)]) -> Value {
    for (key, value) in more {
        item[key] = value.clone();
    }
    item
}

/// A signed report of a key.
fn tcn_report(key: u8, last: u16) -> Vec<u8> {
    tcn::report(
        &[key; 32],
        &tcn::first_key(&[key; 32]),
        (1, last),
        0,
        b"memo",
    )
    .unwrap()
}

/// A unit of every scheme, in text form.
fn units() -> Vec<(&'static str, String)> {
    vec![
        ("cx1", "a1".repeat(24)),
        ("cx2", "a2".repeat(48)),
        ("tcn", HEXLOWER.encode(&tcn_report(3, 4))),
        ("dp3t-lowcost", format!("{} 2027-01-12 3", "a4".repeat(32))),
        ("dp3t-unlinkable", format!("{EPOCH} {}", "a5".repeat(32))),
        (
            "dp3t-hybrid",
            format!("{} {} 4", "a6".repeat(16), EPOCH - 8),
        ),
        ("gaen", gaen(7, 2)),
        ("fanny", format!("{} {TODAY}", "a8".repeat(32))),
    ]
}
