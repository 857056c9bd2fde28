//! Takes what a gateway names as the newest batch of the feed.

use bellwether_formats::batch::Batch;
use bellwether_formats::chain;
use bellwether_formats::signed::Signed;

use super::super::{Answer, Context};
use super::{FeedSync, order};
use crate::trust;

impl FeedSync {
    pub(super) fn heads_answer(&mut self, context: &mut Context, answer: Answer) {
        let gateway = self.witnesses.asking;
        let Some(contents) = self.contents(context, gateway, answer) else {
            return;
        };
        let mine = |batch: &Signed<Batch>| batch.feed() == self.id;
        let named: Vec<Signed<Batch>> = contents.batches.into_iter().filter(mine).collect();
        if named.is_empty() {
            let message = "the gateway does not carry the feed".to_owned();
            return context.blame(Some(gateway), Some(&self.id), "not-found", message);
        }
        // Anybody can sign a batch that claims to be the provider's: what is refused counts as not
        // said, whatever its number.
        let mut head: Option<Signed<Batch>> = None;
        for batch in named {
            let held = context.descriptor.as_ref();
            if held.is_some_and(|held| trust::is_ahead(held, &batch, context.now)) {
                // Not to be believed by this clock, and not to be passed over: "none" waits for it.
                self.news |= self.feed.see(&batch);
            }
            if let Some((rule, message)) = self.refused(context, &batch) {
                context.blame(Some(gateway), Some(&self.id), rule, message);
            } else if head.as_ref().is_none_or(|head| order(head) < order(&batch)) {
                head = Some(batch);
            }
        }
        let Some(head) = head else {
            return;
        };
        self.apply_anchor(context);
        if let Some(own) = self.feed.head().filter(|own| {
            head.epoch <= own.epoch
                && head.seq < own.seq
                && !self.feed.contradicts(head.seq, head.id())
        }) {
            self.old = true;
            let message = format!(
                "the gateway's newest batch is {}, {} is known here",
                head.seq, own.seq
            );
            return context.blame(Some(gateway), Some(&self.id), "old-answer", message);
        }
        self.witnesses.answered += 1;
        self.heads.push((gateway, head));
    }

    /// Reason why a batch cannot be the newest one, if so.
    pub(super) fn refused(
        &self,
        context: &Context,
        head: &Signed<Batch>,
    ) -> Option<(&'static str, String)> {
        let Some(descriptor) = &context.descriptor else {
            return Some(("desc", "the provider's descriptor is not known".to_owned()));
        };
        if let Err(error) = trust::vouches(descriptor, head) {
            return Some((error.rule(), format!("batch {}: {error}", head.seq)));
        }
        let late = chain::check_time(head, context.now).err()?;
        Some((late.rule(), format!("batch {}: {late}", head.seq)))
    }
}
