//! The main path, with real processes: a report becomes an alert, through relays.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test"
)]

use std::fs;
use std::time::{Duration, Instant};

use bellwether_tests::{Provider, Relay, Running, World, eventually, invented, server, utc};
use serde_json::{Value, json};

/// Waits until every node serves a block.
#[track_caller]
fn everywhere(nodes: &[&Running], cid: &str) {
    for node in nodes {
        eventually("a batch to reach the relays", || node.has(cid).then_some(()));
    }
}

/// The keys of an object, sorted.
fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// A provider that stays connected with relays whatever port it gets.
fn tied(provider: &Provider, relays: &[&Running]) {
    let peers = relays.iter().map(|relay| relay.p2p()).collect();
    provider.configure(|config| config.network.bootstrap = peers);
}

#[test]
fn a_report_becomes_an_alert_through_relays() {
    let world = World::new();
    let provider = world.provider("board").init();
    let running = provider.run();
    let share = running.text("share");
    let (one, two) = ("Relay One", "Relay Two");
    let relays = [one, two].map(|name| Relay::init(&world, name, &["--follow", &share]));
    for relay in &relays {
        relay.configure(|config| config.network.anti_entropy = Duration::from_secs(1));
    }
    let [one_runs, two_runs] = [relays[0].run(), relays[1].run()];
    let both = [&one_runs, &two_runs];

    // Alice's phone broadcasts; she is diagnosed, gets a code, reports.
    let alice = world.device("alice.json");
    let broadcast = alice.ids(3);
    assert_eq!(broadcast.len(), 3);
    let code = provider.codes(1).remove(0);
    let posted = alice.report(&provider, &running.text("intake"), &code).ok();
    assert_eq!(posted.json()[0]["accepted"], 1, "{posted:?}");
    let cid = provider.publish();
    everywhere(&both, &cid);
    running.stop();

    // The provider is off. Everything below comes from the relays.
    let gateways = [(one_runs.gateway(), one), (two_runs.gateway(), two)];
    let gateways = gateways.each_ref().map(|(url, operator)| (url.as_str(), *operator));
    let relayed = provider.share(&gateways);
    let bob = world.phone("bob");
    bob.follow(&relayed).observed(&broadcast[1..2]);
    let synced = bob.sync();
    synced_as_the_surface_says(&synced);
    let alerts = bob.alerts();
    assert_eq!(alerts.code, 1, "{alerts:?}");
    alert_as_the_surface_says(&alerts.lines, &provider, &cid, &broadcast[1]);

    let carol = world.phone("carol");
    carol.follow(&relayed).observed(&["3945351c-e433-46e6-bd42-316e0efe5d16".to_owned()]);
    carol.sync();
    assert_eq!(carol.alerts().code, 0);
    // A late observation is tested against what is kept, without a sync.
    carol.observed(&broadcast[2..]);
    let late = carol.alerts();
    assert_eq!((late.code, late.levels()), (1, vec!["diagnosed"]), "{late:?}");

    // A bundle, for a phone without a network.
    let bundle = world.path("bundle.car");
    let bundle = bundle.to_str().unwrap();
    bob.verb(&["export", bundle]).ok();
    let offline = world.phone("offline");
    offline.verb(&["follow", "--provider", &provider.id, "--zone", "gb/sct"]).ok();
    assert_eq!(offline.observed(&broadcast[..1]).alerts().code, 3, "nothing is known yet");
    offline.verb(&["import", bundle]).ok();
    assert_eq!(offline.alerts().code, 1);

    // A zone that nobody publishes in.
    let elsewhere = world.phone("elsewhere");
    let gateway = format!("{}#{one}", one_runs.gateway());
    let pin = ["follow", "--provider", &provider.id, "--zone", "gb/wls", "--gateway", &gateway];
    elsewhere.verb(&pin).ok();
    elsewhere.verb(&["sync", "--json"]);
    let unknown = elsewhere.alerts();
    assert_eq!(unknown.code, 3, "{unknown:?}");
    assert!(unknown.told.contains("not covered"), "{unknown:?}");

    // The provider is back; the level changes, then the notification is revoked.
    tied(&provider, &both);
    let running = provider.run();
    for (level, code_of_alerts, levels) in [
        ("symptomatic", 1, vec!["symptomatic"]),
        ("no-alert", 0, Vec::new()),
    ] {
        provider.verb(&["level", "--code", &code, "--level", level]).ok();
        everywhere(&both, &provider.publish());
        bob.sync();
        let alerts = bob.alerts();
        assert_eq!((alerts.code, alerts.levels()), (code_of_alerts, levels), "{alerts:?}");
    }

    // A descriptor of the next epoch, which names the relays' gateways; a batch follows at once.
    let root = provider.dir.join("root.key");
    let root = root.to_str().unwrap();
    let named = gateways.map(|(url, operator)| format!("{url}#{operator}"));
    let mut renew = vec!["descriptor", "renew", "--root", root];
    renew.extend(named.iter().flat_map(|gateway| ["--gateway", gateway]));
    let renewed = provider.verb(&renew).ok().json().remove(0);
    assert_eq!(renewed["epoch"], 2);
    let cid = eventually("a batch of epoch 2", || {
        let feed = provider.look("status")["feeds"][0].clone();
        (feed["epoch"] == 2).then(|| feed["cid"].as_str().unwrap().to_owned())
    });
    everywhere(&both, &cid);
    bob.sync();
    assert_eq!(bob.alerts().code, 0);
    let again = world.device("again.json");
    let ids = again.ids(1);
    let code = provider.codes(1).remove(0);
    again.report(&provider, &running.text("intake"), &code).ok();
    everywhere(&both, &provider.publish());
    bob.observed(&ids).sync();
    assert_eq!(bob.alerts().code, 1);
    running.stop();
    let stopped = provider.look("status");
    let share = stopped["share"].as_str().unwrap();
    assert!(share.contains("operator=Relay%20One"), "{share}");
    one_runs.stop();
    two_runs.stop();
}

fn synced_as_the_surface_says(synced: &Value) {
    for key in
        ["bytes_down", "requests", "batches", "bodies", "filters", "candidates", "matches"]
    {
        assert!(synced[key].is_u64(), "`{key}` in {synced}");
    }
    assert_eq!(synced["matches"], 1, "{synced}");
    assert_eq!(synced["bodies"], 1, "{synced}");
}

fn alert_as_the_surface_says(lines: &[Value], provider: &Provider, cid: &str, id: &str) {
    let [line] = lines else {
        panic!("one line: {lines:?}");
    };
    let at = line["observations"][0]["at"].as_str().unwrap().to_owned();
    let seconds = bellwether_client::time::parse(&at).unwrap();
    assert!(seconds.abs_diff(utc() - 3600) < 600 && at.ends_with('Z'), "{at}");
    let expected = json!({
        "provider": provider.id, "zone": "gb/sct", "scheme": "cx1", "level": "diagnosed",
        "grade": null, "batch": cid, "observations": [{ "id": id, "at": at }],
    });
    assert_eq!(*line, expected);
}

#[test]
fn the_lines_that_others_script_against() {
    let world = World::new();
    let provider = world.provider("board").init();
    let began = Instant::now();
    let running = provider.run();
    assert!(began.elapsed() < Duration::from_secs(5), "the line came after {:?}", began.elapsed());
    let info = &running.info;
    assert_eq!(keys(info), ["gateway", "intake", "p2p", "peer_id", "provider", "share"]);
    assert_eq!(info["provider"], provider.id);
    assert!(running.text("peer_id").starts_with("12D3Koo"), "{info}");
    assert!(running.p2p().starts_with("/ip4/127.0.0.1/tcp/"), "{info}");
    assert!(running.gateway().starts_with("http://127.0.0.1:"), "{info}");
    assert!(running.text("intake").starts_with("https://127.0.0.1:"), "{info}");
    let share = running.text("share");
    assert!(share.starts_with(&format!("bellwether:{}?zone=gb/sct", provider.id)), "{share}");

    let relay = Relay::init(&world, "relay", &["--follow", &share]);
    let relays = relay.run();
    for role in ["provider", "intake", "share"] {
        assert!(relays.info[role].is_null() && relays.info.get(role).is_some(), "{}", relays.info);
    }
    assert!(relays.gateway().starts_with("http://127.0.0.1:"));
    // Or without a share string.
    let peer = running.p2p();
    let by_hand = ["--provider", &provider.id, "--zone", "gb/sct", "--bootstrap", &peer];
    Relay::init(&world, "by hand", &by_hand);

    codes(&provider, &running);
    looks(&provider, true);
    running.stop();
    looks(&provider, false);
    // What is wrong is told with exit 2 and a hint, and nothing on stdout.
    let twice = provider.verb(&["init", "--name", "again", "--zone", "gb/sct"]).exit(2);
    assert!(twice.stdout.is_empty() && twice.stderr.contains("hint: "), "{twice:?}");
    let root = relay.dir.join("peer.key");
    let wrong = provider.verb(&["descriptor", "renew", "--root", root.to_str().unwrap()]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
}

/// `code issue`, `import`, `list`, by a running node.
fn codes(provider: &Provider, running: &Running) {
    let issued = provider.codes(3);
    for code in &issued {
        let form = |(place, letter): (usize, char)| match place {
            4 | 9 | 14 => letter == '-',
            _ => letter.is_ascii_digit(),
        };
        assert!(code.len() == 19 && code.chars().enumerate().all(form), "{code}");
    }
    let made_elsewhere = "žluťoučký kůň 🐎".to_owned();
    provider.import_codes(std::slice::from_ref(&made_elsewhere));
    let file = provider.dir.with_extension("too-long");
    fs::write(&file, "x".repeat(65)).unwrap();
    let import = ["code", "import", "--level", "diagnosed", "--zone", "gb/sct"];
    provider.verb(&[&import[..], &[file.to_str().unwrap()]].concat()).exit(2);

    let device = provider.dir.with_extension("phone");
    let device = {
        let world_file = device;
        let mut command = bellwether_tests::command::client();
        command.args(["device", "new", "--type", "2", "--file"]).arg(&world_file);
        bellwether_tests::command::run(&mut command).ok();
        world_file
    };
    let report = provider.dir.with_extension("der");
    let mut command = bellwether_tests::command::client();
    command.args(["device", "report", "--publisher", &provider.name, "--code", &made_elsewhere]);
    command.arg("--file").arg(&device).arg("--out").arg(&report);
    bellwether_tests::command::run(&mut command).ok();
    let report = fs::read(&report).unwrap();
    let post = || {
        let intake = running.text("intake");
        bellwether_tests::web::post(&intake, &provider.certificate(), &report).unwrap()
    };
    let first = post();
    assert_eq!((first.status, first.json()), (200, json!({ "accepted": 1 })));
    let second = post();
    assert_eq!((second.status, second.json()), (200, json!({ "accepted": 0, "known": 1 })));

    let listed = provider.verb(&["code", "list", "--json"]).ok();
    assert!(!listed.stdout.contains(&issued[0]) && !listed.stdout.contains(&made_elsewhere));
    let lines = listed.json();
    assert_eq!(lines.len(), 4);
    for line in &lines {
        for key in ["code", "level", "zone", "issued_at", "valid_until"] {
            assert!(line[key].is_string(), "`{key}` in {line}");
        }
        assert!(line["notifications"].is_u64() && line.get("used_at").is_some(), "{line}");
    }
    let used: Vec<&Value> = lines.iter().filter(|line| line["used_at"].is_string()).collect();
    assert_eq!(used.len(), 1);
    assert_eq!(used[0]["notifications"], 1);
    let people = provider.verb(&["code", "list"]).ok();
    assert_eq!(people.lines().len(), 4);
}

/// `status` and `check`, by a running node or on its store.
fn looks(provider: &Provider, running: bool) {
    let status = provider.look("status");
    assert_eq!(status["running"], running);
    assert_eq!(status["provider"], provider.id);
    assert!(status["share"].as_str().unwrap().starts_with("bellwether:z6Mk"), "{status}");
    let feed = &status["feeds"][0];
    assert_eq!(feed["zone"], "gb/sct");
    assert!(feed["seq"].is_u64() && feed["cid"].is_string(), "{feed}");
    let check = provider.look("check");
    assert_eq!(check["ok"], true, "{check}");
    assert_eq!(check["errors"], json!([]));
    // The root key is still here, and that is worth a word.
    assert!(check["warnings"].to_string().contains("root"), "{check}");
    assert!(provider.verb(&["status"]).ok().stdout.contains("gb/sct"));
    provider.verb(&["check"]).ok();
}

/// What a client says when it cannot be sure. The provider is invented, so that its batches may be
/// as short-lived, and as new, as no configuration allows.
#[test]
fn stale_and_update_needed_are_told() {
    let world = World::new();
    let provider = invented::Invented::new(7);
    let now = utc();
    let first = provider.batch(None, now - 20, now + 4, Vec::new());
    let gateway = server::Server::start(invented::gateway(&provider.descriptor, &[first.clone()], &[]));
    let phone = world.phone("phone");
    let share = format!("bellwether:{}?zone=gb/sct&gateway={}", provider.id(), gateway.url);
    phone.follow(&share).observed(&[invented::identifier(1, 5)]);
    phone.sync();
    if utc() < now + 4 {
        let fresh = phone.alerts();
        assert!(fresh.code == 0 || utc() >= now + 4, "{fresh:?}");
    }
    let stale = eventually("the batch to go stale", || {
        let alerts = phone.alerts();
        (alerts.code == 3).then_some(alerts)
    });
    assert!(stale.told.contains("stale since"), "{stale:?}");

    // A part of a kind that this version does not read, beside one that it does.
    let now = utc();
    let (open, body) = invented::part(now - 3, &[1, 2, 3]);
    let newer = provider.batch(Some(&first), now - 3, now + 900, vec![open, invented::sealed(now - 3)]);
    gateway.answer(invented::gateway(&provider.descriptor, &[first, newer], &[body]));
    phone.sync();
    let some = phone.alerts();
    assert_eq!((some.code, some.levels()), (1, vec!["diagnosed"]), "{some:?}");
    assert!(some.told.contains("update needed"), "{some:?}");
    let other = world.phone("other");
    other.follow(&share).observed(&[invented::identifier(9, 5)]);
    other.sync();
    let none = other.alerts();
    assert_eq!(none.code, 3, "{none:?}");
    assert!(none.told.contains("update needed"), "{none:?}");
}
