//! What phones submit: zone and level are their code's.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::PoisonError;

use bellwether_formats::id::Scheme;
use bellwether_formats::scheme::record_id;
use sha2::{Digest as _, Sha256};

use super::line::{PhoneItem, items};
use super::outcome::{ItemRefusal, Outcome};
use super::system::unit;
use crate::intake::code::CodeHash;
use crate::intake::refusal::Refusal;
use crate::intake::{IntakeState, proof};
use crate::store::{AcceptError, Fate, ItemError, SubmittedUnit};

/// Most items of a phone: a fortnight of DP-3T's epochs has 1344. Source: spec §10.6.
pub(super) const MAX_LINES: usize = 4096;

/// Most of those that stand for more than one identifier each, as a code admits.
const MAX_SEEDS: usize = 256;

/// Most exposure keys: two a day for 15 days. Source: spec §10.6.
const MAX_KEYS: usize = 30;

/// Most exposure keys with the same beginning: phones make a new one after a report.
const MAX_KEYS_A_START: usize = 3;

impl IntakeState {
    /// Takes in what a phone posted. Waits for the disk.
    pub(super) fn take_of_phone(
        &self,
        body: &[u8],
        code: &str,
        revision: Option<[u8; 32]>,
        address: IpAddr,
    ) -> Result<Vec<Outcome>, Refusal> {
        let now = (self.0.clock)();
        let hash = self.0.code_key.hash(code);
        let mut reader = Reader {
            claim: proof::claim(hash.as_bytes(), None),
            now,
            counted: Counted::default(),
        };
        let items = items::<PhoneItem>(body, MAX_LINES)?.into_iter();
        let units: Vec<_> = items.map(|item| reader.read(&item?)).collect();
        let good = units.iter().filter_map(|unit| unit.as_ref().ok());
        let good: Vec<SubmittedUnit> = good.cloned().collect();
        let fates = if good.is_empty() {
            // Nothing well-formed: no code is looked up for it.
            Vec::new()
        } else {
            self.admit(&hash, good, revision, address, now)?
        };
        let mut fates = fates.into_iter();
        let outcomes = units.into_iter().map(|unit| match unit {
            Err(refusal) => Outcome::Refused(refusal),
            Ok(unit) => self.told(&hash, &unit, fates.next().flatten()),
        });
        Ok(outcomes.collect())
    }

    /// Accepts units under a code; none of a unit that the code does not admit.
    fn admit(
        &self,
        hash: &CodeHash,
        mut units: Vec<SubmittedUnit>,
        revision: Option<[u8; 32]>,
        address: IpAddr,
        now: u64,
    ) -> Result<Vec<Option<Fate>>, Refusal> {
        self.look_up(hash, address)?;
        let right = self.0.code_key.revision_of_code(hash);
        if revision.is_some_and(|token| !proof::same(&token, &right)) {
            return Err(Refusal::Revision);
        }
        let _one_at_a_time = self.0.codes.lock().unwrap_or_else(PoisonError::into_inner);
        let code = self.0.store.code(hash.as_bytes())?;
        let code = code.ok_or(AcceptError::UnknownCode)?;
        let has_token = revision.is_some() || code.used_at.is_none();
        for unit in &mut units {
            unit.mode = self.mode(&code.zone, unit.scheme);
            if has_token {
                unit.key = Sha256::digest(right).into();
            }
        }
        let accept = |units: &[SubmittedUnit]| self.0.store.accept(hash.as_bytes(), units, now);
        match accept(&units) {
            Ok(accepted) => Ok(accepted.fates.into_iter().map(Some).collect()),
            Err(AcceptError::UsedCode) => {
                // What is known is told to whoever lost the answer; what is new is refused.
                let one = |unit| match accept(std::slice::from_ref(unit)) {
                    Ok(accepted) => Ok(accepted.fates.first().copied()),
                    Err(AcceptError::UsedCode) => Ok(None),
                    Err(error) => Err(error),
                };
                let fates: Vec<_> = units.iter().map(one).collect::<Result<_, _>>()?;
                if fates.iter().all(Option::is_none) {
                    return Err(AcceptError::UsedCode.into());
                }
                Ok(fates)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn told(&self, hash: &CodeHash, unit: &SubmittedUnit, fate: Option<Fate>) -> Outcome {
        match fate {
            None => Outcome::Refused(ItemRefusal::UsedCode),
            Some(Fate::Others) => Outcome::Others,
            Some(Fate::Differs) => Outcome::Refused(ItemRefusal::Store(ItemError::UnitChanged)),
            Some(fate) => {
                let key = &self.0.code_key;
                let record = record_id(unit.scheme, &unit.unit);
                Outcome::Taken {
                    fate,
                    receipt: key.receipt(hash.as_bytes(), &record),
                    revision: key.revision_of_code(hash),
                }
            }
        }
    }
}

/// Reads the items of one request.
struct Reader {
    claim: [u8; 16],
    now: u64,
    counted: Counted,
}

/// Good items so far, by kind. What is refused uses no limit up: a phone that keeps
/// old keys too must not lose its good ones for them.
#[derive(Default)]
struct Counted {
    seeds: usize,
    keys: usize,
    keys_of_start: BTreeMap<[u8; 4], usize>,
    /// Signatures that did not hold: work that a stranger had done.
    forged: usize,
}

impl Reader {
    fn read(&mut self, item: &PhoneItem) -> Result<SubmittedUnit, ItemRefusal> {
        let scheme: Scheme = item.scheme.parse().map_err(|_| ItemRefusal::Scheme)?;
        if matches!(scheme, Scheme::CX1 | Scheme::CX2) {
            return Err(ItemRefusal::SeedReport);
        }
        self.counted.check_signatures(scheme)?;
        let unit = unit(scheme, &item.unit, &self.claim, Some(self.now));
        let unit = unit.inspect_err(|refusal| self.counted.refused(refusal))?;
        self.counted.count(scheme, &unit)?;
        let key = match (scheme, unit.first_chunk::<32>()) {
            // Who signs by the same key may report more under the code.
            (Scheme::TCN, Some(rvk)) => Sha256::digest(rvk).into(),
            _ => [0; 32],
        };
        let mode = crate::store::Mode::Sealed;
        Ok(SubmittedUnit {
            scheme,
            unit,
            key,
            mode,
        })
    }
}

impl Counted {
    /// Tells whether one more signature is worth checking. A phone has none that does not hold.
    fn check_signatures(&self, scheme: Scheme) -> Result<(), ItemRefusal> {
        match scheme {
            Scheme::TCN => room(self.forged, MAX_SEEDS, "reports with a wrong signature"),
            _ => Ok(()),
        }
    }

    fn refused(&mut self, refusal: &ItemRefusal) {
        self.forged += usize::from(refusal.rule() == "report-signature");
    }

    /// Counts a good item, if there is room for it in every limit.
    fn count(&mut self, scheme: Scheme, unit: &[u8]) -> Result<(), ItemRefusal> {
        if scheme.rules().is_some_and(|rules| rules.always_sealed()) {
            return Ok(());
        }
        room(self.seeds, MAX_SEEDS, "notifications")?;
        if scheme == Scheme::GAEN {
            room(self.keys, MAX_KEYS, "exposure keys")?;
            let start = unit.get(16..).and_then(<[u8]>::first_chunk).copied();
            let of_start = self.keys_of_start.entry(start.unwrap_or_default());
            let of_start = of_start.or_default();
            let what = "exposure keys with the same beginning";
            room(*of_start, MAX_KEYS_A_START, what)?;
            *of_start += 1;
            self.keys += 1;
        }
        self.seeds += 1;
        Ok(())
    }
}

fn room(count: usize, most: usize, what: &'static str) -> Result<(), ItemRefusal> {
    if count >= most {
        return Err(ItemRefusal::TooMany { most, what });
    }
    Ok(())
}
