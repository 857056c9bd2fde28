//! `demo`: the main job on this machine, told as a story. The one place where node and client meet.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use bellwether_formats::id::Scheme;
use bellwether_node::admin::Request;
use bellwether_node::admin::socket::{self, Reply};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use super::ask::{list, text};
use super::{CliError, say, start_logging};

mod ear;
mod nodes;
mod people;
mod phones;
mod saw;
mod story;

use nodes::{Nodes, start};
use people::Meeting;
use phones::Phone;
use story::Story;

/// The provider's name.
const NAME: &str = "Demo Health Board";

/// Its linkable zone.
const NATION: &str = "gb";

/// Its unlinkable zone.
const CLINIC: &str = "gb/sct/glen";

/// Who run the relays.
const OPERATORS: [&str; 2] = ["Relay Aid", "Net for Health"];

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
    /// By which scheme phones broadcast: cx (cx1), cx2, tcn, dp3t-lowcost, dp3t-unlinkable,
    /// dp3t-hybrid, gaen or fanny.
    #[arg(long, value_parser = scheme, default_value = "cx")]
    scheme: Scheme,
}

/// `demo`
pub(super) fn run(args: &Args) -> Result<ExitCode, CliError> {
    start_logging("error");
    let folder = tempfile::Builder::new()
        .prefix("bellwether-demo-")
        .tempdir()?;
    let runtime = Runtime::new()?;
    let tidy = runtime.spawn(tidy_up(folder.path().to_owned()));
    let mut story = Story::new(args.json);
    let outcome = Meeting::by(args.scheme)
        .and_then(|meeting| play(folder.path(), meeting, &runtime, &mut story));
    let right = match outcome {
        Ok(mut nodes) => {
            if args.keep {
                nodes.keep(folder.path(), &runtime, &mut story)?;
            }
            story.end(None)?;
            if args.keep {
                tidy.abort();
                runtime.block_on(interrupted())?;
            }
            nodes.stop(&runtime);
            true
        }
        Err(error) => {
            story.end(Some(&error.to_string()))?;
            if !args.json {
                tell!("error: {error}");
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

/// A scheme by its name; `cx` is CX of the first generator type.
fn scheme(text: &str) -> Result<Scheme, String> {
    let name = if text == "cx" { "cx1" } else { text };
    name.parse().map_err(|error| format!("{error}"))
}

/// Interrupted in the midst of the story, leaves nothing behind.
async fn tidy_up(folder: PathBuf) {
    if interrupted().await.is_err() {
        return;
    }
    // The nodes still run, and may make a file while others are removed.
    for _ in 0..10 {
        if fs::remove_dir_all(&folder).is_ok() || !folder.exists() {
            break;
        }
    }
    process::exit(130);
}

/// Waits for Ctrl-C, or to be told to end.
async fn interrupted() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed,
        _ = terminate.recv() => Ok(()),
    }
}

/// The story, from an empty folder to two phones that know what they should, and relays that do not
/// know which is which.
fn play(
    folder: &Path,
    meeting: Meeting,
    runtime: &Runtime,
    story: &mut Story,
) -> Result<Nodes, CliError> {
    let provider_dir = folder.join("provider");
    let mut nodes = start(folder, &provider_dir, runtime, story)?;
    let info = nodes.provider.as_ref().map(|node| node.info().clone());
    let info = info.ok_or_else(|| wrong("the provider did not start"))?;

    let mut people = people::meet(folder, meeting, story)?;
    let share = nodes.share()?;
    let near_both = [people.from_alice, people.from_dan];
    let mut bob = Phone::new(folder, "Bob", &share, near_both)?;
    let mut carol = Phone::new(folder, "Carol", &share, people.of_strangers)?;

    people::report(&provider_dir, &info, &mut people, story)?;
    let [nation, clinic] = publish(&provider_dir, meeting, &nodes, story)?;
    if let Some(provider) = nodes.provider.take() {
        runtime.block_on(provider.shutdown());
    }
    story.note(json!({ "step": "provider-off" }))?;

    bob.expect(NATION, "symptomatic", &nation);
    bob.expect(CLINIC, "diagnosed", &clinic);
    if meeting.always_sealed() {
        for phone in [&mut bob, &mut carol] {
            phone.expect_sealed(2);
        }
    }
    let seen = [
        bob.sync(&nodes.ears, story)?,
        carol.sync(&nodes.ears, story)?,
    ];
    saw::tell(story, &seen)?;

    let (chunks, may_hold_alice) = bob.chunk_of(&clinic, meeting.scheme, &people.from_alice)?;
    let [of_bob, of_carol] = seen.each_ref().map(|phone| saw::chunk(phone, chunks));
    let (of_bob, of_carol) = (of_bob?, of_carol?);
    if !may_hold_alice.contains(&of_bob) {
        return Err(wrong(format!(
            "Bob's phone asked for chunk {of_bob}, what Alice broadcast lies in one of \
             {may_hold_alice:?}"
        )));
    }
    story.tell(
        &format!(
            "The limit: both relays together know that Bob's phone asked for chunk {of_bob} of \
             {chunks}, where\nAlice's entry lies, and Carol's for chunk {of_carol}, drawn at random."
        ),
        json!({
            "step": "together", "chunks": chunks,
            "asked_for": { "Bob": of_bob, "Carol": of_carol },
        }),
    )?;
    Ok(nodes)
}

/// The provider closes the batches of both zones; they travel to both relays.
fn publish(
    provider_dir: &Path,
    meeting: Meeting,
    nodes: &Nodes,
    story: &mut Story,
) -> Result<[String; 2], CliError> {
    wait("the relays to connect", || {
        let status = ask(provider_dir, &Request::Status)?;
        let peers = status.pointer("/network/peers").and_then(Value::as_u64);
        Ok(peers.is_some_and(|peers| peers >= 2).then_some(()))
    })?;
    let began = now();
    let answer = ask(provider_dir, &Request::Publish)?;
    let batches = list(&answer, "published")?;
    let cid = |zone: &str| {
        let mut of_zone = batches
            .iter()
            .filter(|batch| text(batch, "zone").is_ok_and(|of| of == zone));
        text(of_zone.next().ok_or(CliError::Answer)?, "cid").map(str::to_owned)
    };
    let cids = [cid(NATION)?, cid(CLINIC)?];
    for url in nodes.gateway_urls() {
        for cid in &cids {
            wait("the batches to reach the relays", || {
                story::has_block(&url, cid)
            })?;
        }
    }
    let ms = millis(began.elapsed().as_millis());
    let [nation, clinic] = &cids;
    let of_dan = if meeting.always_sealed() {
        "sealed, as this scheme always is"
    } else {
        "among 150, in the open"
    };
    story.tell(
        &format!(
            "The provider closes a batch in each zone. {NATION}: Dan's report {of_dan}.\n\
             {CLINIC}: ten patients' identifiers, sealed; nobody can tell which belong together.\n\
             Both relays have all of it after {ms} ms. The provider is switched off."
        ),
        json!({
            "step": "batches", "cids": { NATION: nation, CLINIC: clinic }, "relays_ms": ms,
        }),
    )?;
    Ok(cids)
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
