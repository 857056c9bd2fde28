//! The lines that others script against.

use std::fs;
use std::time::{Duration, Instant};

use bellwether_tests::{Provider, Relay, Running, World, command, conditions, web};
use serde_json::{Value, json};

/// The keys of an object, sorted.
fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

#[test]
fn the_lines_that_others_script_against() {
    let world = World::new();
    let provider = world.provider("board").init();
    let began = Instant::now();
    let running = provider.run();
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "the line came after {:?}",
        began.elapsed()
    );
    let info = &running.info;
    assert_eq!(
        keys(info),
        ["gateway", "intake", "p2p", "peer_id", "provider", "share"]
    );
    assert_eq!(info["provider"], provider.id);
    assert!(running.text("peer_id").starts_with("12D3Koo"), "{info}");
    assert!(running.p2p().starts_with("/ip4/127.0.0.1/tcp/"), "{info}");
    assert!(running.gateway().starts_with("http://127.0.0.1:"), "{info}");
    assert!(
        running.text("intake").starts_with("https://127.0.0.1:"),
        "{info}"
    );
    let share = running.text("share");
    assert!(
        share.starts_with(&format!("bellwether:{}?zone=gb/sct", provider.id)),
        "{share}"
    );

    let relay = Relay::init(&world, "relay", &["--follow", &share]);
    let relays = relay.run();
    for role in ["provider", "intake", "share"] {
        assert!(
            relays.info[role].is_null() && relays.info.get(role).is_some(),
            "{}",
            relays.info
        );
    }
    assert!(relays.gateway().starts_with("http://127.0.0.1:"));
    // Or without a share string.
    let peer = running.p2p();
    let by_hand = [
        "--provider",
        &provider.id,
        "--zone",
        "gb/sct",
        "--bootstrap",
        &peer,
    ];
    Relay::init(&world, "by hand", &by_hand);

    codes(&provider, &running);
    looks(&provider, true);
    running.stop();
    looks(&provider, false);
    // What is wrong is told with exit 2 and a hint, and nothing on stdout.
    let twice = provider
        .verb(&["init", "--name", "again", "--zone", "gb/sct"])
        .exit(2);
    assert!(
        twice.stdout.is_empty() && twice.stderr.contains("hint: "),
        "{twice:?}"
    );
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
        assert!(
            code.len() == 19 && code.chars().enumerate().all(form),
            "{code}"
        );
    }
    let made_elsewhere = "žluťoučký kůň 🐎".to_owned();
    provider.import_codes(std::slice::from_ref(&made_elsewhere));
    let file = provider.dir.with_extension("too-long");
    fs::write(&file, "x".repeat(65)).unwrap();
    let import = ["code", "import", "--level", "diagnosed", "--zone", "gb/sct"];
    provider
        .verb(&[&import[..], &[file.to_str().unwrap()]].concat())
        .exit(2);

    let device = provider.dir.with_extension("phone");
    let device = {
        let world_file = device;
        let mut command = command::client();
        command
            .args(["device", "new", "--type", "2", "--file"])
            .arg(&world_file);
        command::run(&mut command).ok();
        world_file
    };
    let report = provider.dir.with_extension("der");
    let mut command = command::client();
    command.args([
        "device",
        "report",
        "--publisher",
        &provider.name,
        "--code",
        &made_elsewhere,
    ]);
    command.arg("--file").arg(&device).arg("--out").arg(&report);
    command::run(&mut command).ok();
    let report = fs::read(&report).unwrap();
    let post = || {
        let intake = running.text("intake");
        web::post(&intake, &provider.certificate(), &report).unwrap()
    };
    let first = post();
    assert_eq!(
        (first.status, first.json()),
        (200, json!({ "accepted": 1 }))
    );
    let second = post();
    assert_eq!(
        (second.status, second.json()),
        (200, json!({ "accepted": 0, "known": 1 }))
    );

    let listed = provider.verb(&["code", "list", "--json"]).ok();
    assert!(!listed.stdout.contains(&issued[0]) && !listed.stdout.contains(&made_elsewhere));
    let lines = listed.json();
    assert_eq!(lines.len(), 4);
    for line in &lines {
        for key in ["code", "level", "zone", "issued_at", "valid_until"] {
            assert!(line[key].is_string(), "`{key}` in {line}");
        }
        assert!(
            line["notifications"].is_u64() && line.get("used_at").is_some(),
            "{line}"
        );
    }
    let used: Vec<&Value> = lines
        .iter()
        .filter(|line| line["used_at"].is_string())
        .collect();
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
    assert!(
        status["share"]
            .as_str()
            .unwrap()
            .starts_with("bellwether:z6Mk"),
        "{status}"
    );
    let feed = &status["feeds"][0];
    assert_eq!(feed["zone"], "gb/sct");
    assert!(feed["seq"].is_u64() && feed["cid"].is_string(), "{feed}");
    let code = if running { 0 } else { 2 };
    let check = provider.verb(&["check", "--json"]).exit(code);
    let (errors, warnings) = conditions(&check);
    assert_eq!(errors.is_empty(), running, "{errors:?}");
    // The root key is still here, and that is worth a word.
    assert!(warnings.contains(&"root-key-online".to_owned()));
    assert!(provider.verb(&["status"]).ok().stdout.contains("gb/sct"));
    provider.verb(&["check"]).exit(code);
}
