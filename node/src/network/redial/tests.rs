use super::*;

const SILENCE: Duration = Duration::from_secs(15);

#[expect(
    clippy::disallowed_methods,
    reason = "an invented clock starts anywhere"
)]
fn start() -> Instant {
    Instant::now()
}

fn one(now: Instant) -> (Redial, PeerId) {
    let peer = PeerId::random();
    let address: Multiaddr = format!("/ip4/127.0.0.1/tcp/4001/p2p/{peer}")
        .parse()
        .unwrap();
    (Redial::new(&[address], SILENCE, now), peer)
}

#[test]
fn an_address_is_dialled_once_at_a_time() {
    let now = start();
    let (mut redial, peer) = one(now);
    let due = redial.due(now);
    let address = "/ip4/127.0.0.1/tcp/4001".parse().unwrap();
    assert_eq!(
        due,
        [Dial {
            entry: 0,
            address,
            peer: Some(peer)
        }]
    );
    assert_eq!(redial.due(now), []);
}

#[test]
fn pauses_grow_to_a_minute_and_are_never_the_same_for_all() {
    let mut now = start();
    let (mut redial, _) = one(now);
    for expected in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
        let pause = Duration::from_secs(expected);
        assert_eq!(redial.due(now).len(), 1);
        redial.failed(0, now, 0);
        assert!(
            redial
                .due(now + pause / 2 - Duration::from_millis(1))
                .is_empty()
        );
        // The same failure with the highest jitter: not before the whole pause.
        let State::Waiting { until } = redial.entries[0].state else {
            panic!("it waits")
        };
        assert_eq!(until, now + pause / 2);
        now = until;
    }
    assert_eq!(redial.due(now).len(), 1);
    redial.failed(0, now, u32::MAX);
    assert!(
        redial
            .due(now + LONGEST_PAUSE - Duration::from_millis(1))
            .is_empty()
    );
    assert_eq!(redial.due(now + LONGEST_PAUSE).len(), 1);
}

#[test]
fn a_connection_that_lasted_is_dialled_again_soon_and_one_that_did_not_is_not() {
    let mut now = start();
    let (mut redial, peer) = one(now);
    for _ in 0..5 {
        assert_eq!(redial.due(now).len(), 1);
        redial.connected(peer, now);
        redial.gone(peer, now, u32::MAX);
        let State::Waiting { until } = redial.entries[0].state else {
            panic!("it waits")
        };
        now = until;
    }
    redial.due(now);
    redial.connected(peer, now);
    let end = now + LASTED;
    redial.gone(peer, end, u32::MAX);
    assert_eq!(redial.due(end + FIRST_PAUSE).len(), 1);
}

#[test]
fn a_peer_that_dials_us_is_not_dialled() {
    let now = start();
    let (mut redial, peer) = one(now);
    redial.connected(peer, now);
    assert_eq!(redial.due(now + LONGEST_PAUSE), []);
    // A late failure of an attempt of our own changes nothing.
    redial.failed(0, now, 0);
    assert_eq!(redial.due(now + LONGEST_PAUSE), []);
}

#[test]
fn who_answers_at_a_nameless_address_is_remembered() {
    let now = start();
    let mut redial = Redial::new(&["/dns4/relay/tcp/1".parse().unwrap()], SILENCE, now);
    let peer = PeerId::random();
    assert_eq!(redial.due(now)[0].peer, None);
    redial.reached(0, peer);
    redial.connected(peer, now);
    redial.gone(peer, now + LASTED, 0);
    assert_eq!(redial.due(now + LONGEST_SILENCE)[0].peer, Some(peer));
}

#[test]
fn a_silent_peer_is_left_ever_more_rarely_until_it_speaks() {
    let mut now = start();
    let (mut redial, peer) = one(now);
    for patience in [15, 30, 60, 120, 240, 300, 300] {
        let patience = Duration::from_secs(patience);
        redial.connected(peer, now);
        let early = now + patience - Duration::from_millis(1);
        assert_eq!(redial.silent(early, |_| Voice::Silent), []);
        now += patience;
        assert_eq!(redial.silent(now, |_| Voice::Mute), []);
        assert_eq!(redial.silent(now, |_| Voice::Silent), [peer]);
        redial.gone(peer, now, 0);
    }
    redial.connected(peer, now);
    assert_eq!(redial.silent(now, |_| Voice::Heard), []);
    assert_eq!(redial.silent(now + SILENCE, |_| Voice::Silent), [peer]);
}

#[test]
fn a_node_does_not_dial_itself_twice() {
    let now = start();
    let (mut redial, _) = one(now);
    redial.due(now);
    redial.is_self(0);
    redial.failed(0, now, 0);
    assert_eq!(redial.due(now + LONGEST_PAUSE), []);
}
