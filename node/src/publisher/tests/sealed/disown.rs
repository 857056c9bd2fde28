//! Sealed batches of the future, their revisions and folds: disowned, and published again.

use super::super::disown::{AHEAD, disown};
use super::*;

#[test]
fn sealed_batches_revisions_and_folds_are_disowned_and_published_again() {
    let home = home();
    let store = &home.store;
    let mut publisher = home.publisher();
    accept(store, 1, 1);
    let first = close(&mut publisher, &gb(), NOW).unwrap();
    accept(store, 3, 2);
    let second = close(&mut publisher, &gb(), NOW + 10).unwrap();
    // Another day by a wrong clock: what is new, a revision of the first batch, a fold of both.
    accept(store, 4, 3);
    store.set_level(&[1; 32], Level::NO_ALERT).unwrap();
    let wrong = all(publisher.close(&gb(), AHEAD));
    assert_eq!(covers(&wrong), [None, Some((1, 1)), Some((1, 2))]);
    assert_eq!(says(store, &wrong[1], 1), None);

    disown(&mut publisher, 2, Some(&second));
    whole(store);
    assert_eq!(
        store.ranges(&gb()).unwrap().len(),
        2,
        "the fold is forgotten"
    );
    let again = all(publisher.close(&gb(), NOW + 20));
    assert_eq!(covers(&again), [None, Some((1, 1))]);
    assert_eq!((again[0].epoch, again[0].seq), (2, 3));
    assert_eq!(again[0].prev, Some(second.id()));
    assert_eq!(says(store, &again[0], 3), Some((5, NOW + 20)), "it is new");
    assert_eq!(says(store, &again[1], 1), None, "it is withdrawn again");
    whole(store);
    // On the day after, by a right clock, the fold comes as ever.
    let next = all(publisher.close(&gb(), NOW + DAY));
    assert!(covers(&next).contains(&Some((1, 3))), "{next:?}");
    let fold = next
        .iter()
        .find(|batch| batch.covers == Some((1, 3)))
        .unwrap();
    let told = [1, 2, 3].map(|which| says(store, fold, which));
    assert_eq!(told, [None, Some((5, NOW + 10)), Some((5, NOW + 20))]);
    whole(store);

    // From the beginning: all that is live is said once more, each in the batch that is due.
    disown(&mut publisher, 3, None);
    whole(store);
    assert_eq!(store.ranges(&gb()).unwrap(), []);
    let anew = all(publisher.close(&gb(), NOW + DAY + 60));
    assert_eq!(covers(&anew), [None]);
    let told = [1, 2, 3].map(|which| says(store, &anew[0], which).map(|(level, _)| level));
    assert_eq!(told, [None, Some(5), Some(5)]);
    assert!(
        first
            .parts
            .iter()
            .all(|part| matches!(part, Part::Sealed(_)))
    );
    whole(store);
}

#[test]
fn a_revision_that_is_disowned_leaves_the_version_before_it() {
    let home = home();
    let store = &home.store;
    let mut publisher = home.publisher();
    accept(store, 1, 1);
    accept(store, 3, 2);
    close(&mut publisher, &gb(), NOW).unwrap();
    store.set_level(&[1; 32], Level::SYMPTOMATIC).unwrap();
    let revised = all(publisher.close(&gb(), NOW + 10));
    assert_eq!(covers(&revised), [None, Some((1, 1))]);
    store.set_level(&[3; 32], Level::NO_ALERT).unwrap();
    let wrong = all(publisher.close(&gb(), AHEAD));
    assert_eq!(covers(&wrong), [None, Some((1, 1))]);
    disown(&mut publisher, 2, revised.last());
    let range = store.ranges(&gb()).unwrap().remove(0);
    assert_eq!(
        (range.first, range.row.seq),
        (1, 3),
        "that of the third batch"
    );
    let again = all(publisher.close(&gb(), NOW + 20));
    assert_eq!(covers(&again), [None, Some((1, 1))]);
    let told = [1, 2].map(|which| says(store, &again[1], which));
    assert_eq!(told, [Some((4, NOW)), None]);
    whole(store);
}
