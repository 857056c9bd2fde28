//! Gaps, forks, stolen keys.

use super::*;

#[test]
fn a_fork_is_followed_on_both_branches() {
    let provider = Provider::new(1, NOW);
    let common = provider.heartbeats(19, NOW - 6000);
    let (open, body) = part(NOW - 300, &[(7, Level::DIAGNOSED)]);
    let mut side = provider.extend(&common, 2, NOW - 4000);
    side.push(provider.batch(side.last(), NOW - 300, vec![open]));
    let main = provider.extend(&common, 2, NOW - 3990);
    let (one, other) = (
        Mirror::new(&provider, &main, &[]),
        Mirror::new(&provider, &side, &[body]),
    );
    for random in 0..6 {
        let mut phone = Phone::new(&provider, 2);
        phone.sync(&[Some(&one)], random);
        phone.sync(&[Some(&one), Some(&other)], random);
        assert_eq!(phone.head(), Some(21), "the head stays on its branch");
        assert_eq!(phone.feed().forks().len(), 1);
        assert_eq!((phone.feed().batches().len(), phone.report.bodies), (24, 1));
        assert!(phone.rules().contains(&"equivocation"));
    }
}

#[test]
fn a_fork_older_than_the_cursor_is_dug_out() {
    let provider = Provider::new(1, NOW);
    let main = provider.heartbeats(20, NOW - 3000);
    let side = provider.extend(&main[..2], 20, NOW - 2990);
    let mut phone = Phone::new(&provider, 2);
    let one = Mirror::new(&provider, &main, &[]);
    phone.sync(&[Some(&one)], 1);
    phone.sync(&[Some(&one), Some(&Mirror::new(&provider, &side, &[]))], 1);
    assert_eq!(phone.head(), Some(20));
    assert_eq!(phone.feed().forks().len(), 1);
    assert_eq!(phone.feed().forks()[0].seq, 3);
    assert_eq!(phone.feed().batches().len(), 40);
}

#[test]
fn an_ancestor_under_a_revoked_key_waits_for_its_descendant() {
    let mut provider = Provider::new(1, NOW);
    let old = provider.heartbeats(10, NOW - 3000);
    provider.revoke(None);
    let chain = provider.extend(&old, 1, NOW - 60);
    let mut mirror = Mirror::new(&provider, &chain, &[]);
    // The page is cut: what comes first is not vouched for yet.
    mirror.page = 4;
    let mut phone = Phone::new(&provider, 1);
    phone.sync(&[Some(&mirror)], 1);
    assert_eq!((phone.head(), phone.feed().batches().len()), (Some(11), 11));
    // Without the descendant, nothing of it is believed.
    mirror.batches.pop();
    let mut phone = Phone::new(&provider, 1);
    phone.sync(&[Some(&mirror)], 1);
    assert_eq!(
        (phone.head(), phone.rules()),
        (None, vec!["key-not-listed", "unreachable"])
    );
}

#[test]
fn an_anchor_takes_a_thiefs_batches_away() {
    let provider = Provider::new(1, NOW);
    let chain = provider.heartbeats(9, NOW - 6000);
    let (open, body) = part(NOW - 4000, &[(7, Level::DIAGNOSED)]);
    let mut stolen = chain[..7].to_vec();
    stolen.push(provider.batch(stolen.last(), NOW - 4000, vec![open]));
    let mut phone = Phone::new(&provider, 1);
    phone.sync(&[Some(&Mirror::new(&provider, &stolen, &[body]))], 1);
    assert_eq!(phone.head(), Some(8));
    // The anchor is batch 9 of the true chain: it turns out on the way that the head is none of it.
    for anchored in [6, 8] {
        let mut provider = provider.clone();
        let mut phone = Phone {
            followed: phone.followed.clone(),
            asked: vec![],
            kept: vec![],
            report: Report::default(),
        };
        provider.revoke(Some(&chain[anchored]));
        let renewed = provider.extend(&chain[..=anchored], 1, NOW - 60);
        phone.sync(&[Some(&Mirror::new(&provider, &renewed, &[]))], 1);
        assert_eq!(phone.head(), renewed.last().map(|last| last.seq));
        assert_eq!(phone.feed().batches().len(), renewed.len());
        assert!(phone.feed().forks().is_empty());
        assert!(phone.rules().contains(&"anchor"), "{:?}", phone.rules());
    }
}
