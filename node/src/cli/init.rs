//! `init`

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bellwether_formats::id::{ProviderId, Zone};
use bellwether_formats::share::{Share, parse_gateway};
use bellwether_node::clock;
use bellwether_node::config::Privacy;
use bellwether_node::init::{self, Listen, NewProvider};
use bellwether_node::keys;

use super::{CliError, say};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Directory to make the node in; new or empty.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Make a relay.
    #[arg(long, conflicts_with = "name")]
    relay: bool,
    /// The provider's name, which seed reports are addressed to.
    #[arg(long, required_unless_present = "relay")]
    name: Option<String>,
    /// A zone to publish in, or with --provider to mirror; may be repeated.
    #[arg(long, required_unless_present = "relay")]
    zone: Vec<Zone>,
    /// Whether a patient's identifiers can be linked by who recorded several.
    #[arg(
        long,
        value_enum,
        default_value = "unlinkable",
        conflicts_with = "relay"
    )]
    privacy: Privacy,
    /// How often a batch is published; by default 6h if unlinkable, 1h if linkable.
    #[arg(long, value_parser = humantime::parse_duration, conflicts_with = "relay")]
    interval: Option<Duration>,
    /// Notifications that an open part which is not empty is padded up to.
    #[arg(long, default_value_t = 150, conflicts_with = "relay")]
    k: u32,
    /// A relay: a share string to follow; may be repeated.
    #[arg(long, requires = "relay", value_name = "SHARE")]
    follow: Vec<Share>,
    /// A relay: a provider to mirror in the zones given; if repeated, each with one --zone.
    #[arg(long, requires = "relay", value_name = "ID")]
    provider: Vec<ProviderId>,
    /// Who runs the node: clients tell independent gateways apart by it.
    #[arg(long)]
    operator: Option<String>,
    /// Where clients are served over HTTP.
    #[arg(long, value_name = "ADDR")]
    listen_http: Option<SocketAddr>,
    /// Where seed reports are taken over HTTPS.
    #[arg(long, value_name = "ADDR", conflicts_with = "relay")]
    listen_intake: Option<SocketAddr>,
    /// Where other nodes connect; may be repeated.
    #[arg(long, value_name = "MULTIADDR")]
    listen_p2p: Vec<String>,
    /// PEM file of the intake's certificate chain; without, a self-signed one is made.
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_key",
        conflicts_with = "relay"
    )]
    tls_cert: Option<PathBuf>,
    /// PEM file of the certificate's private key.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// A node to stay connected with; may be repeated.
    #[arg(long, value_name = "MULTIADDR")]
    bootstrap: Vec<String>,
    /// A gateway to name in the descriptor; may be repeated.
    #[arg(long, value_name = "URL#OPERATOR", conflicts_with = "relay")]
    gateway: Vec<String>,
    /// Where the signer remembers what it signed; by default under the user's state directory.
    #[arg(long, value_name = "DIR", conflicts_with = "relay")]
    signer_dir: Option<PathBuf>,
}

pub(super) fn run(args: Args) -> Result<ExitCode, CliError> {
    let listen = Listen {
        http: args.listen_http,
        intake: args.listen_intake,
        p2p: args.listen_p2p,
        bootstrap: args.bootstrap,
    };
    if args.relay {
        let mut follow = args.follow;
        follow.extend(named(&args.provider, &args.zone)?);
        init::relay(&args.data_dir, args.operator, &follow, listen)?;
        tell!("relay made; start it with `bellwether-node run --data-dir DIR`");
        return Ok(ExitCode::SUCCESS);
    }
    let new = NewProvider {
        name: args.name.unwrap_or_default(),
        zones: args.zone,
        privacy: args.privacy,
        interval: args.interval.unwrap_or(args.privacy.interval()),
        k: args.k,
        listen,
        tls: args.tls_cert.zip(args.tls_key),
        gateways: args
            .gateway
            .iter()
            .map(|gateway| parse_gateway(gateway))
            .collect(),
        signer_dir: args.signer_dir,
        operator: args.operator,
    };
    let share = init::provider(&args.data_dir, new, clock::now())?;
    say(share)?;
    let root = args.data_dir.join(keys::ROOT);
    let next = args.data_dir.join(keys::NEXT_ROOT);
    tell!("Take these two files offline now, each to a safe of its own; running needs neither:");
    tell!(
        "  {}  names the provider and signs its descriptors",
        root.display()
    );
    tell!(
        "  {}  takes over if the first is lost or stolen",
        next.display()
    );
    Ok(ExitCode::SUCCESS)
}

/// The feeds named by --provider and --zone: one provider with all zones, or each with its own.
fn named(providers: &[ProviderId], zones: &[Zone]) -> Result<Vec<Share>, CliError> {
    let share = |provider: &ProviderId, zones: &[Zone]| Share {
        provider: *provider,
        zones: zones.to_vec(),
        gateways: Vec::new(),
        peers: Vec::new(),
    };
    match providers {
        [] if zones.is_empty() => Ok(Vec::new()),
        [] => usage("--zone names a zone of a --provider"),
        [_] if zones.is_empty() => usage("--provider needs a --zone"),
        [one] => Ok(vec![share(one, zones)]),
        many if many.len() == zones.len() => {
            let pairs = many.iter().zip(zones.chunks(1));
            Ok(pairs
                .map(|(provider, zone)| share(provider, zone))
                .collect())
        }
        _ => usage("several --provider take one --zone each, in the same order"),
    }
}

fn usage<T>(what: &str) -> Result<T, CliError> {
    Err(CliError::Usage {
        what: what.to_owned(),
    })
}
