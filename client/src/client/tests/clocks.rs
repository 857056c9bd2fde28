//! Phones whose clock is wrong for a while.

use super::coverage::{client, daily, told};
use super::world::DAY_S;
use super::*;
use crate::fixture::Sealed;

/// A clock that is far ahead when a batch comes is no reason to leave out what it says.
#[test]
fn what_a_wrong_clock_takes_for_old_is_fetched_all_the_same() {
    let now = time::now();
    let (_folder, mut client, provider, mut chain, mut mirror) = exposed(now);
    let (sealed, blocks) = provider.sealed(
        chain.last(),
        now - 100,
        &Sealed::of(&[(8, Level::DIAGNOSED)]),
    );
    chain.push(sealed);
    mirror.batches = chain;
    mirror
        .bodies
        .extend(blocks.into_iter().map(|block| (block.cid(), block)));
    let report = sync_all(&mut client, &mirror, now + 20 * DAY_S);
    assert_eq!((report.batches, report.bodies, report.filters), (5, 1, 1));
    let report = sync_all(&mut client, &mirror, now);
    assert_eq!((report.bodies, report.filters), (0, 0));
    assert_eq!(times(&client.alerts_at(now).unwrap()), [now - 3600]);
}

#[test]
fn phone_whose_clock_is_behind_does_not_say_none_past_a_batch_of_its_future() {
    let now = time::now();
    let (provider, chain, mirror) = daily(now, 5);
    let (_folder, mut client) = client(&provider);
    let early = now - 3 * DAY_S;
    let before = Mirror {
        batches: { chain.iter() }
            .filter(|batch| batch.published_at < early)
            .cloned()
            .collect(),
        ..mirror.clone()
    };
    sync_all(&mut client, &before, early);
    let report = sync_all(&mut client, &mirror, early);
    assert_eq!(report.batches, 0, "nothing of the future is fetched");
    let ahead = chain.last().unwrap().published_at;
    let unreached = uncovered(ahead, Cause::Unreached);
    assert!(told(&mut client, early).contains(&unreached));
    sync_all(&mut client, &mirror, now);
    assert_eq!(told(&mut client, now), []);
}
