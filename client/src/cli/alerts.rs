//! `bellwether alerts`: what this device was near to.

use std::io::{self, Write};
use std::process::ExitCode;

use bellwether_client::answers::Alerts as Answers;
use bellwether_client::matcher::{Details, Match};
use bellwether_client::trust::CLOCKS_S;
use bellwether_client::{Client, time};
use data_encoding::HEXLOWER;
use serde::Serialize;

use super::error::CliError;
use crate::StateArg;

/// What to show.
#[derive(Debug, clap::Args)]
pub(crate) struct Alerts {
    #[command(flatten)]
    state: StateArg,
    /// Print a JSON object a line
    #[arg(long)]
    json: bool,
}

/// A match as scripts read it. Source: spec §12.3.
#[derive(Serialize)]
struct MatchLine<'a> {
    provider: String,
    zone: &'a str,
    scheme: String,
    level: &'static str,
    grade: Option<u8>,
    #[serde(flatten)]
    details: Option<DetailsLine>,
    batch: String,
    observations: Vec<ObservationLine>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    disputed: bool,
}

/// What a unit says beyond its identifiers.
#[derive(Serialize)]
#[serde(untagged)]
enum DetailsLine {
    Gaen {
        days_since_onset: Option<i8>,
        transmission_risk: u8,
    },
    Tcn {
        memo_type: u8,
        memo: String,
    },
}

#[derive(Serialize)]
struct ObservationLine {
    id: String,
    at: String,
}

/// Runs the verb. Exit status 1 if there is a match; else 3 if something may be unknown; else 0.
pub(crate) fn run(alerts: &Alerts, out: &mut impl Write) -> Result<ExitCode, CliError> {
    let answers = Client::open(&alerts.state.dir)?.alerts()?;
    print(&answers, alerts.json, out).map_err(CliError::Print)?;
    for doubt in &answers.doubts {
        tell!("{}: {}", doubt.feed, doubt.answer);
    }
    if let Some(since) = since(&answers).filter(|_| alerts.json) {
        tell!("what is said holds for what was observed since {since}");
    }
    Ok(
        match (answers.matches.is_empty(), answers.doubts.is_empty()) {
            (false, _) => ExitCode::from(1),
            (true, false) => ExitCode::from(3),
            (true, true) => ExitCode::SUCCESS,
        },
    )
}

fn print(answers: &Answers, json: bool, out: &mut impl Write) -> io::Result<()> {
    for found in &answers.matches {
        if json {
            let line = serde_json::to_string(&MatchLine::of(found))?;
            writeln!(out, "{line}")?;
        } else {
            print_for_people(found, out)?;
        }
    }
    if !json && answers.matches.is_empty() {
        let sure = if answers.doubts.is_empty() {
            ""
        } else {
            " known"
        };
        match since(answers) {
            Some(since) => writeln!(out, "no exposure{sure}, of what was observed since {since}")?,
            None => writeln!(out, "no exposure{sure}")?,
        }
    }
    Ok(())
}

/// From when on the answers hold, if there is a bound.
fn since(answers: &Answers) -> Option<String> {
    let from = answers.covered_from.filter(|from| *from > 0)?;
    Some(time::format(from.saturating_add(CLOCKS_S)))
}

fn print_for_people(found: &Match, out: &mut impl Write) -> io::Result<()> {
    let grade = found
        .grade
        .map_or_else(String::new, |grade| format!(", grade {grade}"));
    let disputed = if found.disputed {
        " (disputed: the provider signed two stories)"
    } else {
        ""
    };
    writeln!(
        out,
        "{}{grade} ({}), says {} in {}{disputed}",
        found.level, found.scheme, found.feed.provider, found.feed.zone
    )?;
    for observation in &found.observations {
        writeln!(
            out,
            "  near at {}  {}",
            time::format(observation.at),
            observation.id.text(observation.family)
        )?;
    }
    Ok(())
}

impl DetailsLine {
    fn of(details: &Details) -> Option<Self> {
        match details {
            Details::Gaen(said) => Some(Self::Gaen {
                days_since_onset: said.days_since_onset,
                transmission_risk: said.transmission_risk,
            }),
            Details::Tcn(memo) => Some(Self::Tcn {
                memo_type: memo.memo_type,
                memo: HEXLOWER.encode(&memo.bytes),
            }),
            _ => None,
        }
    }
}

impl<'a> MatchLine<'a> {
    fn of(found: &'a Match) -> Self {
        let line = |id: String, at| ObservationLine {
            id,
            at: time::format(at),
        };
        let observations = found.observations.iter();
        Self {
            provider: found.feed.provider.to_string(),
            zone: found.feed.zone.as_str(),
            scheme: found.scheme.to_string(),
            level: found.level.name(),
            grade: found.grade,
            details: found.details.as_ref().and_then(DetailsLine::of),
            batch: found.batch.to_string(),
            observations: observations
                .map(|seen| line(seen.id.text(seen.family), seen.at))
                .collect(),
            disputed: found.disputed,
        }
    }
}
