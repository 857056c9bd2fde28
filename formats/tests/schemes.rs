//! Walks `spec/vectors/schemes`: every file is read, every value in it is checked.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::collections::BTreeSet;
use std::{fs, path::Path};

use bellwether_formats::scheme::UnitError;

mod cx;
mod dp3t;
mod fanny;
mod gaen;
#[path = "schemes/units.rs"]
mod side_by_side;
mod tcn;
mod text;
mod walk;

use walk::Walk;

#[test]
fn every_file_of_scheme_vectors_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/vectors/schemes");
    let mut files = 0;
    for entry in fs::read_dir(folder).expect("the spec's vectors are checked out") {
        let path = entry.expect("a readable folder").path();
        let text = fs::read_to_string(&path).expect("a vector is UTF-8 text");
        match path.file_name().and_then(|name| name.to_str()) {
            Some("cx.json") => cx::check(&text),
            Some("tcn.json") => Walk::whole(&text, tcn::check),
            Some("dp3t.json") => Walk::whole(&text, dp3t::check),
            Some("gaen.json") => Walk::whole(&text, gaen::check),
            Some("fanny.json") => Walk::whole(&text, fanny::check),
            Some("text.json") => Walk::whole(&text, text::check),
            _ => panic!("no test reads {}", path.display()),
        }
        files += 1;
    }
    assert_eq!(files, 6, "every family has its vectors, and so have texts");
}

#[test]
fn every_rule_of_units_has_a_broken_vector() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/vectors/schemes");
    let mut broken = BTreeSet::new();
    for name in ["tcn", "dp3t", "gaen", "fanny"] {
        let text = fs::read_to_string(folder.join(format!("{name}.json"))).expect("vectors");
        let vectors: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let negative = vectors["negative"].as_array().expect("a list");
        let expected = negative.iter().filter_map(|case| case["expect"].as_str());
        broken.extend(expected.map(str::to_owned));
    }
    let rules: BTreeSet<String> = UnitError::RULES.iter().map(ToString::to_string).collect();
    assert_eq!(broken, rules);
}
