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
                        Ok(()) => Body::Kept { cid, tested: 0 },
                        Err(_) => Body::Broken,
                    };
                    trouble = checked.err().or(trouble);
                }
                _ => {}
            }
        }
        trouble
    }

    /// The newest batch that is known to exist and was not reached.
    pub fn unreached(&self) -> Option<Seen> {
        self.seen.filter(|seen| self.is_unreached(seen))
    }

    /// Takes note that a batch exists which is vouched for; gives whether that is news.
    pub(crate) fn see(&mut self, batch: &Signed<Batch>) -> bool {
        let new = Seen {
            epoch: batch.epoch,
            seq: batch.seq,
            id: batch.id(),
            at: batch.published_at,
        };
        let older = self
            .unreached()
            .is_none_or(|seen| (seen.epoch, seen.seq) < (new.epoch, new.seq));
        let news = older && self.is_unreached(&new);
        if news {
            self.seen = Some(new);
        }
        news
    }

    /// Neither known, nor from before what is known, nor inside a gap, which is told anyway.
    fn is_unreached(&self, seen: &Seen) -> bool {
        let beyond = self.head().is_none_or(|head| seen.seq > head.seq);
        self.batch(seen.id).is_none() && (beyond || self.main_at(seen.seq).is_some())
    }
}
