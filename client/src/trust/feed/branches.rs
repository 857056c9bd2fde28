//! When a provider, or a thief of its key, told two stories: which one is the head's, and what an
//! anchor says of them.

use std::collections::BTreeSet;

use bellwether_formats::descriptor::Anchor;
use bellwether_formats::id::ObjectId;

use super::{Body, Feed, KnownBatch};

impl Feed {
    /// Lets an anchor act, if it stands against the head and the head is not its ancestor. Gives
    /// whether it did. Source: spec §1.5.
    pub fn apply_anchor(&mut self, anchor: &Anchor, now: u64) -> bool {
        let Some(head) = self.head() else {
            return false;
        };
        if anchor.is_beginning() || self.batch(anchor.id).is_some() {
            if !self.disown(anchor) {
                return false;
            }
        } else if anchor.opposes(&head.as_head()) && anchor.seq <= head.seq {
            // How far back the stories agree is not known: all is fetched again.
            self.batches.clear();
            self.head = None;
            self.forks.clear();
            self.seen.retain(|seen| seen.epoch >= anchor.epoch);
        } else {
            return false;
        }
        self.anchored_at = Some(now);
        self.untest();
        true
    }

    /// Drops what an anchor whose batch is known stands against, on every branch; gives whether there
    /// was any. What follows the anchored batch is true from the anchor's epoch on.
    fn disown(&mut self, anchor: &Anchor) -> bool {
        self.seen.retain(|seen| seen.epoch >= anchor.epoch);
        let true_ones = self.ancestors(anchor.id);
        let owned =
            |known: &KnownBatch| known.epoch >= anchor.epoch || true_ones.contains(&known.id);
        let before = self.batches.len();
        self.batches.retain(owned);
        if self.batches.len() == before {
            return false;
        }
        let mut tip = self.head.filter(|head| self.batch(*head).is_some());
        if tip.is_none() {
            tip = (!anchor.is_beginning()).then_some(anchor.id);
            while let Some(next) = self.batches.iter().find(|known| known.prev == tip) {
                tip = Some(next.id);
            }
        }
        match tip {
            Some(tip) => self.go_over_to(tip),
            None => self.head = None,
        }
        let mut forks = std::mem::take(&mut self.forks);
        forks.retain(|fork| self.batch(fork.side).is_some_and(|side| side.side));
        self.forks = forks;
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

    /// A batch and its ancestors as far as they are known, newest first. On the main branch what lies
    /// before a gap counts too, until it turns out to be another branch's.
    fn branch<'a>(&'a self, tip: &'a KnownBatch) -> Vec<&'a KnownBatch> {
        let mut branch = vec![tip];
        let mut at = tip;
        for known in self
            .batches
            .iter()
            .rev()
            .filter(|known| known.seq < tip.seq)
        {
            if at.prev == Some(known.id) || (!at.side && !known.side) {
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
