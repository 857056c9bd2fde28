//! What a node says of itself when it is up.

use bellwether_formats::descriptor::Gateway;
use bellwether_formats::share::Share;
use serde::Serialize;

use super::StartError;
use crate::config::Config;
use crate::network::NetworkHandle;
use crate::store::Store;

/// What a node says of itself when it runs: the one line of `run`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Info {
    /// The provider's id.
    pub provider: Option<String>,
    /// The node's name in the network.
    pub peer_id: String,
    /// Where other nodes reach it.
    pub p2p: Vec<String>,
    /// Where clients reach it.
    pub gateway: Option<String>,
    /// Where seed reports are taken.
    pub intake: Option<String>,
    /// What to hand to followers.
    pub share: Option<String>,
}

impl Info {
    /// What a node that has started says.
    pub(super) fn of(
        config: &Config,
        store: &Store,
        network: &NetworkHandle,
        gateway: Option<String>,
        intake: Option<String>,
    ) -> Result<Self, StartError> {
        let p2p: Vec<String> = network
            .listen_addrs()
            .iter()
            .map(ToString::to_string)
            .collect();
        let provider = match &config.provider {
            Some(provider) => Some(provider.id()?),
            None => None,
        };
        let share = match provider {
            Some(id) => {
                let descriptor = store.descriptor(&id)?;
                let named = descriptor.map(|descriptor| descriptor.gateways.clone());
                let own = gateway.iter().map(|url| Gateway {
                    url: url.clone(),
                    operator: config.operator.clone(),
                });
                let gateways = match named {
                    Some(named) if !named.is_empty() => named,
                    _ => own.collect(),
                };
                let zones = config
                    .own_feeds()?
                    .into_iter()
                    .map(|feed| feed.zone)
                    .collect();
                Some(Share {
                    provider: id,
                    zones,
                    gateways,
                    peers: reachable(config, network, &p2p),
                })
            }
            None => None,
        };
        Ok(Self {
            provider: provider.map(|id| id.to_string()),
            peer_id: network.peer_id().to_string(),
            p2p,
            gateway,
            intake,
            share: share.map(|share| share.to_string()),
        })
    }
}

/// Where others reach this node: as configured, else where it listens.
fn reachable(config: &Config, network: &NetworkHandle, p2p: &[String]) -> Vec<String> {
    let peer = format!("/p2p/{}", network.peer_id());
    let external = config.network.external.iter();
    let external: Vec<String> = external
        .map(|address| match address.contains("/p2p/") {
            true => address.clone(),
            false => format!("{address}{peer}"),
        })
        .collect();
    if external.is_empty() {
        p2p.to_vec()
    } else {
        external
    }
}
