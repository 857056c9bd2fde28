//! `bellwether observe`: records what was observed.

use std::io::BufRead;
use std::process::ExitCode;

use bellwether_client::Client;
use bellwether_client::observations::{
    ContactId, Family, MAX_OBSERVATIONS, Observation, ObservationError,
};
use bellwether_client::time;

use super::error::CliError;
use crate::StateArg;

/// Longest line of the input, in bytes: an identifier and a time are less than 100.
const MAX_LINE: usize = 256;

/// What was observed.
#[derive(Debug, clap::Args)]
pub(crate) struct Observe {
    #[command(flatten)]
    state: StateArg,
    /// What kind of identifiers: cx, tcn, dp3t, gaen or fanny; or a scheme of one of these
    #[arg(long)]
    scheme: String,
    /// When, in RFC 3339 or seconds of UTC; now when missing
    #[arg(long, value_name = "RFC3339")]
    at: Option<String>,
    /// Hexadecimal, in cx UUIDs too; or `-` for a line `id time` each on the standard input
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
}

/// Runs the verb. All that was given is recorded, or nothing.
pub(crate) fn run(observe: &Observe, stdin: impl BufRead) -> Result<ExitCode, CliError> {
    let now = time::now();
    let family = observe.scheme.parse().map_err(|_| CliError::Observation {
        text: observe.scheme.clone(),
        source: ObservationError::Family,
    })?;
    let at = observe.at.as_ref().map_or(Ok(now), |text| {
        time::parse(text).map_err(|source| CliError::Time {
            text: text.clone(),
            source,
        })
    })?;
    let observations = match observe.ids.as_slice() {
        [dash] if dash == "-" => read_lines(stdin, family, at, now)?,
        ids => ids
            .iter()
            .map(|id| one(id, family, at, now))
            .collect::<Result<_, _>>()?,
    };
    let recorded = Client::open(&observe.state.dir)?.observe(&observations)?;
    tell!(
        "{} observations recorded, {} were known, {} are too old to matter",
        recorded.new,
        recorded.known,
        recorded.old
    );
    Ok(ExitCode::SUCCESS)
}

/// What is forgotten.
#[derive(Debug, clap::Args)]
pub(crate) struct Forget {
    #[command(flatten)]
    state: StateArg,
    /// What kind of identifiers: cx, tcn, dp3t, gaen or fanny; or a scheme of one of these
    #[arg(long)]
    scheme: String,
    /// As they were observed
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
}

/// Runs the verb.
pub(crate) fn forget(forget: &Forget) -> Result<ExitCode, CliError> {
    let wrong = |text: &String, source| CliError::Observation {
        text: text.clone(),
        source,
    };
    let family = forget.scheme.parse();
    let family: Family = family.map_err(|_| wrong(&forget.scheme, ObservationError::Family))?;
    let id = |text: &String| ContactId::parse(family, text).map_err(|source| wrong(text, source));
    let ids: Vec<ContactId> = forget.ids.iter().map(id).collect::<Result<_, _>>()?;
    let count = Client::open(&forget.state.dir)?.forget(family, &ids)?;
    tell!("{count} observations forgotten");
    Ok(ExitCode::SUCCESS)
}

fn one(text: &str, family: Family, at: u64, now: u64) -> Result<Observation, CliError> {
    let read = || {
        Observation {
            id: ContactId::parse(family, text)?,
            at,
            family,
        }
        .checked(now)
    };
    read().map_err(|source| CliError::Observation {
        text: text.to_owned(),
        source,
    })
}

/// Reads `id time` lines; `at` is for those without a time. Empty lines are skipped.
fn read_lines(
    mut input: impl BufRead,
    family: Family,
    at: u64,
    now: u64,
) -> Result<Vec<Observation>, CliError> {
    let mut observations = Vec::new();
    for number in 1.. {
        let mut line = Vec::new();
        let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
        let mut bounded = std::io::Read::take(&mut input, limit);
        let read = bounded
            .read_until(b'\n', &mut line)
            .map_err(CliError::Stdin)?;
        if read == 0 {
            break;
        }
        let broken = |source| CliError::Line { number, source };
        let too_long = line.len() == MAX_LINE && !line.ends_with(b"\n");
        let Some(text) = std::str::from_utf8(&line).ok().filter(|_| !too_long) else {
            return Err(CliError::LineLength {
                number,
                max: MAX_LINE,
            });
        };
        if text.trim().is_empty() {
            continue;
        }
        if observations.len() >= MAX_OBSERVATIONS {
            return Err(broken(ObservationError::Full));
        }
        let observation = Observation::parse(family, text, at).and_then(|read| read.checked(now));
        observations.push(observation.map_err(broken)?);
    }
    Ok(observations)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_253_400;
    const ID: &str = "3945351c-e433-46e6-bd42-316e0efe5d16";

    fn read(text: &[u8]) -> Result<Vec<u64>, CliError> {
        let observations = read_lines(text, Family::Cx, NOW - 5, NOW)?;
        Ok(observations
            .iter()
            .map(|observation| observation.at)
            .collect())
    }

    #[test]
    fn every_line_is_an_observation() {
        let text = format!("{ID} 2026-11-21T09:30:00Z\n\n{ID}\r\n{ID} 1795253000");
        assert_eq!(
            read(text.as_bytes()).unwrap(),
            [NOW, NOW - 5, 1_795_253_000]
        );
        assert_eq!(read(b"").unwrap(), [0; 0]);
    }

    #[test]
    fn a_bad_line_is_named() {
        for bad in [
            "nonsense",
            "nonsense 5",
            &format!("{ID} noon"),
            &format!("{ID} 1 2"),
            &format!("{ID} 99999999999"),
        ] {
            let text = format!("{ID}\n{ID} 5\n{bad}\n{ID}\n");
            let error = read(text.as_bytes()).unwrap_err();
            assert!(
                matches!(error, CliError::Line { number: 3, .. }),
                "{bad}: {error}"
            );
        }
        let long = format!("{ID}\n{ID} {}\n", "1".repeat(MAX_LINE));
        for text in [long.as_bytes(), b"\n\xff\xfe\n"] {
            let error = read(text).unwrap_err();
            assert!(
                matches!(error, CliError::LineLength { number: 2, .. }),
                "{error}"
            );
        }
    }
}
