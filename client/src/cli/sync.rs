//! `bellwether sync`: fetches what is new.

use std::io::{self, Write};
use std::process::ExitCode;

use bellwether_client::{Client, Synced};

use super::error::CliError;
use crate::StateArg;

/// What to sync.
#[derive(Debug, clap::Args)]
pub(crate) struct Sync {
    #[command(flatten)]
    state: StateArg,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the verb. Exit status 2 if a feed was not reached, after doing what could be done.
pub(crate) fn run(sync: &Sync, out: &mut impl Write) -> Result<ExitCode, CliError> {
    let synced = Client::open(&sync.state.dir)?.sync()?;
    if sync.json {
        let line = serde_json::to_string(&synced).map_err(io::Error::from);
        line.and_then(|line| writeln!(out, "{line}"))
            .map_err(CliError::Print)?;
    } else {
        let Synced {
            bytes_down,
            requests,
            matches,
            report,
            ..
        } = &synced;
        writeln!(
            out,
            "{} new batches, {} new bodies: {bytes_down} bytes in {requests} requests; {matches} matches known",
            report.batches, report.bodies
        )
        .map_err(CliError::Print)?;
    }
    for problem in &synced.report.errors {
        let gateway = problem.gateway.as_deref().unwrap_or("-");
        let zone = problem.zone.as_deref().unwrap_or("-");
        eprintln!(
            "warning: {gateway}: {}/{zone}: {} ({})",
            problem.provider, problem.message, problem.rule
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
