use std::fs;
use std::time::Duration;

use bellwether_formats::body::open::OpenBody;
use bellwether_formats::cbor::Reader;
use bellwether_formats::chain::ChainError;
use bellwether_formats::cid::Cid;
use bellwether_formats::id::Level;
use bellwether_formats::signed::Content as _;
use redb::backends::InMemoryBackend;
use tempfile::TempDir;

use super::*;
use crate::batcher::DraftError;
use crate::clock::{self, Clock};
use crate::config::{Intake, Privacy, ZonePolicy};
use crate::signer::SignerError;
use crate::store::tests::fixture::{
    DAY, NOW, descriptor, draft, gb, issue, key, public, signed_descriptor, unit, zone,
};

mod disown;
mod sealed;

/// A provider's directory. The store is in memory and outlives the publisher, as a file would.
struct Home {
    dir: TempDir,
    config: Config,
    store: Store,
}

impl Home {
    fn new() -> Self {
        Self::of(Privacy::Linkable)
    }

    fn of(privacy: Privacy) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("keys")).unwrap();
        fs::write(dir.path().join("keys/a.key"), "03".repeat(32)).unwrap();
        fs::write(dir.path().join("store.redb"), b"").unwrap();
        let zones = [gb(), zone("fr")];
        let policy = |zone| ZonePolicy::new(zone, privacy, Duration::from_mins(60), 4);
        let config = Config {
            provider: Some(config::Provider {
                id: public(1).to_string(),
                name: "P".to_owned(),
                signer_dir: dir.path().join("signer"),
                intake: Intake::default(),
                zone: zones.iter().map(policy).collect(),
            }),
            ..Config::default()
        };
        config.check().unwrap();
        let store = Store::with_backend(InMemoryBackend::new()).unwrap();
        store.put_descriptor(&signed_descriptor(1, 1)).unwrap();
        issue(&store, &gb(), &[1]);
        issue(&store, &zone("fr"), &[2]);
        Self { dir, config, store }
    }

    fn open(&self) -> Result<Publisher, PublishZoneError> {
        Publisher::open(self.dir.path(), &self.config, self.store.clone(), NOW)
    }

    fn publisher(&self) -> Publisher {
        self.open().unwrap()
    }

    /// Signs as the publisher does, without publishing: the node stops right after.
    fn sign(&self, inner: &[u8]) {
        let provider = self.config.provider.as_ref().unwrap();
        let places = Places::of(self.dir.path());
        let place = SignerPlace {
            dir: &provider.signer_dir,
            provider: public(1),
            store: &places.store,
            keys: &places.keys,
        };
        let mut signer = Signer::open(place, false).unwrap();
        let batch = Batch::read(&mut Reader::new(inner)).unwrap();
        signer.sign(&batch, inner, None).unwrap();
    }

    fn head(&self) -> Option<Head> {
        self.store.head(&feed()).unwrap().map(|head| head.head)
    }

    /// Takes the key that the node signs with, and gives it another.
    fn change_key(&self) {
        fs::write(self.dir.path().join("keys/a.key"), "04".repeat(32)).unwrap();
    }
}

fn feed() -> FeedId {
    FeedId {
        provider: public(1),
        zone: gb(),
    }
}

/// Closes a zone that needs one batch.
fn close(
    publisher: &mut Publisher,
    zone: &Zone,
    now: u64,
) -> Result<Signed<Batch>, PublishZoneError> {
    let mut closed = publisher.close(zone, now);
    if let Some(error) = closed.failed {
        return Err(error);
    }
    assert_eq!(closed.batches.len(), 1);
    Ok(closed.batches.remove(0))
}

/// The level and time that a batch says of a unit.
fn said(store: &Store, batch: &Signed<Batch>, which: u32) -> Option<(u8, u64)> {
    let bodies: Vec<Cid> = batch.open_bodies().map(|body| body.cid).collect();
    bodies.iter().find_map(|cid| {
        let bytes = store.block(cid).unwrap().unwrap();
        let body = OpenBody::decode(unit(0).scheme, &bytes).unwrap();
        let mut units = body.units();
        let found = units.find(|(_, value)| *value == unit(which).unit);
        found.map(|(terms, _)| (terms.level.0, terms.observed_before))
    })
}

#[test]
fn what_waits_is_published_then_heartbeats() {
    let home = Home::new();
    let mut publisher = home.publisher();
    assert_eq!(publisher.zone_names(), [gb(), zone("fr")]);
    assert_eq!(publisher.due(&gb()).unwrap(), 0, "there is no batch yet");
    home.store
        .accept(&[1; 32], &[unit(1), unit(2)], NOW)
        .unwrap();
    let batch = close(&mut publisher, &gb(), NOW).unwrap();
    assert_eq!(
        (batch.seq, batch.published_at, batch.parts.len()),
        (1, NOW, 1)
    );
    assert_eq!(said(&home.store, &batch, 1), Some((5, NOW)));
    assert_eq!(publisher.due(&gb()).unwrap(), NOW + 3600);
    assert_eq!(publisher.due(&zone("fr")).unwrap(), 0);

    let heartbeat = close(&mut publisher, &gb(), NOW + 3600).unwrap();
    assert_eq!((heartbeat.seq, heartbeat.parts.len()), (2, 0));
    assert_eq!(heartbeat.prev, Some(batch.id()));
    assert_ne!(heartbeat.salt, batch.salt);
    // By hand, faster than one a second; then the clock goes back.
    let third = close(&mut publisher, &gb(), NOW + 3600).unwrap();
    assert_eq!(third.published_at, NOW + 3601);
    let back = close(&mut publisher, &gb(), NOW);
    assert!(matches!(
        back,
        Err(PublishZoneError::Draft(DraftError::ClockBack { .. }))
    ));
    assert!(matches!(
        close(&mut publisher, &zone("us"), NOW),
        Err(PublishZoneError::Zone { .. })
    ));
    assert_eq!(home.store.faults().unwrap(), Vec::<String>::new());
}

#[test]
fn enough_that_waits_is_published_at_once() {
    let mut home = Home::new();
    let provider = home.config.provider.as_mut().unwrap();
    provider.zone[0].max_notifications = Some(3);
    let mut publisher = home.publisher();
    close(&mut publisher, &gb(), NOW).unwrap();
    home.store
        .accept(&[1; 32], &[unit(1), unit(2)], NOW)
        .unwrap();
    assert_eq!(publisher.due(&gb()).unwrap(), NOW + 3600);
    home.store
        .accept(&[1; 32], &[unit(3), unit(4), unit(1)], NOW)
        .unwrap();
    assert_eq!(publisher.due(&gb()).unwrap(), 0);
    close(&mut publisher, &gb(), NOW + 1).unwrap();
    assert_eq!(home.store.pending(&gb()).unwrap(), 1, "three fit");
    assert_eq!(publisher.due(&gb()).unwrap(), NOW + 1 + 3600);
}

#[test]
fn a_revocation_before_publication_is_silence_and_after_it_a_statement() {
    let home = Home::new();
    let mut publisher = home.publisher();
    home.store.accept(&[1; 32], &[unit(1)], NOW).unwrap();
    home.store.set_level(&[1; 32], Level::NO_ALERT).unwrap();
    let batch = close(&mut publisher, &gb(), NOW).unwrap();
    assert!(batch.parts.is_empty());
    home.store.set_level(&[1; 32], Level::DIAGNOSED).unwrap();
    let batch = close(&mut publisher, &gb(), NOW + 10).unwrap();
    assert_eq!(said(&home.store, &batch, 1), Some((5, NOW + 10)));
    home.store.set_level(&[1; 32], Level::NO_ALERT).unwrap();
    let batch = close(&mut publisher, &gb(), NOW + 20).unwrap();
    assert_eq!(
        said(&home.store, &batch, 1),
        Some((0, NOW + 10)),
        "its time stays"
    );
    home.store.set_level(&[1; 32], Level::SYMPTOMATIC).unwrap();
    let batch = close(&mut publisher, &gb(), NOW + 30).unwrap();
    assert_eq!(said(&home.store, &batch, 1), Some((4, NOW + 10)));
    assert!(
        close(&mut publisher, &gb(), NOW + 40)
            .unwrap()
            .parts
            .is_empty()
    );
}

#[test]
fn what_was_prepared_is_published_as_it_stands_after_a_stop() {
    for signed in [false, true] {
        let home = Home::new();
        home.store.accept(&[1; 32], &[unit(1)], NOW).unwrap();
        let prepared = home.store.prepare(&draft(&home.store, &gb(), NOW)).unwrap();
        if signed {
            home.sign(&prepared.inner);
        }
        // Too late for this batch.
        home.store.accept(&[1; 32], &[unit(2)], NOW).unwrap();
        home.store.set_level(&[1; 32], Level::DEBUG).unwrap();
        let mut publisher = home.publisher();
        assert_eq!(home.head().map(|head| head.id), Some(prepared.id()));
        assert_eq!(home.store.prepared(&gb()).unwrap(), None);
        let batch = close(&mut publisher, &gb(), NOW + 5).unwrap();
        assert_eq!(batch.seq, 2);
        assert_eq!(said(&home.store, &batch, 1), Some((1, NOW)));
        assert_eq!(said(&home.store, &batch, 2), Some((1, NOW + 5)));
        assert_eq!(home.store.pending(&gb()).unwrap(), 0);
        assert_eq!(home.store.faults().unwrap(), Vec::<String>::new());
    }
}

#[test]
fn a_running_publisher_finishes_what_is_prepared_first() {
    let home = Home::new();
    let mut publisher = home.publisher();
    home.store.accept(&[1; 32], &[unit(1)], NOW).unwrap();
    home.store.prepare(&draft(&home.store, &gb(), NOW)).unwrap();
    let batch = close(&mut publisher, &gb(), NOW + 5).unwrap();
    assert_eq!((batch.seq, batch.parts.len()), (2, 0));
    let rows = home.store.rows_after(&feed(), 0, 10).unwrap();
    assert_eq!(rows.len(), 2);
}

#[test]
fn a_prepared_batch_of_an_older_descriptor_is_published_only_if_it_may_be_signed() {
    for signed in [false, true] {
        let home = Home::new();
        home.store.accept(&[1; 32], &[unit(1)], NOW).unwrap();
        let prepared = home.store.prepare(&draft(&home.store, &gb(), NOW)).unwrap();
        if signed {
            home.sign(&prepared.inner);
        }
        home.store.put_descriptor(&signed_descriptor(1, 2)).unwrap();
        let mut publisher = home.publisher();
        let head = home.head().map(|head| (head.id, head.epoch));
        assert_eq!(head, signed.then_some((prepared.id(), 1)));
        assert_eq!(publisher.due(&gb()).unwrap(), 0);
        let batch = close(&mut publisher, &gb(), NOW + 5).unwrap();
        assert_eq!((batch.seq, batch.epoch), (if signed { 2 } else { 1 }, 2));
        assert_eq!(said(&home.store, &batch, 1).is_some(), !signed);
        assert_eq!(home.store.pending(&gb()).unwrap(), 0);
        assert_eq!(home.store.faults().unwrap(), Vec::<String>::new());
    }
}

#[test]
fn a_prepared_batch_whose_key_was_taken_away_is_drawn_up_again() {
    let home = Home::new();
    home.store.accept(&[1; 32], &[unit(1)], NOW).unwrap();
    home.store.prepare(&draft(&home.store, &gb(), NOW)).unwrap();
    home.change_key();
    let batch = close(&mut home.publisher(), &gb(), NOW + 5).unwrap();
    assert_eq!((batch.seq, batch.key), (1, public(4)));
    assert_eq!(said(&home.store, &batch, 1), Some((5, NOW + 5)));

    // If it may be signed, no other content may take its number.
    let home = Home::new();
    let prepared = home.store.prepare(&draft(&home.store, &gb(), NOW)).unwrap();
    home.sign(&prepared.inner);
    home.change_key();
    assert!(matches!(
        home.open(),
        Err(PublishZoneError::Signer(SignerError::NoKey { .. }))
    ));
    assert!(home.store.prepared(&gb()).unwrap().is_some());
}

#[test]
fn a_prepared_batch_that_a_relay_gave_back_is_settled_even_without_its_key() {
    let home = Home::new();
    home.store.accept(&[1; 32], &[unit(1)], NOW).unwrap();
    let draft = draft(&home.store, &gb(), NOW);
    let prepared = home.store.prepare(&draft).unwrap();
    home.sign(&prepared.inner);
    let batch = Signed::sign(&draft.batch, &key(3)).unwrap();
    home.store.replicate(&batch, &draft.blocks).unwrap();
    home.change_key();
    let mut publisher = home.publisher();
    assert_eq!(home.store.pending(&gb()).unwrap(), 0);
    assert_eq!(close(&mut publisher, &gb(), NOW + 5).unwrap().seq, 2);
}

#[test]
fn a_store_that_published_needs_the_signers_memory() {
    let home = Home::new();
    close(&mut home.publisher(), &gb(), NOW).unwrap();
    fs::remove_dir_all(home.dir.path().join("signer")).unwrap();
    let refused = home.open();
    assert!(
        matches!(
            refused,
            Err(PublishZoneError::Signer(SignerError::Missing { .. }))
        ),
        "{refused:?}"
    );
    let hint = refused.map(drop).unwrap_err().hint();
    assert!(hint.is_some());
}

#[test]
fn a_renewed_descriptor_is_followed_by_a_batch_at_once() {
    let home = Home::new();
    let mut publisher = home.publisher();
    close(&mut publisher, &gb(), NOW).unwrap();
    assert_eq!(publisher.due(&gb()).unwrap(), NOW + 3600);
    let renewed = signed_descriptor(1, 2);
    publisher.renew(renewed.envelope()).unwrap();
    assert_eq!(publisher.due(&gb()).unwrap(), 0);
    let batch = close(&mut publisher, &gb(), NOW + 1).unwrap();
    assert_eq!((batch.epoch, batch.desc), (2, renewed.cid()));
    assert_eq!(publisher.due(&gb()).unwrap(), NOW + 3601);
    assert_eq!(home.store.faults().unwrap(), Vec::<String>::new());
}

#[test]
fn a_descriptor_that_does_not_fit_is_refused() {
    let home = Home::new();
    let mut publisher = home.publisher();
    let next = descriptor(1, 2, &[3, 4]);
    let mut refuse = |change: &dyn Fn(&mut Descriptor), root: u8, rule: &str| {
        let mut descriptor = next.clone();
        change(&mut descriptor);
        let signed = Signed::sign(&descriptor, &key(root)).unwrap();
        let found = publisher.renew(signed.envelope()).unwrap_err();
        let found = format!("{found:?}");
        assert!(found.starts_with(rule), "{found}");
        assert_eq!(publisher.descriptor().unwrap().epoch, 1);
    };
    refuse(&|d| d.epoch = 1, 1, "Descriptor");
    refuse(&|d| d.epoch = 1002, 1, "Descriptor");
    refuse(&|d| d.next_root = [1; 32], 1, "Descriptor");
    refuse(&|d| d.provider = public(2), 2, "Descriptor");
    refuse(&|d| d.zones = vec![gb()], 1, "Descriptor");
    refuse(
        &|d| d.keys.retain(|window| window.key == public(4)),
        1,
        "NoKey",
    );
    let mut broken = signed_descriptor(1, 2).envelope().to_vec();
    broken[20] ^= 1;
    assert!(matches!(
        publisher.renew(&broken),
        Err(PublishZoneError::Object(_))
    ));
    publisher.renew(signed_descriptor(1, 2).envelope()).unwrap();
}

#[test]
fn what_readers_would_refuse_is_not_prepared() {
    let home = Home::new();
    let mut publisher = home.publisher();
    let mut short = descriptor(1, 2, &[3]);
    short.expires_at = NOW + 10;
    let renewed = Signed::sign(&short, &key(1)).unwrap();
    publisher.renew(renewed.envelope()).unwrap();
    close(&mut publisher, &gb(), NOW + 9).unwrap();
    let refused = close(&mut publisher, &gb(), NOW + 10);
    assert!(
        matches!(
            refused,
            Err(PublishZoneError::Refused(ChainError::Expired { .. }))
        ),
        "{refused:?}"
    );
    assert_eq!(home.store.prepared(&gb()).unwrap(), None);

    let mut early = descriptor(1, 3, &[3]);
    early.keys[0].not_before = NOW + 20;
    early.issued_at = NOW + 20;
    let renewed = Signed::sign(&early, &key(1)).unwrap();
    publisher.renew(renewed.envelope()).unwrap();
    let refused = close(&mut publisher, &gb(), NOW + 19);
    assert!(matches!(refused, Err(PublishZoneError::NoKey { .. })));
    assert!(refused.unwrap_err().hint().is_some());
    assert_eq!(close(&mut publisher, &gb(), NOW + 20).unwrap().seq, 2);
}

#[test]
fn a_setting_that_readers_refuse_blocks_nothing_once_it_is_right() {
    let mut home = Home::new();
    let window = |home: &mut Home, window| {
        home.config.provider.as_mut().unwrap().zone[0].window = window;
    };
    window(&mut home, Duration::ZERO);
    assert!(home.config.check().is_err());
    home.store.accept(&[1; 32], &[unit(1)], NOW).unwrap();
    let refused = close(&mut home.publisher(), &gb(), NOW);
    assert!(matches!(
        refused,
        Err(PublishZoneError::Draft(DraftError::Decode(_)))
    ));
    window(&mut home, Duration::from_secs(14 * DAY));
    let batch = close(&mut home.publisher(), &gb(), NOW).unwrap();
    assert_eq!((batch.seq, batch.parts.len()), (1, 1));
}

#[test]
fn a_restored_store_that_caught_up_publishes_nothing_twice() {
    // The store as it goes on, and the one that was restored: both know units 1 to 3.
    let (lived, restored) = (Home::new(), Home::new());
    for home in [&lived, &restored] {
        home.store.accept(&[1; 32], &[unit(1)], NOW).unwrap();
        home.store
            .accept(&[2; 32], &[unit(2), unit(3)], NOW)
            .unwrap();
        issue(&home.store, &gb(), &[3, 4]);
        home.store.accept(&[3; 32], &[unit(4)], NOW).unwrap();
    }
    let mut publisher = lived.publisher();
    close(&mut publisher, &gb(), NOW).unwrap();
    lived.store.accept(&[4; 32], &[unit(5)], NOW + 5).unwrap();
    lived.store.set_level(&[1; 32], Level::NO_ALERT).unwrap();
    close(&mut publisher, &gb(), NOW + 10).unwrap();

    // Somebody revoked in the restored one, before it had caught up.
    restored.store.set_level(&[3; 32], Level::NO_ALERT).unwrap();
    let mut publisher = restored.publisher();
    for row in lived.store.rows_after(&feed(), 0, 10).unwrap() {
        let batch = lived.store.batch(&row).unwrap().unwrap();
        let blocks: Vec<_> = batch
            .links()
            .into_iter()
            .map(|cid| {
                let bytes = lived.store.block(&cid).unwrap().unwrap();
                bellwether_formats::cid::Block::of(cid.codec(), bytes).unwrap()
            })
            .collect();
        restored.store.replicate(&batch, &blocks).unwrap();
    }
    let next = close(&mut publisher, &gb(), NOW + 20).unwrap();
    assert_eq!(next.seq, 3);
    assert_eq!(
        said(&restored.store, &next, 4),
        Some((0, NOW)),
        "revoked here"
    );
    for which in [1, 2, 3, 5] {
        assert_eq!(said(&restored.store, &next, which), None, "{which}");
    }
    // A phone that lost the answer reports once more: all is published already.
    restored
        .store
        .accept(&[4; 32], &[unit(5)], NOW + 30)
        .unwrap();
    assert!(
        close(&mut publisher, &gb(), NOW + 40)
            .unwrap()
            .parts
            .is_empty()
    );
    assert_eq!(restored.store.faults().unwrap(), Vec::<String>::new());
    assert_eq!(restored.store.pending(&zone("fr")).unwrap(), 2);
}

#[test]
fn forty_thousand_go_into_one_batch() {
    let home = Home::new();
    let mut publisher = home.publisher();
    for block in 0..160_u32 {
        let which = u8::try_from(block).unwrap();
        let units: Vec<_> = (block * 250..(block + 1) * 250).map(unit).collect();
        // Code 2 is of another zone.
        let code = if which == 2 { 200 } else { which };
        issue(&home.store, &gb(), &[code]);
        home.store.accept(&[code; 32], &units, NOW).unwrap();
    }
    let batch = close(&mut publisher, &gb(), NOW).unwrap();
    let Some(bellwether_formats::batch::Part::Open(part)) = batch.parts.first() else {
        panic!("{:?}", batch.parts)
    };
    assert_eq!((batch.parts.len(), part.count), (1, 40_000));
    assert_eq!(home.store.pending(&gb()).unwrap(), 0);
    // Sizes of the design: 24.2 bytes a seed, everything included.
    let bytes = u64::try_from(batch.envelope().len()).unwrap() + part.body.size;
    assert!(bytes * 10 <= 40_000 * 242, "{bytes} bytes");
}

/// The task reads the machine's clock, so this one provider is of all times.
#[tokio::test(flavor = "multi_thread")]
async fn the_task_forgets_publishes_and_obeys() {
    let home = Home::new();
    let mut timeless = descriptor(1, 2, &[3]);
    timeless.keys[0].not_before = 0;
    timeless.keys[0].not_after = 1 << 52;
    timeless.issued_at = clock::now();
    timeless.expires_at = timeless.issued_at + DAY;
    let timeless = Signed::sign(&timeless, &key(1)).unwrap();
    home.store.put_descriptor(&timeless).unwrap();
    // Accepted long ago, revoked before it was published, and forgotten by now.
    home.store.accept(&[1; 32], &[unit(1)], 0).unwrap();
    home.store.set_level(&[1; 32], Level::NO_ALERT).unwrap();

    let (commands, inbox) = tokio::sync::mpsc::channel(1);
    let (out, mut published) = tokio::sync::mpsc::channel(16);
    let fence = BTreeMap::from([(zone("fr"), (1, 1))]);
    let (fence, seen) = tokio::sync::watch::channel(fence);
    let accepted = std::sync::Arc::new(tokio::sync::Notify::new());
    let stop = tokio_util::sync::CancellationToken::new();
    let clock = Clock::open(&home.store, Some(public(1)), false).unwrap();
    let fences = Fences { seen, clock };
    let task = run(home.publisher(), inbox, accepted, fences, out, stop.clone());
    let task = tokio::spawn(task);

    let first = published.recv().await.unwrap();
    assert_eq!((first.zone.as_str(), first.seq), ("gb", 1));
    assert_eq!(
        home.store.code(&[1; 32]).unwrap(),
        None,
        "forgotten with its code"
    );
    let close = async || {
        let (reply, answer) = tokio::sync::oneshot::channel();
        commands.send(Command::Close(reply)).await.unwrap();
        answer.await.unwrap()
    };
    let fenced = close().await;
    assert!(
        matches!(
            fenced.failed,
            Some(PublishZoneError::Fenced {
                theirs: 1,
                ours: 0,
                ..
            })
        ),
        "{fenced:?}"
    );
    assert_eq!(fenced.batches.len(), 1, "one fenced zone holds no other up");
    fence.send(BTreeMap::new()).unwrap();
    let closed = close().await.batches;
    let names: Vec<_> = closed.iter().map(|b| (b.zone.as_str(), b.seq)).collect();
    assert_eq!(names.len(), 2);
    assert_eq!(names[0], ("gb", 3), "the fenced command closed this one");
    stop.cancel();
    task.await.unwrap().unwrap();
}

#[test]
fn prepared_batch_of_a_clock_that_was_ahead_is_drawn_up_again_unless_it_may_be_signed() {
    for signed in [false, true] {
        let home = Home::new();
        home.store.accept(&[1; 32], &[unit(1)], NOW).unwrap();
        let ahead = draft(&home.store, &gb(), NOW + 7200);
        let prepared = home.store.prepare(&ahead).unwrap();
        if signed {
            home.sign(&prepared.inner);
        }
        let mut publisher = home.publisher();
        let head = home.head().map(|head| head.id);
        assert_eq!(head, signed.then_some(prepared.id()));
        if !signed {
            let batch = close(&mut publisher, &gb(), NOW).unwrap();
            assert_eq!((batch.seq, batch.published_at), (1, NOW));
            assert_eq!(said(&home.store, &batch, 1), Some((5, NOW)));
        }
        assert_eq!(home.store.faults().unwrap(), Vec::<String>::new());
    }
}
