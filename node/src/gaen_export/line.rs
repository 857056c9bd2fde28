//! A key as a line of text: a JSON object. Source: spec §14.7.

use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Deserialize, Serialize};

use super::key::{Key, KeyError, MAX_PERIOD, ReportType};

/// Longest line, in bytes. A key has some 170.
const MAX_LINE_BYTES: usize = 1024;

/// Numbers are wide, so that one out of range is named by its own rule.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Line {
    key: String,
    rolling_start: i64,
    #[serde(default = "max_period")]
    rolling_period: i64,
    #[serde(default)]
    report_type: ReportType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    days_since_onset: Option<i64>,
    #[serde(default)]
    transmission_risk: i64,
}

fn max_period() -> i64 {
    MAX_PERIOD.into()
}

impl Key {
    /// Reads a new key from a line, with or without its end.
    ///
    /// # Errors
    ///
    /// [`LineError`]
    pub fn from_line(line: &str) -> Result<Self, LineError> {
        if line.len() > MAX_LINE_BYTES {
            return Err(LineError::Length);
        }
        let line: Line = serde_json::from_str(line).map_err(|_| LineError::Json)?;
        let tek = HEXLOWER_PERMISSIVE.decode(line.key.as_bytes()).ok();
        let tek = tek.and_then(|tek| tek.try_into().ok());
        let days = line.days_since_onset.map(i8::try_from).transpose();
        let risk = line.transmission_risk.try_into();
        let key = Self {
            tek: tek.ok_or(KeyError::KeyData)?,
            rolling_start: line
                .rolling_start
                .try_into()
                .map_err(|_| KeyError::RollingStart)?,
            rolling_period: line
                .rolling_period
                .try_into()
                .map_err(|_| KeyError::RollingPeriod)?,
            transmission_risk: risk.map_err(|_| KeyError::TransmissionRisk)?,
            report_type: line.report_type,
            days_since_onset: days.map_err(|_| KeyError::DaysSinceOnset)?,
            revised: false,
        };
        key.check()?;
        Ok(key)
    }

    /// Writes the line, without its end. Whether the key is revised is not in it.
    pub fn to_line(&self) -> String {
        let line = Line {
            key: HEXLOWER_PERMISSIVE.encode(&self.tek),
            rolling_start: self.rolling_start.into(),
            rolling_period: self.rolling_period.into(),
            report_type: self.report_type,
            days_since_onset: self.days_since_onset.map(Into::into),
            transmission_risk: self.transmission_risk.into(),
        };
        serde_json::to_string(&line).expect("text and numbers are always JSON")
    }
}

/// Why a line is not a key. No message holds what is in the line.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum LineError {
    #[error("a line of more than {MAX_LINE_BYTES} bytes")]
    Length,
    #[error("not a JSON object with the members of a key")]
    Json,
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl LineError {
    /// The broken rule's name, as in the spec.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::Length => "line-length",
            Self::Json => "line-json",
            Self::Key(error) => error.rule(),
        }
    }
}
