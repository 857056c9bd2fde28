use bellwether_formats::scheme::tcn::{first_key, report};
use redb::backends::InMemoryBackend;
use serde_json::json;

use super::super::tests::{KEY, START, World, zone};
use super::*;
use crate::http::client::Reply;
use crate::intake::code::CodeKey;
use crate::store::NoteRow;

/// A report of a key, up to its number `last`.
fn signed(key: u8, last: u16) -> Vec<u8> {
    report(&[key; 32], &first_key(&[key; 32]), (1, last), 1, b"memo").unwrap()
}

fn world(self_reports: bool) -> World {
    World::with(InMemoryBackend::new(), |setup| {
        setup.tcn_self_reports = self_reports.then(zone);
    })
}

fn post(world: &World, code: Option<&str>, report: &[u8]) -> Reply {
    let mut fields = vec![("Content-Type", "application/octet-stream")];
    fields.extend(code.map(|code| ("Bellwether-Code", code)));
    let mut client = world.served.connect();
    client.ask("POST", "/v1/tcn", &fields, report)
}

fn rule(reply: &Reply) -> (u16, String) {
    (reply.status, reply.rule())
}

fn notes(world: &World) -> Vec<NoteRow> {
    let notes = world.state.0.store.pending_notes(&zone(), 5000, START);
    notes.unwrap().into_iter().map(|(_, note)| note).collect()
}

#[test]
fn a_report_comes_with_a_code() {
    let world = world(false);
    world.issue("code");
    let first = post(&world, Some("code"), &signed(1, 4));
    assert_eq!((first.status, first.json()), (200, json!({"accepted": 1})));
    let again = post(&world, Some("code"), &signed(1, 4));
    assert_eq!(again.json(), json!({"accepted": 0, "known": 1}));
    // Who signs by the same key has more to report; others have not.
    assert_eq!(post(&world, Some("code"), &signed(1, 8)).status, 200);
    let other = post(&world, Some("code"), &signed(2, 4));
    assert_eq!(rule(&other), (403, "code-used".to_owned()));
    let unknown = post(&world, Some("none"), &signed(2, 4));
    assert_eq!(rule(&unknown), (403, "code-unknown".to_owned()));
    let without = post(&world, None, &signed(2, 4));
    assert_eq!(rule(&without), (403, "code-missing".to_owned()));
    let notes = notes(&world);
    assert_eq!(notes.len(), 2);
    assert!(notes.iter().all(|note| note.level == Level::DIAGNOSED.0));
}

#[test]
fn what_is_no_report_is_refused_before_its_code() {
    let world = world(true);
    let mut unsigned = signed(1, 4);
    unsigned[70] ^= 1;
    let mut backwards = signed(1, 4);
    backwards[64] = 9;
    for (rule_name, report) in [
        ("unit-length", Vec::new()),
        ("unit-length", signed(1, 4)[1..].to_vec()),
        ("unit-length", vec![0xff; MAX_BODY_BYTES]),
        ("report-signature", unsigned),
        ("range", backwards),
    ] {
        for code in [None, Some("unknown")] {
            let told = post(&world, code, &report);
            assert_eq!(rule(&told), (400, rule_name.to_owned()));
        }
    }
    let large = post(&world, None, &[0; MAX_BODY_BYTES + 1]);
    assert_eq!(rule(&large), (413, "too-large".to_owned()));
    assert!(notes(&world).is_empty());
}

#[test]
fn a_self_report_is_symptomatic_and_changes_nothing_of_another() {
    let world = world(true);
    world.issue("code");
    assert_eq!(post(&world, Some("code"), &signed(1, 4)).status, 200);
    let before = notes(&world);
    // Whoever fetched the published report may send it again.
    let told = post(&world, None, &signed(1, 4));
    assert_eq!(told.json(), json!({"accepted": 0, "known": 1}));
    assert_eq!(notes(&world), before);

    let told = post(&world, None, &signed(2, 4));
    assert_eq!(told.json(), json!({"accepted": 1}));
    let told = post(&world, None, &signed(2, 4));
    assert_eq!(told.json(), json!({"accepted": 0, "known": 1}));
    let mut after = notes(&world);
    after.retain(|note| note.unit == signed(2, 4));
    assert_eq!(after.len(), 1);
    assert_eq!(after[0].level, Level::SYMPTOMATIC.0);
    // A code that comes later takes nothing over either.
    world.issue("later");
    let told = post(&world, Some("later"), &signed(2, 4));
    assert_eq!(told.json(), json!({"accepted": 0, "known": 1}));
    let hash = CodeKey::new(&KEY).hash("later");
    let store = &world.state.0.store;
    let changed = store.set_level(hash.as_bytes(), Level::NO_ALERT);
    assert_eq!(changed.unwrap(), Some(0));
}

#[test]
fn self_reports_of_an_address_are_limited() {
    let world = world(true);
    world.issue("code");
    let burst = u16::try_from(SELF_REPORTS.prefix.burst).unwrap();
    for last in 1..=burst {
        assert_eq!(post(&world, None, &signed(1, last)).status, 200);
    }
    let late = post(&world, None, &signed(1, burst + 1));
    assert_eq!(rule(&late), (429, "too-many-reports".to_owned()));
    let seconds: u64 = late.field("retry-after").parse().unwrap();
    assert!((1..=60).contains(&seconds));
    let coded = post(&world, Some("code"), &signed(2, 4));
    assert_eq!(coded.status, 200, "codes are not held up");
    assert_eq!(notes(&world).len(), usize::from(burst) + 1);
}
