//! Settles the candidates by a chunk: those that lie in it. Source: spec §11.7, "Settling".

use std::collections::BTreeSet;
use std::fmt::Display;

use bellwether_formats::body::check_observed_before;
use bellwether_formats::cid::Block;
use bellwether_formats::sealed::{Chunk, Shape};

use super::{SealedPart, Told, Trouble, Verdict, chunk_of};

impl SealedPart {
    /// Settles candidates by chunks that are kept. Gives whether there was any.
    pub(crate) fn settle_by(&mut self, kept: impl Fn(usize) -> Option<Block>) -> bool {
        let Ok(shape) = self.shape() else {
            return false;
        };
        let possible = self.candidates.iter();
        let possible = possible.filter(|candidate| candidate.verdict == Verdict::Possible);
        let chunk = |candidate| Some(chunk_of(self.place(), &shape, &self.hash(candidate)?.tag()));
        let chunks: BTreeSet<usize> = possible.filter_map(chunk).collect();
        let mut any = false;
        for (number, block) in chunks.into_iter().filter_map(|at| Some((at, kept(at)?))) {
            // What is wrong with it was told when it came.
            let _ = self.settle(&shape, number, block.bytes());
            any = true;
        }
        any
    }

    /// Settles every candidate that lies in a chunk whose CID was checked. What is wrong with it is
    /// the provider's doing, and must not change what is asked for later: it depends on which chunk
    /// was looked at.
    pub(super) fn settle(
        &mut self,
        shape: &Shape,
        number: usize,
        bytes: &[u8],
    ) -> Result<(), Trouble> {
        let place = self.place();
        let chunk = Chunk::decode(bytes, shape, place, number);
        let trouble = |rule, error: &dyn Display| (rule, error.to_string());
        let mut broken = Ok(());
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.retain_mut(|candidate| {
            if candidate.verdict != Verdict::Possible {
                return true;
            }
            // What cannot be looked up (any more) is in no chunk.
            let Some(hash) = self.hash(candidate) else {
                return false;
            };
            if chunk_of(place, shape, &hash.tag()) != number {
                return true;
            }
            let payload = match chunk.as_ref().map(|chunk| chunk.open(&hash)) {
                Ok(Some(Ok(payload))) => payload,
                Ok(None) => return false,
                Ok(Some(Err(error))) => {
                    broken = Err(trouble(error.rule(), &error));
                    candidate.verdict = Verdict::Unreadable;
                    return true;
                }
                Err(_) => {
                    candidate.verdict = Verdict::Unreadable;
                    return true;
                }
            };
            let before = payload.observed_before;
            if let Err(error) = check_observed_before(before, self.published_at) {
                broken = Err(trouble(error.rule(), &error));
                return false;
            }
            candidate.verdict = Verdict::Confirmed(Told::of(&payload));
            payload.matches(candidate.observation.at)
        });
        self.candidates = candidates;
        chunk.map_err(|error| trouble(error.rule(), &error))?;
        broken
    }
}
