//! The verb against files and an invented intake on loopback.

use super::*;
use clap::Parser;
use std::{
    io::Read,
    net::TcpListener,
    thread::{self, JoinHandle},
};

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: DeviceCommand,
}

/// Runs a command line: exit status and output, or the error.
fn bellwether(args: &[&str]) -> Result<(bool, String), DeviceError> {
    let line = Line::try_parse_from([&["device"], args].concat()).expect("a command line");
    let mut out = Vec::new();
    let code = run(&line.command, &mut out)?;
    Ok((
        format!("{code:?}") == format!("{:?}", ExitCode::SUCCESS),
        String::from_utf8(out).unwrap(),
    ))
}

/// A new device of type 2 in a folder of its own.
fn device() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("phone").to_str().unwrap().to_owned();
    bellwether(&["new", "--file", &file, "--type", "2"]).unwrap();
    (folder, file)
}

/// Answers one request with `status` and hands back what was asked.
fn intake(status: &'static str, body: &'static str) -> (String, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        while !whole(&request) {
            let read = stream.read(&mut buffer).unwrap();
            assert!(read > 0, "the request ends early");
            request.extend_from_slice(&buffer[..read]);
        }
        let len = body.len();
        write!(
            stream,
            "HTTP/1.1 {status}\r\ncontent-length: {len}\r\nconnection: close\r\n\r\n{body}"
        )
        .unwrap();
        request
    });
    (url, asked)
}

/// Whether head and body of a request are all there.
fn whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some(head) = request.windows(4).position(|w| w == b"\r\n\r\n") else {
        return false;
    };
    let (_, len) = text.split_once("content-length: ").expect("a length");
    let len: usize = len.lines().next().unwrap().trim().parse().unwrap();
    request.len() >= head + 4 + len
}

#[test]
fn identifiers_go_on_where_they_ended_and_into_the_next_seed() {
    let (_folder, file) = device();
    assert!(bellwether(&["new", "--file", &file]).is_err());
    let first = Device::load(Path::new(&file)).unwrap();
    let (ok, one) = bellwether(&["ids", "--file", &file]).unwrap();
    let (_, more) = bellwether(&["ids", "--file", &file, "--count", "2050"]).unwrap();
    assert!(ok);
    let lines: Vec<&str> = one.lines().chain(more.lines()).collect();
    assert_eq!(lines.len(), 2051);
    for (index, id) in first.seed().identifiers().enumerate() {
        assert_eq!(lines[index], id.to_string());
    }
    let second = Device::load(Path::new(&file)).unwrap();
    for (index, id) in second.seed().identifiers().take(3).enumerate() {
        assert_eq!(lines[2048 + index], id.to_string());
    }
}

#[test]
fn a_report_is_posted_and_the_answer_printed() {
    let (folder, file) = device();
    let out = folder.path().join("report.der");
    let (url, asked) = intake("200 OK", "{\"accepted\":1}\n");
    let report = [
        "report",
        "--file",
        &file,
        "--publisher",
        "P",
        "--code",
        "C",
        "--out",
        out.to_str().unwrap(),
        "--post",
        &url,
    ];
    let before = Device::load(Path::new(&file)).unwrap();
    let (ok, text) = bellwether(&report).unwrap();
    assert!(ok);
    assert_eq!(text, "{\"accepted\":1}\n");
    let request = asked.join().unwrap();
    assert!(request.starts_with(b"POST /v1/reports HTTP/1.1\r\n"));
    let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
    assert!(text.contains("content-type: application/octet-stream\r\n"));
    assert!(!text.contains("user-agent"), "{text}");
    assert!(request.ends_with(&fs::read(&out).unwrap()));

    let after = Device::load(Path::new(&file)).unwrap();
    assert_ne!(after.seed(), before.seed());
    assert_eq!(
        after.descriptors().len(),
        1,
        "the accepted seed is forgotten"
    );
}

#[test]
fn a_refused_report_gives_up_the_seed_but_keeps_it_for_the_next() {
    let (_folder, file) = device();
    let (url, asked) = intake("403 Forbidden", "{\"error\":\"code\"}");
    let url = format!("{url}/other/path");
    let before = Device::load(Path::new(&file)).unwrap();
    let (ok, text) = bellwether(&[
        "report",
        "--file",
        &file,
        "--publisher",
        "P",
        "--code",
        "C",
        "--post",
        &url,
    ])
    .unwrap();
    assert!(!ok);
    assert_eq!(text, "{\"error\":\"code\"}\n");
    assert!(asked.join().unwrap().starts_with(b"POST /other/path HTTP"));
    let after = Device::load(Path::new(&file)).unwrap();
    assert_ne!(after.seed(), before.seed());
    let reported = |device: &Device| device.descriptors().first().unwrap().preseed.to_vec();
    assert_eq!(reported(&after), reported(&before));
}

#[test]
fn what_cannot_be_sent_is_found_before_the_seed_is_given_up() {
    let (folder, file) = device();
    let before = Device::load(Path::new(&file)).unwrap().seed();
    let empty = folder.path().join("empty.pem");
    fs::write(&empty, "no certificate").unwrap();
    for (url, ca) in [
        ("http://intake.example", None),
        ("nonsense", None),
        ("https://127.0.0.1:1", Some("/nonexistent/ca.pem")),
        ("https://127.0.0.1:1", empty.to_str()),
    ] {
        let mut args = vec![
            "report",
            "--file",
            &file,
            "--publisher",
            "P",
            "--code",
            "C",
            "--post",
            url,
        ];
        args.extend(ca.into_iter().flat_map(|ca| ["--ca", ca]));
        assert!(
            matches!(bellwether(&args), Err(DeviceError::Post(_))),
            "{url}"
        );
    }
    assert_eq!(Device::load(Path::new(&file)).unwrap().seed(), before);
    assert!(
        Line::try_parse_from([
            "device",
            "report",
            "--file",
            "f",
            "--publisher",
            "P",
            "--code",
            "C"
        ])
        .is_err()
    );
}
