use bellwether_formats::car::Car;
use bellwether_formats::cid::{Block, Codec};
use bellwether_formats::id::Level;
use bellwether_formats::pir::{self, Mask};

use super::*;
use crate::observations::Observation;
use crate::policy::Policy;
use crate::sealed::fixture::{AT, Published, chance, observed, payload, seen};

mod chaos;

const DAY: u64 = 86_400;

/// How a relay behaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mood {
    Honest,
    /// Right in size, and wrong.
    Lies,
    Dead,
    Missing,
    Short,
}

use Mood::{Dead, Honest, Lies, Missing, Short};

/// A phone that follows some parts.
struct Phone {
    world: Vec<Published>,
    parts: Vec<SealedPart>,
    now: u64,
    policy: Policy,
    /// Every request, and the part and look that it was for.
    log: Vec<(Option<(Key, Which)>, Request)>,
    totals: Totals,
}

fn gateway(number: usize) -> Gateway {
    Gateway {
        url: format!("https://relay{number}.example"),
        operator: format!("Operator {number}"),
    }
}

impl Phone {
    fn new(world: Vec<Published>, observations: &[Observation]) -> Self {
        let observations = observed(observations);
        Self {
            parts: world.iter().map(|part| part.held(&observations)).collect(),
            world,
            now: AT,
            policy: Policy::Private,
            log: Vec::new(),
            totals: Totals::default(),
        }
    }

    /// Draws, and asks relays of these moods, each of an operator of its own. Dies before step
    /// `steps`.
    fn sync(&mut self, moods: &[Mood], seed: u64, steps: usize) {
        let known: Vec<Gateway> = (0..moods.len()).map(gateway).collect();
        let operators = Operators::of(&known, |_| true);
        let mood = |gateway: &Gateway| {
            let number = known.iter().position(|other| other == gateway).unwrap();
            moods[number]
        };
        self.sync_with(&operators, &mood, seed, steps);
    }

    fn sync_with(
        &mut self,
        operators: &Operators,
        mood: &dyn Fn(&Gateway) -> Mood,
        seed: u64,
        steps: usize,
    ) {
        let operators = Arc::new(operators.clone());
        let mut random = chance(seed);
        let mut tasks = Vec::new();
        for (published, part) in self.world.iter().zip(&mut self.parts) {
            part.draw(self.now, self.policy, &operators, &mut random);
            *part = persisted(part);
            tasks.extend(published.tasks(part, &operators));
        }
        let mut confirm = Confirm::new(tasks);
        for _ in 0..steps {
            match confirm.poll() {
                Step::Done => break,
                Step::Keep(record) => {
                    let at = self.world.iter().position(|part| part.key == record.key);
                    let part = &mut self.parts[at.unwrap()];
                    assert_eq!(part.apply(record.which, &record.what), []);
                    *part = persisted(part);
                }
                Step::Fetch(request) => {
                    let answer = self.answer(mood(&request.gateway), &request);
                    self.log.push((confirm.context.about.clone(), request));
                    confirm.answer(answer);
                }
            }
        }
        self.totals = confirm.totals().clone();
    }

    fn answer(&self, mood: Mood, request: &Request) -> Answer {
        let right = self.right(request);
        assert!(right.len() <= request.max_bytes);
        match mood {
            Honest => Answer::Body(right),
            Lies => {
                // Each lies in a way of its own: two equal lies would make a truth.
                let lie = request.gateway.url.bytes().fold(1, u8::wrapping_add);
                Answer::Body(right.iter().map(|byte| byte ^ lie).collect())
            }
            Dead => Answer::Failed("no answer".into()),
            Missing => Answer::NotFound,
            Short => Answer::Body(right[1..].to_vec()),
        }
    }

    fn right(&self, request: &Request) -> Vec<u8> {
        if let Some(index) = request.path.strip_prefix("/v1/pir/") {
            let index: Cid = index.parse().unwrap();
            let part = self.world.iter().find(|part| part.index.cid() == index);
            let chunks = &part.unwrap().chunks;
            let mask = Mask::decode(request.body.as_ref().unwrap(), chunks.len()).unwrap();
            let mut answer = vec![0; chunks[0].len()];
            for chosen in mask.chosen() {
                pir::xor_into(&mut answer, &chunks[chosen]).unwrap();
            }
            return answer;
        }
        assert_eq!(request.body, None);
        let path = request.path.strip_prefix("/ipfs/").unwrap();
        let (cid, format) = path.split_once("?format=").unwrap();
        let cid: Cid = cid.parse().unwrap();
        let chunk = |bytes: &Vec<u8>| Block::of(Codec::Raw, bytes.clone()).unwrap();
        if format == "car" {
            let part = self.world.iter().find(|part| part.index.cid() == cid);
            let blocks = part.unwrap().chunks.iter().map(chunk).collect();
            let roots = vec![cid];
            return Car { roots, blocks }.encode();
        }
        let mut chunks = self.world.iter().flat_map(|part| &part.chunks).map(chunk);
        chunks
            .find(|chunk| chunk.cid() == cid)
            .unwrap()
            .into_bytes()
    }

    fn shown(&self) -> Vec<Observation> {
        let shown = self.parts.iter().flat_map(|part| part.shown());
        shown.map(|((observation, _), _)| observation).collect()
    }

    fn is_done(&self) -> bool {
        self.parts.iter().all(|part| part.open_looks().count() == 0)
    }

    fn rules(&self) -> Vec<&'static str> {
        let mut rules: Vec<_> = self.totals.errors.iter().map(|error| error.rule).collect();
        rules.dedup();
        rules
    }
}

/// As after a restart.
fn persisted(part: &SealedPart) -> SealedPart {
    let mut bytes = Vec::new();
    ciborium::into_writer(part, &mut bytes).unwrap();
    let read = ciborium::from_reader(bytes.as_slice()).unwrap();
    assert_eq!(*part, read);
    read
}

fn one_alert() -> (Vec<Published>, Observation) {
    let published = Published::new(1, &[(1, payload(Level::DIAGNOSED))]);
    (vec![published], seen(1, AT - DAY))
}

const ALL: usize = usize::MAX;

#[test]
fn two_operators_bring_the_chunk_and_each_sees_one_half() {
    let (world, alert) = one_alert();
    let mut phone = Phone::new(world, &[alert]);
    phone.sync(&[Honest, Honest, Honest], 1, ALL);
    assert_eq!(phone.shown(), [alert]);
    assert_eq!((phone.totals.pir_queries, phone.totals.chunks), (2, 1));
    assert_eq!(phone.totals.errors, []);
    let [(_, a), (_, b)] = phone.log.as_slice() else {
        panic!("{:?}", phone.log);
    };
    assert_ne!(a.gateway, b.gateway);
    let masks = [a, b].map(|request| Mask::decode(request.body.as_ref().unwrap(), 64).unwrap());
    let flipped = masks[0].flipped(phone.world[0].chunk(1)).unwrap();
    assert_eq!(masks[1], flipped);
    for request in [a, b] {
        assert_eq!((request.max_bytes, &request.validator), (4096, &None));
        assert_eq!(
            request.path,
            format!("/v1/pir/{}", phone.world[0].index.cid())
        );
    }
    phone.sync(&[Honest, Honest, Honest], 2, ALL);
    assert_eq!(phone.log.len(), 2, "a look is done once");
    phone.now += DAY;
    phone.sync(&[Honest, Honest, Honest], 3, ALL);
    assert_eq!(phone.log.len(), 4);
}

#[test]
fn parts_are_asked_for_in_an_order_of_their_own() {
    let world = |salts: [u8; 3]| salts.map(|salt| Published::new(salt, &[])).into();
    let order = |salts| {
        let mut phone = Phone::new(world(salts), &[]);
        phone.sync(&[Honest, Honest], 1, ALL);
        let paths = phone.log.iter().map(|(_, request)| request.path.clone());
        paths.collect::<Vec<_>>()
    };
    assert_eq!(order([1, 2, 3]), order([3, 1, 2]));
}

/// What comes of one sync with relays of these moods, over all orders that chance draws: whether
/// the alert is shown; the fewest and the most requests.
fn outcome(moods: &[Mood]) -> (Option<bool>, usize, usize) {
    let (world, alert) = one_alert();
    let mut phone = Phone::new(world, &[alert]);
    let fresh = phone.parts.clone();
    let (mut shown, mut counts) = (Vec::new(), Vec::new());
    for seed in 0..40 {
        phone.parts.clone_from(&fresh);
        phone.log.clear();
        phone.sync(moods, seed, ALL);
        assert_eq!(phone.shown().len(), usize::from(phone.is_done()));
        assert_eq!(
            phone.totals.pir_queries,
            u64::try_from(phone.log.len()).unwrap()
        );
        let bad = moods.iter().any(|mood| *mood != Honest);
        assert!(bad || phone.totals.errors.is_empty());
        assert!(phone.is_done() || !phone.totals.errors.is_empty());
        shown.push(phone.is_done());
        counts.push(phone.log.len());
    }
    let always = shown
        .iter()
        .all(|done| *done == shown[0])
        .then_some(shown[0]);
    (
        always,
        *counts.iter().min().unwrap(),
        *counts.iter().max().unwrap(),
    )
}

#[test]
fn relays_that_lie_or_fail_give_no_verdict_and_others_do() {
    for (moods, expected) in [
        (&[Honest, Honest][..], (Some(true), 2, 2)),
        (&[Honest, Lies], (Some(false), 2, 2)),
        (&[Lies, Lies], (Some(false), 2, 2)),
        (&[Honest, Dead], (Some(false), 1, 2)),
        (&[Honest, Missing], (Some(false), 1, 2)),
        (&[Honest, Short], (Some(false), 1, 2)),
        // A third operator takes the place of the one that fails, whichever half that had.
        (&[Honest, Honest, Dead], (Some(true), 2, 3)),
        (&[Honest, Honest, Missing], (Some(true), 2, 3)),
        (&[Honest, Honest, Short], (Some(true), 2, 3)),
        // If somebody lies, half A is sent once more: that helps if it was A's operator.
        (&[Honest, Honest, Lies], (None, 2, 3)),
        (&[Honest, Honest, Honest, Lies], (Some(true), 2, 4)),
        (&[Honest, Honest, Honest, Dead], (Some(true), 2, 3)),
        (&[Honest, Lies, Lies, Lies], (Some(false), 4, 4)),
    ] {
        assert_eq!(outcome(moods), expected, "{moods:?}");
    }
}

#[test]
fn a_liar_is_named_alone_where_others_show_who_it_is() {
    let (world, alert) = one_alert();
    let mut phone = Phone::new(world, &[alert]);
    let fresh = phone.parts.clone();
    for seed in 0..20 {
        phone.parts.clone_from(&fresh);
        phone.sync(&[Honest, Honest, Honest, Lies], seed, ALL);
        assert!(phone.is_done());
        let named: Vec<_> = phone
            .totals
            .errors
            .iter()
            .map(|error| (error.rule, error.gateway.clone()))
            .collect();
        let liar = ("pir", Some(gateway(3).url));
        assert!(named.is_empty() || named == [liar], "{named:?}");
        phone.parts.clone_from(&fresh);
        phone.sync(&[Honest, Lies], seed, ALL);
        assert_eq!((phone.rules(), phone.totals.errors.len()), (vec!["pir"], 2));
    }
}

#[test]
fn what_failed_is_asked_again_as_drawn() {
    let (world, alert) = one_alert();
    let mut phone = Phone::new(world, &[alert]);
    for seed in 0..5 {
        phone.sync(&[Lies, Honest], seed, ALL);
        assert_eq!((phone.shown(), phone.is_done()), (vec![], false));
        assert!(phone.parts[0].unread(Policy::Private).is_some());
    }
    for pair in phone.log.chunks_exact(2).collect::<Vec<_>>().windows(2) {
        assert_eq!(pair[0], pair[1]);
    }
    phone.sync(&[Honest, Honest], 9, ALL);
    assert_eq!(phone.shown(), [alert]);
}

#[test]
fn with_one_of_two_gone_nothing_is_sent() {
    let (world, alert) = one_alert();
    let mut phone = Phone::new(world, &[alert]);
    let known = [gateway(0), gateway(1)];
    let one = Operators::of(&known, |gateway| *gateway == known[0]);
    phone.sync_with(&one, &|_| Honest, 1, ALL);
    assert_eq!(phone.log, []);
    phone.sync(&[Dead, Honest], 1, ALL);
    phone.log.clear();
    phone.sync_with(&one, &|_| Honest, 1, ALL);
    assert_eq!((phone.log.len(), phone.rules()), (0, vec!["unreachable"]));
}

#[test]
fn a_gateway_that_does_not_answer_is_soon_left_alone() {
    let world: Vec<Published> = (1..=8).map(|salt| Published::new(salt, &[])).collect();
    let mut phone = Phone::new(world, &[]);
    phone.sync(&[Honest, Dead, Honest], 1, ALL);
    let asked = phone
        .log
        .iter()
        .filter(|(_, request)| request.gateway == gateway(1));
    assert_eq!(asked.count(), MAX_FAILURES);
    assert!(phone.is_done());
    assert_eq!(phone.rules(), ["unreachable"]);
}

#[test]
fn two_gateways_of_an_operator_take_turns() {
    let (world, alert) = one_alert();
    let mut phone = Phone::new(world, &[alert]);
    let other = Gateway {
        url: "https://second.example".into(),
        ..gateway(1)
    };
    let known = [gateway(0), gateway(1), other.clone()];
    let operators = Operators::of(&known, |_| true);
    assert_eq!(operators.known(), 2);
    let mood = |gateway: &Gateway| if *gateway == known[1] { Dead } else { Honest };
    phone.sync_with(&operators, &mood, 1, ALL);
    assert_eq!(phone.shown(), [alert]);
    assert!(
        phone
            .log
            .iter()
            .any(|(_, request)| request.gateway == other)
    );
}

#[test]
fn a_whole_body_comes_from_whoever_has_it() {
    let (world, alert) = one_alert();
    let mut phone = Phone::new(world, &[alert]);
    phone.policy = Policy::WholeBody;
    phone.sync(&[Lies, Short], 1, ALL);
    assert!(!phone.is_done());
    phone.sync(&[Lies, Short, Honest], 1, ALL);
    assert_eq!(phone.shown(), [alert]);
    assert_eq!((phone.totals.pir_queries, phone.totals.chunks), (0, 64));
    assert!(
        phone
            .log
            .iter()
            .all(|(_, request)| request.path.ends_with("?format=car"))
    );
}

#[test]
fn decoys_are_asked_for_again_all_of_them_in_the_same_order() {
    let ids = [(1, payload(Level::DIAGNOSED))];
    let world = vec![Published::padded(1, &ids, 17_000)];
    let alert = seen(1, AT - DAY);
    let mut phone = Phone::new(world, &[alert]);
    let asked = |phone: &mut Phone| -> Vec<String> {
        let log = std::mem::take(&mut phone.log);
        log.into_iter().map(|(_, request)| request.path).collect()
    };
    // Dies in the middle of it.
    phone.sync(&[Honest], 1, 5);
    let before = asked(&mut phone);
    phone.sync(&[Honest], 2, ALL);
    let after = asked(&mut phone);
    assert_eq!((before.len(), after.len()), (5, 8));
    assert_eq!(before, after[..5]);
    assert_eq!((phone.shown(), phone.totals.chunks), (vec![alert], 8));
}

#[test]
fn lean_asks_for_what_it_wants() {
    let (world, alert) = one_alert();
    let mut phone = Phone::new(world, &[]);
    phone.policy = Policy::Lean;
    phone.sync(&[Honest], 1, ALL);
    assert_eq!(phone.log, []);
    let (world, _) = one_alert();
    let mut phone = Phone::new(world, &[alert]);
    phone.policy = Policy::Lean;
    phone.sync(&[Missing, Honest], 1, ALL);
    assert_eq!((phone.shown(), phone.log.len()), (vec![alert], 2));
}
