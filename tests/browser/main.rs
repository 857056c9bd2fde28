//! The professional's page in Chromium: by mouse and by keyboard, with scripts and without, as it is
//! seen and as it is heard. Ignored where there may be no Chromium; `tests/browser/run` runs it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::path::Path;
use std::process::Command;

use bellwether_tests::{Provider, Running, World, eventually};
use serde_json::{Value, json};

use webdriver::Browser;

mod heard;
mod keyboard;
mod webdriver;

const NAME: &str = "anna";
const PASSWORD: &str = "correct horse";

/// A provider with the page, its node, which logs all it can, and a browser.
struct Ward {
    world: World,
    provider: Provider,
    node: Running,
    browser: Browser,
}

impl Ward {
    fn open() -> Self {
        let world = World::new();
        let provider = world.provider("board").init();
        let provider = provider.with_users(&[(NAME, PASSWORD)]);
        let node = provider.run_talkative();
        let browser = Browser::start(&world.path(""));
        browser.command("Network.enable", &json!({}));
        browser.open(&format!("{}/professional/", node.text("intake")));
        Self {
            world,
            provider,
            node,
            browser,
        }
    }

    fn log_in(&self, password: &str) {
        let name = self.browser.find("#name");
        if name.attribute("value").is_empty() {
            name.write(NAME);
        }
        self.browser.find("#password").write(password);
        self.browser.find("main button").follow();
    }

    /// Issues a code as who uses a mouse; gives its text.
    fn issue(&self) -> String {
        self.browser.find("input[value=diagnosed]").click();
        self.browser.find("form[action$=issue] button").follow();
        assert_eq!(self.browser.title(), "Code issued – board of the test");
        self.browser.find("#code").text()
    }

    /// The path that is shown: never more than that.
    fn path(&self) -> String {
        let url = self.browser.url();
        url.strip_prefix(&self.node.text("intake"))
            .unwrap()
            .to_owned()
    }

    /// Every address that the browser asked for or has in its history.
    fn addresses(&self) -> Vec<String> {
        let history = self
            .browser
            .command("Page.getNavigationHistory", &json!({}));
        let entries = history["entries"].as_array().unwrap().iter();
        let mut all: Vec<String> = entries
            .map(|entry| entry["url"].as_str().unwrap().to_owned())
            .collect();
        for event in self.browser.log("performance") {
            let event: Value = serde_json::from_str(&event).unwrap();
            let request = &event["message"]["params"]["request"];
            if let Some(url) = request["url"].as_str() {
                all.push(url.to_owned());
            }
        }
        // What the browser shows before it was told anything has addresses of its own.
        all.retain(|address| address.starts_with("http"));
        all
    }
}

/// What is read from a picture of the screen, by a reader that is not ours.
fn read_qr(picture: &Path) -> String {
    let read = Command::new("zbarimg")
        .args(["--raw", "--quiet"])
        .arg(picture)
        .output();
    let read = read.expect("zbarimg is installed: see browser/run");
    let text = String::from_utf8(read.stdout).unwrap();
    text.trim_end_matches('\n').to_owned()
}

#[test]
#[ignore = "needs Chromium: tests/browser/run"]
fn a_code_goes_from_the_professional_to_the_phone_and_back() {
    let ward = Ward::open();
    let (browser, world) = (&ward.browser, &ward.world);
    assert_eq!(ward.path(), "/professional/login");
    assert_eq!(browser.title(), "Log in – board of the test");

    // Wrong passwords are slowed; the right one then is too, for a second.
    for _ in 0..3 {
        ward.log_in("wrong");
        assert_eq!(
            browser.title(),
            "Error: Wrong name or password. Log in – board of the test"
        );
    }
    ward.log_in(PASSWORD);
    assert!(
        browser.title().starts_with("Error: Too many attempts."),
        "{}",
        browser.title()
    );
    eventually("another attempt to be taken", || {
        ward.log_in(PASSWORD);
        (ward.path() == "/professional/").then_some(())
    });
    assert!(browser.text().contains("Logged in as anna"));

    let code = ward.issue();
    let groups: Vec<usize> = code.split('-').map(str::len).collect();
    assert_eq!(groups, [4, 4, 4, 4], "{code}");
    for (name, size) in [("desktop.png", (1200, 900)), ("phone.png", (360, 740))] {
        let picture = browser.picture(size, world.path(name));
        assert_eq!(read_qr(&picture), code, "{name}");
    }
    // The time left counts down, by the script.
    let left = || browser.find("[role=timer]").text();
    assert_eq!(browser.find("[role=timer]").attribute("data-left"), "86400");
    eventually("a minute to begin", || {
        (left() == "23 h 59 min").then_some(())
    });

    // A phone reports with it.
    let device = world.device("alice.json");
    device.ids(2);
    let intake = ward.node.text("intake");
    device.report(&ward.provider, &intake, &code).ok();
    browser.find("main a.button").follow();
    assert!(!browser.text().contains(&code), "it was shown once");
    let row = browser.find("tbody tr").text();
    assert!(row.contains("used, with 1 notification"), "{row}");

    // And it is taken back, after a question.
    browser.find("tbody button").follow();
    assert!(
        browser.title().starts_with("Revoke code "),
        "{}",
        browser.title()
    );
    browser.find("main a.button").follow();
    assert!(browser.find("tbody tr").text().contains("used"), "no is no");
    browser.find("tbody button").follow();
    browser.find("main button").follow();
    assert!(
        browser
            .find("[role=status]")
            .text()
            .contains("1 notification is withdrawn")
    );
    assert!(browser.find("tbody tr").text().contains("revoked"));
    assert!(!browser.has("tbody button"));

    browser.find("header button").follow();
    assert_eq!(browser.title(), "Logged out – board of the test");
    browser.open(&format!("{intake}/professional/"));
    assert_eq!(ward.path(), "/professional/login");

    let addresses = ward.addresses();
    assert!(
        addresses
            .iter()
            .any(|address| address.ends_with("/professional/issue"))
    );
    let hash = ward.provider.verb(&["code", "list", "--json"]).ok().json();
    let short = hash[0]["code"].as_str().unwrap().to_owned();
    for address in &addresses {
        assert!(
            address.starts_with(&intake),
            "nobody else is asked: {address}"
        );
        assert!(
            !address.contains(&code) && !address.contains('?'),
            "{address}"
        );
        assert!(
            !address.contains("anna") && !address.contains("correct"),
            "{address}"
        );
        assert!(!address.contains(&short), "{address}");
    }
    // No page broke its own policy or had an error of its script; refusals are logged by Chromium.
    for line in browser.log("browser") {
        assert!(
            line.contains("status of 4") || line.contains("favicon"),
            "{line}"
        );
    }
    let log = ward.node.log();
    assert!(log.contains("a professional issued a code") && log.contains("TRACE"));
    for secret in [
        &*code,
        &code.replace('-', ""),
        PASSWORD,
        "correct+horse",
        "anna",
    ] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[test]
#[ignore = "needs Chromium: tests/browser/run"]
fn it_works_without_scripts() {
    let ward = Ward::open();
    let browser = &ward.browser;
    browser.command(
        "Emulation.setScriptExecutionDisabled",
        &json!({ "value": true }),
    );
    browser.reload();
    ward.log_in(PASSWORD);
    let code = ward.issue();
    let picture = browser.picture((800, 900), ward.world.path("plain.png"));
    assert_eq!(read_qr(&picture), code);
    // As the node wrote it.
    assert_eq!(browser.find("[role=timer]").text(), "1 day 0 h");
    browser.find("main a.button").follow();
    let row = browser.find("tbody tr").text();
    assert!(
        row.contains("unused, 23 h 59 min left") || row.contains("unused, 1 day 0 h left"),
        "{row}"
    );
    browser.find("tbody button").follow();
    browser.find("main button").follow();
    assert!(browser.find("tbody tr").text().contains("revoked"));
    let device = ward.world.device("alice.json");
    device.ids(1);
    let refused = device.report(&ward.provider, &ward.node.text("intake"), &code);
    assert!(refused.exit(2).stdout.contains("code-expired"));
    browser.find("header button").follow();
    assert_eq!(browser.title(), "Logged out – board of the test");
}
