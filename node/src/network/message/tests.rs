use bellwether_formats::cid::Codec;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn feed() -> impl Strategy<Value = FeedId> {
    (any::<[u8; 32]>(), "[a-z0-9-]{1,16}(/[a-z0-9-]{1,16}){0,3}").prop_map(|(key, zone)| FeedId {
        provider: ProviderId::from_bytes(key),
        zone: zone.parse().unwrap(),
    })
}

fn request() -> impl Strategy<Value = SyncRequest> {
    let block = |(raw, bytes): (bool, Vec<u8>)| {
        let codec = if raw { Codec::Raw } else { Codec::DagCbor };
        SyncRequest::Block(Cid::of(codec, &bytes))
    };
    prop_oneof![
        (feed(), 0..=MAX_NUMBER).prop_map(|(feed, seq)| SyncRequest::After { feed, seq }),
        (any::<bool>(), vec(any::<u8>(), 0..8)).prop_map(block),
        vec(vec(any::<u8>(), 0..8), 0..20).prop_map(|list| {
            let cids = list.iter().map(|bytes| Cid::of(Codec::Raw, bytes));
            SyncRequest::Blocks(cids.collect())
        }),
        any::<[u8; 32]>().prop_map(|key| SyncRequest::Descriptor(ProviderId::from_bytes(key))),
        vec(feed(), 0..20).prop_map(SyncRequest::Heads),
    ]
}

fn response() -> impl Strategy<Value = SyncResponse> {
    let bytes = || vec(any::<u8>(), 0..300);
    prop_oneof![
        vec(bytes(), 0..5).prop_map(SyncResponse::Batches),
        bytes().prop_map(SyncResponse::Block),
        vec(bytes(), 0..5).prop_map(SyncResponse::Blocks),
        bytes().prop_map(SyncResponse::Descriptor),
        vec(bytes(), 0..5).prop_map(SyncResponse::Heads),
        Just(SyncResponse::None(NoneReason::NotFound)),
        Just(SyncResponse::None(NoneReason::Busy)),
    ]
}

/// One value, one spelling: what decodes at all encodes back to the very same bytes.
fn canonical(bytes: &[u8]) {
    if let Ok(request) = SyncRequest::decode(bytes) {
        assert_eq!(request.encode(), bytes);
    }
    if let Ok(response) = SyncResponse::decode(bytes) {
        assert_eq!(response.encode(), bytes);
    }
}

proptest! {
    #[test]
    fn requests_round_trip(request in request()) {
        prop_assert_eq!(SyncRequest::decode(&request.encode()), Ok(request));
    }

    #[test]
    fn responses_round_trip(response in response()) {
        prop_assert_eq!(SyncResponse::decode(&response.encode()), Ok(response));
    }

    #[test]
    fn any_bytes_are_refused_or_canonical(bytes in vec(any::<u8>(), 0..100)) {
        canonical(&bytes);
    }

    #[test]
    fn changed_messages_are_refused_or_canonical(
        request in request(),
        response in response(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        for mut bytes in [request.encode(), response.encode()] {
            let at = at.index(bytes.len());
            let mut longer = bytes.clone();
            longer.insert(at, byte);
            canonical(&longer);
            canonical(&bytes[..at]);
            bytes[at] = byte;
            canonical(&bytes);
        }
    }
}

#[test]
fn the_longest_messages_fit_their_limits() {
    let feed = FeedId {
        provider: ProviderId::from_bytes([0xff; 32]),
        zone: ["abcdefghijklmnop"; 4].join("/").parse().unwrap(),
    };
    let heads = SyncRequest::Heads(vec![feed; usize::try_from(MAX_HEADS).unwrap()]);
    assert!(heads.encode().len() <= MAX_REQUEST_BYTES);
    assert_eq!(SyncRequest::decode(&heads.encode()), Ok(heads));

    let block = SyncResponse::Block(vec![0; MAX_BLOCK_BYTES]);
    assert!(block.encode().len() <= MAX_RESPONSE_BYTES);
    assert_eq!(SyncResponse::decode(&block.encode()), Ok(block));

    let most = usize::try_from(MAX_BLOCKS).unwrap();
    let cids = SyncRequest::Blocks(vec![Cid::of(Codec::Raw, &[]); most]);
    assert!(cids.encode().len() <= MAX_REQUEST_BYTES);
    let blocks = SyncResponse::Blocks(vec![vec![0; MAX_LIST_BYTES / most]; most]);
    assert!(blocks.encode().len() <= MAX_RESPONSE_BYTES);
    assert_eq!(SyncResponse::decode(&blocks.encode()), Ok(blocks));
    let large = SyncResponse::Blocks(vec![vec![0; MAX_BLOCK_BYTES]]);
    assert!(large.encode().len() <= MAX_RESPONSE_BYTES);

    let cut = MAX_LIST_BYTES / MAX_BATCH_BYTES + 1;
    let batches = SyncResponse::Batches(vec![vec![0; MAX_BATCH_BYTES]; cut]);
    assert!(batches.encode().len() <= MAX_RESPONSE_BYTES);
}

#[test]
fn what_is_past_its_limit_is_named() {
    let feed = FeedId {
        provider: ProviderId::from_bytes([0; 32]),
        zone: "gb".parse().unwrap(),
    };
    let heads = SyncRequest::Heads(vec![feed; usize::try_from(MAX_HEADS).unwrap() + 1]);
    let refused = SyncRequest::decode(&heads.encode()).unwrap_err();
    assert_eq!(refused.rule(), "limit");
    let most = usize::try_from(MAX_BLOCKS).unwrap();
    let cids = SyncRequest::Blocks(vec![Cid::of(Codec::Raw, &[]); most + 1]);
    assert_eq!(
        SyncRequest::decode(&cids.encode()).unwrap_err().rule(),
        "limit"
    );

    for response in [
        SyncResponse::Block(vec![0; MAX_BLOCK_BYTES + 1]),
        SyncResponse::Descriptor(vec![0; MAX_DESCRIPTOR_BYTES + 1]),
        SyncResponse::Heads(vec![vec![0; MAX_BATCH_BYTES + 1]]),
        SyncResponse::Batches(vec![vec![0; MAX_BATCH_BYTES + 1]]),
        SyncResponse::Heads(vec![vec![]; usize::try_from(MAX_HEADS).unwrap() + 1]),
        SyncResponse::Blocks(vec![vec![]; most + 1]),
    ] {
        let refused = SyncResponse::decode(&response.encode()).unwrap_err();
        assert_eq!(refused.rule(), "limit", "{response:?}");
    }
}

#[test]
fn a_message_has_exactly_one_field() {
    let mut none = Writer::new();
    none.map(0);
    let mut two = Writer::new();
    two.map(2).text("none").uint(0).text("block").bytes(&[1]);
    for bytes in [none.finish(), two.finish()] {
        assert_eq!(SyncResponse::decode(&bytes).unwrap_err().rule(), "value");
    }
}
