//! A running node: the map of its tasks, how they start, and how they end.
//!
//! ```text
//!  seed reports ─▶ intake ──accept──▶ store ◀──prepare, publish── publisher ◀── control socket
//!                    │ accepted                                    │ batches
//!                    └────────────────────────────────────────────▶│
//!                                     store ◀──replicate── relay ◀─┘
//!                                       │                  │  ▲
//!  phones ◀── gateway ◀─────────────────┘           publish│  │gossip, answers
//!                                                          ▼  │
//!                                                         network ◀─▶ peers
//! ```
//!
//! A notification goes down the left and out on the right; each step is durable before the next
//! begins, so every start is a recovery and a stop needs to save nothing. Of two tasks that feed
//! each other at most one waits: the network drops what the relay has no room for, and
//! anti-entropy asks again; the publisher alone may wait for the relay.

use std::collections::BTreeMap;
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::socket::{self, Reply};
use crate::admin::{Admin, Request};
use crate::clock::{self, Clock};
use crate::condition::Conditions;
use crate::config::{Config, ConfigError};
use crate::network::{self, NetworkConfig, NetworkHandle};
use crate::publisher::{self, Fences, Places, Publisher};
use crate::relay::{self, RelayConfig, RelayStatus};
use crate::store::{Store, StoreError};

mod control;
mod disk;
mod error;
mod info;
mod keys;
mod listeners;
mod tasks;
mod view;

use control::Control;
pub use disk::DiskError;
pub use error::StartError;
pub use info::Info;
use listeners::{bind_intake, start_gateway, start_intake};
use tasks::Tasks;
use view::View;

/// Messages of peers that wait for the relay; above it they are dropped and asked for again.
const MAX_EVENTS: usize = 256;

/// Batches of one's own that wait to be announced.
const MAX_PUBLISHED: usize = 64;

/// Requests of the command line that wait for the publisher.
const MAX_COMMANDS: usize = 8;

/// How long a provider that starts waits for its relays to say how far its feeds are, before it
/// signs. The signer's own memory is the first fence; this is the second.
const FENCE_PATIENCE: Duration = Duration::from_secs(5);

/// How long after the first answer what it leads to is waited for.
const FENCE_SETTLES: Duration = Duration::from_secs(1);

/// Tries for a store that is open elsewhere: 3 s in all.
const STORE_TRIES: u32 = 30;

/// Pause between two of them.
const STORE_PAUSE: Duration = Duration::from_millis(100);

/// How long tasks may take to end, once told to.
pub const GRACE: Duration = Duration::from_secs(10);

/// What a node is started for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// To do all that its configuration says.
    Serve,
    /// To catch up from relays: a provider takes no reports and signs nothing.
    CatchUp,
    /// To do one thing for the command line and stop: nobody connects to it, but it asks its
    /// relays how far they are before it signs.
    Once,
}

/// A running node. Dropping it tells its tasks to stop; [`shutdown`](Self::shutdown) also waits.
#[derive(Debug)]
pub struct Node {
    control: Arc<Control>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Node {
    /// Starts the node of a data directory: store, network, relay, publisher, listeners last. What
    /// it cannot listen on is known before anything is signed.
    ///
    /// # Errors
    ///
    /// [`StartError`]; whatever was started is stopped.
    pub async fn start(dir: &Path, mode: Mode) -> Result<Self, StartError> {
        let dir = std::path::absolute(dir)?;
        let mut config = Config::load(&dir)?;
        if mode == Mode::Once {
            config.network.listen.clear();
        }
        let conditions = Conditions::default();
        let dirs = written(&dir, &config);
        let full = disk::prove(&dirs).err();
        let store = open_store(&dir, full.is_none()).await?;
        if let Some(error) = full {
            if mode == Mode::Once {
                return Err(error.into());
            }
            disk::tell(&conditions, Some(&error));
        }
        if mode == Mode::Serve {
            keys::check(&dir, &config, &store)?;
        }
        let stop = CancellationToken::new();
        // Whatever fails below, the tasks that run already are told to end.
        let stop_on_error = stop.clone().drop_guard();
        let tasks = Tasks {
            stop: stop.clone(),
            tracker: TaskTracker::new(),
        };

        let clock = start_clock(&config, &store, mode, &tasks)?;
        let (network, status, fence, published) =
            start_network(&dir, &config, &store, &clock, &tasks).await?;
        let view = View {
            admin: Admin::new(
                dir.clone(),
                config.clone(),
                store.clone(),
                conditions.clone(),
            ),
            conditions,
            network: network.clone(),
            status: status.clone(),
            clock: clock.clone(),
        };
        let (mut gateway, mut intake) = (None, None);
        if mode != Mode::Once {
            gateway = start_gateway(&config, &store, view.clone(), &tasks).await?;
        }
        if mode == Mode::Serve {
            intake = bind_intake(&config).await?;
        }
        let mut publisher = None;
        if mode != Mode::CatchUp && config.provider.is_some() {
            let open = Publisher::open(&dir, &config, store.clone(), clock::now())?;
            let asked = status;
            let fences = Fences { seen: fence, clock };
            publisher = Some(start_publisher(
                open, &config, &store, asked, fences, published, &tasks,
            )?);
        }
        let url = intake.as_ref().map(listeners::Intake::url).transpose()?;
        if let (Some(intake), Some(publisher)) = (intake, &publisher) {
            start_intake(&dir, &config, &store, intake, publisher, &tasks)?;
        }
        let guard = disk::guard(store.clone(), dirs, view.conditions.clone(), stop.clone());
        tasks.spawn("disk", guard);
        let info = Info::of(&config, &store, &network, gateway, url)?;
        let control = Arc::new(Control {
            view,
            publisher,
            info,
            relays: config.network.bootstrap.len(),
            once: mode == Mode::Once,
        });
        if mode != Mode::Once {
            let control = Arc::clone(&control);
            let answer = move |request| Arc::clone(&control).answer(request);
            tasks.spawn("control", socket::serve(dir, answer, stop.clone()));
        }
        stop_on_error.disarm();
        Ok(Self {
            control,
            stop,
            tasks: tasks.tracker,
        })
    }

    /// What the node says of itself.
    pub fn info(&self) -> &Info {
        &self.control.info
    }

    /// Does what the command line asks.
    pub async fn answer(&self, request: Request) -> Reply {
        Arc::clone(&self.control).answer(request).await
    }

    /// Waits until a task fails and stops the node.
    pub async fn failed(&self) {
        self.stop.cancelled().await;
    }

    /// Tells every task to stop and waits for them, [`GRACE`] at most.
    ///
    /// Nothing is saved here. What must survive was made durable when it was acknowledged.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(GRACE, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(running = self.tasks.len(), "tasks did not end in time");
        }
    }
}

/// The directories that the node writes to.
fn written(dir: &Path, config: &Config) -> Vec<PathBuf> {
    let signer = config.provider.as_ref().map(|own| own.signer_dir.clone());
    iter::once(dir.to_owned()).chain(signer).collect()
}

/// Opens the store; waits a little for a verb of the command line that has it open just now.
async fn open_store(dir: &Path, writable: bool) -> Result<Store, StoreError> {
    let path = Places::of(dir).store;
    let open = match writable {
        true => Store::open,
        false => Store::open_read_only,
    };
    for _ in 0..STORE_TRIES {
        match open(&path) {
            Err(StoreError::Locked) => tokio::time::sleep(STORE_PAUSE).await,
            done => return done,
        }
    }
    open(&path)
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn start_clock(
    config: &Config,
    store: &Store,
    mode: Mode,
    tasks: &Tasks,
) -> Result<Clock, StartError> {
    let asked = clock::Asked::of(config)?;
    let own = asked.as_ref().map(|asked| asked.provider);
    let clock = Clock::open(store, own, mode == Mode::Once)?;
    let task = clock::run(clock.clone(), store.clone(), asked, tasks.stop.clone());
    tasks.spawn("clock", task);
    Ok(clock)
}

/// What the publisher needs of the network's side.
type Fence = watch::Receiver<publisher::Seen>;

/// Own batches on their way to the relay.
type Published = mpsc::Sender<bellwether_formats::signed::Signed<bellwether_formats::batch::Batch>>;

async fn start_network(
    dir: &Path,
    config: &Config,
    store: &Store,
    clock: &Clock,
    tasks: &Tasks,
) -> Result<
    (
        NetworkHandle,
        watch::Receiver<RelayStatus>,
        Fence,
        Published,
    ),
    StartError,
> {
    let keypair = network::load_or_create_peer_key(&dir.join("peer.key"))?;
    let feeds = config.carried()?;
    let mut zones: Vec<_> = feeds.iter().map(|feed| feed.zone.clone()).collect();
    zones.sort();
    zones.dedup();
    let settings = NetworkConfig {
        listen: addresses("network.listen", &config.network.listen)?,
        bootstrap: addresses("network.bootstrap", &config.network.bootstrap)?,
        external: addresses("network.external", &config.network.external)?,
        zones,
        gossip: config.network.gossip,
        max_peers: config.network.max_peers,
        ..NetworkConfig::default()
    };
    let (events, inbox) = mpsc::channel(MAX_EVENTS);
    let (handle, task) = network::start(keypair, settings, events, tasks.stop.clone()).await?;
    tasks.spawn("network", task);
    let (published, publications) = mpsc::channel(MAX_PUBLISHED);
    let (fence_out, fence) = watch::channel(BTreeMap::new());
    let (status_out, status) = watch::channel(RelayStatus::default());
    let mut own = config.own_feeds()?;
    if let Some(provider) = &config.provider {
        // What was published in a closed zone is still served.
        own.extend(publisher::closed(store, provider.id()?, &own)?);
    }
    let relay = RelayConfig {
        feeds,
        own,
        anti_entropy: config.network.anti_entropy,
        retain: config.retain.clone(),
        clock: clock.clone(),
    };
    let running = relay::run(
        relay,
        store.clone(),
        handle.clone(),
        inbox,
        publications,
        fence_out,
        status_out,
        tasks.stop.clone(),
    );
    tasks.spawn("relay", running);
    Ok((handle, status, fence, published))
}

fn start_publisher(
    publisher: Publisher,
    config: &Config,
    store: &Store,
    mut asked: watch::Receiver<RelayStatus>,
    fences: Fences,
    published: Published,
    tasks: &Tasks,
) -> Result<publisher::PublisherHandle, ConfigError> {
    let (commands, inbox) = mpsc::channel(MAX_COMMANDS);
    let accepted = Arc::new(Notify::new());
    let handle = publisher::PublisherHandle {
        commands,
        accepted: Arc::clone(&accepted),
    };
    let alone = config.network.bootstrap.is_empty();
    let stop = tasks.stop.clone();
    let (clock, store, dates) = (
        fences.clock.clone(),
        store.clone(),
        clock::Asked::of(config)?,
    );
    tasks.spawn("publisher", async move {
        let dated = async {
            // The clock is not believed without being asked about, where somebody can be asked.
            match &dates {
                Some(dates) => clock::ask_dates(&clock, &store, dates).await,
                None => Ok(()),
            }
        };
        let answered = async {
            if alone {
                return;
            }

            // Whoever answers first, or nobody: a provider without its relays still publishes.
            let answered = asked.wait_for(|status| status.stats.heads_answered > 0);
            let answered = tokio::time::timeout(FENCE_PATIENCE, answered).await.is_ok();
            if answered {
                // A head under a newer descriptor counts once that has been fetched too.
                tokio::time::sleep(FENCE_SETTLES).await;
            }
        };
        tokio::join!(dated, answered).0?;
        publisher::run(publisher, inbox, accepted, fences, published, stop).await
    });
    Ok(handle)
}

fn addresses(key: &'static str, texts: &[String]) -> Result<Vec<network::Multiaddr>, ConfigError> {
    let parse = |text: &String| {
        let why = |error| format!("`{text}`: {error}");
        text.parse().map_err(|error| ConfigError::Value {
            key,
            why: why(error),
        })
    };
    texts.iter().map(parse).collect()
}
