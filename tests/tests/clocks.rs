//! Clocks that are wrong: a provider neither signs nor deletes by one, a relay keeps what it has and
//! says why it ignores what it does not take, and all goes on when the clock is right.

use bellwether_tests::command::Output;
use bellwether_tests::feed::Feed;
use bellwether_tests::shim::Shim;
use bellwether_tests::{Provider, Relay, Running, World, eventually, utc};
use serde_json::Value;

const DAY: i64 = 86_400;

/// Leads of a clock: a dead battery, and a clock in local time.
const AHEAD: [i64; 2] = [30 * DAY, 7200];

/// A condition of a node, if it has it.
#[track_caller]
fn condition(checked: &Output, name: &str) -> Option<Value> {
    let checked = checked.json().remove(0);
    let lists = ["errors", "warnings"].map(|list| checked[list].as_array().unwrap().clone());
    { lists.into_iter().flatten() }.find(|condition| condition["name"] == name)
}

#[track_caller]
fn has(node: impl Fn(&[&str]) -> Output, name: &str) -> Value {
    eventually(name, || condition(&node(&["check", "--json"]), name))
}

#[track_caller]
fn has_not(node: impl Fn(&[&str]) -> Output, name: &str) {
    let gone = || condition(&node(&["check", "--json"]), name).is_none();
    eventually("a condition to be gone", || gone().then_some(()));
}

/// The batches of a provider that a gateway serves: number and time of publication.
#[track_caller]
fn batches(node: &Running, provider: &Provider) -> Vec<(u64, u64)> {
    let feed = Feed::after(&node.gateway(), &provider.feed(), 0).unwrap();
    let batches = feed.batches.iter();
    batches
        .map(|batch| (batch.seq, batch.published_at))
        .collect()
}

/// Number of codes of a provider.
#[track_caller]
fn codes(provider: &Provider) -> usize {
    let listed = provider.verb(&["code", "list", "--json"]).ok();
    listed.json().len()
}

/// A provider with a report published, one that waits, and codes that nobody used.
fn provider(world: &World) -> (Provider, Running) {
    let provider = world.provider("board").init();
    let running = provider.run();
    let device = world.device("device.json");
    device.ids(1);
    let code = provider.codes(5).remove(0);
    device
        .report(&provider, &running.text("intake"), &code)
        .ok();
    provider.publish();
    provider.publish();
    (provider, running)
}

/// Nothing is signed and nothing deleted while the clock is in doubt; when it is right again,
/// publishing goes on.
#[track_caller]
fn holds_still(
    shim: &Shim,
    lived: i64,
    provider: &Provider,
    running: &Running,
    kept: &[(u64, u64)],
) {
    let doubt = has(|verb| provider.verb(verb), "clock-in-doubt");
    let text = doubt["text"].as_str().unwrap();
    assert!(text.contains("this machine's clock says 20"), "{text}");
    let refused = provider.verb(&["publish"]);
    assert_ne!(refused.code, 0, "{refused:?}");
    assert!(refused.stderr.contains("clock"), "{refused:?}");
    assert_eq!(batches(running, provider), kept);
    assert_eq!(codes(provider), 5);

    shim.set_wall(lived);
    eventually("a batch", || {
        let published = provider.verb(&["publish"]);
        (published.code == 0).then_some(())
    });
    has_not(|verb| provider.verb(verb), "clock-in-doubt");
    let after = batches(running, provider);
    assert!(
        after.starts_with(kept) && after.len() > kept.len(),
        "{after:?}"
    );
    let lived = u64::try_from(lived).unwrap();
    let now = utc() + lived + 60;
    assert!(after.iter().all(|(_, at)| *at <= now), "{after:?} {now}");
    assert_eq!(codes(provider), 5);
}

#[test]
fn provider_whose_clock_leaps_while_it_runs_holds_still_until_it_is_right() {
    for ahead in AHEAD {
        let world = World::new();
        let shim = Shim::of(&world.path("board"));
        let (provider, running) = provider(&world);
        let kept = batches(&running, &provider);
        // An hour is lived, its last five minutes after the leap: then whatever deletes once an hour
        // has its turn.
        shim.pass(3400);
        shim.set_wall(3400 + ahead);
        has(|verb| provider.verb(verb), "clock-in-doubt");
        shim.set_monotonic(3700);
        shim.set_wall(3700 + ahead);
        holds_still(&shim, 3700, &provider, &running, &kept);
        running.stop();
    }
}

#[test]
fn provider_whose_clock_is_ahead_at_the_start_holds_still_until_it_is_right() {
    for ahead in AHEAD {
        let world = World::new();
        let shim = Shim::of(&world.path("board"));
        let (provider, running) = provider(&world);
        let kept = batches(&running, &provider);
        running.stop();
        shim.set_wall(ahead);
        let running = provider.run();
        holds_still(&shim, 0, &provider, &running, &kept);
        running.stop();
    }
}

/// A new machine knows nothing of the time but what others say.
#[test]
fn new_provider_whose_clock_is_wrong_is_told_by_the_gateways_of_others() {
    for ahead in [30 * DAY, 7200, -7200] {
        let world = World::new();
        let other = world.provider("other").init();
        let other = other.run();
        let gateway = format!("{}#Other Operator", other.gateway());
        let shim = Shim::of(&world.path("board"));
        shim.set_wall(ahead);
        let provider = world
            .provider("board")
            .with(&["--gateway", &gateway])
            .init();
        let running = provider.run();
        let doubt = has(|verb| provider.verb(verb), "clock-in-doubt");
        let text = doubt["text"].as_str().unwrap();
        assert!(text.contains("a gateway of Other Operator says"), "{text}");
        assert_ne!(provider.verb(&["publish"]).code, 0);
        assert_eq!(batches_of_none(&running, &provider), 0);
        running.stop();
    }
}

/// Number of batches, where the feed may be unknown.
fn batches_of_none(node: &Running, provider: &Provider) -> usize {
    let feed = Feed::after(&node.gateway(), &provider.feed(), 0);
    feed.map_or(0, |feed| feed.batches.len())
}

/// One gateway agrees, one lies: nobody is stopped.
#[test]
fn gateway_that_lies_alone_against_one_that_agrees_stops_nobody() {
    let world = World::new();
    let shim = Shim::of(&world.path("liar"));
    shim.set_wall(7200);
    let (liar, honest) = (
        world.provider("liar").init(),
        world.provider("honest").init(),
    );
    let (liar, honest) = (liar.run(), honest.run());
    let of = |node: &Running, name: &str| format!("{}#{name}", node.gateway());
    let (liar, honest) = (of(&liar, "Liar"), of(&honest, "Honest"));
    let gateways = ["--gateway", &liar, "--gateway", &honest];
    let provider = world.provider("board").with(&gateways).init();
    let running = provider.run();
    provider.publish();
    let checked = provider.verb(&["check", "--json"]);
    assert!(condition(&checked, "clock-in-doubt").is_none());
    running.stop();
}

/// It happened all the same: nobody was there to tell.
#[test]
fn own_batch_of_the_future_is_told_with_the_way_out() {
    let world = World::new();
    let shim = Shim::of(&world.path("board"));
    shim.set_wall(30 * DAY);
    let provider = world.provider("board").init();
    provider.publish();
    provider.publish();
    shim.set_wall(0);
    let running = provider.run();
    let told = has(|verb| provider.verb(verb), "own-batch-ahead");
    let text = told["text"].as_str().unwrap();
    assert!(
        text.contains("from 1 on") && text.contains("days"),
        "{text}"
    );
    assert!(
        told["remedy"]
            .as_str()
            .unwrap()
            .contains("descriptor disown")
    );
    assert!(told["since"].is_string(), "{told}");
    let refused = provider.verb(&["publish"]);
    assert_ne!(refused.code, 0);
    running.stop();
}

#[test]
fn relay_whose_clock_is_ahead_for_a_while_keeps_all_batches() {
    let world = World::new();
    let (provider, running) = provider(&world);
    let relay = Relay::init(&world, "relay", &["--follow", &running.text("share")]);
    let shim = Shim::of(&relay.dir);
    let all = batches(&running, &provider);
    let relaying = relay.run();
    let complete = |node: &Running| (batches_of_none(node, &provider) == all.len()).then_some(());
    eventually("all batches", || complete(&relaying));
    relaying.stop();
    // The provider is gone: nobody could give them again.
    running.stop();

    shim.set_wall(30 * DAY);
    let relaying = relay.run();
    let doubt = has(|verb| relay.verb(verb), "clock-in-doubt");
    assert!(doubt["text"].as_str().unwrap().contains("clock says"));
    assert_eq!(batches(&relaying, &provider), all);
    // While it runs, too.
    shim.set_wall(0);
    has_not(|verb| relay.verb(verb), "clock-in-doubt");
    shim.set_wall(2 * 3600 + 30 * DAY);
    has(|verb| relay.verb(verb), "clock-in-doubt");
    shim.set_monotonic(2 * 3600);
    assert_eq!(batches(&relaying, &provider), all);
    relaying.stop();
    shim.pass(2 * 3600);
    let relaying = relay.run();
    assert_eq!(batches(&relaying, &provider), all);
    relaying.stop();
}

#[test]
fn relay_whose_clock_is_slow_says_why_it_takes_nothing_until_it_is_right() {
    let world = World::new();
    let (provider, running) = provider(&world);
    let relay = Relay::init(&world, "relay", &["--follow", &running.text("share")]);
    let shim = Shim::of(&relay.dir);
    shim.set_wall(-7200);
    relay.configure(|config| config.network.anti_entropy = std::time::Duration::from_secs(1));
    let relaying = relay.run();
    let told = has(|verb| relay.verb(verb), "batches-ahead");
    let text = told["text"].as_str().unwrap();
    assert!(
        text.contains("1 provider ") && text.contains("h "),
        "{text}"
    );
    assert!(told["remedy"].as_str().unwrap().contains("clock"), "{told}");
    assert_eq!(batches_of_none(&relaying, &provider), 0);

    shim.set_wall(0);
    let all = batches(&running, &provider).len();
    eventually("all batches", || {
        (batches_of_none(&relaying, &provider) == all).then_some(())
    });
    has_not(|verb| relay.verb(verb), "batches-ahead");
    // And a batch of a known descriptor.
    shim.set_wall(-7200);
    provider.publish();
    has(|verb| relay.verb(verb), "batches-ahead");
    relaying.stop();
    running.stop();
}

#[test]
fn relay_that_deleted_older_batches_fetches_them_again() {
    let world = World::new();
    let (provider, running) = provider(&world);
    for _ in 0..3 {
        provider.publish();
    }
    let all = batches(&running, &provider);
    let relay = Relay::init(&world, "relay", &["--follow", &running.text("share")]);
    let relaying = relay.run();
    let complete = |node: &Running| (batches_of_none(node, &provider) == all.len()).then_some(());
    eventually("all batches", || complete(&relaying));
    relaying.stop();
    relay.configure(|config| config.retain.max_age = std::time::Duration::from_secs(1));
    let shim = Shim::of(&relay.dir);
    let relaying = relay.run();
    shim.pass(700);
    eventually("deletion", || {
        (batches_of_none(&relaying, &provider) == 1).then_some(())
    });
    relaying.stop();

    relay.configure(|config| config.retain = Default::default());
    let relaying = relay.run();
    eventually("all batches again", || complete(&relaying));
    let theirs = Feed::after(&running.gateway(), &provider.feed(), 0).unwrap();
    let ours = Feed::after(&relaying.gateway(), &provider.feed(), 0).unwrap();
    assert_eq!(ours.said(), theirs.said(), "and their bodies");
    relaying.stop();
    running.stop();
}
