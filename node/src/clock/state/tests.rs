use bellwether_formats::id::{ObjectId, PublicKey};

use super::*;

const T: u64 = 1_600_000_000;
const DAY: u64 = 86_400;
const OWN: u8 = 1;

fn id(name: u8) -> ProviderId {
    PublicKey::from_bytes([name; 32])
}

fn head(name: u8, published_at: u64) -> (ProviderId, Head) {
    let head = Head {
        seq: 1,
        id: ObjectId::of(b""),
        epoch: 1,
        published_at,
        next_by: published_at + 3600,
    };
    (id(name), head)
}

/// A node whose wall clock is `ahead` of the truth.
struct Node {
    state: State,
    truth: Moment,
    ahead: i64,
    heads: Vec<(ProviderId, Head)>,
}

impl Node {
    fn new() -> Self {
        Self {
            state: State::new(Some(id(OWN)), None),
            truth: Moment {
                utc: T,
                at: Duration::ZERO,
            },
            ahead: 0,
            heads: Vec::new(),
        }
    }

    /// A node that read the right clock once.
    fn settled() -> Self {
        let mut node = Self::new();
        node.heads = vec![head(OWN, T)];
        assert_eq!(node.read().doubt, None);
        node
    }

    /// So much later, in seconds.
    fn after(&mut self, seconds: u64) -> Read {
        self.truth.utc += seconds;
        self.truth.at += Duration::from_secs(seconds);
        self.read()
    }

    fn read(&mut self) -> Read {
        let utc = self.truth.utc.checked_add_signed(self.ahead).unwrap();
        let at = self.truth.at;
        self.state.read(Moment { utc, at }, &self.heads)
    }

    fn leap(&mut self, by: i64) -> Read {
        self.ahead += by;
        self.after(1)
    }

    /// Off for so long, then started again.
    fn restart(&mut self, off: u64) {
        let kept = self.state.kept(self.truth.at);
        self.state = State::new(Some(id(OWN)), kept);
        self.truth.utc += off;
        self.truth.at = Duration::ZERO;
    }

    fn says(&mut self, operator: &str, utc: u64) {
        let at = self.truth.at;
        self.state.date(operator.to_owned(), Moment { utc, at });
    }
}

#[test]
fn clock_that_leaps_and_comes_back_is_believed_again_at_once_and_deletes_nothing_between() {
    for by in [7200, 30 * 86_400] {
        let mut node = Node::settled();
        let leapt = node.leap(by);
        assert!(leapt.doubt.is_some() && leapt.horizon == 0, "{leapt:?}");
        let minute = node.after(60);
        assert!(minute.doubt.is_some() && minute.horizon == 0);
        let back = node.leap(-by);
        assert_eq!((back.doubt, back.horizon), (None, T + 62));
    }
}

#[test]
fn clock_that_was_ahead_at_the_start_is_told_by_the_last_durable_time() {
    for by in [7200, 30 * 86_400] {
        let mut node = Node::settled();
        node.restart(20);
        let leapt = node.leap(by);
        assert!(leapt.doubt.is_some() && leapt.horizon == 0, "{leapt:?}");
        let back = node.leap(-by);
        assert_eq!((back.doubt, back.horizon), (None, T + 22));
    }
}

#[test]
fn restart_within_ten_minutes_is_no_leap() {
    let mut node = Node::settled();
    node.restart(TOLERANCE_S);
    assert_eq!(node.read().doubt, None);
}

#[test]
fn node_that_does_one_thing_may_have_been_off_for_a_week_and_not_longer() {
    for (off, by, believed) in [(3 * DAY, 0, true), (8 * DAY, 0, false), (60, -7200, false)] {
        let mut node = Node::settled();
        let kept = node.state.kept(node.truth.at);
        node.restart(off);
        node.state = State::once(Some(id(OWN)), kept);
        node.ahead = by;
        assert_eq!(node.read().doubt.is_none(), believed, "{off} {by}");
    }
    let mut node = Node::settled();
    node.state = State::once(Some(id(OWN)), node.state.kept(Duration::ZERO));
    node.says("relay", T - 7200);
    assert!(node.read().doubt.is_some(), "contradicted");
}

#[test]
fn leap_that_nobody_speaks_of_lets_sign_after_ten_minutes_and_delete_after_seven_days_lived() {
    let mut node = Node::settled();
    node.leap(30 * 86_400);
    assert!(node.after(599).doubt.is_some());
    let alone = node.after(1);
    assert_eq!((alone.doubt, alone.horizon), (None, 0));
    // What it signs now, by the clock in question, is no second source.
    node.heads = vec![head(OWN, T + 31 * DAY)];
    let mut lived = 601;
    while lived < MAX_HELD_S {
        assert_eq!(node.after(DAY / 2).horizon, 0, "{lived}");
        lived += DAY / 2;
        // Time lived is summed over starts.
        node.restart(100);
        assert_eq!(node.read().doubt, None);
    }
    assert!(node.after(DAY).horizon > T + 30 * DAY);
}

#[test]
fn second_source_that_agrees_ends_a_leap() {
    let mut node = Node::settled();
    node.restart(30 * DAY);
    assert!(node.read().doubt.is_some());
    node.says("relay", T + 30 * DAY + 3);
    let agreed = node.read();
    assert_eq!(agreed.doubt, None);
    assert_eq!(agreed.horizon, T + DAY, "its own newest batch is of then");
    node.heads = vec![head(OWN, T + 30 * DAY)];
    assert_eq!(node.read().horizon, T + 30 * DAY);
}

#[test]
fn other_provider_that_signed_of_late_ends_a_leap_for_deleting() {
    let mut node = Node::settled();
    node.restart(30 * DAY);
    node.heads.push(head(2, T + 30 * DAY - 1800));
    let read = node.read();
    assert!(
        read.doubt.is_some(),
        "for signing, half an hour is too much"
    );
    assert_eq!(read.horizon, T + 30 * DAY);
}

#[test]
fn horizon_follows_what_is_signed_for_seven_days_lived() {
    let mut node = Node::settled();
    node.heads = vec![head(OWN, T), head(2, T)];
    let mut left = 20 * DAY;
    let mut held = 0;
    while left > 0 {
        let read = node.after(3600);
        let local = node.truth.utc;
        let expected = if held >= MAX_HELD_S {
            local
        } else {
            local.min(T + DAY)
        };
        assert_eq!(read.horizon, expected, "{left}");
        held = if local > T + DAY { held + 3600 } else { 0 };
        left -= 3600;
    }
    // Somebody signs again: the clock is with others again, and is held anew should they stop.
    node.heads = vec![head(OWN, node.truth.utc), head(2, node.truth.utc)];
    let local = node.truth.utc;
    assert_eq!(node.after(1).horizon, local + 1);
    assert_eq!(node.after(2 * DAY).horizon, local + DAY);
}

#[test]
fn one_gateway_that_lies_stops_signing_for_six_hours_at_most() {
    let mut node = Node::settled();
    let mut stopped = 0;
    for _ in 0..200 {
        node.says("liar", node.truth.utc - 7200);
        stopped += u64::from(node.after(600).doubt.is_some()) * 600;
    }
    assert!((6 * 3600..7 * 3600).contains(&stopped), "{stopped}");
    node.says("honest", node.truth.utc);
    assert_eq!(node.read().doubt, None);
}

#[test]
fn two_gateways_that_agree_stop_signing_and_deleting_until_they_are_followed() {
    let mut node = Node::settled();
    node.leap(7200);
    for _ in 0..200 {
        for operator in ["a", "b"] {
            node.says(operator, node.truth.utc);
        }
        let read = node.after(600);
        assert!(read.doubt.is_some_and(|doubt| doubt.is_outvoted()));
    }
    let back = node.leap(-7200);
    assert_eq!(back.doubt, None);
}

#[test]
fn batches_of_the_future_are_words_of_their_providers() {
    let mut node = Node::settled();
    let feed = |name| FeedId {
        provider: id(name),
        zone: "gb".parse().unwrap(),
    };
    node.state.future([(feed(2), T + 7200)].into());
    assert!(node.read().doubt.is_some());
    assert_eq!(node.state.ahead(T), Some((1, 7200)));
    node.state
        .future([(feed(2), T + 7200), (feed(3), T + 5000)].into());
    assert!(node.read().doubt.is_some_and(|doubt| doubt.is_outvoted()));
    assert_eq!(node.state.ahead(T), Some((2, 7200)));
    assert_eq!(node.state.ahead(T + 7200), None);
    // Its own batch from a relay says nothing of the clock that stamped it.
    node.state.future([(feed(OWN), T + 7200)].into());
    assert_eq!(node.read().doubt, None);
}

#[test]
fn a_person_who_vouches_for_the_clock_takes_a_leap_back_and_no_source() {
    let mut node = Node::settled();
    assert!(node.leap(-7200).doubt.is_some());
    let now = Moment {
        utc: node.truth.utc - 7200,
        at: node.truth.at,
    };
    node.state.vouch(now);
    assert_eq!(node.after(1).doubt, None);
    node.says("one", node.truth.utc);
    node.says("two", node.truth.utc);
    node.state.vouch(now);
    assert!(node.after(1).doubt.unwrap().is_outvoted());
}
