//! Bodies that were kept and are lost, or that a version before could not read, are fetched one by
//! one.

use bellwether_formats::cid::{Block, Cid};
use bellwether_formats::limit;

use super::super::{Answer, Context};
use super::{FeedSync, Stage};

impl FeedSync {
    /// Asks one gateway after the other for the first lost body, then for the next body.
    pub(super) fn ask_lost(&mut self, context: &mut Context) {
        let Some(cid) = self.next_lost() else {
            self.flush(context);
            self.stage = Stage::Choose;
            return;
        };
        let Stage::Lost { asking, others } = &mut self.stage else {
            return;
        };
        match context.fetch_block(others, &cid, limit::MAX_BLOCK_BYTES) {
            Some(gateway) => *asking = gateway,
            None => {
                let message = format!("no gateway has the body {cid}, which was lost here");
                context.blame(None, Some(&self.id), "not-found", message);
                self.next_body(context, &cid);
            }
        }
    }

    pub(super) fn lost_answer(&mut self, context: &mut Context, asking: usize, answer: Answer) {
        let Some(cid) = self.next_lost() else {
            return;
        };
        let Some(bytes) = context.body(asking, Some(&self.id), answer) else {
            return;
        };
        match Block::verify(cid, bytes) {
            Ok(block) => {
                if let Some((rule, message)) = self.feed.restore(&block) {
                    context.blame(None, Some(&self.id), rule, message);
                }
                self.ready.push(block);
                context.report.bodies += 1;
                self.next_body(context, &cid);
            }
            Err(error) => context.blame(
                Some(asking),
                Some(&self.id),
                error.rule(),
                error.to_string(),
            ),
        }
    }

    fn next_lost(&self) -> Option<Cid> {
        self.lost.first().copied()
    }

    fn next_body(&mut self, context: &mut Context, done: &Cid) {
        self.lost.remove(done);
        self.flush_much(context);
        self.stage = Stage::Lost {
            asking: 0,
            others: context.alive().into(),
        };
    }
}
