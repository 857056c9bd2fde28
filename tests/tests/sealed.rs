//! Sealed parts, with real processes: what a phone is told that asks relays alone, and what each of
//! them can do about it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test"
)]

use std::time::Duration;

use bellwether_tests::{Phone, Provider, Relay, Running, World, eventually};
use serde_json::Value;

mod alerts;
mod away;
mod liars;
mod modes;
mod policies;

/// A day, in seconds.
const DAY: u64 = 86_400;

/// Days that the parts of a scene speak of. A heartbeat speaks of fourteen.
const WINDOW_D: u64 = 10;

/// An identifier that nobody broadcast.
const UNHEARD: &str = "3945351c-e433-46e6-bd42-316e0efe5d16";

/// A provider with a zone of sealed parts, which is off, and relays of different operators that have
/// all of it: one batch with a patient.
struct Scene {
    world: World,
    provider: Provider,
    relays: Vec<Running>,
    /// What the patient's phone broadcast.
    heard: Vec<String>,
    /// What the patient reported under.
    code: String,
}

impl Scene {
    /// With so many relays.
    fn new(relays: usize) -> Self {
        let world = World::new();
        let provider = world.provider("board").unlinkable().init();
        provider.configure(|config| {
            config.provider.as_mut().unwrap().zone[0].window = Duration::from_hours(24 * WINDOW_D);
        });
        let running = provider.run();
        let share = running.text("share");
        let relays: Vec<Running> = (1..=relays)
            .map(|number| relay(&world, &format!("relay-{number}"), &share).run())
            .collect();
        let patient = world.device("patient.json");
        let heard = patient.ids(3);
        let code = report(&provider, &running, &patient);
        everywhere(&relays, &[provider.publish()]);
        running.stop();
        Self {
            world,
            provider,
            relays,
            heard,
            code,
        }
    }

    /// A phone that follows these gateways, each of an operator of its own.
    fn phone(&self, name: &str, gateways: &[&str]) -> Phone {
        let operators: Vec<String> = (0..gateways.len())
            .map(|number| format!("Operator {number}"))
            .collect();
        let gateways: Vec<(&str, &str)> = gateways
            .iter()
            .copied()
            .zip(operators.iter().map(String::as_str))
            .collect();
        let phone = self.world.phone(name);
        phone.follow(&self.provider.share(&gateways));
        phone
    }

    /// The relays' gateways.
    fn gateways(&self) -> Vec<String> {
        self.relays.iter().map(Running::gateway).collect()
    }

    /// Starts the provider again, connected with the relays.
    fn run(&self) -> Running {
        run_tied(&self.provider, &self.relays)
    }
}

/// A relay that asks its peers every second.
fn relay(world: &World, name: &str, share: &str) -> Relay {
    let relay = Relay::init(world, name, &["--follow", share]);
    relay.configure(|config| config.network.anti_entropy = Duration::from_secs(1));
    relay
}

/// Starts a provider that stays connected with relays whatever port it gets.
fn run_tied(provider: &Provider, relays: &[Running]) -> Running {
    let peers = relays.iter().map(Running::p2p).collect();
    provider.configure(|config| config.network.bootstrap = peers);
    provider.run()
}

/// A device reports under a new code, which is given.
fn report(provider: &Provider, running: &Running, device: &bellwether_tests::Device) -> String {
    let code = provider.codes(1).remove(0);
    let posted = device.report(provider, &running.text("intake"), &code).ok();
    assert_eq!(posted.json()[0]["accepted"], 1, "{posted:?}");
    code
}

/// Waits until every relay serves these blocks.
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

/// What a sync says of sealed parts: new filters, halves of queries, chunks, matches.
fn said(synced: &Value) -> [u64; 4] {
    ["filters", "pir_queries", "chunks", "matches"].map(|key| synced[key].as_u64().unwrap())
}

/// Whether a sync named something that went wrong, by its rule, at this gateway.
fn blamed(synced: &Value, rule: &str, gateway: &str) -> bool {
    let errors = synced["errors"].as_array().unwrap();
    errors
        .iter()
        .any(|error| error["rule"] == rule && error["gateway"] == gateway)
}

/// The phone is alerted at these levels, and sure of it.
#[track_caller]
fn alerted(phone: &Phone, levels: &[&str]) {
    let alerts = phone.alerts();
    let code = i32::from(!levels.is_empty());
    assert_eq!(
        (alerts.code, alerts.levels()),
        (code, levels.to_vec()),
        "{alerts:?}"
    );
    assert!(!alerts.told.contains("not covered"), "{alerts:?}");
}
