//! The page over HTTP, with invented clocks, as a browser that runs no script.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bellwether_formats::id::{Level, Scheme};
use redb::backends::InMemoryBackend;
use tempfile::TempDir;

use super::password::PasswordHash;
use super::users::UserList;
use super::*;
use crate::http::client::{Reply, Served};
use crate::store::{Mode, SubmittedUnit};

mod codes;
mod forms;
mod logins;

const START: u64 = 1_800_000_000;
const KEY: [u8; 32] = [7; 32];
const ANNA: (&str, &str) = ("anna", "correct horse");
const BO: (&str, &str) = ("bo", "battery staple");

/// The page on loopback, its users, its store and its clocks, which go together.
struct World {
    temp: TempDir,
    store: Store,
    page: Professional,
    passed_ms: Arc<AtomicU64>,
    served: Served,
}

impl World {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::with_backend(InMemoryBackend::new()).unwrap();
        let passed_ms = Arc::new(AtomicU64::new(0));
        let (clock, ticks) = (Arc::clone(&passed_ms), Arc::clone(&passed_ms));
        let begun = tokio::time::Instant::now().into_std();
        set_users(&temp.path().join("users"), &[ANNA, BO]);
        let page = Professional::new(Settings {
            store: store.clone(),
            code_key: CodeKey::new(&KEY),
            provider: ProviderId::from_bytes([1; 32]),
            name: "Test & Board".to_owned(),
            zones: vec!["gb/sct".parse().unwrap(), "gb".parse().unwrap()],
            users: temp.path().join("users"),
            tls: true,
            clock: Arc::new(move || START + clock.load(Ordering::Relaxed) / 1000),
            ticks: Arc::new(move || begun + Duration::from_millis(ticks.load(Ordering::Relaxed))),
        });
        let page = page.unwrap();
        Self {
            served: Served::new(router(page.clone())),
            temp,
            store,
            page,
            passed_ms,
        }
    }

    fn users(&self) -> PathBuf {
        self.temp.path().join("users")
    }

    fn pass(&self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).unwrap();
        self.passed_ms.fetch_add(ms, Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        (self.page.0.clock)()
    }

    fn browser(&self) -> Browser<'_> {
        Browser {
            world: self,
            cookies: BTreeMap::new(),
        }
    }

    /// A browser in which somebody is logged in.
    fn logged_in(&self, (name, password): (&str, &str)) -> Browser<'_> {
        let mut browser = self.browser();
        let reply = browser.log_in(name, password);
        assert_eq!((reply.status, reply.field("location")), (303, path::HOME));
        browser
    }

    /// A phone reports with a code.
    fn report(&self, code: &str, seeds: &[u8]) {
        let unit = |fill: &u8| SubmittedUnit {
            scheme: Scheme::CX1,
            unit: vec![*fill; 24],
            key: [9; 32],
            mode: Mode::Open,
        };
        let units: Vec<SubmittedUnit> = seeds.iter().map(unit).collect();
        let hash = CodeKey::new(&KEY).hash(code);
        let now = self.now();
        self.store.accept(hash.as_bytes(), &units, now).unwrap();
    }
}

fn set_users(path: &std::path::Path, users: &[(&str, &str)]) {
    let mut list = UserList::default();
    for (name, password) in users {
        list.set(name, PasswordHash::new(password, [3; 16]).unwrap())
            .unwrap();
    }
    list.write(path).unwrap();
}

struct Browser<'a> {
    world: &'a World,
    cookies: BTreeMap<String, String>,
}

impl Browser<'_> {
    /// Sends a request as it is, with the cookies, and keeps the cookies that it is given.
    fn send(&mut self, method: &str, path: &str, fields: &[(&str, &str)], body: &str) -> Reply {
        let cookies = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let cookies = cookies.collect::<Vec<_>>().join("; ");
        let mut all = fields.to_vec();
        if !cookies.is_empty() {
            all.push(("Cookie", &cookies));
        }
        let mut client = self.world.served.connect();
        let reply = client.ask(method, path, &all, body.as_bytes());
        for field in reply.field("set-cookie").lines() {
            let (name, rest) = field.split_once('=').unwrap();
            let (value, _) = rest.split_once(';').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        reply
    }

    fn get(&mut self, path: &str) -> Reply {
        self.send("GET", path, &[], "")
    }

    /// Sends a form of our own page.
    fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let escape = |text: &str| -> String {
            let byte = |byte: u8| format!("%{byte:02X}");
            text.bytes().map(byte).collect()
        };
        let body = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", escape(value)));
        let body = body.collect::<Vec<_>>().join("&");
        self.send("POST", path, &OURS, &body)
    }

    fn log_in(&mut self, name: &str, password: &str) -> Reply {
        self.post(path::LOGIN, &[("name", name), ("password", password)])
    }

    /// The token of the forms of the page that one looks at.
    fn token(&mut self) -> String {
        token(&self.get(path::HOME))
    }

    fn issue(&mut self, level: &str, zone: &str, valid: &str) -> Reply {
        let token = self.token();
        let chosen = [
            ("token", &*token),
            ("level", level),
            ("zone", zone),
            ("valid", valid),
        ];
        self.post(path::ISSUE, &chosen)
    }

    /// Issues a code, and gives it.
    fn code(&mut self) -> String {
        let reply = self.issue("diagnosed", "gb/sct", "86400");
        assert_eq!(reply.status, 200, "{}", page_of(&reply));
        let page = page_of(&reply);
        let (_, code) = page.split_once("id=\"code\">").unwrap();
        code[..19].to_owned()
    }
}

/// What a browser sends with a form of our own page.
const OURS: [(&str, &str); 3] = [
    ("Origin", "null"),
    ("Sec-Fetch-Site", "same-origin"),
    ("Content-Type", "application/x-www-form-urlencoded"),
];

fn page_of(reply: &Reply) -> String {
    String::from_utf8(reply.body.clone()).unwrap()
}

fn token(reply: &Reply) -> String {
    let page = page_of(reply);
    let (_, token) = page
        .split_once("name=\"token\" value=\"")
        .unwrap_or_else(|| panic!("no form in {page}"));
    token[..64].to_owned()
}

/// The status, and the rule that a page names.
fn refused(reply: &Reply) -> (u16, String) {
    let page = page_of(reply);
    let rule = page.split_once("<code>").map(|(_, rest)| rest);
    let rule = rule.and_then(|rest| rest.split_once("</code>"));
    (
        reply.status,
        rule.map_or_else(String::new, |(rule, _)| rule.to_owned()),
    )
}

fn no(status: u16, rule: &str) -> (u16, String) {
    (status, rule.to_owned())
}
