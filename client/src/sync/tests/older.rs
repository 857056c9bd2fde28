//! Batches that one gateway has deleted and another one may have.

use super::*;
use crate::trust::Cause;

/// Bound of what can be said.
fn bound(phone: &Phone, now: u64) -> (u64, Option<Cause>) {
    let known = phone.feed().coverage(Policy::Private, now).unwrap();
    (known.from, known.cause)
}

fn pages(phone: &Phone) -> Vec<&str> {
    let pages = phone.asked.iter().filter(|url| url.contains("/after/"));
    pages.map(String::as_str).collect()
}

#[test]
fn a_new_phone_at_a_pruned_gateway_asks_the_others() {
    let provider = Provider::new(1, NOW);
    let (chain, body) = with_body(&provider, 12);
    let whole = Mirror::new(&provider, &chain, std::slice::from_ref(&body));
    let pruned = Mirror::new(&provider, &chain[8..], &[]);
    for random in 0..8 {
        let mut phone = Phone::new(&provider, 3);
        phone.sync(&[Some(&pruned), Some(&whole), Some(&pruned)], random);
        assert_eq!((phone.head(), phone.feed().batches().len()), (Some(12), 12));
        assert_eq!(bound(&phone, NOW), (0, None));
        assert_eq!(phone.report.bodies, 1);
        assert!(phone.blocks().contains(&body));
    }
}

#[test]
fn a_gap_is_filled_by_whoever_has_it() {
    let provider = Provider::new(1, NOW);
    let chain = provider.heartbeats(30, NOW);
    let whole = Mirror::new(&provider, &chain, &[]);
    let pruned = Mirror::new(&provider, &chain[20..], &[]);
    for random in 0..8 {
        let mut phone = Phone::new(&provider, 2);
        phone.sync(&[Some(&Mirror::new(&provider, &chain[..5], &[]))], random);
        phone.sync(&[Some(&pruned), Some(&whole)], random);
        assert_eq!((phone.head(), phone.feed().batches().len()), (Some(30), 30));
        assert_eq!(bound(&phone, NOW), (0, None));
    }
    let mut phone = Phone::new(&provider, 1);
    phone.sync(&[Some(&Mirror::new(&provider, &chain[..5], &[]))], 1);
    phone.sync(&[Some(&pruned)], 1);
    assert_eq!((phone.head(), phone.reached()), (Some(30), true));
    let edge = chain[20].published_at;
    assert_eq!(bound(&phone, NOW), (edge, Some(Cause::Older)));
    assert_eq!(phone.feed().branches()[0].len(), 15);
}

#[test]
fn what_nobody_has_is_asked_for_once_a_day() {
    let provider = Provider::new(1, NOW);
    let chain = provider.heartbeats(30, NOW);
    let pruned = Mirror::new(&provider, &chain[20..], &[]);
    let whole = Mirror::new(&provider, &chain, &[]);
    let mirrors = [Some(&pruned); 3];
    let mut phone = Phone::new(&provider, 3);
    phone.sync(&mirrors, 1);
    assert_eq!(pages(&phone).len(), 3, "{:?}", phone.asked);
    let mut asked: Vec<&str> = pages(&phone).iter().map(|url| &url[..10]).collect();
    asked.sort_unstable();
    assert_eq!(asked, ["https://g0", "https://g1", "https://g2"]);
    assert_eq!(phone.rules(), ["not-found", "not-found"]);
    for later in [0, 3600, 86_399] {
        phone.sync_at(&mirrors, 1, NOW + later);
        assert_eq!(pages(&phone), [""; 0], "after {later} s");
    }
    // A relay may have fetched it in the meantime.
    phone.sync_at(
        &[Some(&pruned), Some(&pruned), Some(&whole)],
        1,
        NOW + 86_400,
    );
    assert!(!pages(&phone).is_empty());
    assert_eq!(bound(&phone, NOW), (0, None));
}

#[test]
fn not_all_gateways_are_asked_in_one_sync() {
    let provider = Provider::new(1, NOW);
    let chain = provider.heartbeats(30, NOW);
    let pruned = Mirror::new(&provider, &chain[20..], &[]);
    let mirrors = [Some(&pruned); 9];
    let mut phone = Phone::new(&provider, 9);
    let mut counts = Vec::new();
    for _ in 0..4 {
        phone.sync(&mirrors, 1);
        counts.push(pages(&phone).len());
    }
    assert_eq!(counts, [5, 4, 0, 0]);
}

#[test]
fn other_operators_are_asked_first() {
    let provider = Provider::new(1, NOW);
    let chain = provider.heartbeats(30, NOW);
    let pruned = Mirror::new(&provider, &chain[20..], &[]);
    let whole = Mirror::new(&provider, &chain, &[]);
    for random in 0..8 {
        let mut phone = Phone::new(&provider, 7);
        for (at, pin) in phone.followed.pins[..6].iter_mut().enumerate() {
            pin.operator = if at < 3 { "one" } else { "two" }.into();
        }
        let mut mirrors = [Some(&pruned); 7];
        mirrors[6] = Some(&whole);
        phone.sync(&mirrors, random);
        let pages = pages(&phone);
        assert!(pages.len() <= 3, "{pages:?}");
        assert_eq!(bound(&phone, NOW), (0, None));
    }
}

#[test]
fn pieces_of_several_gateways_make_one_chain() {
    let provider = Provider::new(1, NOW);
    let chain = provider.heartbeats(30, NOW);
    let of = |from: usize, to: usize| Mirror::new(&provider, &chain[from..to], &[]);
    let (newest, middle, oldest) = (of(20, 30), of(10, 25), of(0, 12));
    for random in 0..8 {
        let mut phone = Phone::new(&provider, 3);
        let mirrors = [Some(&newest), Some(&middle), Some(&oldest)];
        phone.sync(&mirrors, random);
        phone.sync(&mirrors, random);
        assert_eq!((phone.head(), phone.feed().batches().len()), (Some(30), 30));
        assert_eq!(bound(&phone, NOW), (0, None));
        // A page at a time, too.
        let mut small = [&newest, &middle, &oldest].map(Clone::clone);
        small.iter_mut().for_each(|mirror| mirror.page = 3);
        let mut phone = Phone::new(&provider, 3);
        phone.sync(&small.each_ref().map(Some), random);
        phone.sync(&small.each_ref().map(Some), random);
        assert_eq!(bound(&phone, NOW), (0, None));
    }
}

/// Batches past the window of 14 days: in those no observation that matters can be in.
#[test]
fn what_is_too_old_is_not_asked_for() {
    let provider = Provider::new(1, NOW);
    for (age, asks) in [(14 * 86_400 - 1, true), (14 * 86_400 + 1, false)] {
        let old = provider.heartbeats(20, NOW - age - 60);
        let chain = provider.extend(&old, 2, NOW - age);
        let chain = provider.extend(&chain, 1, NOW - 60);
        let pruned = Mirror::new(&provider, &chain[20..], &[]);
        let mut phone = Phone::new(&provider, 2);
        phone.sync(&[Some(&pruned), Some(&pruned)], 1);
        assert_eq!(pages(&phone).len(), if asks { 2 } else { 1 });
        assert_eq!(bound(&phone, NOW).0, NOW - age);
    }
}

/// Behind a gap the provider, or a thief, told another story.
#[test]
fn what_turns_out_to_be_another_branch_below_a_gap_is_kept_as_one() {
    let provider = Provider::new(1, NOW);
    let common = provider.heartbeats(3, NOW - 6000);
    let other = provider.extend(&common, 2, NOW - 5000);
    let chain = provider.extend(&common, 27, NOW - 4990);
    let whole = Mirror::new(&provider, &chain, &[]);
    let pruned = Mirror::new(&provider, &chain[20..], &[]);
    let mut phone = Phone::new(&provider, 2);
    phone.sync(&[Some(&Mirror::new(&provider, &other, &[]))], 1);
    phone.sync(&[Some(&pruned), Some(&whole)], 1);
    phone.sync_at(&[Some(&pruned), Some(&whole)], 1, NOW + 86_400);
    assert_eq!(phone.head(), Some(30));
    let lengths: Vec<usize> = phone.feed().branches().iter().map(Vec::len).collect();
    assert_eq!(lengths, [30, 5]);
    assert_eq!(phone.feed().forks().len(), 1);
    assert_eq!(bound(&phone, NOW), (0, None));
}

/// Anybody can sign a batch that says it is the provider's.
#[test]
fn a_batch_of_a_foreign_key_is_no_head_and_spoils_no_answer() {
    let provider = Provider::new(1, NOW);
    let (chain, body) = with_body(&provider, 9);
    let right = Mirror::new(&provider, &chain, std::slice::from_ref(&body));
    let stranger = Provider {
        keys: Provider::new(2, NOW).keys,
        ..provider.clone()
    };
    for (epoch, seq) in [(1, 12), (1000, 12), (1000, 5), (9_000_000, 9_000_000)] {
        let mut forged = (*stranger.batch(chain.last(), NOW - 5, Vec::new())).clone();
        (forged.epoch, forged.seq) = (epoch, seq);
        let forged = Signed::sign(&forged, &stranger.keys[0]).unwrap();
        for (named, paged) in [(true, false), (false, true), (true, true)] {
            let with = |is: bool| is.then(|| forged.clone());
            let liar = Mirror {
                heads: with(named).into_iter().collect(),
                pages: with(paged).into_iter().collect(),
                ..right.clone()
            };
            for page in [usize::MAX, 3] {
                let liar = Mirror {
                    page,
                    ..liar.clone()
                };
                let mut phone = Phone::new(&provider, 1);
                phone.sync(&[Some(&liar)], 1);
                assert_eq!((phone.head(), phone.reached()), (Some(9), true));
                assert_eq!(bound(&phone, NOW), (0, None), "nothing else is known to be");
                assert_eq!(phone.feed().unreached().count(), 0);
            }
        }
    }
}
