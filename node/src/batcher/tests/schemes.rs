//! Every scheme, in each mode that it may have: what is drawn up says what was submitted.

use bellwether_formats::body::open::OpenBody;
use bellwether_formats::filter::{Filter, MIN_CLIENT_BITS};
use bellwether_formats::scheme::{self, Units};
use bellwether_formats::sealed::{Chunk, IdHash, Index, Payload, Shape};

use super::*;
use crate::store::tests::units;

fn note(scheme: Scheme, which: u8, mode: Mode) -> (RecordId, NoteRow) {
    let unit = units::unit(scheme, which);
    let row = NoteRow {
        scheme: scheme.0,
        level: Level::DIAGNOSED.0,
        issue: 1,
        accepted_at: NOW,
        published_level: None,
        observed_before: 0,
        published_at: 0,
        dummy: false,
        mode,
        batch: None,
        grade: Some(60),
        next_grade: None,
        public_at: None,
        publish_from: 0,
        owner: Some([1; 32]),
        unit,
    };
    (scheme::record_id(scheme, &row.unit), row)
}

/// What a sealed part of a draft says of an identifier.
fn opened(draft: &Draft, scheme: Scheme, day: Option<u64>, identifier: &[u8]) -> Option<Payload> {
    let block = |cid: &Cid| {
        let found = draft.blocks.iter().find(|block| block.cid() == *cid);
        found.unwrap().bytes()
    };
    let hash = IdHash::of(scheme, &draft.batch.salt, day, identifier);
    for (position, part) in draft.batch.parts.iter().enumerate() {
        let Part::Sealed(part) = part else { continue };
        let place = draft.batch.place(position).unwrap();
        if part.scheme != scheme || !place.holds(&hash.tag()) {
            continue;
        }
        let filter = Filter::decode(block(&part.filter.cid), part.ids, MIN_CLIENT_BITS).unwrap();
        if !filter.contains(hash.key()) {
            return None;
        }
        let shape = Shape::of(part.ids).unwrap();
        let index = Index::decode(block(&part.index), &shape).unwrap();
        let number = hash.tag().chunk(place.parts, shape.chunks());
        let chunk = block(&index.cid(number).unwrap());
        let chunk = Chunk::decode(chunk, &shape, place, number).unwrap();
        return chunk.open(&hash).map(Result::unwrap);
    }
    None
}

#[test]
fn sealed_entries_tell_level_grade_and_time() {
    for scheme in Scheme::ALL {
        let rules = scheme.rules().unwrap();
        let note = note(scheme, 7, Mode::Sealed);
        let head = head(NOW - 100);
        let zone = gb();
        let place = place(&zone, Some(&head), NOW);
        let mut random = counter();
        let mut salt = 0_u8;
        let draft = loop {
            // By chance a chunk overflows.
            salt += 1;
            let place = Place {
                salt: [salt; 16],
                ..place.clone()
            };
            match draft(&policy(), place, std::slice::from_ref(&note), &mut random) {
                Ok(draft) => break draft,
                Err(DraftError::Build(BuildError::Again(_))) => {}
                Err(error) => panic!("{scheme}: {error}"),
            }
        };
        let units = Units::of(rules.width(), [note.1.unit.as_slice()]);
        let mut count = 0;
        rules.expand(&units, &mut |_, identifier, span| {
            count += 1;
            if count % 17 != 1 {
                return;
            }
            let said = opened(&draft, scheme, span.map(|span| span.day), identifier);
            let expected = Payload {
                level: Level::DIAGNOSED,
                grade_step: 3,
                observed_before: NOW,
                span: span.map(|span| (span.from, span.to)),
            };
            assert_eq!(said, Some(expected), "{scheme} {count}");
            // An observation leads there, by what a client looks up.
            let at = span.map_or(NOW - 9, |span| span.from);
            let mut found = 0;
            rules.look_ups(identifier, at, &draft.batch.provider, &mut |day, sought| {
                let said = opened(&draft, scheme, day, sought);
                found += usize::from(said.is_some_and(|said| said.matches(at)));
            });
            // (DP-3T's unlinkable look-ups are hashes of what was observed: they are tried as they
            // are.)
            assert_eq!(found, 1, "{scheme} {count}");
        });
        assert_eq!(count, note.1.identifiers(), "{scheme}");
        assert_eq!(opened(&draft, scheme, Some(3), &[9; 16]), None);
    }
}

#[test]
fn open_bodies_hold_units_and_dummies_like_them() {
    for scheme in Scheme::ALL {
        let rules = scheme.rules().unwrap();
        if rules.always_sealed() {
            continue;
        }
        let policy = Policy { k: 20, ..policy() };
        let pending = [1, 2].map(|which| note(scheme, which, Mode::Open));
        let (draft, bodies) = drawn(&policy, &pending);
        assert_eq!(draft.dummies.len(), 18, "{scheme}");
        let all = units(&bodies);
        assert_eq!(all.len(), 20, "{scheme}");
        let head = |unit: &[u8]| (unit.len(), rules.check(unit).unwrap());
        let real = head(&pending[0].1.unit);
        for (unit, terms) in &all {
            assert_eq!(head(unit), real, "{scheme}: nothing tells them apart");
            let expected = Terms {
                level: Level::DIAGNOSED,
                grade: Some(60),
                observed_before: NOW,
            };
            assert_eq!(*terms, expected, "{scheme}");
        }
        for (_, note) in &pending {
            assert!(all.contains_key(&note.unit), "{scheme}");
        }
        let [body] = &bodies[..] else { panic!() };
        let again = OpenBody::decode(scheme, &body.encode()).unwrap();
        assert_eq!(again, *body);
    }
}

#[test]
fn all_schemes_fit_one_batch() {
    let pending: Vec<_> = Scheme::ALL
        .into_iter()
        .map(|scheme| note(scheme, 3, Mode::Sealed))
        .collect();
    let content = Content::new(&pending);
    assert_eq!(content.notifications(), 8);
    assert_eq!(content.sealed_patients(), Some(1));
}
