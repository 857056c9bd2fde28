//! What each policy asks real gateways for.

use bellwether_tests::Phone;
use bellwether_tests::gate::{Asked, Gate};

use super::{Scene, UNHEARD, alerted, said};

/// Paths of what was asked for after a block's filter and index: chunks, bodies, queries.
fn looked_at(asked: &[Asked]) -> Vec<&str> {
    let paths = asked.iter().map(|asked| asked.path.as_str());
    let is_look = |path: &&str| path.contains("/pir/") || path.contains("/ipfs/");
    paths.filter(is_look).collect()
}

/// What `status` says that others are told.
fn leaks(phone: &Phone) -> (String, u64, String) {
    let status = phone.verb(&["status", "--json"]).ok().json().remove(0);
    let policy = status["policy"].as_str().unwrap().to_owned();
    (
        policy,
        status["operators"].as_u64().unwrap(),
        status["leaks"].to_string(),
    )
}

#[test]
fn policies_ask_for_what_they_say() {
    let scene = Scene::new(2);
    let gates: Vec<Gate> = scene
        .gateways()
        .iter()
        .map(|url| Gate::before(url))
        .collect();
    let urls: Vec<&str> = gates.iter().map(|gate| gate.url.as_str()).collect();
    let asked = || -> Vec<Asked> { gates.iter().flat_map(Gate::asked).collect() };
    let (heard, unheard) = (&scene.heard[..1], &[UNHEARD.to_owned()][..]);
    let mut whole = Vec::new();
    for (name, ids, levels) in [
        ("exposed", heard, &["diagnosed"][..]),
        ("unexposed", unheard, &[]),
    ] {
        // Every chunk, whether or not there is a hit; and that stays so.
        let phone = scene.phone(&format!("whole {name}"), &urls);
        phone.observed(ids);
        let synced = phone.sync_with(&["--policy", "whole-body"]);
        assert_eq!(said(&synced)[..3], [1, 0, 64], "{synced}");
        alerted(&phone, levels);
        let asked_for = asked();
        let mut looks: Vec<String> = looked_at(&asked_for)
            .iter()
            .map(|path| (*path).to_owned())
            .collect();
        assert_eq!(
            looks
                .iter()
                .filter(|path| path.ends_with("?format=car"))
                .count(),
            1
        );
        looks.sort();
        whole.push(looks);
        let (policy, operators, told) = leaks(&phone);
        assert_eq!((policy.as_str(), operators), ("whole-body", 2));
        assert!(told.contains("nothing of what was observed"), "{told}");
        // A bundle of it has the body: it tells a phone without a network.
        let bundle = scene.world.path(&format!("{name}.car"));
        phone.verb(&["export", bundle.to_str().unwrap()]).ok();
        let offline = scene.phone(&format!("offline {name}"), &urls);
        offline.observed(ids);
        offline.verb(&["import", bundle.to_str().unwrap()]).ok();
        alerted(&offline, levels);

        // A chunk by its name, on a hit alone.
        let phone = scene.phone(&format!("lean {name}"), &urls);
        phone.observed(ids);
        let synced = phone.sync_with(&["--policy", "lean"]);
        let chunks = u64::from(!levels.is_empty());
        assert_eq!(said(&synced)[..3], [1, 0, chunks], "{synced}");
        alerted(&phone, levels);
        let asked_for = asked();
        let looks = looked_at(&asked_for);
        assert_eq!(
            looks.len(),
            2 + levels.len(),
            "filter, index and chunk: {looks:?}"
        );
        assert!(
            looks.iter().all(|path| path.ends_with("?format=raw")),
            "{looks:?}"
        );
        let (policy, _, told) = leaks(&phone);
        assert_eq!(policy, "lean");
        assert!(told.contains("was probably near"), "{told}");
    }
    assert_eq!(whole[0], whole[1], "the same, hit or not");

    // With two operators, two halves; with one, the whole of it, and `status` says what that means.
    let phone = scene.phone("private", &urls);
    phone.observed(heard);
    assert_eq!(said(&phone.sync()), [1, 2, 1, 1]);
    let queries: Vec<usize> = gates.iter().map(|gate| gate.masks().len()).collect();
    assert_eq!(queries, [1, 1], "a half each");
    let (policy, operators, told) = leaks(&phone);
    assert_eq!((policy.as_str(), operators), ("private", 2));
    assert!(told.contains("collude"), "{told}");
    let phone = scene.phone("one operator", &urls[..1]);
    phone.observed(heard);
    let synced = phone.sync();
    assert_eq!(said(&synced), [1, 0, 64, 1], "{synced}");
    alerted(&phone, &["diagnosed"]);
    let (policy, operators, told) = leaks(&phone);
    assert_eq!((policy.as_str(), operators), ("private", 1));
    assert!(told.contains("fewer than two operators"), "{told}");
    let people = phone.verb(&["status"]).ok();
    assert!(
        people.stdout.contains("fewer than two operators"),
        "{people:?}"
    );
}
