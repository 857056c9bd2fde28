//! A JSON object whose members are taken out as they are checked, so that none goes unread.

use bellwether_formats::id::{ProviderId, Scheme};
use bellwether_formats::scheme::UnitError;
use data_encoding::HEXLOWER;
use serde_json::{Map, Value};

/// Whose sealed parts are looked at; of no meaning but in FANNY.
pub(crate) const PROVIDER: ProviderId = ProviderId::from_bytes([7; 32]);

/// An object of a vector file.
pub(crate) struct Walk {
    name: String,
    left: Map<String, Value>,
}

impl Walk {
    /// Checks a file with all that is in it.
    pub(crate) fn whole(text: &str, check: fn(&mut Self)) {
        let value = serde_json::from_str(text).expect("JSON");
        Self::of("the file", value, check);
    }

    /// Checks an object with all that is in it.
    pub(crate) fn of<T>(name: &str, value: Value, check: impl FnOnce(&mut Self) -> T) -> T {
        let Value::Object(left) = value else {
            panic!("{name}: an object, not {value}");
        };
        let name = name.to_owned();
        let mut walk = Self { name, left };
        let result = check(&mut walk);
        let left: Vec<&String> = walk.left.keys().collect();
        assert!(left.is_empty(), "{}: nothing checks {left:?}", walk.name);
        result
    }

    pub(crate) fn maybe(&mut self, member: &str) -> Option<Value> {
        self.left.remove(member)
    }

    #[track_caller]
    pub(crate) fn take(&mut self, member: &str) -> Value {
        let found = self.maybe(member);
        found.unwrap_or_else(|| panic!("{}: `{member}` is missing", self.name))
    }

    /// Lets something go that only people read.
    #[track_caller]
    pub(crate) fn prose(&mut self, members: &[&str]) {
        for member in members {
            let text = self.take(member).to_string();
            assert!(text.len() > 4, "{}: {member}", self.name);
        }
    }

    #[track_caller]
    pub(crate) fn text(&mut self, member: &str) -> String {
        self.take(member).as_str().expect("a text").to_owned()
    }

    #[track_caller]
    pub(crate) fn number(&mut self, member: &str) -> u64 {
        self.take(member).as_u64().expect("a number")
    }

    #[track_caller]
    pub(crate) fn hex<const N: usize>(&mut self, member: &str) -> [u8; N] {
        hex(&self.text(member)).try_into().expect("so many bytes")
    }

    #[track_caller]
    pub(crate) fn list(&mut self, member: &str) -> Vec<Value> {
        let Value::Array(list) = self.take(member) else {
            panic!("{}: `{member}` is a list", self.name);
        };
        assert!(!list.is_empty());
        list
    }

    /// The members of an object that maps numbers to hex.
    #[track_caller]
    pub(crate) fn numbered(&mut self, member: &str) -> Vec<(usize, Vec<u8>)> {
        let Value::Object(map) = self.take(member) else {
            panic!("{}: `{member}` is an object", self.name);
        };
        assert!(!map.is_empty());
        let entry = |(number, value): (String, Value)| {
            let number = number.parse().expect("a number");
            (number, hex(value.as_str().expect("hex")))
        };
        map.into_iter().map(entry).collect()
    }
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).expect("hex")
}

/// Checks units that are refused by a rule, or taken and held back until a time: by themselves, and
/// by the clock where the vector has one.
pub(crate) fn negative(walk: &mut Walk, scheme: Scheme) {
    let scheme = walk.maybe("scheme").map_or(scheme, |name| {
        name.as_str().expect("a name").parse().expect("a scheme")
    });
    let case = walk.text("case");
    let unit = hex(&walk.text("unit"));
    let rules = scheme.rules().expect("a known scheme");
    let now = walk.maybe("now").map(|now| now.as_u64().expect("a time"));
    let found = match now {
        Some(now) => rules.check_at(&unit, now),
        None => rules.check(&unit),
    };
    let expect = walk
        .maybe("expect")
        .map(|rule| rule.as_str().expect("a rule").to_owned());
    let publish_from = walk
        .maybe("publish_from")
        .map(|at| at.as_u64().expect("a time"));
    let found = found.map(|facts| facts.publish_from);
    let found = (
        found.map_err(|error: UnitError| error.rule().to_owned()),
        case,
    );
    let (found, case) = found;
    match expect {
        Some(rule) => assert_eq!(found, Err(rule), "{case}"),
        None => assert_eq!(found.ok(), publish_from, "{case}"),
    }
}

/// The rows of a table on a page of the specification, by how its head begins.
pub(crate) fn table(page: &str, head: &str) -> Vec<Vec<String>> {
    let spec = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec");
    let text = std::fs::read_to_string(spec.join(page)).expect("a page");
    let mut lines = text.lines().skip_while(|line| !line.starts_with(head));
    assert!(lines.next().is_some(), "{page} has a table {head}");
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    let cells = |line: &str| {
        let cells = line.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().to_owned()).collect()
    };
    rows.map(cells).collect()
}
