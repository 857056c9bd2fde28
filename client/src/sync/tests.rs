//! The machine against invented gateways: no network, no disk, an invented clock.

use bellwether_formats::batch::{Batch, Part};
use bellwether_formats::cid::Block;
use bellwether_formats::id::Level;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::*;
use crate::fixture::{Mirror, Provider, part};
use crate::policy::Policy;
use crate::state::Pin;
use crate::trust::Body;

mod older;
mod trouble;

const NOW: u64 = 1_795_253_400;

/// A client that follows one provider, and what it asked for.
struct Phone {
    followed: Followed,
    asked: Vec<String>,
    kept: Vec<Keep>,
    report: Report,
}

impl Phone {
    /// Follows `provider` through gateways `https://g0`, `https://g1` … of different operators.
    fn new(provider: &Provider, gateways: usize) -> Self {
        let pin = |number| Pin {
            url: format!("https://g{number}"),
            operator: format!("operator {number}"),
        };
        Self {
            followed: Followed {
                provider: provider.id(),
                pins: (0..gateways).map(pin).collect(),
                descriptor: None,
                feeds: vec![Feed::new(provider.feed())],
            },
            asked: Vec::new(),
            kept: Vec::new(),
            report: Report::default(),
        }
    }

    /// Syncs; a gateway without a mirror is dead.
    fn sync(&mut self, mirrors: &[Option<&Mirror>], random: u64) -> &mut Self {
        self.sync_at(mirrors, random, NOW)
    }

    fn sync_at(&mut self, mirrors: &[Option<&Mirror>], random: u64, now: u64) -> &mut Self {
        let mut sync = Sync::new(vec![self.followed.clone()], now, random);
        self.asked.clear();
        self.kept.clear();
        for _ in 0..10_000 {
            match sync.poll() {
                Step::Fetch(request) => {
                    assert_eq!(
                        sync.poll_request(),
                        Some(request.clone()),
                        "asked until answered"
                    );
                    self.asked.push(request.url());
                    sync.answer(answer(mirrors, &request));
                }
                Step::Keep(keep) => self.keep(*keep),
                Step::Draw => {}
                Step::Done => {
                    self.report = sync.report().clone();
                    return self;
                }
            }
        }
        panic!("the sync does not end");
    }

    fn keep(&mut self, keep: Keep) {
        self.followed.descriptor = keep.descriptor.clone().or(self.followed.descriptor.take());
        for feed in keep.feed.iter().cloned() {
            self.followed.feeds = vec![feed];
        }
        self.kept.push(keep);
    }

    fn feed(&self) -> &Feed {
        &self.followed.feeds[0]
    }

    fn head(&self) -> Option<u64> {
        self.feed().head().map(|head| head.seq)
    }

    fn rules(&self) -> Vec<&'static str> {
        self.report
            .errors
            .iter()
            .map(|problem| problem.rule)
            .collect()
    }

    fn reached(&self) -> bool {
        self.report.feeds.iter().all(|feed| feed.reached)
    }

    fn blocks(&self) -> Vec<Block> {
        self.kept
            .iter()
            .flat_map(|keep| keep.blocks.clone())
            .collect()
    }
}

impl Sync {
    fn poll_request(&mut self) -> Option<Request> {
        match self.poll() {
            Step::Fetch(request) => Some(request),
            Step::Keep(_) | Step::Draw | Step::Done => None,
        }
    }
}

fn answer(mirrors: &[Option<&Mirror>], request: &Request) -> Answer {
    let number: usize = request
        .gateway
        .url
        .trim_start_matches("https://g")
        .parse()
        .unwrap();
    let Some(mirror) = mirrors.get(number).copied().flatten() else {
        return Answer::Failed("nobody is there".into());
    };
    match mirror.answer(&request.path) {
        Some(body) => {
            let tag = format!("\"{}\"", HEXLOWER.encode(&Sha256::digest(&body)));
            match &request.validator {
                Some(validator) if *validator == tag => Answer::NotModified,
                _ => Answer::Body(body),
            }
        }
        None => Answer::NotFound,
    }
}

/// A chain of heartbeats in which batch 2 has a body.
fn with_body(provider: &Provider, count: u64) -> (Vec<Signed<Batch>>, Block) {
    let at = NOW - 600;
    let (open, body) = part(at, &[(7, Level::DIAGNOSED)]);
    let first = provider.batch(None, at - 60, Vec::new());
    let second = provider.batch(Some(&first), at, vec![open]);
    (provider.extend(&[first, second], count - 2, at + 60), body)
}

#[test]
fn a_new_client_gets_everything_in_few_requests() {
    let provider = Provider::new(1, NOW);
    let (chain, body) = with_body(&provider, 5);
    let mirror = Mirror::new(&provider, &chain, std::slice::from_ref(&body));
    let mut phone = Phone::new(&provider, 2);
    phone.sync(&[Some(&mirror), Some(&mirror)], 1);
    assert_eq!(
        (phone.head(), phone.reached(), phone.rules()),
        (Some(5), true, vec![])
    );
    assert_eq!((phone.report.batches, phone.report.bodies), (5, 1));
    assert_eq!(
        phone.asked.len(),
        5,
        "descriptor and heads twice, one page: {:?}",
        phone.asked
    );
    assert!(phone.asked[4].ends_with("/gb/sct/after/0"));
    assert!(phone.blocks().contains(&body));
    assert_eq!(phone.blocks().len(), 6);
    assert!(matches!(
        phone.feed().batches()[1].parts[0].body,
        Body::Kept { tested: 0, .. }
    ));
    assert_eq!(phone.feed().reached_at(), Some(NOW));

    // Nothing new: descriptors are not sent again, no page is asked for.
    phone.sync(&[Some(&mirror), Some(&mirror)], 1);
    assert_eq!(phone.asked.len(), 4);
    assert_eq!(phone.report.batches, 0);
}

#[test]
fn the_very_next_batch_needs_its_bodies_only() {
    let provider = Provider::new(1, NOW);
    let (chain, body) = with_body(&provider, 2);
    let mut mirror = Mirror::new(&provider, &chain[..1], &[body]);
    let mut phone = Phone::new(&provider, 1);
    phone.sync(&[Some(&mirror)], 1);
    mirror.batches = chain;
    mirror.lean = true;
    phone.sync(&[Some(&mirror)], 1);
    assert_eq!(phone.head(), Some(2));
    assert_eq!(phone.report.bodies, 1);
    assert!(
        phone.asked.last().unwrap().contains("/ipfs/bafy"),
        "{:?}",
        phone.asked
    );
}

#[test]
fn cursors_are_shown_rounded() {
    let provider = Provider::new(1, NOW);
    let chain = provider.heartbeats(30, NOW);
    let mut mirror = Mirror::new(&provider, &chain[..21], &[]);
    let mut phone = Phone::new(&provider, 1);
    phone.sync(&[Some(&mirror)], 1);
    mirror.batches = chain;
    mirror.page = 7;
    phone.sync(&[Some(&mirror)], 1);
    assert_eq!(phone.head(), Some(30));
    let pages: Vec<&str> = phone
        .asked
        .iter()
        .filter_map(|url| url.split_once("after/"))
        .map(|(_, after)| after)
        .collect();
    assert_eq!(pages, ["16", "23"]);
    assert_eq!(phone.report.batches, 9);
}

#[test]
fn a_dead_gateway_is_passed_over_and_named_once() {
    let provider = Provider::new(1, NOW);
    let (chain, body) = with_body(&provider, 4);
    let mirror = Mirror::new(&provider, &chain, &[body]);
    for random in 0..6 {
        let mut phone = Phone::new(&provider, 3);
        phone.sync(&[None, Some(&mirror), None], random);
        assert_eq!((phone.head(), phone.reached()), (Some(4), true));
        let to_dead = phone
            .asked
            .iter()
            .filter(|url| !url.starts_with("https://g1/"))
            .count();
        assert!(to_dead <= 2, "{:?}", phone.asked);
    }
    let mut phone = Phone::new(&provider, 2);
    phone.sync(&[None, None], 1);
    assert!(!phone.reached());
    assert_eq!(phone.asked.len(), 2);
}

#[test]
fn a_liar_is_passed_over() {
    let provider = Provider::new(1, NOW);
    let stranger = Provider::new(2, NOW);
    let (chain, body) = with_body(&provider, 4);
    let right = Mirror::new(&provider, &chain, std::slice::from_ref(&body));
    let spoilt = Mirror {
        spoil: true,
        ..right.clone()
    };
    let foreign = Mirror::new(&stranger, &stranger.heartbeats(9, NOW), &[]);
    let bodiless = Mirror {
        lean: true,
        bodies: [].into(),
        ..right.clone()
    };
    let (_, other_body) = part(NOW - 5, &[(9, Level::DIAGNOSED)]);
    let swapped = Mirror {
        lean: true,
        bodies: [(body.cid(), other_body)].into(),
        ..right.clone()
    };
    for (liar, rule) in [
        (&spoilt, "block-hash"),
        (&foreign, "not-found"),
        (&bodiless, "not-found"),
        (&swapped, "block-hash"),
    ] {
        for random in 0..6 {
            let mut phone = Phone::new(&provider, 2);
            phone.sync(&[Some(liar), Some(&right)], random);
            assert_eq!((phone.head(), phone.reached()), (Some(4), true), "{rule}");
            assert_eq!(phone.report.bodies, 1);
        }
        let mut phone = Phone::new(&provider, 1);
        phone.sync(&[Some(liar)], 1);
        assert!(!phone.reached(), "{rule}");
        assert!(phone.rules().contains(&rule), "{rule}: {:?}", phone.rules());
        assert!(
            phone.head().is_none_or(|head| head == 1),
            "the cursor stops before what is missing"
        );
    }
}

#[test]
fn an_old_answer_does_not_take_the_feed_back() {
    let provider = Provider::new(1, NOW);
    let chain = provider.heartbeats(9, NOW);
    let new = Mirror::new(&provider, &chain, &[]);
    let old = Mirror::new(&provider, &chain[..4], &[]);
    let mut phone = Phone::new(&provider, 2);
    phone.sync(&[Some(&old), Some(&new)], 1);
    assert_eq!(
        (phone.head(), phone.rules()),
        (Some(9), vec![]),
        "the newer answer wins"
    );
    phone.sync(&[Some(&old), Some(&old)], 1);
    assert_eq!(
        (phone.head(), phone.rules()),
        (Some(9), vec!["old-answer", "old-answer"])
    );
    assert!(!phone.reached(), "no gateway is left");
    assert!(phone.kept.is_empty(), "not reached anew");
    for random in 0..6 {
        phone.sync(&[Some(&old), Some(&new)], random);
        assert!(phone.reached(), "one of them is up to date");
        let named = phone
            .report
            .errors
            .iter()
            .map(|problem| problem.gateway.as_deref());
        assert_eq!(named.collect::<Vec<_>>(), [Some("https://g0")]);
        assert_eq!(phone.rules(), ["old-answer"]);
    }
}

#[test]
fn the_descriptor_of_the_highest_epoch_wins() {
    let mut provider = Provider::new(1, NOW);
    let chain = provider.heartbeats(3, NOW - 600);
    let old = Mirror::new(&provider, &chain, &[]);
    provider.revoke(chain.last());
    let new = Mirror::new(&provider, &chain, &[]);
    for random in 0..6 {
        let mut phone = Phone::new(&provider, 2);
        phone.sync(&[Some(&old), Some(&new)], random);
        assert_eq!(phone.followed.descriptor.as_ref().unwrap().epoch, 2);
        assert_eq!((phone.head(), phone.rules()), (Some(3), vec![]));
    }
}

#[test]
fn what_is_not_read_moves_the_chain() {
    let provider = Provider::new(1, NOW);
    let (Part::Open(mut open), body) = part(NOW - 60, &[(7, Level::DIAGNOSED)]) else {
        panic!("an open part");
    };
    open.scheme.0 = 9;
    let chain = [provider.batch(None, NOW - 60, vec![Part::Open(open.clone())])];
    let mut phone = Phone::new(&provider, 1);
    phone.sync(
        &[Some(&Mirror::new(
            &provider,
            &chain,
            std::slice::from_ref(&body),
        ))],
        1,
    );
    assert_eq!((phone.head(), phone.report.bodies), (Some(1), 0));
    assert_eq!(phone.feed().batches()[0].parts[0].body, Body::Unread);

    // A body that is not what its part says is the provider's fault, and moves the chain as well.
    open.scheme.0 = 1;
    open.count = 2;
    let chain = [provider.batch(None, NOW - 60, vec![Part::Open(open)])];
    let mut phone = Phone::new(&provider, 1);
    phone.sync(&[Some(&Mirror::new(&provider, &chain, &[body]))], 1);
    assert_eq!((phone.head(), phone.rules()), (Some(1), vec!["count"]));
    assert_eq!(phone.feed().batches()[0].parts[0].body, Body::Broken);
}

#[test]
fn a_batch_from_the_future_is_ignored() {
    let provider = Provider::new(1, NOW);
    let chain = provider.heartbeats(3, NOW + 601);
    let mut phone = Phone::new(&provider, 1);
    phone.sync(&[Some(&Mirror::new(&provider, &chain, &[]))], 1);
    assert_eq!(
        (phone.head(), phone.rules()),
        (None, vec!["future", "unreachable"])
    );
}

#[test]
fn gateways_of_the_descriptor_are_used_too() {
    let mut provider = Provider::new(1, NOW);
    provider.descriptor.gateways = vec![Gateway {
        url: "https://g1".into(),
        operator: "another".into(),
    }];
    let chain = provider.heartbeats(3, NOW - 600);
    let (old, new) = (
        Mirror::new(&provider, &chain[..1], &[]),
        Mirror::new(&provider, &chain, &[]),
    );
    let mut phone = Phone::new(&provider, 1);
    phone.sync(&[Some(&old), Some(&new)], 1);
    assert_eq!(phone.head(), Some(3));
}
