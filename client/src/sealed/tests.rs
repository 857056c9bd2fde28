use bellwether_formats::descriptor::Gateway;
use bellwether_formats::id::Level;
use ciborium::Value;
use proptest::prelude::*;

use super::fixture::{AT, Published, chance, id, observed, payload, seen};
use super::*;
use crate::confirm::{Operators, What};

const DAY: u64 = 86_400;

fn operators(count: usize) -> Operators {
    let gateways: Vec<Gateway> = (0..count)
        .map(|number| Gateway {
            url: format!("https://relay{number}.example"),
            operator: format!("Operator {number}"),
        })
        .collect();
    Operators::of(&gateways, |_| true)
}

fn draw(part: &mut SealedPart, now: u64, seed: u64) -> bool {
    part.draw(now, Policy::Private, &operators(3), &mut chance(seed))
}

fn drawn_chunk(part: &SealedPart, which: Which) -> usize {
    match part.look(which).unwrap().open.as_ref().unwrap() {
        Kind::Pir { chunk, .. } | Kind::Lean { chunk } => *chunk,
        other => panic!("{other:?}"),
    }
}

/// Does the look as drawn, and gives what it found wrong.
fn look(published: &Published, part: &mut SealedPart, which: Which) -> Vec<Trouble> {
    let chunk = drawn_chunk(part, which);
    part.apply(which, &published.looked(chunk))
}

fn shown(part: &SealedPart) -> Vec<(Observation, Level)> {
    part.shown()
        .map(|((observation, _), told)| (observation, told.level()))
        .collect()
}

#[test]
fn an_observation_is_confirmed_if_it_is_the_identifier_and_in_time() {
    let published = Published::new(1, &[(1, payload(Level::DIAGNOSED))]);
    published.check();
    let alert = seen(1, AT - DAY);
    let unheard = [seen(2, AT - DAY), seen(1, AT), seen(1, AT - 14 * DAY - 1)];
    let mut part = published.held(&observed(&[&[alert], &unheard[..]].concat()));
    assert_eq!(part.unconfirmed().collect::<Vec<_>>(), [&alert]);
    assert_eq!(shown(&part), [], "a hit in a filter is never shown");
    assert!(part.unread(Policy::Private).is_some());

    assert!(draw(&mut part, AT, 1));
    assert_eq!(drawn_chunk(&part, Which::First), published.chunk(1));
    assert_eq!(look(&published, &mut part, Which::First), []);
    assert_eq!(shown(&part), [(alert, Level::DIAGNOSED)]);
    assert_eq!(part.shown().next().unwrap().1.grade(), Some(50));
    assert_eq!(part.unconfirmed().count(), 0);
    assert!(part.unread(Policy::Private).is_none());
}

#[test]
fn observed_before_of_the_entry_counts_and_levels_that_alert() {
    let earlier = |level| Payload {
        observed_before: AT - DAY,
        ..payload(level)
    };
    let published = Published::new(
        1,
        &[(1, earlier(Level::DIAGNOSED)), (2, earlier(Level::EXPIRED))],
    );
    let all = [
        seen(1, AT - DAY),
        seen(1, AT - DAY - 1),
        seen(2, AT - 2 * DAY),
    ];
    let mut part = published.held(&observed(&all));
    for chunk in [published.chunk(1), published.chunk(2)] {
        part.apply(Which::First, &published.looked(chunk));
    }
    assert_eq!(shown(&part), [(all[1], Level::DIAGNOSED)]);
    assert_eq!(part.unconfirmed().count(), 0);
}

#[test]
fn a_look_is_drawn_at_once_and_another_a_day_later_whatever_was_observed() {
    let published = Published::new(1, &[(1, payload(Level::DIAGNOSED))]);
    for observations in [vec![], vec![seen(1, AT - DAY)]] {
        let mut part = published.held(&observed(&observations));
        assert!(draw(&mut part, AT, 1));
        let first = part.clone();
        assert!(
            !draw(&mut part, AT + DAY - 1, 2),
            "drawn once, and no sooner"
        );
        assert_eq!(part, first);
        assert!(
            draw(&mut part, AT + DAY, 3),
            "the first one being done or not"
        );
        assert_eq!(part.look(Which::First), first.look(Which::First));
        assert_eq!(part.open_looks().count(), 2);
        for which in Which::BOTH {
            look(&published, &mut part, which);
        }
        assert!(!draw(&mut part, AT + 9 * DAY, 4), "and no third");
        assert_eq!(part.open_looks().count(), 0);
    }
}

/// A state of before schemes with times has candidates without a day.
#[test]
fn candidates_of_an_older_state_are_read() {
    let published = Published::new(1, &[(1, payload(Level::DIAGNOSED))]);
    let part = published.held(&observed(&[seen(1, AT - DAY)]));
    let mut value = Value::serialized(&part).unwrap();
    let mut dropped = 0;
    let mut forget_days = |value: &mut Value| {
        let Value::Map(entries) = value else {
            panic!("a map");
        };
        let before = entries.len();
        entries.retain(|(key, _)| key.as_text() != Some("day"));
        dropped += before - entries.len();
    };
    let fields = value.as_map_mut().unwrap().iter_mut();
    let candidates = fields.filter(|(key, _)| key.as_text() == Some("candidates"));
    for (_, candidates) in candidates {
        candidates
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .for_each(&mut forget_days);
    }
    assert_eq!(dropped, 1);
    assert_eq!(value.deserialized::<SealedPart>().unwrap(), part);
}

#[test]
fn a_late_observation_is_confirmed_by_the_second_look() {
    let published = Published::new(1, &[(1, payload(Level::DIAGNOSED))]);
    let mut observations = observed(&[]);
    let mut part = published.held(&observations);
    draw(&mut part, AT, 1);
    // Chance looks at the very chunk: what was looked at before it was observed settles nothing.
    part.apply(Which::First, &published.looked(published.chunk(1)));
    let late = seen(1, AT - DAY);
    observations.record(&[late], AT + 60).unwrap();
    assert!(published.test(&mut part, &observations));
    assert!(!published.test(&mut part, &observations), "tested once");
    assert_eq!(part.unconfirmed().count(), 1);
    assert!(!draw(&mut part, AT + DAY - 1, 2));
    draw(&mut part, AT + DAY, 2);
    look(&published, &mut part, Which::Second);
    assert_eq!(shown(&part), [(late, Level::DIAGNOSED)]);
}

#[test]
fn of_several_hits_each_look_settles_one_and_what_shares_its_chunk() {
    let levels: Vec<(u64, Payload)> = (0..60).map(|n| (n, payload(Level::SYMPTOMATIC))).collect();
    let published = Published::new(3, &levels);
    let chunk = |number: &u64| published.chunk(*number);
    // Two in one chunk, and two in others.
    let (one, same) = (0..60)
        .flat_map(|a| (0..a).map(move |b| (a, b)))
        .find(|(a, b)| chunk(a) == chunk(b))
        .unwrap();
    let others: Vec<u64> = (0..60)
        .filter(|n| chunk(n) != chunk(&one))
        .take(2)
        .collect();
    assert_ne!(chunk(&others[0]), chunk(&others[1]));
    let numbers = [one, same, others[0], others[1]];
    let all: Vec<Observation> = numbers.iter().map(|n| seen(*n, AT - DAY)).collect();
    for seed in 0..20 {
        let mut part = published.held(&observed(&all));
        draw(&mut part, AT, seed);
        draw(&mut part, AT + DAY, seed + 100);
        let looks = Which::BOTH.map(|which| drawn_chunk(&part, which));
        assert_ne!(
            looks[0], looks[1],
            "the second look is for what the first one leaves"
        );
        for which in Which::BOTH {
            look(&published, &mut part, which);
        }
        let confirmed = shown(&part).len();
        let expected = if looks.contains(&chunk(&one)) { 3 } else { 2 };
        assert_eq!(
            (confirmed, part.unconfirmed().count()),
            (expected, 4 - expected)
        );
    }
}

#[test]
fn a_newer_version_withdraws_what_it_does_not_confirm() {
    let diagnosed = payload(Level::DIAGNOSED);
    let first = Published::new(1, &(1..=5).map(|n| (n, diagnosed)).collect::<Vec<_>>());
    let observations = observed(&(1..=5).map(|n| seen(n, AT - DAY)).collect::<Vec<_>>());
    let mut old = first.held(&observations);
    for number in 1..=5 {
        old.apply(Which::First, &first.looked(first.chunk(number)));
    }
    let before: BTreeMap<LookUp, Told> = old.shown().collect();
    assert_eq!(before.len(), 5);

    // 1 is gone; 2 says something else; 3 and 4 stand; 5 expired.
    let second = Published::new(
        2,
        &[
            (2, payload(Level::SYMPTOMATIC)),
            (3, diagnosed),
            (4, diagnosed),
            (5, payload(Level::EXPIRED)),
        ],
    );
    let mut part = second.held(&observations);
    part.inherit(&before);
    let has = |part: &SealedPart, number| {
        let shown = shown(part);
        shown
            .into_iter()
            .find(|(seen, _)| seen.id == id(number))
            .map(|(_, level)| level)
    };
    assert_eq!(has(&part, 1), None, "withdrawn by the filter");
    assert_eq!(
        has(&part, 2),
        Some(Level::DIAGNOSED),
        "as before, until it was looked at"
    );
    draw(&mut part, AT, 1);
    let looked = drawn_chunk(&part, Which::First);
    assert!((2..=5).any(|number| second.chunk(number) == looked));
    look(&second, &mut part, Which::First);
    for number in [2, 5] {
        part.apply(Which::First, &second.looked(second.chunk(number)));
    }
    assert_eq!(has(&part, 2), Some(Level::SYMPTOMATIC));
    assert_eq!(has(&part, 5), None, "withdrawn by its level");
    assert_eq!(
        (has(&part, 3), has(&part, 4)),
        (Some(Level::DIAGNOSED), Some(Level::DIAGNOSED))
    );
    draw(&mut part, AT + DAY, 1);
    look(&second, &mut part, Which::Second);
    let left = [3, 4].map(|n| part.unconfirmed().any(|seen| seen.id == id(n)));
    for (number, left) in [3, 4].into_iter().zip(left) {
        let expected = if left { None } else { Some(Level::DIAGNOSED) };
        assert_eq!(has(&part, number), expected, "both looks are done");
    }
    assert!(left.contains(&false));
}

#[test]
fn what_the_version_before_confirmed_is_looked_at_first() {
    let ids: Vec<(u64, Payload)> = (0..30).map(|n| (n, payload(Level::DIAGNOSED))).collect();
    let published = Published::new(1, &ids);
    let all: Vec<Observation> = (0..30).map(|n| seen(n, AT - DAY)).collect();
    for seed in 0..10 {
        let mut part = published.held(&observed(&all));
        let told = Told::of(&payload(Level::DIAGNOSED));
        part.inherit(&[((all[11], None), told)].into());
        draw(&mut part, AT, seed);
        assert_eq!(drawn_chunk(&part, Which::First), published.chunk(11));
    }
}

#[test]
fn a_chunk_that_breaks_a_rule_leaves_doubt_and_changes_no_request() {
    let published = Published::new(1, &[(1, payload(Level::DIAGNOSED))]);
    let mut part = published.held(&observed(&[seen(1, AT - DAY)]));
    draw(&mut part, AT, 1);
    let mut sound = part.clone();
    let chunk = drawn_chunk(&part, Which::First);
    let mut bytes = published.chunks[chunk].clone();
    *bytes.last_mut().unwrap() = 1;
    let troubles = part.apply(Which::First, &What::Verified(vec![(chunk, bytes)]));
    assert_eq!(troubles.first().map(|(rule, _)| *rule), Some("chunk-tail"));
    assert_eq!((shown(&part), part.stage), (vec![], Stage::Held));
    assert!(part.unread(Policy::Private).is_some());

    look(&published, &mut sound, Which::First);
    for part in [&mut part, &mut sound] {
        draw(part, AT + DAY, 2);
    }
    assert_eq!(part.look(Which::Second), sound.look(Which::Second));
}

#[test]
fn masks_say_nothing_of_the_chunk() {
    let published = Published::new(1, &[(1, payload(Level::DIAGNOSED))]);
    let wanted = published.chunk(1);
    let hit = published.held(&observed(&[seen(1, AT - DAY)]));
    let none = published.held(&observed(&[]));
    let draws = 2000;
    let mut counts = vec![[0_u32; 2]; published.shape().chunks()];
    let mut random_chunks = vec![0_u32; published.shape().chunks()];
    for seed in 0..draws {
        let masks = |part: &SealedPart| {
            let mut part = part.clone();
            draw(&mut part, AT, seed);
            let open = part.look(Which::First).unwrap().open.clone().unwrap();
            let Kind::Pir {
                chunk,
                mask,
                order,
                halves,
            } = open
            else {
                panic!()
            };
            (chunk, mask, order, halves)
        };
        let (chunk, mask, order, halves) = masks(&hit);
        let (other, ..) = masks(&none);
        assert_eq!(
            masks(&none),
            (other, mask.clone(), order, halves),
            "but for the chunk"
        );
        assert_eq!(chunk, wanted);
        random_chunks[other] += 1;
        let a = bellwether_formats::pir::Mask::decode(&mask, counts.len()).unwrap();
        for (half, mask) in [a.clone(), a.flipped(chunk).unwrap()].iter().enumerate() {
            for bit in mask.chosen() {
                counts[bit][half] += 1;
            }
        }
    }
    // Five sigma of a fair coin over 2000 draws is 112.
    let fair = |count: &u32| count.abs_diff(1000) <= 112;
    assert!(counts.iter().flatten().all(fair), "{counts:?}");
    // Mean 31.25, sigma 5.5.
    assert!(random_chunks.iter().all(|count| (4..60).contains(count)));
}

#[test]
fn where_one_operator_is_known_small_bodies_come_whole_and_large_ones_hide_among_others() {
    let one = operators(1);
    let small = Published::new(1, &[(1, payload(Level::DIAGNOSED))]);
    let large = Published::padded(1, &[(1, payload(Level::DIAGNOSED))], 17_000);
    assert!(large.shape().body_bytes() > 512 * 1024);
    for (published, whole) in [(&small, true), (&large, false)] {
        let mut part = published.held(&observed(&[seen(1, AT - DAY)]));
        assert!(!part.draw(AT, Policy::Private, &operators(0), &mut chance(1)));
        assert!(part.draw(AT, Policy::Private, &one, &mut chance(1)));
        // As drawn, also when a second operator turns up.
        assert!(!part.draw(AT, Policy::Private, &operators(2), &mut chance(2)));
        match part.look(Which::First).unwrap().open.as_ref().unwrap() {
            Kind::Whole => assert!(whole),
            Kind::Decoys { chunks } => {
                let mut distinct = chunks.clone();
                distinct.sort_unstable();
                distinct.dedup();
                assert_eq!((whole, distinct.len()), (false, 8));
                assert!(chunks.contains(&published.chunk(1)));
            }
            other => panic!("{other:?}"),
        }
    }
    let mut places = [0_u32; 8];
    for seed in 0..400 {
        let mut part = large.held(&observed(&[seen(1, AT - DAY)]));
        part.draw(AT, Policy::Private, &one, &mut chance(seed));
        let open = part.look(Which::First).unwrap().open.clone();
        let Some(Kind::Decoys { chunks }) = open else {
            panic!()
        };
        places[chunks
            .iter()
            .position(|chunk| *chunk == large.chunk(1))
            .unwrap()] += 1;
    }
    assert!(
        places.iter().all(|count| (20..80).contains(count)),
        "{places:?}"
    );
}

#[test]
fn with_two_operators_known_and_one_to_be_asked_nothing_is_drawn() {
    let published = Published::new(1, &[(1, payload(Level::DIAGNOSED))]);
    let mut part = published.held(&observed(&[seen(1, AT - DAY)]));
    let gateways = ["https://a.example", "https://b.example"].map(|url| Gateway {
        url: url.into(),
        operator: url.into(),
    });
    let operators = Operators::of(&gateways, |gateway| gateway.url.contains("a.example"));
    assert!(!part.draw(AT, Policy::Private, &operators, &mut chance(1)));
    assert_eq!(part.open_looks().count(), 0);
}

#[test]
fn lean_looks_on_a_hit_alone_and_whole_body_always() {
    let published = Published::new(1, &[(1, payload(Level::DIAGNOSED))]);
    let mut observations = observed(&[]);
    let mut part = published.held(&observations);
    assert!(!part.draw(AT, Policy::Lean, &operators(1), &mut chance(1)));
    assert!(
        part.unread(Policy::Lean).is_none(),
        "the filter said no to everything"
    );
    assert!(part.unread(Policy::Private).is_some());
    let mut whole = part.clone();
    assert!(whole.draw(AT, Policy::WholeBody, &operators(1), &mut chance(1)));
    assert_eq!(
        whole.open_looks().collect::<Vec<_>>(),
        [(Which::First, &Kind::Whole)]
    );

    observations.record(&[seen(1, AT - DAY)], AT).unwrap();
    published.test(&mut part, &observations);
    assert!(part.unread(Policy::Lean).is_some());
    assert!(part.draw(AT, Policy::Lean, &operators(1), &mut chance(1)));
    look(&published, &mut part, Which::First);
    assert_eq!(shown(&part).len(), 1);
    assert!(!part.draw(AT + DAY, Policy::Lean, &operators(1), &mut chance(1)));
}

#[test]
fn who_changes_the_policy_means_the_looks_under_way() {
    let published = Published::new(1, &[(1, payload(Level::DIAGNOSED))]);
    let mut part = published.held(&observed(&[seen(1, AT - DAY)]));
    part.draw(AT, Policy::Lean, &operators(2), &mut chance(1));
    assert!(matches!(
        part.open_looks().next(),
        Some((_, Kind::Lean { .. }))
    ));
    part.draw(AT, Policy::Private, &operators(2), &mut chance(1));
    assert!(matches!(
        part.open_looks().next(),
        Some((_, Kind::Pir { .. }))
    ));
    part.draw(AT, Policy::WholeBody, &operators(2), &mut chance(1));
    assert_eq!(
        part.open_looks().collect::<Vec<_>>(),
        [(Which::First, &Kind::Whole)]
    );
    let whole = part.clone();
    part.draw(AT, Policy::Private, &operators(2), &mut chance(2));
    assert_eq!(part, whole, "a whole body leaks nothing under either");
}

#[test]
fn a_part_is_what_its_batch_says_and_its_siblings_bear_out() {
    let published = Published::new(1, &[]);
    let sound = &published.batch;
    let part = SealedPart::of(sound, 0).unwrap();
    assert_eq!((part.number, part.parts, part.range), (0, 1, (1, 1)));
    assert_eq!(part.stage, Stage::Wanted);
    assert!(SealedPart::of(sound, 1).is_none());

    let mut two = sound.clone();
    two.parts.push(two.parts[0].clone());
    let second = SealedPart::of(&two, 1).unwrap();
    assert_eq!(
        (second.number, second.parts, second.stage),
        (1, 2, Stage::Wanted)
    );

    let mut apart = two.clone();
    let mut other = apart.parts[0].clone();
    if let Part::Sealed(other) = &mut other {
        other.scheme = Scheme::CX2;
    }
    apart.parts.insert(1, other);
    let stages = |batch: &Batch| -> Vec<Stage> {
        (0..batch.parts.len())
            .map(|position| SealedPart::of(batch, position).unwrap().stage)
            .collect()
    };
    assert_eq!(
        stages(&apart),
        [Stage::Broken, Stage::Wanted, Stage::Broken]
    );

    let mut unequal = two;
    if let Part::Sealed(part) = &mut unequal.parts[1] {
        part.ids = 10_240;
    }
    assert_eq!(stages(&unequal), [Stage::Broken, Stage::Broken]);
    let mut no_rung = sound.clone();
    if let Part::Sealed(part) = &mut no_rung.parts[0] {
        part.ids = 8193;
    }
    assert!(SealedPart::of(&no_rung, 0).is_none(), "for a later version");
}

#[test]
fn what_is_kept_is_read_back() {
    let published = Published::new(1, &[(1, payload(Level::DIAGNOSED))]);
    let mut part = published.held(&observed(&[seen(1, AT - DAY)]));
    draw(&mut part, AT, 1);
    let mut bytes = Vec::new();
    ciborium::into_writer(&part, &mut bytes).unwrap();
    assert!(bytes.len() < 900, "{} bytes", bytes.len());
    assert_eq!(part, ciborium::from_reader(bytes.as_slice()).unwrap());
}

#[test]
fn a_filter_that_says_possible_to_everything_costs_bounded_memory_and_leaves_doubt() {
    let published = Published::new(1, &[]);
    let all: Vec<Observation> = (0..5000).map(|n| seen(n, AT - DAY)).collect();
    let mut part = published.held(&observed(&[]));
    part.test(&observed(&all), |_| true);
    assert_eq!(part.unconfirmed().count(), MAX_CANDIDATES);
    for (number, bytes) in published.chunks.iter().enumerate().take(32) {
        part.apply(Which::First, &What::Verified(vec![(number, bytes.clone())]));
    }
    assert_eq!(shown(&part), []);
    part.expire(AT + 30 * DAY);
    assert_eq!(part.unconfirmed().count(), 0);
}

#[test]
fn no_bytes_of_a_chunk_do_harm() {
    let published = Published::new(1, &[(1, payload(Level::DIAGNOSED))]);
    let held = published.held(&observed(&[seen(1, AT - DAY)]));
    let right = &published.chunks[published.chunk(1)];
    let bytes = (
        prop::collection::vec(any::<u8>(), 0..5000),
        0..3_u8,
        0..4096_usize,
        0..80_usize,
    );
    proptest!(|((bytes, kind, at, number) in bytes)| {
        // Any bytes; the right ones with some others in them; the right ones in a wrong place.
        let (number, bytes) = match kind {
            0 => (number, bytes),
            1 => (published.chunk(1), right.iter().copied().take(at).chain(bytes).collect()),
            _ => (number, right.clone()),
        };
        let wrong = bytes != *right || number != published.chunk(1);
        let mut part = held.clone();
        let troubles = part.apply(Which::First, &What::Verified(vec![(number, bytes)]));
        if wrong {
            prop_assert_eq!(shown(&part), []);
            prop_assert_eq!(troubles.len(), 1);
        }
    });
}
