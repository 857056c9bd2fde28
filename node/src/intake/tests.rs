use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::{fs, io};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use axum::http::HeaderName;
use bellwether_formats::id::{Level, Zone};
use bellwether_formats::scheme::cx::{Generator, calculate_seed};
use data_encoding::HEXLOWER;
use redb::StorageBackend;
use redb::backends::InMemoryBackend;

use super::code::guesses::PREFIX_BURST;
use super::report::{MAX_BODY_BYTES, SeedReport};
use super::*;
use crate::http::client::{Reply, Served};
use crate::store::NewCode;

const PUBLISHER: &str = "Bellwether Test Health Authority";
pub(super) const ZONE: &str = "gb/sct";
pub(super) const START: u64 = 1_800_000_000;
pub(super) const KEY: [u8; 32] = [7; 32];
const OCTETS: (&str, &str) = ("Content-Type", "application/octet-stream");

/// An intake on loopback, its store and its clock.
pub(super) struct World {
    pub(super) state: IntakeState,
    pub(super) now: Arc<AtomicU64>,
    pub(super) served: Served,
}

impl World {
    fn new() -> Self {
        Self::on(InMemoryBackend::new())
    }

    fn on(backend: impl StorageBackend) -> Self {
        Self::with(backend, |_| {})
    }

    /// One that is set up otherwise.
    pub(super) fn with(backend: impl StorageBackend, change: impl FnOnce(&mut Setup)) -> Self {
        let now = Arc::new(AtomicU64::new(START));
        let time = Arc::clone(&now);
        let mut setup = Setup {
            store: Store::with_backend(backend).unwrap(),
            publisher: PUBLISHER.to_owned(),
            modes: [(ZONE.to_owned(), Mode::Open)].into(),
            code_key: CodeKey::new(&KEY),
            accepted: Arc::new(Notify::new()),
            clock: Arc::new(move || time.load(Ordering::Relaxed)),
            behind_proxy: false,
            submitters: None,
            tcn_self_reports: None,
        };
        change(&mut setup);
        let state = IntakeState::new(setup);
        Self {
            served: Served::new(router(state.clone())),
            state,
            now,
        }
    }

    pub(super) fn issue(&self, code: &str) {
        let code = NewCode {
            hash: *CodeKey::new(&KEY).hash(code).as_bytes(),
            zone: zone(),
            level: Level::DIAGNOSED,
            expires_at: START + 100,
            issuer: None,
        };
        assert_eq!(self.state.0.store.issue_codes(&[code], START).unwrap(), 1);
    }

    fn post(&self, report: &[u8]) -> Reply {
        self.served.post("/v1/reports", report)
    }

    /// What is answered: the status, and either the counts or the rule.
    fn answer(&self, report: &[u8]) -> (u16, String) {
        let reply = self.post(report);
        assert_eq!(reply.field("content-type"), "application/json");
        assert_eq!(reply.field("cache-control"), "no-store");
        let said = if reply.status == 200 {
            reply.json().to_string()
        } else {
            assert!(!reply.json()["message"].as_str().unwrap().is_empty());
            reply.rule()
        };
        (reply.status, said)
    }

    pub(super) fn pending(&self) -> usize {
        self.state.0.store.pending(&zone()).unwrap()
    }
}

pub(super) fn zone() -> Zone {
    ZONE.parse().unwrap()
}

fn said_of(status: u16, said: &str) -> (u16, String) {
    (status, said.to_owned())
}

/// One TLV of DER.
fn der(tag: u8, content: &[&[u8]]) -> Vec<u8> {
    let content = content.concat();
    let len = content.len();
    let mut bytes = match u8::try_from(len) {
        Ok(len @ ..128) => vec![tag, len],
        Ok(len) => vec![tag, 0x81, len],
        Err(_) => vec![
            tag,
            0x82,
            (len >> 8).try_into().unwrap(),
            (len % 256).try_into().unwrap(),
        ],
    };
    bytes.extend(content);
    bytes
}

/// A report of one pre-seed for each `(key, fill)`, signed with Ed25519.
fn report(code: &str, seeds: &[(u8, u8)]) -> Vec<u8> {
    let algorithm = der(0x30, &[&[6, 3, 0x2b, 0x65, 0x70]]);
    let pair = |key: u8| Ed25519KeyPair::from_seed_unchecked(&[key; 32]).unwrap();
    let descriptors: Vec<Vec<u8>> = seeds
        .iter()
        .map(|(key, fill)| {
            let key = der(0x03, &[&[0], pair(*key).public_key().as_ref()]);
            let spki = der(0x30, &[&algorithm, &key]);
            der(0x30, &[&[2, 1, 1], &der(0x04, &[&[*fill; 24]]), &spki])
        })
        .collect();
    let content = der(
        0x30,
        &[
            &[2, 1, 1],
            &der(0x30, &[&descriptors.concat()]),
            &der(0x0c, &[PUBLISHER.as_bytes()]),
            &der(0x0c, &[code.as_bytes()]),
        ],
    );
    let signed = der(0x30, &[&content, &algorithm]);
    let signatures: Vec<Vec<u8>> = seeds
        .iter()
        .map(|(key, _)| {
            let signature = der(0x04, &[pair(*key).sign(&signed).as_ref()]);
            der(0x30, &[&algorithm, &signature])
        })
        .collect();
    der(0x30, &[&content, &der(0x30, &[&signatures.concat()])])
}

/// Name, expected rule and bytes of every vector.
fn vectors() -> Vec<(String, String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/vectors/seed-reports");
    let mut vectors = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let (header, hex) = text.split_once("\n\n").unwrap();
        let mut lines = header.lines();
        let expect = lines
            .find_map(|line| line.strip_prefix("expect: "))
            .unwrap();
        assert!(header.ends_with(PUBLISHER), "{}", path.display());
        let hex: String = hex.split_whitespace().collect();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        vectors.push((
            name,
            expect.to_owned(),
            HEXLOWER.decode(hex.as_bytes()).unwrap(),
        ));
    }
    assert!(!vectors.is_empty());
    vectors
}

#[test]
fn every_good_report_is_accepted_and_again() {
    for (name, _, bytes) in vectors().iter().filter(|(_, expect, _)| expect == "valid") {
        let world = World::new();
        let parsed = SeedReport::parse(bytes).unwrap();
        world.issue(parsed.code());
        let count = parsed.verify(PUBLISHER).unwrap().items.len();
        let new = format!("{{\"accepted\":{count}}}");
        assert_eq!(world.answer(bytes), said_of(200, &new), "{name}");
        let known = format!("{{\"accepted\":0,\"known\":{count}}}");
        assert_eq!(world.answer(bytes), said_of(200, &known), "{name}");
        assert_eq!(world.pending(), count, "{name}");
    }
}

#[test]
fn every_bad_report_is_refused_by_its_rule() {
    let world = World::new();
    for (name, rule, bytes) in vectors() {
        if rule == "valid" {
            continue;
        }
        if let Ok(parsed) = SeedReport::parse(&bytes)
            && world
                .state
                .0
                .store
                .code(CodeKey::new(&KEY).hash(parsed.code()).as_bytes())
                .unwrap()
                .is_none()
        {
            world.issue(parsed.code());
        }
        let status = match &*rule {
            "publisher" | "code-unknown" => 403,
            "too-large" => 413,
            _ => 400,
        };
        assert_eq!(world.answer(&bytes), (status, rule), "{name}");
    }
    assert_eq!(world.pending(), 0);
}

#[test]
fn what_is_accepted_is_the_seed_and_is_told() {
    let world = World::new();
    world.issue("code");
    assert_eq!(world.answer(&report("code", &[(1, 9)])).0, 200);
    let spki = HEXLOWER.decode(b"302a300506032b6570032100").unwrap();
    let pair = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
    let spki = [&spki, pair.public_key().as_ref()].concat();
    let seed = calculate_seed(Generator::Aes128, &[9; 24], &spki).unwrap();
    let pending = world
        .state
        .0
        .store
        .pending_notes(&zone(), 10, u64::MAX)
        .unwrap();
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0].1.unit, seed.as_bytes());
    assert_eq!((pending[0].1.level, pending[0].1.accepted_at), (5, START));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(world.state.0.accepted.notified());
}

#[test]
fn a_code_is_for_one_device() {
    let world = World::new();
    world.issue("code");
    let post = |seeds: &[(u8, u8)]| world.answer(&report("code", seeds));
    assert_eq!(post(&[(1, 1)]), said_of(200, "{\"accepted\":1}"));
    assert_eq!(post(&[(2, 2)]), said_of(403, "code-used"));
    let more = said_of(200, "{\"accepted\":1,\"known\":1}");
    assert_eq!(post(&[(1, 1), (2, 2)]), more, "it shares a key");
    assert_eq!(post(&[(2, 3)]), said_of(200, "{\"accepted\":1}"));
    assert_eq!(post(&[(3, 3)]), said_of(403, "code-used"));
    assert_eq!(
        post(&[(1, 1)]),
        said_of(200, "{\"accepted\":0,\"known\":1}")
    );
    assert_eq!(world.pending(), 3);
}

#[test]
fn an_unused_code_expires() {
    let world = World::new();
    world.issue("late");
    world.issue("in time");
    world.now.store(START + 99, Ordering::Relaxed);
    assert_eq!(world.answer(&report("in time", &[(1, 1)])).0, 200);
    world.now.store(START + 100, Ordering::Relaxed);
    let late = world.answer(&report("late", &[(2, 2)]));
    assert_eq!(late, said_of(403, "code-expired"));
    // Who lost the answer may ask again at any time.
    assert_eq!(world.answer(&report("in time", &[(1, 1)])).0, 200);
}

#[test]
fn unknown_codes_are_counted_and_nothing_else_is() {
    let world = World::new();
    world.issue("code");
    let good = report("code", &[(1, 1)]);
    let mut unsigned = report("guess", &[(1, 1)]);
    *unsigned.last_mut().unwrap() ^= 1;
    for _ in 0..PREFIX_BURST + 1 {
        assert_eq!(world.answer(&good).0, 200);
        assert_eq!(world.answer(&unsigned), said_of(400, "signature"));
    }
    for guess in 0..PREFIX_BURST {
        let guess = report(&format!("guess {guess}"), &[(1, 1)]);
        assert_eq!(world.answer(&guess), said_of(403, "code-unknown"));
    }
    let refused = world.post(&good);
    let expect = (429, "too-many-failures".to_owned());
    assert_eq!((refused.status, refused.rule()), expect);
    let seconds: u64 = refused.field("retry-after").parse().unwrap();
    assert!((1..=10).contains(&seconds));
}

#[test]
fn a_body_too_large_is_read_and_then_refused() {
    let world = World::new();
    let mut client = world.served.connect();
    for len in [MAX_BODY_BYTES + 1, 1024 * 1024, 8 * 1024 * 1024] {
        let reply = client.ask("POST", "/v1/reports", &[OCTETS], &vec![0; len]);
        assert_eq!((reply.status, reply.rule().as_str()), (413, "too-large"));
    }
    let whole = client.ask("POST", "/v1/reports", &[], &[0; MAX_BODY_BYTES]);
    assert_eq!((whole.status, whole.rule().as_str()), (400, "der"));

    client.send(b"POST /v1/reports HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..70 {
        let chunk = [b"400\r\n".as_slice(), &[0; 1024], b"\r\n"].concat();
        client.send(&chunk);
    }
    client.send(b"0\r\n\r\n");
    assert_eq!(client.reply("POST").unwrap().status, 413);
    assert_eq!(client.ask("GET", "/", &[], b"").status, 404, "kept");
}

#[test]
fn a_body_without_an_end_in_sight_is_not_read() {
    let world = World::new();
    let mut client = world.served.connect();
    let len = 8 * 1024 * 1024 + 1;
    client.send(
        format!("POST /v1/reports HTTP/1.1\r\nHost: test\r\nContent-Length: {len}\r\n\r\n")
            .as_bytes(),
    );
    assert_eq!(client.reply("POST").unwrap().status, 413);
    assert!(client.is_closed());

    let mut client = world.served.connect();
    client.send(b"POST /v1/reports HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = [b"10000\r\n".as_slice(), &[0; 0x10000], b"\r\n"].concat();
    let stream = client.0.get_mut();
    let sent = (0..1000).take_while(|_| io::Write::write_all(stream, &chunk).is_ok());
    assert!(sent.count() < 1000, "it is cut off");
}

#[test]
fn what_is_not_a_post_of_a_report_is_refused() {
    let world = World::new();
    for (method, path, kind, status, rule) in [
        ("POST", "/v1/reports", "application/json", 415, "media-type"),
        (
            "POST",
            "/v1/reports",
            "Application/Octet-Stream; x=y",
            400,
            "der",
        ),
        ("GET", "/v1/reports", "text/plain", 405, "method"),
        ("PUT", "/v1/reports", "text/plain", 405, "method"),
        ("POST", "/v1/reports/", "text/plain", 404, "not-found"),
        ("POST", "/", "text/plain", 404, "not-found"),
    ] {
        let reply = world
            .served
            .connect()
            .ask(method, path, &[("Content-Type", kind)], b"");
        assert_eq!(
            (reply.status, reply.rule().as_str()),
            (status, rule),
            "{kind}"
        );
        let allow = if status == 405 { "POST" } else { "" };
        assert_eq!(reply.field(HeaderName::as_str(&header::ALLOW)), allow);
    }
}

#[test]
fn a_full_queue_says_so() {
    let world = World::new();
    world.issue("code");
    let good = report("code", &[(1, 1)]);
    let all = world.state.0.admitted.available_permits();
    let taken = world
        .state
        .0
        .admitted
        .try_acquire_many(u32::try_from(all).unwrap())
        .unwrap();
    let reply = world.post(&good);
    assert_eq!((reply.status, reply.rule().as_str()), (503, "busy"));
    assert!(!reply.field("retry-after").is_empty());
    drop(taken);
    assert_eq!(world.post(&good).status, 200);
}

/// A disk that fails when told to.
#[derive(Debug)]
struct Disk {
    memory: InMemoryBackend,
    broken: Arc<AtomicBool>,
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.memory.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.memory.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.memory.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.memory.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.memory.write(offset, data)
    }
}

#[test]
fn what_is_not_durable_is_not_accepted() {
    let broken = Arc::new(AtomicBool::new(false));
    let disk = Disk {
        memory: InMemoryBackend::new(),
        broken: Arc::clone(&broken),
    };
    let world = World::on(disk);
    world.issue("code");
    broken.store(true, Ordering::Relaxed);
    let reply = world.post(&report("code", &[(1, 1)]));
    assert_eq!((reply.status, reply.rule().as_str()), (503, "store"));
    assert!(!reply.field("retry-after").is_empty());
}
