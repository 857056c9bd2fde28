//! The linking game of sealed parts: who is given everything that is public of one batch, and not
//! one identifier, can tell neither dummies from real entries nor which entries are one patient's.
//! Source: spec §5.7. `cargo test -p bellwether-formats --features build --test all linking:: -- --nocapture`
//!
//! Three classifiers are trained on one batch and judged on another. Two broken ways to seal are
//! played as well, and must be caught: a game that nobody can lose shows nothing.
#![cfg(feature = "build")]
#![allow(
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may panic, prints its figures, and counts in floating point"
)]

use std::collections::HashMap;

use bellwether_formats::filter::Filter;
use bellwether_formats::id::{Level, Scheme};
use bellwether_formats::scheme::cx::{self, Generator};
use bellwether_formats::sealed::{Entry, IdHash, Payload, Plan, Shape};
use sha2::{Digest as _, Sha256};

/// Patients of a batch, all of one level.
const PATIENTS: usize = 100;

/// Entries, or pairs of entries, of each kind that a classifier is trained and judged on.
const SAMPLES: usize = 50_000;

/// An entry as the public sees it.
struct Seen {
    /// Its 24 bytes.
    bytes: [u8; 24],
    /// Its chunk, and its place there.
    place: (usize, usize),
    /// How many entries its chunk has.
    filled: usize,
    /// Distances of its tag from those beside it, as logarithms.
    gaps: (f64, f64),
    /// Which bit patterns of the filter its key falls on.
    fingerprint: u64,
    /// Whose it is; of a dummy, nobody's. Not public: only the training set shows it.
    patient: Option<usize>,
}

/// How a batch is sealed: as the specification says, or wrongly.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Right,
    /// Dummies are drawn from the lower 95 % of the tags.
    LowDummies,
    /// A patient's entries share a byte.
    Marked,
}

/// Random numbers that are the same in every run.
struct Random {
    name: &'static str,
    count: u64,
    ready: Vec<u8>,
}

impl Random {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            count: 0,
            ready: Vec::new(),
        }
    }

    fn fill(&mut self, to: &mut [u8]) {
        for byte in to {
            if self.ready.is_empty() {
                let block = Sha256::new()
                    .chain_update(self.name)
                    .chain_update(self.count.to_be_bytes());
                self.ready = block.finalize().to_vec();
                self.count += 1;
            }
            *byte = self.ready.pop().unwrap();
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        (u64::from_le_bytes(bytes) % limit as u64) as usize
    }
}

/// A sealed batch of [`PATIENTS`] patients with its truth.
fn batch(name: &'static str, way: Way) -> Vec<Seen> {
    let mut random = Random::new(name);
    let mut salt = [0; 16];
    random.fill(&mut salt);
    let mut seeds = vec![0; PATIENTS * Generator::Aes128.seed_len()];
    random.fill(&mut seeds);
    let payload = Payload {
        level: Level(5),
        grade_step: 0,
        observed_before: 1_790_000_000,
        span: None,
    };
    let mut entries = Vec::new();
    let mut patients = HashMap::new();
    cx::expand(Generator::Aes128, &seeds, |patient, _, id| {
        let hash = IdHash::of(Scheme::CX1, &salt, None, id.as_bytes());
        patients.insert(*hash.tag().as_bytes(), patient);
        entries.push(Entry::seal(&hash, payload));
    })
    .unwrap();
    let plan = Plan::new(entries).unwrap();
    assert_eq!(
        plan.parts(),
        1,
        "one part, so that the game is about all entries"
    );
    let part = plan
        .part(0, 18, &mut |to: &mut [u8]| random.fill(to))
        .unwrap();
    let filter = Filter::decode(part.filter.bytes(), part.ids, 12).unwrap();
    let mut seen = Vec::new();
    for (number, chunk) in part.chunks.iter().enumerate() {
        let filled = usize::from(u16::from_le_bytes([chunk.bytes()[0], chunk.bytes()[1]]));
        let entries = chunk.bytes()[2..].as_chunks::<{ Shape::ENTRY_BYTES }>().0;
        for (rank, bytes) in entries[..filled].iter().enumerate() {
            let key = u64::from_le_bytes(bytes[..8].try_into().unwrap());
            assert!(
                filter.contains(key),
                "dummies are in the filter like all others"
            );
            let mut bytes = *bytes;
            let patient = patients.get(&bytes[..12]).copied();
            match (way, patient) {
                (Way::LowDummies, None) if bytes[0] >= 243 => continue,
                (Way::Marked, Some(patient)) => bytes[20] = patient as u8,
                _ => {}
            }
            seen.push(Seen {
                bytes,
                place: (number, rank),
                filled,
                gaps: (0.0, 0.0),
                fingerprint: mixed(key),
                patient,
            });
        }
    }
    let tags: Vec<f64> = seen.iter().map(|seen| tag(&seen.bytes)).collect();
    for (at, seen) in seen.iter_mut().enumerate() {
        let gap =
            |one: usize, other: usize| (tags.get(other).copied().unwrap_or(1.0) - tags[one]).abs();
        let log = |gap: f64| (gap * 250_000.0 + 1e-9).ln().clamp(-6.0, 3.0);
        seen.gaps = (log(gap(at, at.wrapping_sub(1))), log(gap(at, at + 1)));
    }
    seen
}

/// A tag as a fraction of its range.
fn tag(bytes: &[u8; 24]) -> f64 {
    u64::from_be_bytes(bytes[..8].try_into().unwrap()) as f64 / 2_f64.powi(64)
}

/// Bits on which a filter places a key: MurmurHash3's finaliser.
fn mixed(key: u64) -> u64 {
    let mut h = key;
    h = (h ^ (h >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    h = (h ^ (h >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    h ^ (h >> 33)
}

/// What a classifier is shown: bytes, and numbers about 1 in size.
struct Sample {
    bytes: Vec<u8>,
    numbers: Vec<f64>,
    /// What it is to tell.
    yes: bool,
}

/// Whether an entry is real: as many of each kind as there are, [`SAMPLES`] at most.
fn entries(seen: &[Seen], random: &mut Random) -> Vec<Sample> {
    let mut all: Vec<&Seen> = seen.iter().collect();
    for last in (1..all.len()).rev() {
        all.swap(last, random.below(last + 1));
    }
    let mut left = [SAMPLES; 2];
    let few = all.iter().filter(|seen| seen.patient.is_none()).count();
    left[1] = left[1].min(few * 3);
    let mut take = |yes: bool| {
        let left = &mut left[usize::from(yes)];
        *left = left.saturating_sub(1);
        *left > 0
    };
    let kept = all.into_iter().filter(|seen| take(seen.patient.is_some()));
    kept.map(|seen| Sample {
        bytes: seen
            .bytes
            .iter()
            .copied()
            .chain(seen.fingerprint.to_le_bytes())
            .collect(),
        numbers: vec![
            tag(&seen.bytes) * 2.0 - 1.0,
            seen.place.1 as f64 / 300.0 - 1.0,
            seen.filled as f64 / 300.0 - 1.0,
            seen.gaps.0,
            seen.gaps.1,
        ],
        yes: seen.patient.is_some(),
    })
    .collect()
}

/// Whether two entries are of one patient: [`SAMPLES`] pairs of each kind.
fn pairs(seen: &[Seen], random: &mut Random) -> Vec<Sample> {
    let mut of_patient: Vec<Vec<&Seen>> = (0..PATIENTS).map(|_| Vec::new()).collect();
    for seen in seen {
        if let Some(patient) = seen.patient {
            of_patient[patient].push(seen);
        }
    }
    let mut samples = Vec::new();
    while samples.len() < 2 * SAMPLES {
        let yes = samples.len() % 2 == 0;
        let patient = random.below(PATIENTS);
        let other = if yes { patient } else { random.below(PATIENTS) };
        let one = of_patient[patient][random.below(of_patient[patient].len())];
        let two = of_patient[other][random.below(of_patient[other].len())];
        if one.bytes == two.bytes || (other == patient) != yes {
            continue;
        }
        let xored = one.bytes.iter().zip(two.bytes).map(|(a, b)| a ^ b);
        let apart = (tag(&one.bytes) - tag(&two.bytes)).abs();
        let chunks = one.place.0.abs_diff(two.place.0);
        samples.push(Sample {
            bytes: xored
                .chain((one.fingerprint ^ two.fingerprint).to_le_bytes())
                .collect(),
            numbers: vec![
                apart * 2.0 - 1.0,
                (apart * 250_000.0 + 1e-9).ln() / 6.0,
                if chunks == 0 { 1.0 } else { 0.0 },
                if chunks <= 1 { 1.0 } else { 0.0 },
                one.place.1.abs_diff(two.place.1) as f64 / 300.0 - 1.0,
            ],
            yes,
        });
    }
    samples
}

/// Logistic regression over all bits and numbers, by stochastic gradient descent.
fn regression(train: &[Sample]) -> impl Fn(&Sample) -> f64 {
    let mut weights = vec![0.0; features(&train[0]).len()];
    let yes = train.iter().filter(|sample| sample.yes).count() as f64 / train.len() as f64;
    for round in 0..4 {
        let rate = 0.002 / f64::from(1 + round);
        for sample in train {
            let x = features(sample);
            let error =
                (if sample.yes { 1.0 - yes } else { -yes }) - (sigmoid(dot(&weights, &x)) - 0.5);
            weights
                .iter_mut()
                .zip(&x)
                .for_each(|(weight, x)| *weight += rate * error * x);
        }
    }
    move |sample| dot(&weights, &features(sample))
}

fn features(sample: &Sample) -> Vec<f64> {
    let bits = sample
        .bytes
        .iter()
        .flat_map(|byte| (0..8).map(move |bit| f64::from(byte >> bit & 1) * 2.0 - 1.0));
    bits.chain(sample.numbers.iter().copied()).collect()
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Naive Bayes over the values of each byte and of each number, cut into 64 steps.
fn bayes(train: &[Sample]) -> impl Fn(&Sample) -> f64 {
    let mut counts = vec![[[1.0_f64; 2]; 256]; values(&train[0]).len()];
    for sample in train {
        for (counts, value) in counts.iter_mut().zip(values(sample)) {
            counts[usize::from(value)][usize::from(sample.yes)] += 1.0;
        }
    }
    let all = |yes: usize| -> f64 { counts[0].iter().map(|count| count[yes]).sum() };
    let (no, yes) = (all(0), all(1));
    move |sample| {
        let shares = counts.iter().zip(values(sample));
        shares
            .map(|(counts, value)| {
                let [n, y] = counts[usize::from(value)];
                ((y / yes) / (n / no)).ln()
            })
            .sum()
    }
}

fn values(sample: &Sample) -> Vec<u8> {
    let steps = sample
        .numbers
        .iter()
        .map(|number| ((number + 2.0) * 16.0).clamp(0.0, 63.0) as u8);
    sample.bytes.iter().copied().chain(steps).collect()
}

/// Which share of the 15 nearest in the training set, by the numbers, is what is asked for; all
/// pairs of a byte's halves side by side, as a second opinion on bytes.
fn neighbours(train: &[Sample]) -> impl Fn(&Sample) -> f64 {
    // Cells of a grid instead of a search: the numbers that vary most, cut finely.
    let cell = |sample: &Sample| {
        let cut = |at: usize| ((sample.numbers[at] + 2.0) * 6.0).clamp(0.0, 23.0) as u32;
        (cut(0), cut(3), cut(4))
    };
    let mut cells: HashMap<(u32, u32, u32), [f64; 2]> = HashMap::new();
    for sample in train {
        cells.entry(cell(sample)).or_insert([1.0; 2])[usize::from(sample.yes)] += 1.0;
    }
    move |sample| {
        cells
            .get(&cell(sample))
            .map_or(0.5, |[no, yes]| yes / (no + yes))
    }
}

/// The probability that a random "yes" scores above a random "no", and its standard deviation where
/// the scores say nothing (Mann and Whitney).
fn auc(score: impl Fn(&Sample) -> f64, test: &[Sample]) -> (f64, f64) {
    let mut scored: Vec<(f64, bool)> = test
        .iter()
        .map(|sample| (score(sample), sample.yes))
        .collect();
    scored.sort_by(|a, b| a.0.total_cmp(&b.0));
    let yes = scored.iter().filter(|(_, yes)| *yes).count() as f64;
    let no = scored.len() as f64 - yes;
    let mut ranks = 0.0;
    let mut at = 0;
    for equal in scored.chunk_by(|a, b| a.0 == b.0) {
        let middle = at as f64 + (equal.len() as f64 + 1.0) / 2.0;
        ranks += middle * equal.iter().filter(|(_, yes)| *yes).count() as f64;
        at += equal.len();
    }
    let auc = (ranks - yes * (yes + 1.0) / 2.0) / (yes * no);
    (auc, ((yes + no + 1.0) / (12.0 * yes * no)).sqrt())
}

/// How many standard deviations from chance the best of the classifiers is.
fn best(game: &str, train: &[Sample], test: &[Sample]) -> f64 {
    let results = [
        ("regression", auc(regression(train), test)),
        ("Bayes", auc(bayes(train), test)),
        ("neighbours", auc(neighbours(train), test)),
    ];
    let mut best = 0.0_f64;
    for (name, (auc, sigma)) in results {
        let off = (auc - 0.5) / sigma;
        println!(
            "{game:<42} {name:<11} {:>7} judged: AUC {auc:.4}, {off:+.1} sigma",
            test.len()
        );
        best = best.max(off.abs());
    }
    best
}

#[test]
fn neither_dummies_nor_patients_can_be_told_apart() {
    for (way, name) in [
        (Way::Right, "as specified"),
        (Way::LowDummies, "dummies misdrawn"),
        (Way::Marked, "patients marked"),
    ] {
        let (train, test) = (
            batch("the first batch", way),
            batch("the second batch", way),
        );
        let mut random = Random::new("the game");
        let real = best(
            &format!("{name}: dummy or real"),
            &entries(&train, &mut random),
            &entries(&test, &mut random),
        );
        let linked = best(
            &format!("{name}: one patient or two"),
            &pairs(&train, &mut random),
            &pairs(&test, &mut random),
        );
        assert_eq!(real > 3.0, way != Way::Right, "{name}: {real} sigma");
        assert_eq!(linked > 3.0, way == Way::Marked, "{name}: {linked} sigma");
    }
}

#[test]
fn who_opened_two_entries_knows_what_the_number_of_patients_says() {
    let patients = 1..=PATIENTS;
    let ids = Generator::MAX_IDENTIFIERS as f64;
    for count in patients.filter(|count| [1, 2, 10, PATIENTS].contains(count)) {
        let one = (ids - 1.0) / (ids * count as f64 - 1.0);
        println!(
            "two entries opened, {count:>3} patients: of one with probability {one:.4}; 1/P = {:.4}",
            1.0 / count as f64
        );
        assert!(
            one <= 1.0 / count as f64,
            "by choice among all identifiers it is the bound, or a little less"
        );
    }
}
