//! How a notification is published belongs to it, not to the zone.

use bellwether_formats::id::Level;
use bellwether_formats::scheme::cx::{Generator, Identifier, Seed};
use bellwether_node::config::Privacy;
use bellwether_tests::feed::Feed;
use bellwether_tests::{Provider, World, sealed};

/// A zone of sealed parts and one of open ones, of one provider.
const ZONES: [&str; 2] = ["gb/sct", "gb/wls"];

/// Where a zone of the provider speaks of an identifier: in open parts, in sealed ones.
fn places(provider: &Provider, gateway: &str, zone: &str, id: &str) -> (usize, usize) {
    let feed = Feed::after(gateway, &format!("{}/{zone}", provider.id), 0).unwrap();
    let id: Identifier = id.parse().unwrap();
    let first = |seed: &[u8]| {
        let seed = Seed::new(Generator::Aes128, seed).unwrap();
        seed.identifiers().next()
    };
    let said = feed.said();
    let open = said
        .iter()
        .filter(|said| first(&said.unit) == Some(id))
        .count();
    let sealed = sealed::parts(gateway, &feed.batches).unwrap();
    let levels = sealed.iter().filter_map(|part| part.level(id.as_bytes()));
    (
        open,
        levels.filter(|level| *level == Level::DIAGNOSED).count(),
    )
}

#[test]
fn the_first_zone_that_accepts_a_seed_decides() {
    let world = World::new();
    let provider = world
        .provider("board")
        .unlinkable()
        .with(&["--zone", ZONES[1]])
        .init();
    provider.configure(|config| {
        let zones = &mut config.provider.as_mut().unwrap().zone;
        let open = zones.iter_mut().find(|zone| zone.zone == ZONES[1]).unwrap();
        open.privacy = Privacy::Linkable;
    });
    let running = provider.run();
    let (intake, gateway) = (running.text("intake"), running.gateway());
    let mut ids = Vec::new();
    for (number, first) in [0, 1].into_iter().enumerate() {
        let device = world.device(&format!("device-{number}.json"));
        ids.push(device.ids(1).remove(0));
        let again = device.copy();
        for (device, zone) in [(&device, ZONES[first]), (&again, ZONES[1 - first])] {
            let code = provider.codes_in(zone, 1).remove(0);
            let posted = device.report(&provider, &intake, &code).ok();
            assert_eq!(posted.json()[0]["accepted"], 1, "{posted:?}");
            provider.publish_all();
        }
    }
    for zone in ZONES {
        assert_eq!(
            places(&provider, &gateway, zone, &ids[0]),
            (0, 1),
            "sealed in {zone}"
        );
        assert_eq!(
            places(&provider, &gateway, zone, &ids[1]),
            (1, 0),
            "open in {zone}"
        );
    }
    let check = provider.look("check");
    assert_eq!(check["errors"], serde_json::json!([]), "{check}");
    running.stop();
}
