//! The façade with an invented clock, driven as an app with its own HTTP stack would.

use bellwether_formats::batch::Batch;
use bellwether_formats::id::Level;
use bellwether_formats::signed::Signed;

use super::*;
use crate::answers::{Alerts, Answer as Doubted};
use crate::fixture::{Mirror, Provider, identifier, part, zone};
use crate::observations::{ContactId, Family, RETENTION_S};
use crate::sync::Answer;
use crate::trust::Cause;

mod clocks;
mod coverage;
mod crowd;
mod schemes;
mod sealed;
mod world;

fn share(provider: &Provider) -> Share {
    Share {
        provider: provider.id(),
        zones: vec![zone()],
        gateways: vec![policy::parse("https://a.example").unwrap()],
        peers: Vec::new(),
    }
}

fn sync_all(client: &mut Client, mirror: &Mirror, now: u64) -> Report {
    let mut sync = Sync::new(client.followed_checked(), now, 1);
    loop {
        match sync.poll() {
            Step::Fetch(request) => sync.answer(
                mirror
                    .answer(&request.path)
                    .map_or(Answer::NotFound, Answer::Body),
            ),
            Step::Keep(keep) => client.keep(*keep).unwrap(),
            Step::Draw => client.draw(&mut sync).unwrap(),
            Step::Done => return sync.report().clone(),
        }
    }
}

fn near(number: u8, at: u64) -> Observation {
    Observation {
        id: ContactId::from(identifier(number, 3)),
        at,
        family: Family::Cx,
    }
}

/// The answer while something of a batch that was published at `at` is not known.
const fn uncovered(at: u64, cause: Cause) -> Doubted {
    Doubted::NotCovered {
        since: at + 600,
        cause,
    }
}

/// Tells whether it can be said that there was nothing.
fn is_none(alerts: &Alerts) -> bool {
    alerts.matches.is_empty() && alerts.doubts.is_empty()
}

fn times(alerts: &Alerts) -> Vec<u64> {
    alerts
        .matches
        .iter()
        .flat_map(|found| &found.observations)
        .map(|seen| seen.at)
        .collect()
}

/// A provider, its chain with seed 7 in the last batch, and a phone that was near.
fn exposed(
    now: u64,
) -> (
    tempfile::TempDir,
    Client,
    Provider,
    Vec<Signed<Batch>>,
    Mirror,
) {
    let folder = tempfile::tempdir().unwrap();
    let mut client = Client::open(folder.path()).unwrap();
    let provider = Provider::new(1, now);
    let (open, body) = part(now - 300, &[(7, Level::DIAGNOSED)]);
    let mut chain = provider.heartbeats(3, now - 400);
    chain.push(provider.batch(chain.last(), now - 300, vec![open]));
    let mirror = Mirror::new(&provider, &chain, &[body]);
    client.follow(&share(&provider)).unwrap();
    client.observe_at(&[near(7, now - 3600)], now).unwrap();
    (folder, client, provider, chain, mirror)
}

#[test]
fn what_was_found_outlives_the_process() {
    let now = time::now();
    let (folder, mut client, _, _, mirror) = exposed(now);
    sync_all(&mut client, &mirror, now);
    assert_eq!(times(&client.alerts_at(now).unwrap()), [now - 3600]);
    drop(client);
    let mut client = Client::open(folder.path()).unwrap();
    assert_eq!(times(&client.alerts_at(now).unwrap()), [now - 3600]);
    assert_eq!(sync_all(&mut client, &mirror, now).batches, 0);
}

#[test]
fn the_cursor_does_not_move_before_the_state_is_kept() {
    let now = time::now();
    let (folder, mut client, _, _, mirror) = exposed(now);
    // The state file cannot be replaced.
    std::fs::create_dir_all(folder.path().join("new")).unwrap();
    let mut sync = Sync::new(client.state.followed.clone(), now, 1);
    let failed = loop {
        match sync.poll() {
            Step::Fetch(request) => {
                sync.answer(Answer::Body(mirror.answer(&request.path).unwrap()))
            }
            Step::Keep(keep) => {
                if let Err(error) = client.keep(*keep) {
                    break error;
                }
            }
            Step::Draw | Step::Done => panic!("nothing failed"),
        }
    };
    assert!(matches!(failed, ClientError::State(_)));
    assert_eq!(client.status()[0].head, None);
    std::fs::remove_dir(folder.path().join("new")).unwrap();
    assert_eq!(sync_all(&mut client, &mirror, now).batches, 4);
    assert_eq!(times(&client.alerts_at(now).unwrap()).len(), 1);
}

#[test]
fn an_anchor_takes_matches_of_a_thief_away() {
    let now = time::now();
    let (_folder, mut client, mut provider, chain, mirror) = exposed(now);
    sync_all(&mut client, &mirror, now);
    assert_eq!(client.alerts_at(now).unwrap().matches.len(), 1);
    provider.revoke(Some(&chain[2]));
    let renewed = provider.extend(&chain[..3], 1, now - 60);
    let report = sync_all(&mut client, &Mirror::new(&provider, &renewed, &[]), now);
    assert!(report.errors.iter().any(|problem| problem.rule == "anchor"));
    assert!(is_none(&client.alerts_at(now).unwrap()));
    client.end_sync().unwrap();
    assert_eq!(client.state.blocks().count(), 4);
}

#[test]
fn a_match_on_the_anchored_chain_stays() {
    let now = time::now();
    let (_folder, mut client, mut provider, chain, mirror) = exposed(now);
    let thief = provider.extend(&chain, 2, now - 200);
    sync_all(
        &mut client,
        &Mirror {
            batches: thief,
            ..mirror.clone()
        },
        now,
    );
    provider.revoke(Some(&chain[3]));
    let renewed = provider.extend(&chain, 1, now - 60);
    sync_all(
        &mut client,
        &Mirror {
            descriptor: Some(provider.signed()),
            batches: renewed,
            ..mirror
        },
        now,
    );
    assert_eq!(times(&client.alerts_at(now).unwrap()), [now - 3600]);
}

#[test]
fn everything_ends_with_the_retention() {
    let now = time::now();
    let (_folder, mut client, _, chain, mirror) = exposed(now);
    sync_all(&mut client, &mirror, now);
    // The provider is gone, and the device lives on.
    client.observe_at(&[], Moment::lived(now)).unwrap();
    let at = Moment::lived;
    let alerts = client.alerts_at(at(now - 3600 + RETENTION_S)).unwrap();
    assert_eq!(alerts.matches.len(), 1);
    let stale = Doubted::Stale {
        since: chain[3].next_by,
    };
    assert_eq!(alerts.doubts[0].answer, stale);
    let alerts = client.alerts_at(at(now + RETENTION_S)).unwrap();
    assert_eq!(alerts.matches.len(), 0);
    assert_eq!(client.observation_count(), 0);
    let years = client.alerts_at(at(now + 400 * 86_400)).unwrap();
    assert_eq!(
        years.doubts[0].answer,
        Doubted::Expired {
            since: now + 300 * 86_400
        }
    );
}

#[test]
fn observations_are_recorded_as_a_whole_or_not_at_all() {
    let now = time::now();
    let (_folder, mut client, ..) = exposed(now);
    let refused = client.observe_at(&[near(1, now), near(2, now + 10 * 86_400)], now);
    assert!(matches!(refused, Err(ClientError::Observation(_))));
    assert_eq!(client.observation_count(), 1);
    assert_eq!(
        client
            .observe_at(&[near(7, now - 3600)], now)
            .unwrap()
            .known,
        1
    );
}

#[test]
fn a_lost_block_takes_no_alert_away() {
    let now = time::now();
    for damage in [false, true] {
        let (folder, mut client, _, chain, mirror) = exposed(now);
        sync_all(&mut client, &mirror, now);
        let found = client.alerts_at(now).unwrap();
        assert_eq!((found.matches.len(), found.doubts.len()), (1, 0));
        let cid = chain[3].open_bodies().next().unwrap().cid;
        let path = folder.path().join("blocks").join(cid.to_string());
        if damage {
            std::fs::write(&path, b"other bytes").unwrap();
        } else {
            std::fs::remove_file(&path).unwrap();
        }
        let answers = client.alerts_at(now).unwrap();
        assert_eq!(answers.matches, found.matches, "the level is remembered");
        assert_eq!(
            answers.doubts[0].answer,
            uncovered(now - 300, Cause::Missing)
        );
        // What was observed since is tested once the body is there again.
        client.observe_at(&[near(7, now - 1800)], now).unwrap();
        let answers = client.alerts_at(now).unwrap();
        assert_eq!((answers.matches.len(), answers.doubts.len()), (1, 1));
        drop(client);
        let mut client = Client::open(folder.path()).unwrap();
        let report = sync_all(&mut client, &mirror, now);
        assert_eq!((report.batches, report.bodies), (0, 1));
        let answers = client.alerts_at(now).unwrap();
        assert_eq!(times(&answers), [now - 3600, now - 1800]);
        assert_eq!(answers.doubts, []);
    }
}

#[test]
fn a_sync_finds_what_is_lost_by_itself() {
    let now = time::now();
    let (folder, mut client, _, chain, mirror) = exposed(now);
    sync_all(&mut client, &mirror, now);
    let cid = chain[3].open_bodies().next().unwrap().cid;
    std::fs::remove_file(folder.path().join("blocks").join(cid.to_string())).unwrap();
    let bare = Mirror {
        bodies: [].into(),
        ..mirror.clone()
    };
    let report = sync_all(&mut client, &bare, now);
    assert!(
        report
            .errors
            .iter()
            .any(|problem| problem.rule == "not-found")
    );
    assert_eq!(client.alerts_at(now).unwrap().doubts.len(), 1);
    assert_eq!(sync_all(&mut client, &mirror, now).bodies, 1);
    assert!(client.block(&cid).is_some());
    assert_eq!(client.alerts_at(now).unwrap().doubts, []);
}

#[test]
fn what_is_known_to_exist_is_no_none_until_it_is_reached() {
    let now = time::now();
    let (folder, mut client, _, chain, mirror) = exposed(now);
    let first = Mirror {
        batches: chain[..3].to_vec(),
        ..mirror.clone()
    };
    sync_all(&mut client, &first, now);
    assert!(is_none(&client.alerts_at(now).unwrap()));
    let bodiless = Mirror {
        bodies: [].into(),
        ..mirror.clone()
    };
    let report = sync_all(&mut client, &bodiless, now);
    assert!(!report.feeds[0].reached);
    // The gateway takes its word back; it was heard.
    sync_all(&mut client, &first, now);
    drop(client);
    let mut client = Client::open(folder.path()).unwrap();
    let doubts = client.alerts_at(now).unwrap().doubts;
    assert_eq!(doubts[0].answer, uncovered(now - 300, Cause::Unreached));
    sync_all(&mut client, &mirror, now);
    let answers = client.alerts_at(now).unwrap();
    assert_eq!((answers.matches.len(), answers.doubts.len()), (1, 0));
}
