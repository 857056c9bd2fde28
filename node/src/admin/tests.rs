use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::config::{Carry, Privacy, ZonePolicy};
use crate::init::{self, Listen, NewProvider};
use crate::publisher::Places;

const NOW: u64 = 1_800_000_000;

/// A provider in `gb/sct`, whose configuration may be changed.
fn admin(temp: &TempDir, change: impl FnOnce(&mut Config)) -> Admin {
    let dir = temp.path().join("node");
    let new = NewProvider {
        name: "Test".to_owned(),
        zones: vec!["gb/sct".parse().unwrap()],
        privacy: Privacy::Linkable,
        interval: Duration::from_hours(1),
        k: 150,
        listen: Listen::default(),
        tls: None,
        gateways: Vec::new(),
        signer_dir: Some(temp.path().join("signer")),
        operator: None,
    };
    init::provider(&dir, new, NOW).unwrap();
    let store = Store::open(&Places::of(&dir).store).unwrap();
    let mut config = Config::load(&dir).unwrap();
    change(&mut config);
    Admin::new(dir, config, store)
}

fn import(zone: &str, codes: &[&str]) -> Request {
    Request::CodeImport {
        level: "diagnosed".to_owned(),
        zone: zone.to_owned(),
        codes: codes.iter().map(ToString::to_string).collect(),
        valid_s: 60,
    }
}

#[test]
fn a_zone_that_the_descriptor_lacks_is_told() {
    let temp = TempDir::new().unwrap();
    let admin = admin(&temp, |config| {
        let provider = config.provider.as_mut().unwrap();
        provider.name = "Other".to_owned();
        let zone = "gb".parse().unwrap();
        let policy = ZonePolicy::new(&zone, Privacy::Linkable, Duration::from_hours(1), 0);
        provider.zone.push(policy);
    });
    let checked = admin.answer(&Request::Check, None, NOW).unwrap();
    let errors = checked["errors"].to_string();
    assert!(errors.contains("the zone `gb`"), "{errors}");
    assert!(errors.contains("`Other`"), "{errors}");
    let error = admin.answer(&import("gb", &["a"]), None, NOW).unwrap_err();
    assert!(matches!(error, AdminError::Undescribed { .. }));
    admin.answer(&import("gb/sct", &["a"]), None, NOW).unwrap();
    let answer = admin.answer(&Request::Descriptor, None, NOW).unwrap();
    assert_eq!(answer["name"], "Other");
    assert_eq!(answer["zones"], json!(["gb/sct", "gb"]));
}

#[test]
fn a_refused_code_is_named_by_its_line() {
    let temp = TempDir::new().unwrap();
    let admin = admin(&temp, |_| {});
    let long = "x".repeat(65);
    let request = import("gb/sct", &["a", "", "b", &long]);
    let error = admin.answer(&request, None, NOW).unwrap_err();
    assert!(matches!(error, AdminError::Code { line: 4, .. }), "{error}");
    let done = admin.answer(&import("gb/sct", &["a", "", "b"]), None, NOW);
    assert_eq!(done.unwrap()["new"], 2);
}

#[test]
fn a_relay_says_that_it_is_none() {
    let temp = TempDir::new().unwrap();
    let admin = admin(&temp, |config| {
        let provider = config.provider.take().unwrap();
        config.carry.push(Carry {
            provider: provider.id,
            zones: vec!["gb/sct".to_owned()],
        });
    });
    let level = Request::Level {
        code: "a".to_owned(),
        level: "no-alert".to_owned(),
    };
    for request in [level, Request::CodeList, import("gb/sct", &["a"])] {
        let error = admin.answer(&request, None, NOW).unwrap_err();
        assert!(matches!(error, AdminError::NotProvider), "{error}");
    }
}
