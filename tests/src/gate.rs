//! A reverse proxy before a gateway: it writes down what it is asked, and can lie in its answers to
//! private queries, be slow with them, or give none. To a phone it is a gateway of its own.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use ureq::Agent;
use ureq::http::header;

/// What it does with private queries. Everything else is passed through, unless it is `Gone`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mood {
    /// Passes them on.
    Honest,
    /// Passes them on and spoils a byte of each answer.
    Lies,
    /// Passes them on after a while.
    Slow(Duration),
    /// Closes the connection without an answer.
    Dead,
    /// Closes every connection without an answer.
    Gone,
}

/// What was asked of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Asked {
    /// `GET` or `POST`.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The body, empty with `GET`.
    pub body: Vec<u8>,
}

impl Asked {
    /// Whether it is a private query.
    pub fn is_query(&self) -> bool {
        self.path.starts_with("/v1/pir/")
    }
}

/// A proxy on loopback, until the test ends.
#[derive(Debug)]
pub struct Gate {
    /// Its address, `http://…`.
    pub url: String,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: String,
    mood: Mutex<Mood>,
    asked: Mutex<Vec<Asked>>,
    agent: Agent,
}

/// Largest answer that is passed on (64 MiB).
const MAX_ANSWER: u64 = 64 * 1024 * 1024;

impl Gate {
    /// An honest one before the gateway with this address.
    pub fn before(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let agent = Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(60)))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .build()
            .new_agent();
        let shared = Arc::new(Shared {
            target: target.to_owned(),
            mood: Mutex::new(Mood::Honest),
            asked: Mutex::new(Vec::new()),
            agent,
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&serving);
                thread::spawn(move || {
                    let mut reader = BufReader::new(stream);
                    while let Ok(Some(())) = serve(&mut reader, &shared) {}
                });
            }
        });
        Self { url, shared }
    }

    /// Behaves like this from now on.
    pub fn is(&self, mood: Mood) {
        *self.shared.mood.lock().unwrap() = mood;
    }

    /// What was asked since this was asked last.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.shared.asked.lock().unwrap())
    }

    /// The masks of the private queries among it, in order.
    pub fn masks(&self) -> Vec<Vec<u8>> {
        let asked = self.asked().into_iter();
        let queries = asked.filter(Asked::is_query);
        queries.map(|query| query.body).collect()
    }
}

/// Serves one request; nothing when the connection is over.
fn serve(reader: &mut BufReader<TcpStream>, shared: &Shared) -> io::Result<Option<()>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(None);
        }
    }
    let field = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        let mut fields = lines.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        fields.next().map(|(_, value)| value.to_owned())
    };
    let mut words = head.split(' ').map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Ok(None);
    };
    let length = field("content-length").and_then(|length| length.parse().ok());
    let mut body = vec![0; length.unwrap_or_default()];
    reader.read_exact(&mut body)?;
    let asked = Asked { method, path, body };
    let is_query = asked.is_query();
    shared.asked.lock().unwrap().push(asked.clone());
    let mood = *shared.mood.lock().unwrap();
    match mood {
        Mood::Gone => return Ok(None),
        Mood::Dead if is_query => return Ok(None),
        Mood::Slow(time) if is_query => thread::sleep(time),
        _ => {}
    }
    let Ok((status, mut answer)) = pass_on(shared, &asked, field("if-none-match")) else {
        return Ok(None);
    };
    if mood == Mood::Lies && is_query && status == 200 {
        let middle = answer.len() / 2;
        answer[middle] ^= 1;
    }
    let stream = reader.get_mut();
    let length = answer.len();
    write!(
        stream,
        "HTTP/1.1 {status} -\r\ncontent-length: {length}\r\n\r\n"
    )?;
    stream.write_all(&answer)?;
    stream.flush()?;
    Ok(Some(()))
}

fn pass_on(
    shared: &Shared,
    asked: &Asked,
    validator: Option<String>,
) -> Result<(u16, Vec<u8>), ureq::Error> {
    let url = format!("{}{}", shared.target, asked.path);
    let mut response = if asked.method == "POST" {
        let call = shared.agent.post(url);
        call.content_type("application/octet-stream")
            .send(asked.body.as_slice())?
    } else {
        let mut call = shared.agent.get(url);
        if let Some(validator) = validator {
            call = call.header(header::IF_NONE_MATCH, validator);
        }
        call.call()?
    };
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(MAX_ANSWER);
    Ok((status, body.read_to_vec()?))
}
