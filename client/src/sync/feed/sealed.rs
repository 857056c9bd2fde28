//! After the batches of a feed: filters and indexes of its sealed parts, and who else has the feed.
//!
//! All of them, always: what is fetched follows from what was published alone. A batch does not
//! wait for them; a part of which one is missing is in doubt until a later sync has it.

use bellwether_formats::cid::{Block, Cid};
use bellwether_formats::limit;

use super::super::read::MAX_CAR_BYTES;
use super::super::{Answer, Context, parts};
use super::{FeedSync, Stage};
use crate::sealed;

/// How many operators are asked for the feed where looks are due: two for each half of a query, so
/// that no single one that lies or is gone stands in the way. (Of three, the third may be given the
/// half that was right.)
const OPERATORS: usize = 4;

impl FeedSync {
    /// All batches are settled: which sealed parts are looked at, and what of them is missing?
    pub(super) fn begin_sealed(&mut self, context: &mut Context) {
        if self.feed.choose() {
            context.keep(None, Some(self.feed.clone()), Vec::new());
        }
        self.pool.clear();
        self.wanted = self.feed.wanted(self.horizon(context)).into();
        self.stage = Stage::Sealed {
            asking: 0,
            others: context.alive().into(),
        };
    }

    /// Asks one gateway after the other for the next block of the first part, then for the next.
    pub(super) fn ask_sealed(&mut self, context: &mut Context) {
        let Some((cid, max)) = self.next_sealed() else {
            self.flush(context);
            self.stage = Stage::More;
            return;
        };
        let Stage::Sealed { asking, others } = &mut self.stage else {
            return;
        };
        match context.fetch_block(others, &cid, max) {
            Some(gateway) => *asking = gateway,
            None => {
                let message = format!("no gateway has the block {cid} of a sealed part");
                context.blame(None, Some(&self.id), "not-found", message);
                self.wanted.pop_front();
                self.restart_sealed(context);
            }
        }
    }

    pub(super) fn sealed_answer(&mut self, context: &mut Context, asking: usize, answer: Answer) {
        let Some((cid, _)) = self.next_sealed() else {
            return;
        };
        let Some(bytes) = context.body(asking, Some(&self.id), answer) else {
            return;
        };
        match Block::verify(cid, bytes) {
            Ok(block) => {
                self.pool.insert(cid, block);
                self.settle_sealed(context);
                self.restart_sealed(context);
            }
            Err(error) => context.blame(
                Some(asking),
                Some(&self.id),
                error.rule(),
                error.to_string(),
            ),
        }
    }

    /// The next block of the first part that is not complete, and how large it may be.
    fn next_sealed(&self) -> Option<(Cid, usize)> {
        let part = self.wanted.front()?;
        if !self.pool.contains_key(&part.filter) {
            let size = usize::try_from(part.filter_bytes).unwrap_or(usize::MAX);
            return Some((part.filter, size.min(limit::MAX_BLOCK_BYTES)));
        }
        Some((part.index, limit::MAX_BLOCK_BYTES))
    }

    /// Judges the first part, if both its blocks are there.
    fn settle_sealed(&mut self, context: &mut Context) {
        let Some(part) = self.wanted.front().copied() else {
            return;
        };
        let blocks = (self.pool.get(&part.filter), self.pool.get(&part.index));
        let (Some(filter), Some(index)) = blocks else {
            return;
        };
        match parts::check_sealed(&part, filter.bytes(), index.bytes()) {
            Ok(()) => {
                self.ready.extend([filter.clone(), index.clone()]);
                self.feed.set_stage(&part, sealed::Stage::Held);
                context.report.filters += 1;
            }
            Err((rule, message)) => {
                self.feed.set_stage(&part, sealed::Stage::Broken);
                context.blame(None, Some(&self.id), rule, message);
                context.keep(None, Some(self.feed.clone()), Vec::new());
            }
        }
        self.wanted.pop_front();
        self.pool.clear();
        self.flush_much(context);
    }

    fn restart_sealed(&mut self, context: &Context) {
        self.stage = Stage::Sealed {
            asking: 0,
            others: context.alive().into(),
        };
    }

    /// Where looks are due, asks further operators whether they have the feed. That looks are due
    /// follows from what was published and from time.
    pub(super) fn ask_more(&mut self, context: &mut Context) {
        let listed: Vec<usize> = self.heads.iter().map(|(gateway, _)| *gateway).collect();
        let operators = context.operators_of(&listed);
        if operators >= OPERATORS || !self.feed.looks_due(context.now) {
            return self.finish(context);
        }
        let to_ask = &mut self.witnesses.to_ask;
        let next = std::iter::from_fn(|| to_ask.pop_front()).find(|other| {
            let with_other = [listed.as_slice(), &[*other]].concat();
            !context.is_dead(*other) && context.operators_of(&with_other) > operators
        });
        let Some(gateway) = next else {
            return self.finish(context);
        };
        self.witnesses.asking = gateway;
        let path = format!("/v1/zones/{}/heads", self.id.zone);
        context.fetch(gateway, path, MAX_CAR_BYTES, None);
    }
}
