//! What holds whatever relays do, whenever the phone dies.

use std::collections::BTreeSet;

use proptest::prelude::*;

use bellwether_formats::sealed::Payload;

use super::*;

fn mood() -> impl Strategy<Value = Mood> {
    prop_oneof![3 => Just(Honest), 1 => Just(Lies), 1 => Just(Dead), 1 => Just(Missing), 1 => Just(Short)]
}

/// What happens in one sync: when, how relays behave, when the phone dies, and what chance draws.
type Happening = (u64, Vec<Mood>, usize, u64);

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let steps = prop_oneof![2 => Just(ALL), 1 => 0..12_usize];
    let moods = prop::collection::vec(mood(), 1..6);
    let happening = (0..50_000_u64, moods, steps, any::<u64>());
    prop::collection::vec(happening, 1..8)
}

/// What a part's relays see of a request, and half B's mask apart.
type Seen = (Option<(Key, Which)>, String, Gateway, usize, Option<usize>);

fn seen_by_relays(phone: &Phone) -> Vec<Seen> {
    let log = phone.log.iter().map(|(about, request)| {
        let body = request.body.as_ref().map(Vec::len);
        let path = request.path.clone();
        (
            about.clone(),
            path,
            request.gateway.clone(),
            request.max_bytes,
            body,
        )
    });
    log.collect()
}

#[test]
fn whatever_happens_nobody_sees_who_was_exposed_and_nobody_is_told_a_lie() {
    let ids: Vec<(u64, Payload)> = (0..20).map(|n| (n, payload(Level::DIAGNOSED))).collect();
    let world = || vec![Published::new(1, &ids), Published::new(2, &ids)];
    // One was exposed, several times; the other never.
    let hits: Vec<Observation> = (0..6).map(|n| seen(n, AT - DAY)).collect();
    let misses: Vec<Observation> = (100..106).map(|n| seen(n, AT - DAY)).collect();
    let phones = [Phone::new(world(), &hits), Phone::new(world(), &misses)];
    let parts = phones.each_ref().map(|phone| phone.parts.clone());
    let phones = std::cell::RefCell::new(phones);
    let config = ProptestConfig::with_cases(150);
    proptest!(config, |(happenings in happenings())| {
        let mut phones = phones.borrow_mut();
        for (phone, parts) in phones.iter_mut().zip(&parts) {
            phone.parts.clone_from(parts);
            phone.log.clear();
            phone.now = AT;
            for (later, moods, steps, seed) in &happenings {
                phone.now += later;
                phone.sync(moods, *seed, *steps);
            }
            halves_are_apart(phone)?;
        }
        let [exposed, unexposed] = &*phones;
        prop_assert_eq!(seen_by_relays(exposed), seen_by_relays(unexposed));
        for (one, other) in exposed.log.iter().zip(&unexposed.log) {
            differ_by_the_chunk(one, other)?;
        }
        prop_assert_eq!(unexposed.shown(), []);
        prop_assert!(exposed.shown().iter().all(|shown| hits.contains(shown)));
    });
}

/// The masks of both phones' requests are equal, as chance was; or they are half B, and differ by
/// the two chunks.
fn differ_by_the_chunk(
    (_, one): &(Option<(Key, Which)>, Request),
    (_, other): &(Option<(Key, Which)>, Request),
) -> Result<(), TestCaseError> {
    if let (Some(one), Some(other)) = (&one.body, &other.body) {
        let differing = one.iter().zip(other).map(|(a, b)| (a ^ b).count_ones());
        let bits: u32 = differing.sum();
        prop_assert!(bits == 0 || bits == 2);
    }
    Ok(())
}

/// In all requests for a look there are two masks at most, and no operator saw both.
fn halves_are_apart(phone: &Phone) -> Result<(), TestCaseError> {
    let mut saw: BTreeMap<(Key, Which), BTreeMap<Vec<u8>, BTreeSet<String>>> = BTreeMap::new();
    for (about, request) in &phone.log {
        if let Some(mask) = &request.body {
            let masks = saw.entry(about.clone().unwrap()).or_default();
            let operators = masks.entry(mask.clone()).or_default();
            operators.insert(request.gateway.operator.clone());
        }
    }
    for masks in saw.values() {
        let who: Vec<_> = masks.values().collect();
        prop_assert!(who.len() <= 2, "{} masks", who.len());
        if let [a, b] = who.as_slice() {
            prop_assert!(a.is_disjoint(b), "{a:?} {b:?}");
        }
    }
    Ok(())
}

#[test]
fn however_often_it_dies_the_look_is_the_one_drawn_first() {
    let (world, alert) = one_alert();
    let mut phone = Phone::new(world, &[alert]);
    let fresh = phone.parts.clone();
    for steps in 0..6 {
        phone.parts.clone_from(&fresh);
        phone.log.clear();
        phone.sync(&[Honest, Honest, Honest], 7, steps);
        let begun = std::mem::take(&mut phone.log);
        phone.sync(&[Honest, Honest, Honest], 8, ALL);
        assert_eq!(phone.shown(), [alert]);
        for (once, again) in begun.iter().zip(&phone.log) {
            assert_eq!(once, again);
        }
    }
}

#[test]
fn what_is_persisted_names_everybody_before_they_are_asked() {
    let (world, alert) = one_alert();
    let mut phone = Phone::new(world, &[alert]);
    let known: Vec<Gateway> = (0..5).map(gateway).collect();
    let operators = Operators::of(&known, |_| true);
    let fresh = phone.parts.clone();
    for seed in 0..3 {
        for steps in 1..14 {
            // It dies after each step in turn; whoever was asked until then is in the state.
            phone.parts.clone_from(&fresh);
            phone.log.clear();
            phone.sync_with(&operators, &|_| Missing, seed, steps);
            let Some((_, Kind::Pir { halves, mask, .. })) = phone.parts[0].open_looks().next()
            else {
                panic!();
            };
            for (_, request) in &phone.log {
                let half = if request.body.as_ref() == Some(mask) {
                    Half::A
                } else {
                    Half::B
                };
                let gateway = request.gateway.clone();
                let asked = Operators::of(&[gateway], |_| true);
                assert!(halves.has(half, asked.drawn(&[0; 16])[0]));
            }
        }
    }
}
