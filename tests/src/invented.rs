//! A provider that exists in a test only: what its keys sign is genuine, whatever it says.

use bellwether_formats::batch::{Batch, BlockRef, OpenPart, Part, SealedPart, Window};
use bellwether_formats::body::open::{OpenBody, Terms};
use bellwether_formats::car::Car;
use bellwether_formats::cid::{Block, Cid, Codec};
use bellwether_formats::descriptor::{Descriptor, KeyWindow};
use bellwether_formats::id::{Level, ProviderId, PublicKey, Scheme, Zone};
use bellwether_formats::limit::MAX_NUMBER;
use bellwether_formats::scheme::cx::{Generator, Seed};
use bellwether_formats::signed::Signed;
use ed25519_dalek::SigningKey;

/// Fourteen days, in seconds.
const WINDOW_S: u64 = 14 * 86_400;

/// A provider with one signing key, in zone `gb/sct`.
#[derive(Clone, Debug)]
pub struct Invented {
    key: SigningKey,
    /// What it says of itself.
    pub descriptor: Signed<Descriptor>,
}

impl Invented {
    /// Keys made of a number.
    pub fn new(number: u8) -> Self {
        let (root, key) = (
            SigningKey::from_bytes(&[number; 32]),
            SigningKey::from_bytes(&[!number; 32]),
        );
        let now = crate::utc();
        let descriptor = Descriptor {
            provider: public(&root),
            epoch: 1,
            issued_at: now - 3600,
            expires_at: now + 300 * 86_400,
            name: "Invented".into(),
            keys: vec![KeyWindow {
                key: public(&key),
                not_before: 0,
                not_after: MAX_NUMBER,
            }],
            zones: vec![zone()],
            gateways: Vec::new(),
            anchors: Vec::new(),
            next_root: [number; 32],
            upstream: None,
            peers: Vec::new(),
            successor: None,
        };
        Self {
            key,
            descriptor: Signed::sign(&descriptor, &root).unwrap(),
        }
    }

    /// Its id.
    pub fn id(&self) -> ProviderId {
        self.descriptor.provider
    }

    /// The feed's path under `/v1/feeds/`.
    pub fn feed(&self) -> String {
        format!("{}/{}", self.id(), zone())
    }

    /// The batch after `prev`, published at `at`, with a successor promised by `next_by`.
    pub fn batch(
        &self,
        prev: Option<&Signed<Batch>>,
        at: u64,
        next_by: u64,
        parts: Vec<Part>,
    ) -> Signed<Batch> {
        let batch = Batch {
            provider: self.id(),
            zone: zone(),
            key: public(&self.key),
            epoch: 1,
            seq: prev.map_or(1, |prev| prev.seq + 1),
            prev: prev.map(Signed::id),
            published_at: at,
            next_after: at,
            next_by,
            retain_from: 0,
            desc: self.descriptor.cid(),
            salt: [at.to_le_bytes()[0]; 16],
            covers: None,
            parts,
        };
        Signed::sign(&batch, &self.key).unwrap()
    }
}

/// What an honest gateway answers that has these batches, of one feed, and these bodies.
pub fn gateway(
    descriptor: &Signed<Descriptor>,
    batches: &[Signed<Batch>],
    bodies: &[Block],
) -> impl FnMut(&str) -> Option<Vec<u8>> + Send + Clone + 'static + use<> {
    let (descriptor, batches, bodies) = (descriptor.clone(), batches.to_vec(), bodies.to_vec());
    move |path| {
        let path = path.strip_suffix("?format=raw").unwrap_or(path);
        if let Some(cid) = path.strip_prefix("/ipfs/") {
            let body = bodies.iter().find(|body| body.cid().to_string() == cid)?;
            return Some(body.bytes().to_vec());
        }
        if path.starts_with("/v1/providers/") {
            return Some(descriptor.envelope().to_vec());
        }
        if path.starts_with("/v1/zones/") {
            return Some(car(&descriptor, batches.last(), &[]));
        }
        let (_, after) = path.strip_prefix("/v1/feeds/")?.rsplit_once('/')?;
        let after: u64 = after.parse().ok()?;
        Some(car(
            &descriptor,
            batches.iter().filter(|batch| batch.seq > after),
            &bodies,
        ))
    }
}

fn car<'a>(
    descriptor: &Signed<Descriptor>,
    batches: impl IntoIterator<Item = &'a Signed<Batch>>,
    bodies: &[Block],
) -> Vec<u8> {
    let block = |bytes: &[u8]| Block::of(Codec::DagCbor, bytes.to_vec()).unwrap();
    let mut car = Car::default();
    car.blocks.push(block(descriptor.envelope()));
    for batch in batches {
        car.roots.push(batch.cid());
        car.blocks.push(block(batch.envelope()));
        let named = |body: &&Block| batch.open_bodies().any(|open| open.cid == body.cid());
        car.blocks.extend(bodies.iter().filter(named).cloned());
    }
    car.encode()
}

/// A sealed part of a scheme that this version does not read, whose blocks nobody has.
pub fn unread(at: u64) -> Part {
    Part::Sealed(SealedPart {
        scheme: Scheme(99),
        window: Window {
            from: at - WINDOW_S,
            to: at,
        },
        filter: BlockRef {
            cid: Cid::of(Codec::Raw, b"filter"),
            size: 6,
        },
        index: Cid::of(Codec::DagCbor, b"index"),
        ids: 8192,
    })
}

/// An open part of cx1 seeds made of numbers, and its body.
pub fn part(at: u64, seeds: &[u8]) -> (Part, Block) {
    let terms = Terms {
        level: Level::DIAGNOSED,
        grade: None,
        observed_before: at,
    };
    let units = seeds.iter().map(|number| (terms, [*number; 24]));
    let body = OpenBody::build(Scheme::CX1, units).unwrap();
    let block = Block::of(Codec::DagCbor, body.encode()).unwrap();
    let part = OpenPart {
        scheme: Scheme::CX1,
        window: Window {
            from: at - WINDOW_S,
            to: at,
        },
        body: BlockRef {
            cid: block.cid(),
            size: u64::try_from(block.bytes().len()).unwrap(),
        },
        count: body.count(),
    };
    (Part::Open(part), block)
}

/// An identifier of such a seed.
pub fn identifier(seed: u8, index: usize) -> String {
    let seed = Seed::new(Generator::Aes128, &[seed; 24]).unwrap();
    seed.identifiers().nth(index).unwrap().to_string()
}

/// The zone.
pub fn zone() -> Zone {
    "gb/sct".parse().unwrap()
}

fn public(key: &SigningKey) -> PublicKey {
    PublicKey::from_bytes(key.verifying_key().to_bytes())
}
