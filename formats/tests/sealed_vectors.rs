//! `sealed.json`, `pir.json` and `folds.json` under `spec/vectors`, against the code.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::collections::BTreeSet;

use bellwether_formats::batch::{Batch, Part};
use bellwether_formats::body::check_observed_before;
use bellwether_formats::id::{Level, Scheme};
use bellwether_formats::pir::{Mask, combine, xor_into};
use bellwether_formats::sealed::{
    Chunk, Entry, IdHash, Index, LADDER, Payload, Place, Plan, SealedError, Shape, Tag,
};
use bellwether_formats::signed::Signed;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn read(name: &str) -> Value {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/vectors");
    serde_json::from_str(&std::fs::read_to_string(root.join(name)).unwrap()).unwrap()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().unwrap_or_else(|| panic!("`{key}`"))
}

fn number(value: &Value, key: &str) -> u64 {
    value[key]
        .as_u64()
        .unwrap_or_else(|| panic!("`{key}` of {value}"))
}

fn count(value: &Value, key: &str) -> usize {
    number(value, key).try_into().unwrap()
}

fn small(value: &Value, key: &str) -> u8 {
    number(value, key).try_into().unwrap()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("`{key}` of {value}"))
}

fn bytes(value: &Value, key: &str) -> Vec<u8> {
    HEXLOWER.decode(text(value, key).as_bytes()).unwrap()
}

fn fixed<const N: usize>(value: &Value, key: &str) -> [u8; N] {
    bytes(value, key).try_into().unwrap()
}

fn payload(value: &Value) -> Payload {
    Payload {
        level: Level(small(value, "level")),
        grade_step: small(value, "grade_step"),
        observed_before: number(value, "observed_before"),
        span: value
            .get("span")
            .map(|span| (number(span, "from"), number(span, "to"))),
    }
}

fn hash(value: &Value, salt: &Value, scheme: &Value) -> IdHash {
    let scheme = Scheme(small(scheme, "scheme"));
    IdHash::of(
        scheme,
        &fixed(salt, "salt"),
        value.get("day").map(|_| number(value, "day")),
        &bytes(value, "identifier"),
    )
}

/// What a source of dummies gives: those that the vectors' text describes.
fn dummies(text: &str) -> impl FnMut(&mut [u8]) {
    let mut next = 0_u32;
    let text = text.to_owned();
    move |bytes| {
        for entry in bytes.chunks_mut(24) {
            let hash = Sha256::digest([text.as_bytes(), &next.to_be_bytes()].concat());
            entry.copy_from_slice(&hash[..entry.len()]);
            next += 1;
        }
    }
}

#[test]
fn hashes_and_places() {
    let vectors = read("sealed.json");
    for vector in list(&vectors, "hashes") {
        let hash = hash(vector, vector, vector);
        assert_eq!(hash.tag().as_bytes(), &fixed(vector, "tag"), "{vector}");
        assert_eq!(
            format!("{:016x}", hash.key()),
            text(vector, "key"),
            "{vector}"
        );
        let all = bytes(vector, "hash");
        assert_eq!(all[..12], bytes(vector, "tag"));
        assert_eq!(all[12..24], bytes(vector, "keystream"));
    }
    for vector in list(&vectors, "places") {
        let mut tag = [0; 12];
        tag[..8].copy_from_slice(&bytes(vector, "position"));
        let (tag, parts) = (Tag::from_bytes(tag), count(vector, "parts"));
        let found = (tag.part(parts), tag.chunk(parts, count(vector, "chunks")));
        assert_eq!(
            found,
            (count(vector, "part"), count(vector, "chunk")),
            "{vector}"
        );
    }
    let ladder = list(&vectors, "ladder");
    assert_eq!(ladder.len(), LADDER.len());
    for (vector, ids) in ladder.iter().zip(LADDER) {
        let shape = Shape::of(number(vector, "ids")).unwrap();
        let found = (shape.ids(), shape.chunks(), shape.chunk_bytes());
        assert_eq!(
            found,
            (ids, count(vector, "chunks"), count(vector, "chunk_bytes"))
        );
    }
}

#[test]
fn whole_parts_are_built_from_what_they_say() {
    let vectors = read("sealed.json");
    build(&vectors["part"]);
    build(&vectors["timed_part"]);
}

fn build(part: &Value) {
    let entries = list(part, "entries");
    let entry = |said: &Value| Entry::seal(&hash(said, part, part), payload(said));
    let plan = Plan::new(entries.iter().map(entry).collect()).unwrap();
    let random = &mut dummies(text(part, "dummies"));
    let built = plan.part(0, small(part, "filter_bits"), random).unwrap();
    assert_eq!(built.ids, number(part, "ids"));
    assert_eq!(built.filter.cid().to_string(), text(part, "filter_cid"));
    assert_eq!(built.filter.bytes().len(), count(part, "filter_size"));
    assert_eq!(built.index.bytes(), bytes(part, "index"));
    assert_eq!(built.index.cid().to_string(), text(part, "index_cid"));

    let shown = &built.chunks[count(part, "chunk_number")];
    let mut chunk = bytes(part, "chunk");
    chunk.resize(chunk.len() + count(part, "chunk_zeros"), 0);
    assert_eq!(shown.bytes(), chunk);
    assert_eq!(shown.cid().to_string(), text(part, "chunk_cid"));
    for said in entries {
        let hash = hash(said, part, part);
        let at = hash.tag().chunk(1, plan.shape().chunks());
        let chunk = Chunk::decode(built.chunks[at].bytes(), plan.shape(), Place::ONLY, at);
        assert_eq!(chunk.unwrap().open(&hash), Some(Ok(payload(said))));
    }
}

/// The rule that a piece breaks.
fn judge(piece: &Value) -> Result<(), &'static str> {
    let kind = text(piece, "as");
    if kind == "ids" {
        let shape = Shape::of(number(piece, "ids"));
        return shape.map(drop).map_err(|error| error.rule());
    }
    let mut all = bytes(piece, "bytes");
    all.resize(all.len() + count(piece, "zeros"), 0);
    if kind == "payload" {
        return opened(piece, &all);
    }
    let shape = Shape::of(number(piece, "ids")).unwrap();
    match kind {
        "chunk" => {
            let place = Place {
                parts: count(piece, "parts"),
                part: count(piece, "part"),
            };
            let chunk = Chunk::decode(&all, &shape, place, count(piece, "number"));
            chunk.map(drop).map_err(|error| error.rule())
        }
        "index" => {
            let index = Index::decode(&all, &shape).map_err(|error| error.rule())?;
            assert_eq!(index.encode(), all, "written again, to the byte");
            Ok(())
        }
        other => panic!("as {other}"),
    }
}

/// Opens a payload: seals it by hand in a chunk of its own, of a timed scheme if it has a day.
fn opened(piece: &Value, plain: &[u8]) -> Result<(), &'static str> {
    let identifier = b"somebody";
    let day = piece.get("day").map(|_| number(piece, "day"));
    let scheme = day.map_or(Scheme::CX1, |_| Scheme::GAEN);
    let days = day.map(u64::to_be_bytes);
    let days = days.as_ref().map(<[u8; 8]>::as_slice).unwrap_or_default();
    let full = Sha256::digest([b"bw1", &[scheme.0][..], &[9; 16], days, identifier].concat());
    let hash = IdHash::of(scheme, &[9; 16], day, identifier);
    let sealed: Vec<u8> = plain
        .iter()
        .zip(&full[12..])
        .map(|(byte, key)| byte ^ key)
        .collect();
    let mut chunk = [&[1, 0], &full[..12], &sealed].concat();
    chunk.resize(4096, 0);
    let shape = Shape::of(8192).unwrap();
    let at = hash.tag().chunk(1, shape.chunks());
    let chunk = Chunk::decode(&chunk, &shape, Place::ONLY, at).unwrap();
    let opened = chunk.open(&hash).expect("the entry is there");
    let opened = opened.map_err(|error| error.rule())?;
    if piece.get("published_at").is_some() {
        let at = number(piece, "published_at");
        let checked = check_observed_before(opened.observed_before, at);
        checked.map_err(|error| error.rule())?;
    }
    assert_eq!(opened, payload(piece), "{piece}");
    Ok(())
}

#[test]
fn pieces_get_their_verdict() {
    let vectors = read("sealed.json");
    let pieces = list(&vectors, "pieces");
    let mut broken = BTreeSet::new();
    for piece in pieces {
        let expect = text(piece, "expect");
        let found = judge(piece).err().unwrap_or("valid");
        assert_eq!(
            found,
            expect,
            "{}: {}",
            text(piece, "as"),
            text(piece, "about")
        );
        assert!(expect == "valid" || expect == text(piece, "rule"));
        broken.insert(expect);
    }
    // `sealed-parts` is about a batch: it is in `folds.json`.
    let missing: Vec<_> = SealedError::RULES
        .iter()
        .filter(|rule| **rule != "sealed-parts" && !broken.contains(**rule))
        .collect();
    assert!(
        missing.is_empty(),
        "rules without a broken piece: {missing:?}"
    );
}

#[test]
fn masks_and_queries() {
    let vectors = read("pir.json");
    for vector in list(&vectors, "masks") {
        let mask = Mask::decode(&bytes(vector, "bytes"), count(vector, "chunks"));
        let found = mask.as_ref().map_or_else(|error| error.rule(), |_| "valid");
        assert_eq!(found, text(vector, "expect"), "{vector}");
        if let Ok(mask) = mask {
            let chosen: Vec<_> = mask.chosen().collect();
            assert_eq!(json!(chosen), vector["chosen"], "{vector}");
        }
    }
    for vector in list(&vectors, "queries") {
        let hex = |value: &Value| HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap();
        let body: Vec<Vec<u8>> = list(vector, "body").iter().map(hex).collect();
        let mask = Mask::decode(&bytes(vector, "mask"), body.len()).unwrap();
        let other = mask.flipped(count(vector, "wanted")).unwrap();
        assert_eq!(other.as_bytes(), bytes(vector, "other"));
        let answers: Vec<Vec<u8>> = [mask, other]
            .iter()
            .map(|mask| {
                let mut answer = vec![0; body[0].len()];
                mask.chosen()
                    .for_each(|at| xor_into(&mut answer, &body[at]).unwrap());
                answer
            })
            .collect();
        assert_eq!(
            answers,
            list(vector, "answers").iter().map(hex).collect::<Vec<_>>()
        );
        assert_eq!(
            combine(&answers[0], &answers[1]),
            Ok(bytes(vector, "chunk"))
        );
    }
}

#[test]
fn ranges_and_the_parts_of_folds() {
    let vectors = read("folds.json");
    for vector in list(&vectors, "batches") {
        let batch = match Signed::<Batch>::open(&bytes(vector, "envelope")) {
            Ok(batch) => batch,
            Err(error) => {
                assert_eq!(error.rule(), text(vector, "expect"), "{vector}");
                continue;
            }
        };
        assert_eq!(text(vector, "expect"), "valid", "{vector}");
        assert_eq!(json!([batch.range().0, batch.range().1]), vector["range"]);
        let answer = |position: usize| match &batch.parts[position] {
            Part::Sealed(_) => match batch.place(position) {
                Ok(Place { parts, part }) => json!({"part": part, "parts": parts}),
                Err(error) => json!(error.rule()),
            },
            // What a reader makes of an open part depends on `covers`; here all have it.
            Part::Open(_) | Part::Unknown(_) => {
                assert_eq!(batch.place(position), Err(SealedError::Parts));
                json!("update-needed")
            }
        };
        let answers: Vec<Value> = (0..batch.parts.len()).map(answer).collect();
        assert_eq!(json!(answers), vector["parts"], "{vector}");
        assert_eq!(batch.place(batch.parts.len()), Err(SealedError::Parts));
    }
}
