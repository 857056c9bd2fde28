//! `submitter add`, `submitter remove`, `submitter list`.

use std::path::PathBuf;
use std::process::ExitCode;

use bellwether_node::admin::AdminError;
use bellwether_node::config::Config;
use bellwether_node::intake::submitters;
use bellwether_node::keys::KeyError;

use super::ask::Dir;
use super::{CliError, say};

/// What to do with the systems that may submit.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Let a system submit; prints its token, which cannot be shown again.
    Add(Named),
    /// Let it no longer; what it submitted stays.
    Remove(Named),
    /// Their names.
    List(Dir),
}

#[derive(Debug, clap::Args)]
pub(super) struct Named {
    #[command(flatten)]
    dir: Dir,
    /// Its name: 1 to 32 of a to z, 0 to 9, `-`, `.` and `_`. It owns what it submits by this name.
    name: String,
}

pub(super) fn run(verb: Verb) -> Result<ExitCode, CliError> {
    match verb {
        Verb::Add(Named { dir, name }) => {
            let file = file(&dir)?;
            let mut random = [0; 32];
            getrandom::fill(&mut random).map_err(|_| AdminError::from(KeyError::Random))?;
            let added = submitters::add(&file, &name, random);
            say(added.map_err(|source| CliError::Submitters { file, source })?)?;
        }
        Verb::Remove(Named { dir, name }) => {
            let file = file(&dir)?;
            let removed = submitters::remove(&file, &name);
            removed.map_err(|source| CliError::Submitters { file, source })?;
        }
        Verb::List(dir) => {
            let file = file(&dir)?;
            let list = submitters::load(&file);
            for submitter in list.map_err(|source| CliError::Submitters { file, source })? {
                say(submitter.name)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The file that the node's configuration names. A running node sees within a second what changes.
fn file(dir: &Dir) -> Result<PathBuf, CliError> {
    let config = Config::load(&dir.data_dir).map_err(AdminError::from)?;
    let provider = config.provider.ok_or(AdminError::NotProvider)?;
    let named = provider.intake.submitters.ok_or(CliError::NoSubmitters)?;
    Ok(dir.data_dir.join(named))
}
