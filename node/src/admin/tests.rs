use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::config::{Carry, Privacy, ZonePolicy};
use crate::init::{self, Listen, NewProvider};
use crate::publisher::{Places, Publisher};
use crate::store::tests::fixture::unit;
use crate::store::{Mode, SubmittedUnit};

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
    Admin::new(dir, config, store, Conditions::default())
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

/// Units to be submitted as exposure keys.
fn submission(level: &str, units: &[String]) -> Submission {
    Submission {
        scheme: "gaen".to_owned(),
        zone: "gb/sct".to_owned(),
        level: level.to_owned(),
        grade: None,
        case: None,
        units: units.to_vec(),
        revisions: Vec::new(),
        mend: false,
        first: 0,
    }
}

#[test]
fn the_provider_mends_whatever_was_submitted() {
    let temp = TempDir::new().unwrap();
    let admin = admin(&temp, |_| {});
    let import = Import {
        scheme: "gaen".to_owned(),
        zone: "gb/sct".to_owned(),
        level: "diagnosed".to_owned(),
        signer: "aa".to_owned(),
        revised: false,
        any_age: false,
        public_at: NOW - 1,
        units: vec![key(1)],
    };
    admin.answer(&Request::Import(import), None, NOW).unwrap();
    let lines = |mend, units: &[String]| {
        let submission = Submission {
            mend,
            grade: Some(40),
            ..submission("no-alert", units)
        };
        let answer = admin.answer(&Request::Submit(submission), None, NOW);
        answer.unwrap()["lines"].clone()
    };
    let others = json!([{ "index": 0, "accepted": false, "known": true }]);
    assert_eq!(lines(false, &[key(1)]), others, "it is the import's");
    let told = lines(true, &[key(1), key(2), "nonsense".to_owned()]);
    let changed = json!({ "index": 0, "accepted": true, "known": true, "changed": true });
    assert_eq!(told[0], changed);
    assert_eq!(told[1]["error"], "not-known");
    assert_eq!(told[2]["error"], "text-bytes");
    let known = json!([{ "index": 0, "accepted": true, "known": true }]);
    assert_eq!(lines(true, &[key(1)]), known);
}

/// An exposure key whose validity ended a day ago.
fn key(which: u32) -> String {
    format!("{which:032x} {}", NOW / 600 / 144 * 144 - 288)
}

#[test]
fn units_are_told_by_their_places() {
    let temp = TempDir::new().unwrap();
    let admin = admin(&temp, |_| {});
    let submit = |submission: &Submission| {
        let answer = admin.answer(&Request::Submit(submission.clone()), None, NOW);
        answer.map(|answer| answer["lines"].as_array().unwrap().clone())
    };
    let long = "x".repeat(3000);
    let mut two = submission("symptomatic", &[key(1), long, key(2)]);
    two.first = 10_000;
    let told = submit(&two).unwrap();
    assert_eq!(told[0]["index"], 10_000);
    assert_eq!(told[1]["error"], "limit");
    assert_eq!(told[2]["accepted"], true);
    assert_eq!(told[2]["index"], 10_002);

    // Another level takes the token of the first answer.
    let mut revoked = submission("no-alert", &[key(1), key(2)]);
    let token = told[2]["revision"].as_str().unwrap().to_owned();
    revoked.revisions = vec![String::new(), token];
    let told = submit(&revoked).unwrap();
    assert_eq!(told[0]["error"], "revision-needed");
    assert_eq!(told[1]["changed"], true);

    for (submission, told) in [
        (submission("ill", &[]), "level"),
        (
            Submission {
                zone: "fr".to_owned(),
                ..submission("diagnosed", &[])
            },
            "zone",
        ),
        (
            Submission {
                scheme: "cx".to_owned(),
                ..submission("diagnosed", &[])
            },
            "scheme",
        ),
        (
            submission("diagnosed", &vec![String::new(); MAX_UNITS + 1]),
            "units",
        ),
    ] {
        let error = submit(&submission).unwrap_err();
        let kind = match error {
            AdminError::Parse(ParseIdError::Level) => "level",
            AdminError::Parse(ParseIdError::Scheme) => "scheme",
            AdminError::Zone { .. } => "zone",
            AdminError::TooManyUnits => "units",
            other => panic!("{other}"),
        };
        assert_eq!(kind, told);
    }
}

#[test]
fn an_import_owns_its_keys_and_revises_them() {
    let temp = TempDir::new().unwrap();
    let admin = admin(&temp, |_| {});
    let import = |signer: &str, level: &str, revised, units: &[String]| {
        let import = Import {
            scheme: "gaen".to_owned(),
            zone: "gb/sct".to_owned(),
            level: level.to_owned(),
            signer: signer.to_owned(),
            revised,
            any_age: false,
            public_at: NOW - 1,
            units: units.to_vec(),
        };
        let answer = admin.answer(&Request::Import(import), None, NOW);
        let answer = answer.unwrap();
        let count = |name: &str| answer[name].as_u64().unwrap();
        let counts = ["new", "known", "changed", "others"].map(count);
        (counts, answer["refused"].clone())
    };
    let old = format!("{:032x} {}", 9, NOW / 600 - 144 * 30);
    let some = [key(1), old, key(2)];
    let refused = json!([{ "index": 1, "rule": "unit-old" }]);
    let first = import("aa", "clinically-diagnosed", false, &some);
    assert_eq!(first, ([2, 0, 0, 0], refused));
    let one = [key(1)];
    let none = json!([]);
    assert_eq!(
        import("aa", "clinically-diagnosed", false, &one),
        ([0, 1, 0, 0], none.clone())
    );
    let refused = json!([{ "index": 0, "rule": "revision-needed" }]);
    assert_eq!(import("aa", "no-alert", false, &one), ([0; 4], refused));
    // Another publisher's revision of it, and what the operator submits, change nothing.
    assert_eq!(
        import("bb", "no-alert", true, &one),
        ([0, 0, 0, 1], none.clone())
    );
    let mine = Request::Submit(submission("no-alert", &one));
    let told = admin.answer(&mine, None, NOW).unwrap();
    assert_eq!(told["lines"][0]["accepted"], false);
    assert_eq!(import("aa", "no-alert", true, &one), ([0, 0, 1, 0], none));
}

#[test]
fn what_is_exported_is_what_was_published() {
    let temp = TempDir::new().unwrap();
    let admin = admin(&temp, |_| {});
    let export = |since| {
        let zone = "gb/sct".to_owned();
        let request = Request::GaenExport { zone, since };
        admin.answer(&request, None, NOW + 7200).unwrap()
    };
    let submit = |level: &str, tokens: Vec<String>, units: &[String]| {
        let submission = Submission {
            revisions: tokens,
            ..submission(level, units)
        };
        let answer = admin
            .answer(&Request::Submit(submission), None, NOW)
            .unwrap();
        answer["lines"][0]["revision"].as_str().unwrap().to_owned()
    };
    let levels = |answer: &Value| {
        let keys = answer["keys"].as_array().unwrap().clone();
        let of = |level: u8| keys.iter().filter(|key| key[1] == level).count();
        (
            of(Level::CLINICALLY_DIAGNOSED.0),
            of(Level::NO_ALERT.0),
            keys.len(),
        )
    };
    let token = submit("clinically-diagnosed", Vec::new(), &[key(1)]);
    submit("clinically-diagnosed", Vec::new(), &[key(2)]);
    assert_eq!(levels(&export(0)), (0, 0, 0), "not yet published");
    publish(&admin, 0..0, Mode::Open, NOW);
    // With the padding of the body.
    assert_eq!(levels(&export(0)), (150, 0, 150));
    assert_eq!(export(0)["first"], NOW);
    assert_eq!(levels(&export(NOW + 1)), (0, 0, 0));
    submit("no-alert", vec![token], &[key(1)]);
    submit("debug", Vec::new(), &[key(3)]);
    publish(&admin, 0..0, Mode::Open, NOW + 3600);
    assert_eq!(levels(&export(0)), (149, 1, 150));
    assert_eq!(
        levels(&export(NOW + 1)),
        (0, 1, 1),
        "what is withdrawn is always told"
    );
    assert_eq!(export(0)["sealed"], 0);
}

#[test]
fn what_is_sealed_is_never_exported() {
    let temp = TempDir::new().unwrap();
    let admin = admin(&temp, |config| {
        config.provider.as_mut().unwrap().zone[0].privacy = Privacy::Unlinkable;
    });
    let submission = submission("diagnosed", &[key(1), key(2)]);
    admin
        .answer(&Request::Submit(submission), None, NOW)
        .unwrap();
    publish(&admin, 0..0, Mode::Sealed, NOW);
    let zone = "gb/sct".to_owned();
    let told = admin
        .answer(&Request::GaenExport { zone, since: 0 }, None, NOW)
        .unwrap();
    assert_eq!(told, json!({"keys": [], "first": null, "sealed": 2}));
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

/// Publishes what codes admitted, one notification each.
fn publish(admin: &Admin, codes: std::ops::Range<u8>, mode: Mode, at: u64) {
    for which in codes {
        let hash = [which; 32];
        let code = NewCode {
            hash,
            zone: "gb/sct".parse().unwrap(),
            level: Level::DIAGNOSED,
            expires_at: at + 60,
            issuer: None,
        };
        admin.store.issue_codes(&[code], at).unwrap();
        let unit = SubmittedUnit {
            mode,
            unit: vec![which; 24],
            ..unit(0)
        };
        admin.store.accept(&hash, &[unit], at).unwrap();
    }
    let mut publisher =
        Publisher::open(&admin.dir, &admin.config, admin.store.clone(), NOW).unwrap();
    let closed = publisher.close(&"gb/sct".parse().unwrap(), at);
    assert!(closed.failed.is_none(), "{:?}", closed.failed);
}

#[test]
fn who_is_left_in_a_revision_is_counted() {
    let temp = TempDir::new().unwrap();
    let admin = admin(&temp, |config| {
        let provider = config.provider.as_mut().unwrap();
        provider.zone[0].privacy = Privacy::Unlinkable;
    });
    let patients = |now| {
        let status = admin.answer(&Request::Status, None, now).unwrap();
        let checked = admin.answer(&Request::Check, None, now).unwrap();
        let warnings = checked["warnings"].to_string();
        let told = warnings.contains("sealed batch 3 speaks of one patient");
        (status["feeds"][0]["patients"].clone(), told)
    };
    publish(&admin, 1..13, Mode::Sealed, NOW);
    assert_eq!(patients(NOW), (12.into(), false));
    for which in 1..12 {
        let level = admin.store.set_level(&[which; 32], Level::NO_ALERT);
        assert_eq!(level.unwrap(), Some(1));
    }
    assert_eq!(patients(NOW + 5), (12.into(), false), "not yet published");
    publish(&admin, 0..0, Mode::Sealed, NOW + 10);
    assert_eq!(patients(NOW + 10), (1.into(), true));
    admin.store.set_level(&[12; 32], Level::NO_ALERT).unwrap();
    publish(&admin, 0..0, Mode::Sealed, NOW + 20);
    assert_eq!(patients(NOW + 20), (0.into(), false), "nobody is left");
}

#[test]
fn a_zone_says_what_it_costs_and_whom_it_hides() {
    let temp = TempDir::new().unwrap();
    let admin = admin(&temp, |config| {
        let provider = config.provider.as_mut().unwrap();
        provider.zone[0].privacy = Privacy::Unlinkable;
        provider.zone[0].interval = Duration::from_hours(6);
    });
    let zone = |now| admin.answer(&Request::Status, None, now).unwrap()["feeds"][0].clone();
    let empty = zone(NOW);
    assert_eq!(empty["mode"], "unlinkable");
    for member in ["mode_beside", "bytes_client_day", "last_batch", "patients"] {
        assert!(empty[member].is_null(), "{member} in {empty}");
    }

    publish(&admin, 1..4, Mode::Sealed, NOW);
    let one = zone(NOW);
    assert_eq!(one["bytes_client_day_basis"], "scaled");
    let day = one["bytes_client_day"].as_u64().unwrap();
    // Four batches of 8192 identifiers: filter, index, two looks. Source: spec §5.10.
    let batch = 19_796 + 2626 + 2 * 8208;
    assert!(day.abs_diff(4 * batch) < 4000, "{day}");
    assert_eq!(one["patients"], 3);
    assert_eq!(one["last_batch"]["seq"], 1);
    assert_eq!(one["last_batch"]["cid"], one["cid"]);
    let live = Live::default();
    let checked = admin.answer(&Request::Check, Some(&live), NOW).unwrap();
    assert_eq!(checked["ok"], true, "{checked}");
    let warnings = checked["warnings"].to_string();
    assert!(warnings.contains("at least 1/3"), "{warnings}");

    // What was accepted when the zone was linkable stays so.
    publish(&admin, 4..5, Mode::Open, NOW + 3600);
    let both = zone(NOW + 3600);
    assert_eq!(both["mode_beside"], "linkable");
    assert_eq!(both["patients"], 3, "those of the newest sealed batch");
    // A day later only the last batch is of the last day.
    let later = zone(NOW + 86_400 + 60);
    assert_eq!(later["bytes_client_day_basis"], "published");
    let bytes = later["bytes_client_day"].as_u64().unwrap();
    assert!(
        (3600..6000).contains(&bytes),
        "an open body of 150: {bytes}"
    );
    assert_eq!(later["mode_beside"], "linkable");
    let much_later = zone(NOW + 20 * 86_400);
    assert_eq!(much_later["bytes_client_day"], 0);
    assert!(much_later["mode_beside"].is_null());
}

#[test]
fn a_batch_that_cannot_be_taken_is_an_error() {
    let temp = TempDir::new().unwrap();
    let admin = admin(&temp, |_| {});
    let feed = admin.config.own_feeds().unwrap().remove(0);
    let live = |too_large| {
        let mut live = Live::default();
        let status = live.relay.feeds.entry(feed.clone()).or_default();
        status.too_large = too_large;
        live
    };
    for told in [false, true] {
        let live = live(told.then_some(7));
        let checked = admin.answer(&Request::Check, Some(&live), NOW).unwrap();
        assert_eq!(checked["ok"], !told, "{checked}");
        let status = admin.answer(&Request::Status, Some(&live), NOW).unwrap();
        for list in [&checked["errors"], &status["errors"]] {
            let list = list.to_string();
            assert_eq!(list.contains("batch 7 is not taken"), told, "{list}");
        }
    }
}

#[test]
fn both_root_keys_and_the_file_are_seen() {
    let temp = TempDir::new().unwrap();
    let admin = admin(&temp, |_| {});
    let status = admin.answer(&Request::Status, None, NOW).unwrap();
    let file = std::fs::metadata(Places::of(&admin.dir).store).unwrap();
    assert_eq!(status["file_bytes"], file.len());
    let warned = || {
        let checked = admin.answer(&Request::Check, None, NOW).unwrap();
        checked["warnings"]
            .to_string()
            .matches("root-key-online")
            .count()
    };
    assert_eq!(warned(), 2);
    std::fs::remove_file(admin.dir.join(keys::ROOT)).unwrap();
    assert_eq!(warned(), 1);
    std::fs::remove_file(admin.dir.join(keys::NEXT_ROOT)).unwrap();
    assert_eq!(warned(), 0);
}
