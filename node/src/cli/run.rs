//! `run`

use std::process::ExitCode;

use bellwether_node::node::{Mode, Node};
use tokio::signal::unix::{SignalKind, signal};

use super::ask::Dir;
use super::{CliError, say, start_logging};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    dir: Dir,
    /// Take no reports and sign nothing: only catch up from relays, as after a restore.
    #[arg(long)]
    no_publish: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, CliError> {
    start_logging("info,libp2p=warn,libp2p_gossipsub=error,hyper=warn");
    let runtime = tokio::runtime::Runtime::new()?;
    let outcome = runtime.block_on(serve(args));
    // What still runs on the blocking pool is durable or it is not; nobody waits for it.
    runtime.shutdown_background();
    outcome
}

async fn serve(args: &Args) -> Result<ExitCode, CliError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mode = if args.no_publish {
        Mode::CatchUp
    } else {
        Mode::Serve
    };
    let node = Node::start(&args.dir.data_dir, mode).await?;
    let line = serde_json::to_string(node.info()).map_err(|_| CliError::Answer)?;
    if let Err(error) = say(line) {
        // The node serves all the same; `status` tells its addresses.
        tracing::warn!(%error, "nobody reads standard output");
    }
    let stopped = tokio::select! {
        _ = terminate.recv() => true,
        _ = interrupt.recv() => true,
        () = node.failed() => false,
    };
    node.shutdown().await;
    Ok(if stopped {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    })
}
