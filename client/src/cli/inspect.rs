//! `bellwether inspect`: any object as text, for eyes.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bellwether_client::Client;
use bellwether_client::bundle::MAX_BUNDLE_BYTES;
use bellwether_client::error::ClientError;
use bellwether_formats::batch::Batch;
use bellwether_formats::body::open::OpenBody;
use bellwether_formats::car::Car;
use bellwether_formats::cid::{Cid, Codec};
use bellwether_formats::descriptor::Descriptor;
use bellwether_formats::id::Scheme;
use bellwether_formats::inspect::diagnostic;
use bellwether_formats::signed::{OpenError, Signed};

use super::error::CliError;

/// How the header of a CAR starts: a map of two, first `roots`.
const HEADER: &[u8] = b"\xa2\x65roots";

/// How the header of a CAR of version 2 starts: a map of one, `version`.
const HEADER_2: &[u8] = b"\xa1\x67version";

/// What to show.
#[derive(Debug, clap::Args)]
pub(crate) struct Inspect {
    /// Where the block of a CID is kept
    #[arg(long = "state", value_name = "DIR")]
    state: Option<PathBuf>,
    /// A file with a block or a bundle; or the CID of a block that is kept in the state
    #[arg(value_name = "FILE|CID")]
    what: String,
}

/// Runs the verb.
pub(crate) fn run(inspect: &Inspect, out: &mut impl Write) -> Result<ExitCode, CliError> {
    let path = Path::new(&inspect.what);
    if path.exists() {
        let bytes = read(path).map_err(|source| CliError::Read {
            path: path.to_owned(),
            source,
        })?;
        show(path, &bytes, out)?;
        return Ok(ExitCode::SUCCESS);
    }
    let cid: Cid = inspect
        .what
        .parse()
        .map_err(|_| CliError::NothingToInspect {
            what: inspect.what.clone(),
        })?;
    let state = inspect.state.as_deref().ok_or(CliError::WhereIsTheBlock)?;
    let block = Client::open(state)?
        .block(&cid)
        .ok_or_else(|| CliError::UnknownBlock {
            cid: cid.to_string(),
        })?;
    show_block(cid, block.bytes(), out).map_err(CliError::Print)?;
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let max = u64::try_from(MAX_BUNDLE_BYTES).unwrap_or(u64::MAX);
    if fs::metadata(path)?.len() > max {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn show(path: &Path, bytes: &[u8], out: &mut impl Write) -> Result<(), CliError> {
    match Car::decode(bytes, MAX_BUNDLE_BYTES) {
        Ok(car) => show_car(bytes.len(), &car, out),
        Err(error) if is_meant_as_car(path, bytes) => {
            return Err(CliError::Client(ClientError::Bundle(error)));
        }
        Err(_) => show_block(Cid::of(Codec::DagCbor, bytes), bytes, out),
    }
    .map_err(CliError::Print)
}

/// Whether a file that is no bundle was to be one: by its name, or by how its header starts.
fn is_meant_as_car(path: &Path, bytes: &[u8]) -> bool {
    let by_name = path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("car"));
    // Behind the header's length, of two bytes or more where there are many roots.
    let by_header = (1..=9).any(|at| {
        bytes
            .get(at..)
            .is_some_and(|header| header.starts_with(HEADER) || header.starts_with(HEADER_2))
    });
    by_name || by_header
}

fn show_car(size: usize, car: &Car, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "CAR of {} bytes, {} blocks", size, car.blocks.len())?;
    for root in &car.roots {
        writeln!(out, "root {root}")?;
    }
    for block in &car.blocks {
        writeln!(out)?;
        show_block(block.cid(), block.bytes(), out)?;
    }
    Ok(())
}

fn show_block(cid: Cid, bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
    // Filters and chunks are bytes, of which some would look like an object by chance.
    if cid.codec() == Codec::Raw {
        return writeln!(out, "{cid}: raw, {} bytes", bytes.len());
    }
    writeln!(out, "{cid}: {}, {} bytes", describe(bytes), bytes.len())?;
    match diagnostic(bytes) {
        Some(text) => writeln!(out, "{text}"),
        None => Ok(()),
    }
}

/// What the bytes are, and for signed ones whether the signature holds.
fn describe(bytes: &[u8]) -> String {
    match Signed::<Batch>::open(bytes) {
        Ok(batch) => {
            return format!(
                "batch {} of {}, id {}, signature holds",
                batch.seq,
                batch.feed(),
                batch.id()
            );
        }
        Err(OpenError::Verify(error)) => {
            return format!("batch, NOT BELIEVED: {error} ({})", error.rule());
        }
        Err(OpenError::Decode(_)) => {}
    }
    match Signed::<Descriptor>::open(bytes) {
        Ok(descriptor) => {
            let (epoch, provider) = (descriptor.epoch, descriptor.provider);
            return format!(
                "descriptor of {provider}, epoch {epoch}, id {}, signature holds",
                descriptor.id()
            );
        }
        Err(OpenError::Verify(error)) => {
            return format!("descriptor, NOT BELIEVED: {error} ({})", error.rule());
        }
        Err(OpenError::Decode(_)) => {}
    }
    // A body does not say its scheme, and units of several may have the length.
    let bodies = Scheme::ALL.into_iter().filter_map(|scheme| {
        let body = OpenBody::decode(scheme, bytes).ok()?;
        Some(format!("{} of {scheme}", body.count()))
    });
    let bodies: Vec<String> = bodies.collect();
    if !bodies.is_empty() {
        return format!("open body of notifications: {}", bodies.join(" or "));
    }
    if diagnostic(bytes).is_some() {
        return "CBOR, no object of Bellwether".to_owned();
    }
    "bytes, not CBOR".to_owned()
}
