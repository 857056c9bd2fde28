//! Fetches what lies before the oldest batch of a chain: a gateway may have deleted it that another one has.
//!
//! Whom to ask follows from the batches known, from what gateways gave, and from time.

use bellwether_formats::batch::Batch;
use bellwether_formats::id::{FeedId, ObjectId};
use bellwether_formats::limit;
use bellwether_formats::signed::Signed;

use super::super::read::MAX_CAR_BYTES;
use super::super::{Answer, Context, parts};
use super::{CURSOR_STEP, FeedSync, MAX_PAGES, MAX_POOL_BYTES, MAX_WAITING, Stage};
use crate::trust::Place;

/// Most gateways asked in a sync of a feed for what lies before, in requests for a first page.
const MAX_DESCENTS: usize = 4;

/// One gateway's answer to what lies before a batch.
#[derive(Debug)]
pub(super) struct Descent {
    /// The batch. It moves down with what is taken in.
    edge: ObjectId,
    seq: u64,
    pub(super) gateway: usize,
    after: u64,
    pages: u32,
}

impl FeedSync {
    /// Asks the next gateway for what lies before the batches known, or for its next page; goes on
    /// when nobody is left to ask.
    pub(super) fn ask_older(&mut self, context: &mut Context) {
        self.hunt = None;
        if self.descent.is_none() {
            self.candidates.clear();
            self.pool.clear();
            self.descent = self.next_descent(context);
            self.descents += 1;
        }
        let Some(descent) = &mut self.descent else {
            self.flush(context);
            return self.begin_sealed(context);
        };
        if descent.pages >= MAX_PAGES || context.is_dead(descent.gateway) {
            return self.end_descent(context);
        }
        descent.pages += 1;
        let FeedId { provider, zone } = &self.id;
        let path = format!("/v1/feeds/{provider}/{zone}/after/{}", descent.after);
        context.fetch(descent.gateway, path, MAX_CAR_BYTES, None);
    }

    /// The newest batch with nothing before it, and a gateway that was not asked for that today: of
    /// an operator that was not asked either, if there is one.
    fn next_descent(&self, context: &Context) -> Option<Descent> {
        if self.descents >= MAX_DESCENTS {
            return None;
        }
        let alive = context.alive();
        for edge in self.feed.edges_to_ask(self.horizon(context)) {
            let asked = self.feed.asked(edge.id, context.now);
            let (asked, free): (Vec<usize>, Vec<usize>) = alive
                .iter()
                .partition(|gateway| context.is_one_of(**gateway, &asked));
            let operators = context.operators_of(&asked);
            let is_other = |gateway: &&usize| {
                context.operators_of(&[asked.as_slice(), &[**gateway]].concat()) > operators
            };
            let Some(gateway) = free.iter().find(is_other).or_else(|| free.first()) else {
                continue;
            };
            let below = self.feed.known_below(edge.seq);
            return Some(Descent {
                edge: edge.id,
                seq: edge.seq,
                gateway: *gateway,
                after: below - below % CURSOR_STEP,
                pages: 0,
            });
        }
        None
    }

    pub(super) fn older_answer(&mut self, context: &mut Context, answer: Answer) {
        let Some(gateway) = self.descent.as_ref().map(|descent| descent.gateway) else {
            return;
        };
        let contents = self.contents(context, gateway, answer);
        let (Some(contents), Some(descent)) = (contents, &mut self.descent) else {
            return self.end_descent(context);
        };
        let seq = descent.seq;
        let is_end = contents.batches.iter().any(|batch| batch.seq >= seq);
        let before = |batch: &Signed<Batch>| batch.feed() == self.id && batch.seq < seq;
        let batches: Vec<Signed<Batch>> = contents.batches.into_iter().filter(before).collect();
        let last = batches.iter().map(|batch| batch.seq).max();
        let last = last.filter(|last| *last > descent.after);
        let pool: usize = self.pool.values().map(|block| block.bytes().len()).sum();
        if pool <= MAX_POOL_BYTES {
            self.pool.extend(contents.others);
        }
        self.candidates
            .extend(batches.into_iter().map(|batch| (batch.id(), batch)));
        let waiting = self.candidates.len();
        let room = MAX_WAITING.saturating_add(usize::try_from(limit::MAX_CAR_ROOTS).unwrap_or(0));
        match last {
            // There is more on the way to the batch.
            Some(last) if !is_end && last.saturating_add(1) < seq && waiting <= room => {
                descent.after = last;
            }
            Some(_) | None => self.stage = Stage::Descend,
        }
    }

    /// Takes in what lies before the batch, the newest first, as far as the gateway has it.
    pub(super) fn descend(&mut self, context: &mut Context) {
        while let Some(batch) = self.next_older() {
            let place = match self.feed.place(&batch) {
                Ok(place) => place,
                Err(error) => {
                    context.blame(None, Some(&self.id), error.rule(), error.to_string());
                    break;
                }
            };
            let horizon = self.horizon(context);
            if place != Place::Before || !self.feed.wants_before(batch.id(), horizon) {
                break;
            }
            let mut wanted = parts::wanted(&batch, horizon);
            if let Some(cid) = wanted.find(|cid| !self.pool.contains_key(cid)) {
                return self.ask_body(context, cid);
            }
            self.accept(context, &batch, place);
            self.candidates.remove(&batch.id());
            if let Some(descent) = &mut self.descent {
                (descent.edge, descent.seq) = (batch.id(), batch.seq);
            }
        }
        self.end_descent(context);
    }

    /// The batch before the edge, if the gateway gave it.
    fn next_older(&self) -> Option<Signed<Batch>> {
        let edge = self.feed.batch(self.descent.as_ref()?.edge)?;
        self.candidates.get(&edge.prev?).cloned()
    }

    /// The gateway gave what it has.
    pub(super) fn end_descent(&mut self, context: &mut Context) {
        if let Some(Descent {
            edge, seq, gateway, ..
        }) = self.descent.take()
        {
            let prev = self.feed.batch(edge).and_then(|edge| edge.prev);
            let horizon = self.horizon(context);
            let wanted = prev.filter(|prev| self.feed.wants_before(*prev, horizon));
            if wanted.is_some_and(|prev| self.feed.batch(prev).is_none())
                && !context.is_dead(gateway)
            {
                let message = format!("the gateway does not have what lies before batch {seq}");
                context.blame(Some(gateway), Some(&self.id), "not-found", message);
                self.note_asked(context, edge, gateway);
                let ready = std::mem::take(&mut self.ready);
                context.keep(None, Some(self.feed.clone()), ready);
            }
        }
        self.flush(context);
        self.stage = Stage::Older;
    }

    /// Whoever gave a batch without what lies before it need not be asked for that.
    pub(super) fn asked_for_older(
        &mut self,
        context: &Context,
        batch: &Signed<Batch>,
        gateway: usize,
    ) {
        let prev = batch.prev.filter(|prev| self.feed.batch(*prev).is_none());
        if prev.is_some() {
            self.note_asked(context, batch.id(), gateway);
        }
    }

    fn note_asked(&mut self, context: &Context, edge: ObjectId, gateway: usize) {
        if let Some(gateway) = context.gateways.get(gateway) {
            self.feed.note_asked(edge, &gateway.url, context.now);
        }
    }
}
