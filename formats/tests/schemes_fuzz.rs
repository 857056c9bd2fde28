//! Units that nobody meant well: whatever stands in one, its work and its memory are bounded by its
//! length. And dummies, which nobody can tell from what they hide.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use crate::counting::allocated;
use crate::units::{good, most};
use bellwether_formats::id::{ProviderId, Scheme};
use bellwether_formats::scheme::cx::Identifier;
use bellwether_formats::scheme::{
    Family, Rules, UnitError, Units, WantedIds, record_id, text::parse,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// Most bytes that expanding allocates, however many units there are.
const MOST_BYTES: usize = 4096;

/// Whose sealed parts are looked at.
const PROVIDER: ProviderId = ProviderId::from_bytes([7; 32]);

fn any_scheme() -> impl Strategy<Value = Scheme> {
    proptest::sample::select(Scheme::ALL.as_slice())
}

/// Does all that is done with a unit from outside, and gives how many identifiers it has.
fn all_of(rules: &dyn Rules, unit: &[u8], at: u64) -> Result<u32, TestCaseError> {
    let checked = rules.check(unit);
    if let Err(error) = checked {
        prop_assert!(UnitError::RULES.contains(&error.rule()));
    }
    prop_assert!(rules.check_at(unit, at).is_ok() <= checked.is_ok());
    prop_assert_eq!(
        record_id(rules.scheme(), unit),
        record_id(rules.scheme(), unit)
    );
    let units = Units::of(rules.width(), [unit]);
    let mut count = 0;
    let (bytes, ()) = allocated(|| {
        rules.expand(&units, &mut |number, identifier, span| {
            assert_eq!((number, span.is_some()), (0, rules.timed()));
            assert!(rules.family().takes(identifier.len()));
            count += 1;
        });
    });
    prop_assert!(bytes <= MOST_BYTES, "{} allocated", bytes);
    if let Ok(facts) = checked {
        prop_assert_eq!(count, facts.identifiers);
        prop_assert!((1..=4096).contains(&count));
        prop_assert_eq!(rules.expansion(unit), Some(count));
    }
    prop_assert_eq!(
        rules.expansion(unit).unwrap_or_default(),
        count,
        "{:?}",
        checked
    );
    Ok(count)
}

/// Every unit that differs by one bit, every one that is cut short, and some that are longer.
fn changed(unit: &[u8]) -> Vec<Vec<u8>> {
    let flipped = (0..unit.len() * 8).map(|bit| {
        let mut unit = unit.to_vec();
        unit[bit / 8] ^= 1 << (bit % 8);
        unit
    });
    let cut = (0..unit.len()).map(|len| unit[..len].to_vec());
    let longer = [0, 1, 0xff].map(|byte| [unit, &[byte]].concat());
    flipped.chain(cut).chain(longer).collect()
}

#[test]
fn a_changed_unit_is_refused_or_bounded() {
    for scheme in Scheme::ALL {
        let rules = scheme.rules().unwrap();
        let unit = good(scheme);
        let signed = scheme == Scheme::TCN;
        let (mut taken, mut refused) = (0, 0);
        for changed in changed(&unit) {
            // CX takes any bytes of its length, and each costs 2048 identifiers.
            if rules.family() != Family::Cx || changed.len() != unit.len() {
                all_of(rules, &changed, 1_728_000_000).unwrap();
            }
            match rules.check(&changed) {
                Ok(_) => taken += 1,
                Err(_) => refused += 1,
            }
        }
        assert_eq!(taken == 0, signed, "{scheme}: a signature covers every bit");
        assert!(refused > unit.len(), "{scheme}");
    }
}

#[test]
fn memory_does_not_grow_with_the_number_of_units() {
    for scheme in Scheme::ALL {
        let rules = scheme.rules().unwrap();
        let unit = most(scheme);
        let few = if rules.family() == Family::Cx { 8 } else { 100 };
        let many = Units::of(rules.width(), (0..few).map(|_| unit.as_slice()));
        let mut count = 0_usize;
        let (bytes, ()) = allocated(|| rules.expand(&many, &mut |_, _, _| count += 1));
        let each = usize::try_from(rules.check(&unit).unwrap().identifiers).unwrap();
        assert_eq!(count, few * each, "{scheme}");
        assert!(bytes <= MOST_BYTES, "{scheme}: {bytes}");
        let wanted = WantedIds::new([Identifier::from_bytes([1; 16])]);
        let (bytes, ()) = allocated(|| rules.matches(&many, &wanted, &mut |_, _, _| panic!()));
        assert!(bytes <= MOST_BYTES, "{scheme}: {bytes}");
    }
}

/// The bytes of a unit that are random: those of a key, and of what is signed or derived with it.
fn random_bytes(scheme: Scheme, unit: &[u8]) -> Vec<bool> {
    let secret = |at: usize| match scheme {
        Scheme::CX1 | Scheme::CX2 => true,
        Scheme::TCN => at < 64 || at >= unit.len() - 64,
        Scheme::DP3T_LOWCOST => at < 32,
        _ => at < 16,
    };
    (0..unit.len()).map(secret).collect()
}

/// Of the dummies for a unit, every byte that is not random is the unit's; of every other, there are
/// many values, but where the format has it otherwise for real ones too.
#[test]
fn dummies_differ_from_what_they_hide_in_random_bytes_alone() {
    let mut random = crate::common::random(8);
    for scheme in Scheme::ALL {
        let rules = scheme.rules().unwrap();
        for like in [good(scheme), most(scheme)] {
            let dummies: Vec<Vec<u8>> = (0..200)
                .map_while(|_| rules.dummy(&like, &mut random))
                .collect();
            if rules.always_sealed() {
                assert!(dummies.is_empty(), "{scheme} has no open body");
                continue;
            }
            assert_eq!(dummies.len(), 200, "{scheme}");
            for dummy in &dummies {
                assert_eq!(rules.check(dummy), rules.check(&like), "{scheme}");
                assert_ne!(record_id(scheme, dummy), record_id(scheme, &like));
            }
            for (at, random) in random_bytes(scheme, &like).into_iter().enumerate() {
                let mut values: Vec<u8> = dummies.iter().map(|dummy| dummy[at]).collect();
                values.sort_unstable();
                values.dedup();
                // The last byte of a signature is below 16, of true ones as well.
                let last = scheme == Scheme::TCN && at + 1 == like.len();
                match (random, last) {
                    (false, _) => assert_eq!(values, [like[at]], "{scheme}, byte {at}"),
                    (true, true) => assert!(values.len() > 8 && *values.last().unwrap() <= 16),
                    (true, false) => assert!(values.len() > 100, "{scheme}, byte {at}"),
                }
            }
        }
    }
}

#[test]
fn there_is_no_dummy_like_nothing() {
    for scheme in Scheme::ALL {
        let rules = scheme.rules().unwrap();
        let unit = good(scheme);
        for like in [&[][..], &unit[1..], &[unit.as_slice(), &[0]].concat()] {
            let dummy = rules.dummy(like, &mut |_| panic!("nothing to draw for"));
            assert_eq!(dummy, None, "{scheme}");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_bounded(
        scheme in any_scheme(),
        unit in vec(any::<u8>(), 0..400),
        at in any::<u64>(),
    ) {
        all_of(scheme.rules().unwrap(), &unit, at)?;
    }

    /// With the right length, numbers are what is left to lie about.
    #[test]
    fn any_numbers_are_refused_or_bounded(
        scheme in proptest::sample::select(&Scheme::ALL[2..]),
        noise in vec(any::<u8>(), 400),
        at in any::<u64>(),
    ) {
        let rules = scheme.rules().unwrap();
        let mut unit = good(scheme);
        let key = if scheme == Scheme::TCN { 64 } else { 16 };
        let numbers = unit.iter_mut().skip(key);
        numbers.zip(&noise).for_each(|(to, byte)| *to = *byte);
        all_of(rules, &unit, at)?;
        if scheme == Scheme::TCN {
            let memo = usize::from(unit[69]);
            unit.resize(134 + memo, 0);
            all_of(rules, &unit, at)?;
        }
    }

    /// Whatever was observed, and whenever: a few look-ups, of what the scheme has.
    #[test]
    fn look_ups_are_few(
        scheme in any_scheme(),
        observed in prop_oneof![vec(any::<u8>(), 16), vec(any::<u8>(), 32), vec(any::<u8>(), 0..70)],
        at in prop_oneof![any::<u64>(), 1_700_000_000..1_800_000_000_u64],
    ) {
        let rules = scheme.rules().unwrap();
        let mut days = Vec::new();
        rules.look_ups(&observed, at, &PROVIDER, &mut |day, identifier| {
            assert!(day.is_some() || !rules.timed());
            assert!(rules.family().takes(identifier.len()));
            days.push(day);
        });
        let limit = match scheme {
            Scheme::GAEN => 2,
            Scheme::FANNY => 3,
            _ => 1,
        };
        prop_assert!(days.len() <= limit);
        let known = rules.family().takes(observed.len());
        prop_assert!(days.is_empty() || known);
        let count = days.len();
        days.sort();
        days.dedup();
        prop_assert_eq!(days.len(), count, "one on each day");
    }

    #[test]
    fn any_text_is_read_or_refused(scheme in any_scheme(), text in "[0-9a-fA-F +/=-]{0,200}|\\PC{0,60}") {
        let rules = scheme.rules().unwrap();
        let (bytes, read) = allocated(|| parse(scheme, &text));
        prop_assert!(bytes <= 4096, "{} allocated", bytes);
        if let Ok(unit) = read {
            // Of tokens the claim is missing.
            prop_assert!(rules.width().takes(unit.len()) || matches!(scheme, Scheme::TCN | Scheme::FANNY));
        }
    }
}
