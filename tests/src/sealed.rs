//! Sealed parts as a gateway shows them, read by who knows the identifiers.

use std::io;

use bellwether_formats::batch::{Batch, Part};
use bellwether_formats::car::Car;
use bellwether_formats::cid::{Block, Cid};
use bellwether_formats::filter::Filter;
use bellwether_formats::id::{Level, Scheme};
use bellwether_formats::sealed::{Chunk, IdHash, Index, Place, Shape};
use bellwether_formats::signed::Signed;

use crate::web;

/// A sealed part with all that it names.
#[derive(Clone, Debug)]
pub struct SealedPart {
    /// In which batch.
    pub seq: u64,
    /// The range that it speaks of.
    pub covers: Option<(u64, u64)>,
    /// Its scheme.
    pub scheme: Scheme,
    salt: [u8; 16],
    place: Place,
    shape: Shape,
    filter: Filter,
    chunks: Vec<Vec<u8>>,
}

/// Every sealed part of some batches; all that they name must be there, and well formed.
///
/// # Errors
///
/// [`io::Error`] if the gateway does not answer, or not with 200.
pub fn parts(gateway: &str, batches: &[Signed<Batch>]) -> io::Result<Vec<SealedPart>> {
    let mut parts = Vec::new();
    for batch in batches {
        for position in 0..batch.parts.len() {
            parts.extend(part(gateway, batch, position)?);
        }
    }
    Ok(parts)
}

fn part(gateway: &str, batch: &Batch, position: usize) -> io::Result<Option<SealedPart>> {
    let Part::Sealed(part) = &batch.parts[position] else {
        return Ok(None);
    };
    let filter = fetch(&format!("{gateway}/ipfs/{}?format=raw", part.filter.cid))?;
    let filter = Block::verify(part.filter.cid, filter).unwrap();
    let body = fetch(&format!("{gateway}/ipfs/{}?format=car", part.index))?;
    let car = Car::decode(&body, 8 * 1024 * 1024).map_err(io::Error::other)?;
    assert_eq!(car.roots, [part.index]);
    let shape = Shape::of(part.ids).unwrap();
    let (index, chunks) = car.blocks.split_first().unwrap();
    let cids: Vec<Cid> = chunks.iter().map(|chunk| chunk.cid()).collect();
    let index = Index::decode(index.bytes(), &shape).unwrap();
    assert_eq!(index.cids(), cids, "all chunks, in order");
    let place = batch.place(position).unwrap();
    let chunks: Vec<Vec<u8>> = chunks.iter().map(|chunk| chunk.bytes().to_vec()).collect();
    for (number, chunk) in chunks.iter().enumerate() {
        Chunk::decode(chunk, &shape, place, number).unwrap();
    }
    Ok(Some(SealedPart {
        seq: batch.seq,
        covers: batch.covers,
        scheme: part.scheme,
        salt: batch.salt,
        place,
        shape,
        filter: Filter::decode(filter.bytes(), part.ids, 12).unwrap(),
        chunks,
    }))
}

fn fetch(url: &str) -> io::Result<Vec<u8>> {
    let answer = web::get(url)?;
    if answer.status != 200 {
        return Err(io::Error::other(format!("{url}: {}", answer.status)));
    }
    Ok(answer.body)
}

impl SealedPart {
    /// The level that it gives an identifier. Filter and body must agree.
    pub fn level(&self, identifier: &[u8]) -> Option<Level> {
        let hash = IdHash::of(self.scheme, &self.salt, None, identifier);
        if !self.place.holds(&hash.tag()) {
            return None;
        }
        let number = hash.tag().chunk(self.place.parts, self.shape.chunks());
        let chunk = &self.chunks[number];
        let chunk = Chunk::decode(chunk, &self.shape, self.place, number).unwrap();
        let payload = chunk.open(&hash)?.unwrap();
        assert!(self.filter.contains(hash.key()), "the filter forgot one");
        Some(payload.level)
    }
}
