//! Answers of a phone where a relay has deleted what another one still has: never "none" of a time
//! that it does not know, and the alert where anybody gives it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test"
)]

use std::time::Duration;

use bellwether_formats::batch::Batch;
use bellwether_formats::car::Car;
use bellwether_formats::cid::{Block, Codec};
use bellwether_formats::signed::Signed;
use bellwether_tests::feed::Feed;
use bellwether_tests::invented::{self, Invented};
use bellwether_tests::server::Server;
use bellwether_tests::{Phone, Provider, Relay, Running, World, eventually, utc};

/// A provider that is off, whose first batch has a report; a relay that kept the newest batch alone;
/// and relays that have all.
struct Scene {
    world: World,
    provider: Provider,
    pruned: Running,
    whole: Vec<Running>,
    /// Identifiers that the reporter's phone broadcast.
    heard: Vec<String>,
}

impl Scene {
    fn new(sealed: bool, whole: usize) -> Self {
        let world = World::new();
        let init = world.provider("board");
        let provider = if sealed { init.unlinkable() } else { init }.init();
        let running = provider.run();
        let share = running.text("share");
        let relay = |name: &str| {
            let relay = Relay::init(&world, name, &["--follow", &share]);
            relay.configure(|config| config.network.anti_entropy = Duration::from_secs(1));
            relay
        };
        let dirs: Vec<Relay> = (0..=whole)
            .map(|at| relay(&format!("relay-{at}")))
            .collect();
        let mut relays: Vec<Running> = dirs.iter().map(Relay::run).collect();
        let device = world.device("device.json");
        let heard = device.ids(1);
        let code = provider.codes(1).remove(0);
        device
            .report(&provider, &running.text("intake"), &code)
            .ok();
        provider.publish();
        provider.publish();
        let newest = provider.publish();
        for relay in &relays {
            eventually("a batch to reach the relays", || {
                relay.has(&newest).then_some(())
            });
        }
        running.stop();

        // There is room for a head and no more.
        relays.remove(0).stop();
        dirs[0].configure(|config| config.retain.max_bytes = 1);
        let pruned = dirs[0].run();
        eventually("the relay to delete what there is no room for", || {
            let kept = Feed::after(&pruned.gateway(), &provider.feed(), 0).ok()?;
            (kept.batches.len() == 1).then_some(())
        });
        let first = Feed::after(&relays[0].gateway(), &provider.feed(), 0).unwrap();
        assert_eq!(first.batches[0].seq, 1, "the others have all");
        Self {
            world,
            provider,
            pruned,
            whole: relays,
            heard,
        }
    }

    /// A new phone that was near, and follows these relays.
    fn phone(&self, name: &str, relays: &[&Running]) -> Phone {
        let gateways: Vec<(String, String)> = relays
            .iter()
            .enumerate()
            .map(|(at, relay)| (relay.gateway(), format!("operator {at}")))
            .collect();
        let gateways: Vec<(&str, &str)> = gateways
            .iter()
            .map(|(url, operator)| (url.as_str(), operator.as_str()))
            .collect();
        let phone = self.world.phone(name);
        phone
            .follow(&self.provider.share(&gateways))
            .observed(&self.heard);
        phone
    }

    fn all(&self) -> Vec<&Running> {
        [&self.pruned].into_iter().chain(&self.whole).collect()
    }
}

/// The phone cannot say that there was nothing, and says since when it could.
#[track_caller]
fn not_covered(phone: &Phone) {
    let alerts = phone.alerts();
    assert_eq!((alerts.code, alerts.lines.len()), (3, 0), "{alerts:?}");
    let told = "the batches before then are not known";
    assert!(
        alerts.told.contains("not covered before 20") && alerts.told.contains(told),
        "{alerts:?}"
    );
    let shown = phone.verb(&["alerts"]);
    assert!(
        shown
            .stdout
            .starts_with("no exposure known, of what was observed since 20"),
        "{shown:?}"
    );
    let status = phone.verb(&["status", "--json"]).ok().json().remove(0);
    let from = status["covered_from"].as_u64().unwrap();
    assert!((utc() - 3600..utc() + 60).contains(&from), "{status}");
}

fn bundle(scene: &Scene, giver: &Phone, name: &str) -> Phone {
    let file = scene.world.path(&format!("{name}.car"));
    let file = file.to_str().unwrap();
    giver.verb(&["export", file]).ok();
    let phone = scene.phone(name, &[]);
    phone.verb(&["import", file]).ok();
    phone
}

#[test]
fn new_phone_at_a_pruned_relay_says_since_when_and_with_a_whole_one_is_alerted() {
    let scene = Scene::new(false, 1);
    let alone = scene.phone("alone", &[&scene.pruned]);
    alone.sync();
    not_covered(&alone);
    not_covered(&bundle(&scene, &alone, "bundle-of-pruned"));
    for number in 0..6 {
        let phone = scene.phone(&format!("phone-{number}"), &scene.all());
        phone.sync();
        let alerts = phone.alerts();
        assert_eq!(
            (alerts.code, alerts.told.as_str()),
            (1, ""),
            "{number}: {alerts:?}"
        );
    }

    // It finds what lies before also when it has begun with the pruned relay.
    let gateways = [(scene.whole[0].gateway(), "operator 1")];
    let gateways = gateways.each_ref().map(|(url, name)| (url.as_str(), *name));
    alone.follow(&scene.provider.share(&gateways)).sync();
    assert_eq!(alone.alerts().code, 1);
    // And so does a bundle of who has it.
    let bundled = bundle(&scene, &alone, "bundle-of-all");
    assert_eq!(bundled.alerts().code, 1);
}

#[test]
fn new_phone_of_a_sealed_zone_says_since_when_and_with_whole_relays_is_alerted() {
    let scene = Scene::new(true, 2);
    let alone = scene.phone("alone", &[&scene.pruned]);
    alone.sync();
    not_covered(&alone);
    not_covered(&bundle(&scene, &alone, "bundle-of-pruned"));
    for number in 0..3 {
        let phone = scene.phone(&format!("phone-{number}"), &scene.all());
        phone.sync();
        let alerts = phone.alerts();
        assert_eq!(
            (alerts.code, alerts.told.as_str()),
            (1, ""),
            "{number}: {alerts:?}"
        );
    }
}

/// A batch that says it is the provider's, of a great epoch and number, by a key of the liar's.
fn forged(provider: &Invented, like: &Signed<Batch>) -> Signed<Batch> {
    let stranger = ed25519_dalek::SigningKey::from_bytes(&[0x77; 32]);
    let mut batch = (**like).clone();
    let key = stranger.verifying_key().to_bytes();
    batch.key = bellwether_formats::id::PublicKey::from_bytes(key);
    (batch.epoch, batch.seq) = (1 << 40, 1 << 40);
    assert_eq!(batch.provider, provider.id());
    Signed::sign(&batch, &stranger).unwrap()
}

/// Puts a root and its block before those of an answer.
fn with_root(answer: &[u8], batch: &Signed<Batch>) -> Vec<u8> {
    let mut car = Car::decode(answer, 8 * 1024 * 1024).unwrap();
    let block = Block::of(Codec::DagCbor, batch.envelope().to_vec()).unwrap();
    car.roots.insert(0, block.cid());
    car.blocks.push(block);
    car.encode()
}

#[test]
fn foreign_head_of_a_great_epoch_is_neither_waited_for_nor_spoils_the_answer() {
    let provider = Invented::new(61);
    let now = utc();
    let (part, body) = invented::part(now - 10, &[1]);
    let first = provider.batch(None, now - 60, now + 3600, Vec::new());
    let second = provider.batch(Some(&first), now - 10, now + 3600, vec![part]);
    let forged = forged(&provider, &second);
    let batches = [first, second];
    let mut honest = invented::gateway(&provider.descriptor, &batches, &[body]);
    let server = Server::start(move |path| {
        let answer = honest(path)?;
        let lies = path.starts_with("/v1/zones/") || path.starts_with("/v1/feeds/");
        Some(if lies {
            with_root(&answer, &forged)
        } else {
            answer
        })
    });
    let world = World::new();
    let phone = world.phone("phone");
    let share = format!(
        "bellwether:{}?zone=gb/sct&gateway={}&operator=liar",
        provider.id(),
        server.url
    );
    phone
        .follow(&share)
        .observed(&["3945351c-e433-46e6-bd42-316e0efe5d16".to_owned()]);
    let synced = phone.sync();
    assert_eq!(synced["feeds"][0]["head"], 2, "{synced}");
    assert_eq!(synced["errors"][0]["rule"], "new-epoch", "{synced}");
    let alerts = phone.alerts();
    assert_eq!((alerts.code, alerts.told.as_str()), (0, ""), "{alerts:?}");
    phone.observed(&[invented::identifier(1, 3)]);
    assert_eq!(phone.alerts().code, 1);

    // The same in a bundle: what it says beside the truth counts as not there.
    let file = world.path("liar.car");
    let path = format!("/v1/feeds/{}/after/0", provider.feed());
    let answer = bellwether_tests::web::get(&format!("{}{path}", server.url)).unwrap();
    std::fs::write(&file, &answer.body).unwrap();
    let offline = world.phone("offline");
    offline
        .follow(&format!("bellwether:{}?zone=gb/sct", provider.id()))
        .observed(&[invented::identifier(1, 3)]);
    offline.verb(&["import", file.to_str().unwrap()]).ok();
    let alerts = offline.alerts();
    assert_eq!((alerts.code, alerts.told.as_str()), (1, ""), "{alerts:?}");
}
