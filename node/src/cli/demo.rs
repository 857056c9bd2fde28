//! `demo`
use std::process::ExitCode;
use super::CliError;
#[derive(Debug, clap::Args)]
pub(super) struct Args {}
pub(super) fn run(_: &Args) -> Result<ExitCode, CliError> { Err(CliError::Demo("no".into())) }
