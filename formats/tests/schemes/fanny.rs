//! `fanny.json`, and FANNY's traps.

use bellwether_formats::id::{ProviderId, Scheme};
use bellwether_formats::scheme::cx::Identifier;
use bellwether_formats::scheme::{DAY_S, Rules, fanny, record_id};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::walk::{PROVIDER, Walk, negative};

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
            let contact = fanny::Contact::of(one, other).unwrap();
            assert_eq!(contact.token, token);
            let other_way = fanny::Contact::of(other, one);
            assert_eq!(other_way, Ok(contact), "whichever comes first");
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
    let tokens = walk.take("encrypted");
    Walk::of("encrypted", tokens, encrypted);
    for case in walk.list("negative") {
        Walk::of("a case", case, |walk| {
            let Some(ids) = walk.maybe("contact_ids") else {
                negative(walk, Scheme::FANNY);
                return;
            };
            let case = walk.text("case");
            let id = |at: usize| ids[at].as_str().unwrap().parse::<Identifier>().unwrap();
            let found = fanny::Contact::of(id(0), id(1)).map_err(|error| error.rule());
            match walk.maybe("expect") {
                Some(rule) => assert_eq!(found.unwrap_err(), rule, "{case}"),
                None => assert_eq!(found.unwrap().token, walk.hex("token"), "{case}"),
            }
        });
    }
}

/// Tokens encrypted for a provider, and what is looked up for them.
fn encrypted(walk: &mut Walk) {
    walk.prose(&["rule"]);
    for case in walk.list("vectors") {
        Walk::of("an encrypted token", case, |walk| {
            let contact = contact(walk);
            assert_eq!(contact.token, walk.hex("token"));
            assert_eq!(contact.key, walk.hex("key"));
            let day = walk.number("expiry_day").try_into().unwrap();
            let value = contact.encrypted(&walk.text("provider_url"), day);
            assert_eq!(value, walk.hex("value"));
        });
    }
    for case in walk.list("look_ups") {
        Walk::of("look-ups", case, |walk| {
            walk.prose(&["contact_time"]);
            let contact = contact(walk);
            let provider: ProviderId = walk.text("provider").parse().unwrap();
            assert_eq!(fanny::url(&provider), walk.text("provider_url"));
            let mut found = Vec::new();
            let at = walk.number("contact_unix");
            fanny::Fanny.look_ups(&contact.to_bytes(), at, &provider, &mut |day, value| {
                found.push((day, HEXLOWER.encode(value)));
            });
            let expected = walk.list("expect").into_iter().map(|one| {
                let value = one["value"].as_str().unwrap().to_owned();
                (one["day"].as_u64(), value)
            });
            assert_eq!(found, expected.collect::<Vec<_>>());
            // A phone without the key looks the token up, and nothing else.
            let mut plain = Vec::new();
            fanny::Fanny.look_ups(&contact.token, at, &provider, &mut |day, value| {
                plain.push((day, HEXLOWER.encode(value)));
            });
            assert_eq!(plain, found[..1]);
        });
    }
}

fn contact(walk: &mut Walk) -> fanny::Contact {
    let ids = walk.list("contact_ids");
    let id = |at: usize| ids[at].as_str().unwrap().parse::<Identifier>().unwrap();
    fanny::Contact::of(id(0), id(1)).unwrap()
}

/// The two phones of a contact need not agree on the second, nor know the hour.
#[test]
fn what_one_phone_reports_the_other_looks_up() {
    let ids = [1, 2].map(|byte| {
        let mut id = [byte; 16];
        (id[6], id[8]) = (0x40, 0x80);
        Identifier::from_bytes(id)
    });
    let contact = fanny::Contact::of(ids[0], ids[1]).unwrap();
    let midnight = 20_000 * DAY_S;
    for hour in 0..24 {
        for second in (0..DAY_S).step_by(1799).chain([3600, 10_800, DAY_S - 1]) {
            let at = midnight + second;
            let expiry = u16::try_from(fanny::expiry_day(at, hour)).unwrap();
            let value = contact.encrypted(&fanny::url(&PROVIDER), expiry);
            for seen in [at - 600, at, at + 600] {
                let (mut found, mut count) = (false, 0);
                let observed = contact.to_bytes();
                fanny::Fanny.look_ups(&observed, seen, &PROVIDER, &mut |_, sought| {
                    found |= sought == value;
                    count += 1;
                });
                assert!(found, "reported at {at} with hour {hour}, seen at {seen}");
                assert!(count <= 3, "{count} look-ups");
            }
        }
    }
}

#[test]
fn both_holders_may_report_a_token() {
    let id = |claim| record_id(Scheme::FANNY, &fanny::unit(&[1; 32], 20_000, &[claim; 16]));
    assert_ne!(id(1), id(2), "each report is a notification of its own");
    let later = record_id(Scheme::FANNY, &fanny::unit(&[1; 32], 20_001, &[1; 16]));
    assert_eq!(id(1), later, "whatever its expiry");
}
