//! Every file of `spec/vectors/gaen-export` gets the verdict that its header says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use bellwether_node::gaen_export::{Export, ExportError, Unverified};
use data_encoding::HEXLOWER;

use crate::gaen_export::cases::{self, Case};
use crate::gaen_export::craft;

/// Every rule that a file, or a key in it, can break.
pub(crate) const RULES: [&str; 28] = [
    "algorithm",
    "days-since-onset",
    "duplicate",
    "export-batch",
    "export-header",
    "export-limit",
    "export-text",
    "export-window",
    "key-data",
    "overlap",
    "protobuf",
    "rolling-period",
    "rolling-start",
    "signature",
    "signature-batch",
    "signature-count",
    "signature-info",
    "signer",
    "transmission-risk",
    "wire-type",
    "zip-crc",
    "zip-deflate",
    "zip-encrypted",
    "zip-entries",
    "zip-header",
    "zip-layout",
    "zip-method",
    "zip-size",
];

/// A file: its header, and its bytes.
pub(crate) struct Vector {
    header: BTreeMap<String, String>,
    pub(crate) zip: Vec<u8>,
}

impl Vector {
    pub(crate) fn read(name: &str) -> Self {
        let path = craft::spec(name).with_extension("txt");
        let text = fs::read_to_string(&path).expect("a vector is UTF-8 text");
        let (header, hex) = text.split_once("\n\n").expect("a blank line");
        let line = |line: &str| {
            let (name, value) = line.split_once(": ").expect("`name: value`");
            (name.to_owned(), value.to_owned())
        };
        let hex: String = hex.split_whitespace().collect();
        Self {
            header: header.lines().map(line).collect(),
            zip: HEXLOWER.decode(hex.as_bytes()).expect("lower-case hex"),
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.header.get(name).map(String::as_str)
    }

    pub(crate) fn verify(&self) -> Result<Export, ExportError> {
        let mut signer = craft::signer();
        signer.key_id = self.get("key-id").map(str::to_owned);
        signer.version = self.get("version").map(str::to_owned);
        Unverified::read(&self.zip)?.verify(&signer)
    }
}

/// Names of the vectors.
pub(crate) fn names() -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(craft::spec(""))
        .expect("the spec's vectors are checked out")
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".txt").map(str::to_owned))
        .collect();
    names.sort();
    names
}

fn told(export: &Export) -> String {
    let list = |revised| if revised { "revised" } else { "new" };
    let dropped = export.dropped.iter();
    let dropped = dropped.map(|one| {
        assert_eq!(one.batch_num, export.header.batch_num);
        format!("{} {} {}", list(one.revised), one.index, one.error.rule())
    });
    dropped.collect::<Vec<_>>().join(", ")
}

#[test]
fn every_vector_has_its_verdict() {
    let mut failures = Vec::new();
    for name in names() {
        let vector = Vector::read(&name);
        let found = match vector.verify() {
            Err(error) => (error.rule().to_owned(), None, None),
            Ok(export) => {
                let dropped = Some(told(&export)).filter(|told| !told.is_empty());
                (
                    "valid".to_owned(),
                    Some(export.keys.len().to_string()),
                    dropped,
                )
            }
        };
        let header = |name| vector.get(name).map(str::to_owned);
        let expected = (header("expect").unwrap(), header("keys"), header("dropped"));
        if found != expected {
            failures.push(format!("{name}: expected {expected:?}, found {found:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_rule_has_a_vector_that_breaks_it_and_every_vector_a_rule() {
    let mut broken = BTreeSet::new();
    for name in names() {
        let vector = Vector::read(&name);
        let (rule, expect) = (vector.get("rule").unwrap(), vector.get("expect").unwrap());
        assert!(RULES.contains(&rule), "{name}: no rule {rule}");
        assert!(
            expect == "valid" || expect == rule,
            "{name}: breaks {expect}"
        );
        assert!(vector.get("about").is_some(), "{name}");
        if expect != "valid" || vector.get("dropped").is_some() {
            broken.insert(rule.to_owned());
        }
    }
    let rules: BTreeSet<_> = RULES.into_iter().map(str::to_owned).collect();
    assert_eq!(broken, rules);
}

/// The files are those that are told of in `cases`: none is forgotten there or here, and all say
/// the same of them. Signatures are drawn anew each time, so bytes are not compared.
#[test]
fn the_files_are_those_of_the_cases() {
    let cases = cases::all();
    let told: BTreeSet<_> = cases.iter().map(|case| case.name.to_owned()).collect();
    assert_eq!(told.len(), cases.len(), "a name stands twice");
    assert_eq!(told, names().into_iter().collect());
    for case in &cases {
        let text = fs::read_to_string(craft::spec(case.name).with_extension("txt")).unwrap();
        assert_eq!(
            text.split_once("\n\n").unwrap().0,
            header(case),
            "{}",
            case.name
        );
    }
}

fn header(case: &Case) -> String {
    let mut lines = vec![
        format!("about: {}", case.about),
        format!("rule: {}", case.rule),
        format!("expect: {}", case.expect),
    ];
    let mut line = |name: &str, value: Option<&str>| {
        lines.extend(value.map(|value| format!("{name}: {value}")));
    };
    line("key-id", case.key_id);
    line("version", case.version);
    if case.expect == "valid" {
        line("keys", Some(&case.keys.to_string()));
        line(
            "dropped",
            Some(case.dropped).filter(|dropped| !dropped.is_empty()),
        );
    }
    lines.join("\n")
}

/// Writes the vectors anew. Every signature changes.
#[test]
#[ignore = "writes into the spec; for whoever edits vectors"]
fn write_the_vectors() {
    for name in names() {
        fs::remove_file(craft::spec(&name).with_extension("txt")).unwrap();
    }
    for case in cases::all() {
        let hex = HEXLOWER.encode(&case.zip);
        let lines: Vec<&str> = (0..hex.len())
            .step_by(64)
            .map(|at| &hex[at..hex.len().min(at + 64)])
            .collect();
        let text = format!("{}\n\n{}\n", header(&case), lines.join("\n"));
        fs::write(craft::spec(case.name).with_extension("txt"), text).unwrap();
    }
}
