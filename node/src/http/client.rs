//! A client for tests that shows every byte: nothing retried, followed or hidden.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Limits, Tls};

/// A listener on loopback, served until it is dropped.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) task: Option<JoinHandle<std::io::Result<()>>>,
    runtime: tokio::runtime::Runtime,
}

impl Served {
    pub(crate) fn new(router: axum::Router) -> Self {
        Self::with(router, None, Limits::default())
    }

    /// `tls` is made inside the runtime, whose clock it needs.
    pub(crate) fn with(
        router: axum::Router,
        tls: Option<&dyn Fn() -> Tls>,
        limits: Limits,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let entered = runtime.enter();
        let tls = tls.map(|tls| tls());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let stop = CancellationToken::new();
        let task = runtime.spawn(super::serve(listener, tls, router, limits, stop.clone()));
        drop(entered);
        Self {
            address,
            stop,
            task: Some(task),
            runtime,
        }
    }

    pub(crate) fn connect(&self) -> Client<TcpStream> {
        let stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Client::new(stream)
    }

    /// One request on a connection of its own.
    pub(crate) fn get(&self, path: &str) -> Reply {
        self.connect().ask("GET", path, &[], b"")
    }

    pub(crate) fn post(&self, path: &str, body: &[u8]) -> Reply {
        self.connect().ask("POST", path, &[], body)
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) fn stopped(&mut self) {
        self.stop.cancel();
        let task = self.task.take().unwrap();
        self.runtime.block_on(task).unwrap().unwrap();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(crate) struct Client<S: Read + Write>(pub(crate) BufReader<S>);

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) fields: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self(BufReader::new(stream))
    }

    pub(crate) fn ask(
        &mut self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: test\r\n");
        for (name, value) in fields {
            head += &format!("{name}: {value}\r\n");
        }
        if method == "POST" {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        self.send(format!("{head}\r\n").as_bytes());
        self.send(body);
        self.reply(method).expect("an answer")
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let stream = self.0.get_mut();
        stream.write_all(bytes).expect("the peer still reads");
        stream.flush().unwrap();
    }

    /// The next answer; `None` if the connection ended before it.
    pub(crate) fn reply(&mut self, method: &str) -> Option<Reply> {
        let mut line = String::new();
        if self.0.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        let mut fields = BTreeMap::new();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            // One that comes twice, as cookies do, is a line each.
            let lines: &mut String = fields.entry(name.to_ascii_lowercase()).or_default();
            if !lines.is_empty() {
                lines.push('\n');
            }
            lines.push_str(value);
        }
        let len = fields
            .get("content-length")
            .map_or(0, |len| len.parse().unwrap());
        let empty = method == "HEAD" || status == 304 || status == 204;
        let mut body = vec![0; if empty { 0 } else { len }];
        self.0.read_exact(&mut body).ok()?;
        Some(Reply {
            status,
            fields,
            body,
        })
    }

    /// Whether the peer has ended the connection; waits for that.
    pub(crate) fn is_closed(&mut self) -> bool {
        match self.0.read(&mut [0]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        }
    }
}

impl Reply {
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// The broken rule that a refusal names.
    pub(crate) fn rule(&self) -> String {
        let rule = self.json()["error"].as_str().map(str::to_owned);
        rule.unwrap_or_default()
    }
}
