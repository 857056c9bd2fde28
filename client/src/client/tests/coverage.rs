//! From when on "none" can be said, and why not before.

use bellwether_formats::batch::Part;
use bellwether_formats::body::open::Terms;
use bellwether_formats::id::Scheme;

use super::world::{DAY_S, Phone, World};
use super::*;
use crate::answers::Observed;
use crate::fixture::{Sealed, part_of};

/// A chain that begins `days` days ago, with two batches a day; seed 7 is in its third batch.
pub(super) fn daily(now: u64, days: u64) -> (Provider, Vec<Signed<Batch>>, Mirror) {
    let provider = Provider::new(1, now);
    let mut chain: Vec<Signed<Batch>> = Vec::new();
    let mut bodies = Vec::new();
    for half in 0..2 * days {
        let at = now - days * DAY_S + half * DAY_S / 2;
        let mut parts = Vec::new();
        if half == 2 {
            let (open, body) = part(at, &[(7, Level::DIAGNOSED)]);
            parts.push(open);
            bodies.push(body);
        }
        chain.push(provider.batch(chain.last(), at, parts));
    }
    chain = provider.extend(&chain, 1, now - 60);
    let mirror = Mirror::new(&provider, &chain, &bodies);
    (provider, chain, mirror)
}

pub(super) fn client(provider: &Provider) -> (tempfile::TempDir, Client) {
    let folder = tempfile::tempdir().unwrap();
    let mut client = Client::open(folder.path()).unwrap();
    client.follow(&share(provider)).unwrap();
    (folder, client)
}

pub(super) fn told(client: &mut Client, now: u64) -> Vec<Doubted> {
    let doubts = client.alerts_at(now).unwrap().doubts;
    doubts.into_iter().map(|doubt| doubt.answer).collect()
}

/// The alert lies in what the gateway has deleted.
#[test]
fn a_new_phone_at_a_pruned_gateway_says_since_when_its_answer_holds() {
    let now = time::now();
    let (provider, chain, whole) = daily(now, 5);
    let pruned = Mirror {
        batches: chain[4..].to_vec(),
        ..whole.clone()
    };
    let edge = chain[4].published_at;
    let (_folder, mut client) = client(&provider);
    sync_all(&mut client, &pruned, now);
    let alerts = client.alerts_at(now).unwrap();
    assert_eq!((is_none(&alerts), alerts.covered_from), (true, Some(edge)));
    assert_eq!(client.status()[0].covered_from, Some(edge));

    // Of what was observed since, "none" is the truth.
    client.observe_at(&[near(9, edge + 600)], now).unwrap();
    assert!(is_none(&client.alerts_at(now).unwrap()));
    client.observe_at(&[near(9, edge + 599)], now).unwrap();
    assert_eq!(told(&mut client, now), [uncovered(edge, Cause::Older)]);

    // Whoever has all of it ends the doubt, and the alert comes.
    client.observe_at(&[near(7, now - 6 * DAY_S)], now).unwrap();
    sync_all(&mut client, &whole, now + DAY_S);
    let alerts = client.alerts_at(now).unwrap();
    assert_eq!(times(&alerts), [now - 6 * DAY_S]);
    assert_eq!((alerts.doubts.len(), alerts.covered_from), (0, Some(0)));
}

/// Away for three weeks, or new on this device: no observation that is kept is in what was missed.
#[test]
fn a_phone_that_was_away_says_none_as_a_new_one_does() {
    let now = time::now();
    let (provider, chain, whole) = daily(now, 40);
    let kept = |at: u64| Mirror {
        batches: chain
            .iter()
            .filter(|batch| batch.published_at <= at && batch.published_at + 15 * DAY_S >= at)
            .cloned()
            .collect(),
        ..whole.clone()
    };
    let before = now - 21 * DAY_S;
    let (_folder, mut away) = client(&provider);
    sync_all(&mut away, &kept(before), before);
    away.observe_at(&[near(9, before - 3600)], before).unwrap();
    assert!(is_none(&away.alerts_at(before).unwrap()));
    let (_folder, mut new) = client(&provider);
    for phone in [&mut away, &mut new] {
        sync_all(phone, &kept(now), now);
        phone.observe_at(&[near(9, now - 60)], now).unwrap();
        assert_eq!(told(phone, now), []);
        let covered = phone.alerts_at(now).unwrap().covered_from;
        assert!(covered.is_some_and(|from| from < now - 14 * DAY_S && from > 0));
    }
}

/// A batch that falls out of the retention leaves no hole behind it.
#[test]
fn a_phone_that_is_always_there_is_covered_all_the_time() {
    let now = time::now();
    let (provider, chain, whole) = daily(now, 29);
    let (_folder, mut client) = client(&provider);
    for day in (0..29).rev() {
        let at = now - day * DAY_S;
        let known = chain.iter().filter(|batch| batch.published_at <= at);
        let mirror = Mirror {
            batches: known.cloned().collect(),
            ..whole.clone()
        };
        sync_all(&mut client, &mirror, at);
        client.observe_at(&[near(9, at)], at).unwrap();
        for later in [0, 1, 600, 3600, DAY_S / 2] {
            let doubts = told(&mut client, at + later);
            let others = |answer: &&Doubted| !matches!(answer, Doubted::Stale { .. });
            assert_eq!(doubts.iter().find(others), None, "day {day}, {later} s");
        }
        client.end_sync_at(at).unwrap();
    }
    assert!(client.state.followed[0].feeds[0].batches().len() <= 33);
}

#[test]
fn what_is_unread_bounds_the_answer_and_the_newest_counts() {
    let now = time::now();
    let provider = Provider::new(1, now);
    let bodies = [1, 2, 3, 4].map(|number| {
        let at = now - u64::from(5 - number) * DAY_S;
        part(at, &[(number, Level::DIAGNOSED)])
    });
    let mut chain = provider.heartbeats(1, now - 5 * DAY_S);
    for (number, (open, _)) in bodies.iter().enumerate() {
        let at = now - (4 - u64::try_from(number).unwrap()) * DAY_S;
        chain.push(provider.batch(chain.last(), at, vec![open.clone()]));
    }
    chain = provider.extend(&chain, 1, now - 60);
    let blocks: Vec<Block> = bodies.iter().map(|(_, body)| body.clone()).collect();
    let mirror = Mirror::new(&provider, &chain, &blocks);
    let (folder, mut client) = client(&provider);
    client.observe_at(&[near(9, now - 6 * DAY_S)], now).unwrap();
    sync_all(&mut client, &mirror, now);
    assert_eq!(told(&mut client, now), []);
    let lose = |number: usize| {
        let path = folder.path().join("blocks");
        std::fs::remove_file(path.join(blocks[number].cid().to_string())).unwrap();
    };
    lose(1);
    client.observe_at(&[near(9, now - 4 * DAY_S)], now).unwrap();
    assert_eq!(
        told(&mut client, now),
        [uncovered(now - 3 * DAY_S, Cause::Missing)]
    );
    lose(2);
    client.observe_at(&[near(8, now - 4 * DAY_S)], now).unwrap();
    assert_eq!(
        told(&mut client, now),
        [uncovered(now - 2 * DAY_S, Cause::Missing)]
    );
    sync_all(&mut client, &mirror, now);
    assert_eq!(told(&mut client, now), []);
}

/// The other story of a fork counts as much, and a batch of it that nobody gives.
#[test]
fn a_branch_that_was_seen_and_not_reached_is_no_none() {
    let now = time::now();
    let provider = Provider::new(1, now);
    let common = provider.heartbeats(3, now - DAY_S);
    let main = provider.extend(&common, 5, now - 3600);
    let (open, body) = part(now - 3500, &[(7, Level::DIAGNOSED)]);
    let side = provider.batch(common.last(), now - 3500, vec![open]);
    let world = World {
        now,
        provider: provider.clone(),
        chain: main.clone(),
        blocks: Vec::new(),
    };
    let (one, mut other) = (world.mirror(), world.mirror());
    other.batches = [&common[..], &[side]].concat();
    let mut phone = Phone::new(&world, 2);
    phone.observe(7, now - 2 * DAY_S, now);
    for _ in 0..2 {
        phone.sync(&[Some(&one), Some(&other)], now);
        assert_eq!(
            phone.doubts(now),
            [uncovered(now - 3500, Cause::Unreached)],
            "its body is nowhere"
        );
    }
    other.bodies.insert(body.cid(), body);
    phone.sync(&[Some(&one), Some(&other)], now);
    assert_eq!((phone.levels(now).len(), phone.doubts(now).len()), (1, 0));
}

#[test]
fn of_several_feeds_the_least_covered_decides() {
    let now = time::now();
    let (provider, chain, whole) = daily(now, 5);
    let other = Provider::new(2, now);
    let (_folder, mut client) = client(&provider);
    sync_all(&mut client, &whole, now);
    assert_eq!(client.alerts_at(now).unwrap().covered_from, Some(0));
    client.follow(&share(&other)).unwrap();
    let alerts = client.alerts_at(now).unwrap();
    assert_eq!(alerts.covered_from, None);
    assert_eq!(alerts.doubts.len(), 1);
    assert_eq!(alerts.doubts[0].answer, Doubted::Never);
    let late = other.extend(&chain_of(&other, &chain), 2, now - 3000);
    let late = Mirror::new(&other, &late[2..], &[]);
    for mirror in [&late, &whole] {
        let mut sync = Sync::new(client.followed_checked(), now, 1);
        loop {
            match sync.poll() {
                Step::Fetch(request) => {
                    let mine = request.path.contains(&mirror_id(mirror))
                        || request.path.starts_with("/v1/zones/");
                    let body = mirror.answer(&request.path).filter(|_| mine);
                    sync.answer(body.map_or(Answer::NotFound, Answer::Body));
                }
                Step::Keep(keep) => client.keep(*keep).unwrap(),
                Step::Draw => client.draw(&mut sync).unwrap(),
                Step::Done => break,
            }
        }
    }
    let alerts = client.alerts_at(now).unwrap();
    assert_eq!(alerts.covered_from, Some(late.batches[0].published_at));
}

fn chain_of(provider: &Provider, like: &[Signed<Batch>]) -> Vec<Signed<Batch>> {
    provider.heartbeats(2, like[0].published_at)
}

fn mirror_id(mirror: &Mirror) -> String {
    mirror.descriptor.as_ref().unwrap().provider.to_string()
}

/// A look that is not done, and a candidate that no look has settled, are no "none".
#[test]
fn a_sealed_part_bounds_the_answer_until_it_is_settled() {
    let mut world = World::new();
    let now = world.now;
    world.publish(now - 3600, &Sealed::of(&[(7, Level::DIAGNOSED)]));
    let mirror = world.mirror();
    let mut phone = Phone::new(&world, 2);
    let unsettled = [uncovered(now - 3600, Cause::Unsettled)];
    phone.sync(&[Some(&mirror), None], now);
    assert_eq!(phone.alerts(now).covered_from, Some(now - 3600));
    assert_eq!(phone.doubts(now), [], "of now, all is known");
    phone.observe(9, now - 7200, now);
    assert_eq!(phone.doubts(now), unsettled);
    phone.sync(&[Some(&mirror), Some(&mirror)], now + 60);
    assert_eq!(phone.doubts(now + 60), []);
    // It was near, and says so late: until the second look nobody knows.
    phone.observe(7, now - 7200, now + 60);
    assert_eq!(phone.doubts(now + 60), unsettled);
    phone.sync(&[Some(&mirror), Some(&mirror)], now + DAY_S + 60);
    assert_eq!(phone.levels(now + 60), [Level::DIAGNOSED]);
    assert_eq!(phone.doubts(now + 60), []);
}

#[test]
fn what_there_was_no_room_for_is_not_covered_until_it_would_have_expired() {
    let now = time::now();
    let (provider, _, whole) = daily(now, 5);
    let (_folder, mut client) = client(&provider);
    sync_all(&mut client, &whole, now);
    let dropped = Observed {
        earliest: Some(now),
        dropped: Some(now - DAY_S),
    };
    let feed = client.state.followed[0].feeds[0].clone();
    let doubts = crate::answers::doubts(&feed, None, Policy::Private, dropped, now.into());
    let since = now - DAY_S + 601;
    let cause = Cause::Room;
    assert_eq!(doubts[0].answer, Doubted::NotCovered { since, cause });
}

/// A body that breaks a rule matters to what was observed before it, and to nothing else.
#[test]
fn a_broken_body_stops_mattering_by_itself() {
    let now = time::now();
    let provider = Provider::new(1, now);
    let terms = Terms {
        level: Level::DIAGNOSED,
        grade: None,
        observed_before: now - 3600,
    };
    let (Part::Open(mut open), body) =
        part_of(Scheme::CX1, now - 3600, [(terms, vec![7; 24])].into_iter())
    else {
        panic!("an open part");
    };
    open.count = 2;
    let chain = [provider.batch(None, now - 3600, vec![Part::Open(open)])];
    let (_folder, mut client) = client(&provider);
    sync_all(&mut client, &Mirror::new(&provider, &chain, &[body]), now);
    client.observe_at(&[near(9, now - 3000)], now).unwrap();
    assert_eq!(told(&mut client, now), []);
    client.observe_at(&[near(9, now - 3001)], now).unwrap();
    assert_eq!(
        told(&mut client, now),
        [uncovered(now - 3600, Cause::Broken)]
    );
}

/// A statement that claims observations after its own publication counts as not said: it alerts nobody, takes no
/// alert back, and is named.
#[test]
fn what_breaks_observed_before_is_ignored_and_named() {
    let mut world = World::new();
    let now = world.now;
    let at = now - 600;
    let terms = |level, observed_before| Terms {
        level,
        grade: None,
        observed_before,
    };
    let units = [
        (terms(Level::DIAGNOSED, at), vec![7; 24]),
        (terms(Level::DIAGNOSED, at + 1), vec![8; 24]),
    ];
    world.publish_open(at, part_of(Scheme::CX1, at, units.into_iter()));
    let mut phone = Phone::new(&world, 1);
    for number in [7, 8] {
        phone.observe(number, at - 60, now);
    }
    let mirror = world.mirror();
    phone.sync(&[Some(&mirror)], now);
    assert_eq!(phone.rules(), ["observed-before"]);
    let alerts = phone.alerts(now);
    assert_eq!((alerts.matches.len(), alerts.doubts.len()), (1, 0));
    let seen = [near(7, at - 60)];
    assert_eq!(alerts.matches[0].observations, seen);

    let taken_back = [(terms(Level::NO_ALERT, at + 61), vec![7; 24])];
    world.publish_open(
        at + 60,
        part_of(Scheme::CX1, at + 60, taken_back.into_iter()),
    );
    let mirror = world.mirror();
    phone.sync(&[Some(&mirror)], now);
    assert_eq!(phone.levels(now), [Level::DIAGNOSED]);

    for (late, alert) in [(0, true), (1, false)] {
        let mut world = World::new();
        let content = Sealed {
            observed_before: Some(at + late),
            ..Sealed::of(&[(7, Level::DIAGNOSED)])
        };
        world.publish(at, &content);
        let mirror = world.mirror();
        let mut phone = Phone::new(&world, 2);
        phone.observe(7, at - 60, now);
        phone.sync(&[Some(&mirror), Some(&mirror)], now);
        assert_eq!(phone.levels(now).len(), usize::from(alert));
        assert_eq!(phone.doubts(now), [], "it is as good as not there");
        let rules = phone.client.end_sync().unwrap();
        let rules: Vec<&str> = rules.iter().map(|problem| problem.rule).collect();
        let expected: &[&str] = if alert { &[] } else { &["observed-before"] };
        assert_eq!(rules, expected);
    }
}

/// A bundle brings what lies before, as a gateway does.
#[test]
fn a_bundle_fills_what_a_pruned_gateway_left_out() {
    let now = time::now();
    let (provider, chain, whole) = daily(now, 5);
    let pruned = Mirror {
        batches: chain[4..].to_vec(),
        ..whole.clone()
    };
    let (folder, mut giver) = client(&provider);
    sync_all(&mut giver, &whole, now);
    let file = folder.path().join("all.car");
    giver.export(&file).unwrap();
    let (_folder, mut phone) = client(&provider);
    phone.observe_at(&[near(7, now - 6 * DAY_S)], now).unwrap();
    sync_all(&mut phone, &pruned, now);
    assert_eq!(
        told(&mut phone, now),
        [uncovered(chain[4].published_at, Cause::Older)]
    );
    assert_eq!(phone.import(&file).unwrap().batches, 4);
    let alerts = phone.alerts_at(now).unwrap();
    assert_eq!((alerts.matches.len(), alerts.doubts.len()), (1, 0));
    assert_eq!(phone.import(&file).unwrap().batches, 0);
}
