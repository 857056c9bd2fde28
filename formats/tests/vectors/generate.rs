//! Makes every file under `spec/vectors` that this crate owns, the same bytes each time.
//!
//! `cargo run -p bellwether-formats --example vectors` writes them; a test compares. The verdicts
//! are written by hand: a generator that asked the code for them would prove nothing.
//!
//! Objects are built as trees, not by the types under test, and signed by hand, so that broken
//! ones are broken in one place only and otherwise perfect.

mod batch;
mod body;
mod car;
mod chain;
mod descriptor;
mod encoding;
mod filter;
mod folds;
mod ids;
mod json;
mod parts;
mod pieces;
mod pir;
mod sample;
mod sealed;
mod signatures;
mod story;
mod tree;

use std::fs;
use std::path::Path;

use data_encoding::HEXLOWER;

/// A file to be written, by its path under `spec/vectors`.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Every file, in order.
pub(crate) fn all() -> Vec<File> {
    [
        batch::vectors(),
        body::vectors(),
        car::vectors(),
        chain::vectors(),
        descriptor::vectors(),
        encoding::vectors(),
        ids::vectors(),
        signatures::vectors(),
        filter::files(),
        folds::files(),
        pir::files(),
        sealed::files(),
        story::files(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Writes every file under `folder`; sections are emptied first, so that nothing stale stays.
#[allow(dead_code, reason = "the example writes, the test compares")]
pub(crate) fn write_all(folder: &Path) -> std::io::Result<usize> {
    let files = all();
    for file in &files {
        let path = folder.join(&file.path);
        if let Some(section) = path.parent().filter(|section| *section != folder) {
            let _ = fs::remove_dir_all(section);
        }
    }
    for file in &files {
        let path = folder.join(&file.path);
        fs::create_dir_all(path.parent().expect("a file is in a folder"))?;
        fs::write(path, &file.text)?;
    }
    Ok(files.len())
}

/// One vector: what it is about, what must come of it, and its bytes.
struct Vector {
    about: &'static str,
    rule: &'static str,
    expect: &'static str,
    more: Vec<(&'static str, String)>,
    body: String,
}

/// A vector that must be accepted; `rule` is the one whose edge it shows.
fn valid(rule: &'static str, about: &'static str, bytes: impl AsRef<[u8]>) -> Vector {
    Vector {
        about,
        rule,
        expect: "valid",
        more: Vec::new(),
        body: hex(bytes.as_ref()),
    }
}

/// A vector that must be refused by `rule`.
fn broken(rule: &'static str, about: &'static str, bytes: impl AsRef<[u8]>) -> Vector {
    Vector {
        expect: rule,
        ..valid(rule, about, bytes)
    }
}

impl Vector {
    /// Adds a header line.
    fn with(mut self, key: &'static str, value: impl ToString) -> Self {
        self.more.push((key, value.to_string()));
        self
    }

    /// Replaces the body by text as it is.
    fn text(mut self, text: &str) -> Self {
        self.body = format!("{text}\n");
        self.with("body", "text")
    }

    /// Replaces the body by named blocks.
    fn blocks(mut self, blocks: &[(&str, &[u8])]) -> Self {
        let blocks = blocks
            .iter()
            .map(|(name, bytes)| format!("block: {name}\n{}", hex(bytes)));
        self.body = blocks.collect::<Vec<_>>().join("\n");
        self
    }

    fn file(self, section: &str, name: &str) -> File {
        let Self {
            about,
            rule,
            expect,
            more,
            body,
        } = self;
        let more: String = more.iter().map(|(k, v)| format!("{k}: {v}\n")).collect();
        File {
            path: format!("{section}/{name}.txt"),
            text: format!("about: {about}\nrule: {rule}\nexpect: {expect}\n{more}\n{body}"),
        }
    }
}

/// Gives named vectors of a section their files.
fn section(name: &str, vectors: impl IntoIterator<Item = (&'static str, Vector)>) -> Vec<File> {
    vectors
        .into_iter()
        .map(|(file, vector)| vector.file(name, file))
        .collect()
}

/// Lower-case hex in lines of 64 characters.
fn hex(bytes: &[u8]) -> String {
    bytes
        .chunks(32)
        .map(|line| HEXLOWER.encode(line) + "\n")
        .collect()
}
