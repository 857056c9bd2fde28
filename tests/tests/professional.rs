//! The professional's page of a node that is a process: its users come from the command line, and
//! whatever it logs, no code, session, password or name is in it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use bellwether_tests::{Running, World, eventually};
use ureq::Agent;

/// A browser that runs no script, over plain HTTP on loopback.
struct Browser {
    agent: Agent,
    url: String,
    cookies: Vec<String>,
}

struct Page {
    status: u16,
    text: String,
}

impl Page {
    /// What stands between two texts.
    #[track_caller]
    fn between(&self, before: &str, after: &str) -> String {
        let found = self.text.split_once(before);
        let found = found.and_then(|(_, rest)| rest.split_once(after));
        let (found, _) = found.unwrap_or_else(|| panic!("no {before} in {}", self.text));
        found.to_owned()
    }

    fn token(&self) -> String {
        self.between("name=\"token\" value=\"", "\"")
    }
}

impl Browser {
    fn new(node: &Running) -> Self {
        let agent = Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(20)))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None);
        Self {
            agent: agent.build().new_agent(),
            url: node.text("intake"),
            cookies: Vec::new(),
        }
    }

    fn get(&self, path: &str) -> Page {
        let url = format!("{}/professional/{path}", self.url);
        let asked = self
            .agent
            .get(url)
            .header("Cookie", self.cookies.join("; "));
        let mut answer = asked.call().unwrap();
        Page {
            status: answer.status().as_u16(),
            text: answer.body_mut().read_to_string().unwrap(),
        }
    }

    fn post(&mut self, path: &str, body: &str) -> Page {
        let url = format!("{}/professional/{path}", self.url);
        let asked = self
            .agent
            .post(url)
            .header("Cookie", self.cookies.join("; "));
        let asked = asked.header("Origin", &self.url);
        let asked = asked.content_type("application/x-www-form-urlencoded");
        let mut answer = asked.send(body).unwrap();
        for cookie in answer.headers().get_all("set-cookie") {
            let (cookie, _) = cookie.to_str().unwrap().split_once(';').unwrap();
            self.cookies.push(cookie.to_owned());
        }
        Page {
            status: answer.status().as_u16(),
            text: answer.body_mut().read_to_string().unwrap(),
        }
    }
}

#[test]
fn users_are_made_by_a_verb_and_taken_by_the_running_node() {
    let world = World::new();
    let provider = world.provider("board").init();
    let refused = provider.verb_fed(&["user", "add", "anna"], "correct horse\n");
    let refused = refused.exit(2);
    assert!(refused.stderr.contains("hint: write `users"), "{refused:?}");
    let provider = provider.with_users(&[("bo", "battery staple"), ("anna", "correct horse")]);
    let file = provider.dir.join("users");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let list = || provider.verb(&["user", "list"]).ok().stdout;
    assert_eq!(list(), "anna\nbo\n");
    for (name, password, told) in [
        ("Carl", "long enough", "a name has 1 to 64"),
        ("carl", "too short", "at least 10 characters"),
        ("carl", "", "at least 10 characters"),
        ("carl", &"x".repeat(2000), "at most 1024 bytes"),
    ] {
        let refused = provider.verb_fed(&["user", "add", name], password).exit(2);
        assert!(refused.stderr.contains(told), "{refused:?}");
    }
    provider.verb(&["user", "remove", "carl"]).exit(2);
    assert_eq!(list(), "anna\nbo\n");

    provider.configure(|config| {
        let intake = &mut config.provider.as_mut().unwrap().intake;
        (intake.tls_cert, intake.tls_key) = (None, None);
    });
    let node = provider.run();
    let log_in = |password: &str| {
        let body = format!("name=anna&password={}", password.replace(' ', "+"));
        let mut browser = Browser::new(&node);
        let status = browser.post("login", &body).status;
        (browser, status)
    };
    let (browser, status) = log_in("correct horse");
    assert_eq!((status, browser.get("").status), (303, 200));
    let changed = provider.verb_fed(&["user", "add", "anna"], "another horse\n");
    assert!(changed.ok().stderr.contains("password changed"));
    eventually("the session to end", || {
        (browser.get("").status == 303).then_some(())
    });
    let (browser, status) = log_in("another horse");
    assert_eq!((status, browser.get("").status), (303, 200));
    provider.verb(&["user", "remove", "anna"]).ok();
    eventually("the session to end", || {
        (browser.get("").status == 303).then_some(())
    });
    assert_eq!(list(), "bo\n");
    assert_eq!(log_in("another horse").1, 403);
    node.stop();
}

#[test]
fn without_users_in_the_configuration_there_is_no_page() {
    let world = World::new();
    let provider = world.provider("board").init();
    provider.configure(|config| {
        let intake = &mut config.provider.as_mut().unwrap().intake;
        (intake.tls_cert, intake.tls_key) = (None, None);
    });
    let node = provider.run();
    let page = Browser::new(&node).get("login");
    assert_eq!(page.status, 404);
    assert!(
        page.text.contains("\"error\":\"not-found\""),
        "{}",
        page.text
    );
}

#[test]
fn nothing_that_is_secret_is_logged() {
    let world = World::new();
    let name = "annabella@example.org";
    let provider = world.provider("board").init();
    let provider = provider.with_users(&[(name, "correct horse")]);
    provider.configure(|config| {
        let intake = &mut config.provider.as_mut().unwrap().intake;
        (intake.tls_cert, intake.tls_key) = (None, None);
    });
    let node = provider.run_talkative();
    let mut browser = Browser::new(&node);
    let who = format!("name={}", name.replace('@', "%40"));
    let wrong = browser.post("login", &format!("{who}&password=incorrect+horse"));
    assert_eq!(wrong.status, 403);
    let right = browser.post("login", &format!("{who}&password=correct+horse"));
    assert_eq!(right.status, 303);
    let token = browser.get("").token();
    let chosen = format!("token={token}&level=diagnosed&zone=gb%2Fsct&valid=600");
    let code = browser.post("issue", &chosen).between("id=\"code\">", "<");

    let device = world.device("alice.json");
    device.ids(1);
    device.report(&provider, &node.text("intake"), &code).ok();
    let list = browser.get("");
    assert!(
        list.text.contains("used, with 1 notification"),
        "{}",
        list.text
    );
    let hash = list.between("name=\"code\" value=\"", "\"");
    let listed = provider
        .verb(&["code", "list", "--json"])
        .ok()
        .json()
        .remove(0);
    assert_eq!(listed["issuer"], name);
    assert_eq!(listed["code"], hash[..8]);
    let told = provider.verb(&["code", "list"]).ok().stdout;
    assert!(told.trim_end().ends_with(&format!(", by {name}")), "{told}");
    let chosen = format!("token={token}&code={hash}");
    let done = browser.post("revoke/confirmed", &chosen);
    assert!(
        done.text.contains("1 notification is withdrawn"),
        "{}",
        done.text
    );
    assert_eq!(
        browser.post("logout", &format!("token={token}")).status,
        200
    );

    let log = node.log();
    for said in [
        "a professional issued a code",
        "a login failed",
        "report accepted",
        "TRACE",
    ] {
        assert!(log.contains(said), "the log is complete");
    }
    let sessions = browser
        .cookies
        .iter()
        .map(|cookie| cookie.split_once('=').unwrap().1);
    let sessions = sessions.filter(|value| !value.is_empty());
    let encoded = name.replace('@', "%40");
    let secrets = [
        &*code,
        &token,
        &hash,
        name,
        &encoded,
        "correct horse",
        "correct+horse",
    ];
    let digits = code.replace('-', "");
    for secret in sessions.chain(secrets).chain([&*digits]) {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    node.stop();
}
