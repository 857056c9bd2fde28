//! `POST /v1/tcn`: one signed TCN report, with a code or, where the provider takes them, without.
//! Source: spec §10.7.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::response::Response;
use bellwether_formats::id::{Level, Scheme, Zone};
use bellwether_formats::scheme::Rules as _;
use bellwether_formats::scheme::tcn::Tcn;
use sha2::{Digest as _, Sha256};

use super::body::Bounds;
use super::code::guesses::{Guesses, Rate, Rates};
use super::refusal::Refusal;
use super::submissions::asked;
use super::{IntakeState, address_of, now, proof, reports};
use crate::store::{Accepted, Fate, Item, SubmittedUnit};

/// Largest body, in bytes (4 KiB): a report has 389 at most, and what is longer is told so.
const MAX_BODY_BYTES: usize = 4 * 1024;

const BOUNDS: Bounds = Bounds::small(MAX_BODY_BYTES, "unit-length");

/// Self-reports that are taken: 64 at once from an address, as one phone's of a fortnight, and
/// one more a minute; 2000 at once from all together, and one more a second. Source: spec §10.7.
const SELF_REPORTS: Rates = Rates {
    prefix: Rate {
        burst: 64,
        refill: Duration::from_mins(1),
    },
    total: Rate {
        burst: 2000,
        refill: Duration::from_secs(1),
    },
};

/// Reports without a code: where they go, and how many come.
#[derive(Debug)]
pub(super) struct SelfReports {
    zone: Zone,
    taken: Mutex<Guesses>,
}

impl SelfReports {
    pub(super) fn new(zone: Zone, now: Instant, behind_proxy: bool) -> Self {
        let taken = Guesses::limiting(SELF_REPORTS, now).behind_proxy(behind_proxy);
        let taken = Mutex::new(taken);
        Self { zone, taken }
    }

    /// Counts a report, if one more is taken.
    fn take(&self, address: IpAddr) -> Result<(), Refusal> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let late = |refused: super::code::guesses::Refused| Refusal::TooManyReports {
            retry_after: refused.retry_after,
        };
        taken.check(address, now()).map_err(late)?;
        taken.failed(address, now());
        Ok(())
    }
}

pub(super) async fn post(state: IntakeState, request: Request) -> Result<Response, Refusal> {
    let address = address_of(&request);
    let (fields, body) = super::receive(request, "application/octet-stream", &BOUNDS).await?;
    let code = code(&state, &fields)?;
    if code.is_some() {
        state.check_guesses(address)?;
    }
    let job = move |intake: &IntakeState| match code {
        Some(code) => intake.with_code(&body.bytes, &code, address),
        None => intake.self_report(&body.bytes, address),
    };
    let accepted = state.work(job).await?;
    Ok(reports::answer(&state, &accepted))
}

/// The code of a report; none if it is good without.
fn code(state: &IntakeState, fields: &HeaderMap) -> Result<Option<String>, Refusal> {
    if asked::token(fields)?.is_some() {
        let why = "Authorization is for /v1/submissions, where systems submit TCN reports";
        return Err(Refusal::Header { why });
    }
    match asked::code(fields)? {
        None if state.0.self_reports.is_none() => Err(Refusal::CodeMissing),
        code => Ok(code),
    }
}

impl IntakeState {
    fn with_code(&self, report: &[u8], code: &str, address: IpAddr) -> Result<Accepted, Refusal> {
        let at = (self.0.clock)();
        let rvk = check(report, at)?;
        let hash = self.0.code_key.hash(code);
        let code = self.look_up(&hash, address)?;
        let unit = SubmittedUnit {
            scheme: Scheme::TCN,
            unit: report.to_vec(),
            // Who signs by the same key may report more under the code.
            key: Sha256::digest(rvk).into(),
            mode: self.mode(&code.zone, Scheme::TCN),
        };
        Ok(self.0.store.accept(hash.as_bytes(), &[unit], at)?)
    }

    fn self_report(&self, report: &[u8], address: IpAddr) -> Result<Accepted, Refusal> {
        let taken = self.0.self_reports.as_ref().ok_or(Refusal::CodeMissing)?;
        let at = (self.0.clock)();
        let rvk = check(report, at)?;
        taken.take(address)?;
        let item = Item {
            unit: SubmittedUnit {
                scheme: Scheme::TCN,
                unit: report.to_vec(),
                key: [0; 32],
                mode: self.mode(taken.zone.as_str(), Scheme::TCN),
            },
            zone: taken.zone.clone(),
            level: Level::SYMPTOMATIC,
            grade: None,
            public_at: None,
            owner: proof::tcn_self(rvk),
            case: None,
            proven: false,
        };
        let fates = self.0.store.submit(&[item], at)?;
        let new = fates.iter().filter(|fate| **fate == Ok(Fate::New)).count();
        Ok(Accepted {
            new,
            known: 1_usize.saturating_sub(new),
            fates: Vec::new(),
        })
    }
}

/// Checks a signed report; gives the key that signed it.
fn check(report: &[u8], at: u64) -> Result<&[u8], Refusal> {
    Tcn.check_at(report, at)?;
    Ok(report.get(..32).unwrap_or_default())
}

#[cfg(test)]
mod tests;
