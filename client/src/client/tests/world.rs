//! A provider and phones that follow it: gateways in memory, an invented clock.

use bellwether_formats::batch::Part;
use bellwether_formats::cid::Block;

use super::*;
use crate::fixture::Sealed;
use crate::sync::Request;
use crate::trust::Choice;

pub(super) const DAY_S: u64 = 86_400;

/// A provider, its chain, and the blocks that the chain names.
pub(super) struct World {
    pub(super) now: u64,
    pub(super) provider: Provider,
    pub(super) chain: Vec<Signed<Batch>>,
    pub(super) blocks: Vec<Block>,
}

/// A phone that follows it through gateways `https://g0`, `https://g1` …, each of an operator of
/// its own.
pub(super) struct Phone {
    pub(super) folder: tempfile::TempDir,
    pub(super) client: Client,
    pub(super) asked: Vec<Request>,
    pub(super) report: Report,
}

impl World {
    /// Two heartbeats, ten days before now.
    pub(super) fn new() -> Self {
        Self::at(time::now())
    }

    /// As [`new`](Self::new), at any time.
    pub(super) fn at(now: u64) -> Self {
        let provider = Provider::new(1, now);
        Self {
            now,
            chain: provider.heartbeats(2, now - 10 * DAY_S),
            provider,
            blocks: Vec::new(),
        }
    }

    pub(super) fn publish(&mut self, at: u64, content: &Sealed) -> Signed<Batch> {
        let (batch, blocks) = self.provider.sealed(self.chain.last(), at, content);
        self.chain.push(batch.clone());
        self.blocks.extend(blocks);
        batch
    }

    /// Publishes one open part.
    pub(super) fn publish_open(&mut self, at: u64, (part, body): (Part, Block)) -> Signed<Batch> {
        let batch = self.provider.batch(self.chain.last(), at, vec![part]);
        self.chain.push(batch.clone());
        self.blocks.push(body);
        batch
    }

    pub(super) fn heartbeat(&mut self, at: u64) {
        self.chain = self.provider.extend(&self.chain, 1, at);
    }

    pub(super) fn mirror(&self) -> Mirror {
        Mirror::new(&self.provider, &self.chain, &self.blocks)
    }
}

impl Phone {
    pub(super) fn new(world: &World, gateways: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut client = Client::open(folder.path()).unwrap();
        let gateway = |number| policy::parse(&format!("https://g{number}#o{number}")).unwrap();
        let share = Share {
            gateways: (0..gateways).map(gateway).collect(),
            ..share(&world.provider)
        };
        client.follow(&share).unwrap();
        Self {
            folder,
            client,
            asked: Vec::new(),
            report: Report::default(),
        }
    }

    pub(super) fn observe(&mut self, number: u8, at: u64, now: u64) {
        self.client.observe_at(&[near(number, at)], now).unwrap();
    }

    /// Syncs at `now`; a gateway without a mirror is dead. Gives whether the sync came to its end
    /// within so many steps.
    pub(super) fn sync_some(
        &mut self,
        mirrors: &[Option<&Mirror>],
        now: u64,
        steps: usize,
    ) -> bool {
        let random = u64::from(self.asked.len().is_multiple_of(2));
        let mut sync = Sync::new(self.client.followed_checked(), now, random);
        self.asked.clear();
        for _ in 0..steps {
            match sync.poll() {
                Step::Fetch(request) => {
                    sync.answer(answer(mirrors, &request));
                    self.asked.push(request);
                }
                Step::Keep(keep) => self.client.keep(*keep).unwrap(),
                Step::Draw => self.client.draw(&mut sync).unwrap(),
                Step::Done => {
                    self.report = sync.report().clone();
                    return true;
                }
            }
        }
        false
    }

    pub(super) fn sync(&mut self, mirrors: &[Option<&Mirror>], now: u64) -> &mut Self {
        assert!(
            self.sync_some(mirrors, now, 10_000),
            "the sync does not end"
        );
        self
    }

    pub(super) fn alerts(&mut self, now: u64) -> Alerts {
        self.client.alerts_at(now).unwrap()
    }

    pub(super) fn levels(&mut self, now: u64) -> Vec<Level> {
        let alerts = self.alerts(now);
        alerts.matches.iter().map(|found| found.level).collect()
    }

    pub(super) fn doubts(&mut self, now: u64) -> Vec<Doubted> {
        let alerts = self.alerts(now);
        alerts
            .doubts
            .into_iter()
            .map(|doubt| doubt.answer)
            .collect()
    }

    pub(super) fn choices(&self) -> Vec<Option<Choice>> {
        let feed = &self.client.state.followed[0].feeds[0];
        feed.batches().iter().map(|batch| batch.choice).collect()
    }

    /// The halves sent in the last sync: number of the gateway, path, mask.
    pub(super) fn halves(&self) -> Vec<(String, String, Vec<u8>)> {
        let halves = self.asked.iter().filter_map(|request| {
            let mask = request.body.clone()?;
            Some((request.gateway.url.clone(), request.path.clone(), mask))
        });
        halves.collect()
    }

    /// What a gateway sees of the last sync, as far as chance does not decide.
    pub(super) fn seen(&self) -> Vec<(String, usize)> {
        let seen = self.asked.iter().map(|request| {
            let mask = request.body.as_ref().map_or(0, Vec::len);
            (request.path.clone(), mask)
        });
        let mut seen: Vec<_> = seen.collect();
        seen.sort();
        seen
    }

    pub(super) fn reopen(self) -> Self {
        let Self {
            folder,
            client,
            asked,
            report,
        } = self;
        drop(client);
        let client = Client::open(folder.path()).unwrap();
        Self {
            folder,
            client,
            asked,
            report,
        }
    }

    pub(super) fn rules(&self) -> Vec<&'static str> {
        self.report
            .errors
            .iter()
            .map(|problem| problem.rule)
            .collect()
    }
}

fn answer(mirrors: &[Option<&Mirror>], request: &Request) -> Answer {
    let number: usize = request.gateway.url[9..].parse().unwrap();
    let Some(mirror) = mirrors[number] else {
        return Answer::Failed("nobody is there".into());
    };
    let body = match &request.body {
        Some(mask) => mirror.post(&request.path, mask),
        None => mirror.answer(&request.path),
    };
    body.map_or(Answer::NotFound, Answer::Body)
}
