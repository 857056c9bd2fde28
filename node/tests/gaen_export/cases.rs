//! The vectors: how each file of `spec/vectors/gaen-export` is made, and what comes of it.

mod container;
mod content;
mod keys;
mod signatures;

use crate::gaen_export::craft;

/// A vector.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// The rule that it is about.
    pub(crate) rule: &'static str,
    /// `valid`, or the rule.
    pub(crate) expect: &'static str,
    pub(crate) zip: Vec<u8>,
    /// What the reader asks for.
    pub(crate) key_id: Option<&'static str>,
    pub(crate) version: Option<&'static str>,
    /// Of a valid one: how many keys are taken, and which are dropped.
    pub(crate) keys: usize,
    pub(crate) dropped: &'static str,
}

impl Case {
    fn broken(rule: &'static str, name: &'static str, about: &'static str, zip: Vec<u8>) -> Self {
        Self {
            name,
            about,
            rule,
            expect: rule,
            zip,
            key_id: None,
            version: None,
            keys: 0,
            dropped: "",
        }
    }

    /// A valid one, which shows a rule from inside.
    fn valid(
        rule: &'static str,
        name: &'static str,
        about: &'static str,
        keys: usize,
        zip: Vec<u8>,
    ) -> Self {
        Self {
            expect: "valid",
            keys,
            ..Self::broken(rule, name, about, zip)
        }
    }
}

pub(crate) fn all() -> Vec<Case> {
    let written = Case::valid(
        "zip-layout",
        "written",
        "as we write it: three new keys, one revised, no padding",
        4,
        crate::gaen_export::writing::sample(),
    );
    [
        vec![written],
        container::cases(),
        content::cases(),
        keys::cases(),
        signatures::cases(),
    ]
    .concat()
}

/// Two new keys and one revised, signed.
fn three() -> [Vec<u8>; 2] {
    craft::pair(&[
        craft::bytes(7, craft::key(0x11)),
        craft::bytes(7, craft::key(0x22)),
        craft::bytes(8, craft::key(0x33)),
    ])
}
