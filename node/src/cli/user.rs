//! `user`: who may log in to the professional's page. Source: spec §12.2.

use std::fs::File;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use bellwether_node::admin::{self, AdminError};
use bellwether_node::config::{Config, ConfigError};
use bellwether_node::files;
use bellwether_node::intake::professional::password::{self, PasswordError, PasswordHash};
use bellwether_node::intake::professional::users::{UserList, UsersError};
use rustix::fs::{FlockOperation, flock};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::ask::Dir;
use super::{CliError, say};

/// What to do with users. A running node takes the change a second later.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Add a user, or change a user's password, which is read from stdin.
    Add(One),
    /// Remove a user; their sessions end.
    Remove(One),
    /// The names, one a line.
    List(Dir),
}

#[derive(Debug, clap::Args)]
pub(super) struct One {
    #[command(flatten)]
    dir: Dir,
    /// The user: 1 to 64 of a-z, 0-9, `.`, `_`, `@` and `-`.
    name: String,
}

pub(super) fn run(verb: Verb) -> Result<ExitCode, CliError> {
    match verb {
        Verb::Add(one) => add(&one),
        Verb::Remove(one) => remove(&one),
        Verb::List(dir) => list(&dir),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn add(one: &One) -> Result<(), CliError> {
    let path = path(&one.dir)?;
    let _alone = lock(&one.dir)?;
    let mut users = UserList::read(&path).map_err(UserError::from)?;
    let password = password()?;
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|_| UserError::Random)?;
    let hash = PasswordHash::new(&password, salt).map_err(UserError::from)?;
    let new = users.set(&one.name, hash).map_err(UserError::from)?;
    users.write(&path).map_err(UserError::from)?;
    if new {
        tell!("user added");
    } else {
        tell!("password changed; the user's sessions end");
    }
    Ok(())
}

fn remove(one: &One) -> Result<(), CliError> {
    let path = path(&one.dir)?;
    let _alone = lock(&one.dir)?;
    let mut users = UserList::read(&path).map_err(UserError::from)?;
    if !users.remove(&one.name) {
        return Err(UserError::Unknown.into());
    }
    users.write(&path).map_err(UserError::from)?;
    tell!("user removed; their sessions end, their codes stay");
    Ok(())
}

fn list(dir: &Dir) -> Result<(), CliError> {
    let users = UserList::read(&path(dir)?).map_err(UserError::from)?;
    for name in users.names() {
        say(name)?;
    }
    Ok(())
}

/// Where the configuration has the users.
fn path(dir: &Dir) -> Result<PathBuf, CliError> {
    let config = Config::load(&dir.data_dir).map_err(UserError::from)?;
    let provider = config.provider.as_ref().ok_or(AdminError::NotProvider)?;
    Ok(provider.users(&dir.data_dir).ok_or(UserError::NoPage)?)
}

/// Two of these verbs at once would lose what one of them did.
fn lock(dir: &Dir) -> Result<File, CliError> {
    let folder = File::open(&dir.data_dir)?;
    flock(&folder, FlockOperation::LockExclusive).map_err(io::Error::from)?;
    Ok(folder)
}

/// Asks for a line on the terminal.
fn ask(question: &str) -> io::Result<()> {
    let mut terminal = io::stderr().lock();
    terminal.write_all(question.as_bytes())?;
    terminal.flush()
}

/// The password: a line of stdin. On a terminal it is asked for twice, and not shown.
fn password() -> Result<Zeroizing<String>, CliError> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return line();
    }
    ask("Password: ")?;
    let shown = tcgetattr(&stdin).map_err(io::Error::from)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Flush, &hidden).map_err(io::Error::from)?;
    let first = line();
    ask("\nThe same again: ")?;
    let second = line();
    tell!("");
    tcsetattr(&stdin, OptionalActions::Flush, &shown).map_err(io::Error::from)?;
    let (first, second) = (first?, second?);
    if first != second {
        return Err(UserError::Different.into());
    }
    Ok(first)
}

fn line() -> Result<Zeroizing<String>, CliError> {
    let mut line = Zeroizing::new(String::new());
    // One byte more than is allowed, so that a password is refused and not cut.
    let most = u64::try_from(password::MAX_BYTES + 2).unwrap_or(u64::MAX);
    io::stdin().lock().take(most).read_line(&mut line)?;
    let end = line.trim_end_matches(['\n', '\r']).len();
    line.truncate(end);
    Ok(line)
}

/// Why there is no such user now.
#[derive(Debug, thiserror::Error)]
pub(super) enum UserError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the two passwords are different")]
    Different,
    #[error("this node has no professional's page")]
    NoPage,
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error("the system gives no randomness")]
    Random,
    #[error("there is no such user")]
    Unknown,
    #[error(transparent)]
    Users(#[from] UsersError),
}

impl UserError {
    pub(super) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Config(error) => admin::config_hint(error),
            Self::NoPage => Some(
                "write `users = \"users\"` under `[provider.intake]` of node.toml, and start the \
                 node again",
            ),
            Self::Users(UsersError::Io { source, .. }) => files::hint(source),
            Self::Users(UsersError::Mode { .. }) => Some("`chmod 600` it"),
            _ => None,
        }
    }
}
