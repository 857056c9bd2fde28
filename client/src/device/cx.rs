//! CX's advertiser: it hands out the identifiers of one seed after another, and makes the seed report
//! that its user sends in with a confirmation code.
//!
//! Source: spec §7.1, §10.2.

mod der;
mod report;

#[cfg(test)]
mod tests;

use bellwether_formats::scheme::cx::{self, Generator, Identifier, Seed};
use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

use super::Random;
use crate::observations::ContactId;

pub(super) use report::check_code;
pub use report::{ReportError, SeedDescriptor, seed_report};

/// Most seeds that a device remembers after it stopped broadcasting them.
///
/// At 15 minutes an identifier a seed lasts three weeks; and a report of all of them stays below
/// the intake's 64 descriptors.
pub(super) const MAX_PAST_SEEDS: usize = 15;

/// A phone that broadcasts CX identifiers.
///
/// Seeds are derived from random pre-seeds and one pre-seed signing key. The key stays when the
/// seed changes: it lets a user add seeds under a code that was already used up, and is never
/// published.
#[derive(Clone)]
pub struct Device {
    pub(super) generator: Generator,
    pub(super) key: SigningKey,
    /// What is broadcast now.
    pub(super) current: Preseed,
    /// Identifiers of the current seed that were handed out.
    pub(super) handed_out: usize,
    /// What was broadcast before and is not known to be accepted by a publisher; oldest first.
    pub(super) past: Vec<Preseed>,
}

/// A pre-seed, of the generator's length.
pub(super) type Preseed = Zeroizing<Vec<u8>>;

impl Device {
    /// Random bytes that [`new`](Self::new) needs: a signing key, then a pre-seed.
    pub const NEW_BYTES: usize = 32 + Generator::MAX_SEED_BYTES;

    /// A new device. `random` must be fresh: who knows it can report in the user's name.
    pub fn new(generator: Generator, random: &[u8; Self::NEW_BYTES]) -> Self {
        let (key, preseed) = random
            .split_first_chunk()
            .expect("a device takes more bytes than a key");
        Self {
            generator,
            key: SigningKey::from_bytes(key),
            current: cut(generator, preseed),
            handed_out: 0,
            past: Vec::new(),
        }
    }

    /// What the device derives its identifiers with.
    pub const fn generator(&self) -> Generator {
        self.generator
    }

    /// The current seed.
    pub fn seed(&self) -> Seed {
        self.derive(&self.current)
    }

    /// The current seed's identifier number `number`, from 1; `None` past the last.
    ///
    /// A look only: [`take_identifiers`](Self::take_identifiers) is for broadcasting.
    pub fn identifier(&self, number: usize) -> Option<Identifier> {
        self.seed().identifiers().nth(number.checked_sub(1)?)
    }

    /// Hands out the next `count` identifiers; fewer (at last none) when the seed ends.
    ///
    /// Then it is time to [`renew`](Self::renew). Save the device before broadcasting them.
    pub fn take_identifiers(&mut self, count: usize) -> Vec<Identifier> {
        let identifiers: Vec<_> = (self.seed().identifiers())
            .skip(self.handed_out)
            .take(count)
            .collect();
        self.handed_out = self.handed_out.saturating_add(identifiers.len());
        identifiers
    }

    /// Takes a fresh seed; the one before will be in the next report.
    ///
    /// `random` must be fresh; a shorter pre-seed takes the first bytes of it. Of too many seeds
    /// (16) the oldest is forgotten.
    pub fn renew(&mut self, random: &[u8; Generator::MAX_SEED_BYTES]) {
        let fresh = cut(self.generator, random);
        self.past.push(std::mem::replace(&mut self.current, fresh));
        self.handed_out = 0;
        let surplus = self.past.len().saturating_sub(MAX_PAST_SEEDS);
        self.past.drain(..surplus);
    }

    /// Makes the seed report of everything broadcast so far, and takes a fresh seed.
    ///
    /// CX forbids to broadcast a reported seed further, so the device can no longer hand out its
    /// identifiers. Save the device before sending the report. A report that was refused (a
    /// mistyped code) is made anew, with the same seeds, by calling this again; after an accepted
    /// one call [`accepted`](Self::accepted).
    ///
    /// # Errors
    ///
    /// [`ReportError`] if the publisher's name or the code is too long; nothing changes then.
    pub fn report(
        &mut self,
        publisher: &str,
        code: &str,
        random: &[u8; Generator::MAX_SEED_BYTES],
    ) -> Result<Vec<u8>, ReportError> {
        let report = seed_report(&self.descriptors(), publisher, code)?;
        if self.reports_current() {
            self.renew(random);
        }
        Ok(report)
    }

    /// What a report shows of this device: its past seeds and the current one.
    ///
    /// For a report over several devices; each must then [`renew`](Self::renew).
    pub fn descriptors(&self) -> Vec<SeedDescriptor<'_>> {
        let current = self.reports_current().then_some(&self.current);
        (self.past.iter().chain(current))
            .map(|preseed| SeedDescriptor {
                generator: self.generator,
                preseed,
                key: &self.key,
            })
            .collect()
    }

    /// Forgets the reported seeds: their publisher has them.
    pub fn accepted(&mut self) {
        self.past.clear();
    }

    /// A seed of which nothing was broadcast is left out, if there is another: a report that is
    /// made again does not grow.
    const fn reports_current(&self) -> bool {
        self.handed_out > 0 || self.past.is_empty()
    }

    fn derive(&self, preseed: &[u8]) -> Seed {
        let key = report::public_key(&self.key);
        cx::calculate_seed(self.generator, preseed, &key)
            .expect("a pre-seed of the generator's length and a key of 44 bytes")
    }
}

/// The next `count` identifiers of a device, with fresh seeds as they are needed.
pub(super) fn ids(device: &mut Device, count: usize, random: &mut Random<'_>) -> Vec<ContactId> {
    let mut ids = Vec::new();
    while ids.len() < count {
        let next = device.take_identifiers(count - ids.len());
        if next.is_empty() {
            let mut fresh = Zeroizing::new([0; Generator::MAX_SEED_BYTES]);
            random(fresh.as_mut_slice());
            device.renew(&fresh);
        }
        ids.extend(next.iter().map(|id| ContactId::from(*id.as_bytes())));
    }
    ids
}

/// The first bytes of `random`, as many as a pre-seed has.
fn cut(generator: Generator, random: &[u8]) -> Preseed {
    let bytes = random.iter().copied().take(generator.seed_len());
    Zeroizing::new(bytes.collect())
}

/// Shows no secret.
impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device")
            .field("generator", &self.generator)
            .field("handed_out", &self.handed_out)
            .field("past", &self.past.len())
            .finish_non_exhaustive()
    }
}
