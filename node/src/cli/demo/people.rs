//! Who met whom, and who reports what.

use std::path::Path;

use bellwether_client::device::Device;
use bellwether_client::device::post::Intake;
use bellwether_formats::scheme::cx::{Generator, Identifier};
use bellwether_node::admin::Request;
use bellwether_node::node::Info;
use serde_json::{Value, json};

use super::super::ask::list;
use super::story::Story;
use super::{CLINIC, CliError, NAME, NATION, ask, now, wrong};

/// Patients of the clinic who report: Alice, and as many as she can hide among.
const PATIENTS: usize = 10;

/// Those who broadcast, and what the phones of others recorded of them.
pub(super) struct People {
    /// Alice first, then the clinic's other patients.
    patients: Vec<Device>,
    dan: Device,
    /// What Bob's phone recorded of Alice's.
    pub(super) from_alice: Identifier,
    /// What Bob's phone recorded of Dan's.
    pub(super) from_dan: Identifier,
    /// What Carol's phone recorded, of nobody here.
    pub(super) of_strangers: [Identifier; 2],
}

/// Phones broadcast, and others hear them.
pub(super) fn meet(folder: &Path, story: &mut Story) -> Result<People, CliError> {
    let mut patients = Vec::new();
    for _ in 0..PATIENTS {
        patients.push(device()?);
    }
    let mut dan = device()?;
    let alice = patients.first_mut().ok_or_else(|| wrong("no patient"))?;
    let (from_alice, from_dan) = (broadcast(alice)?, broadcast(&mut dan)?);
    alice.save_new(&folder.join("alice.json")).map_err(wrong)?;
    story.tell(
        &format!(
            "An hour ago Bob, who travels, sat beside Dan on a train and beside Alice in the clinic. \
             Her\nphone broadcast {from_alice}, and his recorded it. Carol made the \
             same\njourney and sat elsewhere. Both follow the country and the clinic."
        ),
        json!({
            "step": "meeting", "alice": from_alice.to_string(), "dan": from_dan.to_string(),
        }),
    )?;
    Ok(People {
        patients,
        dan,
        from_alice,
        from_dan,
        of_strangers: [stranger()?, stranger()?],
    })
}

/// They test positive, get codes, and their phones report.
pub(super) fn report(
    provider_dir: &Path,
    info: &Info,
    people: &mut People,
    story: &mut Story,
) -> Result<(), CliError> {
    let certificate = provider_dir.join("tls/cert.pem");
    let url = info.intake.as_deref().unwrap_or_default();
    let intake = Intake::new(url, Some(&certificate)).map_err(wrong)?;
    let began = now();
    let codes = codes(provider_dir, "diagnosed", CLINIC, people.patients.len())?;
    let mut bytes = 0;
    for (device, code) in people.patients.iter_mut().zip(&codes) {
        bytes = post(device, code, &intake)?;
    }
    for code in codes_of_dan(provider_dir)? {
        post(&mut people.dan, &code, &intake)?;
    }
    let ms = super::millis(began.elapsed().as_millis());
    let code = codes.first().map_or("", String::as_str);
    story.tell(
        &format!(
            "Alice tests positive. The clinic gives her the code {code}; her phone signs a seed \
             report\n({bytes} bytes) and posts it to {url}. So do {} other patients of\n\
             the clinic; and Dan, who has symptoms, with a code for the whole country. {ms} ms.",
            PATIENTS - 1
        ),
        json!({ "step": "report", "reports": PATIENTS + 1, "bytes": bytes, "ms": ms }),
    )
}

fn codes_of_dan(dir: &Path) -> Result<Vec<String>, CliError> {
    codes(dir, "symptomatic", NATION, 1)
}

fn codes(dir: &Path, level: &str, zone: &str, count: usize) -> Result<Vec<String>, CliError> {
    let request = Request::CodeIssue {
        level: level.to_owned(),
        zone: zone.to_owned(),
        count,
        valid_s: 86_400,
    };
    let answer = ask(dir, &request)?;
    let codes = list(&answer, "codes")?.iter().filter_map(Value::as_str);
    Ok(codes.map(str::to_owned).collect())
}

/// Posts the report of a phone; gives its length in bytes.
fn post(device: &mut Device, code: &str, intake: &Intake) -> Result<usize, CliError> {
    let mut random = [0; Generator::MAX_SEED_BYTES];
    getrandom::fill(&mut random).map_err(wrong)?;
    let der = device.report(NAME, code, &random).map_err(wrong)?;
    let answer = intake.post(&der).map_err(wrong)?;
    if !answer.accepted {
        return Err(wrong(format!(
            "the report was refused: {} {}",
            answer.status, answer.text
        )));
    }
    device.accepted();
    Ok(der.len())
}

fn device() -> Result<Device, CliError> {
    let mut random = [0; Device::NEW_BYTES];
    getrandom::fill(&mut random).map_err(wrong)?;
    let mut device = Device::new(Generator::Aes128, &random);
    broadcast(&mut device)?;
    Ok(device)
}

/// The newest of some identifiers that the device broadcasts.
fn broadcast(device: &mut Device) -> Result<Identifier, CliError> {
    let mut heard = device.take_identifiers(4);
    heard.pop().ok_or_else(|| wrong("no identifier"))
}

/// An identifier that nobody here broadcast.
fn stranger() -> Result<Identifier, CliError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(wrong)?;
    Ok(Identifier::from_bytes(bytes))
}
