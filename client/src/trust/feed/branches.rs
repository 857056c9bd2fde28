//! When a provider, or a thief of its key, told two stories: which one is the head's, and what an
//! anchor says of them.

use std::collections::BTreeSet;

use bellwether_formats::descriptor::Anchor;
use bellwether_formats::id::ObjectId;

use super::super::stands_against;
use super::{Body, Feed, Gap, KnownBatch};

impl Feed {
    /// Lets an anchor act, if it stands against the head and the head is not its ancestor. Gives
    /// whether it did. Source: spec §1.5.
    pub fn apply_anchor(&mut self, anchor: &Anchor, now: u64) -> bool {
        let Some(head) = self.head() else {
            return false;
        };
        if !stands_against(anchor, head.epoch, head.id) {
            return false;
        }
        if self.batch(anchor.id).is_some() {
            let mut true_ones = self.ancestors(anchor.id);
            if anchor.seq > head.seq && true_ones.contains(&head.id) {
                return false;
            }
            // What follows the anchored batch is true from the anchor's epoch on.
            let mut tip = anchor.id;
            while let Some(next) = self.batches.iter().find(|known| {
                known.prev == Some(tip)
                    && known.epoch >= anchor.epoch
                    && !true_ones.contains(&known.id)
            }) {
                tip = next.id;
                true_ones.insert(tip);
            }
            self.batches.retain(|known| true_ones.contains(&known.id));
            self.batches.iter_mut().for_each(|known| known.side = false);
            self.head = Some(tip);
            self.choose_again();
        } else if anchor.seq <= head.seq {
            // How far back the stories agree is not known: all is fetched again.
            self.batches.clear();
            self.head = None;
            self.gaps.clear();
        } else {
            return false;
        }
        self.forks.clear();
        self.seen = None;
        self.anchored_at = Some(now);
        self.untest();
        true
    }

    /// The stories told: the batches of each branch, newest first; the main one first of all.
    pub fn branches(&self) -> Vec<Vec<&KnownBatch>> {
        let prevs: BTreeSet<ObjectId> =
            self.batches.iter().filter_map(|known| known.prev).collect();
        let side_tips = self
            .batches
            .iter()
            .filter(|known| known.side && !prevs.contains(&known.id));
        self.head()
            .into_iter()
            .chain(side_tips)
            .map(|tip| self.branch(tip))
            .collect()
    }

    /// A batch and its ancestors as far as they are known, newest first. A recorded gap is crossed;
    /// a parent that is merely unknown ends the walk.
    fn branch<'a>(&'a self, tip: &'a KnownBatch) -> Vec<&'a KnownBatch> {
        let mut branch = vec![tip];
        let mut at = tip;
        for known in self.batches.iter().rev() {
            let parent = at.prev == Some(known.id) && known.seq < at.seq;
            let across = |gap: &Gap| (gap.after, gap.before) == (known.seq, at.seq);
            if parent || (!at.side && !known.side && self.gaps.iter().any(across)) {
                branch.push(known);
                at = known;
            }
        }
        branch
    }

    /// Makes the branch that ends in `tip` the main one.
    pub(super) fn go_over_to(&mut self, tip: ObjectId) {
        let main = self.ancestors(tip);
        for known in &mut self.batches {
            known.side = !main.contains(&known.id);
        }
        self.head = Some(tip);
        self.choose_again();
    }

    /// A batch and its ancestors, across gaps.
    fn ancestors(&self, tip: ObjectId) -> BTreeSet<ObjectId> {
        let tip = self.batch(tip);
        tip.map_or_else(Vec::new, |tip| self.branch(tip))
            .iter()
            .map(|known| known.id)
            .collect()
    }

    /// Has every body tested again: what was found on a branch that is gone must not count.
    fn untest(&mut self) {
        for part in self.parts_mut() {
            if let Body::Kept { tested, .. } | Body::Lost { tested, .. } = &mut part.body {
                *tested = 0;
            }
        }
    }
}
