//! Sealed batches, their revisions and folds, read as a client does that knows the identifiers.

use std::collections::BTreeSet;

use bellwether_formats::batch::{Part, Window};
use bellwether_formats::cid::Block;
use bellwether_formats::filter::Filter;
use bellwether_formats::id::Scheme;
use bellwether_formats::scheme::cx::{Generator, Seed};
use bellwether_formats::sealed::{Chunk, IdHash, Index, Payload, Shape};

use super::*;
use crate::batcher::plan::Job;
use crate::cost::zone::Newest;
use crate::store::tests::fixture::sealed_unit;
use crate::store::{Fate, Item, SubmittedUnit};

mod disown;
mod turns;

/// Midnight of the day of `NOW`.
const TODAY: u64 = NOW / DAY * DAY;

fn home() -> Home {
    let home = Home::of(Privacy::Unlinkable);
    issue(&home.store, &gb(), &[1, 3, 4, 5]);
    home
}

/// Code `code` admits a seed.
fn accept(store: &Store, code: u8, which: u32) {
    let units = [sealed_unit(which)];
    store.accept(&[code; 32], &units, NOW).unwrap();
}

/// What a closing published, if nothing failed.
fn all(closed: Closed) -> Vec<Signed<Batch>> {
    assert!(closed.failed.is_none(), "{:?}", closed.failed);
    closed.batches
}

fn covers(batches: &[Signed<Batch>]) -> Vec<Option<(u64, u64)>> {
    batches.iter().map(|batch| batch.covers).collect()
}

/// The level and time that the sealed parts of a batch say of an identifier of a unit.
fn opened(store: &Store, batch: &Batch, unit: &SubmittedUnit, id: usize) -> Option<(u8, u64)> {
    let payload = entry(store, batch, unit, id)?;
    Some((payload.level.0, payload.observed_before))
}

/// All that they say. All blocks are there; filter and body agree.
fn entry(store: &Store, batch: &Batch, unit: &SubmittedUnit, id: usize) -> Option<Payload> {
    let block = |cid: &Cid| store.block(cid).unwrap().unwrap();
    let generator = Generator::from_code(unit.scheme.0.into()).unwrap();
    let seed = Seed::new(generator, &unit.unit).unwrap();
    let identifier = seed.identifiers().nth(id).unwrap();
    let hash = IdHash::of(unit.scheme, &batch.salt, None, identifier.as_bytes());
    let mut found = None;
    for (position, part) in batch.parts.iter().enumerate() {
        let Part::Sealed(part) = part else { continue };
        let place = batch.place(position).unwrap();
        if part.scheme != unit.scheme || !place.holds(&hash.tag()) {
            continue;
        }
        let filter = block(&part.filter.cid);
        assert_eq!(u64::try_from(filter.len()).unwrap(), part.filter.size);
        let filter = Filter::decode(&filter, part.ids, 12).unwrap();
        let shape = Shape::of(part.ids).unwrap();
        let index = Index::decode(&block(&part.index), &shape).unwrap();
        let number = hash.tag().chunk(place.parts, shape.chunks());
        let chunk = block(&index.cid(number).unwrap());
        let chunk = Chunk::decode(&chunk, &shape, place, number).unwrap();
        let payload = chunk.open(&hash).transpose().unwrap();
        assert!(payload.is_none() || filter.contains(hash.key()));
        found = payload;
    }
    found
}

/// The same of a seed; all its identifiers agree.
fn says(store: &Store, batch: &Batch, which: u32) -> Option<(u8, u64)> {
    let unit = sealed_unit(which);
    let first = opened(store, batch, &unit, 0);
    for id in [1, 1000, 2047] {
        assert_eq!(opened(store, batch, &unit, id), first);
    }
    first
}

fn windows(batch: &Batch) -> Vec<Window> {
    let windows = batch.parts.iter().map(|part| match part {
        Part::Sealed(part) => part.window,
        other => panic!("{other:?}"),
    });
    windows.collect()
}

fn whole(store: &Store) {
    assert_eq!(store.faults().unwrap(), Vec::<String>::new());
}

#[test]
fn a_sealed_batch_then_heartbeats() {
    let home = home();
    let mut publisher = home.publisher();
    accept(&home.store, 1, 1);
    accept(&home.store, 3, 2);
    let batch = close(&mut publisher, &gb(), NOW).unwrap();
    assert_eq!((batch.parts.len(), batch.covers), (1, None));
    let window = Window {
        from: NOW - 14 * DAY,
        to: NOW,
    };
    assert_eq!(windows(&batch), [window]);
    let Some(Part::Sealed(part)) = batch.parts.first() else {
        panic!("{batch:?}")
    };
    assert_eq!(part.ids, 8192, "4096 identifiers and as many dummies");
    assert_eq!(says(&home.store, &batch, 1), Some((5, NOW)));
    assert_eq!(says(&home.store, &batch, 2), Some((5, NOW)));
    assert_eq!(says(&home.store, &batch, 3), None);
    assert_eq!(home.store.newest_content(&gb()).unwrap(), Some(1));
    assert_eq!(home.store.patients(&gb(), 1).unwrap(), 2);
    let heartbeat = close(&mut publisher, &gb(), NOW + 3600).unwrap();
    assert!(heartbeat.parts.is_empty());
    assert_eq!(home.store.newest_content(&gb()).unwrap(), Some(1));
    assert_eq!(home.store.patients(&gb(), 2).unwrap(), 0);
    assert_eq!(home.store.newest_content(&zone("fr")).unwrap(), None);
    whole(&home.store);
}

#[test]
fn open_and_sealed_stand_in_one_batch() {
    let home = home();
    let mut publisher = home.publisher();
    home.store.accept(&[1; 32], &[unit(1)], NOW).unwrap();
    let cx2 = SubmittedUnit {
        scheme: Scheme::CX2,
        unit: vec![7; 48],
        ..sealed_unit(0)
    };
    let units = [sealed_unit(2), cx2.clone()];
    home.store.accept(&[3; 32], &units, NOW).unwrap();
    let batch = close(&mut publisher, &gb(), NOW).unwrap();
    assert_eq!(batch.parts.len(), 3);
    assert_eq!(said(&home.store, &batch, 1), Some((5, NOW)));
    assert_eq!(says(&home.store, &batch, 1), None);
    assert_eq!(said(&home.store, &batch, 2), None);
    assert_eq!(says(&home.store, &batch, 2), Some((5, NOW)));
    assert_eq!(opened(&home.store, &batch, &cx2, 5), Some((5, NOW)));
    assert_eq!(home.store.patients(&gb(), 1).unwrap(), 2);
    whole(&home.store);
}

#[test]
fn another_grade_is_a_revision_too() {
    let home = home();
    let mut publisher = home.publisher();
    let graded = |grade| Item {
        unit: sealed_unit(1),
        zone: gb(),
        level: Level::DIAGNOSED,
        grade: Some(grade),
        public_at: Some(NOW - 7),
        owner: [1; 32],
        case: None,
        proven: true,
    };
    let submit = |grade| home.store.submit(&[graded(grade)], NOW).unwrap();
    assert_eq!(submit(20), [Ok(Fate::New)]);
    let grade = |batch: &Signed<Batch>| {
        let payload = entry(&home.store, batch, &sealed_unit(1), 9).unwrap();
        assert_eq!(payload.observed_before, NOW - 7, "others published it");
        payload.grade()
    };
    let first = close(&mut publisher, &gb(), NOW).unwrap();
    assert_eq!(grade(&first), Some(25));
    assert_eq!(submit(80), [Ok(Fate::Changed)]);
    let batches = all(publisher.close(&gb(), NOW + 3600));
    assert_eq!(covers(&batches), [None, Some((1, 1))]);
    assert_eq!(grade(&batches[1]), Some(100));
    assert_eq!(home.store.pending(&gb()).unwrap(), 0);
    whole(&home.store);
}

#[test]
fn a_change_is_a_revision_of_its_batch_under_another_salt() {
    let home = home();
    let mut publisher = home.publisher();
    accept(&home.store, 1, 1);
    accept(&home.store, 3, 2);
    let first = close(&mut publisher, &gb(), NOW).unwrap();
    accept(&home.store, 4, 3);
    home.store.set_level(&[1; 32], Level::SYMPTOMATIC).unwrap();
    let batches = all(publisher.close(&gb(), NOW + 3600));
    assert_eq!(covers(&batches), [None, Some((1, 1))]);
    let (new, revision) = (&batches[0], &batches[1]);
    assert_eq!((new.seq, new.published_at), (2, NOW + 3600));
    assert_eq!(says(&home.store, new, 3), Some((5, NOW + 3600)));
    assert_eq!(says(&home.store, new, 1), None);
    assert_eq!((revision.seq, revision.published_at), (3, NOW + 3601));
    assert_eq!(windows(revision), windows(&first), "nothing falls out");
    assert_eq!(says(&home.store, revision, 1), Some((4, NOW)));
    assert_eq!(says(&home.store, revision, 2), Some((5, NOW)));
    assert_eq!(says(&home.store, revision, 3), None);
    let salts = BTreeSet::from([&first, new, revision].map(|batch| batch.salt));
    assert_eq!(salts.len(), 3);
    let next = close(&mut publisher, &gb(), NOW + 7200).unwrap();
    assert!(next.parts.is_empty());
    assert_eq!(home.store.pending(&gb()).unwrap(), 0);
    whole(&home.store);
}

#[test]
fn what_is_revoked_is_absent_and_a_part_stays_when_nothing_is_left() {
    let home = home();
    let mut publisher = home.publisher();
    accept(&home.store, 1, 1);
    accept(&home.store, 3, 2);
    close(&mut publisher, &gb(), NOW).unwrap();
    home.store.set_level(&[1; 32], Level::NO_ALERT).unwrap();
    let batches = all(publisher.close(&gb(), NOW + 10));
    assert_eq!(batches.len(), 2);
    assert_eq!(says(&home.store, &batches[1], 1), None);
    assert_eq!(says(&home.store, &batches[1], 2), Some((5, NOW)));
    // One kind of silence for another says nothing new.
    home.store.set_level(&[1; 32], Level::EXPIRED).unwrap();
    assert_eq!(all(publisher.close(&gb(), NOW + 20)).len(), 1);

    home.store.set_level(&[3; 32], Level::NO_ALERT).unwrap();
    let batches = all(publisher.close(&gb(), NOW + 30));
    assert_eq!(covers(&batches), [None, Some((1, 1))]);
    assert_eq!(batches[1].parts.len(), 1, "all of it padding");
    assert_eq!(says(&home.store, &batches[1], 2), None);

    home.store.set_level(&[3; 32], Level::DEBUG).unwrap();
    let batches = all(publisher.close(&gb(), NOW + 40));
    assert_eq!(says(&home.store, &batches[1], 2), Some((1, NOW)));
    assert_eq!(says(&home.store, &batches[1], 1), None);
    whole(&home.store);
}

#[test]
fn a_change_before_publication_is_the_first_that_is_said() {
    let home = home();
    let mut publisher = home.publisher();
    accept(&home.store, 1, 1);
    accept(&home.store, 3, 2);
    home.store.set_level(&[1; 32], Level::NO_ALERT).unwrap();
    home.store.set_level(&[3; 32], Level::SYMPTOMATIC).unwrap();
    let batch = close(&mut publisher, &gb(), NOW).unwrap();
    assert_eq!(says(&home.store, &batch, 1), None);
    assert_eq!(says(&home.store, &batch, 2), Some((4, NOW)));
    // What was never said is new when it is.
    home.store.set_level(&[1; 32], Level::DIAGNOSED).unwrap();
    let batch = close(&mut publisher, &gb(), NOW + 10).unwrap();
    assert_eq!(batch.covers, None);
    assert_eq!(says(&home.store, &batch, 1), Some((5, NOW + 10)));
}

#[test]
fn several_batches_are_revised_as_far_as_the_clock_allows() {
    let home = home();
    issue(&home.store, &gb(), &[11, 12, 13, 14, 15, 16, 17]);
    let mut publisher = home.publisher();
    for code in 11..=17 {
        accept(&home.store, code, code.into());
        let at = TODAY + u64::from(code) * 60;
        close(&mut publisher, &gb(), at).unwrap();
    }
    for code in 11..=17 {
        home.store.set_level(&[code; 32], Level::DEBUG).unwrap();
    }
    let now = TODAY + 3600;
    let range = |batch| Some((batch, batch));
    let batches = all(publisher.close(&gb(), now));
    let five = [1, 2, 3, 4, 5].map(range);
    assert_eq!(covers(&batches[..1]), [None]);
    assert_eq!(covers(&batches[1..]), five);
    assert_eq!(batches[5].published_at, now + 5);
    assert_eq!(home.store.pending(&gb()).unwrap(), 2);
    assert_eq!(publisher.goes_on_at(&gb()).unwrap(), Some(now + 1));
    assert_eq!(covers(&all(publisher.go_on(&gb(), now + 1))), [range(6)]);
    assert_eq!(covers(&all(publisher.go_on(&gb(), now + 10))), [range(7)]);
    assert_eq!(publisher.goes_on_at(&gb()).unwrap(), None);
    assert_eq!(home.store.pending(&gb()).unwrap(), 0);
    whole(&home.store);
}

#[test]
fn a_day_is_folded_and_the_fold_follows_its_batches() {
    let home = home();
    let mut publisher = home.publisher();
    accept(&home.store, 1, 1);
    let first = close(&mut publisher, &gb(), TODAY + 10).unwrap();
    close(&mut publisher, &gb(), TODAY + 20).unwrap();
    accept(&home.store, 3, 2);
    let third = close(&mut publisher, &gb(), TODAY + 30).unwrap();
    home.store.set_level(&[3; 32], Level::SYMPTOMATIC).unwrap();
    assert_eq!(all(publisher.close(&gb(), TODAY + 40)).len(), 2);
    accept(&home.store, 4, 3);
    let batches = all(publisher.close(&gb(), TODAY + DAY + 5));
    assert_eq!(covers(&batches), [None, Some((1, 3))]);
    let fold = &batches[1];
    assert_eq!(says(&home.store, fold, 1), Some((5, TODAY + 10)));
    assert_eq!(says(&home.store, fold, 2), Some((4, TODAY + 30)));
    assert_eq!(says(&home.store, fold, 3), None);
    let around = Window {
        from: windows(&first)[0].from,
        to: windows(&third)[0].to,
    };
    assert_eq!(windows(fold), [around]);
    let once = all(publisher.close(&gb(), TODAY + DAY + 10));
    assert_eq!(covers(&once), [None]);

    home.store.set_level(&[1; 32], Level::NO_ALERT).unwrap();
    let batches = all(publisher.close(&gb(), TODAY + DAY + 20));
    assert_eq!(covers(&batches), [None, Some((1, 1)), Some((1, 3))]);
    assert_eq!(says(&home.store, &batches[2], 1), None);
    assert_eq!(says(&home.store, &batches[2], 2), Some((4, TODAY + 30)));
    assert_eq!(windows(&batches[2]), [around]);
    assert_eq!(all(publisher.close(&gb(), TODAY + DAY + 30)).len(), 1);
    whole(&home.store);
}

#[test]
fn a_fold_that_a_stop_kept_from_following_does_at_the_next_closing() {
    let home = home();
    let mut publisher = home.publisher();
    for (code, at) in [(1, 10), (3, 20)] {
        accept(&home.store, code, code.into());
        close(&mut publisher, &gb(), TODAY + at).unwrap();
    }
    let batches = all(publisher.close(&gb(), TODAY + DAY));
    assert_eq!(covers(&batches), [None, Some((1, 2))]);
    home.store.set_level(&[1; 32], Level::NO_ALERT).unwrap();
    publisher
        .publish_job(&gb(), TODAY + DAY + 9, Job::Revise(1))
        .unwrap();
    drop(publisher);
    let mut publisher = home.publisher();
    let batches = all(publisher.close(&gb(), TODAY + DAY + 20));
    assert_eq!(covers(&batches), [None, Some((1, 2))]);
    assert_eq!(says(&home.store, &batches[1], 1), None);
}

#[test]
fn what_was_prepared_is_published_as_it_stands_or_drawn_up_with_another_salt() {
    for renewed in [false, true] {
        let home = home();
        accept(&home.store, 1, 1);
        let prepared = home.store.prepare(&draft(&home.store, &gb(), NOW)).unwrap();
        let salt = prepared.batch().unwrap().salt;
        if renewed {
            home.store.put_descriptor(&signed_descriptor(1, 2)).unwrap();
        }
        let mut publisher = home.publisher();
        assert_eq!(home.head().is_some(), !renewed);
        let batch = close(&mut publisher, &gb(), NOW + 5).unwrap();
        assert_ne!(batch.salt, salt);
        let first = home.store.row(&feed(), 1).unwrap().unwrap();
        let first = home.store.batch(&first).unwrap().unwrap();
        assert!(says(&home.store, &first, 1).is_some());
        assert_eq!(first.salt == salt, !renewed);
        assert_eq!(home.store.pending(&gb()).unwrap(), 0);
        whole(&home.store);
    }
}

#[test]
fn a_change_between_prepare_and_publish_stays_pending() {
    let home = home();
    accept(&home.store, 1, 1);
    home.store.prepare(&draft(&home.store, &gb(), NOW)).unwrap();
    home.store.set_level(&[1; 32], Level::NO_ALERT).unwrap();
    let mut publisher = home.publisher();
    assert_eq!(home.store.pending(&gb()).unwrap(), 1);
    let batches = all(publisher.close(&gb(), NOW + 5));
    assert_eq!(covers(&batches), [None, Some((1, 1))]);
    assert_eq!(says(&home.store, &batches[1], 1), None);
    whole(&home.store);
}

/// Gives a store the batches that another published, as relays do.
fn give(from: &Store, to: &Store) {
    for row in from.rows_after(&feed(), 0, 100).unwrap() {
        let batch = from.batch(&row).unwrap().unwrap();
        let block = |cid: &Cid| Block::of(cid.codec(), from.block(cid).unwrap().unwrap()).unwrap();
        let blocks: Vec<Block> = batch.links().iter().map(block).collect();
        for part in &batch.parts {
            let Part::Sealed(part) = part else { continue };
            let index = from.block(&part.index).unwrap().unwrap();
            let index = Index::decode(&index, &Shape::of(part.ids).unwrap()).unwrap();
            let chunks: Vec<Block> = index.cids().iter().map(block).collect();
            to.put_blocks(&chunks).unwrap();
        }
        to.replicate(&batch, &blocks).unwrap();
    }
}

#[test]
fn a_restored_store_that_caught_up_says_nothing_twice() {
    let (lived, restored) = (home(), home());
    for home in [&lived, &restored] {
        accept(&home.store, 1, 1);
        accept(&home.store, 3, 2);
        accept(&home.store, 4, 3);
        accept(&home.store, 5, 4);
    }
    let mut publisher = lived.publisher();
    close(&mut publisher, &gb(), TODAY + 10).unwrap();
    lived.store.set_level(&[1; 32], Level::NO_ALERT).unwrap();
    lived.store.set_level(&[3; 32], Level::SYMPTOMATIC).unwrap();
    assert_eq!(all(publisher.close(&gb(), TODAY + 20)).len(), 2);
    issue(&lived.store, &gb(), &[6]);
    accept(&lived.store, 6, 5);
    close(&mut publisher, &gb(), TODAY + 30).unwrap();
    let batches = all(publisher.close(&gb(), TODAY + DAY));
    assert_eq!(covers(&batches), [None, Some((1, 4))]);

    // Somebody revoked in the restored one, before it had caught up; and a phone reported again, in
    // a zone that was made linkable since.
    restored.store.set_level(&[4; 32], Level::NO_ALERT).unwrap();
    issue(&restored.store, &gb(), &[7]);
    restored.store.accept(&[7; 32], &[unit(5)], NOW).unwrap();
    let mut publisher = restored.publisher();
    give(&lived.store, &restored.store);
    let batches = all(publisher.close(&gb(), TODAY + DAY + 10));
    assert_eq!(covers(&batches), [None, Some((1, 1)), Some((1, 4))]);
    assert!(batches[0].parts.is_empty(), "nothing is new");
    for batch in &batches[1..] {
        assert_eq!(says(&restored.store, batch, 1), None, "revoked there");
        assert_eq!(says(&restored.store, batch, 2), Some((4, TODAY + 10)));
        assert_eq!(says(&restored.store, batch, 3), None, "revoked here");
        assert_eq!(says(&restored.store, batch, 4), Some((5, TODAY + 10)));
    }
    assert_eq!(says(&restored.store, &batches[2], 5), Some((5, TODAY + 30)));
    assert_eq!(restored.store.pending(&gb()).unwrap(), 0);
    assert_eq!(all(publisher.close(&gb(), TODAY + DAY + 20)).len(), 1);
    whole(&restored.store);
}

#[test]
fn whose_notifications_were_lost_is_not_told_to_be_nobody() {
    let (lived, restored) = (home(), home());
    accept(&lived.store, 1, 1);
    close(&mut lived.publisher(), &gb(), TODAY + 10).unwrap();
    let mut publisher = restored.publisher();
    give(&lived.store, &restored.store);
    close(&mut publisher, &gb(), TODAY + 20).unwrap();
    let newest = |home: &Home| Newest::of(&home.store, &gb()).unwrap().unwrap();
    assert_eq!(newest(&lived).patients, Some(1));
    assert_eq!(newest(&restored).patients, None);
}
