//! The sync of one feed: two witnesses for its newest batch, then what leads to it, then bodies.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bellwether_formats::batch::Batch;
use bellwether_formats::cid::{Block, Cid};
use bellwether_formats::id::{FeedId, ObjectId};
use bellwether_formats::limit;
use bellwether_formats::signed::Signed;

use super::read::{self, Contents, MAX_CAR_BYTES};
use super::{Answer, Context, Outcome, Witnesses};
use crate::trust::{Feed, Wanted};

/// Cursors are shown rounded down to a multiple of this, so that a gateway cannot tell two clients
/// that are close to each other apart. Source: spec §11.2.
const CURSOR_STEP: u64 = 8;

/// Most answers taken from one gateway on the way to one head, in requests.
const MAX_PAGES: u32 = 1000;

/// Most batches that wait for a descendant to vouch for them, in items: two weeks at one batch in
/// five minutes.
const MAX_WAITING: usize = 4096;

/// Most bytes of bodies held before their batches are taken (32 MiB); beyond, they are dropped and
/// fetched one by one.
const MAX_POOL_BYTES: usize = 32 * 1024 * 1024;

/// Bytes of blocks after which what was verified is persisted (4 MiB).
const MAX_READY_BYTES: usize = limit::MAX_CAR_BYTES;

mod heads;
mod lost;
mod older;
mod sealed;
mod way;

use older::Descent;

#[derive(Debug)]
pub(super) struct FeedSync {
    feed: Feed,
    id: FeedId,
    stage: Stage,
    witnesses: Witnesses,
    /// The newest batches that gateways named, with the gateway.
    heads: Vec<(usize, Signed<Batch>)>,
    /// Those still to be reached, the newest last.
    targets: Vec<Signed<Batch>>,
    /// Tells whether a batch is known to exist that was not when this sync began.
    news: bool,
    /// A newest batch could not be reached.
    missed: bool,
    /// A gateway's newest batch is older than the own one.
    old: bool,
    hunt: Option<Hunt>,
    descent: Option<Descent>,
    /// Number of times that gateways were asked for what lies before the batches known.
    descents: usize,
    /// Batches whose signatures hold and that are not yet believed.
    candidates: BTreeMap<ObjectId, Signed<Batch>>,
    pool: BTreeMap<Cid, Block>,
    ready: Vec<Block>,
    /// Bodies that were kept and are lost.
    lost: BTreeSet<Cid>,
    /// Sealed parts whose filter or index is not there.
    wanted: VecDeque<Wanted>,
}

#[derive(Debug)]
enum Stage {
    Heads,
    Lost {
        asking: usize,
        others: VecDeque<usize>,
    },
    Choose,
    Settle,
    Page,
    Older,
    Descend,
    Body {
        cid: Cid,
        asking: usize,
        others: VecDeque<usize>,
    },
    Sealed {
        asking: usize,
        others: VecDeque<usize>,
    },
    More,
    Done,
}

/// The way to one newest batch.
#[derive(Debug)]
struct Hunt {
    target: Signed<Batch>,
    /// Whom to ask for what leads there.
    attempts: VecDeque<usize>,
    start: u64,
    after: u64,
    pages: u32,
    /// Believed candidates, in order.
    settle: VecDeque<ObjectId>,
}

impl FeedSync {
    pub(super) fn new(mut feed: Feed, context: &Context) -> Self {
        feed.expire(context.horizon);
        Self {
            id: feed.id(),
            lost: feed.lost(context.horizon),
            feed,
            stage: Stage::Heads,
            witnesses: Witnesses::new(context.alive()),
            heads: Vec::new(),
            targets: Vec::new(),
            news: false,
            missed: false,
            old: false,
            hunt: None,
            descent: None,
            descents: 0,
            candidates: BTreeMap::new(),
            pool: BTreeMap::new(),
            ready: Vec::new(),
            wanted: VecDeque::new(),
        }
    }

    /// Does what can be done without a gateway, or asks one; false at the end.
    pub(super) fn advance(&mut self, context: &mut Context) -> bool {
        match &mut self.stage {
            Stage::Heads => match self.witnesses.next(|gateway| context.is_dead(gateway)) {
                Some(gateway) => {
                    let path = format!("/v1/zones/{}/heads", self.id.zone);
                    context.fetch(gateway, path, MAX_CAR_BYTES, None);
                }
                None => self.find_targets(context),
            },
            Stage::Lost { .. } => self.ask_lost(context),
            Stage::Choose => self.choose(context),
            Stage::Settle => self.settle(context),
            Stage::Page => self.ask_page(context),
            Stage::Older => self.ask_older(context),
            Stage::Descend => self.descend(context),
            Stage::Body {
                cid,
                asking,
                others,
            } => match context.fetch_block(others, cid, limit::MAX_BLOCK_BYTES) {
                Some(gateway) => *asking = gateway,
                None if self.descent.is_some() => self.end_descent(context),
                None => self.give_up(context),
            },
            Stage::Sealed { .. } => self.ask_sealed(context),
            Stage::More => self.ask_more(context),
            Stage::Done => return false,
        }
        true
    }

    pub(super) fn answer(&mut self, context: &mut Context, answer: Answer) {
        match &self.stage {
            Stage::Heads | Stage::More => self.heads_answer(context, answer),
            Stage::Page => self.page_answer(context, answer),
            Stage::Older => self.older_answer(context, answer),
            Stage::Body { cid, asking, .. } => {
                let (cid, asking) = (*cid, *asking);
                self.body_answer(context, cid, asking, answer);
            }
            Stage::Lost { asking, .. } => {
                let asking = *asking;
                self.lost_answer(context, asking, answer);
            }
            Stage::Sealed { asking, .. } => {
                let asking = *asking;
                self.sealed_answer(context, asking, answer);
            }
            Stage::Choose | Stage::Settle | Stage::Descend | Stage::Done => {}
        }
    }

    /// All witnesses are heard: which of what they named is to be reached?
    fn find_targets(&mut self, context: &mut Context) {
        self.apply_anchor(context);
        if self.feed.anchored_at() == Some(context.now) && self.feed.head().is_some() {
            // What was revoked must not wait for what is new.
            context.keep(None, Some(self.feed.clone()), Vec::new());
        }
        // A descriptor that came with the second answer may say otherwise of the first.
        let heads = std::mem::take(&mut self.heads);
        self.heads = heads
            .into_iter()
            .filter(|(_, head)| self.refused(context, head).is_none())
            .collect();
        self.targets = self.heads.iter().map(|(_, head)| head.clone()).collect();
        self.targets.sort_by_key(order);
        self.targets.dedup_by_key(|head| head.id());
        // It is known to exist from now on, whatever becomes of the way there.
        for target in &self.targets {
            self.news |= self.feed.see(target);
        }
        if std::mem::take(&mut self.news) {
            context.keep(None, Some(self.feed.clone()), Vec::new());
        }
        self.stage = Stage::Lost {
            asking: 0,
            others: context.alive().into(),
        };
    }

    fn choose(&mut self, context: &mut Context) {
        self.hunt = None;
        self.candidates.clear();
        self.pool.clear();
        let Some(target) = self.targets.pop() else {
            self.stage = Stage::Older;
            return;
        };
        let own = self.feed.head().map(|head| (head.seq, head.id));
        let newer = own.is_none_or(|(seq, _)| target.seq > seq);
        if self.feed.batch(target.id()).is_some()
            || !(newer || self.feed.contradicts(target.seq, target.id()))
        {
            return;
        }
        let givers = self
            .heads
            .iter()
            .filter(|(_, head)| head.id() == target.id());
        let mut order: Vec<usize> = givers.map(|(gateway, _)| *gateway).collect();
        let others = context
            .alive()
            .into_iter()
            .filter(|other| !order.contains(other));
        order.extend(others.collect::<Vec<_>>());
        let below = own
            .map_or(0, |(seq, _)| seq)
            .min(target.seq.saturating_sub(1));
        let start = below - below % CURSOR_STEP;
        let mut hunt = Hunt {
            attempts: order.into(),
            start,
            after: start,
            pages: 0,
            settle: VecDeque::new(),
            target,
        };
        // The very next batch is at hand already; only its bodies are missing. Source: spec §11.2.
        if own.is_some_and(|(_, id)| hunt.target.prev == Some(id)) {
            hunt.settle.push_back(hunt.target.id());
            self.candidates
                .insert(hunt.target.id(), hunt.target.clone());
        }
        self.hunt = Some(hunt);
        self.stage = Stage::Settle;
    }

    fn apply_anchor(&mut self, context: &mut Context) {
        let descriptor = context.descriptor.as_ref();
        let anchor = descriptor
            .and_then(|descriptor| descriptor.anchor(&self.id.zone))
            .cloned();
        if anchor.is_some_and(|anchor| self.feed.apply_anchor(&anchor, context.now)) {
            let message =
                "the provider disowns batches that were signed: what they said is dropped";
            context.blame(None, Some(&self.id), "anchor", message.to_owned());
        }
    }

    /// Reads a bundle, and offers its descriptors.
    fn contents(&self, context: &mut Context, gateway: usize, answer: Answer) -> Option<Contents> {
        let bytes = context.body(gateway, Some(&self.id), answer)?;
        let contents = match read::read(&bytes) {
            Ok(contents) => contents,
            Err(error) => {
                context.blame(
                    Some(gateway),
                    Some(&self.id),
                    error.rule(),
                    error.to_string(),
                );
                return None;
            }
        };
        for descriptor in &contents.descriptors {
            if descriptor.provider != self.id.provider {
                continue;
            }
            if let Err(error) = context.offer_descriptor(descriptor.clone()) {
                context.blame(
                    Some(gateway),
                    Some(&self.id),
                    error.rule(),
                    error.to_string(),
                );
            }
        }
        Some(contents)
    }

    /// Has what was taken in persisted.
    fn flush(&mut self, context: &mut Context) {
        if !self.ready.is_empty() {
            context.keep(
                None,
                Some(self.feed.clone()),
                std::mem::take(&mut self.ready),
            );
        }
    }

    /// Has what was taken in persisted, if it is much.
    fn flush_much(&mut self, context: &mut Context) {
        let ready: usize = self.ready.iter().map(|block| block.bytes().len()).sum();
        if ready > MAX_READY_BYTES {
            self.flush(context);
        }
    }

    fn finish(&mut self, context: &mut Context) {
        let answered = !self.heads.is_empty();
        let own = self.feed.head().map_or(0, |head| head.seq);
        let current = |(_, head): &(usize, Signed<Batch>)| {
            head.seq >= own && self.feed.batch(head.id()).is_some()
        };
        if self.heads.iter().any(current) {
            self.feed.set_reached(context.now);
            context.keep(None, Some(self.feed.clone()), Vec::new());
        }
        if !answered && !self.old {
            let message = "no gateway answered for the feed".to_owned();
            context.blame(None, Some(&self.id), "unreachable", message);
        }
        let heads = self
            .heads
            .iter()
            .map(|(gateway, head)| (*gateway, head.seq));
        context.list(&self.id, &heads.collect::<Vec<_>>());
        context.report.feeds.push(Outcome {
            provider: self.id.provider.to_string(),
            zone: self.id.zone.to_string(),
            reached: answered && !self.missed,
            head: self.feed.head().map(|head| head.seq),
        });
        self.stage = Stage::Done;
    }
}

/// Order in a feed, and among branches.
fn order(batch: &Signed<Batch>) -> (u64, u64, ObjectId) {
    (batch.epoch, batch.seq, batch.id())
}
