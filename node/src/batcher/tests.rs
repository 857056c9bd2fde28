use std::collections::{BTreeMap, BTreeSet};

use bellwether_formats::body::open::{OpenBody, Terms};
use bellwether_formats::id::{Level, ObjectId};
use bellwether_formats::signed::Signed;

use super::*;
use crate::store::Mode;
use crate::store::tests::fixture::{DAY, NOW, gb, key, policy, public, signed_descriptor};

fn head(published_at: u64) -> Head {
    Head {
        seq: 7,
        id: ObjectId::from_bytes([7; 32]),
        epoch: 1,
        published_at,
        next_by: published_at.saturating_add(3600),
    }
}

fn place<'a>(zone: &'a Zone, head: Option<&'a Head>, at: u64) -> Place<'a> {
    Place {
        provider: public(1),
        zone,
        key: public(3),
        desc: (1, signed_descriptor(1, 1).cid()),
        head,
        at,
        salt: [5; 16],
    }
}

mod schemes;

fn note(scheme: Scheme, which: u32, level: Level, published: Option<u64>) -> (RecordId, NoteRow) {
    let mut unit = vec![0xee; scheme.rules().unwrap().width().max()];
    unit[..4].copy_from_slice(&which.to_be_bytes());
    let row = NoteRow {
        scheme: scheme.0,
        level: level.0,
        issue: 1,
        accepted_at: NOW,
        published_level: published.map(|_| 5),
        observed_before: published.unwrap_or_default(),
        published_at: 0,
        dummy: false,
        mode: Mode::Open,
        batch: None,
        grade: None,
        next_grade: None,
        public_at: None,
        publish_from: 0,
        owner: None,
        unit,
    };
    (RecordId::of(scheme, &row.unit), row)
}

fn new(which: u32) -> (RecordId, NoteRow) {
    note(Scheme::CX1, which, Level::DIAGNOSED, None)
}

/// Bytes that repeat after 2^64 calls.
fn counter() -> impl FnMut(&mut [u8]) {
    let mut count = 0_u64;
    move |bytes| {
        count += 1;
        let number = count.to_be_bytes();
        bytes
            .iter_mut()
            .zip(number)
            .for_each(|(to, from)| *to = from);
    }
}

/// Draws up a batch at `NOW` and reads it as a client does: its bodies.
fn drawn(policy: &Policy, pending: &[(RecordId, NoteRow)]) -> (Draft, Vec<OpenBody>) {
    let head = head(NOW - 100);
    let draft = draft(policy, place(&gb(), Some(&head), NOW), pending, counter()).unwrap();
    let batch = Signed::sign(&draft.batch, &key(3)).unwrap();
    head.check_next(&batch).unwrap();
    assert_eq!(batch.parts.len(), draft.blocks.len());
    let bodies: Vec<OpenBody> = batch
        .parts
        .iter()
        .zip(&draft.blocks)
        .map(|(part, block)| {
            let Part::Open(part) = part else {
                panic!("{part:?}")
            };
            assert_eq!(part.body.cid, block.cid());
            assert_eq!(part.body.size, u64::try_from(block.bytes().len()).unwrap());
            assert_eq!(
                (part.window.from, part.window.to),
                (NOW - policy.window_s, NOW)
            );
            let body = OpenBody::decode(part.scheme, block.bytes()).unwrap();
            assert_eq!(body.count(), part.count);
            body
        })
        .collect();
    let said: BTreeSet<_> = draft.says.iter().copied().collect();
    let expected: BTreeSet<_> = pending
        .iter()
        .map(|(id, note)| (*id, note.statement()))
        .collect();
    assert_eq!(said, expected);
    (draft, bodies)
}

/// Every unit with its terms.
fn units(bodies: &[OpenBody]) -> BTreeMap<Vec<u8>, Terms> {
    let mut all = BTreeMap::new();
    for body in bodies {
        for (terms, unit) in body.units() {
            let twice = all.insert(unit.to_vec(), terms);
            assert_eq!(twice, None, "a unit stands once in a batch");
        }
    }
    all
}

#[test]
fn when_a_batch_is_due() {
    let policy = policy();
    for (head, urgent, expected) in [
        (None, false, 0),
        (None, true, 0),
        (Some(head(NOW)), false, NOW + 3600),
        (Some(head(NOW)), true, 0),
        (Some(head(u64::MAX - 5)), false, u64::MAX),
    ] {
        assert_eq!(
            due(&policy, head.as_ref(), urgent),
            expected,
            "{head:?} {urgent}"
        );
    }
}

#[test]
fn when_a_batch_was_published() {
    for (head_at, now, expected) in [
        (None, NOW, Ok(NOW)),
        (None, 0, Ok(0)),
        (Some(NOW - 1), NOW, Ok(NOW)),
        (Some(NOW), NOW, Ok(NOW + 1)),
        (Some(NOW + 59), NOW, Ok(NOW + 60)),
        (Some(NOW + 60), NOW, Err(61)),
        (Some(NOW + DAY), NOW, Err(DAY + 1)),
        (Some(u64::MAX), 0, Err(u64::MAX)),
    ] {
        let head = head_at.map(head);
        let found = publication_time(head.as_ref(), now);
        let found = found.map_err(|error| match error {
            DraftError::ClockBack { behind } => behind,
            other => panic!("{other}"),
        });
        assert_eq!(found, expected, "{head_at:?} {now}");
    }
}

#[test]
fn what_a_heartbeat_promises() {
    for (interval_s, next_after, next_by) in [
        (1, 1, 3600),
        (60, 60, 3600),
        (1200, 1200, 3600),
        (3600, 3600, 3 * 3600),
        (6 * 3600, 6 * 3600, 18 * 3600),
        (DAY, DAY, 3 * DAY),
        (30 * DAY, DAY, 7 * DAY),
        (u64::MAX, DAY, 7 * DAY),
    ] {
        let policy = Policy {
            interval_s,
            ..policy()
        };
        let (draft, bodies) = drawn(&policy, &[]);
        assert_eq!(draft.batch.next_after, NOW + next_after, "{interval_s}");
        assert_eq!(draft.batch.next_by, NOW + next_by, "{interval_s}");
        assert_eq!(draft.batch.retain_from, NOW - 14 * DAY);
        assert_eq!((draft.batch.seq, draft.batch.salt), (8, [5; 16]));
        assert!(bodies.is_empty(), "what says nothing is not padded");
        assert!(draft.dummies.is_empty());
    }
}

#[test]
fn the_first_batch_has_nothing_before_it() {
    let draft = draft(&policy(), place(&gb(), None, NOW), &[], counter()).unwrap();
    assert_eq!((draft.batch.seq, draft.batch.prev), (1, None));
    Signed::sign(&draft.batch, &key(3)).unwrap();
}

#[test]
fn parts_are_padded_up_to_k_with_terms_of_real_ones() {
    for (k, real, expected) in [
        (0, 1, 1),
        (1, 1, 1),
        (5, 1, 5),
        (5, 5, 5),
        (5, 6, 6),
        (150, 3, 150),
    ] {
        let policy = Policy { k, ..policy() };
        let levels = [Level::DIAGNOSED, Level::SYMPTOMATIC];
        let pending: Vec<_> = (0..real)
            .map(|i| note(Scheme::CX1, i, levels[usize::from(i % 2 == 1)], None))
            .collect();
        let (draft, bodies) = drawn(&policy, &pending);
        let units = units(&bodies);
        assert_eq!(units.len(), expected, "k {k}, {real} real ones");
        assert_eq!(draft.dummies.len(), expected - pending.len());
        let terms: BTreeSet<Terms> = pending.iter().map(|(_, note)| units[&note.unit]).collect();
        for dummy in &draft.dummies {
            let found = units[&dummy.unit];
            assert!(terms.contains(&found));
            assert_eq!(found.observed_before, NOW);
            assert_eq!((dummy.level, dummy.observed_before), (found.level.0, NOW));
            assert_eq!(
                dummy.published_level,
                Some(dummy.level),
                "it waits for nothing"
            );
            assert!(dummy.dummy && !pending.iter().any(|(_, note)| note.unit == dummy.unit));
        }
    }
}

#[test]
fn what_was_published_keeps_its_time_and_dummies_look_new() {
    let old = NOW - 3 * DAY;
    let pending = [
        new(1),
        note(Scheme::CX1, 2, Level::NO_ALERT, Some(old)),
        note(Scheme::CX1, 3, Level::SYMPTOMATIC, Some(old - 5)),
    ];
    let policy = Policy { k: 50, ..policy() };
    let (draft, bodies) = drawn(&policy, &pending);
    let units = units(&bodies);
    let terms = |i: usize| {
        let terms = units[&pending[i].1.unit];
        (terms.level.0, terms.observed_before)
    };
    assert_eq!(
        [terms(0), terms(1), terms(2)],
        [(5, NOW), (0, old), (4, old - 5)]
    );
    assert_eq!(draft.dummies.len(), 47);
    for dummy in &draft.dummies {
        assert_eq!((dummy.level, dummy.observed_before), (5, NOW));
    }
    // Changes alone: there is nothing new to look like.
    let (draft, _) = drawn(&policy, &pending[1..]);
    assert_eq!(draft.dummies.len(), 48);
}

#[test]
fn each_scheme_has_its_part() {
    let pending = [
        new(1),
        note(Scheme::CX2, 1, Level::DIAGNOSED, None),
        note(Scheme::CX2, 2, Level::DEBUG, None),
    ];
    let (draft, bodies) = drawn(&Policy { k: 3, ..policy() }, &pending);
    let found: Vec<_> = bodies
        .iter()
        .map(|body| (body.scheme(), body.count()))
        .collect();
    assert_eq!(found, [(Scheme::CX1, 3), (Scheme::CX2, 3)]);
    assert_eq!(draft.dummies.len(), 3);
    let dummy_schemes: Vec<u8> = draft.dummies.iter().map(|dummy| dummy.scheme).collect();
    assert_eq!(dummy_schemes, [1, 1, 2]);
}

#[test]
fn what_does_not_fit_a_block_is_cut_into_equal_parts() {
    for (scheme, real, expected) in [
        (Scheme::CX1, 40_000, vec![40_000]),
        (Scheme::CX1, 41_666, vec![41_666]),
        (Scheme::CX1, 41_667, vec![20_834, 20_833]),
        (Scheme::CX2, 20_834, vec![10_417, 10_417]),
        (Scheme::CX2, 40_000, vec![20_000, 20_000]),
    ] {
        let pending: Vec<_> = (0..real)
            .map(|i| note(scheme, i, Level::DIAGNOSED, None))
            .collect();
        let (_, bodies) = drawn(&policy(), &pending);
        let counts: Vec<u64> = bodies.iter().map(OpenBody::count).collect();
        assert_eq!(counts, expected, "{scheme:?}");
        assert_eq!(units(&bodies).len(), pending.len());
    }
}

#[test]
fn changes_of_many_times_are_cut_by_groups() {
    // The worst that a zone can ask for: each notification was published at another time.
    for (count, parts) in [(2048, 1), (2049, 2), (40_000, 20)] {
        let pending: Vec<_> = (0..count)
            .map(|i| {
                note(
                    Scheme::CX1,
                    i,
                    Level::NO_ALERT,
                    Some(NOW - 1 - u64::from(i)),
                )
            })
            .collect();
        let (_, bodies) = drawn(&policy(), &pending);
        assert_eq!(bodies.len(), parts);
        assert_eq!(units(&bodies).len(), pending.len());
    }
}

#[test]
fn what_no_reader_takes_is_not_drawn_up() {
    let policy = policy();
    let now = [new(1)];
    let refused = |policy: &Policy, at: u64, pending: &[_]| {
        let found = draft(policy, place(&gb(), None, at), pending, counter());
        matches!(found, Err(DraftError::Decode(_)))
    };
    assert!(!refused(&policy, NOW, &now));
    let no_window = Policy {
        window_s: 0,
        ..policy.clone()
    };
    assert!(refused(&no_window, NOW, &now));
    assert!(refused(&policy, 1 << 53, &[]));
    assert!(refused(&policy, u64::MAX, &[]));
    let (record, mut note) = new(1);
    note.scheme = 99;
    assert!(refused(&policy, NOW, &[(record, note.clone())]));
    note.scheme = Scheme::CX2.0;
    assert!(refused(&policy, NOW, &[(record, note)]), "half a unit");
}
