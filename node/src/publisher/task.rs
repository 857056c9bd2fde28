//! The publisher's task: waits until a batch is due, something is accepted, or somebody asks.

use std::sync::Arc;
use std::time::Duration;

use bellwether_formats::batch::Batch;
use bellwether_formats::descriptor::Descriptor;
use bellwether_formats::id::Zone;
use bellwether_formats::signed::Signed;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Closed, PublishZoneError, Publisher, Seen};
use crate::batcher::turn::{Stand, What};
use crate::clock::{self, Clock};
use crate::store::Disowned;

/// What others ask of the publisher.
#[derive(Debug)]
pub enum Command {
    /// Close the batches of all zones now.
    Close(oneshot::Sender<Closed>),
    /// Take a renewed descriptor and publish under it, in every zone.
    Renew(Vec<u8>, oneshot::Sender<Renewed>),
}

/// The descriptor that was taken, what its anchors disowned, and what was published under it.
pub type Renewed = Result<(Signed<Descriptor>, Vec<Disowned>, Closed), PublishZoneError>;

/// How others reach the publisher.
#[derive(Clone, Debug)]
pub struct PublisherHandle {
    /// Asks of it; bounded, so that nobody can pile work up.
    pub commands: mpsc::Sender<Command>,
    /// Says that something was accepted.
    pub accepted: Arc<Notify>,
}

/// Longest sleep between two looks at what is due: clocks are set, sizes grow.
const LOOK: Duration = Duration::from_secs(30);

/// Pause after a failure, so that what fails again and again does not fill the log.
const RETRY: Duration = Duration::from_secs(10);

/// How long notifications are kept after their window closed, in seconds. Source: spec §10.5.
const KEEP_S: u64 = 14 * 86_400;

/// Time between two searches for notifications to forget.
const EXPIRE: Duration = Duration::from_hours(1);

/// Fences that may keep a zone from being signed for.
#[derive(Clone, Debug)]
pub struct Fences {
    /// By zone, how far relays were seen to be: while one is ahead of the store nothing is signed.
    pub seen: watch::Receiver<Seen>,
    /// While it is in doubt nothing is signed at all.
    pub clock: Clock,
}

/// Runs the publisher until `stop`. `fences` may keep it from signing. Published batches go to
/// `out`.
///
/// # Errors
///
/// [`PublishZoneError`] if the store's disk failed, for it answers nothing from then on. What else
/// fails is logged and tried again: the intake must go on taking reports.
pub async fn run(
    mut publisher: Publisher,
    mut commands: mpsc::Receiver<Command>,
    accepted: Arc<Notify>,
    fences: Fences,
    out: mpsc::Sender<Signed<Batch>>,
    stop: CancellationToken,
) -> Result<(), PublishZoneError> {
    let mut expire_at = Instant::now();
    loop {
        let expires = expire_at <= Instant::now();
        if expires {
            expire_at = Instant::now() + EXPIRE;
        }
        let now = fences.now();
        let done = on_pool(publisher, move |publisher| {
            if expires {
                expire(publisher, &now.clock);
            }
            let mut published = Vec::new();
            let next = publish_due(publisher, &now, &mut published);
            (published, next)
        })
        .await;
        let Some((back, published, outcome)) = done else {
            return Ok(());
        };
        publisher = back;
        announce(&out, published).await;
        let next = outcome?;
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            command = commands.recv() => {
                let Some(command) = command else { return Ok(()) };
                let now = fences.now();
                let done = on_pool(publisher, move |publisher| {
                    (obey(publisher, command, &now), ())
                })
                .await;
                let Some((back, published, ())) = done else { return Ok(()) };
                publisher = back;
                announce(&out, published).await;
            }
            () = accepted.notified() => {}
            () = tokio::time::sleep(next) => {}
        }
    }
}

/// Lends the publisher to the blocking pool: everything it does waits for the disk.
async fn on_pool<T: Send + 'static>(
    mut publisher: Publisher,
    work: impl FnOnce(&mut Publisher) -> (Vec<Signed<Batch>>, T) + Send + 'static,
) -> Option<(Publisher, Vec<Signed<Batch>>, T)> {
    let done = tokio::task::spawn_blocking(move || {
        let (published, value) = work(&mut publisher);
        (publisher, published, value)
    });
    match done.await {
        Ok(done) => Some(done),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is ending, and the publisher with it.
        Err(_) => None,
    }
}

/// Only the publisher may wait for the network: its batches are few.
async fn announce(out: &mpsc::Sender<Signed<Batch>>, published: Vec<Signed<Batch>>) {
    for batch in published {
        // A node that is stopping needs no announcement: the batch is in the store.
        let _ = out.send(batch).await;
    }
}

/// Reasons that keep zones from being signed for, now.
struct Fence {
    seen: Seen,
    clock: Clock,
}

impl Fences {
    fn now(&self) -> Fence {
        Fence {
            seen: self.seen.borrow().clone(),
            clock: self.clock.clone(),
        }
    }
}

/// Forgets what is past its time. A failure is not worth more than a line: it will be tried again.
fn expire(publisher: &Publisher, clock: &Clock) {
    let read = clock.read(&publisher.store);
    let gone = read
        .map_err(PublishZoneError::from)
        .and_then(|read| publisher.expire(read.horizon.saturating_sub(KEEP_S)));
    match gone {
        Ok(0) => {}
        Ok(gone) => tracing::info!(gone, "notifications past their time deleted"),
        Err(error) => tracing::error!(%error, "notifications past their time not deleted"),
    }
}

/// Publishes what is due; gives how long to wait for the next.
fn publish_due(
    publisher: &mut Publisher,
    fence: &Fence,
    published: &mut Vec<Signed<Batch>>,
) -> Result<Duration, PublishZoneError> {
    let mut wait = LOOK;
    if !publisher.store.is_writable() {
        return Ok(RETRY);
    }
    for zone in publisher.zone_names() {
        let now = clock::now();
        let outcome = match next(publisher, &zone, now) {
            Ok((due, _)) if due > now => {
                wait = wait.min(Duration::from_secs(due - now));
                continue;
            }
            Ok((_, what)) => run_zone(publisher, &zone, what, fence),
            Err(error) => Closed {
                failed: Some(error),
                ..Closed::default()
            },
        };
        if !outcome.batches.is_empty() {
            published.extend(outcome.batches);
            wait = Duration::ZERO;
        }
        match outcome.failed {
            None => {}
            Some(error) if error.is_fatal() => return Err(error),
            Some(error) => {
                tracing::error!(%zone, %error, hint = error.hint(), "batch not published");
                wait = wait.min(RETRY);
            }
        }
    }
    Ok(wait)
}

fn obey(publisher: &mut Publisher, command: Command, fence: &Fence) -> Vec<Signed<Batch>> {
    let allowed = |publisher: &Publisher, zone: &Zone| fence.check(publisher, zone);
    match command {
        Command::Close(reply) => {
            let closed = publisher.close_all(allowed);
            let published = closed.batches.clone();
            let _ = reply.send(closed);
            published
        }
        Command::Renew(envelope, reply) => {
            let mut published = Vec::new();
            let renewed = publisher.renew(&envelope).map(|(descriptor, disowned)| {
                if !disowned.is_empty() {
                    fence.clock.vouch();
                }
                // A new descriptor is followed by a batch at once. Source: spec §1.4.
                let closed = publisher.close_all(allowed);
                published.clone_from(&closed.batches);
                (descriptor, disowned, closed)
            });
            let _ = reply.send(renewed);
            published
        }
    }
}

/// What is to be done next in a zone, and when, in seconds of UTC.
pub(super) fn next(
    publisher: &Publisher,
    zone: &Zone,
    now: u64,
) -> Result<(u64, What), PublishZoneError> {
    let stand = Stand {
        now,
        head: publisher.head_at(zone)?,
        due: publisher.due(zone)?,
        goes_on: publisher.goes_on_at(zone)?,
    };
    Ok(stand.next())
}

fn run_zone(publisher: &mut Publisher, zone: &Zone, what: What, fence: &Fence) -> Closed {
    if let Err(error) = fence.check(publisher, zone) {
        return Closed {
            failed: Some(error),
            ..Closed::default()
        };
    }
    match what {
        What::Close => publisher.close(zone, clock::now()),
        What::GoOn => publisher.go_on(zone, clock::now()),
    }
}

impl Fence {
    /// Tells whether no relay is ahead of the store, and the clock is believed.
    fn check(&self, publisher: &Publisher, zone: &Zone) -> Result<(), PublishZoneError> {
        check_seen(publisher, zone, &self.seen)?;
        publisher.check_clock(&self.clock)
    }
}

/// Tells whether no relay is ahead of the store. What an anchor disowns is not ahead of anything.
pub(super) fn check_seen(
    publisher: &Publisher,
    zone: &Zone,
    seen: &Seen,
) -> Result<(), PublishZoneError> {
    let Some(theirs) = seen.get(zone).copied() else {
        return Ok(());
    };
    let descriptor = publisher.descriptor()?;
    let anchor = descriptor.anchor(zone).map(|anchor| anchor.epoch);
    let ours = publisher.head(zone)?.map_or((0, 0), |head| head.order());
    if anchor.is_none_or(|epoch| epoch <= theirs.0) && theirs > ours {
        let zone = zone.clone();
        let (theirs, ours) = (theirs.1, ours.1);
        return Err(PublishZoneError::Fenced { zone, theirs, ours });
    }
    Ok(())
}
