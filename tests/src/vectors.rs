//! Files of `spec/vectors`: a header of `name: value` lines, an empty line, bytes in hexadecimal.

use std::collections::BTreeMap;
use std::fs;

/// A vector.
#[derive(Clone, Debug)]
pub struct Vector {
    /// Its file's name.
    pub file: String,
    header: BTreeMap<String, String>,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Vector {
    /// A line of its header.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let line = self.header.get(name);
        line.unwrap_or_else(|| panic!("{}: no `{name}`", self.file))
    }
}

/// Every vector of a folder of `spec/vectors`, by name.
pub fn folder(name: &str) -> Vec<Vector> {
    let folder = crate::repository().join("spec/vectors").join(name);
    let files = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> = files.collect();
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(path).unwrap();
        let (header, hex) = text.split_once("\n\n").unwrap_or_else(|| panic!("{file}: no header"));
        let line = |line: &str| {
            let (name, value) = line.split_once(": ")?;
            Some((name.to_owned(), value.to_owned()))
        };
        let header = header.lines().filter_map(line).collect();
        Vector { bytes: unhex(hex, &file), file, header }
    };
    files.iter().map(read).collect()
}

fn unhex(hex: &str, file: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex
        .chars()
        .filter(|digit| !digit.is_whitespace())
        .map(|digit| digit.to_digit(16).unwrap_or_else(|| panic!("{file}: `{digit}`")))
        .collect();
    let byte = |pair: &[u32]| u8::try_from(pair[0] * 16 + pair[1]).unwrap();
    assert_eq!(digits.len() % 2, 0, "{file}: half a byte");
    digits.chunks(2).map(byte).collect()
}
