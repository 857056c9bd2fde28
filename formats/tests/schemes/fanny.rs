//! `fanny.json`, and FANNY's traps.

use bellwether_formats::id::Scheme;
use bellwether_formats::scheme::cx::Identifier;
use bellwether_formats::scheme::{DAY_S, fanny, record_id};
use sha2::{Digest, Sha256};

use crate::walk::{Walk, negative};

pub(crate) fn check(walk: &mut Walk) {
    assert_eq!(walk.text("scheme"), "fanny");
    walk.prose(&["about", "source"]);
    for token in walk.list("tokens") {
        Walk::of("a token", token, |walk| {
            let ids = ["contact_id_1", "contact_id_2"].map(|id| walk.text(id));
            let mut sorted = ids.clone();
            sorted.sort();
            assert_eq!(walk.text("sorted_concat"), sorted.concat());
            let [one, other] = ids.map(|id| id.parse::<Identifier>().unwrap());
            let token = walk.hex::<32>("token");
            assert_eq!(fanny::token(one, other), Ok(token));
            assert_eq!(fanny::token(other, one), Ok(token), "whichever comes first");
            let raw = Sha256::new().chain_update(one.min(other).as_bytes());
            let raw: [u8; 32] = raw
                .chain_update(one.max(other).as_bytes())
                .finalize()
                .into();
            assert_eq!(walk.hex::<32>("not_this"), raw);
            assert_ne!(raw, token);
        });
    }
    let expiry = walk.take("expiry");
    Walk::of("expiry", expiry, |walk| {
        walk.prose(&["rule"]);
        for case in walk.list("vectors") {
            Walk::of("an expiry", case, |walk| {
                walk.prose(&["contact_time", "expires"]);
                let (at, hour) = (walk.number("contact_unix"), walk.number("fixed_hour_utc"));
                let day = fanny::expiry_day(at, u8::try_from(hour).unwrap());
                assert_eq!(day, walk.number("expiry_day_number"));
                let expires = day * DAY_S + hour * 3600;
                assert_eq!(expires, walk.number("expires_unix"));
                assert!((15 * DAY_S..16 * DAY_S).contains(&(expires - at)));
            });
        }
    });
    for case in walk.list("negative") {
        Walk::of("a case", case, |walk| {
            let Some(ids) = walk.maybe("contact_ids") else {
                negative(walk, Scheme::FANNY);
                return;
            };
            let case = walk.text("case");
            let id = |at: usize| ids[at].as_str().unwrap().parse::<Identifier>().unwrap();
            let found = fanny::token(id(0), id(1)).map_err(|error| error.rule());
            match walk.maybe("expect") {
                Some(rule) => assert_eq!(found.unwrap_err(), rule, "{case}"),
                None => assert_eq!(found, Ok(walk.hex("token")), "{case}"),
            }
        });
    }
}

#[test]
fn both_holders_may_report_a_token() {
    let id = |claim| record_id(Scheme::FANNY, &fanny::unit(&[1; 32], 20_000, &[claim; 16]));
    assert_ne!(id(1), id(2), "each report is a notification of its own");
    let later = record_id(Scheme::FANNY, &fanny::unit(&[1; 32], 20_001, &[1; 16]));
    assert_eq!(id(1), later, "whatever its expiry");
}
