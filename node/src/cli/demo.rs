//! `demo`: the main job on this machine, told as a story. The one place where node and client meet.

use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use bellwether_client::Client;
use bellwether_client::device::Device;
use bellwether_client::device::post::Intake;
use bellwether_client::observations::{ContactId, Family, Observation};
use bellwether_formats::scheme::cx::{Generator, Identifier};
use bellwether_formats::share::{Share, parse_gateway};
use bellwether_node::admin::Request;
use bellwether_node::admin::socket::{self, Reply};
use bellwether_node::clock;
use bellwether_node::node::Info;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::ask::{list, text};
use super::{CliError, say, start_logging};

mod nodes;
mod story;

use nodes::{Nodes, start};
use story::Story;

/// The provider's name.
const NAME: &str = "Demo Health Board";

/// Its zone.
const ZONE: &str = "gb/sct";

/// Longest wait for the relays to connect, or for a batch to reach them: anti-entropy, which needs
/// no gossip, comes every two seconds here.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// One object a line instead of a story; the last says whether it came out right.
    #[arg(long)]
    json: bool,
    /// Leave it running, with its addresses, until Ctrl-C.
    #[arg(long)]
    keep: bool,
}

/// `demo`
pub(super) fn run(args: &Args) -> Result<ExitCode, CliError> {
    start_logging("error");
    let folder = tempfile::Builder::new()
        .prefix("bellwether-demo-")
        .tempdir()?;
    let runtime = Runtime::new()?;
    let mut story = Story::new(args.json);
    let outcome = play(folder.path(), &runtime, &mut story);
    let right = match outcome {
        Ok(mut nodes) => {
            if args.keep {
                nodes.keep(folder.path(), &runtime, &mut story)?;
            }
            story.end(None)?;
            if args.keep {
                runtime.block_on(tokio::signal::ctrl_c())?;
            }
            nodes.stop(&runtime);
            true
        }
        Err(error) => {
            story.end(Some(&error.to_string()))?;
            if !args.json {
                eprintln!("error: {error}");
            }
            false
        }
    };
    runtime.shutdown_timeout(Duration::from_secs(2));
    Ok(if right {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    })
}

/// The story, from an empty folder to two phones that know what they should.
fn play(folder: &Path, runtime: &Runtime, story: &mut Story) -> Result<Nodes, CliError> {
    let provider_dir = folder.join("provider");
    let mut nodes = start(folder, &provider_dir, runtime, story)?;
    let info = nodes.provider.as_ref().map(|node| node.info().clone());
    let info = info.ok_or_else(|| wrong("the provider did not start"))?;

    let (mut device, observed) = meet(folder, story)?;
    let (bob, carol) = (folder.join("bob"), folder.join("carol"));
    let gateways: Vec<String> = nodes.gateways();
    let mut share: Share = parsed(&info.share)?;
    share.gateways = gateways
        .iter()
        .map(|gateway| parse_gateway(gateway))
        .collect();
    for (state, id) in [(&bob, observed), (&carol, stranger()?)] {
        let mut phone = Client::open(state).map_err(phone_error)?;
        phone.follow(&share).map_err(phone_error)?;
        let at = clock::now() - 3600;
        phone
            .observe(&[Observation {
                id: ContactId(*id.as_bytes()),
                at,
                family: Family::Cx,
            }])
            .map_err(phone_error)?;
    }

    report(&provider_dir, &info, &mut device, story)?;
    let cid = publish(&provider_dir, &nodes, story)?;
    if let Some(provider) = nodes.provider.take() {
        runtime.block_on(provider.shutdown());
    }
    story.tell(
        "The provider is switched off.",
        json!({ "step": "provider-off" }),
    )?;
    sync(&bob, "Bob", Some(&cid), story)?;
    sync(&carol, "Carol", None, story)?;
    Ok(nodes)
}

/// Alice's phone broadcasts, and Bob's hears it.
fn meet(folder: &Path, story: &mut Story) -> Result<(Device, Identifier), CliError> {
    let mut random = [0; Device::NEW_BYTES];
    getrandom::fill(&mut random).map_err(wrong)?;
    let mut device = Device::new(Generator::Aes128, &random);
    let heard = device
        .take_identifiers(4)
        .pop()
        .ok_or_else(|| wrong("no identifier"))?;
    device.save_new(&folder.join("alice.json")).map_err(wrong)?;
    story.tell(
        &format!(
            "An hour ago Alice and Bob sat together. Her phone broadcast {heard},\n\
             his recorded it. Carol was elsewhere and recorded somebody else's."
        ),
        json!({ "step": "meeting", "id": heard.to_string() }),
    )?;
    Ok((device, heard))
}

/// Alice tests positive, gets a code, and her phone reports.
fn report(
    provider_dir: &Path,
    info: &Info,
    device: &mut Device,
    story: &mut Story,
) -> Result<(), CliError> {
    let request = Request::CodeIssue {
        level: "diagnosed".to_owned(),
        zone: ZONE.to_owned(),
        count: 1,
        valid_s: 86_400,
    };
    let answer = ask(provider_dir, &request)?;
    let code = list(&answer, "codes")?
        .first()
        .and_then(Value::as_str)
        .ok_or(CliError::Answer)?;
    let mut random = [0; Generator::MAX_SEED_BYTES];
    getrandom::fill(&mut random).map_err(wrong)?;
    let der = device.report(NAME, code, &random).map_err(wrong)?;
    let certificate = provider_dir.join("tls/cert.pem");
    let url = info.intake.as_deref().unwrap_or_default();
    let intake = Intake::new(url, Some(&certificate)).map_err(wrong)?;
    let began = now();
    let answer = intake.post(&der).map_err(wrong)?;
    let ms = began.elapsed().as_millis();
    if !answer.accepted {
        return Err(wrong(format!(
            "the report was refused: {} {}",
            answer.status, answer.text
        )));
    }
    device.accepted();
    let bytes = der.len();
    story.tell(
        &format!(
            "Alice tests positive. Her doctor gives her the code {code}; her phone signs a seed \
             report\n({bytes} bytes) and posts it to {url}. After {ms} ms: {} {}",
            answer.status,
            answer.text.trim()
        ),
        json!({ "step": "report", "bytes": bytes, "status": answer.status, "ms": millis(ms) }),
    )
}

/// The provider closes its batch; it travels to both relays.
fn publish(provider_dir: &Path, nodes: &Nodes, story: &mut Story) -> Result<String, CliError> {
    wait("the relays to connect", || {
        let status = ask(provider_dir, &Request::Status)?;
        let peers = status.pointer("/network/peers").and_then(Value::as_u64);
        Ok(peers.is_some_and(|peers| peers >= 2).then_some(()))
    })?;
    let began = now();
    let answer = ask(provider_dir, &Request::Publish)?;
    let batch = list(&answer, "published")?
        .first()
        .ok_or(CliError::Answer)?;
    let cid = text(batch, "cid")?.to_owned();
    for relay in &nodes.relays {
        let url = relay.info().gateway.clone().unwrap_or_default();
        wait("the batch to reach the relays", || {
            story::has_block(&url, &cid)
        })?;
    }
    let ms = began.elapsed().as_millis();
    let envelope = story::block_len(&nodes.gateway_urls(), &cid)?;
    story.tell(
        &format!(
            "The provider closes batch {}: {cid}\n({envelope} bytes, signed; 1 real notification \
             among 150). Both relays have it and its body after {ms} ms.",
            batch.get("seq").unwrap_or(&Value::Null)
        ),
        json!({ "step": "batch", "cid": cid, "bytes": envelope, "relays_ms": millis(ms) }),
    )?;
    Ok(cid)
}

/// A phone syncs from the relays; `expected` is the batch that it must be alerted by.
fn sync(
    state: &Path,
    name: &str,
    expected: Option<&str>,
    story: &mut Story,
) -> Result<(), CliError> {
    let mut phone = Client::open(state).map_err(phone_error)?;
    let began = now();
    let synced = phone.sync().map_err(phone_error)?;
    let alerts = phone.alerts().map_err(phone_error)?;
    let ms = began.elapsed().as_millis();
    let found: Vec<String> = alerts
        .matches
        .iter()
        .map(|found| found.batch.to_string())
        .collect();
    let levels: Vec<&str> = alerts
        .matches
        .iter()
        .map(|found| found.level.name())
        .collect();
    let (bytes, requests) = (synced.bytes_down, synced.requests);
    let told = match levels.first() {
        Some(level) => format!("is ALERTED: near somebody {level}"),
        None => "is not alerted".to_owned(),
    };
    story.tell(
        &format!(
            "{name}'s phone syncs from the relays: {bytes} bytes in {requests} requests, {ms} ms. \
             {name} {told}."
        ),
        json!({
            "step": "phone", "name": name, "bytes_down": bytes, "requests": requests,
            "ms": millis(ms), "alerts": levels,
        }),
    )?;
    if found.iter().map(String::as_str).ne(expected) || !alerts.doubts.is_empty() {
        let doubts = alerts.doubts.first().map(|doubt| doubt.answer.to_string());
        return Err(wrong(format!(
            "{name} got {found:?} and {doubts:?}, where {expected:?} was right; {:?}",
            synced.report.errors
        )));
    }
    Ok(())
}

/// An identifier that nobody near Alice broadcast.
fn stranger() -> Result<Identifier, CliError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(wrong)?;
    Ok(Identifier::from_bytes(bytes))
}

fn ask(dir: &Path, request: &Request) -> Result<Value, CliError> {
    match socket::ask(dir, request)? {
        Some(Reply::Done(value)) => Ok(value),
        Some(Reply::Failed {
            error,
            causes,
            hint,
        }) => Err(CliError::Node {
            error,
            causes,
            hint,
        }),
        None => Err(wrong("the provider does not run")),
    }
}

/// Tries until something is there.
fn wait<T>(
    what: &str,
    mut look: impl FnMut() -> Result<Option<T>, CliError>,
) -> Result<T, CliError> {
    let began = now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if began.elapsed() > PATIENCE {
            return Err(wrong(format!("waited {} s for {what}", PATIENCE.as_secs())));
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn parsed(share: &Option<String>) -> Result<Share, CliError> {
    share.as_deref().unwrap_or_default().parse().map_err(wrong)
}

fn phone_error(error: bellwether_client::error::ClientError) -> CliError {
    wrong(error)
}

fn wrong(error: impl std::fmt::Display) -> CliError {
    CliError::Demo(error.to_string())
}

fn millis(ms: u128) -> u64 {
    u64::try_from(ms).unwrap_or(u64::MAX)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the demo times what a person waits for"
)]
fn now() -> Instant {
    Instant::now()
}
