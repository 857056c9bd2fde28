//! A unit of each scheme, and when one of its identifiers can be observed.

use bellwether_formats::id::Scheme;
use bellwether_formats::scheme::cx::{Generator, Identifier, Seed};
use bellwether_formats::scheme::{dp3t, fanny, gaen, tcn};

use super::*;

/// A day of UTC, counted from 1970-01-01: yesterday in these tests.
const YESTERDAY: u64 = 20_777;
/// Midnight between yesterday and today.
pub(super) const MIDNIGHT: u64 = (YESTERDAY + 1) * DAY_S;
/// The clock: noon of today.
pub(super) const NOW: u64 = MIDNIGHT + DAY_S / 2;
/// When batches are published.
pub(super) const AT: u64 = NOW - 300;

/// A unit and an identifier of it.
#[derive(Clone)]
pub(super) struct Sample {
    pub(super) scheme: Scheme,
    pub(super) unit: Vec<u8>,
    pub(super) id: ContactId,
    /// First second at which the identifier matches, and the second after the last.
    pub(super) times: (u64, u64),
}

impl Sample {
    pub(super) fn family(&self) -> Family {
        self.scheme.rules().unwrap().family()
    }

    pub(super) fn seen(&self, at: u64) -> Observation {
        Observation {
            id: self.id,
            at,
            family: self.family(),
        }
    }

    /// Observed at both edges of its times, from inside.
    pub(super) fn inside(&self) -> Vec<Observation> {
        let (from, to) = self.times;
        vec![self.seen(from), self.seen(to - 1)]
    }

    /// Observed at both edges of its times, from outside.
    pub(super) fn outside(&self) -> Vec<Observation> {
        let (from, to) = self.times;
        vec![self.seen(from - 1), self.seen(to)]
    }

    /// Observed when it matches, but another identifier.
    pub(super) fn stranger(&self) -> Observation {
        let mut bytes = self.id.as_bytes().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        Observation {
            id: ContactId::new(&bytes).unwrap(),
            ..self.inside()[0]
        }
    }

    pub(super) fn can_be_open(&self) -> bool {
        !self.scheme.rules().unwrap().always_sealed()
    }
}

/// At least one of each scheme; several where edges differ.
pub(super) fn samples() -> Vec<Sample> {
    let samples = vec![
        cx(Scheme::CX1, Generator::Aes128),
        cx(Scheme::CX2, Generator::Aes256),
        tcn(),
        lowcost(),
        unlinkable(),
        unlinkable_as_kept(),
        hybrid(),
        // The first interval of yesterday, an inner one, and the last.
        gaen(0),
        gaen(100),
        gaen(143),
        fanny(),
        fanny_encrypted(),
    ];
    let schemes = samples.iter().map(|sample| sample.scheme);
    assert_eq!(schemes.collect::<BTreeSet<_>>().len(), Scheme::ALL.len());
    samples
}

/// Whatever has no times of its own matches in the part's window, until it is public.
const WINDOW: (u64, u64) = (AT - WINDOW_S, AT);

fn cx(scheme: Scheme, generator: Generator) -> Sample {
    let unit = vec![7; generator.seed_len()];
    let seed = Seed::new(generator, &unit).unwrap();
    let id = seed.identifiers().last().unwrap();
    Sample {
        scheme,
        unit,
        id: (*id.as_bytes()).into(),
        times: WINDOW,
    }
}

/// A report for the numbers 3 to 26, with a memo.
pub(super) fn tcn() -> Sample {
    let rak = [7; 32];
    let rvk = ed25519_dalek::SigningKey::from_bytes(&rak)
        .verifying_key()
        .to_bytes();
    let mut keys = vec![tcn::first_key(&rak)];
    for number in 0..26 {
        keys.push(tcn::next_key(&rvk, &keys[number]));
    }
    Sample {
        scheme: Scheme::TCN,
        unit: tcn::report(&rak, &keys[2], (3, 26), 2, b"memo").unwrap(),
        id: tcn::number(26, &keys[26]).into(),
        times: WINDOW,
    }
}

/// A key of two days, the second of which is yesterday.
fn lowcost() -> Sample {
    let key = [7; 32];
    let first = u16::try_from(YESTERDAY - 1).unwrap();
    let id = dp3t::ids_of_day(&dp3t::next_day(&key)).last().unwrap();
    Sample {
        scheme: Scheme::DP3T_LOWCOST,
        unit: dp3t::lowcost_unit(&key, first, 2),
        id: id.into(),
        times: (MIDNIGHT - DAY_S, MIDNIGHT),
    }
}

fn unlinkable() -> Sample {
    let seed = [7; 32];
    let epoch = MIDNIGHT / 900 - 7;
    Sample {
        scheme: Scheme::DP3T_UNLINKABLE,
        unit: dp3t::unlinkable_unit(u32::try_from(epoch).unwrap(), &seed),
        id: dp3t::id_of_seed(&seed).into(),
        times: (epoch * 900, (epoch + 1) * 900),
    }
}

/// As a device keeps it that hashes what it hears: the epoch is in the hash.
fn unlinkable_as_kept() -> Sample {
    let plain = unlinkable();
    let hash: [u8; 32] = plain.unit[..32].try_into().unwrap();
    Sample {
        id: hash.into(),
        times: WINDOW,
        ..plain
    }
}

/// The last window of yesterday: 8 epochs.
fn hybrid() -> Sample {
    let seed = [7; 16];
    let first = MIDNIGHT / 900 - 8;
    let id = dp3t::ids_of_window(&seed, 8).next().unwrap();
    Sample {
        scheme: Scheme::DP3T_HYBRID,
        unit: dp3t::hybrid_unit(&seed, u32::try_from(first).unwrap(), 8),
        id: id.into(),
        times: (first * 900, MIDNIGHT),
    }
}

pub(super) fn gaen_key() -> gaen::Key {
    gaen::Key {
        tek: [7; 16],
        rolling_start: u32::try_from(YESTERDAY * 144).unwrap(),
        rolling_period: 144,
        transmission_risk: 3,
        days_since_onset: Some(-2),
    }
}

/// Yesterday's key; the identifier of an interval matches from 2 hours before it to 2 hours after.
pub(super) fn gaen(interval: usize) -> Sample {
    let (number, id) = gaen_key().identifiers().nth(interval).unwrap();
    let begins = u64::from(number) * 600;
    Sample {
        scheme: Scheme::GAEN,
        unit: gaen_key().encode(),
        id: id.into(),
        times: (begins - 7200, begins + 600 + 7200),
    }
}

fn contact() -> fanny::Contact {
    let id = |text: &str| text.parse::<Identifier>().unwrap();
    let one = id("3945351c-e433-46e6-bd42-316e0efe5d16");
    let other = id("3945351c-e433-46e6-bd42-316e0efe5d17");
    fanny::Contact::of(one, other).unwrap()
}

fn fanny() -> Sample {
    let token = contact().token;
    let expiry = u16::try_from(YESTERDAY + 14).unwrap();
    Sample {
        scheme: Scheme::FANNY,
        unit: fanny::unit(&token, expiry, &[9; 16]),
        id: token.into(),
        times: WINDOW,
    }
}

/// A token that was encrypted for the provider. It matches when the contact was so that the token
/// could expire on that day: by an hour that is not known, and clocks that differ by 10 minutes.
fn fanny_encrypted() -> Sample {
    let provider = World::at(NOW).provider.id();
    let expiry = u16::try_from(YESTERDAY + 15).unwrap();
    let value = contact().encrypted(&fanny::url(&provider), expiry);
    Sample {
        scheme: Scheme::FANNY,
        unit: fanny::unit(&value, expiry, &[9; 16]),
        id: contact().to_bytes().into(),
        times: (
            (YESTERDAY - 1) * DAY_S - 600 + 1,
            YESTERDAY * DAY_S + 23 * 3600 + 600 + 1,
        ),
    }
}
