//! What systems submit: level and grade reach the app.

use super::*;

/// A unit of `submit`, as text, of a key used the day before yesterday; and what was heard of it.
fn gaen(world: &World) -> (String, String) {
    use bellwether_formats::scheme::gaen::Key;
    let _ = world;
    let interval = noon() / 600;
    let key = Key {
        tek: *b"sixteen bytes ok",
        rolling_start: u32::try_from(interval / 144 * 144).unwrap(),
        rolling_period: 144,
        transmission_risk: 0,
        days_since_onset: None,
    };
    let heard = key
        .identifiers()
        .find(|(at, _)| u64::from(*at) == interval)
        .unwrap()
        .1;
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    (
        format!("{} {}", hex(&key.tek), key.rolling_start),
        hex(&heard),
    )
}

#[test]
fn a_grade_reaches_the_app() {
    for (unlinkable, grade) in [(false, 60), (true, 75)] {
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
        let (unit, heard) = gaen(&world);
        let file = world.path("units.txt");
        std::fs::write(&file, format!("{unit}\n")).unwrap();
        let submit = |level: &str| {
            let file = file.to_str().unwrap();
            provider.verb(&[
                "submit", "--scheme", "gaen", "--level", level, "--zone", "gb/sct", "--grade",
                "60", file,
            ])
        };
        let said = submit("symptomatic").ok().json().remove(0);
        assert_eq!(said["accepted"], true, "{said}");
        everywhere(&relays, &provider.publish_all());
        let gateways: Vec<String> = relays.iter().map(Running::gateway).collect();
        let named = [(gateways[0].as_str(), "One"), (gateways[1].as_str(), "Two")];
        let phone = world.phone("near");
        phone.follow(&provider.share(&named));
        phone.observed_of("gaen", &[heard], noon());
        phone.sync();
        let alerts = phone.alerts();
        assert_eq!(alerts.levels(), ["symptomatic"], "{alerts:?}");
        assert_eq!(alerts.lines[0]["grade"], grade, "{alerts:?}");
        running.stop();
    }
}
