//! `import dp3t`: a list of exposed keys is taken over. Source: spec §12.2, §15.

use std::path::PathBuf;
use std::process::ExitCode;

use bellwether_formats::id::Scheme;
use bellwether_formats::scheme::dp3t::lowcost_unit;
use bellwether_formats::scheme::text;
use bellwether_node::clock;
use bellwether_node::dp3t_list::{self, Exposed, Jws, MAX_JWS_BYTES, MAX_LIST_BYTES};
use serde_json::Map;

use super::super::{CliError, read_bounded};
use super::{Keys, Place, Source, Told};

#[derive(Debug, clap::Args)]
pub(in super::super) struct Args {
    #[command(flatten)]
    source: Source,
    /// What is said of the patients: the list does not tell.
    #[arg(long)]
    level: String,
    /// The list's signature: the header `Signature` of the answer that it came in, or all headers.
    #[arg(long, value_name = "FILE")]
    signature: PathBuf,
    /// The list: the body of that answer.
    file: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, CliError> {
    let key = args.source.key()?;
    let list = read_bounded(&args.file, MAX_LIST_BYTES)?;
    let signature = read_bounded(&args.signature, MAX_JWS_BYTES)?;
    // A sample's signature is as old as its keys.
    let now = if args.source.any_age { 0 } else { clock::now() };
    let jws = Jws::read(&signature).map_err(|error| CliError::Usage {
        what: format!("`{}`: {}: {error}", args.signature.display(), error.rule()),
    })?;
    let list = dp3t_list::verify(&list, &jws, &key, now).map_err(|error| CliError::Usage {
        what: format!("`{}`: {}: {error}", args.file.display(), error.rule()),
    })?;
    let mut told = Told::default();
    for (index, error) in &list.dropped {
        told.refuse(place(*index), error.rule());
    }
    let keys = Keys {
        scheme: Scheme::DP3T_LOWCOST,
        level: &args.level,
        signer: key.der(),
        // The level is not the list's, and who imports it again may say another.
        revised: true,
        public_at: list.released_at,
        units: list.keys.iter().map(unit).collect(),
    };
    args.source.take(&keys, &mut told)?;
    told.say(list.keys.len() + list.dropped.len())
}

fn unit((index, exposed): &(usize, Exposed)) -> (Place, String) {
    let unit = lowcost_unit(&exposed.key, exposed.first_day, exposed.days);
    // What is no unit is refused where all units are.
    let text = text::format(Scheme::DP3T_LOWCOST, &unit).unwrap_or_default();
    (place(*index), text)
}

fn place(index: usize) -> Place {
    Map::from_iter([("index".to_owned(), index.into())])
}
