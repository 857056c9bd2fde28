//! How the demo tells what happens, and how it looks at relays as any client would.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::{CliError, say};

/// Tells the story: to a person, or as one object a line.
pub(super) struct Story {
    json: bool,
    chapter: u32,
}

impl Story {
    /// Begins.
    pub(super) const fn new(json: bool) -> Self {
        Self { json, chapter: 0 }
    }

    /// Tells one thing.
    pub(super) fn tell(&mut self, text: &str, object: Value) -> Result<(), CliError> {
        self.chapter += 1;
        if self.json {
            return say(object);
        }
        let text = text.replace('\n', "\n   ");
        say(format_args!("{}. {text}\n", self.chapter))
    }

    /// Notes what only a program wants to know.
    pub(super) fn note(&self, object: Value) -> Result<(), CliError> {
        if self.json { say(object) } else { Ok(()) }
    }

    /// Says whether the story came out right.
    pub(super) fn end(&mut self, error: Option<&str>) -> Result<(), CliError> {
        match (self.json, error) {
            (true, None) => say(json!({ "ok": true, "steps": self.chapter })),
            (true, Some(error)) => say(json!({ "ok": false, "error": error })),
            (false, None) => say(
                "The story came out right: Bob knows, Carol does not need to, and neither relay can \
                 tell\nwhich of them was near Alice.",
            ),
            (false, Some(_)) => Ok(()),
        }
    }
}

/// Whether a gateway has a block.
pub(super) fn has_block(url: &str, cid: &str) -> Result<Option<()>, CliError> {
    Ok((head(url, cid)?.0 == 200).then_some(()))
}

/// Asks for a block's status and length.
fn head(url: &str, cid: &str) -> Result<(u16, u64), CliError> {
    let address = url.strip_prefix("http://").unwrap_or(url);
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let request = format!(
        "HEAD /ipfs/{cid}?format=raw HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(16 * 1024).read_to_string(&mut answer)?;
    let mut lines = answer.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    });
    Ok((status.unwrap_or_default(), length.unwrap_or_default()))
}
