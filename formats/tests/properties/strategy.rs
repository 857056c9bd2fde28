//! What the properties are tried on: true objects of every shape, and damage.

use std::collections::BTreeMap;

use bellwether_formats::batch::{Batch, BlockRef, OpenPart, Part, SealedPart, Window};
use bellwether_formats::body::open::Terms;
use bellwether_formats::cid::{Cid, Codec};
use bellwether_formats::descriptor::{Anchor, Descriptor, Gateway, KeyWindow};
use bellwether_formats::id::{Level, ObjectId, PublicKey, Scheme, Zone};
use bellwether_formats::limit;
use bellwether_formats::scheme::Width;
use ipld_core::cid::Cid as IpldCid;
use ipld_core::ipld::Ipld;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use crate::common::{DAY, NOW, public, root, signing};

pub(crate) fn cid(codec: Codec) -> impl Strategy<Value = Cid> {
    any::<[u8; 4]>().prop_map(move |bytes| Cid::of(codec, &bytes))
}

/// A tree as an unknown part may hold it: no floats, a few levels.
pub(crate) fn tree() -> impl Strategy<Value = Ipld> {
    let number = (any::<u64>(), 0..64u32, any::<bool>()).prop_map(|(number, shift, negative)| {
        let number = i128::from(number >> shift);
        Ipld::Integer(if negative { -1 - number } else { number })
    });
    let link = cid(Codec::Raw).prop_map(|cid| {
        let bytes = cid.to_bytes();
        Ipld::Link(IpldCid::try_from(bytes.as_slice()).unwrap())
    });
    let leaf = prop_oneof![
        Just(Ipld::Null),
        any::<bool>().prop_map(Ipld::Bool),
        number,
        link,
        ".{0,30}".prop_map(Ipld::String),
        vec(any::<u8>(), 0..300).prop_map(Ipld::Bytes),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..30).prop_map(Ipld::List),
            btree_map("[a-z]{0,9}", inner, 0..6).prop_map(Ipld::Map),
        ]
    })
}

pub(crate) fn zone() -> impl Strategy<Value = Zone> {
    "[a-z0-9-]{1,16}(/[a-z0-9-]{1,16}){0,3}".prop_map(|zone| zone.parse().unwrap())
}

pub(crate) fn key() -> impl Strategy<Value = PublicKey> {
    any::<[u8; 32]>().prop_map(PublicKey::from_bytes)
}

pub(crate) fn window() -> impl Strategy<Value = Window> {
    (0..1u64 << 52, 1..1u64 << 52).prop_map(|(from, len)| Window {
        from,
        to: from + len,
    })
}

pub(crate) fn block_ref(codec: Codec) -> impl Strategy<Value = BlockRef> {
    let size = 1..=u64::try_from(limit::MAX_BLOCK_BYTES).unwrap();
    (cid(codec), size).prop_map(|(cid, size)| BlockRef { cid, size })
}

pub(crate) fn part() -> impl Strategy<Value = Part> {
    let scheme = || any::<u8>().prop_map(Scheme);
    let count = 1..=limit::MAX_COUNT;
    let open = (scheme(), window(), block_ref(Codec::DagCbor), count);
    let open = open.prop_map(|(scheme, window, body, count)| {
        Part::Open(OpenPart {
            scheme,
            window,
            body,
            count,
        })
    });
    let ids = limit::MIN_SEALED_IDS..=limit::MAX_SEALED_IDS;
    let blocks = (block_ref(Codec::Raw), cid(Codec::DagCbor));
    let sealed = (scheme(), window(), blocks, ids);
    let sealed = sealed.prop_map(|(scheme, window, (filter, index), ids)| {
        Part::Sealed(SealedPart {
            scheme,
            window,
            filter,
            index,
            ids,
        })
    });
    prop_oneof![open, sealed]
}

/// A batch that its provider may sign.
pub(crate) fn batch() -> impl Strategy<Value = Batch> {
    let numbers = (1..limit::MAX_NUMBER, 1..limit::MAX_NUMBER, 0..1u64 << 40);
    let spans = (1..=7 * DAY, 0..=DAY, 0..1u64 << 40);
    let ids = (any::<[u8; 32]>(), any::<[u8; 16]>(), cid(Codec::DagCbor));
    let rest = (zone(), vec(part(), 0..10), any::<bool>());
    (numbers, spans, ids, rest).prop_map(|(numbers, spans, ids, (zone, parts, fold))| {
        let (seq, epoch, published_at) = numbers;
        let (by, after, back) = spans;
        let (prev, salt, desc) = ids;
        Batch {
            provider: public(&root()),
            zone,
            key: public(&signing()),
            epoch,
            seq,
            prev: (seq > 1).then(|| ObjectId::from_bytes(prev)),
            published_at,
            next_after: published_at + after.min(by),
            next_by: published_at + by,
            retain_from: published_at.saturating_sub(back),
            desc,
            salt,
            covers: (fold && seq > 1).then(|| (1.max(seq / 2), seq - 1)),
            parts,
        }
    })
}

pub(crate) fn descriptor() -> impl Strategy<Value = Descriptor> {
    let windows = btree_map(any::<[u8; 32]>(), window(), 1..=8);
    let keys = windows.prop_map(|windows| {
        let window = |(key, window): ([u8; 32], Window)| KeyWindow {
            key: PublicKey::from_bytes(key),
            not_before: window.from,
            not_after: window.to,
        };
        windows.into_iter().map(window).collect()
    });
    let gateway = ("https://[a-z]{1,20}", ".{1,16}");
    let gateway = gateway.prop_map(|(url, operator)| Gateway { url, operator });
    let anchors = btree_map(zone(), option::of(any::<[u8; 32]>()), 0..5).prop_map(|anchors| {
        let anchor = |(zone, id): (Zone, Option<[u8; 32]>)| Anchor {
            zone,
            epoch: 1,
            seq: id.map_or(0, |_| 9),
            id: id.map_or(Anchor::BEGINNING, ObjectId::from_bytes),
        };
        anchors.into_iter().map(anchor).collect()
    });
    let numbers = (1..limit::MAX_NUMBER, 0..1u64 << 40, 1..=400 * DAY);
    let lists = (keys, vec(gateway, 0..=16), anchors, btree_set(zone(), 1..6));
    let others = (btree_set(key(), 0..5), option::of(key()), option::of(key()));
    let rest = (".{1,32}", any::<[u8; 32]>());
    (numbers, lists, others, rest).prop_map(|(numbers, lists, others, (name, next_root))| {
        let (epoch, issued_at, life) = numbers;
        let (keys, gateways, anchors, zones) = lists;
        let (peers, upstream, successor) = others;
        Descriptor {
            provider: public(&root()),
            epoch,
            issued_at,
            expires_at: issued_at + life,
            name,
            keys,
            zones: zones.into_iter().collect(),
            gateways,
            anchors,
            next_root,
            upstream,
            peers: peers.into_iter().collect(),
            successor,
        }
    })
}

/// A scheme that can be open, and units of its length, each with terms.
pub(crate) fn units() -> impl Strategy<Value = (Scheme, BTreeMap<Vec<u8>, Terms>)> {
    let open = |scheme: &Scheme| !scheme.rules().unwrap().always_sealed();
    let open: Vec<Scheme> = Scheme::ALL.into_iter().filter(open).collect();
    prop::sample::select(open).prop_flat_map(|scheme| {
        let lengths = match scheme.rules().unwrap().width() {
            Width::Fixed(width) => width..=width,
            Width::Listed { min, max } => min..=max,
        };
        let units = btree_map(vec(any::<u8>(), lengths), terms(), 1..60);
        (Just(scheme), units)
    })
}

pub(crate) fn terms() -> impl Strategy<Value = Terms> {
    let grade = option::of(0..=100u8);
    (any::<u8>(), grade, NOW..NOW + 3).prop_map(|(level, grade, observed_before)| Terms {
        level: Level(level % 8),
        grade,
        observed_before,
    })
}

/// Bytes with a few of them replaced.
pub(crate) fn scratched(bytes: &[u8], scratches: &[(usize, u8)]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (at, byte) in scratches {
        let len = bytes.len();
        if let Some(place) = bytes.get_mut(at % len.max(1)) {
            *place = *byte;
        }
    }
    bytes
}

pub(crate) fn scratches() -> impl Strategy<Value = Vec<(usize, u8)>> {
    vec((any::<usize>(), any::<u8>()), 1..4)
}
