use bellwether_formats::batch::{Batch, Part};
use bellwether_formats::body::open::Terms;
use bellwether_formats::signed::Signed;

use super::*;
use crate::fixture::{Provider, WINDOW_S, identifier, part, part_of};
use crate::observations::Family;
use crate::trust::{KnownPart, Place};

const NOW: u64 = 1_795_253_400;
/// When the batch with the body is published.
const AT: u64 = NOW - 600;

/// A feed with its bodies, observations, and what was found.
struct Bench {
    provider: Provider,
    feed: Feed,
    bodies: BTreeMap<Cid, Block>,
    observations: Observations,
    hits: BTreeSet<Hit>,
}

impl Bench {
    fn new() -> Self {
        let provider = Provider::new(1, NOW);
        Self {
            feed: Feed::new(provider.feed()),
            provider,
            bodies: BTreeMap::new(),
            observations: Observations::default(),
            hits: BTreeSet::new(),
        }
    }

    fn publish(
        &mut self,
        prev: Option<&Signed<Batch>>,
        at: u64,
        (part, body): (Part, Block),
        place: Place,
    ) -> Signed<Batch> {
        let batch = self.provider.batch(prev, at, vec![part.clone()]);
        let Part::Open(open) = part else {
            panic!("an open part");
        };
        let known = KnownPart {
            scheme: Some(open.scheme.0),
            from: open.window.from,
            to: open.window.to,
            kind: None,
            body: Body::Kept {
                cid: body.cid(),
                tested: 0,
            },
        };
        self.feed.accept(&batch, place, vec![known]);
        self.bodies.insert(body.cid(), body);
        batch
    }

    fn observe(&mut self, id: [u8; 16], at: u64) {
        let observation = Observation {
            id: id.into(),
            at,
            family: Family::Cx,
        };
        self.observations.record(&[observation], NOW).unwrap();
    }

    /// Tests what is untested; gives whether that was any work.
    fn catch_up(&mut self) -> bool {
        let bodies = &self.bodies;
        let (hits, changed) = catch_up(&mut self.feed, &self.observations, |cid| {
            bodies.get(cid).cloned()
        });
        self.hits.extend(hits);
        changed
    }

    fn matches(&self) -> Vec<Match> {
        let (matches, _) = resolve(&self.feed, self.hits.iter(), |cid| {
            self.bodies.get(cid).cloned()
        });
        matches
    }

    /// Level, batch and observed times of each match.
    fn found(&self) -> Vec<(Level, Cid, Vec<u64>)> {
        let times = |found: &Match| found.observations.iter().map(|seen| seen.at).collect();
        self.matches()
            .iter()
            .map(|found| (found.level, found.batch, times(found)))
            .collect()
    }
}

fn diagnosed(at: u64) -> (Part, Block) {
    part(at, &[(7, Level::DIAGNOSED)])
}

#[test]
fn a_match_lies_inside_the_window_and_before_the_publication() {
    let mut bench = Bench::new();
    let batch = bench.publish(None, AT, diagnosed(AT), Place::Next);
    let first = AT - WINDOW_S;
    for at in [first - 1, first, AT - 1, AT] {
        bench.observe(identifier(7, 2047), at);
    }
    assert!(bench.catch_up());
    assert_eq!(
        bench.found(),
        [(Level::DIAGNOSED, batch.cid(), vec![first, AT - 1])]
    );
}

#[test]
fn an_earlier_publication_ends_the_match_though_the_window_goes_on() {
    let mut bench = Bench::new();
    let public_at = AT - 3600;
    let terms = Terms {
        level: Level::SYMPTOMATIC,
        grade: Some(40),
        observed_before: public_at,
    };
    let open = part_of(Scheme::CX1, AT, [(terms, [7; 24].to_vec())].into_iter());
    bench.publish(None, AT, open, Place::Next);
    bench.observe(identifier(7, 0), public_at - 1);
    bench.observe(identifier(7, 0), public_at);
    bench.catch_up();
    let found = &bench.matches()[0];
    assert_eq!((found.grade, found.observations.len()), (Some(40), 1));
}

#[test]
fn the_order_of_observation_and_body_makes_no_difference() {
    let mut early = Bench::new();
    early.observe(identifier(7, 5), AT - 60);
    early.publish(None, AT, diagnosed(AT), Place::Next);
    early.catch_up();

    let mut late = Bench::new();
    late.publish(None, AT, diagnosed(AT), Place::Next);
    late.catch_up();
    assert_eq!(late.found(), []);
    late.observe(identifier(7, 5), AT - 60);
    assert!(late.catch_up());
    assert_eq!(late.found(), early.found());
    assert_eq!(late.found().len(), 1);
    assert!(!late.catch_up(), "nothing is tested twice");
    late.observe(identifier(7, 5), AT + 60);
    assert!(
        !late.catch_up(),
        "what came after needs no body to be opened"
    );
}

#[test]
fn both_generators_are_tried() {
    let mut bench = Bench::new();
    let terms = Terms {
        level: Level::DIAGNOSED,
        grade: None,
        observed_before: AT,
    };
    let seed = [3; 48];
    bench.publish(
        None,
        AT,
        part_of(Scheme::CX2, AT, [(terms, seed.to_vec())].into_iter()),
        Place::Next,
    );
    let mut ids = cx::Seed::new(cx::Generator::Aes256, &seed)
        .unwrap()
        .identifiers();
    bench.observe(*ids.nth(99).unwrap().as_bytes(), AT - 1);
    bench.observe(*ids.next().unwrap().as_bytes(), AT - 2);
    bench.observe([0xab; 16], AT - 3);
    bench.catch_up();
    let found = bench.matches();
    assert_eq!(
        (found.len(), found[0].scheme, found[0].observations.len()),
        (1, Scheme::CX2, 2)
    );
}

#[test]
fn the_newest_statement_counts() {
    let mut bench = Bench::new();
    bench.observe(identifier(7, 5), AT - 60);
    let first = bench.publish(None, AT, diagnosed(AT), Place::Next);
    let raised = bench.publish(
        Some(&first),
        AT + 60,
        part(
            AT + 60,
            &[(7, Level::CLINICALLY_DIAGNOSED), (8, Level::DIAGNOSED)],
        ),
        Place::Next,
    );
    bench.catch_up();
    assert_eq!(
        bench.found(),
        [(Level::CLINICALLY_DIAGNOSED, raised.cid(), vec![AT - 60])]
    );
    for withdrawn in [Level::NO_ALERT, Level::EXPIRED] {
        let mut bench = Bench {
            hits: bench.hits.clone(),
            bodies: bench.bodies.clone(),
            feed: bench.feed.clone(),
            ..Bench::new()
        };
        let last = bench.publish(
            Some(&raised),
            AT + 120,
            part(AT + 120, &[(7, withdrawn)]),
            Place::Next,
        );
        assert_eq!(bench.found(), []);
        bench.publish(
            Some(&last),
            AT + 180,
            part(AT + 180, &[(7, Level::DEBUG)]),
            Place::Next,
        );
        assert_eq!(bench.found()[0].0, Level::DEBUG);
    }
}

#[test]
fn a_late_observation_finds_what_is_withdrawn_already() {
    let mut bench = Bench::new();
    let first = bench.publish(None, AT, diagnosed(AT), Place::Next);
    bench.publish(
        Some(&first),
        AT + 60,
        part(AT + 60, &[(7, Level::NO_ALERT)]),
        Place::Next,
    );
    bench.observe(identifier(7, 5), AT - 60);
    bench.catch_up();
    assert_eq!(bench.found(), []);
}

#[test]
fn no_branch_of_a_fork_silences_the_other() {
    let mut bench = Bench::new();
    bench.observe(identifier(7, 5), AT - 60);
    bench.observe(identifier(9, 5), AT - 60);
    let first = bench.publish(None, AT, diagnosed(AT), Place::Next);
    bench.publish(
        Some(&first),
        AT + 60,
        part(AT + 60, &[(7, Level::NO_ALERT)]),
        Place::Next,
    );
    bench.publish(
        Some(&first),
        AT + 61,
        part(AT + 61, &[(9, Level::SYMPTOMATIC)]),
        Place::Side,
    );
    bench.catch_up();
    let levels: Vec<Level> = bench.matches().iter().map(|found| found.level).collect();
    assert_eq!(levels.len(), 2);
    assert!(levels.contains(&Level::DIAGNOSED) && levels.contains(&Level::SYMPTOMATIC));
    assert!(bench.matches().iter().all(|found| found.disputed));
}

#[test]
fn a_lost_body_is_not_taken_for_a_no() {
    let mut bench = Bench::new();
    let body = diagnosed(AT);
    let cid = body.1.cid();
    bench.publish(None, AT, body.clone(), Place::Next);
    bench.bodies.clear();
    bench.observe(identifier(7, 5), AT - 60);
    assert!(bench.catch_up());
    assert_eq!(bench.feed.lost(NOW), [cid].into());
    bench.bodies.insert(cid, body.1);
    bench.feed.restore(&bench.bodies[&cid]);
    bench.catch_up();
    assert_eq!(bench.found().len(), 1, "tested from where it was lost on");
}
