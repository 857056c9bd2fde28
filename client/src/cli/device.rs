//! `bellwether device`: plays a phone that broadcasts identifiers and reports them.

use super::bench::parse_type;
use bellwether_client::device::{Broadcast, DeviceFileError, Phone, PhoneError, Random, Words};
use bellwether_client::time;
use bellwether_formats::id::{ProviderId, Scheme};
use bellwether_formats::scheme::cx::{Generator, Identifier};
use data_encoding::HEXLOWER_PERMISSIVE;
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

pub(crate) use bellwether_client::device::post::{self, PostError};

mod answer;

/// Most identifiers printed at once: some hundred seeds.
const MAX_COUNT: u64 = 1_000_000;

/// What the phone does.
#[derive(Clone, Debug, clap::Subcommand)]
pub(crate) enum DeviceCommand {
    /// Make a phone: its keys, in a file that only you can read
    New {
        /// The phone's file; must not exist
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        /// cx (or cx1, cx2), tcn, dp3t-lowcost, dp3t-unlinkable, dp3t-hybrid, gaen or fanny
        #[arg(long, value_parser = parse_scheme, default_value = "cx")]
        scheme: Kind,
        /// Of cx: generator type 1 (AES-128) or 2 (AES-256)
        #[arg(long = "type", value_name = "1|2", value_parser = parse_type)]
        generator: Option<Generator>,
    },
    /// Print the identifiers that the phone broadcasts next, one a line
    Ids {
        /// The phone's file
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        /// How many
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=MAX_COUNT))]
        count: u64,
        /// When the first one is broadcast, in RFC 3339 or seconds of UTC; now when missing; of no
        /// meaning in cx and tcn
        #[arg(long, value_name = "RFC3339", value_parser = parse_time)]
        at: Option<u64>,
        /// Of fanny: the contact id of the other phone; prints token and key of the contact, for
        /// `observe`, and keeps them
        #[arg(long, value_name = "ID")]
        peer: Option<Identifier>,
        /// Of fanny: the hour of UTC at which tokens expire
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(..24))]
        hour: u8,
    },
    /// Report all that was broadcast, under a confirmation code; the phone takes fresh keys
    Report {
        /// The phone's file
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        /// The publisher's name, exactly as it calls itself; reports of cx hold it
        #[arg(long, value_name = "NAME")]
        publisher: String,
        /// Of fanny: the publisher's id, for which the tokens are encrypted: what stands after
        /// `bellwether:` in its share string
        #[arg(long, value_name = "ID")]
        provider: Option<ProviderId>,
        /// The confirmation code given by the publisher
        #[arg(long, allow_hyphen_values = true)]
        code: String,
        /// Write the report to this file
        #[arg(long, value_name = "FILE", required_unless_present = "post")]
        out: Option<PathBuf>,
        /// Send the report to this intake: https, or http on this machine; a URL without a path
        /// gets that of the scheme's reports
        #[arg(long, value_name = "URL")]
        post: Option<String>,
        /// Trust the certificates in this PEM file instead of the web's authorities
        #[arg(long, value_name = "PEMFILE", requires = "post")]
        ca: Option<PathBuf>,
        /// The token of an earlier answer under the code, with which it admits more; not of cx
        #[arg(long, value_name = "HEX", requires = "post")]
        revision: Option<String>,
        /// Of tcn: what the memo is
        #[arg(long, value_name = "0..255", default_value_t = 0)]
        memo_type: u8,
        /// Of tcn: the memo, in hexadecimal digits
        #[arg(long, value_name = "HEX", value_parser = parse_memo, default_value = "")]
        memo: Memo,
    },
}

/// The bytes of a memo.
#[derive(Clone, Debug)]
pub(crate) struct Memo(Vec<u8>);

fn parse_memo(text: &str) -> Result<Memo, &'static str> {
    let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes());
    bytes.map(Memo).map_err(|_| "not hexadecimal digits")
}

fn parse_time(text: &str) -> Result<u64, time::ParseTimeError> {
    time::parse(text)
}

/// What kind of phone is made.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Of cx; its type says more.
    Cx,
    /// Of this scheme and no other.
    Of(Scheme),
}

fn parse_scheme(text: &str) -> Result<Kind, String> {
    match text {
        "cx" => Ok(Kind::Cx),
        _ => match text.parse() {
            Ok(scheme) => Ok(Kind::Of(scheme)),
            Err(error) => Err(format!("{error}, or cx")),
        },
    }
}

/// Writes a file for its owner alone: a report holds keys that are not published yet.
fn write_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(bytes)
}

/// Runs the verb. What is asked for goes to `out`, the intake's answer included.
///
/// Exit status 0, or 2 if the intake refused the report or an item of it.
pub(crate) fn run(command: &DeviceCommand, out: &mut impl Write) -> Result<ExitCode, DeviceError> {
    match command {
        DeviceCommand::New {
            file,
            scheme,
            generator,
        } => {
            let scheme = match (*scheme, generator) {
                (Kind::Cx, None) => Scheme::CX1,
                (Kind::Cx, Some(generator)) => Scheme(generator.code()),
                (Kind::Of(scheme), None) => scheme,
                (Kind::Of(_), Some(_)) => return Err(DeviceError::Type),
            };
            let phone = with_random(|random| Phone::new(scheme, random))?;
            phone.ok_or(DeviceError::Scheme)?.save_new(file)?;
        }
        DeviceCommand::Ids {
            file,
            count,
            at,
            peer,
            hour,
        } => {
            let asked = Broadcast {
                count: usize::try_from(*count).unwrap_or(usize::MAX),
                at: at.unwrap_or_else(time::now),
                peer: *peer,
                hour: *hour,
            };
            let mut phone = Phone::load(file)?;
            let ids = with_random(|random| phone.ids(&asked, random))??;
            // Saved before shown: none is ever handed out twice, or forgotten.
            phone.save(file)?;
            for id in ids {
                writeln!(out, "{id}").map_err(DeviceError::Print)?;
            }
        }
        DeviceCommand::Report {
            file,
            publisher,
            provider,
            code,
            out: report_file,
            post,
            ca,
            revision,
            memo_type,
            memo,
        } => {
            let mut phone = Phone::load(file)?;
            if phone.scheme() != Scheme::TCN && (*memo_type, memo.0.as_slice()) != (0, &[]) {
                return Err(DeviceError::Memo);
            }
            // What can be wrong with the command line is found before the keys are given up.
            let intake = post
                .as_deref()
                .map(|url| post::Intake::at(phone.door(), url, ca.as_deref()))
                .transpose()?;
            let words = Words {
                publisher,
                code,
                memo: (*memo_type, &memo.0),
                provider: provider.as_ref(),
            };
            let report = with_random(|random| phone.report(&words, random))??;
            // From here on nothing that was reported is broadcast, whatever fails.
            phone.save(file)?;
            if let Some(path) = report_file {
                write_secret(path, &report.bytes()).map_err(|source| DeviceError::Write {
                    path: path.clone(),
                    source,
                })?;
            }
            if let Some(intake) = intake {
                let answer = intake.post_under(code, revision.as_deref(), &report.bytes())?;
                writeln!(out, "{}", answer.text.trim_end()).map_err(DeviceError::Print)?;
                let said = answer::read(&report, &answer);
                phone.settle(&said.accepted);
                phone.save(file)?;
                return Ok(said.tell());
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Does something with fresh randomness of the operating system.
fn with_random<T>(f: impl FnOnce(&mut Random<'_>) -> T) -> Result<T, DeviceError> {
    let mut failed = false;
    let done = f(&mut |bytes: &mut [u8]| failed |= getrandom::fill(bytes).is_err());
    if failed {
        return Err(DeviceError::Random);
    }
    Ok(done)
}

/// Why the verb failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeviceError {
    #[error(transparent)]
    File(#[from] DeviceFileError),
    #[error("only reports of tcn have a memo")]
    Memo,
    #[error(transparent)]
    Phone(#[from] PhoneError),
    #[error(transparent)]
    Post(#[from] PostError),
    #[error("the operating system gives no random bytes")]
    Random,
    #[error("phones of this scheme cannot be played")]
    Scheme,
    #[error("only `--scheme cx` has a type")]
    Type,
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot print")]
    Print(#[source] io::Error),
}

#[cfg(test)]
mod tests;
