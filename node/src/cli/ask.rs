//! How a verb reaches the node: through its socket, or the store itself when it is down.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use bellwether_node::admin::socket::{self, Reply};
use bellwether_node::admin::{self, Admin, AdminError, Request};
use bellwether_node::clock;
use bellwether_node::config::Config;
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
            return match reply {
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
            };
        }
        match directly(dir, request) {
            Err(CliError::Admin(AdminError::Store(StoreError::Locked))) if tries < TRIES => {
                tries += 1;
                thread::sleep(Duration::from_millis(200));
            }
            done => return done,
        }
    }
}

/// Does what the node would do, on its store.
fn directly(dir: &Path, request: &Request) -> Result<Value, CliError> {
    let dir = std::path::absolute(dir)?;
    let config = Config::load(&dir).map_err(AdminError::from)?;
    let store = Store::open(&Places::of(&dir).store).map_err(AdminError::from)?;
    let now = clock::now();
    let answer = match request {
        Request::Publish => {
            let mut publisher = Publisher::open(&dir, &config, store).map_err(AdminError::from)?;
            let mut batches = Vec::new();
            for zone in publisher.zone_names() {
                batches.push(publisher.close(&zone, now).map_err(AdminError::from)?);
            }
            admin::published(&batches)
        }
        Request::Renew { envelope } => {
            let mut publisher = Publisher::open(&dir, &config, store).map_err(AdminError::from)?;
            let envelope = admin::envelope(envelope)?;
            let descriptor = publisher.renew(&envelope).map_err(AdminError::from)?;
            // A new descriptor is followed by a batch at once. Source: spec §1.4.
            for zone in publisher.zone_names() {
                publisher.close(&zone, now).map_err(AdminError::from)?;
            }
            admin::renewed(&descriptor)
        }
        request => Admin::new(dir, config, store).answer(request, None, now)?,
    };
    Ok(answer)
}

/// `publish`
pub(super) fn publish(args: &Dir) -> Result<ExitCode, CliError> {
    let answer = ask(&args.data_dir, &Request::Publish)?;
    for batch in list(&answer, "published")? {
        say(text(batch, "cid")?)?;
    }
    Ok(ExitCode::SUCCESS)
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
