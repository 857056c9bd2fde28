//! Whose turn it is: what is new, or what the last closing left. Times are invented, and the clock
//! goes on as the task waits.

use super::*;
use crate::batcher::turn::{Stand, What};
use crate::publisher::task::next;

/// When many levels change.
const THEN: u64 = TODAY + 36_000;

/// A zone of sealed batches, of two reports each, and a publisher that closes one at `max` of them.
fn zone_of(batches: u8, max: usize) -> (Home, Publisher) {
    let home = home();
    let mut publisher = home.publisher();
    for batch in 0..batches {
        for code in [2 * batch + 10, 2 * batch + 11] {
            issue(&home.store, &gb(), &[code]);
            accept(&home.store, code, code.into());
        }
        close(&mut publisher, &gb(), TODAY + u64::from(batch) * 60).unwrap();
    }
    for (_, policy) in &mut publisher.zones {
        policy.max_notifications = max;
    }
    (home, publisher)
}

fn revoke(home: &Home, batches: u8) {
    for code in 10..2 * batches + 10 {
        let changed = home.store.set_level(&[code; 32], Level::NO_ALERT).unwrap();
        assert_eq!(changed, Some(1));
    }
}

/// What the task publishes until `end`, as often as it wakes. No batch runs far ahead of the clock.
fn live(publisher: &mut Publisher, now: &mut u64, end: u64) -> Vec<Signed<Batch>> {
    let mut batches = Vec::new();
    let mut turns = 0;
    loop {
        let (at, what) = next(publisher, &gb(), *now).unwrap();
        if at > end {
            return batches;
        }
        if at > *now {
            // Having waited, the task looks again.
            *now = at;
            continue;
        }
        let done = all(match what {
            What::Close => publisher.close(&gb(), *now),
            What::GoOn => publisher.go_on(&gb(), *now),
        });
        for batch in &done {
            assert!(batch.published_at <= *now + 6, "{what:?} ran ahead");
        }
        batches.extend(done);
        turns += 1;
        assert!(turns < 100, "the task does not come to rest");
    }
}

fn revised(batches: &[Signed<Batch>]) -> Vec<u64> {
    let ranges = batches.iter().filter_map(|batch| batch.covers);
    ranges.map(|(first, _)| first).collect()
}

/// The batches of what is new: whether they are empty.
fn heartbeats(batches: &[Signed<Batch>]) -> Vec<bool> {
    let new = batches.iter().filter(|batch| batch.covers.is_none());
    new.map(|batch| batch.parts.is_empty()).collect()
}

#[test]
fn more_changes_than_fill_a_batch_are_one_heartbeat_and_their_revisions() {
    let (home, mut publisher) = zone_of(8, 5);
    revoke(&home, 8);
    assert_eq!(home.store.pending(&gb()).unwrap(), 16);
    assert!(publisher.due(&gb()).unwrap() > TODAY + 1000, "nothing new");
    let mut now = THEN;
    let mut batches = all(publisher.close(&gb(), now));
    assert_eq!(publisher.due(&gb()).unwrap(), THEN + 3600);
    batches.extend(live(&mut publisher, &mut now, THEN + 60));
    assert_eq!(heartbeats(&batches), [true]);
    assert_eq!(revised(&batches), (1..=8).collect::<Vec<_>>());
    assert_eq!(home.head().unwrap().seq, 8 + 9);
    assert!(now <= THEN + 8, "a second each");
    assert_eq!(home.store.pending(&gb()).unwrap(), 0);
    whole(&home.store);
}

#[test]
fn closing_by_hand_again_and_again_does_not_keep_revisions_away() {
    let (home, mut publisher) = zone_of(7, 1);
    revoke(&home, 7);
    let mut now = THEN;
    let mut batches = all(publisher.close(&gb(), now));
    assert_eq!(revised(&batches), [1, 2, 3, 4, 5]);
    for closing in 1..=2 {
        // As long as `wait_for_clock` waits.
        now = now.max(home.head().unwrap().published_at - 4);
        let more = all(publisher.close(&gb(), now));
        assert_eq!(heartbeats(&more), [true]);
        assert_eq!(revised(&more), [5 + closing]);
        batches.extend(more);
    }
    assert!(now <= THEN + 9);
    assert_eq!(live(&mut publisher, &mut now, THEN + 60).len(), 0);
    assert_eq!(home.store.pending(&gb()).unwrap(), 0);
}

#[test]
fn what_is_new_and_fills_a_batch_comes_between_the_revisions() {
    let (home, mut publisher) = zone_of(7, 2);
    revoke(&home, 7);
    let mut now = THEN;
    all(publisher.close(&gb(), now));
    for code in [3, 4] {
        accept(&home.store, code, code.into());
    }
    let batches = live(&mut publisher, &mut now, THEN + 60);
    let new = batches.iter().find(|batch| batch.covers.is_none()).unwrap();
    assert_eq!(new.published_at, THEN + 6, "not before the clock");
    assert_eq!(says(&home.store, new, 3), Some((5, THEN + 6)));
    assert_eq!(says(&home.store, new, 4), Some((5, THEN + 6)));
    assert_eq!(heartbeats(&batches), [false], "though more waits");
    assert_eq!(revised(&batches), [6, 7]);
    whole(&home.store);
}

#[test]
fn what_is_new_is_published_when_its_interval_has_passed() {
    let (home, mut publisher) = zone_of(7, 2);
    for (_, policy) in &mut publisher.zones {
        policy.interval_s = 2;
    }
    revoke(&home, 7);
    let mut now = THEN;
    all(publisher.close(&gb(), now));
    accept(&home.store, 3, 3);
    let batches = live(&mut publisher, &mut now, THEN + 5);
    assert_eq!(heartbeats(&batches), [false]);
    assert_eq!(revised(&batches), [6, 7]);
    assert_eq!(batches[1].covers, None, "between them");
    assert_eq!(home.store.pending_notes(&gb(), 9, u64::MAX).unwrap(), []);
    assert!(publisher.due(&gb()).unwrap() > now);
}

#[test]
fn a_turn_is_decided_by_the_clock_and_what_is_due() {
    let stand = |due, head, goes_on| Stand {
        now: 1000,
        head,
        due,
        goes_on,
    };
    let turn = |due, head, goes_on| stand(due, head, goes_on).next();
    assert_eq!(turn(0, None, None), (0, What::Close));
    assert_eq!(turn(4000, Some(400), None), (4000, What::Close));
    assert_eq!(turn(4000, Some(1005), Some(1001)), (1001, What::GoOn));
    assert_eq!(turn(4000, Some(400), Some(396)), (396, What::GoOn));
    // Due, but the newest batch is ahead of the clock.
    assert_eq!(turn(0, Some(1006), None), (1002, What::Close));
    assert_eq!(turn(0, Some(1006), Some(1002)), (1002, What::Close));
    assert_eq!(turn(1000, Some(1003), Some(999)), (1000, What::Close));
    // Due before what was left can go on.
    assert_eq!(turn(1001, Some(1006), Some(1002)), (1001, What::GoOn));
    // A clock that was set back is told, and not waited for.
    assert_eq!(turn(0, Some(5000), None), (0, What::Close));
    assert_eq!(turn(8600, Some(5000), Some(4996)), (4996, What::GoOn));
}
