//! `text.json`: units as they are submitted.

use std::collections::BTreeSet;

use bellwether_formats::id::Scheme;
use bellwether_formats::scheme::text::{TextError, format, parse};

use super::walk::{Walk, hex};

pub(crate) fn check(walk: &mut Walk) {
    walk.prose(&["about"]);
    let mut schemes = BTreeSet::new();
    for read in walk.list("read") {
        Walk::of("a text", read, |walk| schemes.insert(check_read(walk)));
    }
    assert!(
        schemes.into_iter().eq(Scheme::ALL),
        "a text of every scheme"
    );
    let mut rules = BTreeSet::new();
    for refused in walk.list("refused") {
        Walk::of("a refused text", refused, |walk| {
            let (about, scheme) = (walk.text("about"), scheme(walk));
            let found = parse(scheme, &walk.text("text")).map_err(|error| error.rule());
            let rule = walk.text("expect");
            assert_eq!(found.unwrap_err(), rule, "{about}");
            rules.insert(rule);
        });
    }
    // A name of no scheme is refused before there is one: `ids/scheme-unknown`.
    let all = TextError::RULES.iter().filter(|rule| **rule != "scheme");
    assert!(
        rules.iter().eq(all.collect::<BTreeSet<_>>()),
        "every rule: {rules:?}"
    );
}

fn scheme(walk: &mut Walk) -> Scheme {
    walk.text("scheme").parse().expect("a scheme")
}

fn check_read(walk: &mut Walk) -> Scheme {
    let (about, scheme) = (walk.text("about"), scheme(walk));
    let (text, unit) = (walk.text("text"), hex(&walk.text("unit")));
    assert_eq!(parse(scheme, &text), Ok(unit.clone()), "{about}");
    let written = match walk.maybe("written") {
        None => Some(text),
        Some(written) => written.as_str().map(str::to_owned),
    };
    assert_eq!(format(scheme, &unit), written, "{about}");
    // But for tokens, which lack their claim, what is read is a unit.
    let rules = scheme.rules().expect("a known scheme");
    assert_eq!(
        rules.check(&unit).is_ok(),
        scheme != Scheme::FANNY,
        "{about}"
    );
    scheme
}
