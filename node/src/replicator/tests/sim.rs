//! Many nodes on one queue of events: loss, delays, partitions, late joiners. Every run is a
//! function of its seed, which a failure prints.

use std::collections::BTreeSet;

use bellwether_formats::id::ObjectId;

use super::*;
use crate::network::RequestError;
use crate::relay::server::answer;

/// A small generator of numbers (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % limit
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

enum Event {
    Gossip {
        from: usize,
        to: usize,
        batch: Box<Signed<Batch>>,
    },
    Question {
        from: usize,
        to: usize,
        tag: u64,
        request: SyncRequest,
    },
    Answer {
        to: usize,
        tag: u64,
        result: Result<SyncResponse, RequestError>,
    },
    Link {
        a: usize,
        b: usize,
        up: bool,
    },
    Publish,
}

struct Sim {
    random: Random,
    author: Author,
    /// The first is the provider's own.
    nodes: Vec<Node>,
    links: BTreeMap<(usize, usize), bool>,
    /// As gossip does, a node hears each message once.
    heard: BTreeSet<(usize, ObjectId)>,
    judging: BTreeMap<(usize, u64), Signed<Batch>>,
    queue: BTreeMap<(Duration, u64), Event>,
    events: u64,
    now: Duration,
    /// Percent of gossip that is lost.
    gossip_loss: u64,
    /// Percent of questions that get no answer.
    loss: u64,
    /// What the provider has published.
    chain: Vec<Signed<Batch>>,
    questions: u64,
}

impl Sim {
    fn new(seed: u64, nodes: usize, gossip_loss: u64, loss: u64) -> Self {
        let author = Author::new(1);
        let feeds = [author.feed()];
        let provider = memory();
        provider.put_descriptor(&author.descriptor).unwrap();
        let mut all = vec![Node::with(provider, &[], &feeds)];
        all.extend((1..nodes).map(|_| Node::new(memory(), &feeds)));
        Self {
            random: Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            author,
            nodes: all,
            links: BTreeMap::new(),
            heard: BTreeSet::new(),
            judging: BTreeMap::new(),
            queue: BTreeMap::new(),
            events: 0,
            now: Duration::ZERO,
            gossip_loss,
            loss,
            chain: Vec::new(),
            questions: 0,
        }
    }

    fn at(&mut self, at: Duration, event: Event) {
        self.events += 1;
        self.queue.insert((at, self.events), event);
    }

    fn delay(&mut self) -> Duration {
        Duration::from_millis(5 + self.random.below(400))
    }

    fn linked(&self, a: usize, b: usize) -> bool {
        self.links.get(&(a.min(b), a.max(b))) == Some(&true)
    }

    /// Who a node is to the others.
    fn name(number: usize) -> PeerId {
        peer(u8::try_from(number).unwrap() + 100)
    }

    fn number(&self, name: PeerId) -> usize {
        (0..self.nodes.len())
            .find(|number| Self::name(*number) == name)
            .unwrap()
    }

    fn run(&mut self, until: Duration) {
        loop {
            let nodes = self.nodes.iter().enumerate();
            let timer = nodes
                .filter_map(|(number, node)| Some((node.replicator.poll_timeout()?, number)))
                .min();
            let event = self.queue.keys().next().map(|(at, _)| *at);
            let next = timer.map(|(at, _)| at).into_iter().chain(event).min();
            let Some(at) = next.filter(|at| *at <= until) else {
                break;
            };
            self.now = at;
            for node in &mut self.nodes {
                node.move_to(at);
            }
            match timer {
                Some((due, number)) if event.is_none_or(|event| due < event) => {
                    self.nodes[number].handle(Input::Tick);
                    self.send(number);
                }
                _ => {
                    let (_, event) = self.queue.pop_first().unwrap();
                    self.happen(event);
                }
            }
        }
        self.now = until;
        for node in &mut self.nodes {
            node.move_to(until);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Gossip { from, to, batch } => {
                if self.linked(from, to) && self.heard.insert((to, batch.id())) {
                    let token = self.nodes[to].hear(Self::name(from), &batch);
                    self.judging.insert((to, token), *batch);
                    self.send(to);
                }
            }
            Event::Question {
                from,
                to,
                tag,
                request,
            } => {
                let node = &self.nodes[to];
                let response = answer(&node.store, &node.feeds, &request).unwrap();
                let (delay, result) = if !self.linked(from, to) {
                    (Duration::ZERO, Err(RequestError::Closed))
                } else if self.random.chance(self.loss) {
                    (Duration::from_secs(20), Err(RequestError::Timeout))
                } else {
                    (self.delay(), Ok(response))
                };
                let to = from;
                self.at(self.now + delay, Event::Answer { to, tag, result });
            }
            Event::Answer { to, tag, result } => {
                self.nodes[to].respond(tag, result);
                self.send(to);
            }
            Event::Link { a, b, up } => self.link(a, b, up),
            Event::Publish => self.publish(),
        }
    }

    fn link(&mut self, a: usize, b: usize, up: bool) {
        self.links.insert((a.min(b), a.max(b)), up);
        for (one, other) in [(a, b), (b, a)] {
            let peer = Self::name(other);
            let jitter = u32::try_from(self.random.below(1 << 31)).unwrap() * 2;
            self.nodes[one].handle(if up {
                Input::Connected { peer, jitter }
            } else {
                Input::Disconnected { peer }
            });
            self.send(one);
        }
    }

    /// The provider publishes, now and then with a body, now and then under a new key.
    fn publish(&mut self) {
        if self.random.chance(10) {
            let seed = u8::try_from(self.random.below(250)).unwrap();
            self.author.replace_key(seed);
            let descriptor = self.author.descriptor.clone();
            self.nodes[0].store.put_descriptor(&descriptor).unwrap();
            self.nodes[0].handle(Input::Renewed(Box::new(descriptor)));
        }
        let number = self.chain.len();
        let body = block(format!("body {number}").as_bytes());
        let bodies: &[&Block] = if self.random.chance(50) {
            &[&body]
        } else {
            &[]
        };
        let at = self.nodes[0].now.utc;
        let batch = self.author.batch_of(self.chain.last(), bodies, |batch| {
            batch.published_at = at;
            batch.next_after = at;
            batch.next_by = at + 3600;
        });
        self.nodes[0].store.replicate(&batch, &[body]).unwrap();
        self.nodes[0].handle(Input::Published(Box::new(batch.clone())));
        self.send(0);
        self.gossip(0, &batch);
        self.chain.push(batch);
    }

    fn gossip(&mut self, from: usize, batch: &Signed<Batch>) {
        for to in 0..self.nodes.len() {
            if to != from && self.linked(from, to) && !self.random.chance(self.gossip_loss) {
                let (at, batch) = (self.now + self.delay(), Box::new(batch.clone()));
                self.at(at, Event::Gossip { from, to, batch });
            }
        }
    }

    /// Sends what a node asks, and passes on what it accepts.
    fn send(&mut self, from: usize) {
        for (token, result) in std::mem::take(&mut self.nodes[from].judged) {
            let batch = self.judging.remove(&(from, token)).unwrap();
            if result.is_ok() {
                self.gossip(from, &batch);
            }
        }
        while let Some((peer, tag, request)) = self.nodes[from].asks.pop_front() {
            self.questions += 1;
            let (at, to) = (self.now + self.delay(), self.number(peer));
            let question = Event::Question {
                from,
                to,
                tag,
                request,
            };
            self.at(at, question);
        }
    }

    /// All nodes have what the provider has published.
    fn converged(&self, seed: u64) {
        let feed = self.author.feed();
        let newest = self.chain.last().unwrap();
        for (number, node) in self.nodes.iter().enumerate() {
            let what = format!("seed {seed}, node {number}: {:?}", node.notes);
            let head = node.head(&feed).map(|head| (head.seq, head.id));
            assert_eq!(head, Some((newest.seq, newest.id())), "{what}");
            assert!(!node.store.is_forked(&feed).unwrap(), "{what}");
            assert_eq!(node.replicator.stats().bad_answers, 0, "{what}");
            let rows = node.store.rows_after(&feed, 0, 10_000).unwrap();
            assert_eq!(rows.len(), self.chain.len(), "{what}");
        }
    }
}

/// Four nodes in a ring with a tail, one of which comes late; links break and heal meanwhile.
fn story(seed: u64, gossip_loss: u64, loss: u64) {
    let mut sim = Sim::new(seed, 5, gossip_loss, loss);
    let links = [(0, 1), (1, 2), (1, 3), (2, 3)];
    for (a, b) in links {
        sim.link(a, b, true);
    }
    for minute in 1..60 {
        let second = Duration::from_secs(sim.random.below(50));
        sim.at(Duration::from_secs(minute * 60) + second, Event::Publish);
    }
    for cut in 1..5 {
        let at = Duration::from_secs(cut * 600);
        let (a, b) = links[usize::try_from(sim.random.below(4)).unwrap()];
        sim.at(at, Event::Link { a, b, up: false });
        let back = Duration::from_secs(30 + sim.random.below(400));
        sim.at(at + back, Event::Link { a, b, up: true });
    }
    let late = Event::Link {
        a: 3,
        b: 4,
        up: true,
    };
    sim.at(Duration::from_secs(2400), late);
    sim.run(Duration::from_secs(4200));
    sim.converged(seed);
    assert!(
        sim.questions < 20_000,
        "seed {seed}: {} questions",
        sim.questions
    );
}

#[test]
fn nodes_converge_whatever_the_network_does() {
    for seed in 1..=6 {
        story(seed, 30, 15);
    }
}

#[test]
fn nodes_converge_without_any_gossip() {
    for seed in 1..=4 {
        story(seed, 100, 15);
    }
}

#[test]
fn with_a_good_network_gossip_brings_everything_within_seconds() {
    let seed = 7;
    let mut sim = Sim::new(seed, 4, 0, 0);
    for (a, b) in [(0, 1), (1, 2), (2, 3)] {
        sim.link(a, b, true);
    }
    sim.run(Duration::from_secs(5));
    for _ in 0..10 {
        sim.publish();
        sim.run(sim.now + Duration::from_secs(30));
        sim.converged(seed);
    }
}
