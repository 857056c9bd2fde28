//! TCN (scheme `tcn`): a signed report stands for the temporary contact numbers of a range.
//!
//! ```text
//! report = rvk(32) ‖ tck(32) ‖ j1 u16 ‖ j2 u16 ‖ memo type u8 ‖ memo length u8 ‖ memo    little-endian
//! unit   = report ‖ Ed25519 signature(64) by rvk                                        134..389 bytes
//! ```
//!
//! Source: spec §7.2; TCN protocol 0.4.

use alloc::vec::Vec;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use super::{Facts, Family, Rules, Sink, UnitError, Units, Width, bytes};
use crate::id::{ProviderId, Scheme};

/// Most identifiers of one report: 42 days at one in 15 minutes. A longer range is not expanded:
/// 134 bytes could ask for 131,070 hashes.
pub const MAX_IDENTIFIERS: u32 = 4096;

/// Length of a report without its memo, in bytes.
const HEAD: usize = 70;
/// Length of a signature, in bytes.
const SIGNATURE: usize = 64;

/// The scheme's rules.
#[derive(Clone, Copy, Debug)]
pub struct Tcn;

/// The temporary contact key after `key`: H("H_TCK" ‖ rvk ‖ key).
pub fn next_key(rvk: &[u8; 32], key: &[u8; 32]) -> [u8; 32] {
    let hash = Sha256::new().chain_update(b"H_TCK").chain_update(rvk);
    hash.chain_update(key).finalize().into()
}

/// The key from which all of a report authorisation key's are derived: H("H_TCK" ‖ rak). No
/// identifier belongs to it.
pub fn first_key(rak: &[u8; 32]) -> [u8; 32] {
    let hash = Sha256::new().chain_update(b"H_TCK");
    hash.chain_update(rak).finalize().into()
}

/// The temporary contact number of key number `index`: H("H_TCN" ‖ index ‖ key), 16 bytes of it.
pub fn number(index: u16, key: &[u8; 32]) -> [u8; 16] {
    let hash = Sha256::new()
        .chain_update(b"H_TCN")
        .chain_update(index.to_le_bytes())
        .chain_update(key)
        .finalize();
    bytes(&hash, 0)
}

/// Makes a signed report for the numbers `first` to `last` of a report authorisation key; `key` is
/// the temporary contact key before `first`. `None` for a memo of more than 255 bytes.
pub fn report(
    rak: &[u8; 32],
    key: &[u8; 32],
    (first, last): (u16, u16),
    memo_type: u8,
    memo: &[u8],
) -> Option<Vec<u8>> {
    let signer = SigningKey::from_bytes(rak);
    let mut report = Vec::with_capacity(HEAD + memo.len() + SIGNATURE);
    report.extend(signer.verifying_key().as_bytes());
    report.extend(key);
    report.extend(first.to_le_bytes());
    report.extend(last.to_le_bytes());
    report.extend([memo_type, u8::try_from(memo.len()).ok()?]);
    report.extend(memo);
    let signature = signer.sign(&report);
    report.extend(signature.to_bytes());
    Some(report)
}

/// A report's fields.
struct Report {
    rvk: [u8; 32],
    key: [u8; 32],
    first: u16,
    last: u16,
}

impl Report {
    /// Reads a report of the right length and range; its signature is not looked at.
    fn read(unit: &[u8]) -> Result<Self, UnitError> {
        let memo = unit.get(HEAD - 1).copied().unwrap_or_default();
        let (found, expected) = (unit.len(), HEAD + usize::from(memo) + SIGNATURE);
        if found != expected {
            return Err(UnitError::Length { found, expected });
        }
        let first = u16::from_le_bytes(bytes(unit, 64));
        let last = u16::from_le_bytes(bytes(unit, 66));
        let report = Self {
            rvk: bytes(unit, 0),
            key: bytes(unit, 32),
            first,
            last,
        };
        if first == 0 {
            return Err(UnitError::FirstIndex);
        }
        if !(1..=MAX_IDENTIFIERS).contains(&report.identifiers()) {
            return Err(UnitError::Range { first, last });
        }
        Ok(report)
    }

    /// How many identifiers it has; 0 if the range is backwards.
    fn identifiers(&self) -> u32 {
        (u32::from(self.last) + 1).saturating_sub(self.first.into())
    }

    fn expand(&self, mut sink: impl FnMut(&[u8])) {
        // The number of the key that is given is not its: it cannot be shown to be bound to rvk.
        let mut key = self.key;
        for index in self.first..=self.last {
            key = next_key(&self.rvk, &key);
            sink(&number(index, &key));
        }
    }
}

impl Rules for Tcn {
    fn scheme(&self) -> Scheme {
        Scheme::TCN
    }

    fn family(&self) -> Family {
        Family::Tcn
    }

    fn width(&self) -> Width {
        let min = HEAD + SIGNATURE;
        let max = min + 255;
        Width::Listed { min, max }
    }

    /// Strict: keys and signatures of small order, and other spellings, are refused. Some of them
    /// would hold for every report.
    fn check(&self, unit: &[u8]) -> Result<Facts, UnitError> {
        let report = Report::read(unit)?;
        let (signed, signature) = unit
            .split_last_chunk::<SIGNATURE>()
            .ok_or(UnitError::Signature)?;
        VerifyingKey::from_bytes(&report.rvk)
            .and_then(|key| key.verify_strict(signed, &Signature::from_bytes(signature)))
            .map_err(|_| UnitError::Signature)?;
        Ok(Facts {
            identifiers: report.identifiers(),
            period: None,
            publish_from: 0,
        })
    }

    fn expansion(&self, unit: &[u8]) -> Option<u32> {
        Report::read(unit).ok().map(|report| report.identifiers())
    }

    /// Another signature under the same report.
    fn may_replace(&self, _: &[u8], _: &[u8]) -> bool {
        true
    }

    /// The report without its signature: another signature of its signer's says nothing new.
    fn key_material<'a>(&self, unit: &'a [u8]) -> &'a [u8] {
        unit.split_last_chunk::<SIGNATURE>()
            .map_or(unit, |(report, _)| report)
    }

    /// Signatures are checked where reports are taken in and once more where something was
    /// [matched](Rules::matches); expanding does without.
    fn expand(&self, units: &Units, sink: &mut Sink<'_>) {
        for (number, unit) in units.iter().enumerate() {
            if let Ok(report) = Report::read(unit) {
                report.expand(|identifier| sink(number, identifier, None));
            }
        }
    }

    fn matches(&self, units: &Units, wanted: &super::WantedIds, hit: &mut Sink<'_>) {
        let mut last = None;
        self.expand(units, &mut |unit, identifier, span| {
            if !identifier
                .try_into()
                .is_ok_and(|id| wanted.contains(super::cx::Identifier::from_bytes(id)))
            {
                return;
            }
            let (number, holds) = *last
                .filter(|(number, _)| *number == unit)
                .get_or_insert_with(|| {
                    let report = units.get(unit).unwrap_or_default();
                    (unit, self.check(report).is_ok())
                });
            last = Some((number, holds));
            if holds {
                hit(unit, identifier, span);
            }
        });
    }

    fn look_ups(
        &self,
        observed: &[u8],
        _: u64,
        _: &ProviderId,
        sink: &mut dyn FnMut(Option<u64>, &[u8]),
    ) {
        if observed.len() == 16 {
            sink(None, observed);
        }
    }

    /// A valid report of a fresh key, with the range and the memo of another.
    fn dummy(&self, like: &[u8], random: &mut dyn FnMut(&mut [u8])) -> Option<Vec<u8>> {
        let like_report = Report::read(like).ok()?;
        let (mut rak, mut key) = ([0; 32], [0; 32]);
        random(&mut rak);
        random(&mut key);
        let memo_type = *like.get(HEAD - 2)?;
        let memo = like.get(HEAD..like.len() - SIGNATURE)?;
        let range = (like_report.first, like_report.last);
        report(&rak, &key, range, memo_type, memo)
    }
}
