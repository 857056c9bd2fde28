use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::HeaderMap;
use axum::routing::get;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::TempDir;

use super::client::{Client, Served};
use super::*;

/// So short that a test does not wait for it, so long that a busy machine keeps it.
const SHORT: Duration = Duration::from_millis(300);

/// So long that a test that waits for it has failed.
const LONG: Duration = Duration::from_secs(10);

fn router() -> Router {
    Router::new()
        .route("/", get(async || "here"))
        .route(
            "/peer",
            get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.ip().to_string()),
        )
        .route("/slow", get(slow))
        .route("/never", get(std::future::pending::<()>))
        .route("/fields", get(async |all: HeaderMap| all.len().to_string()))
}

async fn slow() -> &'static str {
    tokio::time::sleep(SHORT * 2).await;
    "late"
}

fn with(change: impl FnOnce(&mut Limits)) -> Served {
    let mut limits = Limits::default();
    change(&mut limits);
    Served::with(router(), None, limits)
}

/// Runs `wait`, which must end soon, and not before `least`.
fn within(least: Duration, wait: impl FnOnce()) {
    #[expect(clippy::disallowed_methods, reason = "a test of real time")]
    let start = Instant::now();
    wait();
    let took = start.elapsed();
    assert!(least <= took && took < LONG, "took {took:?}");
}

/// Waits until it holds.
fn eventually(mut holds: impl FnMut() -> bool) {
    let pause = Duration::from_millis(10);
    let in_time = (0..LONG.as_millis() / pause.as_millis()).any(|_| {
        std::thread::sleep(pause);
        holds()
    });
    assert!(in_time);
}

#[test]
fn a_connection_is_kept_also_after_an_error() {
    let served = Served::new(router());
    let mut client = served.connect();
    for (path, status) in [("/", 200), ("/nothing", 404), ("/peer", 200)] {
        assert_eq!(client.ask("GET", path, &[], b"").status, status);
    }
    assert_eq!(client.ask("POST", "/", &[], b"unread").status, 405);
    assert_eq!(served.get("/peer").body, b"127.0.0.1");
}

#[test]
fn one_connection_too_many_is_closed_at_once() {
    let served = with(|limits| limits.connections = 2);
    let mut two = [served.connect(), served.connect()];
    for client in &mut two {
        assert_eq!(client.ask("GET", "/", &[], b"").status, 200);
    }
    assert!(served.connect().is_closed());
    let [kept, mut ended] = two;
    ended.send(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    ended.reply("GET").unwrap();
    assert!(ended.is_closed());
    // The listener may notice the end a moment after the client does.
    eventually(|| {
        let mut client = served.connect();
        let asked = client
            .0
            .get_mut()
            .write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        asked.is_ok() && client.reply("GET").is_some()
    });
    drop(kept);
}

#[test]
fn who_sends_a_head_slowly_is_dropped() {
    let served = with(|limits| limits.head = SHORT);
    let mut client = served.connect();
    client.send(b"GET / HTTP/1.1\r\nHost:");
    within(SHORT / 2, || assert!(client.is_closed()));
    let mut silent = served.connect();
    within(SHORT / 2, || assert!(silent.is_closed()));
}

#[test]
fn an_idle_connection_ends() {
    let served = with(|limits| limits.head = SHORT);
    let mut client = served.connect();
    assert_eq!(client.ask("GET", "/", &[], b"").status, 200);
    within(SHORT / 2, || assert!(client.is_closed()));
}

#[test]
fn a_request_takes_its_time_and_no_more() {
    let served = with(|limits| limits.request = SHORT);
    let mut client = served.connect();
    within(SHORT / 2, || {
        let late = client.ask("GET", "/never", &[], b"");
        assert_eq!((late.status, late.rule().as_str()), (408, "timeout"));
        assert!(client.is_closed());
    });
}

#[test]
fn a_connection_has_a_longest_life() {
    let served = with(|limits| limits.connection = SHORT);
    let mut client = served.connect();
    // Its last exchange ends in peace.
    assert_eq!(client.ask("GET", "/slow", &[], b"").body, b"late");
    assert!(client.is_closed());
}

#[test]
fn a_head_has_an_end() {
    let served = Served::new(router());
    let mut client = served.connect();
    let long = "x".repeat(Limits::default().head_bytes * 2);
    assert_eq!(client.ask("GET", "/", &[("X", &long)], b"").status, 431);
    let mut client = served.connect();
    let many: Vec<_> = (0..100).map(|_| ("X", "y")).collect();
    assert_eq!(client.ask("GET", "/fields", &many, b"").status, 431);
}

#[test]
fn stopping_lets_an_exchange_end() {
    let mut served = Served::new(router());
    let mut client = served.connect();
    let mut idle = served.connect();
    assert_eq!(idle.ask("GET", "/", &[], b"").status, 200);
    client.send(b"GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
    std::thread::sleep(SHORT / 2);
    within(Duration::ZERO, || served.stopped());
    assert_eq!(client.reply("GET").unwrap().body, b"late");
    assert!(idle.is_closed());
    assert!(TcpStream::connect(served.address).is_err());
}

#[test]
fn stopping_does_not_wait_for_ever() {
    let mut served = with(|limits| limits.grace = SHORT);
    let mut client = served.connect();
    client.send(b"GET /never HTTP/1.1\r\nHost: test\r\n\r\n");
    std::thread::sleep(SHORT / 2);
    within(SHORT / 2, || served.stopped());
    assert_eq!(client.reply("GET"), None);
}

/// Bytes that are large, and known to be gone.
struct Large(
    Vec<u8>,
    #[expect(dead_code, reason = "held, not read")] Arc<()>,
);

impl AsRef<[u8]> for Large {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[test]
fn who_does_not_take_an_answer_does_not_hold_it() {
    let held = Arc::new(());
    let watched = Arc::downgrade(&held);
    let body = Bytes::from_owner(Large(vec![0; 32 * 1024 * 1024], held));
    let body = std::sync::Mutex::new(Some(body));
    let handler = move || {
        let body = body.lock().unwrap().take().unwrap();
        std::future::ready(Body::from(body))
    };
    let handler = Arc::new(handler);
    let limits = Limits {
        stall: SHORT,
        ..Limits::default()
    };
    let router = Router::new().route("/", get(move || handler()));
    let served = Served::with(router, None, limits);
    let mut client = served.connect();
    client.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    within(SHORT / 2, || eventually(|| watched.strong_count() == 0));
}

#[tokio::test]
async fn an_address_gets_its_share() {
    let limits = Limits {
        connections_per_address: 1,
        ..Limits::default()
    };
    let mut server = Server {
        context: Arc::new(connection::Context {
            router: router(),
            tls: None,
            limits,
            stop: CancellationToken::new(),
        }),
        tasks: JoinSet::new(),
        addresses: HashMap::new(),
        by_address: HashMap::new(),
        failing: false,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut phones = Vec::new();
    for (peer, expect) in [
        ("192.0.2.1:1", 1),
        ("192.0.2.1:2", 1),
        ("[::ffff:192.0.2.1]:2", 1),
        ("192.0.2.2:1", 2),
        ("[2001:db8:0:1::1]:1", 3),
        ("[2001:db8:0:1::2]:1", 3),
        ("[2001:db8:0:2::2]:1", 4),
        ("127.0.0.1:1", 5),
        ("127.0.0.1:2", 6),
        ("[::1]:1", 7),
        ("[::1]:2", 8),
    ] {
        phones.push(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        let (stream, _) = listener.accept().await.unwrap();
        server.accepted(stream, peer.parse().unwrap());
        assert_eq!(server.tasks.len(), expect, "{peer}");
    }
    phones.clear();
    while let Some(ended) = server.tasks.join_next_with_id().await {
        server.ended(ended);
    }
    assert!(server.by_address.is_empty() && server.addresses.is_empty());
}

/// A certificate in files, and who trusts it.
struct Certificate {
    dir: TempDir,
}

impl Certificate {
    fn new() -> Self {
        let certificate = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        certificate.renew();
        certificate
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn renew(&self) -> SelfSigned {
        let made = self_signed(&["gateway.example".to_owned()]).unwrap();
        fs::write(self.path("cert"), &made.cert_pem).unwrap();
        fs::write(self.path("key"), &made.key_pem).unwrap();
        made
    }

    fn tls(&self) -> Tls {
        let [cert, key] = ["cert", "key"].map(|name| self.path(name));
        Tls::checking_every(Duration::ZERO, &cert, &key).unwrap()
    }

    fn served(&self) -> Served {
        let limits = Limits {
            handshake: SHORT,
            ..Limits::default()
        };
        Served::with(router(), Some(&|| self.tls()), limits)
    }
}

/// Asks over TLS, trusting one certificate.
fn ask(served: &Served, trusted: &str, name: &'static str) -> Result<u16, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap())
        .unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name).unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = TcpStream::connect(served.address).unwrap();
    while connection.is_handshaking() {
        if let Err(error) = connection.complete_io(&mut stream) {
            return Err(match error.downcast::<rustls::Error>() {
                Ok(error) => error,
                Err(error) => rustls::Error::General(error.to_string()),
            });
        }
    }
    let mut client = Client::new(StreamOwned::new(connection, stream));
    Ok(client.ask("GET", "/", &[], b"").status)
}

#[test]
fn a_self_signed_certificate_is_trusted_by_who_has_it() {
    let certificate = Certificate::new();
    let served = certificate.served();
    let trusted = fs::read_to_string(certificate.path("cert")).unwrap();
    for name in ["localhost", "127.0.0.1", "gateway.example"] {
        assert_eq!(ask(&served, &trusted, name), Ok(200), "{name}");
    }
    assert!(ask(&served, &trusted, "other.example").is_err());
    let other = self_signed(&[]).unwrap();
    assert!(ask(&served, &other.cert_pem, "localhost").is_err());
}

#[test]
fn a_new_certificate_is_taken_and_a_broken_one_is_not() {
    let certificate = Certificate::new();
    let served = certificate.served();
    let old = fs::read_to_string(certificate.path("cert")).unwrap();
    assert_eq!(ask(&served, &old, "localhost"), Ok(200));

    let new = certificate.renew();
    assert_eq!(ask(&served, &new.cert_pem, "localhost"), Ok(200));
    assert!(ask(&served, &old, "localhost").is_err());

    let other = self_signed(&[]).unwrap();
    for (file, content) in [
        ("cert", "-----BEGIN CERTIFICATE-----\nAAAA"),
        ("cert", ""),
        ("cert", &*other.cert_pem), // not the certificate of that key
    ] {
        fs::write(certificate.path(file), content).unwrap();
        assert_eq!(ask(&served, &new.cert_pem, "localhost"), Ok(200));
    }
    fs::remove_file(certificate.path("cert")).unwrap();
    assert_eq!(ask(&served, &new.cert_pem, "localhost"), Ok(200));

    // The certificate came first, its key follows: then both are taken.
    fs::write(certificate.path("cert"), &other.cert_pem).unwrap();
    fs::write(certificate.path("key"), &other.key_pem).unwrap();
    assert_eq!(ask(&served, &other.cert_pem, "localhost"), Ok(200));
}

#[test]
fn a_handshake_has_an_end() {
    let certificate = Certificate::new();
    let served = certificate.served();
    let mut silent = served.connect();
    within(SHORT / 2, || assert!(silent.is_closed()));
    let mut plain = served.connect();
    plain.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    within(Duration::ZERO, || {
        io::copy(&mut plain.0, &mut io::sink()).unwrap_or_default();
    });
}

#[test]
fn files_that_are_no_certificate_are_named() {
    let certificate = Certificate::new();
    let (cert, key) = (certificate.path("cert"), certificate.path("key"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let error = Tls::from_files(&key, &key).unwrap_err();
    assert!(matches!(error, TlsError::Pem { path } if path == key));
    let error = Tls::from_files(&cert, &cert).unwrap_err();
    assert!(matches!(error, TlsError::Pem { path } if path == cert));
    let none = certificate.path("none");
    let error = Tls::from_files(&none, &key).unwrap_err();
    assert!(matches!(error, TlsError::Read { path, .. } if path == none));
}
