//! A small HTTP server that answers what a test tells it to: a gateway that lies.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What it answers to a path: a body, or nothing for 404.
type Answers = Box<dyn FnMut(&str) -> Option<Vec<u8>> + Send>;

/// A server on loopback, until the test ends.
pub struct Server {
    /// Its address, `http://…`.
    pub url: String,
    answers: Arc<Mutex<Answers>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Server({})", self.url)
    }
}

impl Server {
    /// Starts one.
    pub fn start(answers: impl FnMut(&str) -> Option<Vec<u8>> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers: Arc<Mutex<Answers>> = Arc::new(Mutex::new(Box::new(answers)));
        let serving = Arc::clone(&answers);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = Arc::clone(&serving);
                thread::spawn(move || {
                    let mut reader = BufReader::new(stream);
                    while serve(&mut reader, &serving).is_some() {}
                });
            }
        });
        Self { url, answers }
    }

    /// Answers otherwise from now on.
    pub fn answer(&self, answers: impl FnMut(&str) -> Option<Vec<u8>> + Send + 'static) {
        *self.answers.lock().unwrap() = Box::new(answers);
    }
}

/// Serves one request; none when the connection is over.
fn serve(reader: &mut BufReader<TcpStream>, answers: &Mutex<Answers>) -> Option<()> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let path = head.split(' ').nth(1)?.to_owned();
    let answer = answers.lock().unwrap()(&path);
    let (status, body) = answer.map_or(("404 Not Found", Vec::new()), |body| ("200 OK", body));
    let stream = reader.get_mut();
    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len()).ok()?;
    stream.write_all(&body).ok()?;
    stream.flush().ok()
}
