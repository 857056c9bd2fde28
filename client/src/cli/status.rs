//! `bellwether status`: what is known of the feeds followed.

use std::io::{self, Write};
use std::process::ExitCode;

use bellwether_client::status::FeedStatus;
use bellwether_client::trust::CLOCKS_S;
use bellwether_client::{Client, time};

use super::error::CliError;
use crate::StateArg;

/// What to show.
#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    #[command(flatten)]
    state: StateArg,
    /// Print a JSON object a line, one for each feed
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub(crate) fn run(status: &Status, out: &mut impl Write) -> Result<ExitCode, CliError> {
    let client = Client::open(&status.state.dir)?;
    let feeds = client.status();
    for feed in &feeds {
        let printed = if status.json {
            serde_json::to_string(feed)
                .map_err(io::Error::from)
                .and_then(|line| writeln!(out, "{line}"))
        } else {
            print(feed, out)
        };
        printed.map_err(CliError::Print)?;
    }
    tell!(
        "{} feeds followed, {} observations kept",
        feeds.len(),
        client.observation_count()
    );
    Ok(ExitCode::SUCCESS)
}

fn print(feed: &FeedStatus, out: &mut impl Write) -> io::Result<()> {
    let name = feed.name.as_deref().unwrap_or("name not known yet");
    writeln!(out, "{} in {} ({name})", feed.provider, feed.zone)?;
    if let (Some(seq), Some(epoch), Some(age), Some(next_by)) =
        (feed.head, feed.epoch, feed.age_s, feed.next_by)
    {
        let next_by = time::format(next_by);
        writeln!(
            out,
            "  newest batch {seq} (epoch {epoch}), {age} s old, the next is due by {next_by}"
        )?;
    }
    writeln!(
        out,
        "  {} batches, {} bodies and {} filters kept",
        feed.batches, feed.bodies, feed.filters
    )?;
    match feed.covered_from {
        None => writeln!(out, "  nothing is known of it yet")?,
        Some(0) => writeln!(out, "  all of it is known")?,
        Some(from) => {
            let since = time::format(from.saturating_add(CLOCKS_S));
            writeln!(out, "  all is known of what was observed since {since}")?;
        }
    }
    writeln!(
        out,
        "  policy {}, {} operators to ask, {}; what that tells others:",
        feed.policy,
        feed.operators,
        match feed.operators_by {
            "hand" => "given by hand",
            _ => "named by the provider",
        }
    )?;
    for leak in &feed.leaks {
        writeln!(out, "    {leak}")?;
    }
    if feed.forked {
        writeln!(
            out,
            "  forked: the provider, or a thief of its key, signed two stories"
        )?;
    }
    for doubt in &feed.doubts {
        writeln!(out, "  {doubt}")?;
    }
    for relay in &feed.relays {
        let by = if relay.by_hand { ", given by hand" } else { "" };
        let asked = if relay.asked { "" } else { ", not asked" };
        writeln!(out, "  operator {}{by}{asked}", relay.names.join(" = "))?;
        for gateway in &relay.gateways {
            writeln!(out, "    gateway {gateway}")?;
        }
    }
    Ok(())
}
