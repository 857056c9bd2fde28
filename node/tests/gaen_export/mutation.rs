//! Exports with bits flipped, bytes missing, and worse: refused by a named rule, never a panic,
//! and never more memory than the file can fill.

use bellwether_node::gaen_export::{Export, ExportError, MAX_ZIP_BYTES, Unverified};

use crate::counting;
use crate::gaen_export::craft::{self, Entry, signature};
use crate::gaen_export::vectors::{self, RULES, Vector};

/// Reads a file, and holds that it takes no more memory than is for its bytes: 1032 for each that
/// may be deflated, 200 for each that may begin a key, and 64 KiB.
fn read(zip: &[u8]) -> Result<Export, ExportError> {
    let signer = craft::signer();
    let (bytes, read) = counting::allocated(|| Unverified::read(zip)?.verify(&signer));
    assert!(
        bytes <= 64 * 1024 + 1232 * zip.len(),
        "{bytes} bytes for {}",
        zip.len()
    );
    if let Err(error) = &read {
        assert!(RULES.contains(&error.rule()), "{error}");
    }
    read
}

fn valid() -> Vec<Vec<u8>> {
    let names = vectors::names();
    let vectors = names.iter().map(|name| Vector::read(name));
    vectors
        .filter(|vector| vector.verify().is_ok() && vector.zip.len() < 1500)
        .map(|vector| vector.zip)
        .collect()
}

#[test]
fn every_beginning_of_a_file_is_refused() {
    for name in ["stored", "streamed", "written", "extra-fields"] {
        let zip = Vector::read(name).zip;
        for end in 0..zip.len() {
            assert!(read(&zip[..end]).is_err(), "{name}: {end}");
        }
        assert!(read(&zip).is_ok());
    }
}

/// What nothing depends on: where a zip says who wrote it, what it takes to read it, when it was
/// written, and how a file of it would be marked.
fn idle(zip: &[u8]) -> Vec<usize> {
    let find = |four: &'static [u8; 4]| {
        let places = zip.windows(4).enumerate();
        places
            .filter(move |(_, found)| *found == four)
            .map(|(at, _)| at)
    };
    let local = find(b"PK\x03\x04").flat_map(|at| [4..6, 10..14].map(move |idle| (at, idle)));
    let central =
        find(b"PK\x01\x02").flat_map(|at| [4..8, 12..16, 36..42].map(move |idle| (at, idle)));
    let idle = local.chain(central);
    let mut idle: Vec<usize> = idle
        .flat_map(|(at, idle)| idle.map(move |place| at + place))
        .collect();
    idle.sort_unstable();
    idle
}

#[test]
fn every_flipped_bit_is_refused_or_changes_nothing() {
    for name in ["stored", "written"] {
        let zip = Vector::read(name).zip;
        let true_one = read(&zip).unwrap();
        let mut survived = Vec::new();
        for at in 0..zip.len() {
            for bit in 0..8 {
                let mut mutant = zip.clone();
                mutant[at] ^= 1 << bit;
                if let Ok(export) = read(&mutant) {
                    assert_eq!(export, true_one, "{name}: byte {at} bit {bit}");
                    survived.push(at);
                }
            }
        }
        let idle: Vec<usize> = idle(&zip).into_iter().flat_map(|at| [at; 8]).collect();
        assert_eq!(idle.len(), 8 * 2 * (6 + 14));
        assert_eq!(survived, idle, "{name}");
    }
}

/// In a deflated file some bits are idle that hold it together, and nothing else.
#[test]
fn a_flipped_bit_of_a_deflated_file_never_changes_what_it_says() {
    for name in ["deflated", "streamed", "streamed-bare", "extra-fields"] {
        let zip = Vector::read(name).zip;
        let true_one = read(&zip).unwrap();
        for at in 0..zip.len() {
            for bit in 0..8 {
                let mut mutant = zip.clone();
                mutant[at] ^= 1 << bit;
                if let Ok(export) = read(&mutant) {
                    assert_eq!(export, true_one, "{name}: byte {at} bit {bit}");
                }
            }
        }
    }
}

/// Small numbers, for choosing; the seed is printed.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).unwrap();
        let seed = u64::from_le_bytes(seed);
        eprintln!("seed {seed:#x}");
        Self(seed)
    }

    /// Below `bound` (SplitMix64).
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ mixed >> 31) % u64::try_from(bound).unwrap()).unwrap()
    }

    fn byte(&mut self) -> u8 {
        const EDGES: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, 0x3a, 0x42, 0x0a];
        match self.below(3) {
            0 => EDGES[self.below(EDGES.len())],
            _ => u8::try_from(self.below(256)).unwrap(),
        }
    }

    /// One to four changes: another byte, a byte more or less, a piece twice, a piece missing.
    fn change(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            let end = bytes.len().min(at + self.below(40));
            match self.below(5) {
                0 if at < bytes.len() => bytes[at] = self.byte(),
                1 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                2 => bytes.insert(at, self.byte()),
                3 => {
                    let piece = bytes[at..end].to_vec();
                    bytes.splice(at..at, piece);
                }
                _ => drop(bytes.drain(at..end)),
            }
        }
    }
}

#[test]
fn changed_files_are_refused_or_say_the_same() {
    let mut random = Random::new();
    let valid = valid();
    assert!(valid.len() > 30, "{}", valid.len());
    let told: Vec<Export> = valid.iter().map(|zip| read(zip).unwrap()).collect();
    let mut refused = 0;
    for _ in 0..60_000 {
        let which = random.below(valid.len());
        let mut mutant = valid[which].clone();
        random.change(&mut mutant);
        match read(&mutant) {
            Ok(export) => assert_eq!(export, told[which]),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 50_000, "{refused}");
}

/// Behind a true check sum, so that the messages are read.
#[test]
fn changed_signatures_are_refused_or_say_the_same() {
    let mut random = Random::new();
    let [export, signatures] = craft::pair(&[craft::bytes(7, craft::key(1))]);
    let mut refused = 0;
    for _ in 0..30_000 {
        let mut mutant = signatures.clone();
        random.change(&mut mutant);
        let zip = craft::zip(&craft::entries(&[export.clone(), mutant]));
        match read(&zip) {
            Ok(export) => assert_eq!(export.keys.len(), 1),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 10_000, "{refused}");
}

/// Behind a true signature: a publisher who writes nonsense is refused, or answers for it.
#[test]
fn changed_keys_that_are_signed_are_refused_or_in_their_ranges() {
    let mut random = Random::new();
    let [export, _] = craft::pair(&[
        craft::bytes(7, craft::key(1)),
        craft::bytes(
            7,
            [craft::key(2), craft::int(5, 1), craft::int(6, 3)].concat(),
        ),
        craft::bytes(8, [craft::key(3), craft::int(4, 20)].concat()),
    ]);
    let mut taken = 0;
    for _ in 0..20_000 {
        let mut message = export[craft::MAGIC.len()..].to_vec();
        random.change(&mut message);
        let mutant = [craft::MAGIC.to_vec(), message].concat();
        let signatures = signature(&craft::our_info(), &craft::sign(&mutant));
        if let Ok(export) = read(&craft::zip(&craft::entries(&[mutant, signatures]))) {
            assert!(export.header.start < export.header.end);
            assert!(export.keys.iter().all(|key| key.check() == Ok(())));
            taken += 1;
        }
    }
    assert!(taken > 100, "{taken}");
}

#[test]
fn a_bomb_is_cut_before_it_is_allocated() {
    let zeros = vec![0; 80 * 1024 * 1024];
    let mut bomb = Entry::deflated("export.bin", &zeros);
    drop(zeros);
    let signatures = Entry::stored("export.sig", b"");
    let rule = |entry: &Entry| {
        let zip = craft::zip(&[entry.clone(), signatures.clone()]);
        let (bytes, read) = counting::allocated(|| Unverified::read(&zip).map(drop));
        (bytes, read.map_err(|error| error.rule()))
    };
    let (bytes, read) = rule(&bomb);
    assert_eq!(read, Err("zip-size"), "80 MiB, and says so");
    assert!(bytes < 1024, "{bytes}");
    bomb.size = 1000;
    let (bytes, read) = rule(&bomb);
    assert_eq!(read, Err("zip-deflate"), "says that it is 1000 bytes");
    assert!(bytes < 32 * 1024, "{bytes}");
    let zip = vec![0; MAX_ZIP_BYTES + 1];
    let (bytes, read) = counting::allocated(|| Unverified::read(&zip).map(drop));
    assert_eq!(read.map_err(|error| error.rule()), Err("zip-size"));
    assert_eq!(bytes, 0);
}

/// The worst that a file of its size can ask for, and is signed.
#[test]
fn a_million_empty_keys_take_little_memory() {
    let [export, signatures] = craft::pair(&[[0x3a, 0].repeat(1_000_000)]);
    let zip = craft::zip(&[
        Entry::deflated("export.bin", &export),
        Entry::stored("export.sig", &signatures),
    ]);
    let signer = craft::signer();
    let (bytes, read) = counting::allocated(|| Unverified::read(&zip)?.verify(&signer));
    assert_eq!(read.map(|export| export.dropped.len()), Ok(1_000_000));
    assert!(bytes < 160 * 1024 * 1024, "{bytes}");
}
