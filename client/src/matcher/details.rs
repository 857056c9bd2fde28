//! What a unit says beyond its identifiers: for the app to weigh, never for matching.
//! Source: spec §11.4.

use std::fmt;

use bellwether_formats::id::Scheme;
use bellwether_formats::scheme::gaen;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

/// Where a TCN report has its memo's type, then its length, then the memo, in bytes; a signature
/// follows. Source: spec §7.2.
const MEMO_AT: usize = 68;

/// What a unit of an open part says beyond its identifiers, in schemes whose units do.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
pub enum Details {
    /// Of a GAEN key.
    Gaen(GaenDetails),
    /// Of a TCN report.
    Tcn(Memo),
}

/// What a GAEN key says. Source: spec §7.4.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GaenDetails {
    /// Days from the onset of symptoms to the key, -14 to 14, if that is known.
    pub days_since_onset: Option<i8>,
    /// 0 to 8; deprecated.
    pub transmission_risk: u8,
}

/// The memo of a TCN report: up to 255 bytes that the reporter chose. They are nobody's statement
/// but the reporter's, and are not looked into.
#[derive(Clone, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Memo {
    /// What the reporter says that the bytes are.
    pub memo_type: u8,
    /// The bytes.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

impl Details {
    /// What a unit says, which was checked.
    pub(super) fn of(scheme: Scheme, unit: &[u8]) -> Option<Self> {
        match scheme {
            Scheme::GAEN => {
                let key = gaen::Key::decode(unit).ok()?;
                Some(Self::Gaen(GaenDetails {
                    days_since_onset: key.days_since_onset,
                    transmission_risk: key.transmission_risk,
                }))
            }
            Scheme::TCN => {
                let [memo_type, len, memo @ ..] = unit.get(MEMO_AT..)? else {
                    return None;
                };
                Some(Self::Tcn(Memo {
                    memo_type: *memo_type,
                    bytes: memo.get(..usize::from(*len))?.to_vec(),
                }))
            }
            _ => None,
        }
    }
}

/// The bytes in hexadecimal digits: a reporter's text must not reach a log as it is.
impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Memo({}, {})",
            self.memo_type,
            HEXLOWER.encode(&self.bytes)
        )
    }
}
