//! What is known to be missing: bodies that were lost, and batches that were not reached.

use std::collections::BTreeSet;

use bellwether_formats::batch::{Batch, BlockRef};
use bellwether_formats::cid::{Block, Cid};
use bellwether_formats::id::Scheme;
use bellwether_formats::signed::Signed;

use super::{Body, Feed, KnownPart, Seen};
use crate::observations::expired;
use crate::sealed::Trouble;
use crate::sync::parts;

/// Most batches remembered that were seen and not reached, in items: one a branch, and a provider has
/// one branch.
const MAX_SEEN: usize = 16;

impl Feed {
    /// Bodies that are lost or were never fetched, and that something may still match.
    pub(crate) fn lost(&self, now: u64) -> BTreeSet<Cid> {
        let lost = |part: &KnownPart| match part.body {
            Body::Lost { cid, .. } | Body::Unfetched { cid, .. } if !expired(part.to, now) => {
                Some(cid)
            }
            _ => None,
        };
        self.parts().filter_map(lost).collect()
    }

    /// Takes note that the blocks of kept bodies are gone or damaged; gives whether any was named.
    pub(crate) fn lose(&mut self, blocks: &BTreeSet<Cid>) -> bool {
        let mut any = false;
        for part in self.parts_mut() {
            if let Body::Kept { cid, tested } = part.body
                && blocks.contains(&cid)
            {
                part.body = Body::Lost { cid, tested };
                any = true;
            }
        }
        any | self.lose_sealed(|cid| blocks.contains(cid))
    }

    /// A body that was lost, or never fetched, is there. Gives what is wrong with it: the latter was
    /// not looked at before.
    pub(crate) fn restore(&mut self, block: &Block) -> Option<Trouble> {
        let mut trouble = None;
        for part in self.parts_mut() {
            match part.body {
                Body::Lost { cid, tested } if cid == block.cid() => {
                    part.body = Body::Kept { cid, tested };
                }
                Body::Unfetched { cid, size, count } if cid == block.cid() => {
                    let scheme = Scheme(part.scheme.unwrap_or_default());
                    let checked = parts::check(scheme, &BlockRef { cid, size }, count, block);
                    part.body = match checked {
                        Ok(_) => Body::Kept { cid, tested: 0 },
                        Err(_) => Body::Broken,
                    };
                    trouble = checked.err().or(trouble);
                }
                _ => {}
            }
        }
        trouble
    }

    /// The batches that are known to exist and were not reached.
    pub fn unreached(&self) -> impl Iterator<Item = &Seen> {
        self.seen
            .iter()
            .filter(|seen| self.batch(seen.id).is_none())
    }

    /// Takes note that a batch exists which is vouched for; gives whether that is news.
    pub(crate) fn see(&mut self, batch: &Signed<Batch>) -> bool {
        let new = Seen {
            epoch: batch.epoch,
            seq: batch.seq,
            id: batch.id(),
            at: batch.published_at,
        };
        if self.batch(new.id).is_some() || self.seen.contains(&new) {
            return false;
        }
        self.forget_seen();
        self.seen.push(new);
        // Of too many, the newest decide what is covered.
        self.seen.sort_by_key(|seen| std::cmp::Reverse(seen.at));
        self.seen.truncate(MAX_SEEN);
        true
    }

    /// Drops what was reached.
    pub(super) fn forget_seen(&mut self) {
        let mut seen = std::mem::take(&mut self.seen);
        seen.retain(|seen| self.batch(seen.id).is_none());
        self.seen = seen;
    }
}
