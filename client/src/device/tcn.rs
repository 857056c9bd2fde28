//! A phone of TCN: a report authorisation key, whose numbers are broadcast one after another.
//! Source: spec §7.2.

use std::collections::BTreeSet;

use bellwether_formats::scheme::tcn::{self, MAX_IDENTIFIERS};
use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};

use super::cx::{MAX_PAST_SEEDS, ReportError};
use super::secret::Secret;
use super::{Random, forget};
use crate::observations::ContactId;

/// The keys of a phone. Each has at most as many numbers as a report can have.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Tcn {
    rak: Secret<32>,
    /// The last number that was broadcast; 0 for none.
    last: u16,
    /// Keys that are not broadcast any more and not known to be accepted, with their last numbers.
    past: Vec<(Secret<32>, u16)>,
}

impl Tcn {
    pub(super) fn new(random: &mut Random<'_>) -> Self {
        Self {
            rak: Secret::fresh(random),
            last: 0,
            past: Vec::new(),
        }
    }

    pub(super) fn ids(&mut self, count: usize, random: &mut Random<'_>) -> Vec<ContactId> {
        let mut ids = Vec::new();
        while ids.len() < count {
            let left = count - ids.len();
            let next = self.numbers(left);
            if next.is_empty() {
                self.renew(random);
            }
            ids.extend(next);
        }
        ids
    }

    /// The next numbers of the key; fewer, at last none, when it ends.
    fn numbers(&mut self, count: usize) -> Vec<ContactId> {
        let rvk = SigningKey::from_bytes(self.rak.bytes()).verifying_key();
        let mut key = tcn::first_key(self.rak.bytes());
        let all = (1..=u16::MAX).take(usize::try_from(MAX_IDENTIFIERS).unwrap_or(0));
        let mut numbers = Vec::new();
        let broadcast = self.last;
        for index in all {
            if numbers.len() == count {
                break;
            }
            key = tcn::next_key(rvk.as_bytes(), &key);
            if index > broadcast {
                numbers.push(tcn::number(index, &key).into());
                self.last = index;
            }
        }
        numbers
    }

    /// How many reports there are to make.
    pub(super) const fn count(&self) -> usize {
        let current = if self.last > 0 { 1 } else { 0 };
        self.past.len() + current
    }

    fn renew(&mut self, random: &mut Random<'_>) {
        let rak = std::mem::replace(&mut self.rak, Secret::fresh(random));
        self.past.push((rak, std::mem::take(&mut self.last)));
        let surplus = self.past.len().saturating_sub(MAX_PAST_SEEDS + 1);
        self.past.drain(..surplus);
    }

    /// A signed report for each key, the oldest first; the phone takes a fresh one.
    pub(super) fn report(
        &mut self,
        (memo_type, memo): (u8, &[u8]),
        random: &mut Random<'_>,
    ) -> Result<Vec<Vec<u8>>, ReportError> {
        let (found, limit) = (memo.len(), usize::from(u8::MAX));
        if found > limit {
            let what = "memo";
            return Err(ReportError::Length { what, found, limit });
        }
        if self.last > 0 {
            self.renew(random);
        }
        let of = |(rak, last): &(Secret<32>, u16)| {
            let rak = rak.bytes();
            tcn::report(rak, &tcn::first_key(rak), (1, *last), memo_type, memo)
        };
        Ok(self.past.iter().filter_map(of).collect())
    }

    pub(super) fn settle(&mut self, accepted: &BTreeSet<usize>) {
        forget(&mut self.past, accepted);
    }
}
