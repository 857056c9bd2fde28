//! `sealed.json`: hashes, places, shapes, a whole part and broken pieces of one (spec §5).
//!
//! The part is made here by hand, not by the code under test: only the filter is.

use bellwether_formats::cid::{Cid, Codec};
use bellwether_formats::filter;

use super::File;
use super::json::{hex, list, object, quoted};
use super::pieces::pieces;
use super::sample::{DAY, NOW, sha256};
use super::tree::Tree;

const ABOUT: &str = "Sealed parts (spec §5). Numbers of parts and chunks count from 0. Keys and positions are 16 hex digits, the most significant first. A piece is broken in the one way that its rule names; so many zeros follow its bytes. Dummy i of a part, from 0, is the first 24 bytes of SHA-256 of the text dummies and i as u32 big-endian; there are as many as the rung needs.";

/// A whole sealed part, the only one of its scheme.
pub(super) struct Part {
    pub(super) filter: Vec<u8>,
    pub(super) index: Vec<u8>,
    pub(super) chunks: Vec<Vec<u8>>,
}

/// What an entry is made of.
pub(super) struct Said {
    pub(super) identifier: Vec<u8>,
    pub(super) level: u8,
    pub(super) step: u8,
    pub(super) before: u64,
    /// In timed schemes.
    pub(super) span: Option<Steps>,
}

/// The day that is hashed, and the span from its start, in steps of 300 s.
#[derive(Clone, Copy)]
pub(super) struct Steps {
    day: u64,
    first: i16,
    count: u16,
}

impl Steps {
    /// The span's first second, and the one after its last.
    fn seconds(self) -> (u64, u64) {
        let start = (self.day * DAY).checked_add_signed(i64::from(self.first) * 300);
        let from = start.expect("after 1970");
        (from, from + u64::from(self.count) * 300)
    }
}

impl Said {
    fn hash(&self, scheme: u8, salt: &[u8]) -> [u8; 32] {
        match self.span {
            Some(span) => timed_hash(scheme, salt, span.day, &self.identifier),
            None => hash(scheme, salt, &self.identifier),
        }
    }

    fn entry(&self, scheme: u8, salt: &[u8]) -> Vec<u8> {
        let mut plain = plain(self.level, self.step, self.before);
        if let Some(span) = self.span {
            plain[7..9].copy_from_slice(&span.first.to_be_bytes());
            plain[9..11].copy_from_slice(&span.count.to_be_bytes());
        }
        entry(&self.hash(scheme, salt), &plain)
    }

    fn json(&self) -> String {
        let span = self.span.map_or(String::new(), |span| {
            let (from, to) = span.seconds();
            format!(
                ", \"day\": {}, \"span\": {{\"from\": {from}, \"to\": {to}}}",
                span.day
            )
        });
        format!(
            "{{\"identifier\": {}, \"level\": {}, \"grade_step\": {}, \"observed_before\": {}{span}}}",
            hex(&self.identifier),
            self.level,
            self.step,
            self.before
        )
    }
}

/// Fingerprint bits of the vectors' filters.
pub(super) const BITS: u8 = 18;

/// Identifiers of the vectors' parts: the smallest rung.
pub(super) const IDS: usize = 8192;

fn hash(scheme: u8, salt: &[u8], identifier: &[u8]) -> [u8; 32] {
    sha256(&[b"bw1", &[scheme][..], salt, identifier].concat())
}

/// The hash in timed schemes.
fn timed_hash(scheme: u8, salt: &[u8], day: u64, identifier: &[u8]) -> [u8; 32] {
    hash(scheme, salt, &[&day.to_be_bytes(), identifier].concat())
}

pub(super) fn plain(level: u8, step: u8, before: u64) -> [u8; 12] {
    let [_, _, _, time @ ..] = before.to_be_bytes();
    let mut plain = [0; 12];
    plain[0] = level;
    plain[1] = step;
    plain[2..7].copy_from_slice(&time);
    plain
}

fn entry(hash: &[u8; 32], plain: &[u8; 12]) -> Vec<u8> {
    let sealed = plain
        .iter()
        .zip(&hash[12..24])
        .map(|(byte, key)| byte ^ key);
    hash[..12].iter().copied().chain(sealed).collect()
}

/// In which of 64 chunks an entry lies, where there is one part: by its first six bits.
fn chunk_of(entry: &[u8]) -> usize {
    usize::from(entry[0] >> 2)
}

/// A chunk of 4096 bytes.
pub(super) fn chunk(entries: &[Vec<u8>]) -> Vec<u8> {
    let count = u16::try_from(entries.len()).expect("few entries");
    let mut chunk = [&count.to_le_bytes()[..], &entries.concat()].concat();
    assert!(chunk.len() <= 4096, "a chunk overflows: another salt");
    chunk.resize(4096, 0);
    chunk
}

/// Makes a part of the smallest rung.
pub(super) fn part(scheme: u8, salt: &[u8], said: &[Said], dummies: &str) -> Part {
    let real = said.iter().map(|said| said.entry(scheme, salt));
    let dummies = (0_u32..).map(|i| {
        let text = [dummies.as_bytes(), &i.to_be_bytes()].concat();
        sha256(&text)[..24].to_vec()
    });
    let mut entries: Vec<Vec<u8>> = real.chain(dummies).take(IDS).collect();
    entries.sort();
    let key = |entry: &Vec<u8>| u64::from_le_bytes(entry[..8].try_into().expect("8 bytes"));
    let keys: Vec<u64> = entries.iter().map(key).collect();
    let chunks: Vec<Vec<u8>> = (0..64)
        .map(|number| {
            let inside = entries.iter().filter(|entry| chunk_of(entry) == number);
            chunk(&inside.cloned().collect::<Vec<_>>())
        })
        .collect();
    let links = chunks
        .iter()
        .map(|chunk| Tree::Link(Cid::of(Codec::Raw, chunk)));
    Part {
        filter: filter::build(&keys, BITS).expect("keys that have a layout"),
        index: Tree::List(links.collect()).bytes(),
        chunks,
    }
}

pub(super) fn files() -> Vec<File> {
    let text = object(
        0,
        &[
            ("about", quoted(ABOUT)),
            ("hashes", list(1, &hashes())),
            ("places", list(1, &places())),
            ("ladder", list(1, &ladder())),
            ("part", whole(1, &said(), ABOUT_PART, "sealed.json")),
            (
                "timed_part",
                whole(7, &timed(), ABOUT_TIMED, "sealed.json, timed"),
            ),
            ("pieces", list(1, &pieces())),
        ],
    );
    vec![File {
        path: "sealed.json".to_owned(),
        text: text + "\n",
    }]
}

fn hashes() -> Vec<String> {
    let (short, long) = (&sha256(b"one")[..16], &[0xee; 32][..]);
    let today = NOW / DAY;
    let case = |about, scheme: u8, salt: u8, day: Option<u64>, identifier: &[u8]| {
        let salt = [salt; 16];
        let hash = match day {
            Some(day) => timed_hash(scheme, &salt, day, identifier),
            None => hash(scheme, &salt, identifier),
        };
        let key: Vec<u8> = hash[..8].iter().rev().copied().collect();
        let day = day.map(|day| ("day", day.to_string()));
        let said = [
            ("about", quoted(about)),
            ("scheme", scheme.to_string()),
            ("salt", hex(&salt)),
        ];
        let made = [
            ("identifier", hex(identifier)),
            ("hash", hex(&hash)),
            ("tag", hex(&hash[..12])),
            ("key", hex(&key)),
            ("keystream", hex(&hash[12..24])),
        ];
        let pairs: Vec<_> = said.into_iter().chain(day).chain(made).collect();
        object(2, &pairs)
    };
    vec![
        case("cx1", 1, 0x5a, None, short),
        case("another salt, another hash", 1, 0x5b, None, short),
        case(
            "an identifier of 32 bytes, as of scheme 8",
            8,
            0,
            None,
            long,
        ),
        case("tcn, which is not timed", 3, 0x5a, None, short),
        case("dp3t-lowcost, which is timed", 4, 0x5a, Some(today), short),
        case(
            "dp3t-unlinkable: the identifier is a hash and holds the epoch",
            5,
            0x5a,
            None,
            long,
        ),
        case("dp3t-hybrid, which is timed", 6, 0x5a, Some(today), short),
        case("gaen, which is timed", 7, 0x5a, Some(today), short),
        case("the day before", 7, 0x5a, Some(today - 1), short),
        case("the first day of all", 7, 0x5a, Some(0), short),
    ]
}

fn places() -> Vec<String> {
    // position, parts, chunks; then, by hand, part and chunk.
    let cases = [
        ("the lowest tag", 0, 1, 64, 0, 0),
        ("the highest tag", u64::MAX, 1, 64, 0, 63),
        ("the highest tag of three parts", u64::MAX, 3, 421, 2, 420),
        (
            "the last of the first third",
            0x5555_5555_5555_5555,
            3,
            421,
            0,
            420,
        ),
        (
            "the first of the second third",
            0x5555_5555_5555_5556,
            3,
            421,
            1,
            0,
        ),
        ("the middle", 1 << 63, 1, 481, 0, 240),
    ];
    let case = |(about, position, parts, chunks, part, chunk): (&str, u64, u32, u32, u32, u32)| {
        object(
            2,
            &[
                ("about", quoted(about)),
                ("position", quoted(&format!("{position:016x}"))),
                ("parts", parts.to_string()),
                ("chunks", chunks.to_string()),
                ("part", part.to_string()),
                ("chunk", chunk.to_string()),
            ],
        )
    };
    cases.into_iter().map(case).collect()
}

fn ladder() -> Vec<String> {
    let rungs = (13..18).flat_map(|e| (4..8).map(move |q: u64| (q << e) / 4));
    let rung = |ids: u64| {
        let (chunks, bytes) = match ids <= 1 << 14 {
            true => (ids / 128, 4096),
            false => (ids.div_ceil(545), 16_384),
        };
        format!("{{\"ids\": {ids}, \"chunks\": {chunks}, \"chunk_bytes\": {bytes}}}")
    };
    rungs.chain([1 << 18]).map(rung).collect()
}

/// What the part of `sealed.json` says.
fn said() -> Vec<Said> {
    let said = |i: u8| Said {
        identifier: sha256(&[i])[..16].to_vec(),
        level: 3 + i % 4,
        step: i % 5,
        before: NOW - u64::from(i) * 3600,
        span: None,
    };
    (0..20).map(said).collect()
}

/// What the timed part says: identifiers of yesterday, as of a gaen key.
fn timed() -> Vec<Said> {
    let said = |i: u8| Said {
        identifier: sha256(&[b"gaen", &[i][..]].concat())[..16].to_vec(),
        level: 5,
        step: 0,
        before: NOW,
        span: Some(Steps {
            day: NOW / DAY - 1,
            first: i16::from(i) * 2 - 24,
            count: 50,
        }),
    };
    (0..144).step_by(7).map(said).collect()
}

const SALT: [u8; 16] = [0x5a; 16];

const ABOUT_PART: &str = "A part of the smallest rung, whole: 20 entries and 8172 dummies. The chunk shown is that of the first entry.";

const ABOUT_TIMED: &str = "The same of a timed scheme: 21 entries, of every seventh interval of a day, and 8171 dummies. The identifiers are of no key.";

fn whole(scheme: u8, said: &[Said], about: &str, dummies: &str) -> String {
    let part = part(scheme, &SALT, said, dummies);
    let entries: Vec<String> = said.iter().map(Said::json).collect();
    let number = chunk_of(&said[0].hash(scheme, &SALT));
    let shown = &part.chunks[number];
    let used = 2 + 24 * usize::from(u16::from_le_bytes([shown[0], shown[1]]));
    object(
        1,
        &[
            ("about", quoted(about)),
            ("scheme", scheme.to_string()),
            ("salt", hex(&SALT)),
            ("ids", IDS.to_string()),
            ("entries", list(2, &entries)),
            ("dummies", quoted(dummies)),
            ("filter_bits", BITS.to_string()),
            ("filter_size", part.filter.len().to_string()),
            ("filter_cid", cid(Codec::Raw, &part.filter)),
            ("index", hex(&part.index)),
            ("index_cid", cid(Codec::DagCbor, &part.index)),
            ("chunk_number", number.to_string()),
            ("chunk", hex(&shown[..used])),
            ("chunk_zeros", (4096 - used).to_string()),
            ("chunk_cid", cid(Codec::Raw, shown)),
        ],
    )
}

fn cid(codec: Codec, bytes: &[u8]) -> String {
    quoted(&Cid::of(codec, bytes).to_string())
}
