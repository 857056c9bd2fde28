use super::*;

const STAMP: [u8; 32] = [5; 32];

#[expect(
    clippy::disallowed_methods,
    reason = "an arbitrary origin; nothing waits"
)]
fn start() -> Instant {
    Instant::now()
}

fn id(which: usize) -> SessionId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&u64::try_from(which).unwrap().to_be_bytes());
    SessionId::new(bytes)
}

fn used(sessions: &mut Sessions, which: usize, now: Instant) -> Option<String> {
    sessions.used(&id(which), |_| Some(STAMP), now)
}

#[test]
fn a_session_ends_when_it_is_not_used() {
    let now = start();
    let mut sessions = Sessions::default();
    sessions.begin(&id(1), "anna", STAMP, now);
    let almost = now + IDLE - Duration::from_millis(1);
    assert_eq!(used(&mut sessions, 1, almost).as_deref(), Some("anna"));
    assert_eq!(used(&mut sessions, 2, almost), None);
    let used_again = used(&mut sessions, 1, almost + IDLE - Duration::from_millis(1));
    assert_eq!(used_again.as_deref(), Some("anna"));
    assert_eq!(used(&mut sessions, 1, almost + 2 * IDLE), None);
    assert_eq!(used(&mut sessions, 1, almost), None, "it is gone for good");
}

#[test]
fn a_session_ends_however_much_it_is_used() {
    let began = start();
    let mut sessions = Sessions::default();
    sessions.begin(&id(1), "anna", STAMP, began);
    let mut now = began;
    while now + IDLE / 2 < began + LIFE {
        now += IDLE / 2;
        assert!(used(&mut sessions, 1, now).is_some());
    }
    assert_eq!(used(&mut sessions, 1, began + LIFE), None);
}

#[test]
fn a_session_ends_with_its_user_and_with_the_password() {
    let now = start();
    let mut sessions = Sessions::default();
    sessions.begin(&id(1), "anna", STAMP, now);
    sessions.begin(&id(2), "anna", STAMP, now);
    assert_eq!(sessions.used(&id(1), |_| None, now), None);
    assert_eq!(sessions.used(&id(2), |_| Some([6; 32]), now), None);
    for which in [1, 2] {
        assert_eq!(used(&mut sessions, which, now), None, "it is gone for good");
    }
}

#[test]
fn logging_out_ends_one_session() {
    let now = start();
    let mut sessions = Sessions::default();
    sessions.begin(&id(1), "anna", STAMP, now);
    sessions.begin(&id(2), "anna", STAMP, now);
    sessions.end(&id(1));
    assert_eq!(used(&mut sessions, 1, now), None);
    assert!(used(&mut sessions, 2, now).is_some());
}

#[test]
fn sessions_are_bounded_for_a_user_and_in_all() {
    let now = start();
    let mut sessions = Sessions::default();
    sessions.begin(&id(0), "bo", STAMP, now);
    for which in 1..=MAX_OF_USER + 1 {
        let at = now + Duration::from_millis(u64::try_from(which).unwrap());
        sessions.begin(&id(which), "anna", STAMP, at);
    }
    let later = now + Duration::from_secs(1);
    assert!(used(&mut sessions, 0, later).is_some(), "another user's");
    assert_eq!(used(&mut sessions, 1, later), None, "the idlest");
    assert!(used(&mut sessions, 2, later).is_some());

    for which in 100..100 + MAX_SESSIONS {
        sessions.begin(&id(which), &format!("user {which}"), STAMP, later);
    }
    assert_eq!(sessions.all.len(), MAX_SESSIONS);
    let much_later = later + IDLE;
    sessions.begin(&id(1), "anna", STAMP, much_later);
    assert_eq!(sessions.all.len(), 1, "what has ended is not kept");
}

#[test]
fn an_id_and_a_token_are_kept_apart() {
    let session = id(7);
    let text = session.text();
    assert_eq!(SessionId::parse(&text).unwrap().text(), text);
    for bad in [
        "",
        &text[1..],
        &text.replace('0', "g"),
        &format!("{text}00"),
    ] {
        assert!(SessionId::parse(bad).is_none(), "{bad}");
    }
    assert!(session.is_token(&session.token()));
    for bad in ["", &text, &id(8).token(), &session.token()[1..]] {
        assert!(!session.is_token(bad), "{bad}");
    }
    assert_eq!(format!("{session:?}"), "SessionId(..)");
    let mut sessions = Sessions::default();
    sessions.begin(&session, "anna", STAMP, start());
    let kept = sessions.all.keys().next().unwrap();
    assert!(HEXLOWER.encode(kept) != text && HEXLOWER.encode(kept) != session.token());
}
