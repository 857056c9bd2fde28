//! A phone whose clock is wrong for one sync loses nothing.

use bellwether_tests::shim::Shim;
use bellwether_tests::{World, eventually};

const DAY: i64 = 86_400;

/// Answers of a phone that observed a patient, synced once while its clock was wrong, and then with
/// the right one. `before` is whether it synced with the right clock first.
fn after_a_wrong_clock(days: i64, before: bool) -> Vec<String> {
    let world = World::new();
    let provider = world.provider("board").init();
    let node = provider.run();
    let patient = world.device("patient.json");
    let ids = patient.ids(1);
    let phone = world.phone("phone");
    let shim = Shim::of(&phone.state);
    let share = provider.share(&[(&node.gateway(), "Board")]);
    phone.follow(&share);
    phone.observed(&ids);
    if before {
        phone.sync();
    }
    let code = provider.codes(1).remove(0);
    let said = patient.report(&provider, &node.text("intake"), &code);
    assert_eq!(said.code, 0, "{said:?}");
    provider.publish();

    shim.set_wall(days * DAY);
    let wrong = phone.verb(&["sync", "--json"]);
    assert!([0, 2].contains(&wrong.code), "{wrong:?}");
    let answer = phone.alerts();
    assert_ne!(
        answer.code, 0,
        "none, by a clock {days} days off: {answer:?}"
    );
    shim.set_wall(0);
    eventually("a sync with the right clock", || {
        let synced = phone.verb(&["sync", "--json"]);
        (synced.code == 0).then_some(())
    });
    let answer = phone.alerts();
    node.stop();
    answer.levels().into_iter().map(str::to_owned).collect()
}

#[test]
fn observations_and_batches_outlive_a_clock_that_is_ahead_for_one_sync() {
    for days in [13, 30, 400] {
        for before in [true, false] {
            let levels = after_a_wrong_clock(days, before);
            assert_eq!(levels, ["diagnosed"], "{days} days, {before}");
        }
    }
}

#[test]
fn observations_and_batches_outlive_a_clock_that_is_behind_for_one_sync() {
    for days in [-1, -30, -400] {
        let levels = after_a_wrong_clock(days, true);
        assert_eq!(levels, ["diagnosed"], "{days} days");
    }
}
