//! What the relays saw of two phones, side by side.

use bellwether_formats::pir::Mask;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use super::ear::Heard;
use super::story::Story;
use super::{CliError, OPERATORS, wrong};

/// A phone, and what relays heard of its sync.
pub(super) struct Seen {
    /// Whose phone.
    pub(super) name: &'static str,
    /// In order, of both relays.
    pub(super) heard: Vec<Heard>,
}

/// Width of the table's first column.
const REQUEST_WIDTH: usize = 47;

/// Width of its second.
const CELL_WIDTH: usize = 22;

/// Tells what each relay saw; fails where the one phone can be told from the other.
pub(super) fn tell(story: &mut Story, phones: &[Seen; 2]) -> Result<(), CliError> {
    let [one, other] = phones;
    let mut table = format!(
        "What the relays saw. Which of them a phone asks first, chance decides.\n{:REQUEST_WIDTH$}  \
         {:<CELL_WIDTH$}  {}",
        "", one.name, other.name
    );
    let mut alike = true;
    for (asked, role) in [("first", 0), ("second", 1)] {
        let logs = phones.each_ref().map(|phone| log(phone, role));
        let [left, right] = &logs;
        let names = phones.each_ref().map(|phone| operator(phone, role));
        let [left_name, right_name] = names;
        table.push_str(&format!(
            "\n{:REQUEST_WIDTH$}  {left_name:<CELL_WIDTH$}  {right_name}",
            format!("The relay asked {asked}:")
        ));
        let same =
            left.len() == right.len() && left.iter().zip(right).all(|(a, b)| shape(a) == shape(b));
        alike &= same && masks(left) != masks(right);
        for row in 0..left.len().max(right.len()) {
            table.push_str(&line(left.get(row).copied(), right.get(row).copied()));
        }
        let of = |phone: &Seen, log: &[&Heard], operator: &str| {
            let requests: Vec<Value> = log.iter().map(|heard| object(heard)).collect();
            json!({ "name": phone.name, "operator": operator, "requests": requests })
        };
        story.note(json!({
            "step": "relay-saw", "asked": asked, "alike": same,
            "phones": [of(one, left, left_name), of(other, right, right_name)],
        }))?;
    }
    if !alike {
        return Err(wrong(format!("the phones can be told apart:\n{table}")));
    }
    table.push_str(
        "\nThe same requests and the same bytes: only masks differ, and each mask by itself is random.",
    );
    story.tell(&table, json!({ "step": "alike", "alike": true }))
}

/// The chunk that a phone asked for last, of `chunks`, as both relays together would know it.
pub(super) fn chunk(phone: &Seen, chunks: usize) -> Result<usize, CliError> {
    let sent: Vec<&[u8]> = masks(&phone.heard.iter().collect::<Vec<_>>());
    let [.., one, other] = sent.as_slice() else {
        return Err(wrong(format!("{} sent {} masks", phone.name, sent.len())));
    };
    let differ: Vec<u8> = one.iter().zip(*other).map(|(a, b)| a ^ b).collect();
    let mask = Mask::decode(&differ, chunks).map_err(wrong)?;
    let chosen: Vec<usize> = mask.chosen().collect();
    match chosen.as_slice() {
        [chunk] => Ok(*chunk),
        _ => Err(wrong(format!(
            "{}'s masks differ in {chosen:?}",
            phone.name
        ))),
    }
}

/// What the relay that the phone asked first, or second, saw of it.
fn log(phone: &Seen, role: usize) -> Vec<&Heard> {
    let relay = relay(phone, role);
    let heard = phone.heard.iter();
    heard.filter(|heard| Some(heard.relay) == relay).collect()
}

fn relay(phone: &Seen, role: usize) -> Option<usize> {
    let first = phone.heard.first()?.relay;
    let mut others = phone.heard.iter().map(|heard| heard.relay);
    match role {
        0 => Some(first),
        _ => others.find(|relay| *relay != first),
    }
}

fn operator(phone: &Seen, role: usize) -> &'static str {
    let name = relay(phone, role).and_then(|relay| OPERATORS.get(relay));
    name.copied().unwrap_or("nobody")
}

/// All of a request but its mask.
fn shape(heard: &Heard) -> (&str, &str, u16, usize, usize) {
    let (method, path) = (heard.method.as_str(), heard.path.as_str());
    (method, path, heard.status, heard.sent.len(), heard.answered)
}

fn masks<'a>(log: &[&'a Heard]) -> Vec<&'a [u8]> {
    let sent = log.iter().map(|heard| heard.sent.as_slice());
    sent.filter(|sent| !sent.is_empty()).collect()
}

fn object(heard: &Heard) -> Value {
    let mask = (!heard.sent.is_empty()).then(|| HEXLOWER.encode(&heard.sent));
    json!({
        "method": heard.method, "path": heard.path, "mask": mask, "status": heard.status,
        "bytes_up": heard.sent.len(), "bytes_down": heard.answered,
    })
}

/// A row of the table: the request once if both made it, else each its own.
fn line(left: Option<&Heard>, right: Option<&Heard>) -> String {
    let (Some(request), Some(other)) = (left.or(right), right.or(left)) else {
        return String::new();
    };
    let named = |heard: &Heard| format!("{} {}", heard.method, short(&heard.path));
    let mut name = format!("  {}", named(request));
    if named(request) != named(other) {
        name = format!("{name} | {}", named(other));
    }
    let (left, right) = (
        left.map_or_else(String::new, cell),
        right.map_or_else(String::new, cell),
    );
    format!("\n{name:<REQUEST_WIDTH$}  {left:<CELL_WIDTH$}  {right}",)
}

/// What differs, and what must not: mask, and bytes of the answer.
fn cell(heard: &Heard) -> String {
    let answer = match heard.status {
        200 => format!("{} bytes", heard.answered),
        304 => "not modified".to_owned(),
        status => format!("status {status}"),
    };
    if heard.sent.is_empty() {
        return answer;
    }
    format!("{} {answer}", HEXLOWER.encode(&heard.sent))
}

/// A path as people can read it: ids shortened, the query left out.
fn short(path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    let segments = path.split('/').map(|segment| {
        if segment.len() <= 16 || !segment.is_ascii() {
            return segment.to_owned();
        }
        let (start, _) = segment.split_at_checked(5).unwrap_or_default();
        let end = segment.len() - 4;
        let (_, end) = segment.split_at_checked(end).unwrap_or_default();
        format!("{start}…{end}")
    });
    segments.collect::<Vec<_>>().join("/")
}
