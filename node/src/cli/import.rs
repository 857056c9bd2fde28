//! `import`: what other systems publish is taken over. Source: spec §12.2, §14, §15.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use bellwether_formats::id::Scheme;
use bellwether_node::admin::{self, MAX_UNITS, Request};
use bellwether_node::gaen_export::PublicKey;
use data_encoding::HEXLOWER;
use serde_json::{Map, Value, json};

use super::ask::{Dir, ask, list, text};
use super::{CliError, MAX_PEM_BYTES, read_bounded, say};

mod dp3t;
mod gaen;

/// What to take over.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// All parts of an exposure key export; prints what became of its keys.
    Gaen(gaen::Args),
    /// A list of exposed keys of DP-3T's first back end; prints what became of its keys.
    Dp3t(dp3t::Args),
}

pub(super) fn run(verb: &Verb) -> Result<ExitCode, CliError> {
    match verb {
        Verb::Gaen(args) => gaen::run(args),
        Verb::Dp3t(args) => dp3t::run(args),
    }
}

/// Where keys come from, and go to.
#[derive(Debug, clap::Args)]
struct Source {
    #[command(flatten)]
    dir: Dir,
    /// Where the keys matter.
    #[arg(long)]
    zone: String,
    /// The publisher's public key, PEM.
    #[arg(long, value_name = "PEM")]
    key: PathBuf,
    /// Take keys of any age, as those of a sample; phones look back 14 days.
    #[arg(long)]
    any_age: bool,
}

/// Keys of one level that are taken over together.
struct Keys<'a> {
    scheme: Scheme,
    level: &'a str,
    /// By what their signer is known.
    signer: &'a [u8],
    revised: bool,
    public_at: u64,
    /// Where each stands, and its text form.
    units: Vec<(Place, String)>,
}

/// Where a key stands in what was read: members of what is told of it.
type Place = Map<String, Value>;

impl Source {
    fn key(&self) -> Result<PublicKey, CliError> {
        let pem = read_bounded(&self.key, MAX_PEM_BYTES)?;
        PublicKey::from_pem(&pem).map_err(|error| CliError::Usage {
            what: format!("`{}`: {error}", self.key.display()),
        })
    }

    /// Hands keys to the node.
    fn take(&self, keys: &Keys<'_>, told: &mut Told) -> Result<(), CliError> {
        for some in keys.units.chunks(MAX_UNITS) {
            let import = admin::Import {
                scheme: keys.scheme.to_string(),
                zone: self.zone.clone(),
                level: keys.level.to_owned(),
                signer: HEXLOWER.encode(keys.signer),
                revised: keys.revised,
                any_age: self.any_age,
                public_at: keys.public_at,
                units: some.iter().map(|(_, unit)| unit.clone()).collect(),
            };
            let answer = ask(&self.dir.data_dir, &Request::Import(import))?;
            told.add(&answer, some)?;
        }
        Ok(())
    }
}

/// What became of the keys.
#[derive(Default)]
struct Told {
    counts: BTreeMap<&'static str, u64>,
    refused: Vec<Value>,
}

impl Told {
    /// Adds what was answered of some.
    fn add(&mut self, answer: &Value, some: &[(Place, String)]) -> Result<(), CliError> {
        for name in ["new", "known", "changed", "others"] {
            let count = answer.get(name).and_then(Value::as_u64);
            *self.counts.entry(name).or_default() += count.ok_or(CliError::Answer)?;
        }
        for one in list(answer, "refused")? {
            let index = one.get("index").and_then(Value::as_u64);
            let index = index.and_then(|index| usize::try_from(index).ok());
            let (place, _) = index.and_then(|at| some.get(at)).ok_or(CliError::Answer)?;
            self.refuse(place.clone(), text(one, "rule")?);
        }
        Ok(())
    }

    fn refuse(&mut self, mut place: Place, rule: &str) {
        place.insert("rule".to_owned(), rule.into());
        self.refused.push(Value::Object(place));
    }

    /// Says what became of them; exit status 2 if all were refused.
    fn say(&self, keys: usize) -> Result<ExitCode, CliError> {
        let count = |name| self.counts.get(name).copied().unwrap_or_default();
        say(json!({
            "keys": keys, "new": count("new"), "known": count("known"),
            "changed": count("changed"), "others": count("others"), "refused": self.refused,
        }))?;
        let taken: u64 = self.counts.values().sum();
        Ok(if taken == 0 && !self.refused.is_empty() {
            ExitCode::from(2)
        } else {
            ExitCode::SUCCESS
        })
    }
}
