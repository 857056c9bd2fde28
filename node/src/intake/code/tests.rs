use std::collections::HashSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::guesses::{
    Guesses, MAX_PREFIXES, PREFIX_BURST, PREFIX_REFILL, Refused, TOTAL_BURST, TOTAL_REFILL,
};
use super::*;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The n-th of many addresses that have nothing in common.
fn nth(n: u32) -> IpAddr {
    IpAddr::from(n.to_be_bytes())
}

#[expect(
    clippy::disallowed_methods,
    reason = "an arbitrary origin; nothing waits"
)]
fn start() -> Instant {
    Instant::now()
}

#[test]
fn codes_have_their_form_and_every_digit() {
    assert_eq!(generate([0; 16]), "0000-0000-0000-0000");
    assert_eq!(
        generate((12_340_056_000_078_u128).to_be_bytes()),
        "0012-3400-5600-0078"
    );
    // 2^128 - 1 = …768211455 modulo 10^16
    assert_eq!(generate([0xff; 16]), "4607-4317-6821-1455");

    let mut seen: [HashSet<char>; 19] = std::array::from_fn(|_| HashSet::new());
    for n in 0..500_u32 {
        let random = Sha256::digest(n.to_be_bytes());
        let code = generate(random[..16].try_into().unwrap());
        assert_eq!(import(code.as_bytes()), Ok(code.as_str()));
        for (place, digit) in code.chars().enumerate() {
            seen[place].insert(digit);
        }
    }
    for (place, digits) in seen.iter().enumerate() {
        let expected = if place % 5 == 4 { 1 } else { 10 };
        assert_eq!(digits.len(), expected, "place {place}");
    }
}

#[test]
fn imported_codes_are_taken_as_they_are_or_refused_by_name() {
    let longest = "x".repeat(64);
    for code in [
        "7",
        " a b ",
        "код-42",
        "a\0b",
        "\u{e9}",
        "e\u{301}",
        &longest,
    ] {
        assert_eq!(import(code.as_bytes()), Ok(code));
    }
    let too_long = "é".repeat(33);
    for (code, rule) in [
        (&b""[..], "code-length"),
        (too_long.as_bytes(), "code-length"),
        (b"12\n34", "code-newline"),
        (b"1234\r", "code-newline"),
        (b"\xff\xfe", "code-utf8"),
    ] {
        assert_eq!(import(code).unwrap_err().rule(), rule, "{code:?}");
    }
}

#[test]
fn hashes_depend_on_every_byte_of_code_and_key() {
    let key = CodeKey::new(&[7; 32]);
    assert_eq!(key.hash("1234"), CodeKey::new(&[7; 32]).hash("1234"));
    for other in ["1235", "01234", "", "1234\0", "1234a", "1234."] {
        assert_ne!(key.hash("1234"), key.hash(other), "{other:?}");
    }
    assert_ne!(key.hash("1234"), CodeKey::new(&[8; 32]).hash("1234"));

    // RFC 4231 test case 6 has a longer key; this is HMAC-SHA-256 with 32 bytes of 0x0b.
    let hash = CodeKey::new(&[0x0b; 32]).hash("Hi There");
    let hex = data_encoding::HEXLOWER.encode(hash.as_bytes());
    assert_eq!(
        hex,
        "198a607eb44bfbc69903a0f1cf2bbdc5ba0aa3f3d9ae3c1c7a3b1696a0b68cf7"
    );
    assert_eq!(CodeHash::from_bytes(*hash.as_bytes()), hash);
    assert_eq!(format!("{hash:?} {key:?}"), "CodeHash(..) CodeKey(..)");
}

#[test]
fn a_code_of_digits_is_the_same_however_it_is_typed() {
    let key = CodeKey::new(&[7; 32]);
    let code = generate([0xff; 16]);
    assert_eq!(code, "4607-4317-6821-1455");
    for typed in [
        "4607431768211455",
        "4607 4317 6821 1455",
        " 46074317 68211455 ",
        "4607\u{2011}4317\u{2013}6821\u{2212}1455",
        "4607\u{a0}4317\u{202f}6821\u{2007}1455\n",
        "-4607--4317-6821-1455",
    ] {
        assert_eq!(key.hash(&code), key.hash(typed), "{typed:?}");
    }
    for other in [
        "4607-4317-6821-1456",
        "460743176821145",
        "4607_4317_6821_1455",
        "4607-4317-6821-145\u{ff15}",
    ] {
        assert_ne!(key.hash(&code), key.hash(other), "{other:?}");
    }
}

#[test]
fn a_code_with_a_letter_or_without_a_digit_is_compared_byte_by_byte() {
    let key = CodeKey::new(&[7; 32]);
    let codes = ["A1-B2", "A1B2", "A1 B2", "A1-B2 ", "a1-b2", "-", "--", " "];
    for (at, one) in codes.iter().enumerate() {
        for other in &codes[at + 1..] {
            assert_ne!(key.hash(one), key.hash(other), "{one:?} {other:?}");
        }
    }
}

#[test]
fn a_prefix_guesses_its_burst_then_one_a_refill() {
    let now = start();
    let mut guesses = Guesses::new(now);
    let from = address("192.0.2.1");
    for _ in 0..PREFIX_BURST {
        assert_eq!(guesses.check(from, now), Ok(()));
        guesses.failed(from, now);
    }
    assert_eq!(
        guesses.check(from, now),
        Err(Refused {
            retry_after: PREFIX_REFILL
        })
    );
    assert_eq!(guesses.check(address("192.0.2.2"), now), Ok(()));

    let almost = now + PREFIX_REFILL - Duration::from_millis(1);
    let one_second = Refused {
        retry_after: Duration::from_secs(1),
    };
    assert_eq!(guesses.check(from, almost), Err(one_second));
    let later = now + PREFIX_REFILL;
    assert_eq!(guesses.check(from, later), Ok(()));
    guesses.failed(from, later);
    assert!(guesses.check(from, later).is_err());

    let full = later + PREFIX_REFILL * PREFIX_BURST;
    for _ in 0..PREFIX_BURST {
        assert_eq!(guesses.check(from, full), Ok(()));
        guesses.failed(from, full);
    }
    assert!(guesses.check(from, full).is_err());
}

#[test]
fn checking_counts_nothing() {
    let now = start();
    let guesses = Guesses::new(now);
    for _ in 0..10 * TOTAL_BURST {
        assert_eq!(guesses.check(address("192.0.2.1"), now), Ok(()));
    }
}

#[test]
fn an_ipv6_network_and_a_mapped_address_are_one_guesser() {
    let now = start();
    let mut guesses = Guesses::new(now);
    for host in 0..PREFIX_BURST {
        guesses.failed(address(&format!("2001:db8:1:2::{host:x}")), now);
        guesses.failed(address("::ffff:192.0.2.1"), now);
    }
    assert!(guesses.check(address("2001:db8:1:2:ffff::1"), now).is_err());
    assert_eq!(guesses.check(address("2001:db8:1:3::1"), now), Ok(()));
    assert!(guesses.check(address("192.0.2.1"), now).is_err());
}

#[test]
fn failures_beyond_the_limit_do_not_lengthen_the_wait() {
    let now = start();
    let mut guesses = Guesses::new(now);
    let from = address("192.0.2.1");
    for _ in 0..5 * PREFIX_BURST {
        guesses.failed(from, now);
    }
    assert_eq!(guesses.check(from, now + PREFIX_REFILL), Ok(()));
}

#[test]
fn the_total_holds_whatever_the_addresses_and_comes_back() {
    let now = start();
    let mut guesses = Guesses::new(now);
    for n in 0..TOTAL_BURST {
        assert_eq!(guesses.check(nth(n), now), Ok(()));
        guesses.failed(nth(n), now);
    }
    assert!(guesses.check(nth(TOTAL_BURST), now).is_err());
    assert_eq!(guesses.check(nth(TOTAL_BURST), now + TOTAL_REFILL), Ok(()));
    assert_eq!(guesses.remembered(), MAX_PREFIXES);
}

#[test]
fn the_table_is_bounded_and_forgets_the_fullest_first() {
    let now = start();
    let mut guesses = Guesses::new(now);
    let guesser = address("203.0.113.9");
    for _ in 0..PREFIX_BURST {
        guesses.failed(guesser, now);
    }
    for n in 0..5000 {
        guesses.failed(nth(n), now);
    }
    assert_eq!(guesses.remembered(), MAX_PREFIXES);
    assert!(guesses.check(guesser, now).is_err(), "the worst is kept");

    let later = now + Duration::from_secs(3600);
    guesses.failed(nth(1), later);
    guesses.failed(nth(1_000_000), later);
    assert_eq!(guesses.check(guesser, later), Ok(()));
    assert_eq!(guesses.remembered(), 2, "full buckets are not kept");
}

#[test]
fn a_clock_that_steps_back_does_no_harm() {
    let now = start() + Duration::from_secs(60);
    let mut guesses = Guesses::new(now);
    guesses.failed(address("192.0.2.1"), now);
    let earlier = now - Duration::from_secs(30);
    guesses.failed(address("192.0.2.1"), earlier);
    assert_eq!(guesses.check(address("192.0.2.1"), earlier), Ok(()));
}
