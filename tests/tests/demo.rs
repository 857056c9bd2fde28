//! README's first command: the story comes out right, and nothing is left behind.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bellwether_tests::{World, command};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};

#[test]
fn the_story_comes_out_right() {
    let world = World::new();
    let home = world.path("home");
    fs::create_dir(&home).unwrap();
    let mut demo = command::node();
    demo.args(["demo", "--json"])
        .env("TMPDIR", &home)
        .env("HOME", &home);
    let told = command::run_within(&mut demo, Duration::from_secs(60)).ok();
    let lines = told.json();
    let last = lines.last().unwrap();
    assert_eq!(last["ok"], true, "{told:?}");

    let phone = |name: &str| -> &Value {
        lines
            .iter()
            .find(|line| line["name"] == name)
            .unwrap_or_else(|| panic!("{told:?}"))
    };
    let (bob, carol) = (phone("Bob"), phone("Carol"));
    let alerts = json!([
        { "zone": "gb", "level": "symptomatic" },
        { "zone": "gb/sct/glen", "level": "diagnosed" },
    ]);
    assert_eq!(bob["alerts"], alerts);
    assert_eq!(carol["alerts"], json!([]));
    for member in ["bytes_down", "requests", "filters", "pir_queries", "chunks"] {
        assert_eq!(bob[member], carol[member], "{member}");
        assert!(bob[member].as_u64().unwrap() > 0, "{member}");
    }
    assert_eq!(left_in(&home), [""; 0]);
}

/// The demo compares what relays saw; here it is compared once more, from its words alone.
#[test]
fn the_exposed_and_the_unexposed_look_alike_to_each_relay() {
    let world = World::new();
    let mut demo = command::node();
    demo.args(["demo", "--json"])
        .env("TMPDIR", world.path(""))
        .env("HOME", world.path(""));
    let lines = command::run_within(&mut demo, Duration::from_secs(60))
        .ok()
        .json();
    let saw: Vec<&Value> = lines
        .iter()
        .filter(|line| line["step"] == "relay-saw")
        .collect();
    assert_eq!(saw.len(), 2);
    let mut masks: Vec<Vec<Vec<u8>>> = vec![Vec::new(); 2];
    for relay in saw {
        let seen = [0, 1].map(|phone| {
            let mut requests = relay["phones"][phone]["requests"].clone();
            for request in requests.as_array_mut().unwrap() {
                let mask = request.as_object_mut().unwrap().remove("mask").unwrap();
                assert_eq!(mask.is_string(), request["method"] == "POST", "{request}");
                if let Some(mask) = mask.as_str() {
                    masks[phone].push(HEXLOWER.decode(mask.as_bytes()).unwrap());
                }
            }
            requests
        });
        assert_eq!(seen[0], seen[1]);
        let last = seen[0].as_array().unwrap().last().unwrap();
        assert!(
            last["path"].as_str().unwrap().starts_with("/v1/pir/"),
            "{last}"
        );
    }
    // One half each; together, the chunk.
    let together = lines
        .iter()
        .find(|line| line["step"] == "together")
        .unwrap();
    for (phone, name) in ["Bob", "Carol"].into_iter().enumerate() {
        let [a, b] = &masks[phone][..] else {
            panic!("{name}: {masks:?}")
        };
        let bits = a.iter().zip(b).enumerate().flat_map(|(at, (a, b))| {
            (0..8)
                .filter(move |bit| (a ^ b) >> bit & 1 == 1)
                .map(move |bit| at * 8 + bit)
        });
        let chunk = usize::try_from(together["asked_for"][name].as_u64().unwrap()).unwrap();
        assert_eq!(bits.collect::<Vec<_>>(), [chunk]);
    }
    assert_ne!(masks[0], masks[1]);
}

/// Ctrl-C in the midst of it.
#[test]
fn an_interrupted_story_leaves_nothing_behind() {
    let world = World::new();
    let home = world.path("home");
    fs::create_dir(&home).unwrap();
    let mut demo = command::node();
    let mut running = demo
        .arg("demo")
        .env("TMPDIR", &home)
        .env("HOME", &home)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Its first words come when the provider runs.
    let mut word = [0; 1];
    running
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut word)
        .unwrap();
    assert!(!left_in(&home).is_empty());
    let id = rustix::process::Pid::from_child(&running);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    let mut rest = String::new();
    running
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut rest)
        .unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(130), "{rest}");
    assert_eq!(left_in(&home), [""; 0]);
}

fn left_in(home: &Path) -> Vec<String> {
    let entries = fs::read_dir(home).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn the_story_is_told_to_people_too() {
    let world = World::new();
    let mut demo = command::node();
    demo.arg("demo")
        .env("TMPDIR", world.path(""))
        .env("HOME", world.path(""));
    let told = command::run_within(&mut demo, Duration::from_secs(60)).ok();
    for word in [
        "Alice",
        "Bob",
        "Carol",
        "relay",
        "batch",
        "bytes",
        "ALERTED",
        "POST",
        "The limit",
    ] {
        assert!(told.stdout.contains(word), "`{word}` in {}", told.stdout);
    }
}

/// The story of any scheme: of one with times and of one that is always sealed.
#[test]
fn the_story_can_be_told_with_any_scheme() {
    for (scheme, filters) in [("gaen", 1), ("fanny", 2)] {
        let world = World::new();
        let mut demo = command::node();
        demo.args(["demo", "--json", "--scheme", scheme])
            .env("TMPDIR", world.path(""))
            .env("HOME", world.path(""));
        let told = command::run_within(&mut demo, Duration::from_secs(60)).ok();
        let lines = told.json();
        assert_eq!(lines.last().unwrap()["ok"], true, "{told:?}");
        let bob = lines.iter().find(|line| line["name"] == "Bob").unwrap();
        assert_eq!(bob["alerts"].as_array().unwrap().len(), 2, "{bob}");
        assert_eq!(bob["filters"], filters, "{bob}");
    }
}
