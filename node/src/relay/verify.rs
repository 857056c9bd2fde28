//! Bytes from peers become batches and blocks here, or are refused.

use bellwether_formats::batch::Batch;
use bellwether_formats::cid::{Block, Cid, Codec};
use bellwether_formats::id::Zone;
use bellwether_formats::signed::{OpenError, Signed};

use super::RefuseError;
use crate::network::{NoneReason, RequestError, SyncResponse};
use crate::replicator::Answer;

/// Believes a gossiped message that is a batch of its topic's zone.
pub(crate) fn open(topic: Zone, data: &[u8]) -> Result<Signed<Batch>, RefuseError> {
    let batch = Signed::<Batch>::open(data)?;
    if batch.zone != topic {
        let found = batch.zone.clone();
        return Err(RefuseError::Zone { found, topic });
    }
    Ok(batch)
}

/// Verifies an answer; `wanted` are the blocks that were asked for, if any were.
pub(crate) fn verify(wanted: &[Cid], result: Result<SyncResponse, RequestError>) -> Answer {
    let batches = |envelopes: Vec<Vec<u8>>| -> Result<Vec<Signed<Batch>>, OpenError> {
        envelopes.iter().map(|bytes| Signed::open(bytes)).collect()
    };
    match result {
        Ok(SyncResponse::Heads(heads)) => batches(heads).map_or(Answer::Bad, Answer::Heads),
        Ok(SyncResponse::Batches(list)) => batches(list).map_or(Answer::Bad, Answer::Batches),
        Ok(SyncResponse::Block(bytes)) => {
            let block = wanted.first().map(|cid| Block::verify(*cid, bytes));
            block
                .and_then(Result::ok)
                .map_or(Answer::Bad, Answer::Block)
        }
        Ok(SyncResponse::Blocks(list)) if list.is_empty() => Answer::None(NoneReason::NotFound),
        Ok(SyncResponse::Blocks(list)) => blocks(wanted, list).map_or(Answer::Bad, Answer::Blocks),
        Ok(SyncResponse::Descriptor(bytes)) => match Signed::open(&bytes) {
            Ok(descriptor) => Answer::Descriptor(Box::new(descriptor)),
            Err(_) => Answer::Bad,
        },
        Ok(SyncResponse::None(reason)) => Answer::None(reason),
        Err(_) => Answer::Failed,
    }
}

/// The blocks of a list, each one that was asked for, in the order asked; else none at all. Chunks
/// alone are asked for by the list, and they are raw.
fn blocks(wanted: &[Cid], list: Vec<Vec<u8>>) -> Option<Vec<Block>> {
    let mut rest = wanted.iter();
    let named = list.into_iter().map(|bytes| {
        // Each is hashed once: those that the peer left out are passed over by name.
        let raw = Block::of(Codec::Raw, bytes).ok()?;
        rest.find(|cid| **cid == raw.cid()).map(|_| raw)
    });
    named.collect()
}
