//! The loop: wait, hand in, do what comes out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bellwether_formats::batch::Batch;
use bellwether_formats::id::{FeedId, Zone};
use bellwether_formats::signed::Signed;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::check::{Check, Checked};
use super::verify::{open, verify};
use super::{RefuseError, RelayConfig, RelayStatus, Replicator, notes, perform, server};
use crate::clock::{self, Clock};
use crate::config::Retain;
use crate::network::{
    GossipToken, NetworkEvent, NetworkHandle, NoneReason, PeerId, ReplyToken, SyncRequest,
    SyncResponse, Verdict,
};
use crate::publisher::Seen;
use crate::replicator::{Answer, Input, Job, Moment, Output};
use crate::store::{Store, StoreError};

/// Questions of peers that are answered at a time: as many as a disk is quick for, and each answer
/// may hold a megabyte.
const MAX_SERVED: usize = 8;

/// Time between two prunings.
const PRUNE: Duration = Duration::from_mins(10);

/// Shortest time between two reports of the status.
const REPORT: Duration = Duration::from_millis(200);

/// Owns the replicator.
pub(super) struct Driver {
    pub(super) replicator: Replicator,
    pub(super) store: Store,
    network: NetworkHandle,
    feeds: Arc<BTreeSet<FeedId>>,
    pub(super) retain: Retain,
    pub(super) clock: Clock,
    fence: watch::Sender<Seen>,
    status: watch::Sender<RelayStatus>,
    /// Gossip messages that wait for their verdict. The replicator bounds them.
    tokens: BTreeMap<u64, GossipToken>,
    next_token: u64,
    served: JoinSet<()>,
    pub(super) pruning: JoinSet<Result<(), StoreError>>,
    /// When the next pruning may begin, if there is no place left.
    pub(super) prune_at: Instant,
    pub(super) check: Check,
    /// One batch at a time.
    pub(super) checking: JoinSet<Result<Option<Checked>, StoreError>>,
    pub(super) checked: u64,
    /// Kept batches whose sealed parts break rules.
    pub(super) faulty: u64,
    start: Instant,
    peers: u64,
    rejected: u64,
    /// When the status is to be reported, if something happened since the last time.
    report_at: Option<Instant>,
}

impl Driver {
    pub(super) async fn new(
        config: RelayConfig,
        store: Store,
        network: NetworkHandle,
        fence: watch::Sender<Seen>,
        status: watch::Sender<RelayStatus>,
        check: Check,
    ) -> Result<Self, StoreError> {
        let RelayConfig {
            feeds: carried,
            own,
            anti_entropy,
            retain,
            clock,
        } = config;
        let all = carried.iter().chain(&own).cloned().collect();
        let known = on_pool(&store, move |store| perform::known(store, &carried, &own));
        let (feeds, descriptors) = known.await?;
        let faulty = on_pool(&store, Store::faulty).await?;
        let start = Instant::now();
        let mut replicator = Replicator::new(feeds, descriptors, anti_entropy, moment(start));
        replicator.limit(retain.max_bytes, retain.max_age);
        Ok(Self {
            replicator,
            store,
            network,
            feeds: Arc::new(all),
            retain,
            clock,
            fence,
            status,
            tokens: BTreeMap::new(),
            next_token: 0,
            served: JoinSet::new(),
            pruning: JoinSet::new(),
            prune_at: start,
            check,
            checking: JoinSet::new(),
            checked: 0,
            faulty,
            start,
            peers: 0,
            rejected: 0,
            report_at: Some(start),
        })
    }

    pub(super) async fn run(
        mut self,
        mut events: mpsc::Receiver<NetworkEvent>,
        mut published: mpsc::Receiver<Signed<Batch>>,
        stop: CancellationToken,
    ) -> Result<(), StoreError> {
        let mut prune = tokio::time::interval(PRUNE);
        prune.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // What was kept before the last stop and not checked.
        self.check(&stop);
        loop {
            self.settle(&stop).await?;
            self.report();
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                Some(batch) = published.recv() => {
                    self.publish(batch).await?;
                    self.check(&stop);
                }
                () = tokio::time::sleep_until(self.wake_at()) => self.tick(),
                event = events.recv() => match event {
                    Some(event) => self.happened(event).await,
                    None => return Ok(()),
                },
                Some(_) = self.served.join_next() => {}
                Some(pruned) = self.pruning.join_next() => {
                    unless_read_only(pruned.unwrap_or(Ok(())))?;
                }
                Some(checked) = self.checking.join_next() => {
                    // Should it panic, which it must not, it is left until the next batch comes.
                    if let Some(checked) = unless_read_only(checked.unwrap_or(Ok(None)))? {
                        self.was_checked(&checked).await?;
                        self.check(&stop);
                    }
                }
                _ = prune.tick() => self.prune(),
            }
        }
    }

    /// Does everything that the replicator says.
    async fn settle(&mut self, stop: &CancellationToken) -> Result<(), StoreError> {
        while let Some(output) = self.replicator.poll_output() {
            match output {
                Output::Ask { peer, tag, request } => self.ask(peer, tag, request),
                Output::Judged { token, result } => self.judged(token, result),
                Output::Store(job) => self.store(job, stop).await?,
                Output::Fence { zone, order } => self.fence(zone, order),
                Output::Note(note) => notes::log(&note),
            }
        }
        Ok(())
    }

    fn ask(&mut self, peer: PeerId, tag: u64, request: SyncRequest) {
        if !self.store.is_writable() {
            // The answer could not be kept. The next round asks again.
            let answer = Answer::Failed;
            return self.hand_in(Input::Answer { tag, answer });
        }
        if let Err(error) = self.network.send_request(peer, request, tag) {
            tracing::debug!(%peer, %error, "not asked");
            let answer = Answer::Failed;
            self.hand_in(Input::Answer { tag, answer });
        }
    }

    fn judged(&mut self, token: u64, result: Result<(), RefuseError>) {
        let Some(token) = self.tokens.remove(&token) else {
            return;
        };
        let verdict = match result {
            Ok(()) => Verdict::Accept,
            Err(error) => {
                tracing::debug!(rule = error.rule(), %error, "gossiped batch not passed on");
                error.verdict()
            }
        };
        self.network.verdict(token, verdict);
    }

    async fn store(&mut self, job: Job, stop: &CancellationToken) -> Result<(), StoreError> {
        let commits = matches!(job, Job::Commit { .. } | Job::CommitOlder { .. });
        let grows = commits || matches!(job, Job::Keep(_));
        let feed = match &job {
            Job::Commit { batch, .. } => Some(batch.feed()),
            Job::Anchor { feed, .. } => Some(feed.clone()),
            _ => None,
        };
        let done = on_pool(&self.store, move |store| {
            let done = perform::perform(store, job)?;
            Ok((done, if grows { store.used_bytes()? } else { 0 }))
        });
        let (done, used) = match done.await {
            // The disk is full: the head tells that nothing was kept, and it is asked for again.
            Err(error) if error.is_read_only() => {
                let head = feed
                    .map(|feed| on_pool(&self.store, move |store| perform::stored(store, feed)));
                let head = match head {
                    Some(head) => head.await?,
                    None => None,
                };
                (head, 0)
            }
            done => done?,
        };
        if let Some(input) = done {
            self.hand_in(input);
        }
        if used > self.retain.max_bytes && self.prune_at <= Instant::now() {
            self.prune();
        }
        if commits {
            self.check(stop);
        }
        Ok(())
    }

    fn fence(&self, zone: Zone, order: (u64, u64)) {
        self.fence.send_if_modified(|fence| {
            let known = fence.entry(zone).or_default();
            let higher = *known < order;
            *known = order.max(*known);
            higher
        });
    }

    /// Gossips a batch of this node's own.
    async fn publish(&mut self, batch: Signed<Batch>) -> Result<(), StoreError> {
        if self.replicator.epoch(&batch.provider) != Some(batch.epoch) {
            let provider = batch.provider;
            let held = on_pool(&self.store, move |store| store.descriptor(&provider)).await?;
            if let Some(descriptor) = held {
                self.hand_in(Input::Renewed(Box::new(descriptor)));
            }
        }
        let envelope = batch.envelope().to_vec();
        self.network.publish(batch.zone.clone(), envelope);
        self.hand_in(Input::Published(Box::new(batch)));
        Ok(())
    }

    async fn happened(&mut self, event: NetworkEvent) {
        match event {
            NetworkEvent::Connected { peer } => {
                self.peers += 1;
                // Any number will do; without one, all rounds have the middle length.
                let jitter = getrandom::u32().unwrap_or(u32::MAX / 2);
                self.hand_in(Input::Connected { peer, jitter });
            }
            NetworkEvent::Disconnected { peer } => {
                self.peers = self.peers.saturating_sub(1);
                self.hand_in(Input::Disconnected { peer });
            }
            // What cannot be kept is not passed on either.
            NetworkEvent::Gossip { token, .. } if !self.store.is_writable() => {
                self.network.verdict(token, Verdict::Ignore);
            }
            NetworkEvent::Gossip {
                peer,
                zone,
                data,
                token,
            } => self.gossiped(peer, zone, &data, token),
            NetworkEvent::Request { request, reply, .. } => self.serve(request, reply),
            NetworkEvent::Response { tag, result, .. } => {
                let wanted = self.replicator.asked_blocks(tag);
                let verified = tokio::task::spawn_blocking(move || verify(&wanted, result)).await;
                let answer = verified.unwrap_or(Answer::Bad);
                self.hand_in(Input::Answer { tag, answer });
            }
        }
    }

    /// Verifies a gossiped message here: one signature is quicker than the way to the pool.
    fn gossiped(&mut self, peer: PeerId, topic: Zone, data: &[u8], token: GossipToken) {
        match open(topic, data) {
            Ok(batch) => {
                self.next_token += 1;
                self.tokens.insert(self.next_token, token);
                self.hand_in(Input::Gossip {
                    peer,
                    token: self.next_token,
                    batch: Box::new(batch),
                });
            }
            Err(error) => {
                tracing::info!(%peer, rule = error.rule(), %error, "gossip refused");
                self.rejected += 1;
                self.report_soon();
                self.network.verdict(token, error.verdict());
            }
        }
    }

    fn serve(&mut self, request: SyncRequest, reply: ReplyToken) {
        let network = self.network.clone();
        if self.served.len() >= MAX_SERVED {
            return network.reply(reply, SyncResponse::None(NoneReason::Busy));
        }
        let (store, feeds) = (self.store.clone(), Arc::clone(&self.feeds));
        self.served
            .spawn_blocking(move || match server::answer(&store, &feeds, &request) {
                Ok(answer) => network.reply(reply, answer),
                Err(error) => {
                    tracing::error!(%error, "a peer's question could not be answered");
                    network.reply(reply, SyncResponse::None(NoneReason::Busy));
                }
            });
    }

    fn hand_in(&mut self, input: Input) {
        self.replicator.handle(input, moment(self.start));
        self.report_soon();
    }

    pub(super) fn report_soon(&mut self) {
        self.report_at
            .get_or_insert_with(|| Instant::now() + REPORT);
    }

    /// The clock woke the relay: for the replicator, or for a report.
    fn tick(&mut self) {
        let due = self.replicator.poll_timeout();
        if due.is_some_and(|at| at <= self.start.elapsed()) {
            self.hand_in(Input::Tick);
        }
    }

    fn wake_at(&self) -> Instant {
        let tick = self.replicator.poll_timeout().map(|at| self.start + at);
        let far = Instant::now() + PRUNE;
        tick.into_iter().chain(self.report_at).min().unwrap_or(far)
    }

    fn report(&mut self) {
        if self.report_at.is_none_or(|at| Instant::now() < at) {
            return;
        }
        self.report_at = None;
        self.clock.future(self.replicator.future());
        self.status.send_replace(RelayStatus {
            feeds: self.replicator.status(),
            peers: self.peers,
            alone: self.replicator.alone(),
            rejected: self.rejected,
            dropped: self.network.status().gossip_dropped,
            stats: self.replicator.stats(),
            checked: self.checked,
            faulty: self.faulty,
        });
    }
}

/// Now, on both clocks.
fn moment(start: Instant) -> Moment {
    Moment {
        utc: clock::now(),
        at: start.elapsed(),
    }
}

/// Takes what waits for a disk with room for no failure: it will be tried again.
fn unless_read_only<T: Default>(done: Result<T, StoreError>) -> Result<T, StoreError> {
    match done {
        Err(error) if error.is_read_only() => Ok(T::default()),
        done => done,
    }
}

/// Lends the store to the blocking pool.
pub(super) async fn on_pool<T: Send + 'static>(
    store: &Store,
    work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let store = store.clone();
    let done = tokio::task::spawn_blocking(move || work(&store));
    done.await.expect("work on the store does not panic")
}
