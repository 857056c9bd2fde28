//! The demo's nodes: a provider and two relays, in one process, over real sockets.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bellwether_formats::share::{Share, parse_gateway};
use bellwether_node::clock;
use bellwether_node::config::{Config, Privacy, ZonePolicy};
use bellwether_node::init::{self, Listen, NewProvider};
use bellwether_node::node::{Mode, Node};
use serde_json::json;
use tokio::runtime::Runtime;

use super::ear::Ears;
use super::story::Story;
use super::{CLINIC, CliError, NAME, NATION, OPERATORS, wrong};

/// The nodes that run.
pub(super) struct Nodes {
    pub(super) provider: Option<Node>,
    pub(super) relays: Vec<Node>,
    /// What phones take for the relays' gateways.
    pub(super) ears: Ears,
}

/// Makes and starts a provider of two zones, and two relays of different operators.
pub(super) fn start(
    folder: &Path,
    provider_dir: &Path,
    runtime: &Runtime,
    story: &mut Story,
) -> Result<Nodes, CliError> {
    let new = NewProvider {
        name: NAME.to_owned(),
        zones: vec![
            NATION.parse().map_err(wrong)?,
            CLINIC.parse().map_err(wrong)?,
        ],
        privacy: Privacy::Linkable,
        interval: Privacy::Linkable.interval(),
        k: 150,
        listen: loopback(),
        tls: None,
        gateways: Vec::new(),
        signer_dir: Some(folder.join("signer")),
        operator: None,
    };
    init::provider(provider_dir, new, clock::now())?;
    seal_the_clinic(provider_dir)?;
    quick_anti_entropy(provider_dir)?;
    let provider = runtime.block_on(Node::start(provider_dir, Mode::Serve))?;
    let share = provider.info().share.clone().unwrap_or_default();
    story.tell(
        &format!(
            "{NAME} publishes for two zones: {NATION}, the whole country, linkable; and {CLINIC},\n\
             a clinic, unlinkable. What it hands to followers:\n  {share}"
        ),
        json!({
            "step": "provider", "share": share, "intake": provider.info().intake,
            "zones": { NATION: "linkable", CLINIC: "unlinkable" },
        }),
    )?;
    let mut relays = Vec::new();
    let mut gateways = Vec::new();
    for operator in OPERATORS {
        let dir = folder.join(operator.replace(' ', "-").to_lowercase());
        let follow = [share.parse::<Share>().map_err(wrong)?];
        init::relay(&dir, Some(operator.to_owned()), &follow, loopback())?;
        quick_anti_entropy(&dir)?;
        let relay = runtime.block_on(Node::start(&dir, Mode::Serve))?;
        let gateway = relay.info().gateway.clone().unwrap_or_default();
        story.note(json!({ "step": "relay", "operator": operator, "gateway": gateway }))?;
        relays.push(relay);
        gateways.push(gateway);
    }
    story.tell(
        &format!(
            "{}, two NGOs, relay it, at {}.",
            OPERATORS.join(" and "),
            gateways.join(" and ")
        ),
        json!({ "step": "relays", "operators": OPERATORS }),
    )?;
    Ok(Nodes {
        provider: Some(provider),
        relays,
        ears: Ears::before(&gateways)?,
    })
}

impl Nodes {
    /// The relays' gateways.
    pub(super) fn gateway_urls(&self) -> Vec<String> {
        self.relays
            .iter()
            .filter_map(|relay| relay.info().gateway.clone())
            .collect()
    }

    /// What a phone is given to follow the provider: its zones, and the relays' gateways as heard.
    pub(super) fn share(&self) -> Result<Share, CliError> {
        let provider = self.provider.as_ref();
        let share = provider.and_then(|node| node.info().share.clone());
        let mut share: Share = share.unwrap_or_default().parse().map_err(wrong)?;
        let gateways = self.ears.urls().zip(OPERATORS);
        share.gateways = gateways
            .map(|(url, operator)| parse_gateway(&format!("{url}#{operator}")))
            .collect();
        Ok(share)
    }

    /// Starts the provider again and says where everything is.
    pub(super) fn keep(
        &mut self,
        folder: &Path,
        runtime: &Runtime,
        story: &mut Story,
    ) -> Result<(), CliError> {
        let provider = runtime.block_on(Node::start(&folder.join("provider"), Mode::Serve))?;
        let addresses = json!({
            "step": "kept",
            "data_dirs": data_dirs(folder),
            "provider": provider.info(),
            "relays": self.relays.iter().map(Node::info).collect::<Vec<_>>(),
        });
        self.provider = Some(provider);
        let shown = serde_json::to_string_pretty(&addresses).unwrap_or_default();
        story.tell(
            &format!("It runs until you press Ctrl-C:\n{shown}"),
            addresses,
        )?;
        Ok(())
    }

    /// Stops them all.
    pub(super) fn stop(self, runtime: &Runtime) {
        for node in self.provider.into_iter().chain(self.relays) {
            runtime.block_on(node.shutdown());
        }
    }
}

/// A provider's zones are alike after `init`; its configuration may say otherwise.
fn seal_the_clinic(dir: &Path) -> Result<(), CliError> {
    let mut config = Config::load(dir).map_err(wrong)?;
    let zones = config.provider.iter_mut().flat_map(|own| &mut own.zone);
    for zone in zones.filter(|policy| policy.zone == CLINIC) {
        let (name, privacy) = (CLINIC.parse().map_err(wrong)?, Privacy::Unlinkable);
        *zone = ZonePolicy::new(&name, privacy, privacy.interval(), zone.k);
    }
    config.save(dir).map_err(wrong)
}

fn data_dirs(folder: &Path) -> Vec<PathBuf> {
    ["provider", "relay-aid", "net-for-health"]
        .map(|name| folder.join(name))
        .to_vec()
}

fn loopback() -> Listen {
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    Listen {
        http: Some(any),
        intake: Some(any),
        p2p: vec!["/ip4/127.0.0.1/tcp/0".to_owned()],
        bootstrap: Vec::new(),
    }
}

/// Nobody waits a minute for a story.
fn quick_anti_entropy(dir: &Path) -> Result<(), CliError> {
    let mut config = Config::load(dir).map_err(wrong)?;
    config.network.anti_entropy = Duration::from_secs(2);
    config.save(dir).map_err(wrong)
}
