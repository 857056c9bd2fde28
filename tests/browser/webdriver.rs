//! Chromium, driven over the WebDriver protocol (W3C) by its own driver.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bellwether_tests::eventually;
use data_encoding::BASE64;
use serde_json::{Value, json};
use ureq::Agent;

/// Longest wait for the driver's port. Chromium starts in seconds.
const UP: Duration = Duration::from_secs(60);

/// Keys, as the protocol writes them.
pub(crate) const TAB: &str = "\u{e004}";
pub(crate) const ENTER: &str = "\u{e007}";
pub(crate) const SPACE: &str = " ";

/// A browser with an empty profile. Dropped, it ends.
pub(crate) struct Browser {
    driver: Child,
    agent: Agent,
    session: String,
}

impl Browser {
    /// Starts one, whose profile lies in a folder.
    pub(crate) fn start(folder: &Path) -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .env("HOME", folder)
            .env("TMPDIR", folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed: see browser/run");
        let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let (sender, port) = mpsc::sync_channel(1);
        // Reads to the end: a driver whose pipe is full would wait.
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let port = line.split_once("started successfully on port ");
                if let Some((_, port)) = port {
                    let _ = sender.try_send(port.trim_end_matches('.').to_owned());
                }
            }
        });
        let port = port.recv_timeout(UP).expect("the driver says its port");
        let agent = Agent::config_builder()
            .timeout_global(Some(UP))
            .http_status_as_error(false)
            .proxy(None);
        let mut browser = Self {
            driver,
            agent: agent.build().new_agent(),
            session: format!("http://127.0.0.1:{port}"),
        };
        let made = browser.ask(
            "/session",
            &json!({ "capabilities": { "alwaysMatch": {
            "acceptInsecureCerts": true,
            "goog:loggingPrefs": { "performance": "ALL", "browser": "ALL" },
            "goog:chromeOptions": { "args": arguments(folder) },
        } } }),
        );
        let id = made["sessionId"].as_str().unwrap();
        browser.session = format!("{}/session/{id}", browser.session);
        browser
    }

    /// Asks the driver for something; it must do it.
    #[track_caller]
    fn ask(&self, path: &str, body: &Value) -> Value {
        self.try_to_ask(path, body)
            .unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn try_to_ask(&self, path: &str, body: &Value) -> Result<Value, Value> {
        let asked = self.agent.post(format!("{}{path}", self.session));
        let asked = asked.content_type("application/json");
        read(asked.send(body.to_string()).unwrap())
    }

    #[track_caller]
    fn look(&self, path: &str) -> Value {
        let asked = self.agent.get(format!("{}{path}", self.session));
        read(asked.call().unwrap()).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub(crate) fn open(&self, url: &str) {
        self.ask("/url", &json!({ "url": url }));
    }

    pub(crate) fn reload(&self) {
        self.ask("/refresh", &json!({}));
    }

    pub(crate) fn url(&self) -> String {
        self.look("/url").as_str().unwrap().to_owned()
    }

    pub(crate) fn title(&self) -> String {
        self.look("/title").as_str().unwrap().to_owned()
    }

    /// The first element of a CSS selector.
    #[track_caller]
    pub(crate) fn find(&self, selector: &str) -> Element<'_> {
        let using = json!({ "using": "css selector", "value": selector });
        self.element(&self.ask("/element", &using))
    }

    pub(crate) fn has(&self, selector: &str) -> bool {
        let using = json!({ "using": "css selector", "value": selector });
        self.try_to_ask("/element", &using).is_ok()
    }

    /// The one with the focus.
    pub(crate) fn focused(&self) -> Element<'_> {
        self.element(&self.look("/element/active"))
    }

    fn element(&self, found: &Value) -> Element<'_> {
        let id = found.as_object().unwrap().values().next().unwrap();
        Element {
            browser: self,
            path: format!("/element/{}", id.as_str().unwrap()),
        }
    }

    /// The text of the page as it is shown.
    pub(crate) fn text(&self) -> String {
        self.find("body").text()
    }

    /// Presses keys, one after another, wherever the focus is.
    pub(crate) fn press(&self, keys: &[&str]) {
        let key = |key: &str| {
            [
                json!({ "type": "keyDown", "value": key }),
                json!({ "type": "keyUp", "value": key }),
            ]
        };
        let letters = keys
            .iter()
            .flat_map(|text| text.split("").filter(|key| !key.is_empty()));
        let actions: Vec<Value> = letters.flat_map(key).collect();
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.ask("/actions", &json!({ "actions": [keyboard] }));
    }

    /// Does what leads to another page, and waits until that is there: the driver itself waits only
    /// for a page that it knows to be on its way.
    #[track_caller]
    pub(crate) fn leave(&self, act: impl FnOnce()) {
        let before = self.find("html").path;
        act();
        eventually("the next page", || {
            let asked = self.agent.get(format!("{}{before}/name", self.session));
            read(asked.call().unwrap()).err()
        });
        eventually("all of it", || self.has("main[id=main]").then_some(()));
    }

    /// A command of Chromium's own protocol.
    #[track_caller]
    pub(crate) fn command(&self, name: &str, parameters: &Value) -> Value {
        self.ask(
            "/goog/cdp/execute",
            &json!({ "cmd": name, "params": parameters }),
        )
    }

    /// A window of this size shows the page; gives the picture's file, which holds all of it.
    pub(crate) fn picture(&self, (width, height): (u32, u32), file: PathBuf) -> PathBuf {
        self.command(
            "Emulation.setDeviceMetricsOverride",
            &json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 }),
        );
        let taken = self.command(
            "Page.captureScreenshot",
            &json!({ "format": "png", "captureBeyondViewport": true }),
        );
        let png = BASE64
            .decode(taken["data"].as_str().unwrap().as_bytes())
            .unwrap();
        std::fs::write(&file, png).unwrap();
        file
    }

    /// What was logged since the last time: `browser` (errors of pages) or `performance`.
    pub(crate) fn log(&self, kind: &str) -> Vec<String> {
        let entries = self.ask("/se/log", &json!({ "type": kind }));
        let message = |entry: &Value| entry["message"].as_str().unwrap().to_owned();
        entries.as_array().unwrap().iter().map(message).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends Chromium; then the driver, by its handle.
        let _ = self.agent.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// An element of the page that is shown.
pub(crate) struct Element<'a> {
    browser: &'a Browser,
    path: String,
}

impl Element<'_> {
    /// Clicks on what leads to another page.
    #[track_caller]
    pub(crate) fn follow(&self) {
        self.browser.leave(|| self.click());
    }

    pub(crate) fn click(&self) {
        self.browser
            .ask(&format!("{}/click", self.path), &json!({}));
    }

    pub(crate) fn write(&self, text: &str) {
        let body = json!({ "text": text });
        self.browser.ask(&format!("{}/value", self.path), &body);
    }

    pub(crate) fn text(&self) -> String {
        let text = self.browser.look(&format!("{}/text", self.path));
        text.as_str().unwrap().to_owned()
    }

    /// An attribute; empty if it has none.
    pub(crate) fn attribute(&self, name: &str) -> String {
        let value = self
            .browser
            .look(&format!("{}/attribute/{name}", self.path));
        value.as_str().unwrap_or_default().to_owned()
    }
}

fn read(mut answer: ureq::http::Response<ureq::Body>) -> Result<Value, Value> {
    let text = answer
        .body_mut()
        .with_config()
        .limit(64 << 20)
        .read_to_string()
        .unwrap();
    let mut value: Value = serde_json::from_str(&text).unwrap();
    if answer.status().is_success() {
        Ok(value["value"].take())
    } else {
        Err(value["value"].take())
    }
}

/// Chromium without a screen, that talks to loopback alone.
fn arguments(folder: &Path) -> Vec<String> {
    let profile = format!("--user-data-dir={}", folder.join("profile").display());
    let fixed = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--ignore-certificate-errors",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        "--window-size=1200,900",
    ];
    fixed
        .map(str::to_owned)
        .into_iter()
        .chain([profile])
        .collect()
}
