//! A gateway to ask, and providers whose batches it serves.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bellwether_formats::batch::{Batch, BlockRef, OpenPart, Part, Window};
use bellwether_formats::car::Car;
use bellwether_formats::cid::{Block, Cid};
use bellwether_formats::descriptor::{Descriptor, KeyWindow};
use bellwether_formats::id::{PublicKey, Scheme, Zone};
use bellwether_formats::limit::{MAX_BLOCK_BYTES, MAX_CAR_BYTES};
use bellwether_formats::signed::Signed;
use ed25519_dalek::SigningKey;
use tempfile::TempDir;

use crate::condition::Condition;
use crate::gateway::{CAR, Gateway, GatewayState, pir, routes};
use crate::http::Clock;
use crate::http::client::{Reply, Served};
use crate::store::Store;

pub(crate) const START: u64 = 1_800_000_000;
pub(crate) const CAP: u64 = 64 * 1024 * 1024;
pub(crate) const LIMIT: usize = MAX_CAR_BYTES + MAX_BLOCK_BYTES;

/// A gateway on loopback, its store and its clock.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) now: Arc<AtomicU64>,
    /// Conditions that `/health` is told.
    pub(crate) conditions: Arc<Mutex<Vec<Condition>>>,
    pub(crate) gateway: Gateway,
    pub(crate) served: Served,
    _dir: TempDir,
}

/// A provider that signs with its root key, and where its feed stands.
pub(crate) struct Provider {
    pub(crate) key: SigningKey,
    pub(crate) zone: Zone,
    pub(crate) desc: Signed<Descriptor>,
    pub(crate) head: Option<Signed<Batch>>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_cap(CAP)
    }

    pub(crate) fn with_cap(cap: u64) -> Self {
        Self::with(cap, pir::Limits::default())
    }

    pub(crate) fn with_limits(limits: pir::Limits) -> Self {
        Self::with(CAP, limits)
    }

    fn with(cap: u64, limits: pir::Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(&dir.path().join("store.redb")).unwrap();
        let now = Arc::new(AtomicU64::new(START));
        let time = Arc::clone(&now);
        let clock: Clock = Arc::new(move || time.load(Ordering::Relaxed));
        let conditions = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&conditions);
        let state = GatewayState {
            store: store.clone(),
            clock,
            max_bytes: cap,
            conditions: Arc::new(move |_| Ok(told.lock().unwrap().clone())),
        };
        let gateway = Gateway::new(state, limits);
        Self {
            served: Served::new(routes(gateway.clone())),
            gateway,
            store,
            now,
            conditions,
            _dir: dir,
        }
    }

    pub(crate) fn ask(&self, method: &str, path: &str, fields: &[(&str, &str)]) -> Reply {
        self.served.connect().ask(method, path, fields, b"")
    }

    pub(crate) fn get(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        self.ask("GET", path, fields)
    }

    pub(crate) fn car(&self, path: &str) -> Car {
        let reply = self.get(path, &[]);
        assert_eq!((reply.status, reply.field("content-type")), (200, CAR));
        Car::decode(&reply.body, LIMIT).unwrap()
    }

    pub(crate) fn provider(&self, seed: u8, zone: &str) -> Provider {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let desc = descriptor(&key, zone, 1);
        assert!(self.store.put_descriptor(&desc).unwrap());
        Provider {
            key,
            zone: zone.parse().unwrap(),
            desc,
            head: None,
        }
    }

    /// The provider's next batch, with bodies of these bytes.
    pub(crate) fn publish(&self, provider: &mut Provider, bodies: &[Block]) -> Signed<Batch> {
        let batch = provider.next(bodies);
        self.store.replicate(&batch, bodies).unwrap();
        provider.head = Some(batch.clone());
        batch
    }

    pub(crate) fn heartbeats(&self, provider: &mut Provider, count: usize) -> Vec<Cid> {
        (0..count)
            .map(|_| self.publish(provider, &[]).cid())
            .collect()
    }
}

impl Provider {
    pub(crate) fn id(&self) -> PublicKey {
        PublicKey::from_bytes(self.key.verifying_key().to_bytes())
    }

    pub(crate) fn renew(&mut self, world: &World) {
        self.desc = descriptor(&self.key, self.zone.as_str(), self.desc.epoch + 1);
        assert!(world.store.put_descriptor(&self.desc).unwrap());
    }

    pub(crate) fn next(&self, bodies: &[Block]) -> Signed<Batch> {
        let seq = self.head.as_ref().map_or(0, |head| head.seq) + 1;
        let published_at = START + seq;
        let part = |body: &Block| {
            Part::Open(OpenPart {
                scheme: Scheme::CX1,
                window: Window {
                    from: START - 86_400,
                    to: published_at,
                },
                body: BlockRef {
                    cid: body.cid(),
                    size: body.bytes().len().try_into().unwrap(),
                },
                count: 1,
            })
        };
        let batch = Batch {
            provider: self.id(),
            zone: self.zone.clone(),
            key: self.id(),
            epoch: self.desc.epoch,
            seq,
            prev: self.head.as_ref().map(Signed::id),
            published_at,
            next_after: published_at,
            next_by: published_at + 3600,
            retain_from: START - 86_400,
            desc: self.desc.cid(),
            salt: [0; 16],
            covers: None,
            parts: bodies.iter().map(part).collect(),
        };
        Signed::sign(&batch, &self.key).unwrap()
    }

    pub(crate) fn after(&self, seq: u64) -> String {
        format!("/v1/feeds/{}/{}/after/{seq}", self.id(), self.zone)
    }
}

pub(crate) fn descriptor(key: &SigningKey, zone: &str, epoch: u64) -> Signed<Descriptor> {
    let id = PublicKey::from_bytes(key.verifying_key().to_bytes());
    let descriptor = Descriptor {
        provider: id,
        epoch,
        issued_at: START,
        expires_at: START + 86_400,
        name: "Test".to_owned(),
        keys: vec![KeyWindow {
            key: id,
            not_before: START,
            not_after: START + 86_400,
        }],
        zones: vec![zone.parse().unwrap()],
        gateways: vec![],
        anchors: vec![],
        next_root: [0; 32],
        upstream: None,
        peers: vec![],
        successor: None,
    };
    Signed::sign(&descriptor, key).unwrap()
}
