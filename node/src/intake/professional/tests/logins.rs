use super::*;
use crate::intake::code::guesses::{PREFIX_BURST, PREFIX_REFILL};
use crate::intake::professional::attempts::{FREE, LONGEST_PAUSE};
use crate::intake::professional::sessions::{IDLE, LIFE};

#[test]
fn who_is_logged_in_sees_the_page_and_others_the_form() {
    let world = World::new();
    let mut browser = world.browser();
    let reply = browser.get(path::HOME);
    assert_eq!((reply.status, reply.field("location")), (303, path::LOGIN));
    let form = page_of(&browser.get(path::LOGIN));
    assert!(
        form.contains("<title>Log in – Test &amp; Board</title>"),
        "{form}"
    );

    let reply = browser.log_in(ANNA.0, ANNA.1);
    assert_eq!((reply.status, reply.field("location")), (303, path::HOME));
    for cookie in reply.field("set-cookie").lines() {
        assert!(cookie.starts_with("__Host-bellwether-"), "{cookie}");
        assert!(
            cookie.contains("; Path=/; HttpOnly; SameSite=Strict; Secure"),
            "{cookie}"
        );
    }
    let page = browser.get(path::HOME);
    assert_eq!(page.status, 200);
    assert!(page_of(&page).contains("Logged in as anna"));

    let token = browser.token();
    let kept = browser.cookies.clone();
    let out = browser.post(path::LOGOUT, &[("token", &token)]);
    assert_eq!(out.status, 200);
    assert!(page_of(&out).contains("<title>Logged out – "));
    assert!(!browser.cookies.contains_key("__Host-bellwether-session"));
    browser.cookies = kept;
    assert_eq!(browser.get(path::HOME).status, 303, "the session is gone");
}

#[test]
fn a_wrong_password_and_an_unknown_name_are_refused_alike() {
    let world = World::new();
    let refusal = |name: &str, password: &str| {
        let reply = world.browser().log_in(name, password);
        assert_eq!(refused(&reply), no(403, "password"), "{name}");
        assert!(reply.field("set-cookie").is_empty());
        page_of(&reply).replace(name, "NAME")
    };
    let wrong = refusal(ANNA.0, BO.1);
    assert_eq!(wrong, refusal("carl", ANNA.1));
    assert!(
        wrong.contains("<title>Error: Wrong name or password. Log in – "),
        "{wrong}"
    );
    assert!(wrong.contains("aria-describedby=\"alert\""));
    // Neither what is no name at all, nor what is longer than any password.
    for name in ["", "a:b", "\"><script>", &"x".repeat(1000)] {
        let reply = world.browser().log_in(name, ANNA.1);
        assert_eq!(refused(&reply), no(403, "password"));
        assert!(!page_of(&reply).contains("<script>"));
    }
    let reply = world.browser().log_in(BO.0, &"x".repeat(1025));
    assert_eq!(refused(&reply), no(403, "password"));
}

#[test]
fn wrong_passwords_are_slowed_and_the_right_one_with_them() {
    let world = World::new();
    let mut browser = world.browser();
    for _ in 0..FREE {
        assert_eq!(refused(&browser.log_in(ANNA.0, "wrong")).0, 403);
    }
    let reply = browser.log_in(ANNA.0, ANNA.1);
    assert_eq!(refused(&reply), no(429, "too-many-failures"));
    assert_eq!(reply.field("retry-after"), "1");
    assert!(page_of(&reply).contains("Wait 1 second, then"));
    // Nobody is slowed for a name that somebody else mistypes.
    world.logged_in(BO);
    for _ in 0..10 {
        world.pass(LONGEST_PAUSE);
        assert_eq!(refused(&browser.log_in(ANNA.0, "wrong")).0, 403);
    }
    world.pass(LONGEST_PAUSE - Duration::from_secs(1));
    let reply = browser.log_in(ANNA.0, ANNA.1);
    assert_eq!((reply.status, reply.field("retry-after")), (429, "1"));
    world.pass(Duration::from_secs(1));
    assert_eq!(browser.log_in(ANNA.0, ANNA.1).status, 303);
}

#[test]
fn a_browser_that_logged_in_before_is_not_slowed_by_others() {
    let world = World::new();
    let mut known = world.logged_in(ANNA);
    known.cookies.remove("__Host-bellwether-session");
    let mut flood = world.browser();
    for _ in 0..FREE {
        assert_eq!(refused(&flood.log_in(ANNA.0, "wrong")).0, 403);
    }
    assert_eq!(flood.log_in(ANNA.0, ANNA.1).status, 429);
    assert_eq!(known.log_in(ANNA.0, ANNA.1).status, 303);
    // It is known for one user, and slowed by itself.
    for _ in 0..FREE {
        assert_eq!(refused(&known.log_in(ANNA.0, "wrong")).0, 403);
    }
    assert_eq!(known.log_in(ANNA.0, ANNA.1).status, 429);
}

#[test]
fn a_session_ends_by_itself() {
    let world = World::new();
    let mut browser = world.logged_in(ANNA);
    world.pass(IDLE - Duration::from_millis(1));
    assert_eq!(browser.get(path::HOME).status, 200);
    let token = browser.token();
    world.pass(IDLE);
    assert_eq!(browser.get(path::HOME).status, 303);
    let late = browser.post(path::ISSUE, &[("token", &token)]);
    assert_eq!(refused(&late), no(403, "session"));
    assert!(
        page_of(&late).contains("name=\"password\""),
        "the form to log in"
    );

    let mut browser = world.logged_in(ANNA);
    let steps = LIFE.as_secs() / IDLE.as_secs() * 2;
    for _ in 1..steps {
        world.pass(IDLE / 2);
        assert_eq!(browser.get(path::HOME).status, 200);
    }
    world.pass(IDLE / 2);
    assert_eq!(browser.get(path::HOME).status, 303);
}

#[test]
fn a_session_ends_with_its_user_or_password() {
    let world = World::new();
    let (mut anna, mut bo) = (world.logged_in(ANNA), world.logged_in(BO));
    set_users(&world.users(), &[("anna", "another horse"), BO]);
    world.pass(users::watch::CHECK_EVERY);
    assert_eq!(anna.get(path::HOME).status, 303);
    assert_eq!(bo.get(path::HOME).status, 200);
    assert_eq!(refused(&anna.log_in(ANNA.0, ANNA.1)).0, 403);
    assert_eq!(anna.log_in("anna", "another horse").status, 303);
    set_users(&world.users(), &[("anna", "another horse")]);
    world.pass(users::watch::CHECK_EVERY);
    assert_eq!(bo.get(path::HOME).status, 303);
    assert_eq!(refused(&bo.log_in(BO.0, BO.1)).0, 403);
}

#[test]
fn a_file_that_cannot_be_read_lets_nobody_in() {
    let world = World::new();
    let mut anna = world.logged_in(ANNA);
    std::fs::write(world.users(), "anna:secret\n").unwrap();
    world.pass(users::watch::CHECK_EVERY);
    let reply = anna.get(path::HOME);
    assert_eq!(refused(&reply), no(503, "users"));
    assert!(!reply.field("retry-after").is_empty());
    assert_eq!(refused(&anna.log_in(ANNA.0, ANNA.1)), no(503, "users"));
    set_users(&world.users(), &[ANNA]);
    world.pass(users::watch::CHECK_EVERY);
    assert_eq!(anna.get(path::HOME).status, 200, "the session lived on");
}

#[test]
fn passwords_are_verified_two_at_a_time_and_few_wait() {
    let world = World::new();
    let logins = &world.page.0.logins;
    let all = u32::try_from(logins.admitted.available_permits()).unwrap();
    assert_eq!((all, logins.verifying.available_permits()), (18, 2));
    let taken = logins.admitted.try_acquire_many(all).unwrap();
    for _ in 0..FREE + 1 {
        let reply = world.browser().log_in(ANNA.0, ANNA.1);
        assert_eq!(refused(&reply), no(503, "busy"));
        assert_eq!(reply.field("retry-after"), "2");
    }
    drop(taken);
    world.logged_in(ANNA);
}

#[test]
fn an_address_that_tries_many_names_is_slowed() {
    let world = World::new();
    for n in 0..PREFIX_BURST {
        let reply = world.browser().log_in(&format!("user-{n}"), ANNA.1);
        assert_eq!(refused(&reply), no(403, "password"));
    }
    let reply = world.browser().log_in(ANNA.0, ANNA.1);
    assert_eq!(refused(&reply), no(429, "too-many-failures"));
    world.pass(PREFIX_REFILL);
    world.logged_in(ANNA);
}
