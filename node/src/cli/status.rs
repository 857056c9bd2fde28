//! `status` and `check`.

use std::process::ExitCode;

use bellwether_node::admin::Request;
use serde_json::Value;

use super::ask::{Dir, ask, list, text};
use super::{CliError, say};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    dir: Dir,
    /// One object.
    #[arg(long)]
    json: bool,
}

/// `status`: exit 0 whenever it could look.
pub(super) fn status(args: &Args) -> Result<ExitCode, CliError> {
    let answer = ask(&args.dir.data_dir, &Request::Status)?;
    if args.json {
        say(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Ok(share) = text(&answer, "share") {
        say(share)?;
    }
    let running = answer.get("running").and_then(Value::as_bool) == Some(true);
    say(if running { "running" } else { "not running" })?;
    for feed in list(&answer, "feeds")? {
        say(feed_line(feed))?;
    }
    let number = |key| answer.get(key).and_then(Value::as_u64).unwrap_or_default();
    say(format_args!(
        "{} of {} bytes of blocks used, the file has {}",
        number("used_bytes"),
        number("max_bytes"),
        number("file_bytes")
    ))?;
    conditions(&answer)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the list of conditions, errors first.
fn conditions(answer: &Value) -> Result<(), CliError> {
    let (errors, warnings) = (list(answer, "errors")?, list(answer, "warnings")?);
    for condition in errors.iter().chain(warnings) {
        let part = |key| text(condition, key).unwrap_or_default();
        let mut line = format!("{}: {}", part("severity"), part("name"));
        if let Ok(subject) = text(condition, "subject") {
            line.push_str(&format!(" ({subject})"));
        }
        line.push_str(&format!(": {}", part("text")));
        if let Ok(since) = text(condition, "since") {
            line.push_str(&format!("; since {since}"));
        }
        say(line)?;
        say(format_args!("  meaning: {}", part("meaning")))?;
        say(format_args!("  to do: {}", part("remedy")))?;
    }
    if errors.is_empty() && warnings.is_empty() {
        say("nothing is wrong")?;
    }
    Ok(())
}

fn feed_line(feed: &Value) -> String {
    let name = format!(
        "{} {}",
        text(feed, "zone").unwrap_or_default(),
        text(feed, "provider").unwrap_or_default()
    );
    let Some(seq) = feed.get("seq").and_then(Value::as_u64) else {
        return format!("{name}: no batch yet");
    };
    let at = text(feed, "published_at").unwrap_or_default();
    let stale = feed.get("stale").and_then(Value::as_bool) == Some(true);
    let pending = feed.get("pending").and_then(Value::as_u64);
    let pending = pending.map_or_else(String::new, |count| format!(", {count} pending"));
    let stale = if stale { ", stale" } else { "" };
    let zone = zone_words(feed);
    format!("{name}: batch {seq} of {at}{pending}{stale}{zone}")
}

/// How a zone of one's own is published, what that costs and whom it hides.
fn zone_words(feed: &Value) -> String {
    let mut words = String::new();
    let Ok(mode) = text(feed, "mode") else {
        return words;
    };
    words.push_str(&format!(", {mode}"));
    if let Ok(beside) = text(feed, "mode_beside") {
        words.push_str(&format!(" (and {beside} still)"));
    }
    let number = |key| feed.get(key).and_then(Value::as_u64);
    if let (Some(bytes), Ok(basis)) = (
        number("bytes_client_day"),
        text(feed, "bytes_client_day_basis"),
    ) {
        words.push_str(&format!(", {bytes} bytes a client and day ({basis})"));
    }
    if let Some(patients) = number("patients") {
        let s = if patients == 1 { "" } else { "s" };
        words.push_str(&format!(
            ", {patients} patient{s} in the newest batch with any"
        ));
    }
    words
}

/// `check`: exit 2 if something was found that cannot wait.
pub(super) fn check(args: &Args) -> Result<ExitCode, CliError> {
    let answer = ask(&args.dir.data_dir, &Request::Check)?;
    if args.json {
        say(&answer)?;
    } else {
        conditions(&answer)?;
    }
    Ok(match list(&answer, "errors")?.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(2),
    })
}
