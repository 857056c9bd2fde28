//! Sealed parts, from the signed batch to the alert: gateways in memory, an invented clock.

use std::collections::BTreeSet;

use bellwether_formats::id::Scheme;
use bellwether_formats::scheme::cx::{Generator, Seed};

use super::world::{DAY_S, Phone, World};
use super::*;
use crate::answers::Unknown;
use crate::fixture::{Sealed, WINDOW_S};
use crate::trust::{Cause, Choice};

mod policies;
mod troubles;
mod versions;

/// An update is needed for a part; and the codes that say of what.
fn update(schemes: &[u8], kinds: &[u64]) -> Doubted {
    let unknown = Unknown {
        schemes: schemes.iter().copied().collect(),
        kinds: kinds.iter().copied().collect(),
    };
    Doubted::Update { unknown, parts: 1 }
}

fn diagnosed(number: u8) -> Sealed {
    Sealed::of(&[(number, Level::DIAGNOSED)])
}

/// A world in which seed 7 was published five minutes ago.
fn world() -> World {
    let mut world = World::new();
    let at = world.now - 300;
    world.publish(
        at,
        &Sealed::of(&[(7, Level::DIAGNOSED), (8, Level::SYMPTOMATIC)]),
    );
    world
}

#[test]
fn who_was_near_is_alerted_and_nobody_else() {
    let world = world();
    let (now, mirror) = (world.now, world.mirror());
    let public_at = now - 300;
    let mut phone = Phone::new(&world, 2);
    for at in [
        public_at - WINDOW_S - 1,
        public_at - WINDOW_S,
        public_at - 1,
        public_at,
    ] {
        phone.observe(7, at, now);
    }
    phone.observe(9, now - 3600, now);
    phone.sync(&[Some(&mirror), Some(&mirror)], now);
    let alerts = phone.alerts(now);
    assert_eq!(times(&alerts), [public_at - WINDOW_S, public_at - 1]);
    assert_eq!(alerts.doubts, []);
    let found = &alerts.matches[0];
    assert_eq!(
        (found.level, found.scheme, found.grade),
        (Level::DIAGNOSED, Scheme::CX1, None)
    );
    assert_eq!(found.batch, world.chain[2].cid());
    let Report {
        filters,
        pir_queries,
        chunks,
        errors,
        ..
    } = &phone.report;
    assert_eq!(
        (*filters, *pir_queries, *chunks, errors.len()),
        (1, 2, 1, 0)
    );
    let hosts: BTreeSet<String> = phone.halves().into_iter().map(|half| half.0).collect();
    assert_eq!(hosts.len(), 2, "each half to another operator");
    let mut phone = phone.reopen();
    assert_eq!(phone.levels(now), [Level::DIAGNOSED]);
}

#[test]
fn a_phone_that_was_near_looks_like_one_that_was_not() {
    let world = world();
    let (now, mirror) = (world.now, world.mirror());
    let mirrors = [Some(&mirror), Some(&mirror)];
    let mut exposed = Phone::new(&world, 2);
    exposed.observe(7, now - 3600, now);
    let mut other = Phone::new(&world, 2);
    other.observe(9, now - 3600, now);
    for at in [now, now + 60, now + DAY_S, now + DAY_S + 60] {
        assert_eq!(
            exposed.sync(&mirrors, at).seen(),
            other.sync(&mirrors, at).seen()
        );
        assert_eq!(exposed.report, other.report);
        let queries = if at == now || at == now + DAY_S { 2 } else { 0 };
        assert_eq!(
            exposed.report.pir_queries, queries,
            "two looks, whatever was found"
        );
        assert_eq!(other.doubts(now), []);
    }
    assert_eq!(exposed.levels(now), [Level::DIAGNOSED]);
    assert_eq!(other.levels(now), []);
}

#[test]
fn a_hit_alone_is_no_alert() {
    let world = world();
    let (now, mirror) = (world.now, world.mirror());
    let bodiless = Mirror {
        bodies: world.blocks[..2]
            .iter()
            .map(|block| (block.cid(), block.clone()))
            .collect(),
        ..mirror.clone()
    };
    let mut phone = Phone::new(&world, 2);
    phone.observe(7, now - 3600, now);
    phone.sync(&[Some(&bodiless), Some(&bodiless)], now);
    assert_eq!(phone.levels(now), []);
    assert_eq!(phone.doubts(now), [uncovered(now - 300, Cause::Unsettled)]);
    assert_eq!(phone.client.candidates().len(), 1);
    let drawn = phone.halves();
    phone.sync(&[Some(&mirror), Some(&mirror)], now + 60);
    assert_eq!(phone.levels(now), [Level::DIAGNOSED]);
    let masks = |halves: &[(String, String, Vec<u8>)]| -> BTreeSet<Vec<u8>> {
        halves.iter().map(|half| half.2.clone()).collect()
    };
    let (before, after) = (masks(&drawn), masks(&phone.halves()));
    assert!(
        !before.is_empty() && before.is_subset(&after),
        "asked for as it was drawn"
    );
    assert!(phone.client.candidates().is_empty());
}

#[test]
fn what_was_observed_late_waits_for_the_second_look() {
    let world = world();
    let (now, mirror) = (world.now, world.mirror());
    let mirrors = [Some(&mirror), Some(&mirror)];
    let mut phone = Phone::new(&world, 2);
    phone.sync(&mirrors, now);
    phone.observe(7, now - 3600, now);
    phone.sync(&mirrors, now + 600);
    assert_eq!((phone.report.pir_queries, phone.levels(now).len()), (0, 0));
    assert_eq!(phone.client.candidates().len(), 1);
    phone.sync(&mirrors, now + DAY_S);
    assert_eq!(phone.levels(now), [Level::DIAGNOSED]);
}

/// Too late for both looks, it is settled by a body that is kept whole; else nobody can say "none".
#[test]
fn what_was_observed_after_both_looks_is_no_silence() {
    let world = world();
    let (now, mirror) = (world.now, world.mirror());
    let mirrors = [Some(&mirror), Some(&mirror)];
    for (policy, alert) in [(Policy::Private, false), (Policy::WholeBody, true)] {
        let mut phone = Phone::new(&world, 2);
        phone.client.set_policy(policy).unwrap();
        phone.sync(&mirrors, now);
        phone.sync(&mirrors, now + DAY_S);
        assert_eq!(phone.doubts(now), [], "{policy:?}");
        phone.observe(7, now - 3600, now);
        let levels: &[Level] = if alert { &[Level::DIAGNOSED] } else { &[] };
        let doubts: &[Doubted] = match alert {
            true => &[],
            false => &[uncovered(now - 300, Cause::Unsettled)],
        };
        for later in [0, DAY_S, 2 * DAY_S] {
            assert_eq!(phone.levels(now), levels, "{policy:?}");
            assert_eq!(phone.doubts(now), doubts, "{policy:?}");
            phone.sync(&mirrors, now + DAY_S + 600 + later);
            assert_eq!(phone.report.chunks, 0, "nothing is asked for because of it");
        }
    }
}

#[test]
fn a_revision_withdraws_and_changes() {
    let mut world = world();
    let now = world.now;
    let mut phone = Phone::new(&world, 2);
    phone.observe(7, now - 3600, now);
    phone.observe(8, now - 3600, now);
    let mirror = world.mirror();
    phone.sync(&[Some(&mirror), Some(&mirror)], now);
    phone.sync(&[Some(&mirror), Some(&mirror)], now + DAY_S);
    assert_eq!(phone.levels(now).len(), 2, "one a look");

    // Seed 7 is revoked: its absence in the filter is enough. Seed 8 is shown as before until its
    // chunk was looked at.
    let first = |at| Sealed {
        observed_before: Some(now - 300),
        window: Some(bellwether_formats::batch::Window {
            from: now - WINDOW_S,
            to: now - 300,
        }),
        ..Sealed::of(&[(8, at)]).covers(3, 3)
    };
    let second = world.publish(now + DAY_S + 60, &first(Level::DIAGNOSED));
    let mirror = world.mirror();
    let bare = Mirror {
        bodies: [].into(),
        ..mirror.clone()
    };
    phone.sync(&[Some(&bare), Some(&bare)], now + DAY_S + 120);
    assert_eq!(phone.levels(now).len(), 2, "the filter is not there");
    phone.sync(&[Some(&mirror), Some(&mirror)], now + DAY_S + 120);
    assert_eq!(phone.levels(now), [Level::DIAGNOSED]);
    assert_eq!(phone.alerts(now).matches[0].batch, second.cid());

    let nothing = Sealed {
        units: Vec::new(),
        ..first(Level::DIAGNOSED)
    };
    world.publish(now + DAY_S + 180, &nothing);
    let mirror = world.mirror();
    phone.sync(&[Some(&mirror), Some(&mirror)], now + DAY_S + 240);
    assert_eq!(phone.levels(now), []);
    assert_eq!(phone.doubts(now), []);
}

#[test]
fn who_was_away_catches_up_through_the_fold() {
    let mut world = World::new();
    let now = world.now;
    let mut phone = Phone::new(&world, 2);
    phone.observe(1, now - 6 * DAY_S, now);
    phone.observe(4, now - 6 * DAY_S, now);
    for day in 1..=3_u8 {
        world.publish(now - 5 * DAY_S + u64::from(day) * 3600, &diagnosed(day));
    }
    let fold = Sealed::of(&[(1, Level::DIAGNOSED), (2, Level::DIAGNOSED)]).covers(3, 5);
    let fold = world.publish(now - 4 * DAY_S, &fold);
    world.publish(now - DAY_S, &diagnosed(4));
    world.heartbeat(now - 60);
    let mirror = world.mirror();
    phone.sync(&[Some(&mirror), Some(&mirror)], now);
    assert_eq!(
        phone.choices()[2..7],
        [
            Some(Choice::Skipped),
            Some(Choice::Skipped),
            Some(Choice::Skipped),
            Some(Choice::Taken),
            Some(Choice::Taken)
        ]
    );
    assert_eq!(phone.report.filters, 2);
    assert_eq!(phone.levels(now), [Level::DIAGNOSED; 2]);
    assert_eq!(phone.alerts(now).matches[0].batch, fold.cid());

    // Who was there all the time skips the fold.
    let mut early = Phone::new(&world, 2);
    let before = Mirror {
        batches: world.chain[..5].to_vec(),
        ..mirror.clone()
    };
    early.sync(&[Some(&before), Some(&before)], now);
    assert_eq!(early.report.filters, 3);
    early.sync(&[Some(&mirror), Some(&mirror)], now);
    assert_eq!(
        (early.report.filters, early.choices()[5]),
        (1, Some(Choice::Skipped))
    );
    assert_eq!(early.doubts(now), []);
}

#[test]
fn a_relay_that_lies_is_named_and_passed_over() {
    let world = world();
    let (now, mirror) = (world.now, world.mirror());
    let liar = Mirror {
        lies: true,
        ..mirror.clone()
    };
    for _ in 0..8 {
        let mut phone = Phone::new(&world, 4);
        phone.observe(7, now - 3600, now);
        phone.sync(
            &[Some(&mirror), Some(&liar), Some(&mirror), Some(&mirror)],
            now,
        );
        assert_eq!(phone.levels(now), [Level::DIAGNOSED]);
        let named = phone
            .report
            .errors
            .iter()
            .map(|problem| problem.gateway.as_deref());
        assert!(
            named.flatten().all(|gateway| gateway == "https://g1"),
            "{:?}",
            phone.report
        );
    }
    let mut phone = Phone::new(&world, 2);
    phone.observe(7, now - 3600, now);
    phone.sync(&[Some(&mirror), Some(&liar)], now);
    assert_eq!(phone.levels(now), [], "no false alert");
    assert!(phone.rules().contains(&"pir"), "{:?}", phone.report);
    assert_eq!(phone.doubts(now), [uncovered(now - 300, Cause::Unsettled)]);
    phone.sync(&[Some(&mirror), Some(&mirror)], now + 60);
    assert_eq!(phone.levels(now), [Level::DIAGNOSED]);
}

/// The process dies after every step of a sync in turn, and begins again.
#[test]
fn a_death_at_any_step_costs_no_alert_and_gives_no_half_away() {
    let world = world();
    let (now, mirror) = (world.now, world.mirror());
    let mirrors = [Some(&mirror), Some(&mirror), Some(&mirror)];
    for steps in 0.. {
        let mut phone = Phone::new(&world, 3);
        phone.observe(7, now - 3600, now);
        let done = phone.sync_some(&mirrors, now, steps);
        let mut sent = phone.halves();
        let mut phone = phone.reopen();
        phone.sync(&mirrors, now + 60);
        sent.extend(phone.halves());
        assert_eq!(phone.levels(now), [Level::DIAGNOSED], "after step {steps}");
        let masks = |gateway: &str| -> BTreeSet<&Vec<u8>> {
            let of = sent.iter().filter(|half| half.0 == gateway);
            of.map(|half| &half.2).collect()
        };
        for gateway in ["https://g0", "https://g1", "https://g2"] {
            assert!(
                masks(gateway).len() <= 1,
                "after step {steps}: {gateway} got both halves"
            );
        }
        if done {
            assert!(steps > 10);
            break;
        }
    }
}

#[test]
fn other_policies_find_the_same() {
    let world = world();
    let (now, mirror) = (world.now, world.mirror());
    for (policy, gateways, paths) in [
        (Policy::WholeBody, 2, 1),
        (Policy::Lean, 2, 1),
        // Of one operator alone, small bodies are fetched whole.
        (Policy::Private, 1, 1),
    ] {
        let mut phone = Phone::new(&world, gateways);
        phone.client.set_policy(policy).unwrap();
        let mut phone = phone.reopen();
        assert_eq!(phone.client.policy(), policy);
        phone.observe(7, now - 3600, now);
        phone.sync(&[Some(&mirror), Some(&mirror)][..gateways], now);
        assert_eq!(phone.levels(now), [Level::DIAGNOSED], "{policy}");
        assert_eq!(phone.doubts(now), [], "{policy}");
        assert_eq!(phone.report.pir_queries, 0);
        let index = world.blocks[1].cid().to_string();
        let whole = phone.asked.iter().filter(|request| {
            request.path.contains(&index) && request.path.ends_with("format=car")
        });
        assert_eq!(
            whole.count(),
            if policy == Policy::Lean { 0 } else { paths }
        );
    }
    let mut phone = Phone::new(&world, 2);
    phone.client.set_policy(Policy::Lean).unwrap();
    phone.sync(&[Some(&mirror), Some(&mirror)], now);
    assert_eq!(
        (phone.report.chunks, phone.doubts(now).len()),
        (0, 0),
        "no hit, no look"
    );
}

#[test]
fn a_filter_that_breaks_a_rule_is_in_doubt_for_good() {
    let mut world = World::new();
    let now = world.now;
    world.publish(
        now - 300,
        &Sealed {
            bits: 8,
            ..diagnosed(7)
        },
    );
    let mirror = world.mirror();
    let mut phone = Phone::new(&world, 2);
    phone.observe(7, now - 3600, now);
    phone.sync(&[Some(&mirror), Some(&mirror)], now);
    assert_eq!(phone.rules().len(), 1, "{:?}", phone.report);
    assert_eq!(phone.doubts(now), [uncovered(now - 300, Cause::Broken)]);
    phone.sync(&[Some(&mirror), Some(&mirror)], now);
    assert_eq!((phone.report.filters, phone.rules().len()), (0, 0));
    assert_eq!(phone.levels(now), []);
}

#[test]
fn a_filter_that_nobody_has_is_asked_for_again() {
    let world = world();
    let (now, mirror) = (world.now, world.mirror());
    let bare = Mirror {
        bodies: [].into(),
        ..mirror.clone()
    };
    let mut phone = Phone::new(&world, 3);
    phone.observe(7, now - 3600, now);
    phone.sync(&[Some(&bare), Some(&bare), None], now);
    assert!(
        phone.report.feeds[0].reached,
        "the batch does not wait for it"
    );
    assert_eq!(phone.doubts(now), [uncovered(now - 300, Cause::Missing)]);
    phone.sync(&[Some(&bare), Some(&mirror), Some(&mirror)], now);
    assert_eq!(
        (phone.levels(now), phone.doubts(now)),
        (vec![Level::DIAGNOSED], vec![])
    );

    // It is lost here: found by reading, and fetched again; the alert stays all the time.
    let filter = world.blocks[0].cid().to_string();
    std::fs::remove_file(phone.folder.path().join("blocks").join(filter)).unwrap();
    phone.observe(7, now - 1800, now);
    assert_eq!(phone.levels(now), [Level::DIAGNOSED]);
    assert_eq!(phone.doubts(now), [uncovered(now - 300, Cause::Missing)]);
    let mut phone = phone.reopen();
    phone.sync(&[None, Some(&mirror), Some(&mirror)], now + DAY_S);
    assert_eq!((phone.report.filters, phone.doubts(now)), (1, vec![]));
    assert_eq!(times(&phone.alerts(now)), [now - 3600, now - 1800]);
}

#[test]
fn no_branch_of_a_fork_silences_what_is_sealed_in_the_other() {
    let world = world();
    let now = world.now;
    let (side, blocks) = world
        .provider
        .sealed(world.chain.get(1), now - 200, &diagnosed(9));
    let one = world.mirror();
    let other = Mirror::new(
        &world.provider,
        &[world.chain[0].clone(), world.chain[1].clone(), side],
        &[blocks, world.blocks.clone()].concat(),
    );
    let mut phone = Phone::new(&world, 2);
    phone.observe(7, now - 3600, now);
    phone.observe(9, now - 3600, now);
    phone.sync(&[Some(&one), Some(&other)], now);
    phone.sync(&[Some(&one), Some(&other)], now + 60);
    let alerts = phone.alerts(now);
    let shown = alerts.matches.len();
    assert!(shown <= 2 && alerts.matches.iter().all(|found| found.disputed));
    // Each story's blocks are at one operator only: with a second one they are confirmed.
    let both = Mirror {
        bodies: other.bodies.clone(),
        ..one.clone()
    };
    phone.sync(&[Some(&both), Some(&other)], now + 120);
    assert_eq!(phone.levels(now), [Level::DIAGNOSED; 2]);
}

#[test]
fn what_the_version_before_could_not_read_is_read_now() {
    let world = world();
    let (now, mirror) = (world.now, world.mirror());
    let mut phone = Phone::new(&world, 2);
    phone.observe(7, now - 3600, now);
    let before = Mirror {
        bodies: [].into(),
        ..mirror.clone()
    };
    phone.sync(&[Some(&before), Some(&before)], now);
    let feed = &mut phone.client.state.followed[0].feeds[0];
    for batch in feed.batches_mut() {
        batch.choice = None;
        batch
            .parts
            .iter_mut()
            .for_each(|part| part.body = crate::trust::Body::Unread);
    }
    phone.client.store.save(&phone.client.state).unwrap();
    assert_eq!(phone.doubts(now), [update(&[], &[])]);
    let mut phone = phone.reopen();
    phone.sync(&[Some(&mirror), Some(&mirror)], now);
    assert_eq!(
        (phone.levels(now), phone.doubts(now)),
        (vec![Level::DIAGNOSED], vec![])
    );
}

#[test]
fn a_bundle_with_whole_bodies_needs_no_network() {
    let world = world();
    let (now, mirror) = (world.now, world.mirror());
    let mirrors = [Some(&mirror), Some(&mirror)];
    let mut giver = Phone::new(&world, 2);
    giver.client.set_policy(Policy::WholeBody).unwrap();
    giver.sync(&mirrors, now);
    giver.client.end_sync().unwrap();
    let mut lean_giver = Phone::new(&world, 2);
    lean_giver.sync(&mirrors, now);
    for (giver, whole) in [(&giver, true), (&lean_giver, false)] {
        let file = giver.folder.path().join("bundle.car");
        giver.client.export(&file).unwrap();
        let mut phone = Phone::new(&world, 0);
        phone.observe(7, now - 3600, now);
        let imported = phone.client.import(&file).unwrap();
        assert_eq!((imported.batches, imported.filters), (3, 1));
        if whole {
            assert_eq!(
                (phone.levels(now), phone.doubts(now)),
                (vec![Level::DIAGNOSED], vec![])
            );
        } else {
            assert_eq!(phone.doubts(now), [uncovered(now - 300, Cause::Unsettled)]);
            assert_eq!(
                (phone.levels(now).len(), phone.client.candidates().len()),
                (0, 1)
            );
        }
        // What was observed late is settled by the same bundle.
        phone.observe(8, now - 3600, now);
        let again = phone.client.import(&file).unwrap();
        assert_eq!((again.batches, again.filters), (0, 0));
        assert_eq!(phone.levels(now).len(), if whole { 2 } else { 0 });
    }
}

#[test]
fn what_a_thief_withdrew_comes_back_with_the_anchor() {
    let mut world = world();
    let now = world.now;
    let mut phone = Phone::new(&world, 2);
    phone.observe(7, now - 3600, now);
    let mirror = world.mirror();
    phone.sync(&[Some(&mirror), Some(&mirror)], now);
    let nothing = Sealed::of(&[]).covers(3, 3);
    world.publish(now - 200, &nothing);
    let mirror = world.mirror();
    phone.sync(&[Some(&mirror), Some(&mirror)], now);
    assert_eq!(phone.levels(now), []);

    world.provider.revoke(world.chain.get(2));
    world.chain.truncate(3);
    world.heartbeat(now - 60);
    let mirror = world.mirror();
    phone.sync(&[Some(&mirror), Some(&mirror)], now);
    assert!(phone.rules().contains(&"anchor"));
    assert_eq!(
        (phone.levels(now), phone.doubts(now)),
        (vec![Level::DIAGNOSED], vec![])
    );
}

/// Both schemes of the family, in one batch, each with its own filter.
#[test]
fn every_scheme_of_the_family_is_tested() {
    let mut world = World::new();
    let now = world.now;
    let units = [
        (Scheme::CX1, vec![7; 24], Level::DIAGNOSED),
        (Scheme::CX2, vec![7; 48], Level::SYMPTOMATIC),
    ];
    world.publish(now - 300, &Sealed::units(units.to_vec()));
    let mirror = world.mirror();
    let mut phone = Phone::new(&world, 2);
    let seed = Seed::new(Generator::Aes256, &[7; 48]).unwrap();
    let other = Observation {
        id: ContactId::from(*seed.identifiers().nth(9).unwrap().as_bytes()),
        ..near(7, now - 1800)
    };
    phone.client.observe_at(&[other], now).unwrap();
    phone.observe(7, now - 3600, now);
    phone.sync(&[Some(&mirror), Some(&mirror)], now);
    assert_eq!((phone.report.filters, phone.report.pir_queries), (2, 4));
    let alerts = phone.alerts(now);
    let found = alerts
        .matches
        .iter()
        .map(|found| (found.scheme, found.level));
    assert_eq!(
        found.collect::<Vec<_>>(),
        [
            (Scheme::CX1, Level::DIAGNOSED),
            (Scheme::CX2, Level::SYMPTOMATIC)
        ]
    );
    assert_eq!(times(&alerts), [now - 3600, now - 1800]);
}
