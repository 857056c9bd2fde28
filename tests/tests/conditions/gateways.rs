//! Gateways that phones do not ask, or do not believe to be two.

use bellwether_formats::descriptor::{Descriptor, Gateway};
use bellwether_formats::signed::Signed;
use bellwether_node::keys;
use bellwether_node::publisher::Places;
use bellwether_node::store::Store;
use bellwether_tests::command::Output;
use bellwether_tests::{Provider, World};

use super::condition;

const PLAIN: [&str; 2] = ["--gateway", "http://relay.example.org#Relay"];
const TWICE: [&str; 4] = [
    "--gateway",
    "https://relay.example.org#One",
    "--gateway",
    "https://relay.example.org#Two",
];

#[track_caller]
fn renew(provider: &Provider, gateways: &[&str]) -> Output {
    let root = provider.dir.join("root.key");
    let verb = ["descriptor", "renew", "--root", root.to_str().unwrap()];
    provider.verb(&[&verb[..], gateways].concat())
}

#[track_caller]
fn is_refused(refused: Output, why: &str) {
    let refused = refused.exit(2);
    assert_eq!(refused.stdout, "");
    assert!(refused.stderr.contains(why), "{refused:?}");
}

#[test]
fn gateways_that_phones_refuse_are_refused_by_init_and_renew() {
    let world = World::new();
    let (plain, twice) = (
        "phones ask `http://` on their own machine only",
        "it has one operator",
    );
    let dir = world.path("board");
    for (gateways, why) in [(&PLAIN[..], plain), (&TWICE, twice)] {
        let init = ["init", "--name", "N", "--zone", "gb"];
        is_refused(world.node(&dir, &[&init[..], gateways].concat()), why);
        assert!(!dir.exists());
    }
    let loopback = ["--gateway", "http://127.0.0.1:8080#Here"];
    let provider = world.provider("board").with(&loopback).init();
    for (gateways, why) in [(&PLAIN[..], plain), (&TWICE, twice)] {
        is_refused(renew(&provider, gateways), why);
    }
    let next = renew(&provider, &loopback).ok().json().remove(0);
    assert_eq!(next["epoch"], 2, "nothing was signed in between");
}

/// A descriptor that another tool signed.
#[test]
fn gateway_that_phones_refuse_in_a_descriptor_is_told_and_keeps_nobody_from_renewing() {
    let world = World::new();
    let provider = world.provider("board").init();
    {
        let root = keys::load(&provider.dir.join("root.key")).unwrap();
        let store = Store::open(&Places::of(&provider.dir).store).unwrap();
        let held = store.descriptor(&provider.id.parse().unwrap()).unwrap();
        let mut next: Descriptor = (*held.unwrap()).clone();
        next.epoch += 1;
        next.gateways = vec![Gateway {
            url: "http://relay.example.org".to_owned(),
            operator: "Relay".to_owned(),
        }];
        store
            .put_descriptor(&Signed::sign(&next, &root).unwrap())
            .unwrap();
    }
    let running = provider.run();
    let refused = || condition(&provider.verb(&["check", "--json"]), "gateway-refused");
    let told = refused().unwrap();
    assert_eq!(told["subject"], "http://relay.example.org");
    assert_eq!(told["severity"], "error");
    renew(&provider, &[]).ok();
    assert!(refused().is_some());
    renew(&provider, &["--gateway", "https://relay.example.org#Relay"]).ok();
    assert_eq!(refused(), None);
    running.stop();
}
