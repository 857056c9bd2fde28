//! The binary against gateways on loopback: real HTTP, real files.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::indexing_slicing, reason = "a test may panic")]

use std::fs;

use crate::fixture::{Mirror, Provider, Sealed, Server, part, part_of};
use crate::phone::{Phone, World, uuid};
use bellwether_client::time;
use bellwether_formats::batch::Part;
use bellwether_formats::body::open::Terms;
use bellwether_formats::id::{Level, Scheme};
use bellwether_formats::scheme::text;

#[test]
fn a_seed_becomes_an_alert_and_a_withdrawal_ends_it() {
    let mut world = World::new();
    let server = Server::start(world.mirror());
    let phone = Phone::new();
    phone.follow(&world.provider, &[&server]);
    phone.run("alerts", &[]).exits(3);
    phone
        .run(
            "observe",
            &[
                "--scheme",
                "cx1",
                "--at",
                &world.hour_ago(),
                &uuid(7, 2047),
                &uuid(9, 0),
            ],
        )
        .ok();
    let synced = phone.run("sync", &["--json"]).ok().json();
    let number = |name: &str| synced[0][name].as_u64().unwrap();
    assert_eq!(
        (number("batches"), number("bodies"), number("matches")),
        (3, 1, 1)
    );
    assert_eq!(
        (number("filters"), number("candidates"), number("requests")),
        (0, 0, 3)
    );
    assert!(number("bytes_down") > 1000);
    assert_eq!(synced[0]["errors"], serde_json::json!([]));

    let expected = serde_json::json!({
        "provider": world.provider.id().to_string(),
        "zone": "gb/sct",
        "scheme": "cx1",
        "level": "diagnosed",
        "grade": null,
        "batch": world.chain[2].cid().to_string(),
        "observations": [{"id": uuid(7, 2047), "at": world.hour_ago()}],
    });
    assert_eq!(phone.run("alerts", &["--json"]).exits(1).json(), [expected]);
    let text = phone.run("alerts", &[]).exits(1).out;
    assert!(
        text.contains("diagnosed") && text.contains(&uuid(7, 2047)),
        "{text}"
    );

    let (withdrawn, body) = part(world.now - 60, &[(7, Level::NO_ALERT)]);
    world.chain.push(
        world
            .provider
            .batch(world.chain.last(), world.now - 60, vec![withdrawn]),
    );
    let mut mirror = world.mirror();
    mirror.bodies.insert(body.cid(), body);
    *server.mirror.lock().unwrap() = mirror;
    phone.run("sync", &[]).ok();
    assert_eq!(phone.run("alerts", &["--json"]).exits(0).out, "");
    assert_eq!(phone.run("alerts", &[]).exits(0).out, "no exposure\n");
}

#[test]
fn a_late_observation_is_tested_against_what_is_kept() {
    let world = World::new();
    let server = Server::start(world.mirror());
    let phone = Phone::new();
    phone.follow(&world.provider, &[&server]);
    phone.run("sync", &[]).ok();
    phone.run("alerts", &[]).exits(0);
    let input = format!("{} {}\n{}\n", uuid(7, 0), world.hour_ago(), uuid(8, 0));
    phone
        .run_with("observe", &["--scheme", "cx", "-"], &input)
        .ok();
    let found = phone.run("alerts", &["--json"]).exits(1).json();
    assert_eq!(
        found.len(),
        1,
        "the second was observed after it was public"
    );
    assert_eq!(found[0]["observations"][0]["at"], world.hour_ago());
}

#[test]
fn requests_say_nothing_of_the_device() {
    let world = World::new();
    let heads = |ids: &[String]| {
        let server = Server::start(world.mirror());
        let phone = Phone::new();
        phone.follow(&world.provider, &[&server]);
        if !ids.is_empty() {
            let mut args = vec!["--scheme", "cx"];
            args.extend(ids.iter().map(String::as_str));
            phone.run("observe", &args).ok();
        }
        phone.run("sync", &[]).ok();
        phone.run("sync", &[]).ok();
        let asked = server.asked.lock().unwrap().clone();
        asked
            .iter()
            .map(|head| {
                head.to_ascii_lowercase()
                    .replace(server.url.trim_start_matches("http://"), "HOST")
            })
            .collect::<Vec<_>>()
    };
    let quiet = heads(&[]);
    assert_eq!(quiet, heads(&[uuid(7, 1), uuid(8, 1)]));
    for head in &quiet {
        let names: Vec<&str> = head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .map(|(name, _)| name)
            .collect();
        let known = ["host", "if-none-match", "accept-encoding"];
        assert!(names.iter().all(|name| known.contains(name)), "{head}");
    }
}

#[test]
fn another_gateway_is_asked_where_one_fails() {
    let world = World::new();
    let liar = Server::start(Mirror {
        spoil: true,
        ..world.mirror()
    });
    let right = Server::start(world.mirror());
    let dead = Server {
        url: "http://127.0.0.1:1".into(),
        ..right.clone()
    };
    let phone = Phone::new();
    phone.follow(&world.provider, &[&liar, &dead, &right]);
    let done = phone.run("sync", &["--json"]).ok();
    assert_eq!(done.json()[0]["feeds"][0]["head"], 3);
    assert!(done.err.contains("warning: "), "{}", done.err);

    let phone = Phone::new();
    phone.follow(&world.provider, &[&liar, &dead]);
    let done = phone.run("sync", &["--json"]).exits(2);
    assert_eq!(done.json()[0]["feeds"][0]["reached"], false);
    assert!(
        done.err.contains("error: ") && done.err.contains("hint: "),
        "{}",
        done.err
    );
    phone.run("alerts", &[]).exits(3);
}

/// A sealed part is looked at through two relays, hit or not, and `status` says what that tells.
#[test]
fn a_sealed_part_is_confirmed_by_two_relays() {
    let mut world = World::new();
    let content = Sealed::of(&[(9, Level::SYMPTOMATIC)]);
    let (batch, blocks) = world
        .provider
        .sealed(world.chain.last(), world.now - 60, &content);
    world.chain.push(batch);
    let mut mirror = world.mirror();
    mirror
        .bodies
        .extend(blocks.into_iter().map(|block| (block.cid(), block)));
    let servers = [Server::start(mirror.clone()), Server::start(mirror)];
    let phone = Phone::new();
    phone.follow(&world.provider, &[&servers[0], &servers[1]]);
    phone
        .run(
            "observe",
            &["--scheme", "cx", "--at", &world.hour_ago(), &uuid(9, 5)],
        )
        .ok();
    let synced = phone.run("sync", &["--json"]).ok().json().remove(0);
    let numbers = ["filters", "candidates", "pir_queries", "chunks", "matches"];
    assert_eq!(
        numbers.map(|name| synced[name].as_u64().unwrap()),
        [1, 0, 2, 1, 1]
    );
    for server in &servers {
        let asked = server.asked.lock().unwrap();
        let queries = asked
            .iter()
            .filter(|head| head.starts_with("POST /v1/pir/"));
        assert_eq!(queries.count(), 1);
    }
    let found = phone.run("alerts", &["--json"]).exits(1).json();
    assert_eq!(found[0]["level"], "symptomatic");

    let status = || phone.run("status", &["--json"]).ok().json().remove(0);
    assert_eq!(status()["policy"], "private");
    assert_eq!(
        (&status()["operators"], &status()["filters"]),
        (&2.into(), &1.into())
    );
    assert!(status()["leaks"].to_string().contains("no single relay"));
    let text = phone.run("sync", &["--policy", "lean"]).ok().out;
    assert!(text.contains("1 matches known"), "{text}");
    assert_eq!(status()["policy"], "lean");
    assert!(phone.run("status", &[]).ok().out.contains("`lean`"));
    phone.run("sync", &["--policy", "open"]).exits(2);
}

/// Bytes all over a bundle changed: refused, and nothing of it kept.
#[test]
fn stale_gaps_and_unknown_parts_are_told() {
    let mut world = World::new();
    let Part::Open(mut strange) = part(world.now - 60, &[(9, Level::DIAGNOSED)]).0 else {
        panic!("an open part");
    };
    strange.scheme.0 = 9;
    world.chain.push(world.provider.batch(
        world.chain.last(),
        world.now - 60,
        vec![Part::Open(strange)],
    ));
    let server = Server::start(world.mirror());
    let phone = Phone::new();
    phone.follow(&world.provider, &[&server]);
    phone.run("sync", &[]).ok();
    let done = phone.run("alerts", &["--json"]).exits(3);
    assert!(
        done.out.is_empty() && done.err.contains("update needed for scheme 9: 1 parts"),
        "{}",
        done.err
    );
    let status = phone.run("status", &["--json"]).ok().json().remove(0);
    assert_eq!(status["unknown_parts"], 1);
    assert_eq!(status["unknown_schemes"], serde_json::json!([9]));
    assert_eq!(status["unknown_kinds"], serde_json::json!([]));
    let text = phone.run("status", &[]).ok().out;
    assert!(text.contains("update needed for scheme 9"), "{text}");

    let old = world.provider.heartbeats(3, world.now - 8000);
    let far = world.provider.extend(&old, 30, world.now - 7900);
    let server = Server::start(Mirror::new(&world.provider, &old, &[]));
    let phone = Phone::new();
    phone.follow(&world.provider, &[&server]);
    phone.run("sync", &[]).ok();
    let done = phone.run("alerts", &[]).exits(3);
    assert!(done.err.contains("stale since"), "{}", done.err);
    *server.mirror.lock().unwrap() = Mirror::new(&world.provider, &far[20..], &[]);
    phone.run("sync", &[]).ok();
    // Of now, and of what is observed from now on, all is known.
    let edge = far[20].published_at;
    let since = time::format(edge + 600);
    let told = format!("no exposure, of what was observed since {since}\n");
    assert_eq!(phone.run("alerts", &[]).ok().out, told);
    let done = phone.run("alerts", &["--json"]).ok();
    assert!(done.err.contains(&since), "{}", done.err);
    assert!(phone.run("status", &[]).ok().out.contains(&since));
    let status = phone.run("status", &["--json"]).ok().json().remove(0);
    assert_eq!(status["covered_from"], edge);
    for (at, status) in [(edge + 600, 0), (edge + 599, 3)] {
        let at = time::format(at);
        phone
            .run("observe", &["--scheme", "cx", "--at", &at, &uuid(1, 1)])
            .ok();
        phone.run("alerts", &[]).exits(status);
    }
    let done = phone.run("alerts", &[]).exits(3);
    let told = format!("not covered before {since}: the batches before then are not known");
    assert!(done.err.contains(&told), "{}", done.err);
}

/// Keys of phones that are played by the binary come back as alerts of the same binary.
#[test]
fn what_a_phone_of_any_scheme_reports_alerts_another() {
    let mut world = World::new();
    let phone = Phone::new();
    // Two identifiers from then on are of one window and one day, whatever the time.
    let at = (world.now - 86_400) / 7200 * 7200;
    let when = time::format(at);
    let mut parts = Vec::new();
    let mut expected = Vec::new();
    for (scheme, family) in [("tcn", "tcn"), ("gaen", "gaen"), ("dp3t-hybrid", "dp3t")] {
        let file = phone.path(scheme);
        let file = ["--file", file.to_str().unwrap()];
        phone
            .device("new", &[&file[..], &["--scheme", scheme]].concat())
            .ok();
        let ids = phone.device(
            "ids",
            &[&file[..], &["--count", "2", "--at", &when]].concat(),
        );
        let ids = ids.ok().out;
        let out = phone.path("report");
        let to = [
            "--publisher",
            "P",
            "--code",
            "C",
            "--out",
            out.to_str().unwrap(),
        ];
        phone.device("report", &[&file[..], &to].concat()).ok();
        let unit = unit(&fs::read(&out).unwrap());
        let id = ids.lines().next().unwrap();
        let observe = ["--scheme", scheme, "--at", &when, id];
        phone.run("observe", &observe).ok();
        // Heard at the same time of another family, it is nothing.
        let other = if family == "gaen" { "tcn" } else { "gaen" };
        phone
            .run("observe", &["--scheme", other, "--at", &when, id])
            .ok();
        let terms = Terms {
            level: Level::DIAGNOSED,
            grade: Some(37),
            observed_before: world.now - 60,
        };
        let scheme: Scheme = scheme.parse().unwrap();
        let (part, body) = part_of(scheme, world.now - 60, [(terms, unit)].into_iter());
        let mut match_of = serde_json::json!({
            "provider": world.provider.id().to_string(),
            "zone": "gb/sct",
            "scheme": scheme.to_string(),
            "level": "diagnosed",
            "grade": 37,
            "observations": [{"id": id, "at": when}],
        });
        match scheme {
            Scheme::TCN => {
                match_of["memo_type"] = 0.into();
                match_of["memo"] = "".into();
            }
            Scheme::GAEN => {
                match_of["days_since_onset"] = serde_json::Value::Null;
                match_of["transmission_risk"] = 0.into();
            }
            _ => {}
        }
        expected.push(match_of);
        parts.push((part, body));
    }
    let (parts, bodies): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    let batch = world
        .provider
        .batch(world.chain.last(), world.now - 60, parts);
    for line in &mut expected {
        line["batch"] = batch.cid().to_string().into();
    }
    world.chain.push(batch);
    let mut mirror = world.mirror();
    mirror
        .bodies
        .extend(bodies.into_iter().map(|body| (body.cid(), body)));
    let server = Server::start(mirror);
    phone.follow(&world.provider, &[&server]);
    phone.run("sync", &[]).ok();
    let mut found = phone.run("alerts", &["--json"]).exits(1).json();
    let order = |line: &serde_json::Value| line["scheme"].to_string();
    found.sort_by_key(order);
    expected.sort_by_key(order);
    assert_eq!(found, expected);
}

/// The unit of a report as `device report` writes it.
fn unit(report: &[u8]) -> Vec<u8> {
    let Ok(item) = serde_json::from_slice::<serde_json::Value>(report) else {
        return report.to_vec();
    };
    let scheme = item["scheme"].as_str().unwrap().parse().unwrap();
    text::parse(scheme, item["unit"].as_str().unwrap()).unwrap()
}

#[test]
fn every_family_is_observed_by_its_name_and_those_of_its_schemes() {
    let phone = Phone::new();
    let short = "39aB".repeat(8);
    let long = "39aB".repeat(16);
    let pair = "39aB".repeat(32);
    for (names, ids, refused) in [
        (&["cx", "cx1", "cx2"][..], &[&short, &uuid(1, 1)][..], &long),
        (&["tcn"], &[&short], &long),
        (
            &["dp3t", "dp3t-lowcost", "dp3t-unlinkable", "dp3t-hybrid"],
            &[&short, &long],
            &uuid(1, 1),
        ),
        (&["gaen"], &[&short], &long),
        (&["fanny"], &[&long, &pair], &short),
    ] {
        for name in names {
            for id in ids {
                phone.run("observe", &["--scheme", name, id]).ok();
            }
            phone.run("observe", &["--scheme", name, refused]).exits(2);
        }
    }
    let done = phone.run("observe", &["--scheme", "gps", &short]).exits(2);
    assert!(
        done.err.contains("cx, tcn, dp3t, gaen and fanny"),
        "{}",
        done.err
    );
}

#[test]
fn what_is_forgotten_matches_nothing() {
    let phone = Phone::new();
    let (one, other) = ("5a".repeat(32), "5b".repeat(64));
    // Without a time, both would be observed anew in the next second.
    let at = time::format(time::now() - 60);
    let observe = ["--scheme", "fanny", "--at", &at, &one, &other];
    phone.run("observe", &observe).ok();
    let forget = |id: &str| phone.run("forget", &["--scheme", "fanny", id]).ok().err;
    assert!(forget(&other).contains("1 observations forgotten"));
    assert!(forget(&other).contains("0 observations forgotten"));
    assert!(
        phone
            .run("observe", &observe)
            .ok()
            .err
            .contains("1 observations recorded, 1 were")
    );
    phone.run("forget", &["--scheme", "fanny", "5a"]).exits(2);
}

#[test]
fn following_adds_up() {
    let provider = Provider::new(1, time::now());
    let id = provider.id().to_string();
    let phone = Phone::new();
    let follow = |zone: &str, gateway: &str| {
        phone.run(
            "follow",
            &["--provider", &id, "--zone", zone, "--gateway", gateway],
        )
    };
    follow("gb", "https://a.example#Alpha").ok();
    follow("gb/sct", "https://b.example").ok();
    follow("gb", "https://a.example#Other").ok();
    let feeds = phone.run("status", &["--json"]).ok().json();
    assert_eq!(feeds.len(), 2);
    assert_eq!(
        feeds[0]["gateways"],
        serde_json::json!(["https://b.example", "https://a.example"])
    );
    for (zone, gateway) in [
        ("GB", "https://a.example"),
        ("gb", "http://a.example"),
        ("gb", "a.example"),
    ] {
        let done = follow(zone, gateway).exits(2);
        assert!(done.err.starts_with("error: "), "{}", done.err);
    }
    phone
        .run("follow", &["bellwether:nonsense?zone=gb"])
        .exits(2);
    phone.run("follow", &["--provider", &id]).exits(2);
    phone.run("follow", &[]).exits(2);
}

#[test]
fn what_cannot_be_done_is_said_with_a_hint() {
    let phone = Phone::new();
    for verb in ["sync", "alerts"] {
        let done = phone.run(verb, &[]).exits(2);
        assert!(
            done.err.contains("error: no provider is followed\nhint: "),
            "{}",
            done.err
        );
    }
    let input = format!("{}\n{} noon\n", uuid(1, 1), uuid(1, 2));
    let done = phone
        .run_with("observe", &["--scheme", "cx", "-"], &input)
        .exits(2);
    assert!(
        done.err.contains("line 2") && done.err.contains("hint: "),
        "{}",
        done.err
    );
    assert!(phone.run("status", &[]).ok().err.contains("0 observations"));
    phone
        .run("observe", &["--scheme", "tcn", &uuid(1, 1)])
        .exits(2);
    phone.run("observe", &["--scheme", "cx"]).exits(2);
    fs::write(phone.path("state/state.cbor"), b"\xff").unwrap();
    let done = phone.run("status", &[]).exits(2);
    assert!(
        done.err.contains("malformed") && done.err.contains("hint: "),
        "{}",
        done.err
    );
}
