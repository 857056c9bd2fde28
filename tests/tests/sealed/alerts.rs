//! From the report to the alert, and back.

use bellwether_tests::utc;

use super::{DAY, Scene, UNHEARD, WINDOW_D, alerted, everywhere, report, said};

/// One after the other a patient with cx1 and one with cx2; then the level of the first changes, and
/// it is revoked. The provider's own gateway is asked for nothing: it is off.
#[test]
fn who_was_near_is_alerted_and_nobody_else() {
    let scene = Scene::new(2);
    let gateways = scene.gateways();
    let gateways: Vec<&str> = gateways.iter().map(String::as_str).collect();
    let near = scene.phone("near", &gateways);
    near.observed(&scene.heard[1..2]);
    let synced = near.sync();
    assert_eq!(said(&synced), [1, 2, 1, 1], "{synced}");
    assert_eq!(synced["errors"], serde_json::json!([]), "{synced}");
    alerted(&near, &["diagnosed"]);
    let alert = near.alerts().lines.remove(0);
    assert_eq!(alert["observations"][0]["id"], scene.heard[1], "{alert}");
    assert_eq!(
        (&alert["scheme"], &alert["zone"]),
        (&"cx1".into(), &"gb/sct".into()),
        "{alert}"
    );

    // Nobody else is told anything, and everybody asks for as much.
    let others = [
        ("another identifier", UNHEARD.to_owned(), utc() - 3600),
        (
            "before the window",
            scene.heard[0].clone(),
            utc() - WINDOW_D * DAY - 600,
        ),
        ("a replay", scene.heard[1].clone(), utc() + 60),
    ];
    let others = others.map(|(name, id, at)| {
        let phone = scene.phone(name, &gateways);
        phone.observed_at(&[id], at);
        let synced = phone.sync();
        assert_eq!(said(&synced), [1, 2, 1, 0], "{name}: {synced}");
        alerted(&phone, &[]);
        phone
    });

    // All batches are known, down to number 1: what was before them is in none.
    let early = scene.phone("early", &gateways);
    early.observed_at(&scene.heard[..1], utc() - 14 * DAY - DAY / 2);
    early.sync();
    alerted(&early, &[]);

    // A patient with a phone of the other kind, and somebody who was near both.
    let running = scene.run();
    let other = scene.world.device_of("other.json", "2");
    let heard = other.ids(2);
    report(&scene.provider, &running, &other);
    everywhere(&scene.relays, &[scene.provider.publish()]);
    let both = scene.phone("both", &gateways);
    both.observed(&[scene.heard[2].clone(), heard[1].clone()]);
    let synced = both.sync();
    assert_eq!(said(&synced), [2, 4, 2, 2], "{synced}");
    alerted(&both, &["diagnosed", "diagnosed"]);
    for phone in others.iter().chain([&near]) {
        assert_eq!(said(&phone.sync())[..3], [1, 2, 1]);
    }
    alerted(&near, &["diagnosed"]);

    // A change, then a revocation: a heartbeat, and the first batch again.
    for (level, of_near, of_both) in [
        (
            "symptomatic",
            &["symptomatic"][..],
            &["diagnosed", "symptomatic"][..],
        ),
        ("no-alert", &[], &["diagnosed"]),
    ] {
        let change = ["level", "--code", &scene.code, "--level", level];
        scene.provider.verb(&change).ok();
        let published = scene.provider.publish_all();
        assert_eq!(published.len(), 2, "{published:?}");
        everywhere(&scene.relays, &published);
        for phone in [&near, &both] {
            let synced = phone.sync();
            assert_eq!(said(&synced)[..3], [1, 2, 1], "{synced}");
        }
        alerted(&near, of_near);
        let alerts = both.alerts();
        let mut levels = alerts.levels();
        levels.sort_unstable();
        assert_eq!(levels, of_both, "{alerts:?}");
    }
    for phone in &others {
        phone.sync();
        alerted(phone, &[]);
    }
    running.stop();
}
