//! `bellwether sync`: fetches what is new.

use std::io::{self, Write};
use std::process::ExitCode;

use bellwether_client::policy::Policy;
use bellwether_client::{Client, Synced};

use super::error::CliError;
use crate::StateArg;

/// What to sync.
#[derive(Debug, clap::Args)]
pub(crate) struct Sync {
    #[command(flatten)]
    state: StateArg,
    /// How hits in filters are confirmed, from now on: `private` (two relays of different operators
    /// answer, neither learns anything; the default), `whole-body` (every body, always: many
    /// bytes), `lean` (a chunk on a hit alone: the relay learns that this device was near to
    /// somebody)
    #[arg(long, value_name = "private|whole-body|lean")]
    policy: Option<Policy>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the verb. Exit status 2 if a feed was not reached, after doing what could be done.
pub(crate) fn run(sync: &Sync, out: &mut impl Write) -> Result<ExitCode, CliError> {
    let mut client = Client::open(&sync.state.dir)?;
    if let Some(policy) = sync.policy {
        client.set_policy(policy)?;
    }
    let synced = client.sync()?;
    if sync.json {
        let line = serde_json::to_string(&synced).map_err(io::Error::from);
        line.and_then(|line| writeln!(out, "{line}"))
            .map_err(CliError::Print)?;
    } else {
        let Synced {
            bytes_down,
            requests,
            matches,
            candidates,
            report,
            ..
        } = &synced;
        writeln!(
            out,
            "{} new batches, {} new bodies, {} new filters, {} chunks looked at: {bytes_down} bytes in {requests} requests",
            report.batches, report.bodies, report.filters, report.chunks
        )
        .and_then(|()| writeln!(out, "{matches} matches known, {candidates} possible and not confirmed"))
        .map_err(CliError::Print)?;
    }
    for problem in &synced.report.errors {
        let gateway = problem.gateway.as_deref().unwrap_or("-");
        let zone = problem.zone.as_deref().unwrap_or("-");
        tell!(
            "warning: {gateway}: {}/{zone}: {} ({})",
            problem.provider,
            problem.message,
            problem.rule
        );
    }
    let unreached = synced.report.feeds.iter().filter(|feed| !feed.reached);
    let feeds: Vec<String> = unreached
        .map(|feed| format!("{}/{}", feed.provider, feed.zone))
        .collect();
    if feeds.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(CliError::Unreached { feeds })
}
