//! What queries may take of the process, and what they leave to others.

use std::pin::Pin;
use std::sync::mpsc;

use axum::http::Request;
use futures::FutureExt as _;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::gateway::routes;

type Asking = Pin<Box<dyn Future<Output = Response>>>;

/// The gateway called without a socket, as if from some address, with its one thread in our hands.
struct Held {
    world: World,
    part: Part,
    release: mpsc::SyncSender<()>,
    /// Who is thought to wait for the job that holds the thread: it is not begun for nobody.
    _holding: Pin<Box<dyn Future<Output = Result<(), Trouble>>>>,
    runtime: Runtime,
}

impl Held {
    fn new(queue: usize, places: usize) -> Self {
        let world = World::with_limits(Limits {
            workers: 1,
            queue,
            of_peer: Share {
                places,
                pace: Duration::ZERO,
                patience: Duration::from_millis(20),
            },
            ..Limits::default()
        });
        let (release, released) = mpsc::sync_channel::<()>(0);
        let (started, start) = mpsc::sync_channel(1);
        let job = move || {
            started.send(()).unwrap();
            released.recv().unwrap_err();
        };
        let gateway = world.gateway.clone();
        let mut holding: Pin<Box<dyn Future<Output = _>>> =
            Box::pin(async move { gateway.0.pir.pool.run(job).await });
        assert!((&mut holding).now_or_never().is_none());
        start.recv().unwrap();
        Self {
            part: Part::held(&world, CHUNKS, CHUNK_BYTES),
            world,
            release,
            _holding: holding,
            runtime: Builder::new_current_thread().enable_time().build().unwrap(),
        }
    }

    /// Asks; gives the answer, or what waits for it.
    fn ask(&self, peer: &str) -> Result<Response, Asking> {
        let _entered = self.runtime.enter();
        let mut request = Request::post(path(&self.part)).body(Body::from("\x01\x00\x00"));
        let peer: SocketAddr = format!("{peer}:1").parse().unwrap();
        let extensions = request.as_mut().unwrap().extensions_mut();
        extensions.insert(ConnectInfo(peer));
        let router = TowerToHyperService::new(routes(self.world.gateway.clone()));
        let mut asking: Asking =
            Box::pin(async move { router.call(request.unwrap()).await.unwrap() });
        (&mut asking).now_or_never().ok_or(asking)
    }

    fn refused(&self, peer: &str) {
        let refusal = self.ask(peer);
        let refusal = refusal.unwrap_or_else(|waiting| self.runtime.block_on(waiting));
        assert_eq!(refusal.status(), 503);
        assert_eq!(refusal.headers()[header::RETRY_AFTER], "5");
    }

    fn wait(&self, peer: &str) -> Asking {
        self.ask(peer).map(drop).unwrap_err()
    }
}

#[test]
fn a_full_pool_refuses_all_alike_and_nothing_else_waits() {
    let held = Held::new(1, 8);
    let waiting = held.wait("192.0.2.1");
    for peer in ["192.0.2.1", "192.0.2.2", "127.0.0.1", "[2001:db8::1]"] {
        held.refused(peer);
    }
    for _ in 0..3 {
        let reply = ask(&held.world, &held.part, &[1, 0, 0]);
        assert_eq!((reply.status, &*reply.rule()), (503, "busy"));
        assert_eq!(reply.field("retry-after"), "5");
        assert_eq!(held.world.get("/v1/zones/gb/heads", &[]).status, 200);
        let raw = format!("/ipfs/{}?format=raw", held.part.index.cid());
        assert_eq!(held.world.get(&raw, &[]).status, 200);
    }
    drop(held.release);
    assert_eq!(held.runtime.block_on(waiting).status(), 200);
    assert_eq!(ask(&held.world, &held.part, &[1, 0, 0]).status, 200);
}

#[test]
fn a_peer_gets_its_share() {
    let held = Held::new(16, 2);
    let mut waiting: Vec<Asking> = ["192.0.2.1", "192.0.2.1"]
        .map(|peer| held.wait(peer))
        .into();
    held.refused("192.0.2.1");
    held.refused("[::ffff:192.0.2.1]");
    for peer in [
        "192.0.2.2",
        "[2001:db8:0:1::1]",
        "[2001:db8:0:1::2]",
        "[2001:db8:0:2::1]",
        "127.0.0.1",
        "127.0.0.1",
        "127.0.0.1",
        "[::1]",
    ] {
        waiting.push(held.wait(peer));
    }
    held.refused("[2001:db8:0:1::3]");
    // Who hangs up has still asked: its place is free when its turn has come.
    drop(waiting.remove(0));
    held.refused("192.0.2.1");
    drop(held.release);
    for waiting in waiting {
        assert_eq!(held.runtime.block_on(waiting).status(), 200);
    }
}

#[test]
fn a_peer_is_answered_at_a_pace() {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let peers = Peers::new(Share {
        places: 2,
        pace: Duration::from_millis(50),
        patience: Duration::from_secs(20),
    });
    let queries = |peer: &str, count: usize| {
        let peer = peer.parse().unwrap();
        runtime.block_on(async {
            let start = time::Instant::now();
            for _ in 0..count {
                // Answered at once; its place is taken for the while all the same.
                drop(peers.enter(peer).await.unwrap());
            }
            start.elapsed()
        })
    };
    assert!(queries("192.0.2.1", 6) >= Duration::from_millis(90));
    assert!(queries("127.0.0.1", 1000) < Duration::from_secs(10));
}

#[test]
fn a_job_that_panics_costs_its_answer_only() {
    let pool = Pool::new(1, 4);
    let runtime = Builder::new_current_thread().build().unwrap();
    let failed = runtime.block_on(pool.run(|| panic!("as this test wants")));
    assert!(matches!(failed, Err(Trouble::Panic)), "{failed:?}");
    assert_eq!(runtime.block_on(pool.run(|| 7)).unwrap(), 7);
    let none = Pool::new(0, 4);
    assert!(matches!(
        runtime.block_on(none.run(|| 7)),
        Err(Trouble::Busy)
    ));
}
