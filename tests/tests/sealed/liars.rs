//! Relays that lie in their answers to private queries, are slow with them, or give none.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use bellwether_tests::Phone;
use bellwether_tests::gate::{Gate, Mood};

use super::{Scene, alerted, blamed, said};

/// Longer than a client waits for an answer.
const TOO_SLOW: Duration = Duration::from_secs(32);

/// A phone and what stands before the relays that it follows.
struct Followed {
    phone: Phone,
    gates: Vec<Gate>,
}

impl Followed {
    /// The phone was near the patient.
    fn new(scene: &Scene, name: &str, operators: usize) -> Self {
        let gates: Vec<Gate> = scene
            .gateways()
            .iter()
            .cycle()
            .take(operators)
            .map(|url| Gate::before(url))
            .collect();
        let urls: Vec<&str> = gates.iter().map(|gate| gate.url.as_str()).collect();
        let phone = scene.phone(name, &urls);
        phone.observed(&scene.heard[..1]);
        Self { phone, gates }
    }

    /// The masks that each gate was sent.
    fn masks(&self) -> Vec<Vec<Vec<u8>>> {
        self.gates.iter().map(Gate::masks).collect()
    }

    /// Nothing is claimed to be known: neither an alert nor that there is none.
    #[track_caller]
    fn is_unsure(&self) {
        let alerts = self.phone.alerts();
        assert_eq!((alerts.code, alerts.levels()), (3, vec![]), "{alerts:?}");
        assert!(alerts.told.contains("not covered"), "{alerts:?}");
    }
}

/// With two operators, one of them bad: no answer can be checked; the query is sent again as it was
/// drawn until both are honest.
#[track_caller]
fn two_operators(scene: &Scene, mood: Mood) {
    let phone = Followed::new(scene, &format!("two {mood:?}"), 2);
    phone.gates[1].is(mood);
    let synced = phone.phone.sync();
    assert_eq!(said(&synced)[2..], [0, 0], "{mood:?}: {synced}");
    assert!(
        blamed(&synced, rule(mood), &phone.gates[1].url),
        "{mood:?}: {synced}"
    );
    phone.is_unsure();
    let drawn = phone.masks();
    // A sync later nothing is better, and nothing else is asked.
    if !matches!(mood, Mood::Slow(_)) {
        assert_eq!(said(&phone.phone.sync())[2..], [0, 0]);
        phone.is_unsure();
        repeated(&drawn, &phone.masks());
    }
    phone.gates[1].is(Mood::Honest);
    let synced = phone.phone.sync();
    assert_eq!(said(&synced), [0, 2, 1, 1], "{mood:?}: {synced}");
    let masks = phone.masks();
    repeated(&drawn, &masks);
    assert_eq!(masks.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
    alerted(&phone.phone, &["diagnosed"]);
    // It is done: nothing is asked for once more.
    assert_eq!(said(&phone.phone.sync()), [0, 0, 0, 1]);
    assert_eq!(phone.masks(), [Vec::<Vec<u8>>::new(), Vec::new()]);
}

/// Each gate was sent what it was sent before, or nothing, and none ever saw the other's.
#[track_caller]
fn repeated(before: &[Vec<Vec<u8>>], now: &[Vec<Vec<u8>>]) {
    let (first, second) = (&before[0], &before[1]);
    assert!(
        first.iter().all(|mask| !second.contains(mask)),
        "{before:?}"
    );
    for (before, now) in before.iter().zip(now) {
        // One that was not reached last time, because the other failed first, may be now.
        let fresh: Vec<_> = now.iter().filter(|mask| !before.contains(mask)).collect();
        assert!(
            before.is_empty() || fresh.is_empty(),
            "{before:?}, then {now:?}"
        );
    }
    assert!(!now.concat().is_empty());
}

/// With operators to spare the same sync brings the truth, and names who stood in its way. Instead of
/// a dead one a third does; to find out who of two lies takes two more.
#[track_caller]
fn more_operators(scene: &Scene, mood: Mood, operators: usize) {
    for bad in 0..operators {
        let phone = Followed::new(scene, &format!("{operators} {bad} {mood:?}"), operators);
        phone.gates[bad].is(mood);
        let synced = phone.phone.sync();
        assert_eq!(said(&synced)[2..], [1, 1], "{mood:?}: {synced}");
        alerted(&phone.phone, &["diagnosed"]);
        let masks = phone.masks();
        for (number, gate) in phone.gates.iter().enumerate() {
            let is_bad = number == bad && !masks[number].is_empty();
            assert_eq!(blamed(&synced, rule(mood), &gate.url), is_bad, "{synced}");
        }
        let all: BTreeSet<_> = masks.concat().into_iter().collect();
        assert_eq!(all.len(), 2, "two halves, each sent unchanged");
        assert!(masks.iter().all(|masks| masks.len() <= 1), "{masks:?}");
    }
}

/// What is reported of who is in such a mood.
fn rule(mood: Mood) -> &'static str {
    if mood == Mood::Lies {
        "pir"
    } else {
        "unreachable"
    }
}

#[test]
fn who_lies_or_is_dead_or_slow_is_named_and_changes_nothing() {
    let scene = Scene::new(3);
    thread::scope(|scope| {
        scope.spawn(|| two_operators(&scene, Mood::Slow(TOO_SLOW)));
        for (mood, enough) in [(Mood::Lies, 4), (Mood::Dead, 3)] {
            two_operators(&scene, mood);
            more_operators(&scene, mood, enough);
        }
        // Slow, and yet in time.
        let phone = Followed::new(&scene, "slow", 2);
        phone.gates[0].is(Mood::Slow(Duration::from_secs(2)));
        assert_eq!(said(&phone.phone.sync()), [1, 2, 1, 1]);
        alerted(&phone.phone, &["diagnosed"]);
        // One that answers nothing at all: no look is drawn before there are two to ask.
        let phone = Followed::new(&scene, "gone", 2);
        phone.gates[0].is(Mood::Gone);
        let synced = phone.phone.sync();
        assert_eq!(said(&synced), [1, 0, 0, 0], "{synced}");
        assert!(
            blamed(&synced, "unreachable", &phone.gates[0].url),
            "{synced}"
        );
        phone.is_unsure();
        phone.gates[0].is(Mood::Honest);
        assert_eq!(said(&phone.phone.sync()), [0, 2, 1, 1]);
        alerted(&phone.phone, &["diagnosed"]);
    });
}
