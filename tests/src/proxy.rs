//! A TCP proxy that can make connections hang: they stay open on the far side, and nothing more
//! comes through, as when a host loses power or a NAT forgets.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A proxy before one address. Dropped, it lets go of every connection.
#[derive(Debug)]
pub struct Proxy {
    /// Where to connect to.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    ended: AtomicBool,
    accepted: AtomicUsize,
    /// One flag for each connection: whether it hangs.
    hang: Mutex<Vec<Arc<AtomicBool>>>,
}

impl Proxy {
    /// Before an address.
    pub fn before(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        thread::spawn(move || serve(&listener, target, &serving));
        Self { address, shared }
    }

    /// Makes the connections that are open now hang. Later ones go through.
    pub fn hang(&self) {
        for hangs in self.shared.hang.lock().unwrap().iter() {
            hangs.store(true, Ordering::SeqCst);
        }
    }

    /// Connections that came so far.
    pub fn connections(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
    }
}

const TICK: Duration = Duration::from_millis(20);

fn serve(listener: &TcpListener, target: SocketAddr, shared: &Arc<Shared>) {
    while !shared.ended.load(Ordering::SeqCst) {
        let Ok((near, _)) = listener.accept() else {
            thread::sleep(TICK);
            continue;
        };
        let Ok(far) = TcpStream::connect(target) else {
            continue;
        };
        shared.accepted.fetch_add(1, Ordering::SeqCst);
        let hangs = Arc::new(AtomicBool::new(false));
        shared.hang.lock().unwrap().push(Arc::clone(&hangs));
        for (from, to) in [(&near, &far), (&far, &near)] {
            let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            let (shared, hangs) = (Arc::clone(shared), Arc::clone(&hangs));
            thread::spawn(move || pump(from, to, &shared, &hangs));
        }
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, shared: &Shared, hangs: &AtomicBool) {
    from.set_nonblocking(false).unwrap();
    from.set_read_timeout(Some(TICK)).unwrap();
    let mut buffer = [0; 16 * 1024];
    while !shared.ended.load(Ordering::SeqCst) {
        if hangs.load(Ordering::SeqCst) {
            // Both sockets stay open and nobody reads them.
            thread::sleep(TICK);
            continue;
        }
        match from.read(&mut buffer) {
            Ok(0) if !hangs.load(Ordering::SeqCst) => break,
            Ok(read) if !hangs.load(Ordering::SeqCst) => {
                if to.write_all(&buffer[..read]).is_err() {
                    break;
                }
            }
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) if hangs.load(Ordering::SeqCst) => {}
            Err(_) => break,
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
