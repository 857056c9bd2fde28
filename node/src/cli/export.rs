//! `export gaen`: the exposure keys of a zone for others. Source: spec §12.2, §14.7.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use bellwether_formats::id::Level;
use bellwether_formats::scheme::gaen;
use bellwether_node::admin::{self, AdminError, Request};
use bellwether_node::gaen_export::{
    Draft, Key, Policy, PrivateKey, ReportType, SignerName, Signing, write,
};
use bellwether_node::keys::KeyError;
use bellwether_node::{clock, files};
use serde_json::{Value, json};

use super::ask::{Dir, ask, list};
use super::{CliError, MAX_PEM_BYTES, read_bounded, say};

/// What to hand out.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// The exposure keys that were published openly in a zone, as a signed export.
    Gaen(Args),
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    dir: Dir,
    /// Where the keys matter.
    #[arg(long)]
    zone: String,
    /// The private key to sign with, PEM.
    #[arg(long, value_name = "PEM")]
    key: PathBuf,
    /// Where the keys are from, as readers know it.
    #[arg(long, default_value = "")]
    region: String,
    /// By what readers know the key.
    #[arg(long, default_value = "")]
    key_id: String,
    /// Its version.
    #[arg(long, default_value = "")]
    key_version: String,
    /// Only what was first published at this time or later, and what was withdrawn.
    #[arg(long, value_name = "RFC3339", value_parser = humantime::parse_rfc3339)]
    since: Option<SystemTime>,
    /// The file to write; where one is not enough, others beside it, numbered from 2.
    file: PathBuf,
}

pub(super) fn run(verb: &Verb) -> Result<ExitCode, CliError> {
    let Verb::Gaen(args) = verb;
    let pem = read_bounded(&args.key, MAX_PEM_BYTES)?;
    let key = PrivateKey::from_pem(&pem).map_err(|error| CliError::Usage {
        what: format!("`{}`: {error}", args.key.display()),
    })?;
    let since = args.since.map(|at| at.duration_since(UNIX_EPOCH));
    let since = since.and_then(Result::ok).map_or(0, |at| at.as_secs());
    let request = Request::GaenExport {
        zone: args.zone.clone(),
        since,
    };
    let answer = ask(&args.dir.data_dir, &request)?;
    let keys: Result<Vec<Key>, CliError> = list(&answer, "keys")?.iter().map(published).collect();
    let keys = keys?;
    let first = answer.get("first").and_then(Value::as_u64);
    let signing = Signing {
        key: &key,
        name: SignerName {
            key_id: args.key_id.clone(),
            version: args.key_version.clone(),
        },
    };
    // What is there when an export begins and ends in the same second is in it.
    let end = clock::now();
    let start = if since > 0 { Some(since) } else { first };
    let draft = Draft {
        start: start.unwrap_or_default().min(end.saturating_sub(1)),
        end,
        region: &args.region,
        keys: &keys,
    };
    let mut random = Ok(());
    let written = write(&draft, &signing, &Policy::default(), &mut |bytes| {
        random = random.and(getrandom::fill(bytes));
    });
    random.map_err(|_| AdminError::from(KeyError::Random))?;
    let written = written.map_err(|error| CliError::Usage {
        what: error.to_string(),
    })?;
    let names: Vec<PathBuf> = (1..=written.files.len())
        .map(|n| name(&args.file, n))
        .collect();
    for (path, content) in names.iter().zip(&written.files) {
        files::replace(path, content, files::PUBLIC)?;
    }
    say(json!({
        "keys": keys.iter().filter(|key| !key.revised).count(),
        "revised": keys.iter().filter(|key| key.revised).count(),
        "padding": written.dummies.len(),
        "sealed": answer.get("sealed"),
        "files": names.iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
    }))?;
    Ok(ExitCode::SUCCESS)
}

/// A key as the node tells it: its unit in hexadecimal, and its level.
fn published(told: &Value) -> Result<Key, CliError> {
    let unit = told
        .get(0)
        .and_then(Value::as_str)
        .ok_or(CliError::Answer)?;
    let level = told.get(1).and_then(Value::as_u64);
    let level = level.and_then(|level| level.try_into().ok());
    let level = Level(level.ok_or(CliError::Answer)?);
    let unit = admin::from_hex(unit)?;
    let key = gaen::Key::decode(&unit).map_err(|_| CliError::Answer)?;
    Ok(Key {
        tek: key.tek,
        rolling_start: key.rolling_start,
        rolling_period: key.rolling_period,
        transmission_risk: key.transmission_risk,
        report_type: ReportType::from_level(level).unwrap_or(ReportType::Unknown),
        days_since_onset: key.days_since_onset,
        revised: !level.alerts(),
    })
}

/// The name of file `number`: that which was asked for, then `keys-2.zip` and so on.
fn name(asked: &Path, number: usize) -> PathBuf {
    if number == 1 {
        return asked.to_owned();
    }
    let stem = asked.file_stem().unwrap_or_default().to_string_lossy();
    let mut name = format!("{stem}-{number}");
    if let Some(extension) = asked.extension() {
        name += ".";
        name += &extension.to_string_lossy();
    }
    asked.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_files_are_numbered() {
        let name = |number| name(Path::new("a/keys.zip"), number);
        assert_eq!(name(1), Path::new("a/keys.zip"));
        assert_eq!(name(2), Path::new("a/keys-2.zip"));
        assert_eq!(super::name(Path::new("keys"), 3), Path::new("keys-3"));
    }
}
