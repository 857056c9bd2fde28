//! Units of every scheme, invented.

use bellwether_formats::id::Scheme;
use bellwether_formats::scheme::{DAY_S, Facts, Span, dp3t, fanny, gaen, tcn};

use super::fixture::NOW;
use crate::store::{Mode, SubmittedUnit};

/// A unit of a scheme whose identifiers were broadcast yesterday, if it is bound to times.
pub(crate) fn unit(scheme: Scheme, which: u8) -> Vec<u8> {
    let yesterday = NOW / DAY_S - 1;
    let day = u16::try_from(yesterday).unwrap();
    let number = |time: u64| u32::try_from(time).unwrap();
    let epoch = number(yesterday * DAY_S / dp3t::EPOCH_S) + 40;
    match scheme {
        Scheme::CX1 => vec![which; 24],
        Scheme::CX2 => vec![which; 48],
        Scheme::TCN => tcn::report(&[which; 32], &[3; 32], (5, 28), 0, b"memo").unwrap(),
        Scheme::DP3T_LOWCOST => dp3t::lowcost_unit(&[which; 32], day - 2, 3),
        Scheme::DP3T_UNLINKABLE => dp3t::unlinkable_unit(epoch, &[which; 32]),
        Scheme::DP3T_HYBRID => dp3t::hybrid_unit(&[which; 16], epoch, 8),
        Scheme::GAEN => key(which).encode(),
        Scheme::FANNY => fanny::unit(&[which; 32], day + 10, &[1; 16]),
        other => panic!("{other}"),
    }
}

pub(crate) fn key(which: u8) -> gaen::Key {
    let yesterday = NOW / DAY_S - 1;
    gaen::Key {
        tek: [which; 16],
        rolling_start: u32::try_from(yesterday * DAY_S / gaen::INTERVAL_S).unwrap(),
        rolling_period: 144,
        transmission_risk: 3,
        days_since_onset: Some(-2),
    }
}

pub(crate) fn submitted(scheme: Scheme, which: u8, mode: Mode) -> SubmittedUnit {
    SubmittedUnit {
        scheme,
        unit: unit(scheme, which),
        key: [0; 32],
        mode,
    }
}

#[test]
fn they_are_units() {
    for scheme in Scheme::ALL {
        let facts = scheme.rules().unwrap().check_at(&unit(scheme, 7), NOW);
        let Facts {
            publish_from,
            period,
            ..
        } = facts.unwrap();
        assert!(publish_from <= NOW, "{scheme}");
        assert!(period.is_none_or(|Span { to, .. }| to <= NOW), "{scheme}");
    }
}
