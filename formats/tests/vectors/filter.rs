//! `filter.json`: filters and look-ups (spec §5.4).

use bellwether_formats::filter::{Filter, build};
use sha2::{Digest, Sha256};

use super::File;
use super::json::{hex, list, object, quoted, row};

const ABOUT: &str = "Filters of sealed parts and look-ups in them (spec §5.4). Keys are written as 16 hex digits, the most significant first. Where keys are derived, key i, for i from `from` on, is the first 8 bytes, read as u64 little-endian, of SHA-256 of the text filter-vector and i as u32 big-endian. `bytes` is what a provider builds of the keys; where there are no keys it is only to be read. `present` and `false_positives` are answered possible, `absent` is answered absent.";

pub(super) fn files() -> Vec<File> {
    let valid = accepted();
    let broken = refused();
    let text = object(
        0,
        &[
            ("about", quoted(ABOUT)),
            ("valid", list(1, &valid)),
            ("broken", list(1, &broken)),
        ],
    );
    vec![File {
        path: "filter.json".to_owned(),
        text: text + "\n",
    }]
}

/// The `number`-th invented key.
fn key(number: u32) -> u64 {
    let hash = Sha256::new()
        .chain_update("filter-vector")
        .chain_update(number.to_be_bytes())
        .finalize();
    u64::from_le_bytes(*hash.first_chunk().expect("32 bytes"))
}

fn keys(from: u32, count: u32) -> Vec<u64> {
    (from..from + count).map(key).collect()
}

fn accepted() -> Vec<String> {
    let mut all = vec![
        derived("no keys: everything is absent", 0, 0, 18),
        derived("one key: twelve slots", 0, 1, 18),
        derived("two keys: twelve slots", 0, 2, 18),
        derived("a hundred keys, the narrowest fingerprints", 0, 100, 8),
        derived("a hundred keys, the width that is usual", 0, 100, 18),
        derived("a hundred keys, fingerprints of whole bytes", 0, 100, 24),
        derived("a hundred keys, the widest fingerprints", 0, 100, 30),
        derived("ten thousand keys", 0, 10_000, 18),
        derived(
            "built at the second attempt, in segments of half the length",
            5400,
            100,
            12,
        ),
        derived(
            "four keys, at the second attempt: their segments stay",
            536,
            4,
            18,
        ),
        derived(
            "built at the third attempt, in the first layout again",
            474,
            6,
            12,
        ),
        listed(
            "keys at both ends of the range",
            &[0, 1, u64::MAX, 1 << 63, 0x6ef5_d572_13da_d33f],
            16,
        ),
    ];
    all.push(only_read());
    all
}

fn derived(about: &str, from: u32, count: u32, bits: u8) -> String {
    let keys = keys(from, count);
    let rule = format!("{{\"from\": {from}, \"count\": {count}}}");
    built(about, &keys, ("derived", rule), bits)
}

fn listed(about: &str, keys: &[u64], bits: u8) -> String {
    built(about, keys, ("keys", numbers(keys)), bits)
}

fn built(about: &str, keys: &[u64], source: (&str, String), bits: u8) -> String {
    let bytes = build(keys, bits).expect("keys that have a layout");
    let ids = u64::try_from(keys.len()).expect("few keys");
    let strangers = (1 << 24..).map(key).take(1 << 16);
    let filter = Filter::decode(&bytes, ids, bits).expect("what was built");
    let (possible, absent): (Vec<u64>, Vec<u64>) = strangers
        .filter(|key| !keys.contains(key) || keys.len() > 1000)
        .partition(|key| filter.contains(*key));
    let some = |keys: &[u64]| numbers(&keys[..keys.len().min(8)]);
    object(
        2,
        &[
            ("about", quoted(about)),
            source,
            ("bits", bits.to_string()),
            ("ids", ids.to_string()),
            ("bytes", hex(&bytes)),
            ("present", some(keys)),
            ("absent", some(&absent)),
            ("false_positives", some(&possible)),
        ],
    )
}

/// A filter of another geometry than a builder's: the most slots that a reader takes, none used.
fn only_read() -> String {
    let bytes = Raw {
        segments: 15,
        bitmap: vec![0; 9],
        ..Raw::of_one_key()
    };
    object(
        2,
        &[
            (
                "about",
                quoted(
                    "as many slots as a reader takes, and none is used: absent but for fingerprints that are 0",
                ),
            ),
            ("bits", "18".to_owned()),
            ("ids", "1".to_owned()),
            (
                "bytes",
                hex(&Raw {
                    values: Vec::new(),
                    ..bytes
                }
                .bytes()),
            ),
            ("present", row(&[])),
            ("absent", numbers(&keys(0, 8))),
            // With seed 0 the key 0 has hash 0.
            ("false_positives", numbers(&[0])),
        ],
    )
}

fn numbers(keys: &[u64]) -> String {
    let keys: Vec<String> = keys
        .iter()
        .map(|key| quoted(&format!("{key:016x}")))
        .collect();
    row(&keys)
}

/// A filter's fields, free to be wrong.
#[derive(Clone)]
struct Raw {
    head: [u8; 4],
    seed: u64,
    segments: u32,
    keys: u32,
    bitmap: Vec<u8>,
    values: Vec<u8>,
}

impl Raw {
    /// One key, 12 slots, of which slot 5 has the value 1.
    fn of_one_key() -> Self {
        Self {
            head: [1, 18, 2, 0],
            seed: 0,
            segments: 1,
            keys: 1,
            bitmap: vec![0b10_0000, 0],
            values: vec![1, 0, 0],
        }
    }

    fn bytes(&self) -> Vec<u8> {
        [
            self.head.as_slice(),
            &self.seed.to_le_bytes(),
            &self.segments.to_le_bytes(),
            &self.keys.to_le_bytes(),
            &self.bitmap,
            &self.values,
        ]
        .concat()
    }
}

fn refused() -> Vec<String> {
    let good = Raw::of_one_key();
    let head = |head| {
        Raw {
            head,
            ..good.clone()
        }
        .bytes()
    };
    let segments = |segments| {
        Raw {
            segments,
            ..good.clone()
        }
        .bytes()
    };
    let whole = good.bytes();
    let cut = |len: usize| whole[..len].to_vec();
    let broken = |rule, about, bytes: Vec<u8>| refusal(rule, about, &bytes, 1, 8);
    vec![
        broken("filter-format", "format 2", head([2, 18, 2, 0])),
        broken(
            "filter-reserved",
            "the reserved byte is 1",
            head([1, 18, 2, 1]),
        ),
        broken("filter-bits", "fingerprints of 7 bits", head([1, 7, 2, 0])),
        broken(
            "filter-bits",
            "fingerprints of 31 bits",
            head([1, 31, 2, 0]),
        ),
        refusal(
            "filter-minimum",
            "18 bits where the reader asks for 20",
            &whole,
            1,
            20,
        ),
        broken(
            "filter-segment",
            "segments of 2^19 slots",
            head([1, 18, 19, 0]),
        ),
        broken("filter-geometry", "no segments", segments(0)),
        broken(
            "filter-geometry",
            "72 slots for a key, where 68 are allowed",
            Raw {
                segments: 16,
                bitmap: vec![0b10_0000, 0, 0, 0, 0, 0, 0, 0, 0],
                ..good.clone()
            }
            .bytes(),
        ),
        broken("filter-geometry", "2^50 slots, of which nothing follows", {
            let raw = Raw {
                head: [1, 18, 18, 0],
                segments: u32::MAX,
                ..good.clone()
            };
            raw.bytes()
        }),
        refusal(
            "filter-count",
            "a key where the part has two ids",
            &whole,
            2,
            8,
        ),
        refusal(
            "filter-count",
            "a key where the part has none",
            &whole,
            0,
            8,
        ),
        broken(
            "filter-used",
            "two slots are used by one key",
            Raw {
                bitmap: vec![0b11_0000, 0],
                values: vec![1, 0, 4, 0, 0],
                ..good.clone()
            }
            .bytes(),
        ),
        broken("filter-length", "no bytes", cut(0)),
        broken("filter-length", "the header is cut", cut(19)),
        broken("filter-length", "the bitmap is cut", cut(21)),
        broken("filter-length", "no values", cut(22)),
        broken("filter-length", "a byte too few", cut(24)),
        broken(
            "filter-length",
            "a byte too many",
            [whole.as_slice(), &[0]].concat(),
        ),
        broken(
            "filter-padding",
            "a bit after the bitmap's twelve",
            Raw {
                bitmap: vec![0b10_0000, 0b1_0000],
                ..good.clone()
            }
            .bytes(),
        ),
        broken(
            "filter-padding",
            "a bit after the value's eighteen",
            Raw {
                values: vec![1, 0, 0b100],
                ..good.clone()
            }
            .bytes(),
        ),
        broken(
            "filter-zero",
            "a used slot whose value is 0",
            Raw {
                values: vec![0; 3],
                ..good.clone()
            }
            .bytes(),
        ),
    ]
}

fn refusal(rule: &str, about: &str, bytes: &[u8], ids: u64, min_bits: u8) -> String {
    object(
        2,
        &[
            ("about", quoted(about)),
            ("rule", quoted(rule)),
            ("ids", ids.to_string()),
            ("min_bits", min_bits.to_string()),
            ("bytes", hex(bytes)),
        ],
    )
}
