//! What a private query costs a gateway, and what a flood of them costs others.
//!
//! A real gateway on loopback is asked over kept connections. `pir query` is the whole exchange;
//! `chunk by GET` beside it is the same exchange for one chunk of the same part, without the XOR,
//! and `chunks from the store` the reading that bodies in memory save. The flood is told on standard
//! error: heads alone, beside a flood of plain GETs of one chunk, beside one of queries as a proxy on
//! this machine sends them, without a share, and beside one of queries of one peer, by turns; the
//! ratios of their medians, and the memory.
#![expect(clippy::print_stderr, reason = "a bench tells what it measured")]

use std::hint::black_box;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request};
use axum::middleware::map_request;
use bellwether_formats::cbor::Writer;
use bellwether_formats::cid::{Block, Cid, Codec};
use bellwether_formats::pir::{Mask, xor_into};
use bellwether_formats::sealed::Shape;
use bellwether_node::gateway::{self, GatewayState};
use bellwether_node::http::{self, Limits};
use bellwether_node::store::Store;
use criterion::{Criterion, criterion_group};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

mod flood;

const NOW: u64 = 1_800_000_000;

/// Rungs whose bodies have 0.26, 2.9 and 5.9 MB.
const RUNGS: [u64; 3] = [8192, 98_304, 196_608];

/// A gateway that serves on loopback until dropped.
struct Served {
    address: SocketAddr,
    store: Store,
    stop: CancellationToken,
    _runtime: Runtime,
    _dir: TempDir,
}

impl Served {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::create(&dir.path().join("store.redb")).expect("a new store");
        let state = GatewayState {
            store: store.clone(),
            clock: Arc::new(|| NOW),
            max_bytes: u64::MAX,
            conditions: Arc::new(|_| Ok(Vec::new())),
        };
        let runtime = Runtime::new().expect("a runtime");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
        let listener = listener.expect("a free port");
        let stop = CancellationToken::new();
        let address = listener.local_addr().expect("a bound address");
        let router = gateway::router(state).layer(map_request(from_afar));
        let limits = Limits {
            connection: Duration::MAX / 4,
            ..Limits::default()
        };
        runtime.spawn(http::serve(listener, None, router, limits, stop.clone()));
        Self {
            address,
            store,
            stop,
            _runtime: runtime,
            _dir: dir,
        }
    }

    fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).expect("the gateway listens");
        stream.set_nodelay(true).expect("a socket");
        Client(BufReader::new(stream))
    }
}

/// Takes who says so for a peer that is not on this machine: loopback has no share.
async fn from_afar(mut request: Request) -> Request {
    if request.headers().contains_key("x-afar") {
        let peer = SocketAddr::from(([192, 0, 2, 1], 1));
        request.extensions_mut().insert(ConnectInfo(peer));
    }
    request
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// One kept connection.
struct Client(BufReader<TcpStream>);

impl Client {
    /// Asks, and gives the status and the answer's body.
    fn ask(&mut self, request: &[u8]) -> (u16, Vec<u8>) {
        self.0.get_mut().write_all(request).expect("written");
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a status line");
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let mut len = 0;
        loop {
            line.clear();
            self.0.read_line(&mut line).expect("a field");
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                len = value.parse().expect("a length");
            }
        }
        let mut body = vec![0; len];
        self.0.read_exact(&mut body).expect("the body");
        (status.expect("a status"), body)
    }
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n").into_bytes()
}

/// A part of the size of one rung, of chunks that hold bytes of a hash.
struct Part {
    index: Block,
    chunks: Vec<Cid>,
    chunk_bytes: usize,
}

impl Part {
    fn put(store: &Store, ids: u64) -> Self {
        let shape = Shape::of(ids).expect("a rung");
        let mut chunks = Vec::new();
        let mut w = Writer::new();
        w.array(shape.chunks());
        for number in 0..shape.chunks() {
            let hash = Sha256::digest(format!("{ids} {number}"));
            let bytes = hash.iter().copied().cycle().take(shape.chunk_bytes());
            let chunk = Block::of(Codec::Raw, bytes.collect()).expect("a chunk is small");
            w.link(&chunk.cid());
            chunks.push(chunk.cid());
            store.put_blocks(&[chunk]).expect("a store that writes");
        }
        let index = Block::of(Codec::DagCbor, w.finish()).expect("an index is small");
        let put = store.put_blocks(std::slice::from_ref(&index));
        put.expect("a store that writes");
        Self {
            index,
            chunks,
            chunk_bytes: shape.chunk_bytes(),
        }
    }

    fn megabytes(&self) -> String {
        let bytes = self.chunks.len() * self.chunk_bytes;
        format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
    }

    /// Half of the chunks, scattered as a phone's mask is.
    fn mask(&self) -> Mask {
        let random = [Sha256::digest(b"one"), Sha256::digest(b"two")].concat();
        let (mask, _) = random.split_at(Mask::len_of(self.chunks.len()));
        Mask::of_bytes(mask, self.chunks.len()).expect("a mask of this part")
    }

    /// A query with some more fields.
    fn query(&self, fields: &str) -> Vec<u8> {
        let mask = self.mask();
        let head = format!(
            "POST /v1/pir/{} HTTP/1.1\r\nHost: bench\r\n{fields}Content-Length: {}\r\n\r\n",
            self.index.cid(),
            mask.as_bytes().len()
        );
        [head.as_bytes(), mask.as_bytes()].concat()
    }

    /// The answer, each chunk read from the store: what the gateway would do without memory.
    fn answer(&self, store: &Store) -> Vec<u8> {
        let snapshot = store.snapshot().expect("a store that reads");
        let mut answer = vec![0; self.chunk_bytes];
        for chosen in self.mask().chosen() {
            let cid = self.chunks.get(chosen).expect("a chunk of this part");
            let chunk = snapshot.bytes(cid).expect("a store that reads");
            xor_into(&mut answer, &chunk.expect("held")).expect("chunks of one size");
        }
        answer
    }
}

fn answer(c: &mut Criterion) {
    let served = Served::new();
    for ids in RUNGS {
        let part = Part::put(&served.store, ids);
        let mut client = served.connect();
        let query = part.query("");
        let (status, body) = client.ask(&query);
        assert!(status == 200 && body == part.answer(&served.store));
        let mut group = c.benchmark_group(part.megabytes());
        group.bench_function("pir query", |b| b.iter(|| client.ask(black_box(&query))));
        let chunk = part.chunks.first().expect("a part has chunks");
        let chunk = get(&format!("/ipfs/{chunk}?format=raw"));
        group.bench_function("chunk by GET", |b| b.iter(|| client.ask(black_box(&chunk))));
        group.bench_function("chunks from the store", |b| {
            b.iter(|| part.answer(black_box(&served.store)));
        });
        let car = get(&format!("/ipfs/{}?format=car", part.index.cid()));
        group.bench_function("whole body", |b| b.iter(|| client.ask(black_box(&car))));
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(2));
    targets = answer
}

fn main() {
    // As criterion decides: measured only if cargo says that this is a benchmark.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    if !has("--list") {
        let (rounds, of_round) = if has("--bench") && !has("--test") {
            (20, 100)
        } else {
            (1, 3)
        };
        flood::flood(rounds, of_round);
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
