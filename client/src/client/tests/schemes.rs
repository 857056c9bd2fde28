//! Every scheme, open and sealed, from the signed batch to the alert.

use std::collections::BTreeSet;

use bellwether_formats::batch::{Part, Window};
use bellwether_formats::body::open::Terms;
use bellwether_formats::cid::Block;
use bellwether_formats::id::Scheme;

use super::world::{DAY_S, Phone, World};
use super::*;
use crate::fixture::{Sealed, WINDOW_S, part_of};
use crate::matcher::Match;

mod details;
mod samples;
mod updates;

use samples::{AT, MIDNIGHT, NOW, Sample, samples, tcn};

/// What the first batch speaks of.
const WINDOW: Window = Window {
    from: AT - WINDOW_S,
    to: AT,
};

/// One open part.
fn open_at(at: u64, scheme: Scheme, units: &[(&[u8], Level)]) -> (Part, Block) {
    let units = units.iter().map(|(unit, level)| {
        let terms = Terms {
            level: *level,
            grade: Some(37),
            observed_before: AT,
        };
        (terms, unit.to_vec())
    });
    part_of(scheme, at, units)
}

/// A sealed batch of units at a level.
fn sealed(units: &[(Scheme, &[u8])], level: Level) -> Sealed {
    let units = units
        .iter()
        .map(|(scheme, unit)| (*scheme, unit.to_vec(), level));
    Sealed {
        grade: Some(37),
        observed_before: Some(AT),
        ..Sealed::units(units.collect())
    }
}

/// A world in which the sample is published at level diagnosed, with a stranger's unit beside it.
fn world(sample: &Sample, open: bool) -> World {
    let mut world = World::at(NOW);
    let (scheme, unit) = (sample.scheme, sample.unit.as_slice());
    if open {
        let rules = scheme.rules().unwrap();
        let beside = rules.dummy(unit, &mut |bytes| bytes.fill(0x5a)).unwrap();
        let units = [(unit, Level::DIAGNOSED), (&beside, Level::SYMPTOMATIC)];
        world.publish_open(AT, open_at(AT, scheme, &units));
    } else {
        world.publish(AT, &sealed(&[(scheme, unit)], Level::DIAGNOSED));
    }
    world
}

/// Withdraws the sample.
fn withdraw(world: &mut World, sample: &Sample, open: bool) {
    let at = NOW - 60;
    if open {
        let units = [(sample.unit.as_slice(), Level::NO_ALERT)];
        world.publish_open(at, open_at(at, sample.scheme, &units));
    } else {
        // Something else of the same scheme is live.
        let units = vec![(Scheme::CX1, vec![99; 24], Level::DIAGNOSED)];
        world.publish(at, &Sealed::units(units).covers(3, 3));
    }
}

fn observe(phone: &mut Phone, observations: &[Observation]) {
    phone.client.observe_at(observations, NOW).unwrap();
}

fn sync(phone: &mut Phone, world: &World, at: u64) {
    let mirror = world.mirror();
    phone.sync(&[Some(&mirror), Some(&mirror)], at);
    assert_eq!(phone.rules(), [""; 0]);
}

/// Scheme and observations of each match.
fn found(phone: &mut Phone) -> Vec<(Scheme, Vec<Observation>)> {
    let matches = phone.alerts(NOW).matches;
    let of = |found: Match| (found.scheme, found.observations);
    matches.into_iter().map(of).collect()
}

/// Runs a test on every sample, open where its scheme can be, and sealed.
fn on_all(test: impl Fn(&Sample, bool)) {
    for sample in samples() {
        for open in [true, false] {
            if !open || sample.can_be_open() {
                println!("{} open: {open}, times {:?}", sample.scheme, sample.times);
                test(&sample, open);
            }
        }
    }
}

#[test]
fn who_was_near_in_time_is_alerted_and_nobody_else() {
    on_all(|sample, open| {
        let world = world(sample, open);
        let mut phone = Phone::new(&world, 2);
        observe(&mut phone, &sample.inside());
        observe(&mut phone, &sample.outside());
        observe(&mut phone, &[sample.stranger()]);
        sync(&mut phone, &world, NOW);
        assert_eq!(found(&mut phone), [(sample.scheme, sample.inside())]);
        let alerts = phone.alerts(NOW);
        assert_eq!(alerts.doubts, []);
        let grade = if open { 37 } else { 50 };
        let alert = &alerts.matches[0];
        assert_eq!(
            alert.grade,
            Some(grade),
            "in sealed parts the end of its quarter"
        );
        assert_eq!(alert.level, Level::DIAGNOSED);
        let mut phone = phone.reopen();
        assert_eq!(found(&mut phone), [(sample.scheme, sample.inside())]);
    });
}

#[test]
fn what_was_observed_of_another_family_matches_nothing() {
    on_all(|sample, open| {
        let world = world(sample, open);
        let mut phone = Phone::new(&world, 2);
        let len = sample.id.as_bytes().len();
        for family in Family::ALL {
            if family != sample.family() && family.takes(len) {
                let [first, _] = sample.inside()[..] else {
                    panic!("two of them");
                };
                observe(&mut phone, &[Observation { family, ..first }]);
            }
        }
        sync(&mut phone, &world, NOW);
        assert_eq!(found(&mut phone), []);
        assert!(phone.client.candidates().is_empty());
    });
}

#[test]
fn a_late_observation_is_found_as_well() {
    on_all(|sample, open| {
        let world = world(sample, open);
        let mut phone = Phone::new(&world, 2);
        sync(&mut phone, &world, NOW);
        observe(&mut phone, &sample.inside());
        if !open {
            assert_eq!(found(&mut phone), [], "a hit in a filter is no alert");
            let candidates = phone.client.candidates();
            assert_eq!(candidates.len(), sample.inside().len());
            let mut phone = phone.reopen();
            sync(&mut phone, &world, NOW + DAY_S);
            assert_eq!(found(&mut phone), [(sample.scheme, sample.inside())]);
            return;
        }
        assert_eq!(found(&mut phone), [(sample.scheme, sample.inside())]);
    });
}

/// Who reported a token would be alerted by the own report.
#[test]
fn what_is_forgotten_is_no_alert_any_more() {
    on_all(|sample, open| {
        let world = world(sample, open);
        let mut phone = Phone::new(&world, 2);
        observe(&mut phone, &sample.inside());
        sync(&mut phone, &world, NOW);
        assert_eq!(found(&mut phone).len(), 1);
        let forgotten = phone.client.forget(sample.family(), &[sample.id]).unwrap();
        assert_eq!(forgotten, sample.inside().len());
        assert_eq!(found(&mut phone), []);
        let mut phone = phone.reopen();
        sync(&mut phone, &world, NOW + DAY_S);
        assert_eq!(found(&mut phone), []);
    });
}

#[test]
fn what_is_withdrawn_is_no_alert_any_more() {
    on_all(|sample, open| {
        let mut world = world(sample, open);
        let mut phone = Phone::new(&world, 2);
        observe(&mut phone, &sample.inside());
        sync(&mut phone, &world, NOW);
        assert_eq!(found(&mut phone).len(), 1);
        withdraw(&mut world, sample, open);
        let mut phone = phone.reopen();
        sync(&mut phone, &world, NOW + 60);
        assert_eq!(found(&mut phone), []);
    });
}

/// A revision that still holds it lets the alert stand, whichever day it was looked up on.
#[test]
fn what_stands_in_a_revision_stays_an_alert() {
    for sample in samples() {
        let mut world = world(&sample, false);
        let mut phone = Phone::new(&world, 2);
        observe(&mut phone, &sample.inside());
        sync(&mut phone, &world, NOW);
        let units = [(sample.scheme, sample.unit.as_slice())];
        let again = Sealed {
            window: Some(WINDOW),
            ..sealed(&units, Level::CLINICALLY_DIAGNOSED).covers(3, 3)
        };
        let before = world.blocks.len();
        world.publish(NOW - 60, &again);
        // Its filter and index are there, its body is not: what was confirmed before is shown.
        let mut bodiless = world.mirror();
        for block in &world.blocks[before + 2..] {
            bodiless.bodies.remove(&block.cid());
        }
        phone.sync(&[Some(&bodiless), Some(&bodiless)], NOW + 60);
        assert_eq!(phone.levels(NOW), [Level::DIAGNOSED], "{}", sample.scheme);
        sync(&mut phone, &world, NOW + 120);
        assert_eq!(phone.levels(NOW), [Level::CLINICALLY_DIAGNOSED]);
        assert_eq!(found(&mut phone), [(sample.scheme, sample.inside())]);
    }
}

/// All schemes in two batches, and all families in one phone's state.
#[test]
fn all_families_live_in_one_state() {
    let mut all = samples();
    all.dedup_by_key(|sample| sample.scheme);
    let mut world = World::at(NOW);
    let mut parts = Vec::new();
    for sample in all.iter().filter(|sample| sample.can_be_open()) {
        let units = [(sample.unit.as_slice(), Level::DIAGNOSED)];
        let (part, body) = open_at(AT, sample.scheme, &units);
        parts.push(part);
        world.blocks.push(body);
    }
    let batch = world.provider.batch(world.chain.last(), AT, parts);
    world.chain.push(batch);
    let units = all
        .iter()
        .map(|sample| (sample.scheme, sample.unit.as_slice()));
    let content = Sealed {
        window: Some(WINDOW),
        ..sealed(&units.collect::<Vec<_>>(), Level::SYMPTOMATIC)
    };
    world.publish(AT + 60, &content);

    let mut phone = Phone::new(&world, 2);
    for sample in &all {
        observe(&mut phone, &sample.inside());
        observe(&mut phone, &[sample.stranger()]);
    }
    sync(&mut phone, &world, NOW);
    assert_eq!(phone.report.filters, 8);
    sync(&mut phone, &world, NOW + DAY_S);
    let mut phone = phone.reopen();
    let mut expected = Vec::new();
    for sample in &all {
        let times = if sample.can_be_open() { 2 } else { 1 };
        expected.extend(std::iter::repeat_n((sample.scheme, sample.inside()), times));
    }
    let mut found = found(&mut phone);
    found.sort();
    assert_eq!(found, expected);
    assert_eq!(phone.doubts(NOW), []);
}

/// What breaks its scheme's rules matches nothing and says nothing; what stands beside it does.
#[test]
fn a_unit_that_breaks_a_rule_does_not_stand_in_the_way() {
    let spoil = |sample: &Sample| -> Vec<u8> {
        let mut unit = sample.unit.clone();
        let last = unit.last_mut().unwrap();
        match sample.scheme {
            // A signature that does not hold, 22 days, 97 epochs.
            Scheme::TCN => *last ^= 1,
            Scheme::DP3T_LOWCOST => *last = 22,
            Scheme::DP3T_HYBRID => *last = 97,
            // 15 days since onset.
            Scheme::GAEN => *last = 15,
            _ => panic!("nothing to break"),
        }
        unit
    };
    let breakable = |sample: &Sample| sample.can_be_open() && sample.family() != Family::Cx;
    let mut tried = BTreeSet::new();
    for sample in samples().into_iter().filter(breakable) {
        let broken = spoil(&sample);
        let rules = sample.scheme.rules().unwrap();
        assert!(rules.check(&broken).is_err());
        let beside = rules.dummy(&sample.unit, &mut |bytes| bytes.fill(0x5a));
        let beside = beside.unwrap();

        let mut world = World::at(NOW);
        let units = [
            (broken.as_slice(), Level::DIAGNOSED),
            (&beside, Level::DIAGNOSED),
        ];
        world.publish_open(AT, open_at(AT, sample.scheme, &units));
        let mut phone = Phone::new(&world, 2);
        observe(&mut phone, &sample.inside());
        sync(&mut phone, &world, NOW);
        assert_eq!(found(&mut phone), [], "{}", sample.scheme);
        assert_eq!(phone.doubts(NOW), []);

        // The whole one is heard, and not withdrawn by one that is broken.
        let units = [(sample.unit.as_slice(), Level::DIAGNOSED)];
        world.publish_open(NOW - 120, open_at(AT, sample.scheme, &units));
        let units = [(broken.as_slice(), Level::NO_ALERT)];
        world.publish_open(NOW - 60, open_at(AT, sample.scheme, &units));
        sync(&mut phone, &world, NOW);
        assert_eq!(found(&mut phone), [(sample.scheme, sample.inside())]);
        tried.insert(sample.scheme);
    }
    assert_eq!(tried.len(), 4);
}

/// A relay sees the same of a phone whatever it observed, of whatever family, near midnight too.
#[test]
fn look_ups_change_nothing_on_the_wire() {
    let all = samples();
    let mut world = World::at(NOW);
    let units: Vec<(Scheme, &[u8])> = all
        .iter()
        .map(|sample| (sample.scheme, sample.unit.as_slice()))
        .collect();
    world.publish(AT, &sealed(&units, Level::DIAGNOSED));
    let mut quiet = Phone::new(&world, 2);
    let mut exposed = Phone::new(&world, 2);
    for sample in &all {
        observe(&mut exposed, &sample.inside());
        observe(
            &mut exposed,
            &[sample.seen(MIDNIGHT), sample.seen(MIDNIGHT - 1)],
        );
    }
    for at in [NOW, NOW + 60, NOW + DAY_S, NOW + DAY_S + 60] {
        sync(&mut quiet, &world, at);
        sync(&mut exposed, &world, at);
        assert_eq!(quiet.seen(), exposed.seen());
        assert_eq!(quiet.report, exposed.report);
    }
    assert_eq!(found(&mut quiet), []);
    assert!(!found(&mut exposed).is_empty());
}
