use super::*;

/// What no answer may go without.
fn assert_protected(reply: &Reply) {
    for (name, value) in [
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
    ] {
        assert_eq!(reply.field(name), value);
    }
    let policy = reply.field("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"));
}

#[test]
fn every_answer_is_protected() {
    let world = World::new();
    let mut browser = world.logged_in(ANNA);
    for (path, status) in [
        ("/professional", 303),
        (path::HOME, 200),
        (path::LOGIN, 200),
        (path::STYLE, 200),
        (path::SCRIPT, 200),
        (path::ISSUE, 303),
        (path::REVOKE, 303),
        (path::REVOKE_CONFIRMED, 303),
        (path::LOGOUT, 303),
        ("/professional/other", 404),
        ("/professional//", 404),
        ("/professional/login/", 404),
    ] {
        let reply = browser.get(path);
        assert_eq!(reply.status, status, "{path}");
        assert_protected(&reply);
        let head = browser.send("HEAD", path, &[], "");
        assert_eq!(head.status, status, "{path}");
    }
    let issued = browser.issue("diagnosed", "gb", "600");
    assert_eq!(issued.status, 200);
    assert_protected(&issued);
    // Nothing is embedded that the policy would have to allow.
    let page = page_of(&issued);
    assert!(!page.contains("style=") && !page.contains("<script>") && !page.contains("onclick"));
}

#[test]
fn get_changes_nothing_and_other_methods_are_refused() {
    let world = World::new();
    let mut browser = world.logged_in(ANNA);
    let token = browser.token();
    let query = format!(
        "{}?token={token}&level=diagnosed&zone=gb&valid=600",
        path::ISSUE
    );
    assert_eq!(browser.get(&query).status, 303);
    assert_eq!(browser.get(path::LOGOUT).status, 303);
    assert!(world.store.codes().unwrap().is_empty());
    assert_eq!(browser.get(path::HOME).status, 200, "still logged in");

    for (method, path, allow) in [
        ("PUT", path::ISSUE, "GET, HEAD, POST"),
        ("DELETE", path::LOGIN, "GET, HEAD, POST"),
        ("POST", path::HOME, "GET, HEAD"),
        ("POST", path::STYLE, "GET, HEAD"),
    ] {
        let reply = browser.send(method, path, &OURS, "");
        assert_eq!(refused(&reply), no(405, "method"), "{method} {path}");
        assert_eq!(reply.field("allow"), allow);
    }
}

#[test]
fn a_form_of_another_site_or_session_is_refused() {
    let world = World::new();
    let mut anna = world.logged_in(ANNA);
    let mut bo = world.logged_in(BO);
    let (token, other) = (anna.token(), bo.token());
    let body = |token: &str| format!("token={token}&level=diagnosed&zone=gb&valid=600");
    let kind = OURS[2];
    for (fields, token, expected) in [
        (vec![kind], &token, no(403, "origin")),
        (
            vec![kind, ("Origin", "https://evil.example")],
            &token,
            no(403, "origin"),
        ),
        (
            vec![kind, ("Origin", "null"), ("Sec-Fetch-Site", "cross-site")],
            &token,
            no(403, "origin"),
        ),
        (OURS.to_vec(), &other, no(403, "token")),
        (OURS.to_vec(), &String::new(), no(403, "token")),
        (vec![kind, ("Origin", "https://test")], &token, no(200, "")),
    ] {
        let reply = anna.send("POST", path::ISSUE, &fields, &body(token));
        assert_eq!(refused(&reply), expected, "{fields:?}");
        assert_protected(&reply);
    }
    // For logging in there is no session yet, and logging out is no less a change.
    let login = "name=anna&password=correct+horse";
    let foreign = [kind, ("Origin", "https://evil.example")];
    let reply = world.browser().send("POST", path::LOGIN, &foreign, login);
    assert_eq!(refused(&reply), no(403, "origin"));
    for path in [path::LOGOUT, path::REVOKE, path::REVOKE_CONFIRMED] {
        let reply = anna.post(path, &[("token", &other)]);
        assert_eq!(refused(&reply), no(403, "token"), "{path}");
        let reply = anna.post(path, &[]);
        assert_eq!(refused(&reply), no(403, "token"), "{path}");
        let reply = world.browser().post(path, &[("token", &token)]);
        assert_eq!(refused(&reply), no(403, "session"), "{path}");
    }
    assert_eq!(world.store.codes().unwrap().len(), 1);
}

#[test]
fn what_is_no_form_is_refused() {
    let world = World::new();
    let mut browser = world.browser();
    let mut send = |kind: &str, body: &str| {
        let fields = [OURS[0], OURS[1], ("Content-Type", kind)];
        refused(&browser.send("POST", path::LOGIN, &fields, body))
    };
    let form = "application/x-www-form-urlencoded";
    let good = "name=a&password=b";
    assert_eq!(send(form, good), no(403, "password"));
    for kind in [
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/json",
        "",
    ] {
        assert_eq!(send(kind, good), no(415, "media-type"), "{kind}");
    }
    for body in [
        "",
        "name=a",
        "name=a&password=b&more=c",
        "name=a&name=b",
        "name=%zz&password=",
    ] {
        assert_eq!(send(form, body), no(400, "form"), "{body}");
    }
    let padded = |len: usize| format!("name=a&password={}", "b".repeat(len - 16));
    assert_eq!(send(form, &padded(MAX_FORM_BYTES)), no(403, "password"));
    assert_eq!(
        send(form, &padded(MAX_FORM_BYTES + 1)),
        no(413, "too-large")
    );
    assert_eq!(send(form, &padded(1 << 20)), no(413, "too-large"));
}

#[test]
fn a_body_without_an_end_in_sight_closes_the_connection() {
    let world = World::new();
    let mut client = world.served.connect();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: test\r\nSec-Fetch-Site: same-origin\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
        path::LOGIN,
        9 << 20
    );
    client.send(head.as_bytes());
    let reply = client.reply("POST").unwrap();
    assert_eq!(refused(&reply), no(413, "too-large"));
    assert!(client.is_closed());
}
