//! What a phone broadcasts and reports: for tests, the demo and app developers.
//!
//! A [`Phone`] plays one of any scheme: it hands out identifiers, and makes the report that its user
//! sends in with a confirmation code. [`Device`] is CX's advertiser. Randomness and time come in as
//! arguments.
//!
//! Source: spec §7, §10.

mod cx;
mod dp3t;
mod fanny;
mod file;
mod gaen;
pub mod post;
mod secret;
mod slots;
mod tcn;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use bellwether_formats::id::{ProviderId, Scheme};
use bellwether_formats::scheme::UnitError;
use bellwether_formats::scheme::cx::{Generator, Identifier};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::observations::ContactId;
use post::Door;

pub use cx::{Device, ReportError, SeedDescriptor, seed_report};
pub use file::DeviceFileError;

/// Longest time that a phone speaks of, in days: what is older, no provider takes (spec §7).
const MAX_DAYS: u32 = 21;

/// Writes fresh random bytes over all that it is given.
pub type Random<'a> = dyn FnMut(&mut [u8]) + 'a;

/// A phone of one scheme. A file has the scheme's name.
#[derive(Clone, Deserialize, Serialize)]
#[expect(missing_docs, reason = "the variants are the schemes")]
#[non_exhaustive]
pub enum Phone {
    #[serde(skip)]
    Cx(Device),
    #[serde(rename = "tcn")]
    Tcn(tcn::Tcn),
    #[serde(rename = "dp3t-lowcost")]
    LowCost(dp3t::LowCost),
    #[serde(rename = "dp3t-unlinkable")]
    Unlinkable(dp3t::Unlinkable),
    #[serde(rename = "dp3t-hybrid")]
    Hybrid(dp3t::Hybrid),
    #[serde(rename = "gaen")]
    Gaen(gaen::Gaen),
    #[serde(rename = "fanny")]
    Fanny(fanny::Fanny),
}

/// What is asked of a phone that broadcasts.
#[derive(Clone, Copy, Debug)]
pub struct Broadcast {
    /// How many identifiers.
    pub count: usize,
    /// When the first one is broadcast, in seconds of UTC; cx and tcn have no times.
    pub at: u64,
    /// Of fanny: what the phone that was met broadcast; token and key of the contact are asked for.
    pub peer: Option<Identifier>,
    /// Of fanny: the hour of UTC at which tokens expire.
    pub hour: u8,
}

/// What the user of a phone gives for a report.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    /// The publisher's name, which reports of cx hold.
    pub publisher: &'a str,
    /// The confirmation code.
    pub code: &'a str,
    /// Of tcn: type and bytes of the memo.
    pub memo: (u8, &'a [u8]),
    /// Of fanny: for whom tokens are encrypted.
    pub provider: Option<&'a ProviderId>,
}

/// A report, as its scheme has it.
#[derive(Clone, Eq, PartialEq)]
pub struct Report {
    /// Where it is posted.
    pub door: Door,
    items: Vec<Vec<u8>>,
}

impl Phone {
    /// A new phone of a scheme. `random` must write fresh bytes over all that it is given: who knows
    /// them can report in the user's name. `None` for a scheme that this version does not know.
    pub fn new(scheme: Scheme, random: &mut Random<'_>) -> Option<Self> {
        let cx = |generator, random: &mut Random<'_>| {
            let mut bytes = zeroize::Zeroizing::new([0; Device::NEW_BYTES]);
            random(bytes.as_mut_slice());
            Self::Cx(Device::new(generator, &bytes))
        };
        Some(match scheme {
            Scheme::CX1 => cx(Generator::Aes128, random),
            Scheme::CX2 => cx(Generator::Aes256, random),
            Scheme::TCN => Self::Tcn(tcn::Tcn::new(random)),
            Scheme::DP3T_LOWCOST => Self::LowCost(dp3t::LowCost::new(random)),
            Scheme::DP3T_UNLINKABLE => Self::Unlinkable(dp3t::Unlinkable::default()),
            Scheme::DP3T_HYBRID => Self::Hybrid(dp3t::Hybrid::new(random)),
            Scheme::GAEN => Self::Gaen(gaen::Gaen::default()),
            Scheme::FANNY => Self::Fanny(fanny::Fanny::new(random)),
            _ => return None,
        })
    }

    /// How it derives what it broadcasts.
    pub fn scheme(&self) -> Scheme {
        match self {
            Self::Cx(device) => Scheme(device.generator().code()),
            Self::Tcn(_) => Scheme::TCN,
            Self::LowCost(_) => Scheme::DP3T_LOWCOST,
            Self::Unlinkable(_) => Scheme::DP3T_UNLINKABLE,
            Self::Hybrid(_) => Scheme::DP3T_HYBRID,
            Self::Gaen(_) => Scheme::GAEN,
            Self::Fanny(_) => Scheme::FANNY,
        }
    }

    /// Hands out identifiers as text: in cx and tcn the next ones, in the schemes that have times
    /// those of the epoch or interval of `at` and of the ones after it. Save the phone before they
    /// are broadcast.
    ///
    /// # Errors
    ///
    /// [`PhoneError`]; nothing is handed out then, and the phone is not to be saved.
    pub fn ids(
        &mut self,
        asked: &Broadcast,
        random: &mut Random<'_>,
    ) -> Result<Vec<String>, PhoneError> {
        if asked.peer.is_some() && !matches!(self, Self::Fanny(_)) {
            return Err(PhoneError::Peer);
        }
        let Broadcast { count, at, .. } = *asked;
        let ids: Vec<ContactId> = match self {
            Self::Cx(device) => cx::ids(device, count, random),
            Self::Tcn(phone) => phone.ids(count, random),
            Self::LowCost(phone) => phone.ids(count, at)?,
            Self::Unlinkable(phone) => phone.ids(count, at, random)?,
            Self::Hybrid(phone) => phone.ids(count, at, random)?,
            Self::Gaen(phone) => phone.ids(count, at, random)?,
            Self::Fanny(phone) => return phone.ids(asked, random).map(|id| vec![id]),
        };
        let family = self
            .scheme()
            .rules()
            .map(bellwether_formats::scheme::Rules::family);
        let text = |id: ContactId| Some(id.text(family?));
        Ok(ids.into_iter().filter_map(text).collect())
    }

    /// Where its next report is posted. A code admits one report of TCN, so several are submitted
    /// together.
    pub fn door(&self) -> Door {
        match self {
            Self::Cx(_) => Door::Reports,
            Self::Tcn(phone) if phone.count() < 2 => Door::Tcn,
            _ => Door::Submissions,
        }
    }

    /// Makes the report of everything that was broadcast and is not known to be accepted. The phone
    /// does not broadcast any of it any more: save it before the report is sent, and after that call
    /// [`settle`](Self::settle). What was refused is in the next report.
    ///
    /// # Errors
    ///
    /// [`PhoneError::Report`], [`PhoneError::Provider`], [`PhoneError::Nothing`]; the phone is as before
    /// then.
    pub fn report(
        &mut self,
        words: &Words<'_>,
        random: &mut Random<'_>,
    ) -> Result<Report, PhoneError> {
        cx::check_code(words.code)?;
        let door = self.door();
        let scheme = self.scheme();
        let lines = |units: Vec<String>| -> Vec<Vec<u8>> {
            let line = |unit: String| {
                let item = serde_json::json!({"scheme": scheme.to_string(), "unit": unit});
                format!("{item}\n").into_bytes()
            };
            units.into_iter().map(line).collect()
        };
        let items = match self {
            Self::Cx(device) => {
                let mut fresh = zeroize::Zeroizing::new([0; Generator::MAX_SEED_BYTES]);
                random(fresh.as_mut_slice());
                vec![device.report(words.publisher, words.code, &fresh)?]
            }
            Self::Tcn(phone) => {
                let reports = phone.report(words.memo, random)?;
                match door {
                    Door::Tcn => reports,
                    _ => lines(reports.iter().map(|one| HEXLOWER.encode(one)).collect()),
                }
            }
            Self::LowCost(phone) => lines(phone.report(random)),
            Self::Unlinkable(phone) => lines(phone.report()),
            Self::Hybrid(phone) => lines(phone.report()),
            Self::Gaen(phone) => lines(phone.report()),
            Self::Fanny(phone) => {
                let provider = words.provider.ok_or(PhoneError::Provider)?;
                lines(phone.report(provider))
            }
        };
        if items.is_empty() {
            return Err(PhoneError::Nothing);
        }
        Ok(Report { door, items })
    }

    /// Forgets those items of the last report, by number, that were accepted: their publisher has
    /// them.
    pub fn settle(&mut self, accepted: &BTreeSet<usize>) {
        match self {
            Self::Cx(device) if accepted.contains(&0) => device.accepted(),
            Self::Cx(_) => {}
            Self::Tcn(phone) => phone.settle(accepted),
            Self::LowCost(phone) => phone.settle(accepted),
            Self::Unlinkable(phone) => phone.settle(accepted),
            Self::Hybrid(phone) => phone.settle(accepted),
            Self::Gaen(phone) => phone.settle(accepted),
            Self::Fanny(phone) => phone.settle(accepted),
        }
    }
}

impl Report {
    /// All of it, as it is posted.
    pub fn bytes(&self) -> Vec<u8> {
        self.items.concat()
    }

    /// How many items it has.
    pub const fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether it has none, which no report does.
    pub const fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

/// Shows no secret.
impl std::fmt::Debug for Phone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Phone({})", self.scheme())
    }
}

/// Shows no secret.
impl std::fmt::Debug for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Report({:?}, {} items)", self.door, self.items.len())
    }
}

/// Drops the items of a list whose numbers are among `accepted`.
fn forget<T>(items: &mut Vec<T>, accepted: &BTreeSet<usize>) {
    let mut number = 0..;
    items.retain(|_| {
        number
            .next()
            .is_none_or(|number| !accepted.contains(&number))
    });
}

/// Why a phone does not do what it is asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum PhoneError {
    #[error("identifiers for more than {MAX_DAYS} days at once, or more than one of fanny")]
    Count,
    #[error("nothing was broadcast that is not accepted already")]
    Nothing,
    #[error("the contact id is this phone's own")]
    OwnId,
    #[error("only phones of fanny make something of what the other one broadcasts")]
    Peer,
    #[error("tokens of fanny are encrypted for a provider: its id is needed (`--provider`)")]
    Provider,
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error("at that time the phone had another key already, or the scheme has no such time")]
    Time,
    #[error(transparent)]
    Token(#[from] UnitError),
}
