//! The main path, with real processes: a report becomes an alert, through relays.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test"
)]

use std::time::Duration;

use bellwether_tests::{Provider, Relay, Running, World, eventually, utc};
use serde_json::{Value, json};

mod answers;
mod lines;

/// Waits until every node serves a block.
#[track_caller]
fn everywhere(nodes: &[&Running], cid: &str) {
    for node in nodes {
        eventually("a batch to reach the relays", || {
            node.has(cid).then_some(())
        });
    }
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
    let gateways = gateways
        .each_ref()
        .map(|(url, operator)| (url.as_str(), *operator));
    let relayed = provider.share(&gateways);
    let bob = world.phone("bob");
    bob.follow(&relayed).observed(&broadcast[1..2]);
    let synced = bob.sync();
    synced_as_the_surface_says(&synced);
    let alerts = bob.alerts();
    assert_eq!(alerts.code, 1, "{alerts:?}");
    alert_as_the_surface_says(&alerts.lines, &provider, &cid, &broadcast[1]);

    let carol = world.phone("carol");
    carol
        .follow(&relayed)
        .observed(&["3945351c-e433-46e6-bd42-316e0efe5d16".to_owned()]);
    carol.sync();
    assert_eq!(carol.alerts().code, 0);
    // A late observation is tested against what is kept, without a sync.
    carol.observed(&broadcast[2..]);
    let late = carol.alerts();
    assert_eq!(
        (late.code, late.levels()),
        (1, vec!["diagnosed"]),
        "{late:?}"
    );

    // A bundle, for a phone without a network.
    let bundle = world.path("bundle.car");
    let bundle = bundle.to_str().unwrap();
    bob.verb(&["export", bundle]).ok();
    let offline = world.phone("offline");
    offline
        .verb(&["follow", "--provider", &provider.id, "--zone", "gb/sct"])
        .ok();
    assert_eq!(
        offline.observed(&broadcast[..1]).alerts().code,
        3,
        "nothing is known yet"
    );
    offline.verb(&["import", bundle]).ok();
    assert_eq!(offline.alerts().code, 1);

    // A zone that nobody publishes in.
    let elsewhere = world.phone("elsewhere");
    let gateway = format!("{}#{one}", one_runs.gateway());
    let pin = [
        "follow",
        "--provider",
        &provider.id,
        "--zone",
        "gb/wls",
        "--gateway",
        &gateway,
    ];
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
        provider
            .verb(&["level", "--code", &code, "--level", level])
            .ok();
        everywhere(&both, &provider.publish());
        bob.sync();
        let alerts = bob.alerts();
        assert_eq!(
            (alerts.code, alerts.levels()),
            (code_of_alerts, levels),
            "{alerts:?}"
        );
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
    for key in [
        "bytes_down",
        "requests",
        "batches",
        "bodies",
        "filters",
        "candidates",
        "matches",
    ] {
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
    assert!(
        seconds.abs_diff(utc() - 3600) < 600 && at.ends_with('Z'),
        "{at}"
    );
    let expected = json!({
        "provider": provider.id, "zone": "gb/sct", "scheme": "cx1", "level": "diagnosed",
        "grade": null, "batch": cid, "observations": [{ "id": id, "at": at }],
    });
    assert_eq!(*line, expected);
}
