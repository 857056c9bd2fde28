//! `bellwether device`: plays a phone that broadcasts CX identifiers and reports them.

use super::bench::parse_type;
use bellwether_client::device::{Device, DeviceFileError, ReportError};
use bellwether_formats::scheme::cx::Generator;
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

pub(crate) use bellwether_client::device::post::{self, PostError};

/// Most identifiers printed at once: some hundred seeds.
const MAX_COUNT: u64 = 1_000_000;

/// What the phone does.
#[derive(Clone, Debug, clap::Subcommand)]
pub(crate) enum DeviceCommand {
    /// Make a device: a signing key and a seed, in a file that only you can read
    New {
        /// The device's file; must not exist
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        /// CX generator type: 1 (AES-128) or 2 (AES-256)
        #[arg(long = "type", value_name = "1|2", value_parser = parse_type, default_value = "1")]
        generator: Generator,
    },
    /// Print the identifiers that the phone broadcasts next, one UUID a line
    Ids {
        /// The device's file
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        /// How many
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=MAX_COUNT))]
        count: u64,
    },
    /// Report all that was broadcast, under a confirmation code; the phone takes a fresh seed
    Report {
        /// The device's file
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        /// The publisher's name, exactly as it calls itself
        #[arg(long, value_name = "NAME")]
        publisher: String,
        /// The confirmation code given by the publisher
        #[arg(long, allow_hyphen_values = true)]
        code: String,
        /// Write the report (DER) to this file
        #[arg(long, value_name = "FILE", required_unless_present = "post")]
        out: Option<PathBuf>,
        /// Send the report to this intake: https, or http on this machine; a URL without a path
        /// gets /v1/reports
        #[arg(long, value_name = "URL")]
        post: Option<String>,
        /// Trust the certificates in this PEM file instead of the web's authorities
        #[arg(long, value_name = "PEMFILE", requires = "post")]
        ca: Option<PathBuf>,
    },
}

/// Runs the verb. What is asked for goes to `out`, the intake's answer included.
///
/// Exit status 0, or 2 if the intake refused the report.
pub(crate) fn run(command: &DeviceCommand, out: &mut impl Write) -> Result<ExitCode, DeviceError> {
    match command {
        DeviceCommand::New { file, generator } => {
            Device::new(*generator, &random()?).save_new(file)?;
        }
        DeviceCommand::Ids { file, count } => ids(file, *count, out)?,
        DeviceCommand::Report {
            file,
            publisher,
            code,
            out: report_file,
            post,
            ca,
        } => {
            let mut device = Device::load(file)?;
            // What can be wrong with the command line is found before the seed is given up.
            let intake = post
                .as_deref()
                .map(|url| post::Intake::new(url, ca.as_deref()))
                .transpose()?;
            let report = device.report(publisher, code, &random()?)?;
            // From here on no identifier of the reported seeds is handed out, whatever fails.
            device.save(file)?;
            if let Some(path) = report_file {
                fs::write(path, &report).map_err(|source| DeviceError::Write {
                    path: path.clone(),
                    source,
                })?;
            }
            if let Some(intake) = intake {
                return send(&intake, &report, &mut device, file, out);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the next identifiers, with fresh seeds as needed.
fn ids(file: &Path, count: u64, out: &mut impl Write) -> Result<(), DeviceError> {
    let mut device = Device::load(file)?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let mut taken = Vec::new();
    while taken.len() < count {
        let next = device.take_identifiers(count - taken.len());
        if next.is_empty() {
            device.renew(&random()?);
        }
        taken.extend(next);
    }
    // Saved before shown: none is ever handed out twice.
    device.save(file)?;
    for identifier in taken {
        writeln!(out, "{identifier}").map_err(DeviceError::Print)?;
    }
    Ok(())
}

/// Posts the report and prints the answer.
fn send(
    intake: &post::Intake,
    report: &[u8],
    device: &mut Device,
    file: &Path,
    out: &mut impl Write,
) -> Result<ExitCode, DeviceError> {
    let answer = intake.post(report)?;
    writeln!(out, "{}", answer.text.trim_end()).map_err(DeviceError::Print)?;
    if !answer.accepted {
        eprintln!("refused: HTTP {}", answer.status);
        return Ok(ExitCode::from(2));
    }
    device.accepted();
    device.save(file)?;
    Ok(ExitCode::SUCCESS)
}

/// Fresh randomness of the operating system.
fn random<const N: usize>() -> Result<[u8; N], DeviceError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| DeviceError::Random)?;
    Ok(bytes)
}

/// Why the verb failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeviceError {
    #[error(transparent)]
    File(#[from] DeviceFileError),
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error(transparent)]
    Post(#[from] PostError),
    #[error("the operating system gives no random bytes")]
    Random,
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot print")]
    Print(#[source] io::Error),
}

#[cfg(test)]
mod tests;
