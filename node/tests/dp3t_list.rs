//! `spec/vectors/dp3t-list.json`: every list gets its verdict, and what is damaged none that is good.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::collections::BTreeSet;
use std::path::Path;

use bellwether_node::dp3t_list::{Jws, List, MAX_JWS_BYTES, verify};
use bellwether_node::gaen_export::PublicKey;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};

fn vectors() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/vectors/dp3t-list.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn key(vectors: &Value) -> PublicKey {
    PublicKey::from_pem(vectors["key"].as_str().unwrap().as_bytes()).unwrap()
}

fn bytes(case: &Value) -> Vec<u8> {
    let hex = case["list"].as_str().unwrap();
    HEXLOWER.decode(hex.as_bytes()).unwrap()
}

fn judge(list: &[u8], signature: &[u8], key: &PublicKey, now: u64) -> Result<List, &'static str> {
    let jws = Jws::read(signature).map_err(|error| error.rule())?;
    verify(list, &jws, key, now).map_err(|error| error.rule())
}

fn told(list: &List) -> Value {
    let keys = list.keys.iter().map(|(place, exposed)| {
        json!({
            "place": place, "key": HEXLOWER.encode(&exposed.key),
            "first_day": exposed.first_day, "days": exposed.days,
        })
    });
    let dropped = list.dropped.iter();
    let dropped = dropped.map(|(place, error)| json!({ "place": place, "rule": error.rule() }));
    json!({
        "released_at": list.released_at,
        "keys": keys.collect::<Vec<_>>(), "dropped": dropped.collect::<Vec<_>>(),
    })
}

#[test]
fn every_list_gets_its_verdict() {
    let vectors = vectors();
    let key = key(&vectors);
    let mut rules = BTreeSet::new();
    for case in vectors["cases"].as_array().unwrap() {
        let name = case["case"].as_str().unwrap();
        let signature = case["signature"].as_str().unwrap();
        let now = case["now"].as_u64().unwrap();
        match judge(&bytes(case), signature.as_bytes(), &key, now) {
            Ok(list) => {
                let mut expected = case.clone();
                let members = expected.as_object_mut().unwrap();
                for read in ["case", "list", "signature", "now"] {
                    members.remove(read);
                }
                assert_eq!(told(&list), expected, "{name}");
                rules.extend(list.dropped.iter().map(|(_, error)| error.rule()));
            }
            Err(rule) => {
                assert_eq!(case["expect"], rule, "{name}");
                rules.insert(rule);
            }
        }
    }
    // (A list of too many keys is tested where it is read.)
    let expected = [
        "algorithm",
        "content-hash",
        "jws",
        "jws-expired",
        "key-data",
        "key-date",
        "list-time",
        "protobuf",
        "signature",
        "wire-type",
    ];
    assert_eq!(rules.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn the_first_list_is_what_the_back_end_says() {
    let vectors = vectors();
    let first = &vectors["cases"][0];
    let signature = first["signature"].as_str().unwrap().as_bytes();
    let now = first["now"].as_u64().unwrap();
    let list = judge(&bytes(first), signature, &key(&vectors), now).unwrap();
    let released = vectors["batch_release_time"].as_u64().unwrap();
    assert_eq!(list.released_at * 1000, released);
    assert_eq!(
        released % (vectors["batch_seconds"].as_u64().unwrap() * 1000),
        0
    );
    let exposed = list.keys.iter().map(|(_, exposed)| {
        json!({
            "key": HEXLOWER.encode(&exposed.key),
            "keyDate": u64::from(exposed.first_day) * 86_400_000,
        })
    });
    assert_eq!(json!(exposed.collect::<Vec<_>>()), vectors["exposed"]);
}

#[test]
fn no_damage_goes_unseen() {
    let vectors = vectors();
    let key = key(&vectors);
    let first = &vectors["cases"][0];
    let signature = first["signature"].as_str().unwrap().as_bytes();
    let now = first["now"].as_u64().unwrap();
    let list = bytes(first);
    for bit in 0..list.len() * 8 {
        let mut damaged = list.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let found = judge(&damaged, signature, &key, now);
        assert_eq!(found, Err("content-hash"), "bit {bit}");
    }
    let good = judge(&list, signature, &key, now).unwrap();
    for bit in 0..signature.len() * 8 {
        let mut damaged = signature.to_vec();
        damaged[bit / 8] ^= 1 << (bit % 8);
        // (White space at the end is none of it; nothing else is forgiven.)
        if let Ok(list) = judge(&list, &damaged, &key, now) {
            panic!("bit {bit} of the signature: {list:?}, {good:?}");
        }
    }
    let long = [signature, &vec![b' '; MAX_JWS_BYTES]].concat();
    assert_eq!(judge(&list, &long, &key, now), Err("jws"));
}
