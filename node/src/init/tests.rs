use tempfile::TempDir;

use super::*;

/// Makes a provider wrong.
type Spoil<'a> = &'a dyn Fn(&mut NewProvider);

const NOW: u64 = 1_800_000_000;

fn new(dir: &TempDir) -> NewProvider {
    NewProvider {
        name: "Test".to_owned(),
        zones: vec!["gb/sct".parse().unwrap()],
        privacy: Privacy::Linkable,
        interval: Duration::from_hours(1),
        k: 150,
        listen: Listen::default(),
        tls: None,
        gateways: Vec::new(),
        signer_dir: Some(dir.path().join("signer")),
        operator: None,
    }
}

#[test]
fn a_node_is_its_owners_alone() {
    let temp = TempDir::new().unwrap();
    let dir = temp.path().join("node");
    provider(&dir, new(&temp), NOW).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&Places::of(&dir).store), 0o600);
    let error = provider(&dir, new(&temp), NOW).unwrap_err();
    assert!(matches!(error, InitError::NotEmpty { node: true, .. }));
}

#[test]
fn what_is_refused_leaves_nothing() {
    let temp = TempDir::new().unwrap();
    let gateway = bellwether_formats::share::parse_gateway;
    let zone = |number| format!("gb/z{number}").parse().unwrap();
    let bad: [(&str, Spoil<'_>); 13] = [
        ("name empty", &|new| new.name.clear()),
        ("name long", &|new| new.name = "n".repeat(129)),
        ("name control", &|new| new.name = "a\nb".to_owned()),
        ("interval", &|new| new.interval = Duration::from_hours(25)),
        ("k", &|new| new.k = 10_001),
        ("listen", &|new| new.listen.p2p = vec!["nowhere".to_owned()]),
        ("peer", &|new| new.listen.bootstrap = vec!["/ip4/x".into()]),
        ("tls", &|new| {
            new.tls = Some(("/none/cert".into(), "/none/key".into()));
        }),
        ("gateway", &|new| new.gateways = vec![gateway("ftp://host")]),
        ("no host", &|new| {
            new.gateways = vec![gateway("https://#me")]
        }),
        ("http", &|new| {
            new.gateways = vec![gateway("http://a.example#A")];
        }),
        ("one address, two operators", &|new| {
            new.gateways = ["https://a.example#A", "https://a.example#B"]
                .map(gateway)
                .to_vec();
        }),
        ("zones", &|new| new.zones = (0..65).map(zone).collect()),
    ];
    for (what, spoil) in bad {
        let dir = temp.path().join("node");
        let mut new = new(&temp);
        spoil(&mut new);
        provider(&dir, new, NOW).expect_err(what);
        assert!(!dir.exists(), "{what}");
        assert!(!temp.path().join("signer").exists(), "{what}");
    }
}

#[test]
fn a_later_failure_removes_what_was_made() {
    let temp = TempDir::new().unwrap();
    fs::write(
        temp.path().join("signer"),
        "a file, where a directory must be",
    )
    .unwrap();
    let dir = temp.path().join("node");
    provider(&dir, new(&temp), NOW).unwrap_err();
    assert!(!dir.exists());
    fs::create_dir(&dir).unwrap();
    provider(&dir, new(&temp), NOW).unwrap_err();
    assert!(fs::read_dir(&dir).unwrap().next().is_none());
}

#[test]
fn a_relay_needs_addresses_that_are_some() {
    let temp = TempDir::new().unwrap();
    let dir = temp.path().join("relay");
    let follow = [Share {
        provider: keys::public(&SigningKey::from_bytes(&[1; 32])),
        zones: vec!["gb".parse().unwrap()],
        gateways: Vec::new(),
        peers: vec!["/ip4/1.2.3.4/tcp/".to_owned()],
    }];
    relay(&dir, None, &follow, Listen::default()).unwrap_err();
    assert!(!dir.exists());
}

#[test]
fn gateways_that_phones_refuse_are_told_with_the_reason() {
    let list = |named: &[(&str, &str)]| -> Vec<String> {
        let gateways: Vec<_> = { named.iter() }
            .map(|(url, operator)| Gateway {
                url: (*url).to_owned(),
                operator: (*operator).to_owned(),
            })
            .collect();
        let refused = check::refused_by_phones(&gateways);
        refused.into_iter().map(|(url, _)| url).collect()
    };
    let good = [
        ("https://a.example", "A"),
        ("http://127.0.0.1:8080", "B"),
        ("http://localhost", "C"),
        ("http://[::1]:80", "D"),
    ];
    assert_eq!(list(&good), Vec::<String>::new());
    let plain = "http://relay.example.org";
    assert_eq!(list(&[("https://a.example", "A"), (plain, "B")]), [plain]);
    let twice = [("https://a.example", "A"), ("https://a.example", "B")];
    assert_eq!(list(&twice), ["https://a.example"]);
    let same = [("https://a.example", "A"), ("https://a.example", " A ")];
    assert_eq!(list(&same), Vec::<String>::new());
}
