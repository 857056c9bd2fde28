use bellwether_formats::id::Level;
use proptest::prelude::*;

use super::*;
use crate::sealed::fixture::{Published, payload};

fn car(published: &Published) -> Car {
    let chunks = published.chunks.iter().map(|bytes| {
        let codec = bellwether_formats::cid::Codec::Raw;
        Block::of(codec, bytes.clone()).unwrap()
    });
    Car {
        roots: vec![published.index.cid()],
        blocks: [published.index.clone()]
            .into_iter()
            .chain(chunks)
            .collect(),
    }
}

fn read(published: &Published, bytes: &[u8]) -> Result<Chunks, Trouble> {
    read_car(
        bytes,
        published.index.cid(),
        &published.listed,
        &published.shape(),
    )
}

#[test]
fn a_whole_body_is_all_chunks_in_order_under_the_index() {
    let published = Published::new(1, &[(1, payload(Level::DIAGNOSED))]);
    let right = car(&published);
    let bytes = right.encode();
    assert!(bytes.len() <= max_car_bytes(&published.shape()));
    assert!(bytes.len() + 1024 > max_car_bytes(&published.shape()));
    let chunks: Chunks = published.chunks.iter().cloned().enumerate().collect();
    assert_eq!(read(&published, &bytes), Ok(chunks.clone()));

    let changed = |change: &dyn Fn(&mut Car)| {
        let mut car = right.clone();
        change(&mut car);
        read(&published, &car.encode()).map_err(|(rule, _)| rule)
    };
    assert_eq!(
        changed(&|car| {
            car.blocks.remove(0);
        }),
        Ok(chunks),
        "without the index"
    );
    assert_eq!(changed(&|car| car.roots.clear()), Err("not-found"));
    assert_eq!(
        changed(&|car| {
            car.blocks.pop();
        }),
        Err("not-found")
    );
    assert_eq!(changed(&|car| car.blocks.swap(1, 2)), Err("not-found"));
    assert_eq!(
        changed(&|car| car.blocks[3] = car.blocks[0].clone()),
        Err("not-found")
    );
    assert_eq!(
        changed(&|car| car.blocks.extend(car.blocks.clone())),
        Err("car-size")
    );
    let mut flipped = bytes.clone();
    *flipped.last_mut().unwrap() ^= 1;
    assert_eq!(
        read(&published, &flipped).map_err(|(rule, _)| rule),
        Err("block-hash")
    );
    assert!(read(&published, &bytes[..bytes.len() - 1]).is_err());
}

#[test]
fn the_bound_holds_for_every_shape() {
    for ids in bellwether_formats::sealed::LADDER {
        let shape = Shape::of(ids).unwrap();
        let body = shape.body_bytes();
        assert!(max_car_bytes(&shape) < body + body / 40 + 512);
    }
}

#[test]
fn no_bytes_of_a_bundle_do_harm() {
    let published = Published::new(1, &[]);
    let right = car(&published).encode();
    let change = (
        any::<u8>(),
        0..right.len(),
        prop::collection::vec(any::<u8>(), 1..200),
    );
    proptest!(|((kind, at, bytes) in change)| {
        let mut other = right.clone();
        match kind % 4 {
            0 => other = bytes,
            1 => other.truncate(at),
            2 => { other.splice(at..at, bytes); }
            _ => {
                let byte = bytes[0];
                other[at] ^= byte | 1;
            }
        }
        prop_assert!(read(&published, &other).is_err());
    });
}
