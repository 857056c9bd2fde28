//! How a verb reaches the node: through its socket, or the store itself when it is down.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use bellwether_node::admin::socket::{self, Reply};
use bellwether_node::admin::{self, Admin, AdminError, Request};
use bellwether_node::clock::{self, Asked, Clock};
use bellwether_node::condition::Conditions;
use bellwether_node::config::Config;
use bellwether_node::node::{Mode, Node, StartError};
use bellwether_node::publisher::{Places, Publisher};
use bellwether_node::store::{Store, StoreError};
use serde_json::Value;

use super::{CliError, say};

/// The node that a verb is about.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Dir {
    /// The node's data directory.
    #[arg(long, value_name = "DIR")]
    pub(super) data_dir: PathBuf,
}

/// Tries for a node that holds the store but does not hear yet, or no longer: 10 s in all.
const TRIES: u32 = 50;

/// Asks the node of a directory, running or not.
pub(super) fn ask(dir: &Path, request: &Request) -> Result<Value, CliError> {
    let mut tries = 0;
    loop {
        if let Some(reply) = socket::ask(dir, request)? {
            return read(reply);
        }
        match directly(dir, request) {
            Err(
                CliError::Admin(AdminError::Store(StoreError::Locked))
                | CliError::Start(StartError::Store(StoreError::Locked)),
            ) if tries < TRIES => {
                tries += 1;
                thread::sleep(Duration::from_millis(200));
            }
            done => return done,
        }
    }
}

/// Does what the node would do. To sign takes the publisher, and where there are relays, a node
/// that asks them first how far they are: this store may be older than what was published.
fn directly(dir: &Path, request: &Request) -> Result<Value, CliError> {
    let dir = std::path::absolute(dir)?;
    let config = Config::load(&dir).map_err(AdminError::from)?;
    let signs = matches!(request, Request::Publish | Request::Renew { .. });
    if signs && config.provider.is_some() && !config.network.bootstrap.is_empty() {
        return as_node(&dir, request.clone());
    }
    let store = Store::open(&Places::of(&dir).store).map_err(AdminError::from)?;
    let open =
        |store| Publisher::open(&dir, &config, store, clock::now()).map_err(AdminError::from);
    Ok(match request {
        Request::Publish => {
            let clock = asked_clock(&config, &store)?;
            let closed = open(store)?.close_all(|hand, _| hand.check_clock(&clock));
            // No relay is named.
            admin::published(&closed, None)
        }
        Request::Renew { envelope } => {
            let clock = asked_clock(&config, &store)?;
            let mut publisher = open(store)?;
            let envelope = admin::from_hex(envelope)?;
            let renewed = publisher.renew(&envelope).map_err(AdminError::from)?;
            let (descriptor, disowned) = renewed;
            if !disowned.is_empty() {
                clock.vouch();
            }
            // A new descriptor is followed by a batch at once. Source: spec §1.4.
            let closed = publisher.close_all(|hand, _| hand.check_clock(&clock));
            admin::renewed(&descriptor, &disowned, &closed, None)
        }
        request => {
            let admin = Admin::new(dir.clone(), config, store, Conditions::default());
            admin.answer(request, None, clock::now())?
        }
    })
}

/// The clock, after others were asked about it.
fn asked_clock(config: &Config, store: &Store) -> Result<Clock, CliError> {
    let asked = Asked::of(config).map_err(AdminError::from)?;
    let own = asked.as_ref().map(|asked| asked.provider);
    let clock = Clock::open(store, own, true).map_err(AdminError::from)?;
    if let Some(asked) = asked {
        let runtime = tokio::runtime::Runtime::new()?;
        let done = runtime.block_on(clock::ask_dates(&clock, store, &asked));
        done.map_err(AdminError::from)?;
        // A look-up of names that takes long is not waited for.
        runtime.shutdown_background();
    }
    Ok(clock)
}

/// Starts the node for one request, without listeners.
fn as_node(dir: &Path, request: Request) -> Result<Value, CliError> {
    let runtime = tokio::runtime::Runtime::new()?;
    let reply = runtime.block_on(async {
        let node = Node::start(dir, Mode::Once).await?;
        let reply = node.answer(request).await;
        node.shutdown().await;
        Ok::<Reply, CliError>(reply)
    });
    read(reply?)
}

fn read(reply: Reply) -> Result<Value, CliError> {
    match reply {
        Reply::Done(value) => Ok(value),
        Reply::Failed {
            error,
            causes,
            hint,
        } => Err(CliError::Node {
            error,
            causes,
            hint,
        }),
    }
}

/// `publish`
pub(super) fn publish(args: &Dir) -> Result<ExitCode, CliError> {
    let answer = ask(&args.data_dir, &Request::Publish)?;
    for batch in list(&answer, "published")? {
        say(text(batch, "cid")?)?;
    }
    whole(&answer)
}

/// Success, if every zone has its batch. Tells if no relay has what was published: it is published
/// all the same.
pub(super) fn whole(answer: &Value) -> Result<ExitCode, CliError> {
    if let Ok(nobody) = text(answer, "not_relayed") {
        tell!("{nobody}");
    }
    let Some(failed) = answer.get("failed") else {
        return Ok(ExitCode::SUCCESS);
    };
    Err(CliError::Node {
        causes: Vec::new(),
        error: text(failed, "error")?.to_owned(),
        hint: text(failed, "hint").ok().map(ToOwned::to_owned),
    })
}

/// A list in an answer.
pub(super) fn list<'a>(answer: &'a Value, key: &str) -> Result<&'a Vec<Value>, CliError> {
    answer
        .get(key)
        .and_then(Value::as_array)
        .ok_or(CliError::Answer)
}

/// A text in an answer.
pub(super) fn text<'a>(answer: &'a Value, key: &str) -> Result<&'a str, CliError> {
    answer
        .get(key)
        .and_then(Value::as_str)
        .ok_or(CliError::Answer)
}
