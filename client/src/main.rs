//! `bellwether`: the phone's side, on a command line. Source: spec §12.3.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// Tells a person something, on standard error. That nobody can read it is no failure of the verb,
/// where `eprintln!` would panic.
macro_rules! tell {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}

mod cli {
    pub(crate) mod alerts;
    pub(crate) mod bench;
    pub(crate) mod bundle;
    pub(crate) mod device;
    pub(crate) mod error;
    pub(crate) mod follow;
    pub(crate) mod inspect;
    pub(crate) mod observe;
    pub(crate) mod status;
    pub(crate) mod sync;
}

use cli::error::CliError;

/// Follow health providers, remember what this device observed, and learn of exposures.
#[derive(Debug, Parser)]
#[command(name = "bellwether", version)]
struct Line {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Pin a provider and follow its zones; adds to what is followed
    Follow(cli::follow::Follow),
    /// Record what was observed
    Observe(cli::observe::Observe),
    /// Forget what was observed, and what it matched: tokens of fanny that this phone reported
    Forget(cli::observe::Forget),
    /// Fetch what is new from the gateways
    Sync(cli::sync::Sync),
    /// Show what this device was near to; exit status 0 none, 1 some, 3 not known for sure
    Alerts(cli::alerts::Alerts),
    /// Show what is known of the feeds followed
    Status(cli::status::Status),
    /// Write what is held of the feeds followed to a bundle
    Export(cli::bundle::Export),
    /// Take in a bundle, without a network
    Import(cli::bundle::Import),
    /// Show any object as text
    Inspect(cli::inspect::Inspect),
    /// Play a phone that broadcasts identifiers and reports them
    #[command(subcommand)]
    Device(cli::device::DeviceCommand),
    /// Measure
    #[command(subcommand)]
    Bench(cli::bench::BenchCommand),
}

/// Where the client's memory is.
#[derive(Args, Clone, Debug)]
pub(crate) struct StateArg {
    /// The client's state; made when missing
    #[arg(long = "state", value_name = "DIR")]
    dir: PathBuf,
}

fn main() -> ExitCode {
    let mut out = io::stdout().lock();
    let done = match Line::parse().verb {
        Verb::Follow(follow) => cli::follow::run(&follow),
        Verb::Observe(observe) => cli::observe::run(&observe, io::stdin().lock()),
        Verb::Forget(forget) => cli::observe::forget(&forget),
        Verb::Sync(sync) => cli::sync::run(&sync, &mut out),
        Verb::Alerts(alerts) => cli::alerts::run(&alerts, &mut out),
        Verb::Status(status) => cli::status::run(&status, &mut out),
        Verb::Export(export) => cli::bundle::export(&export),
        Verb::Import(import) => cli::bundle::import(&import),
        Verb::Inspect(inspect) => cli::inspect::run(&inspect, &mut out),
        Verb::Device(command) => cli::device::run(&command, &mut out).map_err(CliError::from),
        Verb::Bench(command) => cli::bench::run_command(&command, &mut out)
            .map(|()| ExitCode::SUCCESS)
            .map_err(CliError::Print),
    };
    done.unwrap_or_else(|error| error.report())
}
