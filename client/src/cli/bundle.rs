//! `bellwether export` and `import`: what is held, in one file.

use std::path::PathBuf;
use std::process::ExitCode;

use bellwether_client::Client;

use super::error::CliError;
use crate::StateArg;

/// Where to.
#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    #[command(flatten)]
    state: StateArg,
    /// The bundle to write
    #[arg(value_name = "FILE.car")]
    file: PathBuf,
}

/// Where from.
#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    #[command(flatten)]
    state: StateArg,
    /// A bundle, or an answer of a gateway
    #[arg(value_name = "FILE.car")]
    file: PathBuf,
}

/// Writes a bundle.
pub(crate) fn export(export: &Export) -> Result<ExitCode, CliError> {
    let batches = Client::open(&export.state.dir)?.export(&export.file)?;
    tell!("{batches} batches exported to {}", export.file.display());
    Ok(ExitCode::SUCCESS)
}

/// Takes in a bundle.
pub(crate) fn import(import: &Import) -> Result<ExitCode, CliError> {
    let imported = Client::open(&import.state.dir)?.import(&import.file)?;
    tell!(
        "{} new batches, {} new bodies and {} new filters imported",
        imported.batches,
        imported.bodies,
        imported.filters
    );
    Ok(ExitCode::SUCCESS)
}
