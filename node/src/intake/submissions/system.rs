//! What systems submit: each item with its zone and level.

use std::collections::BTreeMap;

use bellwether_formats::id::{Level, Scheme, Zone};
use bellwether_formats::scheme::{record_id, text};

use super::line::{SystemItem, items};
use super::outcome::{ItemRefusal, Outcome};
use super::{MAX_SYSTEM_LINES, asked};
use crate::intake::code::{CodeKey, MAX_CODE_BYTES};
use crate::intake::proof::{self, Owner};
use crate::intake::refusal::Refusal;
use crate::intake::{IntakeState, mode};
use crate::store::{Fate, Item, ItemError, Mode, Store, StoreError, SubmittedUnit};

/// Items of one transaction: phones wait for it no longer than half a second.
const TOGETHER: usize = 5000;

/// What is said of one unit, as it was written.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the members of an item, see spec §10.6")]
pub struct Said<'a> {
    pub scheme: &'a str,
    pub zone: &'a str,
    pub level: &'a str,
    pub unit: &'a str,
    pub grade: Option<i64>,
    pub case: Option<&'a str>,
    pub revision: Option<&'a str>,
    /// When somebody else published it, in seconds of UTC; an import tells.
    pub public_at: Option<u64>,
}

/// Takes in what systems submit.
#[derive(Debug)]
pub struct Taker<'a> {
    /// Where it is kept.
    pub store: &'a Store,
    /// The key of receipts and revision tokens.
    pub code_key: &'a CodeKey,
    /// How zones are published, by their names.
    pub modes: &'a BTreeMap<String, Mode>,
}

impl Taker<'_> {
    /// Takes in items of one owner, each by itself. What is accepted is durable when this returns.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; then some may be accepted, and all can be submitted again.
    pub fn take(
        &self,
        items: Vec<Result<Item, ItemRefusal>>,
        now: u64,
    ) -> Result<Vec<Outcome>, StoreError> {
        self.each(
            items,
            |good| self.store.submit(good, now),
            |item, fate| self.taken(item, fate),
        )
    }

    /// Mends what is known, whoever submitted it. What is accepted is durable when this returns.
    ///
    /// # Errors
    ///
    /// As of [`take`](Self::take).
    pub fn mend(&self, items: Vec<Result<Item, ItemRefusal>>) -> Result<Vec<Outcome>, StoreError> {
        self.each(
            items,
            |good| self.store.mend(good),
            |_, fate| Outcome::Mended(fate),
        )
    }

    fn each(
        &self,
        items: Vec<Result<Item, ItemRefusal>>,
        store: impl Fn(&[Item]) -> Result<Vec<Result<Fate, ItemError>>, StoreError>,
        told: impl Fn(&Item, Fate) -> Outcome,
    ) -> Result<Vec<Outcome>, StoreError> {
        let mut outcomes = Vec::with_capacity(items.len());
        let mut items = items.into_iter().peekable();
        while items.peek().is_some() {
            let batch: Vec<_> = items.by_ref().take(TOGETHER).collect();
            let good = batch.iter().filter_map(|item| item.as_ref().ok());
            let good: Vec<Item> = good.cloned().collect();
            let fates = match &good[..] {
                [] => Vec::new(),
                good => store(good)?,
            };
            let mut fates = fates.into_iter();
            outcomes.extend(batch.into_iter().map(|item| match item {
                Err(refusal) => Outcome::Refused(refusal),
                Ok(item) => match fates.next() {
                    Some(Ok(fate)) => told(&item, fate),
                    Some(Err(error)) => Outcome::Refused(error.into()),
                    None => Outcome::Others,
                },
            }));
        }
        Ok(outcomes)
    }

    fn taken(&self, item: &Item, fate: Fate) -> Outcome {
        if fate == Fate::Others {
            return Outcome::Others;
        }
        let record = record_id(item.unit.scheme, &item.unit.unit);
        Outcome::Taken {
            fate,
            receipt: self.code_key.receipt(&item.owner, &record),
            revision: self.code_key.revision(&item.owner, &record),
        }
    }

    /// Reads and checks what an owner says at `now`; without a time, units of any age are taken.
    ///
    /// # Errors
    ///
    /// The first rule that it breaks.
    pub fn item(
        &self,
        said: &Said<'_>,
        owner: &Owner,
        now: Option<u64>,
    ) -> Result<Item, ItemRefusal> {
        let scheme: Scheme = said.scheme.parse().map_err(|_| ItemRefusal::Scheme)?;
        if !self.modes.contains_key(said.zone) {
            return Err(ItemRefusal::Zone);
        }
        let zone: Zone = said.zone.parse().map_err(|_| ItemRefusal::Zone)?;
        let level: Level = said.level.parse().map_err(|_| ItemRefusal::Level)?;
        let grade = said.grade.map(|grade| match u8::try_from(grade) {
            Ok(grade @ 0..=100) => Ok(grade),
            _ => Err(ItemRefusal::Grade),
        });
        let grade = grade.transpose()?;
        let is_case = |case: &str| (1..=MAX_CODE_BYTES).contains(&case.len());
        if !said.case.is_none_or(is_case) {
            return Err(ItemRefusal::Case);
        }
        let unit = unit(scheme, said.unit, &proof::claim(owner, said.case), now)?;
        let proven = said.revision.map(|token| {
            let record = record_id(scheme, &unit);
            let right = self.code_key.revision(owner, &record);
            asked::hex32(token).is_some_and(|token| proof::same(&token, &right))
        });
        if proven == Some(false) {
            return Err(ItemRefusal::Revision);
        }
        Ok(Item {
            unit: SubmittedUnit {
                scheme,
                unit,
                key: [0; 32],
                mode: mode(self.modes, said.zone, scheme),
            },
            zone,
            level,
            grade,
            public_at: said.public_at,
            owner: *owner,
            case: said.case.map(proof::case),
            proven: proven == Some(true),
        })
    }
}

/// Reads a unit and checks it, against the clock if `now` is given. `claim` says whose report of a FANNY token it is.
pub(super) fn unit(
    scheme: Scheme,
    written: &str,
    claim: &[u8; 16],
    now: Option<u64>,
) -> Result<Vec<u8>, ItemRefusal> {
    let rules = scheme.rules().ok_or(ItemRefusal::Scheme)?;
    let mut unit = text::parse(scheme, written)?;
    if scheme == Scheme::FANNY
        && let Some((token, expiry)) = unit.split_at_checked(32)
    {
        unit = [token, claim, expiry].concat();
    }
    match now {
        Some(now) => rules.check_at(&unit, now)?,
        None => rules.check(&unit)?,
    };
    Ok(unit)
}

impl IntakeState {
    /// Takes in what a system posted. Waits for the disk.
    pub(super) fn take_of_system(&self, body: &[u8], name: &str) -> Result<Vec<Outcome>, Refusal> {
        let owner = proof::submitter(name);
        let now = (self.0.clock)();
        let taker = Taker {
            store: &self.0.store,
            code_key: &self.0.code_key,
            modes: &self.0.modes,
        };
        let said = items::<SystemItem>(body, MAX_SYSTEM_LINES)?.into_iter();
        let items = said.map(|item| taker.item(&item?.said(), &owner, Some(now)));
        Ok(taker.take(items.collect(), now)?)
    }
}
