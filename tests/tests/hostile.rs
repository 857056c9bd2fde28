//! Liars: whatever a gateway or a peer says, nothing false is stored, the right thing still
//! arrives, and nobody panics.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test"
)]

use bellwether_formats::batch::Batch;
use bellwether_formats::cid::Block;
use bellwether_formats::descriptor::Descriptor;
use bellwether_formats::signed::Signed;
use bellwether_tests::invented::{self, Invented};
use bellwether_tests::random::Random;
use bellwether_tests::utc;

mod gateway;
mod peer;

/// A short feed: a heartbeat, then three seeds.
#[derive(Clone)]
struct Short {
    provider: Invented,
    batches: Vec<Signed<Batch>>,
    bodies: Vec<Block>,
}

impl Short {
    fn new(number: u8) -> Self {
        let provider = Invented::new(number);
        let now = utc();
        let (part, body) = invented::part(now - 10, &[1, 2, 3]);
        let first = provider.batch(None, now - 60, now + 3600, Vec::new());
        let second = provider.batch(Some(&first), now - 10, now + 3600, vec![part]);
        Self {
            provider,
            batches: vec![first, second],
            bodies: vec![body],
        }
    }
}

/// What is done to the bytes of an answer.
#[derive(Clone, Copy, Debug)]
enum Lie {
    /// A bit of this byte.
    Flip(usize),
    /// A byte more in this place.
    Insert(usize),
}

impl Lie {
    fn spoil(self, bytes: &mut Vec<u8>) {
        let random = |place: usize| Random::new(u64::try_from(place).unwrap()).next();
        match self {
            Self::Flip(at) => {
                let Some(byte) = bytes.get_mut(at) else {
                    return;
                };
                *byte ^= 1 << (random(at) % 8);
            }
            Self::Insert(at) => bytes.insert(at.min(bytes.len()), random(at).to_le_bytes()[0]),
        }
    }
}

/// A stranger cannot make a second valid envelope of a batch or a descriptor: whatever bytes are
/// changed or put in, none that is accepted is another.
#[test]
fn there_is_one_envelope() {
    let short = Short::new(16);
    let batch = short.batches[1].envelope();
    let descriptor = short.provider.descriptor.envelope();
    for at in 0..=batch.len() {
        for byte in 0..=255_u8 {
            let mut changed = batch.to_vec();
            changed.insert(at, byte);
            assert!(
                Signed::<Batch>::open(&changed).is_err(),
                "{byte} put in at {at}"
            );
        }
    }
    for bit in 0..8 {
        for at in 0..batch.len() {
            let mut changed = batch.to_vec();
            changed[at] ^= 1 << bit;
            assert!(
                Signed::<Batch>::open(&changed).is_err(),
                "bit {bit} of {at}"
            );
        }
        for at in 0..descriptor.len() {
            let mut changed = descriptor.to_vec();
            changed[at] ^= 1 << bit;
            assert!(
                Signed::<Descriptor>::open(&changed).is_err(),
                "bit {bit} of {at}"
            );
        }
    }
}
