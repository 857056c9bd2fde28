//! DP-3T's three designs (schemes `dp3t-lowcost`, `dp3t-unlinkable`, `dp3t-hybrid`).
//!
//! An ephemeral id has 16 bytes and is broadcast for an epoch of 15 minutes; days are of UTC. What
//! is on the air does not tell the design, so an observation is tried by all three.
//!
//! | scheme | unit | stands for |
//! |---|---|---|
//! | `dp3t-lowcost` | SK(32) ‖ first day u16 ‖ days u8 | 96 ids of each day; the key of the next day follows |
//! | `dp3t-unlinkable` | H(id ‖ epoch u32)(32) ‖ epoch u32 | one id in one epoch; always sealed |
//! | `dp3t-hybrid` | seed(16) ‖ first epoch u32 ‖ epochs u8 | an id for each epoch of a window |
//!
//! Numbers are big-endian. Source: spec §7.3; DP-3T white paper of 25 May 2020.

use alloc::vec::Vec;

use aes::Aes256Enc;
use aes::cipher::{Block, BlockCipherEncrypt, KeyInit as _};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use super::{DAY_S, Facts, Family, Rules, Sink, Span, UnitError, Units, Width, bytes};
use crate::id::{ProviderId, Scheme};

/// Length of an epoch, in seconds.
pub const EPOCH_S: u64 = 900;
/// Epochs of a day.
pub const EPOCHS: u8 = 96;
/// Most days of a low-cost key: what the reference implementation keeps.
pub const MAX_DAYS: u8 = 21;

/// Rules of the low-cost design.
#[derive(Clone, Copy, Debug)]
pub struct LowCost;
/// Rules of the unlinkable design.
#[derive(Clone, Copy, Debug)]
pub struct Unlinkable;
/// Rules of the hybrid design.
#[derive(Clone, Copy, Debug)]
pub struct Hybrid;

/// The day key after `key`: H(key).
pub fn next_day(key: &[u8; 32]) -> [u8; 32] {
    Sha256::digest(key).into()
}

/// The ephemeral ids of a day key, in the order of derivation; phones broadcast them in another.
pub fn ids_of_day(key: &[u8; 32]) -> impl Iterator<Item = [u8; 16]> + use<> {
    ids(key, b"broadcast key", EPOCHS)
}

/// The ephemeral ids of a window of `epochs` epochs, 96 at most, in the order of derivation.
pub fn ids_of_window(seed: &[u8; 16], epochs: u8) -> impl Iterator<Item = [u8; 16]> + use<> {
    ids(seed, b"DP3T-HYBRID", epochs)
}

/// AES-256 in counter mode from 0, under HMAC-SHA-256(key, label): cut into ids, 96 at most. They are
/// made at once: side by side, the processor makes them several times as fast.
fn ids(key: &[u8], label: &[u8], count: u8) -> impl Iterator<Item = [u8; 16]> + use<> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(label);
    let cipher = Aes256Enc::new(&mac.finalize().into_bytes());
    let count = usize::from(count.min(EPOCHS));
    let mut blocks = [Block::<Aes256Enc>::default(); 96];
    for (counter, block) in (0_u128..).zip(&mut blocks) {
        *block = counter.to_be_bytes().into();
    }
    if let Some(used) = blocks.get_mut(..count) {
        cipher.encrypt_blocks(used);
    }
    blocks.into_iter().take(count).map(Into::into)
}

/// The ephemeral id of an epoch's seed, in the unlinkable design: H(seed), 16 bytes of it.
pub fn id_of_seed(seed: &[u8; 32]) -> [u8; 16] {
    bytes(&Sha256::digest(seed), 0)
}

/// What the unlinkable design keeps of an id that is observed: H(id ‖ epoch).
pub fn hashed(id: &[u8; 16], epoch: u32) -> [u8; 32] {
    let hash = Sha256::new().chain_update(id);
    hash.chain_update(epoch.to_be_bytes()).finalize().into()
}

/// The unit of the unlinkable design for an epoch and its seed. Who submits shows the seed, so that
/// nobody claims the ids of others.
pub fn unlinkable_unit(epoch: u32, seed: &[u8; 32]) -> Vec<u8> {
    let mut unit = hashed(&id_of_seed(seed), epoch).to_vec();
    unit.extend(epoch.to_be_bytes());
    unit
}

/// The unit of the low-cost design.
pub fn lowcost_unit(key: &[u8; 32], first_day: u16, days: u8) -> Vec<u8> {
    let mut unit = key.to_vec();
    unit.extend(first_day.to_be_bytes());
    unit.push(days);
    unit
}

/// The unit of the hybrid design.
pub fn hybrid_unit(seed: &[u8; 16], first_epoch: u32, epochs: u8) -> Vec<u8> {
    let mut unit = seed.to_vec();
    unit.extend(first_epoch.to_be_bytes());
    unit.push(epochs);
    unit
}

/// Some epochs from `first` on.
fn epochs(first: u64, count: u64) -> Span {
    Span::new(first * EPOCH_S, (first + count) * EPOCH_S)
}

/// What is known of a unit whose identifiers are broadcast in `period`: the key of a day that is not
/// over waits until nobody can broadcast its identifiers any more.
const fn facts(identifiers: u32, period: Span) -> Facts {
    Facts {
        identifiers,
        publish_from: period.to,
        period: Some(period),
    }
}

fn length(unit: &[u8], expected: usize) -> Result<(), UnitError> {
    let found = unit.len();
    if found != expected {
        return Err(UnitError::Length { found, expected });
    }
    Ok(())
}

impl LowCost {
    const WIDTH: usize = 35;

    /// First day, and how many.
    fn days(unit: &[u8]) -> (u16, u8) {
        let [days] = bytes(unit, 34);
        (u16::from_be_bytes(bytes(unit, 32)), days)
    }
}

impl Rules for LowCost {
    fn scheme(&self) -> Scheme {
        Scheme::DP3T_LOWCOST
    }

    fn family(&self) -> Family {
        Family::Dp3t
    }

    fn width(&self) -> Width {
        Width::Fixed(Self::WIDTH)
    }

    fn timed(&self) -> bool {
        true
    }

    fn check(&self, unit: &[u8]) -> Result<Facts, UnitError> {
        length(unit, Self::WIDTH)?;
        let (first, days) = Self::days(unit);
        if !(1..=MAX_DAYS).contains(&days) {
            return Err(UnitError::Days { found: days });
        }
        let from = u64::from(first) * DAY_S;
        let period = Span::new(from, from + u64::from(days) * DAY_S);
        Ok(facts(u32::from(days) * u32::from(EPOCHS), period))
    }

    fn key_material<'a>(&self, unit: &'a [u8]) -> &'a [u8] {
        unit.get(..32).unwrap_or(unit)
    }

    fn expand(&self, units: &Units, sink: &mut Sink<'_>) {
        for (number, unit) in units.iter().enumerate() {
            if self.check(unit).is_err() {
                continue;
            }
            let mut key = bytes(unit, 0);
            let (first, days) = Self::days(unit);
            for day in (u64::from(first)..).take(days.into()) {
                let span = Span::new(day * DAY_S, (day + 1) * DAY_S);
                for id in ids_of_day(&key) {
                    sink(number, &id, Some(span));
                }
                key = next_day(&key);
            }
        }
    }

    fn look_ups(
        &self,
        observed: &[u8],
        at: u64,
        _: &ProviderId,
        sink: &mut dyn FnMut(Option<u64>, &[u8]),
    ) {
        if observed.len() == 16 {
            sink(Some(at / DAY_S), observed);
        }
    }

    fn dummy(&self, like: &[u8], random: &mut dyn FnMut(&mut [u8])) -> Option<Vec<u8>> {
        self.check(like).ok()?;
        let (first, days) = Self::days(like);
        let mut key = [0; 32];
        random(&mut key);
        Some(lowcost_unit(&key, first, days))
    }
}

impl Unlinkable {
    const WIDTH: usize = 36;
}

impl Rules for Unlinkable {
    fn scheme(&self) -> Scheme {
        Scheme::DP3T_UNLINKABLE
    }

    fn family(&self) -> Family {
        Family::Dp3t
    }

    fn width(&self) -> Width {
        Width::Fixed(Self::WIDTH)
    }

    fn always_sealed(&self) -> bool {
        true
    }

    fn check(&self, unit: &[u8]) -> Result<Facts, UnitError> {
        length(unit, Self::WIDTH)?;
        let epoch = u32::from_be_bytes(bytes(unit, 32));
        Ok(facts(1, epochs(epoch.into(), 1)))
    }

    fn expand(&self, units: &Units, sink: &mut Sink<'_>) {
        for (number, unit) in units.iter().enumerate() {
            if let Some(hash) = unit.get(..32) {
                sink(number, hash, None);
            }
        }
    }

    /// With the epoch of the observation, and no other: an id that is heard later is a replay.
    fn look_ups(
        &self,
        observed: &[u8],
        at: u64,
        _: &ProviderId,
        sink: &mut dyn FnMut(Option<u64>, &[u8]),
    ) {
        match (observed.try_into(), u32::try_from(at / EPOCH_S)) {
            (Ok(id), Ok(epoch)) => sink(None, &hashed(id, epoch)),
            _ if observed.len() == 32 => sink(None, observed),
            _ => {}
        }
    }

    fn dummy(&self, _: &[u8], _: &mut dyn FnMut(&mut [u8])) -> Option<Vec<u8>> {
        None
    }
}

impl Hybrid {
    const WIDTH: usize = 21;

    /// First epoch, and how many.
    fn window(unit: &[u8]) -> (u32, u8) {
        let [count] = bytes(unit, 20);
        (u32::from_be_bytes(bytes(unit, 16)), count)
    }
}

impl Rules for Hybrid {
    fn scheme(&self) -> Scheme {
        Scheme::DP3T_HYBRID
    }

    fn family(&self) -> Family {
        Family::Dp3t
    }

    fn width(&self) -> Width {
        Width::Fixed(Self::WIDTH)
    }

    fn timed(&self) -> bool {
        true
    }

    fn check(&self, unit: &[u8]) -> Result<Facts, UnitError> {
        length(unit, Self::WIDTH)?;
        let (first, count) = Self::window(unit);
        let in_day = first % u32::from(EPOCHS);
        if count == 0 || in_day + u32::from(count) > u32::from(EPOCHS) {
            return Err(UnitError::Window { found: count });
        }
        Ok(facts(count.into(), epochs(first.into(), count.into())))
    }

    fn key_material<'a>(&self, unit: &'a [u8]) -> &'a [u8] {
        unit.get(..16).unwrap_or(unit)
    }

    fn expand(&self, units: &Units, sink: &mut Sink<'_>) {
        for (number, unit) in units.iter().enumerate() {
            if self.check(unit).is_err() {
                continue;
            }
            let (first, count) = Self::window(unit);
            let span = epochs(first.into(), count.into());
            for id in ids_of_window(&bytes(unit, 0), count) {
                sink(number, &id, Some(span));
            }
        }
    }

    fn look_ups(
        &self,
        observed: &[u8],
        at: u64,
        provider: &ProviderId,
        sink: &mut dyn FnMut(Option<u64>, &[u8]),
    ) {
        LowCost.look_ups(observed, at, provider, sink);
    }

    fn dummy(&self, like: &[u8], random: &mut dyn FnMut(&mut [u8])) -> Option<Vec<u8>> {
        self.check(like).ok()?;
        let (first, count) = Self::window(like);
        let mut seed = [0; 16];
        random(&mut seed);
        Some(hybrid_unit(&seed, first, count))
    }
}
