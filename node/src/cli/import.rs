//! `import gaen`: an exposure key export is taken over. Source: spec §12.2, §14.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;

use bellwether_node::admin::{GaenImport, MAX_UNITS, Request};
use bellwether_node::gaen_export::{
    Export, Key, MAX_ZIP_BYTES, PublicKey, Set, SetError, Signer, Unverified,
};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use super::ask::{Dir, ask, list};
use super::{CliError, MAX_PEM_BYTES, read_bounded, say};

/// What to take over.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// All parts of an exposure key export; prints what became of its keys.
    Gaen(Args),
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    dir: Dir,
    /// Where the keys matter.
    #[arg(long)]
    zone: String,
    /// The publisher's public key, PEM.
    #[arg(long, value_name = "PEM")]
    key: PathBuf,
    /// What the signature calls it. Who goes by it revises what came by it; without it, the key.
    #[arg(long)]
    key_id: Option<String>,
    /// Which version of it the signature says.
    #[arg(long)]
    key_version: Option<String>,
    /// Take keys of any age, as those of a sample; phones look back 14 days.
    #[arg(long)]
    any_age: bool,
    /// The export's files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// Where a key stands: part of the batch, among the revised keys or not, index there.
type Place = (u32, bool, usize);

pub(super) fn run(verb: &Verb) -> Result<ExitCode, CliError> {
    let Verb::Gaen(args) = verb;
    let pem = read_bounded(&args.key, MAX_PEM_BYTES)?;
    let key = PublicKey::from_pem(&pem).map_err(|error| CliError::Usage {
        what: format!("`{}`: {error}", args.key.display()),
    })?;
    let name = args.key_id.as_deref().map(str::as_bytes);
    let by = HEXLOWER.encode(name.unwrap_or_else(|| key.der()));
    let signer = Signer {
        key,
        key_id: args.key_id.clone(),
        version: args.key_version.clone(),
    };
    let parts = parts(args, &signer)?;
    let counts = counts(&parts);
    let set = Set::join(parts).map_err(|error| CliError::Usage {
        what: format!("{}: {error}", SetError::rule(&error)),
    })?;
    let mut told = Told::default();
    for one in &set.dropped {
        let place = (one.batch_num, one.revised, one.index);
        told.refused.push(refused(place, one.error.rule()));
    }
    // New keys before revised ones, which may be of the same.
    let mut groups: BTreeMap<(bool, &str), Vec<(Place, &Key)>> = BTreeMap::new();
    for (place, key) in places(&counts, &set).into_iter().zip(&set.keys) {
        let level = key.report_type.level().name();
        groups
            .entry((key.revised, level))
            .or_default()
            .push((place, key));
    }
    for ((revised, level), keys) in groups {
        for some in keys.chunks(MAX_UNITS) {
            let import = GaenImport {
                zone: args.zone.clone(),
                level: level.to_owned(),
                signer: by.clone(),
                revised,
                any_age: args.any_age,
                units: some.iter().map(|(_, key)| text(key)).collect(),
            };
            told.add(
                &ask(&args.dir.data_dir, &Request::GaenImport(import))?,
                some,
            )?;
        }
    }
    told.say(set.keys.len())?;
    Ok(if told.nothing_taken() {
        ExitCode::from(2)
    } else {
        ExitCode::SUCCESS
    })
}

fn parts(args: &Args, signer: &Signer) -> Result<Vec<Export>, CliError> {
    let part = |path: &PathBuf| {
        let zip = read_bounded(path, MAX_ZIP_BYTES)?;
        let export = Unverified::read(&zip).and_then(|export| export.verify(signer));
        export.map_err(|error| CliError::Usage {
            what: format!("`{}`: {}: {error}", path.display(), error.rule()),
        })
    };
    args.files.iter().map(part).collect()
}

/// How many keys each part has, dropped ones too, new and revised apart.
fn counts(parts: &[Export]) -> BTreeMap<(u32, bool), usize> {
    let mut counts = BTreeMap::new();
    for part in parts {
        let part_num = part.header.batch_num;
        let of = part.keys.iter().map(|key| key.revised);
        for revised in of.chain(part.dropped.iter().map(|one| one.revised)) {
            *counts.entry((part_num, revised)).or_default() += 1;
        }
    }
    counts
}

/// Where the keys of a set stand, in their order.
fn places(counts: &BTreeMap<(u32, bool), usize>, set: &Set) -> Vec<Place> {
    let dropped = set.dropped.iter();
    let dropped: BTreeSet<Place> = dropped
        .map(|one| (one.batch_num, one.revised, one.index))
        .collect();
    let all = counts.iter().flat_map(|((part, revised), count)| {
        (0..*count).map(move |index| (*part, *revised, index))
    });
    all.filter(|place| !dropped.contains(place)).collect()
}

/// The text form of a key. Source: spec §7.4.
fn text(key: &Key) -> String {
    let tek = HEXLOWER.encode(&key.tek);
    let (start, period, risk) = (key.rolling_start, key.rolling_period, key.transmission_risk);
    let onset = key.days_since_onset;
    let onset = onset.map(|days| format!(" {days}")).unwrap_or_default();
    format!("{tek} {start} {period} {risk}{onset}")
}

/// What became of the keys.
#[derive(Default)]
struct Told {
    counts: BTreeMap<&'static str, u64>,
    refused: Vec<Value>,
}

impl Told {
    /// Adds what was answered of some.
    fn add(&mut self, answer: &Value, some: &[(Place, &Key)]) -> Result<(), CliError> {
        for name in ["new", "known", "changed", "others"] {
            let count = answer.get(name).and_then(Value::as_u64);
            *self.counts.entry(name).or_default() += count.ok_or(CliError::Answer)?;
        }
        for one in list(answer, "refused")? {
            let index = one.get("index").and_then(Value::as_u64);
            let index = index.and_then(|index| usize::try_from(index).ok());
            let (place, _) = index.and_then(|at| some.get(at)).ok_or(CliError::Answer)?;
            self.refused
                .push(refused(*place, super::ask::text(one, "rule")?));
        }
        Ok(())
    }

    /// Whether all of it was refused.
    fn nothing_taken(&self) -> bool {
        let taken: u64 = self.counts.values().sum();
        taken == 0 && !self.refused.is_empty()
    }

    fn say(&self, keys: usize) -> Result<(), CliError> {
        let count = |name| self.counts.get(name).copied().unwrap_or_default();
        say(json!({
            "keys": keys, "new": count("new"), "known": count("known"),
            "changed": count("changed"), "others": count("others"), "refused": self.refused,
        }))
    }
}

fn refused((part, revised, index): Place, rule: &str) -> Value {
    json!({ "part": part, "revised": revised, "index": index, "rule": rule })
}
