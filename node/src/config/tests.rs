use super::*;

const EXAMPLE: &str = include_str!("../../node.example.toml");

fn example() -> Config {
    let config: Config = toml::from_str(EXAMPLE).unwrap();
    config.check().unwrap();
    config
}

#[test]
fn the_example_has_the_defaults_and_every_key() {
    let example = example();
    let default = Config::default();
    assert_eq!(example.gateway, default.gateway);
    assert_eq!(example.network, default.network);
    assert_eq!(example.retain, default.retain);
    let zone = "gb/sct".parse().unwrap();
    let interval = Privacy::Unlinkable.interval();
    let policy = ZonePolicy::new(&zone, Privacy::Unlinkable, interval, 150);
    assert_eq!(example.provider.as_ref().unwrap().zone, [policy]);

    let keys = |value: &toml::Value| {
        let mut keys = Vec::new();
        collect("", value, &mut keys);
        keys.sort();
        keys
    };
    let written = toml::Value::try_from(&example).unwrap();
    let documented: toml::Value = toml::from_str(EXAMPLE).unwrap();
    assert_eq!(
        keys(&documented),
        keys(&written),
        "the example shows every key"
    );
}

fn collect(path: &str, value: &toml::Value, keys: &mut Vec<String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                collect(&format!("{path}.{key}"), value, keys);
            }
        }
        toml::Value::Array(items) if items.iter().any(toml::Value::is_table) => {
            items.iter().for_each(|item| collect(path, item, keys));
        }
        _ => keys.push(path.to_owned()),
    }
}

#[test]
fn self_reports_are_for_a_zone_of_this_node() {
    let mut config = example();
    let zone = |config: &mut Config, zone: &str| {
        let intake = &mut config.provider.as_mut().unwrap().intake;
        intake.tcn_self_reports = Some(zone.to_owned());
    };
    zone(&mut config, "gb/sct");
    config.check().unwrap();
    zone(&mut config, "gb");
    assert!(config.check().is_err());
}

#[test]
fn a_misspelt_key_is_named() {
    let error = toml::from_str::<Config>("[network]\ngosip = false").unwrap_err();
    assert!(error.message().contains("`gosip`"), "{error}");
}

/// What `init` of the last version wrote, and what a person might have left out of it.
#[test]
fn a_configuration_of_the_last_version_keeps_what_it_says() {
    let zone = |more: &str| {
        let text =
            format!("zone = \"gb\"\nprivacy = \"linkable\"\ninterval = \"2h\"\nk = 7\n{more}");
        let zone: ZonePolicy = toml::from_str(&text).unwrap();
        zone.check().unwrap();
        zone
    };
    let written = zone("max_notifications = 40000\nwindow = \"14days\"");
    assert_eq!(written.privacy.mode(), Mode::Open);
    assert_eq!((written.max_notifications(), written.k), (40_000, 7));
    assert_eq!(written.interval, Duration::from_hours(2));
    assert_eq!(written.filter_bits, 18);
    let short = zone("");
    assert_eq!(short.max_notifications(), 40_000);
    // Who changes such a file to `unlinkable` is told that its number no longer fits.
    let privacy = Privacy::Unlinkable;
    let changed = ZonePolicy { privacy, ..written };
    assert!(changed.check().is_err());
    let changed = ZonePolicy { privacy, ..short };
    changed.check().unwrap();
    assert_eq!(changed.max_notifications(), 1000);
}

#[test]
fn what_types_cannot_say_is_checked() {
    type Break = fn(&mut Config);
    let cases: [(&str, Break); 11] = [
        ("carry", |c| {
            c.provider = None;
            c.carry.clear();
        }),
        ("provider.id", |c| {
            c.provider.as_mut().unwrap().id = "z6Mk".into()
        }),
        ("provider.name", |c| {
            c.provider.as_mut().unwrap().name.clear()
        }),
        ("provider.zone", |c| {
            c.provider.as_mut().unwrap().zone.clear()
        }),
        ("provider.zone.interval", |c| {
            c.provider.as_mut().unwrap().zone[0].interval = Duration::ZERO;
        }),
        ("provider.zone.filter_bits", |c| {
            c.provider.as_mut().unwrap().zone[0].filter_bits = 31;
        }),
        ("provider.zone.filter_bits", |c| {
            c.provider.as_mut().unwrap().zone[0].filter_bits = 11;
        }),
        ("provider.zone.max_notifications", |c| {
            c.provider.as_mut().unwrap().zone[0].max_notifications = Some(4001);
        }),
        ("provider.zone.zone", |c| {
            c.provider.as_mut().unwrap().zone[0].zone = "GB".into()
        }),
        ("provider.intake", |c| {
            c.provider.as_mut().unwrap().intake.tls_key = None
        }),
        ("provider.intake.listen", |c| {
            let intake = &mut c.provider.as_mut().unwrap().intake;
            (intake.tls_cert, intake.tls_key) = (None, None);
            intake.listen = Some(SocketAddr::from(([0, 0, 0, 0], 1)));
        }),
    ];
    for (expected, break_it) in cases {
        let mut config = example();
        break_it(&mut config);
        match config.check() {
            Err(ConfigError::Value { key, .. }) => assert_eq!(key, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
}
