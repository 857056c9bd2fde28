//! Chunks that are asked for openly: the whole body, or some chunks of it. Source: spec §11.7.

use std::collections::VecDeque;
use std::sync::Arc;

use bellwether_formats::car::{self, Car};
use bellwether_formats::cid::{Block, Cid};
use bellwether_formats::descriptor::Gateway;
use bellwether_formats::sealed::{Index, Shape};

use super::{Context, MAX_SENDINGS, Next, Task, What};
use crate::sealed::{Kind, Trouble};
use crate::sync::{Answer, Request};

/// Most bytes of the header of a CAR with one root.
const HEADER_BYTES: usize = 128;

/// Numbers of chunks, and their bytes.
type Chunks = Vec<(usize, Vec<u8>)>;

/// Plain requests of one look in this sync.
#[derive(Debug)]
pub(super) struct Plain {
    index: Cid,
    chunks: Arc<Index>,
    shape: Shape,
    to_ask: VecDeque<Piece>,
    /// Those who can be asked; the first one is, until it fails.
    gateways: VecDeque<Gateway>,
    sent: usize,
    found: Chunks,
}

/// What one request asks for.
#[derive(Clone, Copy, Debug)]
enum Piece {
    Whole,
    Chunk(usize),
}

impl Plain {
    pub(super) fn of(task: Task) -> Self {
        let to_ask = match task.kind {
            Kind::Decoys { chunks } => chunks.into_iter().map(Piece::Chunk).collect(),
            Kind::Lean { chunk } => [Piece::Chunk(chunk)].into(),
            Kind::Whole | Kind::Pir { .. } => [Piece::Whole].into(),
        };
        Self {
            index: task.index,
            chunks: task.chunks,
            shape: task.shape,
            to_ask,
            gateways: task.operators.gateways().cloned().collect(),
            sent: 0,
            found: Vec::new(),
        }
    }

    pub(super) fn next(&mut self, context: &mut Context) -> Next {
        let Some(piece) = self.to_ask.front().copied() else {
            if self.found.is_empty() {
                return Next::Over;
            }
            context.verified(self.found.len());
            return Next::Keep(What::Verified(std::mem::take(&mut self.found)));
        };
        self.gateways.retain(|gateway| !context.is_dead(gateway));
        let request = self.request(piece);
        match request {
            Some(request) if self.sent < MAX_SENDINGS => {
                self.sent += 1;
                Next::Ask(request)
            }
            _ => Next::Over,
        }
    }

    pub(super) fn answer(&mut self, context: &mut Context, answer: Answer) {
        let (Some(piece), Some(gateway)) = (self.to_ask.front(), self.gateways.front()) else {
            return;
        };
        let chunks = context.body(gateway, answer).and_then(|bytes| {
            self.read(*piece, bytes)
                .map_err(|(rule, message)| context.blame(Some(gateway), rule, message))
                .ok()
        });
        match chunks {
            Some(chunks) => {
                self.found.extend(chunks);
                self.to_ask.pop_front();
                self.sent = 0;
            }
            None => {
                self.gateways.pop_front();
            }
        }
    }

    fn request(&self, piece: Piece) -> Option<Request> {
        let (cid, format, max_bytes) = match piece {
            Piece::Whole => (self.index, "car", max_car_bytes(&self.shape)),
            Piece::Chunk(number) => (self.chunks.cid(number)?, "raw", self.shape.chunk_bytes()),
        };
        Some(Request {
            gateway: self.gateways.front()?.clone(),
            path: format!("/ipfs/{cid}?format={format}"),
            max_bytes,
            validator: None,
            body: None,
        })
    }

    /// The chunks in an answer, if it is the right one.
    fn read(&self, piece: Piece, bytes: Vec<u8>) -> Result<Chunks, Trouble> {
        match piece {
            Piece::Whole => read_car(&bytes, self.index, &self.chunks, &self.shape),
            Piece::Chunk(number) => {
                let cid = self.chunks.cid(number).ok_or_else(no_such_chunk)?;
                let block =
                    Block::verify(cid, bytes).map_err(|error| (error.rule(), error.to_string()))?;
                Ok([(number, block.into_bytes())].into())
            }
        }
    }
}

/// Most bytes of a CAR with an index and its chunks.
pub(super) fn max_car_bytes(shape: &Shape) -> usize {
    let index = car::section_len_of(Index::len_of(shape.chunks()));
    HEADER_BYTES + index + shape.chunks() * car::section_len_of(shape.chunk_bytes())
}

/// Reads a CAR of all chunks: its root is the index, whose block may stand first; the chunks
/// follow in order.
fn read_car(bytes: &[u8], index: Cid, listed: &Index, shape: &Shape) -> Result<Chunks, Trouble> {
    let car = Car::decode(bytes, max_car_bytes(shape))
        .map_err(|error| (error.rule(), error.to_string()))?;
    if car.roots != [index] {
        let message = "the root of the answer is not what was asked for".to_owned();
        return Err(("not-found", message));
    }
    let mut blocks = car.blocks;
    if blocks.first().is_some_and(|block| block.cid() == index) {
        blocks.remove(0);
    }
    let names = blocks.iter().map(Block::cid);
    if !names.eq(listed.cids().iter().copied()) {
        let message = "the answer has other blocks than the chunks of the index".to_owned();
        return Err(("not-found", message));
    }
    Ok(blocks
        .into_iter()
        .map(Block::into_bytes)
        .enumerate()
        .collect())
}

fn no_such_chunk() -> Trouble {
    ("not-found", "the index has no such chunk".to_owned())
}

#[cfg(test)]
mod tests;
