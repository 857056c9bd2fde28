//! The list of what is wrong with a node: everybody who asks hears the same, and what stops a
//! provider or a relay is in it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test"
)]

use std::collections::BTreeSet;

use bellwether_tests::command::Output;
use bellwether_tests::shim::Shim;
use bellwether_tests::{Relay, Running, World, conditions, eventually, web};
use serde_json::Value;

mod cap;
mod gateways;
mod keys;
mod relays;

/// Names and severities of the list in an answer of `check`, `status` or `/health`.
fn list(answer: &Value) -> BTreeSet<(String, String)> {
    let lists = ["errors", "warnings", "conditions"].map(|list| answer[list].as_array());
    let entries = lists.into_iter().flatten().flatten();
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap().to_owned();
    entries
        .map(|entry| (text(entry, "name"), text(entry, "severity")))
        .collect()
}

/// Holds the three answers of a running node against each other, and gives the list.
#[track_caller]
fn agree(running: &Running, verb: impl Fn(&[&str]) -> Output) -> BTreeSet<(String, String)> {
    let url = format!("{}/health", running.gateway());
    // Nothing must happen in between.
    let (plain, checked, check, status, health) = eventually("two equal answers", || {
        let before = verb(&["check", "--json"]).json().remove(0);
        let status = verb(&["status", "--json"]).ok().json().remove(0);
        let health = web::get(&url).unwrap();
        let plain = verb(&["check"]).stdout;
        let checked = verb(&["check", "--json"]);
        let check = checked.json().remove(0);
        (list(&before) == list(&check)).then_some((plain, checked, check, status, health))
    });
    let told: Value = serde_json::from_slice(&health.body).unwrap();
    let all = list(&check);
    assert_eq!(list(&status), all, "{status} {check}");
    let public: BTreeSet<_> = { all.iter() }
        .filter(|(name, _)| {
            let mut kinds = bellwether_node::condition::ConditionKind::ALL.iter();
            kinds.any(|kind| kind.name() == name && kind.is_public())
        })
        .cloned()
        .collect();
    assert_eq!(list(&told), public, "{told} {check}");
    assert_eq!(told["others"], public.len() < all.len(), "{told} {check}");
    let ok = !all.iter().any(|(_, severity)| severity == "error");
    assert_eq!(
        (&check["ok"], &status["ok"], &told["ok"]),
        (&ok.into(), &ok.into(), &ok.into())
    );
    assert_eq!(health.status, if ok { 200 } else { 503 });
    assert_eq!(checked.code, if ok { 0 } else { 2 });
    assert_eq!(plain == "nothing is wrong\n", all.is_empty(), "{plain}");
    for (name, severity) in &all {
        assert!(plain.contains(&format!("{severity}: {name}")), "{plain}");
    }
    all
}

/// A condition of a node, if it has it.
#[track_caller]
fn condition(checked: &Output, name: &str) -> Option<Value> {
    let checked = checked.json().remove(0);
    let lists = ["errors", "warnings"].map(|list| checked[list].as_array().unwrap().clone());
    { lists.into_iter().flatten() }.find(|condition| condition["name"] == name)
}

/// Waits for a condition.
#[track_caller]
fn has(node: impl Fn(&[&str]) -> Output, name: &str) -> Value {
    eventually(name, || condition(&node(&["check", "--json"]), name))
}

/// Waits until a condition is gone.
#[track_caller]
fn has_not(node: impl Fn(&[&str]) -> Output, name: &str) {
    let gone = || condition(&node(&["check", "--json"]), name).is_none();
    eventually("a condition to be gone", || gone().then_some(()));
}

fn pair(name: &str, severity: &str) -> (String, String) {
    (name.to_owned(), severity.to_owned())
}

#[test]
fn check_status_and_health_of_a_node_agree() {
    let world = World::new();
    let provider = world.provider("board").init();
    let providing = provider.run();
    let relay = Relay::init(&world, "relay", &["--follow", &providing.text("share")]);
    let shim = Shim::of(&relay.dir);
    let running = relay.run();
    let look = || agree(&running, |verb| relay.verb(verb));
    let cid = provider.publish();
    eventually("the batch to arrive", || running.has(&cid).then_some(()));
    eventually("all to be well", || look().is_empty().then_some(()));
    // The provider has something to hide.
    let own = agree(&providing, |verb| provider.verb(verb));
    assert!(own.contains(&pair("root-key-online", "warning")));
    // The provider is silent for three days.
    shim.set_wall(3 * 86_400);
    assert!(look().contains(&pair("feed-stale", "error")));
    shim.set_wall(0);
    eventually("all to be well again", || look().is_empty().then_some(()));
    running.stop();
    providing.stop();
}

#[test]
fn a_node_that_is_down_is_said_to_be() {
    let world = World::new();
    let provider = world.provider("board").init();
    let checked = provider.verb(&["check", "--json"]);
    assert_eq!(checked.code, 2);
    assert_eq!(conditions(&checked).0, ["not-running"]);
    let plain = provider.verb(&["check"]).stdout;
    assert!(plain.contains("unknown"), "{plain}");
    assert!(!plain.contains("nothing is wrong"), "{plain}");
    let running = provider.run();
    assert_eq!(provider.conditions().0, [""; 0]);
    // A warning is something, too.
    let plain = provider.verb(&["check"]).ok().stdout;
    assert!(plain.contains("warning: root-key-online"), "{plain}");
    assert!(!plain.contains("nothing is wrong"), "{plain}");
    running.stop();
}
