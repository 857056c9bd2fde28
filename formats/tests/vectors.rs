//! Every file under `spec/vectors` is a case: it is read, and its verdict is what its header says.
//!
//! Folders and loose files are listed here; one that nobody owns fails the test, and so does a rule
//! without a vector, a vector of a rule that does not exist, and a file that the generator would
//! write otherwise.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use bellwether_formats::batch::Batch;
use bellwether_formats::body::open::OpenBody;
use bellwether_formats::body::{ObservedBeforeError, check_observed_before};
use bellwether_formats::car::{Car, CarError};
use bellwether_formats::cbor::Reader;
use bellwether_formats::chain::{self, ChainError, Head};
use bellwether_formats::cid::{BlockError, Cid, ParseCidError};
use bellwether_formats::descriptor::Descriptor;
use bellwether_formats::error::{DecodeError, VerifyError};
use bellwether_formats::id::{Level, ParseIdError, PublicKey, Scheme, Zone};
use bellwether_formats::limit;
use bellwether_formats::share::{ParseShareError, Share};
use bellwether_formats::signed::{Content, Signed, inner_bytes};
use data_encoding::HEXLOWER;

#[path = "vectors/generate.rs"] // the example that writes the vectors is the same file
mod generate;
mod retell;

/// What reads a folder's vectors.
type Judge = fn(&Vector) -> Verdict;

/// The name of the broken rule, or nothing.
type Verdict = Result<(), &'static str>;

/// The folders of this crate, and the fewest vectors that each must hold.
const FOLDERS: [(&str, Judge, usize); 8] = [
    ("batch", envelope::<Batch>, 15),
    ("body", body, 8),
    ("car", car, 6),
    ("chain", chained, 12),
    ("descriptor", envelope::<Descriptor>, 8),
    ("encoding", encoding, 15),
    ("ids", ids, 8),
    ("signatures", signatures, 10),
];

/// Folders that a test elsewhere reads: the schemes' JSON by `formats/tests/schemes.rs`, the seed
/// reports by the node's intake, exposure key exports by `node/tests/gaen_export`.
const FOLDERS_OF_OTHERS: [&str; 3] = ["gaen-export", "schemes", "seed-reports"];

/// Files beside the folders; `chain.json` is read by [`retell`], `filter.json` by
/// `formats/tests/filter.rs`, `dp3t-list.json` by `node/tests/dp3t_list.rs`, the others by `formats/tests/sealed_vectors.rs`; some are read
/// by `tests/reader` too.
const LOOSE: [&str; 7] = [
    "README.md",
    "chain.json",
    "dp3t-list.json",
    "filter.json",
    "folds.json",
    "pir.json",
    "sealed.json",
];

/// Every rule of this crate.
fn rules() -> BTreeSet<&'static str> {
    [
        BlockError::RULES,
        CarError::RULES,
        ChainError::RULES,
        DecodeError::RULES,
        ObservedBeforeError::RULES,
        ParseCidError::RULES,
        ParseIdError::RULES,
        ParseShareError::RULES,
        VerifyError::RULES,
    ]
    .concat()
    .into_iter()
    .collect()
}

#[test]
fn every_verdict_is_as_the_header_says() {
    let mut failures = Vec::new();
    for (folder, judge, fewest) in FOLDERS {
        let vectors = read_folder(folder);
        assert!(
            vectors.len() >= fewest,
            "{folder} has {} vectors",
            vectors.len()
        );
        for vector in vectors {
            let found = judge(&vector).err().unwrap_or("valid");
            let expected = vector.get("expect");
            if found != expected {
                failures.push(format!(
                    "{}: expected {expected}, found {found}",
                    vector.name
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_rule_has_a_broken_vector_and_every_vector_a_rule() {
    let rules = rules();
    let vectors: Vec<Vector> = FOLDERS
        .iter()
        .flat_map(|(folder, ..)| read_folder(folder))
        .collect();
    for vector in &vectors {
        let (rule, expect) = (vector.get("rule"), vector.get("expect"));
        assert!(rules.contains(rule), "{}: no rule `{rule}`", vector.name);
        assert!(
            expect == "valid" || expect == rule,
            "{}: breaks what it names",
            vector.name
        );
        assert!(
            vector.get("about").len() > 3,
            "{}: says what it is about",
            vector.name
        );
    }
    let broken: BTreeSet<&str> = vectors.iter().map(|vector| vector.get("expect")).collect();
    let missing: Vec<_> = rules.difference(&broken).collect();
    assert!(
        missing.is_empty(),
        "rules without a broken vector: {missing:?}"
    );
}

#[test]
fn no_file_is_left_unread() {
    let known: BTreeSet<&str> = FOLDERS
        .iter()
        .map(|(folder, ..)| *folder)
        .chain(FOLDERS_OF_OTHERS)
        .chain(LOOSE)
        .collect();
    for path in list(&root()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap();
        assert!(known.contains(name), "nobody reads spec/vectors/{name}");
        assert_eq!(
            path.is_file(),
            LOOSE.contains(&name),
            "{name} is what it is listed as"
        );
    }
    for (folder, ..) in FOLDERS {
        for path in list(&root().join(folder)) {
            let is_vector = path.is_file() && path.extension().is_some_and(|e| e == "txt");
            assert!(is_vector, "{} is not a vector", path.display());
        }
    }
}

#[test]
fn the_generator_writes_what_is_committed() {
    let generated: BTreeMap<String, String> = generate::all()
        .into_iter()
        .map(|file| (file.path, file.text))
        .collect();
    let hint = "run `cargo run -p bellwether-formats --example vectors`";
    for (path, text) in &generated {
        let committed = fs::read_to_string(root().join(path)).unwrap_or_default();
        assert!(committed == *text, "spec/vectors/{path} is another: {hint}");
    }
    for (folder, ..) in FOLDERS {
        for path in list(&root().join(folder)) {
            let name = path
                .strip_prefix(root())
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            assert!(
                generated.contains_key(&name),
                "{name} is not generated: {hint}"
            );
        }
    }
}

fn encoding(vector: &Vector) -> Verdict {
    let bytes = vector.bytes();
    let mut reader = Reader::new(&bytes);
    let read = reader.any().and_then(|(item, _)| {
        reader.finish()?;
        assert_eq!(item, bytes, "the item is the whole input");
        Ok(())
    });
    read.map_err(|error| error.rule())
}

fn envelope<T: Content + std::fmt::Debug>(vector: &Vector) -> Verdict {
    let bytes = vector.bytes();
    let signed = Signed::<T>::open(&bytes).map_err(|error| error.rule())?;
    assert_eq!(signed.envelope(), bytes, "kept as received");
    assert!(
        bytes.ends_with(&inner_bytes(&*signed)),
        "written again, to the byte"
    );
    Ok(())
}

fn signatures(vector: &Vector) -> Verdict {
    match vector.get("as") {
        "batch" => envelope::<Batch>(vector),
        "descriptor" => envelope::<Descriptor>(vector),
        other => panic!("{}: as {other}", vector.name),
    }
}

fn chained(vector: &Vector) -> Verdict {
    let batch = Signed::<Batch>::open(&vector.block("batch")).expect("a perfect batch");
    let head = || {
        let head = Signed::<Batch>::open(&vector.block("head")).expect("a perfect head");
        Head::from(&head)
    };
    let verdict = match vector.get("check") {
        "next" => head().check_next(&batch),
        "later" => head().check_later(&batch),
        "listed" => {
            let descriptor = Signed::<Descriptor>::open(&vector.block("descriptor"));
            chain::check_listed(&batch, &descriptor.expect("a perfect descriptor"))
        }
        "time" => chain::check_time(&batch, vector.number("now")),
        other => panic!("{}: check {other}", vector.name),
    };
    verdict.map_err(|error| error.rule())
}

fn body(vector: &Vector) -> Verdict {
    let bytes = vector.bytes();
    let scheme = Scheme(u8::try_from(vector.number("scheme")).unwrap());
    let body = OpenBody::decode(scheme, &bytes).map_err(|error| error.rule())?;
    assert_eq!(body.encode(), bytes, "written again, to the byte");
    if vector.find("published_at").is_some() {
        let published_at = vector.number("published_at");
        for group in body.groups() {
            let checked = check_observed_before(group.terms.observed_before, published_at);
            checked.map_err(|error| error.rule())?;
        }
    }
    Ok(())
}

fn car(vector: &Vector) -> Verdict {
    let max = vector
        .find("max")
        .map_or(limit::MAX_CAR_BYTES, |max| max.parse().unwrap());
    let bytes = vector.bytes();
    let car = Car::decode(&bytes, max).map_err(|error| error.rule())?;
    assert_eq!(car.encode(), bytes, "written again, to the byte");
    Ok(())
}

fn ids(vector: &Vector) -> Verdict {
    let text = vector.text();
    let (again, verdict) = match vector.get("as") {
        "cid" => (
            again(text.parse::<Cid>()),
            text.parse::<Cid>().map_err(|e| e.rule()).err(),
        ),
        "level" => (
            again(text.parse::<Level>()),
            text.parse::<Level>().map_err(|e| e.rule()).err(),
        ),
        "provider-id" => (
            again(text.parse::<PublicKey>()),
            text.parse::<PublicKey>().map_err(|e| e.rule()).err(),
        ),
        "scheme" => (
            again(text.parse::<Scheme>()),
            text.parse::<Scheme>().map_err(|e| e.rule()).err(),
        ),
        "share" => (None, text.parse::<Share>().map_err(|e| e.rule()).err()),
        "zone" => (
            again(text.parse::<Zone>()),
            text.parse::<Zone>().map_err(|e| e.rule()).err(),
        ),
        other => panic!("{}: as {other}", vector.name),
    };
    assert!(
        again.is_none_or(|again| again == text),
        "written again, to the byte"
    );
    verdict.map_or(Ok(()), Err)
}

/// A vector's file.
struct Vector {
    name: String,
    header: BTreeMap<String, String>,
    body: String,
}

impl Vector {
    fn read(path: &Path) -> Self {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        let text = fs::read_to_string(path).expect("a vector is UTF-8 text");
        let (header, body) = text
            .split_once("\n\n")
            .expect("a blank line ends the header");
        let pairs = header
            .lines()
            .map(|line| line.split_once(": ").expect("`key: value`"));
        let header = pairs
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let body = body.to_owned();
        Self { name, header, body }
    }

    fn find(&self, key: &str) -> Option<&str> {
        self.header.get(key).map(String::as_str)
    }

    fn get(&self, key: &str) -> &str {
        let missing = || panic!("{}: no `{key}` in the header", self.name);
        self.find(key).unwrap_or_else(missing)
    }

    fn number(&self, key: &str) -> u64 {
        self.get(key).parse().expect("a number")
    }

    /// The body as text; its last line end is the file's, not the text's.
    fn text(&self) -> &str {
        assert_eq!(self.get("body"), "text", "{}", self.name);
        self.body.strip_suffix('\n').expect("a line end")
    }

    /// The body's bytes, and the zeros that the header adds to them.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.hex(&self.body);
        let zeros = self.find("zeros").map_or(0, |zeros| zeros.parse().unwrap());
        bytes.resize(bytes.len() + zeros, 0);
        bytes
    }

    /// The bytes under `block: NAME`.
    fn block(&self, name: &str) -> Vec<u8> {
        let blocks = self.body.split("\n\n");
        let hex = blocks
            .filter_map(|block| block.split_once('\n'))
            .find_map(|(head, hex)| (head == format!("block: {name}")).then_some(hex));
        self.hex(hex.unwrap_or_else(|| panic!("{}: no block {name}", self.name)))
    }

    fn hex(&self, text: &str) -> Vec<u8> {
        let short = text.lines().all(|line| line.len() <= 64);
        assert!(short, "{}: a line of more than 64 characters", self.name);
        let hex: String = text.lines().collect();
        HEXLOWER.decode(hex.as_bytes()).expect("lower-case hex")
    }
}

/// What was read, as it is written.
fn again<T: ToString, E>(read: Result<T, E>) -> Option<String> {
    read.ok().map(|read| read.to_string())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/vectors")
}

fn list(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the spec's vectors are checked out");
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn read_folder(folder: &str) -> Vec<Vector> {
    list(&root().join(folder))
        .iter()
        .map(|path| Vector::read(path))
        .collect()
}
