//! `import gaen`: an exposure key export is taken over. Source: spec §12.2, §14.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;

use bellwether_formats::id::Scheme;
use bellwether_node::gaen_export::{Export, Key, MAX_ZIP_BYTES, Set, SetError, Signer, Unverified};
use data_encoding::HEXLOWER;
use serde_json::Map;

use super::super::{CliError, read_bounded};
use super::{Keys, Source, Told};

#[derive(Debug, clap::Args)]
pub(in super::super) struct Args {
    #[command(flatten)]
    source: Source,
    /// What the signature calls the key. Who goes by it revises what came by it; without it, the key.
    #[arg(long)]
    key_id: Option<String>,
    /// Which version of it the signature says.
    #[arg(long)]
    key_version: Option<String>,
    /// The export's files: all parts of one; or several exports of one part each.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// Where a key stands: part of the batch, among the revised keys or not, index there.
type Place = (u32, bool, usize);

pub(super) fn run(args: &Args) -> Result<ExitCode, CliError> {
    let signer = Signer {
        key: args.source.key()?,
        key_id: args.key_id.clone(),
        version: args.key_version.clone(),
    };
    let parts = parts(args, &signer)?;
    let mut told = Told::default();
    let mut keys = 0;
    // Files that are each all of an export are taken one after the other.
    let alone = parts.iter().all(|part| part.header.batch_size == 1);
    if alone && parts.len() > 1 {
        // A shell sorts them by name; what is public first is what counts.
        let mut exports: Vec<_> = args.files.iter().zip(parts).collect();
        exports.sort_by_key(|(_, part)| part.header.end);
        for (path, part) in exports {
            keys += take(args, &signer, vec![part], Some(path), &mut told)?;
        }
    } else {
        keys += take(args, &signer, parts, None, &mut told)?;
    }
    told.say(keys)
}

/// Takes over all parts of an export; gives how many keys it has.
fn take(
    args: &Args,
    signer: &Signer,
    parts: Vec<Export>,
    file: Option<&PathBuf>,
    told: &mut Told,
) -> Result<usize, CliError> {
    let name = args.key_id.as_deref().map(str::as_bytes);
    let members = |place| members(file, place);
    let counts = counts(&parts);
    let set = Set::join(parts).map_err(|error| CliError::Usage {
        what: format!("{}: {error}", SetError::rule(&error)),
    })?;
    for one in &set.dropped {
        let place = (one.batch_num, one.revised, one.index);
        told.refuse(members(place), one.error.rule());
    }
    // New keys before revised ones, which may be of the same.
    let mut groups: BTreeMap<(bool, &str), Vec<_>> = BTreeMap::new();
    for (place, key) in places(&counts, &set).into_iter().zip(&set.keys) {
        let group = (key.revised, key.report_type.level().name());
        let unit = (members(place), text(key));
        groups.entry(group).or_default().push(unit);
    }
    for ((revised, level), units) in groups {
        let keys = Keys {
            scheme: Scheme::GAEN,
            level,
            signer: name.unwrap_or_else(|| signer.key.der()),
            revised,
            public_at: set.end,
            units,
        };
        args.source.take(&keys, told)?;
    }
    Ok(set.keys.len())
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

/// The text form of a key. Source: spec §7.6.
fn text(key: &Key) -> String {
    let tek = HEXLOWER.encode(&key.tek);
    let (start, period, risk) = (key.rolling_start, key.rolling_period, key.transmission_risk);
    let onset = key.days_since_onset;
    let onset = onset.map(|days| format!(" {days}")).unwrap_or_default();
    format!("{tek} {start} {period} {risk}{onset}")
}

fn members(file: Option<&PathBuf>, (part, revised, index): Place) -> super::Place {
    let file = file.map(|path| ("file".to_owned(), path.display().to_string().into()));
    let place = [
        ("part".to_owned(), part.into()),
        ("revised".to_owned(), revised.into()),
        ("index".to_owned(), index.into()),
    ];
    Map::from_iter(file.into_iter().chain(place))
}
