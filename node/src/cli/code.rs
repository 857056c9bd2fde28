//! `code issue`, `code import`, `code list`, `level`.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bellwether_node::admin::Request;

use super::ask::{Dir, ask, list, text};
use super::{CliError, say};

/// What to do with codes.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Make codes; printed one a line, they cannot be shown again.
    Issue(IssueArgs),
    /// Take codes made elsewhere, one a line, any UTF-8 of 1 to 64 bytes.
    Import(ImportArgs),
    /// What is known of codes; never the codes.
    List(ListArgs),
}

/// What a code admits.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Terms {
    #[command(flatten)]
    dir: Dir,
    /// Level of what is reported under it.
    #[arg(long)]
    level: String,
    /// Zone of what is reported under it.
    #[arg(long)]
    zone: String,
    /// How long it works.
    #[arg(long, default_value = "24h", value_parser = humantime::parse_duration)]
    valid: Duration,
}

#[derive(Debug, clap::Args)]
pub(super) struct IssueArgs {
    #[command(flatten)]
    terms: Terms,
    /// How many.
    #[arg(long, default_value_t = 1)]
    count: usize,
}

#[derive(Debug, clap::Args)]
pub(super) struct ImportArgs {
    #[command(flatten)]
    terms: Terms,
    /// The codes, one a line.
    file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    dir: Dir,
    /// One object a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct LevelArgs {
    #[command(flatten)]
    dir: Dir,
    /// The code that the report was made with.
    #[arg(long, allow_hyphen_values = true)]
    code: String,
    /// The new level.
    #[arg(long)]
    level: String,
}

pub(super) fn run(verb: Verb) -> Result<ExitCode, CliError> {
    match verb {
        Verb::Issue(args) => issue(args),
        Verb::Import(args) => import(args),
        Verb::List(args) => show(&args),
    }
}

fn issue(args: IssueArgs) -> Result<ExitCode, CliError> {
    let Terms {
        dir,
        level,
        zone,
        valid,
    } = args.terms;
    let valid_s = valid.as_secs();
    let request = Request::CodeIssue {
        level,
        zone,
        count: args.count,
        valid_s,
    };
    let answer = ask(&dir.data_dir, &request)?;
    for code in list(&answer, "codes")? {
        say(code.as_str().ok_or(CliError::Answer)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn import(args: ImportArgs) -> Result<ExitCode, CliError> {
    let Terms {
        dir,
        level,
        zone,
        valid,
    } = args.terms;
    let text = fs::read(&args.file).map_err(|source| CliError::Read {
        path: args.file.clone(),
        source,
    })?;
    let text = String::from_utf8(text).map_err(|_| CliError::Usage {
        what: format!("`{}` is not UTF-8 text", args.file.display()),
    })?;
    // Some editors begin a file with a byte order mark, which is no part of the first code.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    // With the empty lines, so that an error names the line of the file.
    let codes = text.lines().map(ToOwned::to_owned).collect();
    let request = Request::CodeImport {
        level,
        zone,
        codes,
        valid_s: valid.as_secs(),
    };
    let answer = ask(&dir.data_dir, &request)?;
    let number = |key| {
        answer
            .get(key)
            .and_then(serde_json::Value::as_u64)
            .unwrap_or_default()
    };
    tell!(
        "{} codes imported, {} were known",
        number("new"),
        number("known")
    );
    Ok(ExitCode::SUCCESS)
}

fn show(args: &ListArgs) -> Result<ExitCode, CliError> {
    let answer = ask(&args.dir.data_dir, &Request::CodeList)?;
    for code in list(&answer, "codes")? {
        if args.json {
            say(code)?;
            continue;
        }
        let used = code.get("used_at").and_then(serde_json::Value::as_str);
        let state = used.map_or_else(
            || {
                format!(
                    "unused, valid until {}",
                    text(code, "valid_until").unwrap_or("?")
                )
            },
            |at| format!("used at {at}"),
        );
        let (name, level, zone) = (
            text(code, "code")?,
            text(code, "level")?,
            text(code, "zone")?,
        );
        let by = text(code, "issuer").map_or_else(|_| String::new(), |user| format!(", by {user}"));
        say(format_args!("{name}  {level}  {zone}  {state}{by}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `level`
pub(super) fn level(args: LevelArgs) -> Result<ExitCode, CliError> {
    let answer = ask(
        &args.dir.data_dir,
        &Request::Level {
            code: args.code,
            level: args.level,
        },
    )?;
    let changed = answer.get("changed").and_then(serde_json::Value::as_u64);
    match changed.unwrap_or_default() {
        0 => tell!(
            "0 notifications changed: nothing was reported under this code, it has this level \
             already, or a code issued later decides"
        ),
        changed => tell!("{changed} notifications changed; the next batch says so"),
    }
    Ok(ExitCode::SUCCESS)
}
