//! Who met whom, and who reports what.

use std::path::Path;

use bellwether_client::device::post::{Door, Intake};
use bellwether_client::device::{Broadcast, Phone as Device, Words};
use bellwether_client::observations::{ContactId, Observation};
use bellwether_formats::id::{ProviderId, Scheme};
use bellwether_formats::scheme::{DAY_S, Family};
use bellwether_node::admin::Request;
use bellwether_node::clock;
use bellwether_node::node::Info;
use serde_json::{Value, json};

use super::super::ask::list;
use super::story::Story;
use super::{CLINIC, CliError, NAME, NATION, ask, now, wrong};

/// Patients of the clinic who report: Alice, and as many as she can hide among.
const PATIENTS: usize = 10;

/// By which scheme phones broadcast, and when they met.
#[derive(Clone, Copy)]
pub(super) struct Meeting {
    pub(super) scheme: Scheme,
    pub(super) family: Family,
    /// In seconds of UTC.
    at: u64,
    when: &'static str,
}

impl Meeting {
    /// An hour ago; in schemes that know times so long ago that the keys of then are over.
    pub(super) fn by(scheme: Scheme) -> Result<Self, CliError> {
        let rules = scheme.rules().ok_or_else(|| wrong("no such scheme"))?;
        let now = clock::now();
        let known = rules.timed() || scheme == Scheme::DP3T_UNLINKABLE;
        let noon = (now / DAY_S).saturating_sub(2) * DAY_S + DAY_S / 2;
        let (at, when) = if known {
            (noon, "The day before yesterday, at noon of UTC,")
        } else {
            (now - 3600, "An hour ago")
        };
        Ok(Self {
            scheme,
            family: rules.family(),
            at,
            when,
        })
    }

    /// Whether notifications of the scheme are sealed in every zone.
    pub(super) fn always_sealed(&self) -> bool {
        self.scheme
            .rules()
            .is_some_and(|rules| rules.always_sealed())
    }

    fn observation(&self, id: ContactId) -> Observation {
        Observation {
            id,
            at: self.at,
            family: self.family,
        }
    }
}

/// Those who broadcast, and what the phones of others recorded of them.
pub(super) struct People {
    /// Alice first, then the clinic's other patients.
    patients: Vec<Device>,
    dan: Device,
    /// What Bob's phone recorded of Alice's.
    pub(super) from_alice: Observation,
    /// What Bob's phone recorded of Dan's.
    pub(super) from_dan: Observation,
    /// What Carol's phone recorded, of nobody here.
    pub(super) of_strangers: [Observation; 2],
}

/// Phones broadcast, and others hear them.
pub(super) fn meet(folder: &Path, meeting: Meeting, story: &mut Story) -> Result<People, CliError> {
    let mut patients = Vec::new();
    let mut heard = Vec::new();
    for _ in 0..=PATIENTS {
        let mut device = device(meeting.scheme)?;
        heard.push(broadcast(&mut device, meeting)?);
        patients.push(device);
    }
    let (Some(dan), Some(from_dan)) = (patients.pop(), heard.pop()) else {
        return Err(wrong("no patient"));
    };
    let (Some(alice), Some(from_alice)) = (patients.first(), heard.first()) else {
        return Err(wrong("no patient"));
    };
    alice.save_new(&folder.join("alice.json")).map_err(wrong)?;
    let [of_alice, of_dan] = [from_alice, &from_dan].map(|id| id.text(meeting.family));
    let met = if meeting.scheme == Scheme::FANNY {
        "phone and his agreed on token and key"
    } else {
        "phone broadcast"
    };
    story.tell(
        &format!(
            "{} Bob, who travels, sat beside Dan on a train and beside Alice in the clinic. Her\n\
             {met} {of_alice}, and his recorded it. Carol made the same\njourney and sat elsewhere. \
             Both follow the country and the clinic.",
            meeting.when
        ),
        json!({
            "step": "meeting", "scheme": meeting.scheme.to_string(), "alice": of_alice,
            "dan": of_dan,
        }),
    )?;
    let [from_alice, from_dan] = [*from_alice, from_dan].map(|id| meeting.observation(id));
    let strangers = [stranger(&from_alice)?, stranger(&from_alice)?];
    Ok(People {
        patients,
        dan,
        from_alice,
        from_dan,
        of_strangers: strangers.map(|id| meeting.observation(id)),
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
    let intake = Intake::at(people.dan.door(), url, Some(&certificate)).map_err(wrong)?;
    let began = now();
    let provider = info.provider.as_deref().unwrap_or_default();
    let provider: &ProviderId = &provider.parse().map_err(wrong)?;
    let codes = codes(provider_dir, "diagnosed", CLINIC, people.patients.len())?;
    let mut bytes = 0;
    for (device, code) in people.patients.iter_mut().zip(&codes) {
        bytes = post(device, code, &intake, provider)?;
    }
    for code in codes_of_dan(provider_dir)? {
        post(&mut people.dan, &code, &intake, provider)?;
    }
    let ms = super::millis(began.elapsed().as_millis());
    let code = codes.first().map_or("", String::as_str);
    let makes = match people.dan.door() {
        Door::Reports => "signs a seed report",
        Door::Tcn => "signs a report",
        Door::Submissions => "makes a report",
    };
    story.tell(
        &format!(
            "Alice tests positive. The clinic gives her the code {code}; her phone {makes}\n\
             ({bytes} bytes) and posts it to {url}. So do {} other patients of\n\
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
fn post(
    device: &mut Device,
    code: &str,
    intake: &Intake,
    provider: &ProviderId,
) -> Result<usize, CliError> {
    let words = Words {
        publisher: NAME,
        code,
        memo: (0, &[]),
        provider: Some(provider),
    };
    let report = device.report(&words, &mut fresh).map_err(wrong)?;
    let bytes = report.bytes();
    let answer = match report.door {
        Door::Reports => intake.post(&bytes),
        Door::Tcn | Door::Submissions => intake.post_under(code, None, &bytes),
    };
    let answer = answer.map_err(wrong)?;
    let accepted = answer.text.matches("\"accepted\":true").count();
    let all = report.door != Door::Submissions || accepted == report.len();
    if !answer.accepted || !all {
        return Err(wrong(format!(
            "the report was refused: {} {}",
            answer.status, answer.text
        )));
    }
    device.settle(&(0..report.len()).collect());
    Ok(bytes.len())
}

fn device(scheme: Scheme) -> Result<Device, CliError> {
    Device::new(scheme, &mut fresh).ok_or_else(|| wrong("no phone of the scheme"))
}

/// Writes random bytes, without which nothing here can go on.
fn fresh(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the system gives random bytes");
}

/// What others hear of the device; of FANNY what it and another agree on.
fn broadcast(device: &mut Device, meeting: Meeting) -> Result<ContactId, CliError> {
    let mut asked = Broadcast {
        count: 1,
        at: meeting.at,
        peer: None,
        hour: 3,
    };
    if meeting.scheme == Scheme::FANNY {
        let mut other = self::device(meeting.scheme)?;
        let ids = other.ids(&asked, &mut fresh).map_err(wrong)?;
        asked.peer = ids.first().and_then(|id| id.parse().ok());
    }
    let heard = device.ids(&asked, &mut fresh).map_err(wrong)?;
    let heard = heard.first().ok_or_else(|| wrong("no identifier"))?;
    ContactId::parse(meeting.family, heard).map_err(wrong)
}

/// An identifier as long as another, that nobody here broadcast.
fn stranger(like: &Observation) -> Result<ContactId, CliError> {
    let mut bytes = vec![0; like.id.as_bytes().len()];
    getrandom::fill(&mut bytes).map_err(wrong)?;
    ContactId::new(&bytes).ok_or_else(|| wrong("no identifier"))
}
