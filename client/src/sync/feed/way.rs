//! The way to a newest batch: pages, belief, bodies.

use bellwether_formats::batch::Batch;
use bellwether_formats::cid::{Block, Cid};
use bellwether_formats::id::FeedId;
use bellwether_formats::limit;
use bellwether_formats::signed::Signed;

use super::super::read::{Contents, MAX_CAR_BYTES};
use super::super::{Answer, Context, parts};
use super::{FeedSync, MAX_PAGES, MAX_POOL_BYTES, MAX_WAITING, Stage};
use crate::trust::{self, Place};

impl FeedSync {
    pub(super) fn ask_page(&mut self, context: &mut Context) {
        let Some(hunt) = &mut self.hunt else {
            self.stage = Stage::Choose;
            return;
        };
        let Some(gateway) = hunt.attempts.front().copied() else {
            let message = format!(
                "no gateway gave all that leads to batch {}",
                hunt.target.seq
            );
            context.blame(None, Some(&self.id), "unreachable", message);
            self.missed = true;
            self.stage = Stage::Choose;
            return;
        };
        if hunt.pages >= MAX_PAGES || context.is_dead(gateway) {
            return self.give_up(context);
        }
        hunt.pages += 1;
        let FeedId { provider, zone } = &self.id;
        let path = format!("/v1/feeds/{provider}/{zone}/after/{}", hunt.after);
        context.fetch(gateway, path, MAX_CAR_BYTES, None);
    }

    pub(super) fn page_answer(&mut self, context: &mut Context, answer: Answer) {
        let Some(gateway) = self.attempt() else {
            return;
        };
        let Some(contents) = self.contents(context, gateway, answer) else {
            return self.give_up(context);
        };
        if let Err((rule, message)) = self.take_page(contents) {
            context.blame(Some(gateway), Some(&self.id), rule, message);
            return self.give_up(context);
        }
        if let (Some(descriptor), Some(hunt)) = (&context.descriptor, &mut self.hunt) {
            hunt.settle = trust::believed(&self.candidates, descriptor, context.now).into();
        }
        self.stage = Stage::Settle;
    }

    /// Takes a page's batches as candidates. What is none of the feed's, or cannot lead to the newest
    /// batch, is not looked at: whoever signed it.
    fn take_page(&mut self, contents: Contents) -> Result<(), (&'static str, String)> {
        let Some(hunt) = &mut self.hunt else {
            return Ok(());
        };
        let target = (hunt.target.epoch, hunt.target.seq);
        let leads = |batch: &Signed<Batch>| {
            batch.feed() == self.id && batch.epoch <= target.0 && batch.seq <= target.1
        };
        let batches: Vec<Signed<Batch>> = contents.batches.into_iter().filter(leads).collect();
        let last = batches.iter().map(|batch| batch.seq).max();
        let Some(last) = last.filter(|last| *last > hunt.after) else {
            let message = format!("the gateway has nothing after batch {}", hunt.after);
            return Err(("old-answer", message));
        };
        hunt.after = last;
        let pool: usize = self.pool.values().map(|block| block.bytes().len()).sum();
        if pool > MAX_POOL_BYTES {
            self.pool.clear();
        }
        self.pool.extend(contents.others);
        self.candidates
            .extend(batches.into_iter().map(|batch| (batch.id(), batch)));
        if self.candidates.len()
            > MAX_WAITING.saturating_add(usize::try_from(limit::MAX_CAR_ROOTS).unwrap_or(0))
        {
            let message = format!("nobody vouches for batches up to {last}");
            return Err(("limit", message));
        }
        Ok(())
    }

    /// Takes believed candidates in, one after the other, until a body is missing.
    pub(super) fn settle(&mut self, context: &mut Context) {
        while let Some(batch) = self.next_believed() {
            let place = match self.feed.place(&batch) {
                Ok(place) => place,
                Err(error) => {
                    let gateway = self.attempt();
                    context.blame(gateway, Some(&self.id), error.rule(), error.to_string());
                    return self.give_up(context);
                }
            };
            let place = match place {
                // What nobody needs any more was dropped on purpose.
                Place::Before if !self.feed.wants_before(batch.id(), self.horizon(context)) => {
                    Place::Known
                }
                place => place,
            };
            if place == Place::Side && self.look_deeper(&batch) {
                return;
            }
            if place != Place::Known {
                let mut wanted = parts::wanted(&batch, self.horizon(context));
                if let Some(cid) = wanted.find(|cid| !self.pool.contains_key(cid)) {
                    return self.ask_body(context, cid);
                }
                self.accept(context, &batch, place);
            }
            self.candidates.remove(&batch.id());
            if let Some(hunt) = &mut self.hunt {
                hunt.settle.pop_front();
            }
        }
        self.flush(context);
        let target = self.hunt.as_ref().map(|hunt| hunt.target.id());
        let reached = target.is_none_or(|target| self.feed.batch(target).is_some());
        self.stage = if reached { Stage::Choose } else { Stage::Page };
    }

    /// The time to take for now when a part is left for its age.
    pub(super) fn horizon(&self, context: &Context) -> u64 {
        let target = self.hunt.as_ref().map(|hunt| hunt.target.published_at);
        let newest = target.max(self.feed.head().map(|head| head.published_at));
        let times = context.times();
        newest.map_or(times, |at| times.beside(at)).horizon
    }

    fn next_believed(&self) -> Option<Signed<Batch>> {
        let id = self.hunt.as_ref()?.settle.front()?;
        self.candidates.get(id).cloned()
    }

    pub(super) fn accept(&mut self, context: &mut Context, batch: &Signed<Batch>, place: Place) {
        let horizon = self.horizon(context);
        let (known, problems) = parts::judge(batch, horizon, |cid| self.pool.get(cid));
        for (rule, message) in problems {
            context.blame(None, Some(&self.id), rule, message);
        }
        if place == Place::Side {
            let message = format!("the provider signed another batch {} as well", batch.seq);
            context.blame(None, Some(&self.id), "equivocation", message);
        }
        self.feed.accept(batch, place, known);
        if let Some(gateway) = self.attempt() {
            self.asked_for_older(context, batch, gateway);
        }
        context.report.batches += 1;
        for cid in parts::wanted(batch, horizon) {
            let body = self.pool.remove(&cid);
            context.report.bodies += u64::from(body.is_some());
            self.ready.extend(body);
        }
        self.ready.extend(parts::envelope(batch));
        self.apply_anchor(context);
        self.flush_much(context);
    }

    /// A branch of which the root is not known: asks once for all that the gateway keeps.
    fn look_deeper(&mut self, batch: &Batch) -> bool {
        let rooted = batch
            .prev
            .is_some_and(|prev| self.feed.batch(prev).is_some());
        let Some(hunt) = self.hunt.as_mut().filter(|hunt| !rooted && hunt.start > 0) else {
            return false;
        };
        hunt.start = 0;
        hunt.after = 0;
        hunt.settle.clear();
        self.candidates.clear();
        self.stage = Stage::Page;
        true
    }

    pub(super) fn ask_body(&mut self, context: &Context, cid: Cid) {
        let first = self
            .attempt()
            .or_else(|| Some(self.descent.as_ref()?.gateway));
        let others = context
            .alive()
            .into_iter()
            .filter(|other| Some(*other) != first);
        self.stage = Stage::Body {
            cid,
            asking: 0,
            others: first.into_iter().chain(others).collect(),
        };
    }

    pub(super) fn body_answer(
        &mut self,
        context: &mut Context,
        cid: Cid,
        asking: usize,
        answer: Answer,
    ) {
        let Some(bytes) = context.body(asking, Some(&self.id), answer) else {
            return;
        };
        match Block::verify(cid, bytes) {
            Ok(block) => {
                self.pool.insert(cid, block);
                self.stage = match self.descent {
                    Some(_) => Stage::Descend,
                    None => Stage::Settle,
                };
            }
            Err(error) => context.blame(
                Some(asking),
                Some(&self.id),
                error.rule(),
                error.to_string(),
            ),
        }
    }

    /// Turns to the next attempt, from the start: the one before it led nowhere.
    pub(super) fn give_up(&mut self, context: &mut Context) {
        self.flush(context);
        self.candidates.clear();
        if let Some(hunt) = &mut self.hunt {
            hunt.attempts.pop_front();
            hunt.after = hunt.start;
            hunt.pages = 0;
            hunt.settle.clear();
        }
        self.stage = Stage::Page;
    }

    fn attempt(&self) -> Option<usize> {
        self.hunt.as_ref()?.attempts.front().copied()
    }
}
