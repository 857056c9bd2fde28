//! README's first command: the story comes out right, and nothing is left behind.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::fs;
use std::time::Duration;

use bellwether_tests::{World, command};
use serde_json::Value;

#[test]
fn the_story_comes_out_right() {
    let world = World::new();
    let home = world.path("home");
    fs::create_dir(&home).unwrap();
    let mut demo = command::node();
    demo.args(["demo", "--json"]).env("TMPDIR", &home).env("HOME", &home);
    let told = command::run_within(&mut demo, Duration::from_secs(60)).ok();
    let lines = told.json();
    let last = lines.last().unwrap();
    assert_eq!(last["ok"], true, "{told:?}");

    let phone = |name: &str| -> &Value {
        lines.iter().find(|line| line["name"] == name).unwrap_or_else(|| panic!("{told:?}"))
    };
    assert_eq!(phone("Bob")["alerts"], serde_json::json!(["diagnosed"]));
    assert_eq!(phone("Carol")["alerts"], serde_json::json!([]));
    let bytes = |name| phone(name)["bytes_down"].as_u64().unwrap();
    assert!(bytes("Bob") > 0 && bytes("Carol") > 0);

    let left: Vec<_> = fs::read_dir(&home).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

#[test]
fn the_story_is_told_to_people_too() {
    let world = World::new();
    let mut demo = command::node();
    demo.arg("demo").env("TMPDIR", world.path("")).env("HOME", world.path(""));
    let told = command::run_within(&mut demo, Duration::from_secs(60)).ok();
    for word in ["Alice", "Bob", "Carol", "relay", "batch", "bytes", "ALERTED"] {
        assert!(told.stdout.contains(word), "`{word}` in {}", told.stdout);
    }
}
