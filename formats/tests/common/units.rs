//! Units of every scheme.
#![allow(dead_code, reason = "each test uses some of it")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use bellwether_formats::id::Scheme;
use bellwether_formats::scheme::{dp3t, fanny, gaen, tcn};

/// A true unit of a scheme.
pub(crate) fn good(scheme: Scheme) -> Vec<u8> {
    match scheme {
        Scheme::CX1 => vec![7; 24],
        Scheme::CX2 => vec![7; 48],
        Scheme::TCN => tcn::report(&[7; 32], &[8; 32], (3, 26), 0, b"memo").unwrap(),
        Scheme::DP3T_LOWCOST => dp3t::lowcost_unit(&[7; 32], 20_000, 2),
        Scheme::DP3T_UNLINKABLE => dp3t::unlinkable_unit(1_920_000, &[7; 32]),
        Scheme::DP3T_HYBRID => dp3t::hybrid_unit(&[7; 16], 1_920_000, 16),
        Scheme::GAEN => gaen::Key {
            tek: [7; 16],
            rolling_start: 2_880_000,
            rolling_period: 144,
            transmission_risk: 0,
            days_since_onset: None,
        }
        .encode(),
        Scheme::FANNY => fanny::unit(&[7; 32], 20_010, &[8; 16]),
        other => panic!("{other}"),
    }
}

/// The unit of a scheme that stands for the most identifiers.
pub(crate) fn most(scheme: Scheme) -> Vec<u8> {
    match scheme {
        Scheme::TCN => tcn::report(&[7; 32], &[8; 32], (1, 4096), 0, b"").unwrap(),
        Scheme::DP3T_LOWCOST => dp3t::lowcost_unit(&[7; 32], 20_000, dp3t::MAX_DAYS),
        Scheme::DP3T_HYBRID => dp3t::hybrid_unit(&[7; 16], 1_920_000, dp3t::EPOCHS),
        other => good(other),
    }
}
