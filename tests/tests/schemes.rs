//! Every scheme on one network, with real processes: a device's report becomes an alert through
//! relays, in each mode that the scheme may have, and nothing else does.
//!
//! With `BELLWETHER_RELAY` the relays are another binary: that of an earlier version, which knows
//! none of this and passes everything through.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use bellwether_tests::{Phone, Provider, Relay, Running, World, eventually, utc};

mod grades;

const DAY: u64 = 86_400;

/// Every scheme and its family.
const SCHEMES: [(&str, &str); 8] = [
    ("cx1", "cx"),
    ("cx2", "cx"),
    ("tcn", "tcn"),
    ("dp3t-lowcost", "dp3t"),
    ("dp3t-unlinkable", "dp3t"),
    ("dp3t-hybrid", "dp3t"),
    ("gaen", "gaen"),
    ("fanny", "fanny"),
];

/// How much later, in seconds, an identifier is that of another epoch; 0 if it tells no time.
fn other_epoch(scheme: &str) -> u64 {
    match scheme {
        "dp3t-lowcost" => DAY,
        "dp3t-unlinkable" => 900,
        "dp3t-hybrid" => 2 * 3600,
        // Two hours either way are forgiven, and the interval itself.
        "gaen" => 2 * 3600 + 600,
        _ => 0,
    }
}

/// Noon of the day before yesterday: keys of that day are over in every scheme.
fn noon() -> u64 {
    (utc() / DAY - 2) * DAY + DAY / 2
}

/// A patient of each scheme, whose report was accepted and published, and relays that have it.
struct Scene {
    world: World,
    provider: Provider,
    relays: Vec<Running>,
    /// What was heard at [`noon`], by scheme.
    heard: BTreeMap<&'static str, String>,
    /// What each reported under, by scheme.
    codes: BTreeMap<&'static str, String>,
}

impl Scene {
    fn new(unlinkable: bool) -> Self {
        let world = World::new();
        let init = world.provider("board");
        let init = if unlinkable { init.unlinkable() } else { init };
        let provider = init.init();
        let running = provider.run();
        let share = running.text("share");
        let relays: Vec<Running> = ["Relay One", "Relay Two"]
            .into_iter()
            .map(|name| relay(&world, name, &share))
            .collect();
        let (mut heard, mut codes) = (BTreeMap::new(), BTreeMap::new());
        for ((scheme, _), code) in SCHEMES.into_iter().zip(provider.codes(SCHEMES.len())) {
            let patient = world.device_by("patient", scheme);
            let id = if scheme == "fanny" {
                let contact = world.device_by("contact", scheme).id_at(noon());
                patient.token_with(&contact, noon())
            } else {
                patient.id_at(noon())
            };
            heard.insert(scheme, id);
            let posted = patient.report(&provider, &running.text("intake"), &code);
            assert_eq!(posted.code, 0, "{scheme}: {posted:?}");
            codes.insert(scheme, code);
        }
        everywhere(&relays, &provider.publish_all());
        running.stop();
        Self {
            world,
            provider,
            relays,
            heard,
            codes,
        }
    }

    /// A phone that follows the relays.
    fn phone(&self, name: &str) -> Phone {
        let gateways: Vec<String> = self.relays.iter().map(Running::gateway).collect();
        let named: Vec<(&str, &str)> = gateways
            .iter()
            .map(String::as_str)
            .zip(["One", "Two"])
            .collect();
        let phone = self.world.phone(name);
        phone.follow(&self.provider.share(&named));
        phone
    }
}

/// A relay that asks its peers every second.
fn relay(world: &World, name: &str, share: &str) -> Running {
    let relay = Relay::init(world, name, &["--follow", share]);
    relay.configure(|config| config.network.anti_entropy = Duration::from_secs(1));
    relay.run()
}

/// Waits until every relay serves these batches.
#[track_caller]
fn everywhere(relays: &[Running], cids: &[String]) {
    for relay in relays {
        for cid in cids {
            eventually("a batch to reach the relays", || {
                relay.has(cid).then_some(())
            });
        }
    }
}

/// What a phone is alerted of: scheme and level of each line.
#[track_caller]
fn alerted(phone: &Phone) -> Vec<(String, String)> {
    let alerts = phone.alerts();
    let mut found: Vec<(String, String)> = alerts
        .lines
        .iter()
        .map(|line| {
            let text = |member: &str| line[member].as_str().unwrap().to_owned();
            (text("scheme"), text("level"))
        })
        .collect();
    found.sort();
    assert_eq!(
        alerts.code,
        i32::from(!found.is_empty()),
        "nothing is in doubt: {alerts:?}"
    );
    found
}

/// Every scheme at a level, sorted.
fn all_at(level: &str) -> Vec<(String, String)> {
    let mut all = SCHEMES.map(|(scheme, _)| (scheme.to_owned(), level.to_owned()));
    all.sort();
    all.to_vec()
}

/// The story, in one mode: who was near is alerted of every scheme at once, others are not, and
/// what is revoked is withdrawn.
fn story(unlinkable: bool) {
    let scene = Scene::new(unlinkable);
    let near = scene.phone("near");
    let elsewhere = scene.phone("elsewhere");
    let another_time = scene.phone("another-time");
    for (scheme, family) in SCHEMES {
        let id = std::slice::from_ref(&scene.heard[scheme]);
        near.observed_of(family, id, noon());
        let strange = "ab".repeat(id[0].replace('-', "").len() / 2);
        elsewhere.observed_of(family, &[strange], noon());
        // Before the window; when everybody could have copied it; and at another epoch.
        another_time.observed_of(family, id, utc() - 14 * DAY - DAY / 2);
        another_time.observed_of(family, id, utc() + 1800);
        match other_epoch(scheme) {
            0 => {}
            shift => {
                another_time.observed_of(family, id, noon() + shift);
                another_time.observed_of(family, id, noon() - shift);
            }
        }
    }
    for phone in [&near, &elsewhere, &another_time] {
        phone.sync();
    }
    assert_eq!(alerted(&near), all_at("diagnosed"));
    assert_eq!(alerted(&elsewhere), []);
    // (It observed before anything is known of, and says so.)
    assert!(another_time.alerts().lines.is_empty());

    // Late observations are tested against what is kept, or at the second look a day later; open
    // ones at once.
    if !unlinkable {
        elsewhere.observed_of("gaen", &[scene.heard["gaen"].clone()], noon() + 2 * 3600);
        let gaen = ("gaen".to_owned(), "diagnosed".to_owned());
        assert!(
            alerted(&elsewhere).contains(&gaen),
            "two hours are forgiven"
        );
    }

    let peers = scene.relays.iter().map(Running::p2p).collect();
    scene
        .provider
        .configure(|config| config.network.bootstrap = peers);
    let running = scene.provider.run();
    for code in scene.codes.values() {
        let revoke = ["level", "--code", code, "--level", "no-alert"];
        scene.provider.verb(&revoke).ok();
    }
    everywhere(&scene.relays, &scene.provider.publish_all());
    near.sync();
    assert_eq!(alerted(&near), [], "all is withdrawn");
    let check = scene.provider.look("check");
    assert_eq!(check["errors"], serde_json::json!([]), "{check}");
    running.stop();
}

#[test]
fn every_scheme_becomes_an_alert_in_a_linkable_zone() {
    story(false);
}

#[test]
fn every_scheme_becomes_an_alert_in_an_unlinkable_zone() {
    story(true);
}
