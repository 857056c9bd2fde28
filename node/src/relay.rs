//! The relay's task: hears the network, asks the [`Replicator`], and does what it says.
//!
//! Rules live in the replicator; here are the signatures, the store, the clock, and the one place
//! where blame is decided ([`RefuseError::verdict`]). Towards the network nothing here waits;
//! towards the disk it does, for the network drops what it cannot hand over, and asks again.

mod check;
pub(crate) mod driver;
mod notes;
pub(crate) mod perform;
pub(crate) mod server;
mod upkeep;
pub(crate) mod verify;

use std::collections::BTreeMap;
use std::time::Duration;

use bellwether_formats::batch::Batch;
use bellwether_formats::chain::ChainError;
use bellwether_formats::id::{FeedId, Zone};
use bellwether_formats::signed::{OpenError, Signed};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use self::driver::Driver;
use crate::clock::Clock;
use crate::config::Retain;
use crate::network::{NetworkEvent, NetworkHandle, Verdict};
use crate::replicator::{FeedStatus, Replicator, Stats};
use crate::store::{Store, StoreError};

/// What a relay carries and keeps.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// Feeds that are mirrored for others.
    pub feeds: Vec<FeedId>,
    /// Feeds that this node publishes; mirrored too, should the store be behind.
    pub own: Vec<FeedId>,
    /// Time between two questions for a peer's heads.
    pub anti_entropy: Duration,
    /// What is deleted, and when.
    pub retain: Retain,
    /// Clock of deleting, and of who says otherwise.
    pub clock: Clock,
}

/// How the relay is doing; for `status`, `/health` and metrics.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RelayStatus {
    /// Each feed that is carried or published here.
    pub feeds: BTreeMap<FeedId, FeedStatus>,
    /// Connected peers.
    pub peers: u64,
    /// Time since when there is none, in seconds of UTC, if that is half a minute or more.
    pub alone: Option<u64>,
    /// Gossiped messages that no honest peer sends.
    pub rejected: u64,
    /// Gossiped messages lost before they were judged, because the relay was behind.
    pub dropped: u64,
    /// What the replicator did.
    pub stats: Stats,
    /// Batches whose sealed parts were checked since the start.
    pub checked: u64,
    /// Kept batches whose sealed parts break rules: their providers are to blame.
    pub faulty: u64,
}

impl RelayStatus {
    /// The feeds whose next batch is larger than the disk cap, and its number.
    pub fn too_large(&self) -> Vec<(FeedId, u64)> {
        let feeds = self.feeds.iter();
        let found = feeds.filter_map(|(feed, status)| Some((feed.clone(), status.too_large?)));
        found.collect()
    }
}

/// Why a relay does not pass on a gossiped batch. Source: spec §9.4.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum RefuseError {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error("an anchor disowns batches of this epoch")]
    Disowned,
    #[error("the provider has signed another batch in its place")]
    Equivocation,
    #[error("too much waits here already")]
    Full,
    #[error("the batch is known already")]
    Known,
    #[error("no descriptor is known that speaks for the batch")]
    NoDescriptor,
    #[error("this relay does not carry the feed")]
    NotCarried,
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("batch {found} is older than batch {known}, which is known")]
    Stale { found: u64, known: u64 },
    #[error("a batch of `{found}` in the gossip of `{topic}`")]
    Zone { found: Zone, topic: Zone },
}

impl RefuseError {
    /// Whose fault it is. Only what an honest peer can never have sent costs it reputation: honest
    /// peers verify signatures, but know other descriptors, feeds and times than this one.
    pub const fn verdict(&self) -> Verdict {
        match self {
            Self::Open(_) | Self::Zone { .. } => Verdict::Reject,
            Self::Chain(_)
            | Self::Disowned
            | Self::Equivocation
            | Self::Full
            | Self::Known
            | Self::NoDescriptor
            | Self::NotCarried
            | Self::Stale { .. } => Verdict::Ignore,
        }
    }

    /// The broken rule's name, as in the spec.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::Chain(error) => error.rule(),
            Self::Disowned => "disowned",
            Self::Equivocation => "equivocation",
            Self::Full => "full",
            Self::Known => "known",
            Self::NoDescriptor => "new-epoch",
            Self::NotCarried => "not-carried",
            Self::Open(error) => error.rule(),
            Self::Stale { .. } => "stale",
            Self::Zone { .. } => "zone",
        }
    }
}

/// Runs the relay until `stop`, or until the network ends.
///
/// `events` is what the network hears; `published` are this node's own batches, already in the
/// store, to be gossiped. `fence` tells the publisher, by zone, how far a peer was seen to be in its
/// own feed; `status` is for whoever asks how things are.
///
/// # Errors
///
/// [`StoreError`] if the disk fails: a relay must not pass on what it cannot keep.
#[expect(
    clippy::too_many_arguments,
    reason = "its neighbours, one channel each"
)]
pub async fn run(
    config: RelayConfig,
    store: Store,
    network: NetworkHandle,
    events: mpsc::Receiver<NetworkEvent>,
    published: mpsc::Receiver<Signed<Batch>>,
    fence: watch::Sender<crate::publisher::Seen>,
    status: watch::Sender<RelayStatus>,
    stop: CancellationToken,
) -> Result<(), StoreError> {
    let driver = Driver::new(config, store, network, fence, status, check::next).await?;
    driver.run(events, published, stop).await
}

#[cfg(test)]
mod tests;
