//! The command line, a file a verb. Data on stdout, talk on stderr. Source: spec §12.2.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bellwether_node::admin::{self, AdminError};
use bellwether_node::init::InitError;
use bellwether_node::intake::submitters::SubmittersError;
use bellwether_node::node::StartError;
use clap::{Parser, Subcommand};

mod ask;
mod code;
#[cfg(feature = "demo")]
mod demo;
mod descriptor;
mod export;
mod import;
mod init;
mod run;
mod status;
mod submit;
mod submitter;
mod user;

/// Publishes and relays exposure notifications that nobody has to trust a server for.
#[derive(Debug, Parser)]
#[command(name = "bellwether-node", version)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a provider's data directory, or with --relay a relay's.
    Init(Box<init::Args>),
    /// Run the node; prints one line of JSON when it is up.
    Run(run::Args),
    /// Issue, import or list confirmation codes.
    #[command(subcommand)]
    Code(code::Verb),
    /// Add, remove or list the users of the professional's page.
    #[command(subcommand)]
    User(user::Verb),
    /// Change the level of what was reported under a code; no-alert revokes.
    Level(code::LevelArgs),
    /// Take in notifications of any scheme, one a line; prints what became of each.
    Submit(Box<submit::Args>),
    /// Add, remove or list the systems that may submit over HTTPS.
    #[command(subcommand)]
    Submitter(submitter::Verb),
    /// Take over what others published.
    #[command(subcommand)]
    Import(import::Verb),
    /// Hand out what was published, in a form of others.
    #[command(subcommand)]
    Export(export::Verb),
    /// Close the batches now; prints their CIDs.
    Publish(ask::Dir),
    /// What the node is and does.
    Status(status::Args),
    /// Read everything and say what is wrong.
    Check(status::Args),
    /// Work on the provider's descriptor.
    #[command(subcommand)]
    Descriptor(descriptor::Verb),
    /// Work on the signer's memory.
    #[command(subcommand)]
    Signer(descriptor::SignerVerb),
    /// A provider, two relays and two phones on this machine, within a minute.
    #[cfg(feature = "demo")]
    Demo(demo::Args),
}

/// Reads the command line and does what it says.
pub(crate) fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Init(args) => init::run(*args),
        Verb::Run(args) => run::run(&args),
        Verb::Code(verb) => code::run(verb),
        Verb::User(verb) => user::run(verb),
        Verb::Level(args) => code::level(args),
        Verb::Submit(args) => submit::run(&args),
        Verb::Submitter(verb) => submitter::run(verb),
        Verb::Import(verb) => import::run(&verb),
        Verb::Export(verb) => export::run(&verb),
        Verb::Publish(args) => ask::publish(&args),
        Verb::Status(args) => status::status(&args),
        Verb::Check(args) => status::check(&args),
        Verb::Descriptor(verb) => descriptor::run(verb),
        Verb::Signer(verb) => descriptor::signer(verb),
        #[cfg(feature = "demo")]
        Verb::Demo(args) => demo::run(&args),
    };
    done.unwrap_or_else(|error| error.report())
}

/// Why a verb failed: what happened, then what to do about it.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error("the node's answer cannot be read")]
    Answer,
    #[cfg(feature = "demo")]
    #[error("the demo's story came out wrong: {0}")]
    Demo(String),
    #[error(transparent)]
    Init(#[from] InitError),
    #[error("cannot read or write")]
    Io(#[from] io::Error),
    #[error("{error}")]
    Node {
        error: String,
        causes: Vec<String>,
        hint: Option<String>,
    },
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("node.toml names no file of submitters")]
    NoSubmitters,
    #[error("`{}` is larger than {limit} bytes", path.display())]
    Size { path: PathBuf, limit: usize },
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("the file of submitters, `{}`", file.display())]
    Submitters {
        file: PathBuf,
        source: SubmittersError,
    },
    #[error("{what}")]
    Usage { what: String },
    #[error(transparent)]
    User(#[from] user::UserError),
}

impl CliError {
    fn hint(&self) -> Option<&str> {
        match self {
            Self::Admin(error) => error.hint(),
            Self::Init(error) => error.hint(),
            Self::Node { hint, .. } => hint.as_deref(),
            Self::NoSubmitters => {
                Some("`submitters = \"submitters\"` under `[provider.intake]`, then start it anew")
            }
            Self::Submitters { source, .. } => source.hint(),
            Self::Start(StartError::Config(error)) => admin::config_hint(error),
            Self::Start(error) => error.hint(),
            Self::User(error) => error.hint(),
            _ => None,
        }
    }

    /// Writes the error, its causes and its hint to stderr; gives the exit status.
    fn report(&self) -> ExitCode {
        tell!("error: {self}");
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            tell!("  cause: {error}");
            cause = error.source();
        }
        if let Self::Node { causes, .. } = self {
            for cause in causes {
                tell!("  cause: {cause}");
            }
        }
        if let Some(hint) = self.hint() {
            tell!("\nhint: {hint}");
        }
        ExitCode::from(2)
    }
}

/// Most bytes of a PEM file that are read.
const MAX_PEM_BYTES: usize = 64 * 1024;

/// Reads a file of at most `limit` bytes.
fn read_bounded(path: &Path, limit: usize) -> Result<Vec<u8>, CliError> {
    use std::io::Read as _;
    let read = || {
        let mut bytes = Vec::new();
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        File::open(path)?.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let path = path.to_owned();
    match read() {
        Ok(bytes) if bytes.len() > limit => Err(CliError::Size { path, limit }),
        Ok(bytes) => Ok(bytes),
        Err(source) => Err(CliError::Read { path, source }),
    }
}

/// Writes a line of data to stdout.
fn say(line: impl std::fmt::Display) -> Result<(), CliError> {
    use std::io::Write;
    Ok(writeln!(io::stdout().lock(), "{line}")?)
}

/// Logs on stderr: what an operator wants unasked, more with `RUST_LOG`.
fn start_logging(default: &str) {
    use bellwether_node::logging::LossyStderr;
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| LossyStderr);
    // Of what it cannot write the subscriber would tell on stderr, and panic.
    logs.log_internal_errors(false).with_ansi(false).init();
}
