//! What a relay hears of phones: a small proxy before its gateway, so that the demo shows requests
//! as they came and answers as they went.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use super::CliError;

/// Longest wait for either side.
const PATIENCE: Duration = Duration::from_secs(10);

/// Most bytes of a request's head.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Most bytes of a request's body.
const MAX_SENT_BYTES: usize = 64 * 1024;

/// Most bytes of an answer (8 MiB), head and body.
const MAX_ANSWER_BYTES: u64 = 8 * 1024 * 1024;

/// Most requests remembered until somebody looks.
const MAX_HEARD: usize = 1024;

/// What relays heard.
pub(super) struct Ears {
    urls: Vec<String>,
    heard: Receiver<Heard>,
}

/// A request, as a relay sees it, and its answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Heard {
    /// Which relay, counted from 0.
    pub(super) relay: usize,
    /// GET or POST.
    pub(super) method: String,
    /// What for.
    pub(super) path: String,
    /// The request's body: a mask, or nothing.
    pub(super) sent: Vec<u8>,
    /// The answer's status.
    pub(super) status: u16,
    /// Bytes of the answer's body.
    pub(super) answered: usize,
}

impl Ears {
    /// Before some gateways.
    pub(super) fn before(gateways: &[String]) -> Result<Self, CliError> {
        let (hears, heard) = sync_channel(MAX_HEARD);
        let mut urls = Vec::new();
        for (relay, gateway) in gateways.iter().enumerate() {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            urls.push(format!("http://{}", listener.local_addr()?));
            let target = gateway.trim_start_matches("http://").to_owned();
            let hears = hears.clone();
            // Phones sync one after the other and ask one thing at a time, so this does too. It
            // ends with the process.
            thread::spawn(move || {
                for phone in listener.incoming().flatten() {
                    // A phone that got no answer says so itself.
                    let _ = pass_on(phone, &target, relay, &hears);
                }
            });
        }
        Ok(Self { urls, heard })
    }

    /// What phones take for the gateways, in their order.
    pub(super) fn urls(&self) -> impl Iterator<Item = &String> {
        self.urls.iter()
    }

    /// What was heard since the last look, in order.
    pub(super) fn take(&self) -> Vec<Heard> {
        self.heard.try_iter().collect()
    }
}

/// Hands one request to the relay and its answer to the phone; each has a connection of its own.
fn pass_on(
    mut phone: TcpStream,
    target: &str,
    relay: usize,
    hears: &SyncSender<Heard>,
) -> io::Result<()> {
    phone.set_read_timeout(Some(PATIENCE))?;
    let (head, sent) = request(&mut phone)?;
    let mut words = head.split(' ').map(str::to_owned);
    let (method, path) = (words.next(), words.next());

    let mut gateway = TcpStream::connect(target)?;
    gateway.set_read_timeout(Some(PATIENCE))?;
    gateway.write_all(closing(&head).as_bytes())?;
    gateway.write_all(&sent)?;
    let mut answer = Vec::new();
    gateway.take(MAX_ANSWER_BYTES).read_to_end(&mut answer)?;

    let end = end_of_head(&answer).unwrap_or(answer.len());
    let heard = Heard {
        relay,
        method: method.unwrap_or_default(),
        path: path.unwrap_or_default(),
        sent,
        status: status(&answer),
        answered: answer.len().saturating_sub(end),
    };
    // Heard before it is answered: whoever has the answer finds it in the list.
    if let Err(TrySendError::Full(_)) = hears.try_send(heard) {
        return Err(io::Error::other("nobody looks at what is heard"));
    }
    phone.write_all(&answer)
}

/// Reads a request's head, as text with its last empty line, and its body.
fn request(phone: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = end_of_head(&bytes) {
            break end;
        }
        if bytes.len() > MAX_HEAD_BYTES || read_some(phone, &mut bytes)? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    };
    let mut sent = bytes.split_off(end);
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let wanted = name.eq_ignore_ascii_case("content-length");
        wanted.then(|| value.trim().parse::<usize>().ok())?
    });
    let length = length.unwrap_or_default().min(MAX_SENT_BYTES);
    while sent.len() < length {
        if read_some(phone, &mut sent)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok((head, sent))
}

fn read_some(stream: &mut TcpStream, into: &mut Vec<u8>) -> io::Result<usize> {
    let mut buffer = [0; 4096];
    let read = stream.read(&mut buffer)?;
    into.extend(buffer.iter().take(read));
    Ok(read)
}

/// The same head, of a request after which the connection closes.
fn closing(head: &str) -> String {
    let lines = head.lines().filter(|line| {
        let name = line.split(':').next().unwrap_or_default();
        !line.is_empty() && !name.eq_ignore_ascii_case("connection")
    });
    let lines: Vec<&str> = lines.chain(["Connection: close", "", ""]).collect();
    lines.join("\r\n")
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let empty_line = b"\r\n\r\n";
    let at = bytes
        .windows(empty_line.len())
        .position(|window| window == empty_line)?;
    Some(at + empty_line.len())
}

fn status(answer: &[u8]) -> u16 {
    let line = answer.iter().take(32).copied().collect();
    let line = String::from_utf8(line).unwrap_or_default();
    let word = line.split(' ').nth(1).map(str::to_owned);
    word.and_then(|word| word.parse().ok()).unwrap_or_default()
}
