//! The verb against files and an invented intake on loopback.

use super::*;
use bellwether_client::device::Device;
use bellwether_formats::scheme::fanny;
use clap::Parser;
use std::{
    io::Read,
    net::TcpListener,
    path::Path,
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

/// A new phone of a scheme in a folder of its own.
fn phone(scheme: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("phone").to_str().unwrap().to_owned();
    bellwether(&["new", "--file", &file, "--scheme", scheme]).unwrap();
    (folder, file)
}

/// For whom tokens are encrypted.
const PROVIDER: &str = "z6Mkon3Necd6NkkyfoGoHxid2znGc59LU3K7mubaRcFbLfLX";

fn report(file: &str, code: &str, url: &str) -> Result<(bool, String), DeviceError> {
    report_with(file, code, url, &[])
}

fn report_with(
    file: &str,
    code: &str,
    url: &str,
    args: &[&str],
) -> Result<(bool, String), DeviceError> {
    let report = ["report", "--file", file, "--publisher", "P", "--code", code];
    bellwether(&[&report[..], &["--post", url], args].concat())
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

/// The item lines that a request posted.
fn lines(request: &[u8]) -> Vec<serde_json::Value> {
    let head = request.windows(4).position(|at| at == b"\r\n\r\n").unwrap();
    let body = std::str::from_utf8(&request[head + 4..]).unwrap();
    let lines = body.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

#[test]
fn submissions_are_answered_line_by_line_and_what_is_refused_stays() {
    let (_folder, file) = phone("gaen");
    // Three days, so three keys.
    bellwether(&[
        "ids",
        "--file",
        &file,
        "--count",
        "289",
        "--at",
        "2026-11-20T00:00:00Z",
    ])
    .unwrap();
    let (url, asked) = intake(
        "200 OK",
        "{\"index\":0,\"accepted\":true}\n{\"index\":1,\"error\":\"unit-old\",\"message\":\"m\"}\n{\"index\":2,\"accepted\":true,\"known\":true}\n",
    );
    let (ok, text) = report(&file, "1 2", &url).unwrap();
    assert!(!ok, "one was refused");
    assert!(text.contains("unit-old"));
    let request = asked.join().unwrap();
    let head = String::from_utf8_lossy(&request).to_ascii_lowercase();
    assert!(head.starts_with("post /v1/submissions http/1.1\r\n"));
    assert!(head.contains("\r\ncontent-type: application/x-ndjson\r\n"));
    assert!(head.contains("\r\nbellwether-code: 1%202\r\n"));
    let first = lines(&request);
    assert_eq!(first.len(), 3);
    assert!(first.iter().all(|item| item["scheme"] == "gaen"));
    assert!(
        first[0]["unit"]
            .as_str()
            .unwrap()
            .ends_with(" 2991888 144 0")
    );

    let (url, asked) = intake("200 OK", "{\"index\":0,\"accepted\":true}");
    assert!(report(&file, "C", &url).unwrap().0);
    assert_eq!(lines(&asked.join().unwrap()), first[1..2]);
    let nothing = report(&file, "C", "http://127.0.0.1:1");
    assert!(matches!(
        nothing,
        Err(DeviceError::Phone(PhoneError::Nothing))
    ));
}

#[test]
fn a_report_that_got_no_answer_is_made_again() {
    let (_folder, file) = phone("dp3t-unlinkable");
    let ids = [
        "ids",
        "--file",
        &file,
        "--count",
        "2016",
        "--at",
        "1795000000",
    ];
    bellwether(&ids).unwrap();
    let nobody = report(&file, "C", "http://127.0.0.1:1");
    assert!(matches!(nobody, Err(DeviceError::Post(_))));
    let (url, asked) = intake("503 Service Unavailable", "{\"error\":\"busy\"}");
    assert!(!report(&file, "C", &url).unwrap().0);
    let first = lines(&asked.join().unwrap());
    assert_eq!(first.len(), 2016, "all at once: the code is used up then");
    let (url, asked) = intake("200 OK", "{\"index\":7,\"accepted\":true}");
    let more = ["--revision", "0123ab"];
    assert!(!report_with(&file, "C", &url, &more).unwrap().0);
    let request = asked.join().unwrap();
    let head = String::from_utf8_lossy(&request).to_ascii_lowercase();
    assert!(head.contains("\r\nbellwether-revision: 0123ab\r\n"));
    assert_eq!(lines(&request), first);
    let (url, asked) = intake("200 OK", "");
    assert!(!report(&file, "C", &url).unwrap().0);
    assert_eq!(lines(&asked.join().unwrap()).len(), 2015);
}

#[test]
fn a_report_of_tcn_has_a_memo_and_a_door_of_its_own() {
    let (folder, file) = phone("tcn");
    let (_, one) = bellwether(&["ids", "--file", &file]).unwrap();
    let (_, two) = bellwether(&["ids", "--file", &file]).unwrap();
    assert_eq!(one.trim().len(), 32);
    assert_ne!(one, two, "it rotates");
    let (url, asked) = intake("200 OK", "{\"accepted\":1}");
    let out = folder.path().join("report");
    let memo = [
        "--memo-type",
        "2",
        "--memo",
        "0aFF",
        "--out",
        out.to_str().unwrap(),
    ];
    assert!(report_with(&file, "C", &url, &memo).unwrap().0);
    let request = asked.join().unwrap();
    let head = String::from_utf8_lossy(&request).to_ascii_lowercase();
    assert!(head.starts_with("post /v1/tcn http/1.1\r\n"));
    assert!(head.contains("\r\ncontent-type: application/octet-stream\r\n"));
    assert!(head.contains("\r\nbellwether-code: c\r\n"));
    let signed = fs::read(&out).unwrap();
    assert!(request.ends_with(&signed));
    assert_eq!(signed.len(), 134 + 2);
    assert_eq!(signed[64..72], [1, 0, 2, 0, 2, 2, 0x0a, 0xff]);
    Scheme::TCN.rules().unwrap().check(&signed).unwrap();

    // Two keys, one code: both at once.
    bellwether(&["ids", "--file", &file, "--count", "4097"]).unwrap();
    let (url, asked) = intake("403 Forbidden", "");
    assert!(!report(&file, "C", &url).unwrap().0);
    let request = asked.join().unwrap();
    assert!(request.starts_with(b"POST /v1/submissions HTTP/1.1\r\n"));
    let items = lines(&request);
    assert_eq!(items.len(), 2);
    for item in items {
        let unit = item["unit"].as_str().unwrap().as_bytes();
        let unit = HEXLOWER_PERMISSIVE.decode(unit).unwrap();
        Scheme::TCN.rules().unwrap().check(&unit).unwrap();
    }

    let (_folder, file) = phone("gaen");
    bellwether(&["ids", "--file", &file]).unwrap();
    let refused = report_with(&file, "C", &url, &memo);
    assert!(matches!(refused, Err(DeviceError::Memo)));
}

#[test]
fn two_phones_of_fanny_have_a_token_in_common() {
    let (_one_folder, one) = phone("fanny");
    let (_other_folder, other) = phone("fanny");
    let ids = |args: &[&str]| bellwether(&[&["ids", "--file"], args].concat()).unwrap().1;
    let (mine, theirs) = (ids(&[&one]), ids(&[&other]));
    let at = ["--at", "2026-11-20T12:00:00Z"];
    let token = ids(&[&[one.as_str(), "--peer", theirs.trim()], &at[..]].concat());
    assert_eq!(
        token,
        ids(&[&[other.as_str(), "--peer", mine.trim()], &at[..]].concat())
    );
    assert_ne!(mine, ids(&[&one]), "of the next contact");
    let (url, asked) = intake("200 OK", "{\"index\":0,\"accepted\":true}");
    let for_nobody = report(&one, "C", &url);
    let Err(DeviceError::Phone(PhoneError::Provider)) = for_nobody else {
        panic!("{for_nobody:?}");
    };
    let for_provider = ["--provider", PROVIDER];
    assert!(report_with(&one, "C", &url, &for_provider).unwrap().0);
    let contact = HEXLOWER_PERMISSIVE.decode(token.trim().as_bytes()).unwrap();
    let (token, key) = contact.split_first_chunk().unwrap();
    let contact = fanny::Contact {
        token: *token,
        key: key.try_into().unwrap(),
    };
    let expiry = 20_793; // 2026-12-06
    let value = contact.encrypted(&format!("bellwether:{PROVIDER}"), expiry);
    let unit = format!("{} 2026-12-06", HEXLOWER_PERMISSIVE.encode(&value));
    assert_eq!(lines(&asked.join().unwrap())[0]["unit"], unit);
}

#[test]
fn what_a_scheme_does_not_have_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("phone").to_str().unwrap().to_owned();
    let typed = bellwether(&["new", "--file", &file, "--scheme", "gaen", "--type", "1"]);
    assert!(matches!(typed, Err(DeviceError::Type)));
    let other = bellwether(&["new", "--file", &file, "--scheme", "cx2", "--type", "1"]);
    assert!(matches!(other, Err(DeviceError::Type)));
    assert!(!Path::new(&file).exists());
    bellwether(&["new", "--file", &file, "--scheme", "cx2"]).unwrap();
    assert_eq!(
        Device::load(Path::new(&file)).unwrap().generator(),
        Generator::Aes256
    );
    let (_, id) = bellwether(&["ids", "--file", &file, "--at", "0"]).unwrap();
    let peer = bellwether(&["ids", "--file", &file, "--peer", id.trim()]);
    assert!(matches!(peer, Err(DeviceError::Phone(PhoneError::Peer))));
    for args in [
        ["new", "--file", "f", "--scheme", "gps"],
        ["ids", "--file", "f", "--hour", "24"],
        ["ids", "--file", "f", "--at", "noon"],
    ] {
        assert!(Line::try_parse_from([&["device"], &args[..]].concat()).is_err());
    }
}
