//! `bellwether follow`: pins a provider.

use std::process::ExitCode;

use bellwether_client::{Client, policy};
use bellwether_formats::share::Share;

use super::error::CliError;
use crate::StateArg;

/// What to follow.
#[derive(Debug, clap::Args)]
pub(crate) struct Follow {
    #[command(flatten)]
    state: StateArg,
    /// The provider's share string, `bellwether:…`
    #[arg(value_name = "SHARE", required_unless_present = "provider", conflicts_with_all = ["provider", "zone", "gateway"])]
    share: Option<String>,
    /// The provider's id, `z6Mk…`
    #[arg(long, value_name = "ID", requires = "zone")]
    provider: Option<String>,
    /// A zone, such as gb/sct; may be repeated
    #[arg(long, requires = "provider")]
    zone: Vec<String>,
    /// A gateway, `https://…` or `https://…#OPERATOR`; may be repeated
    #[arg(long, value_name = "URL[#OPERATOR]", requires = "provider")]
    gateway: Vec<String>,
}

/// Runs the verb.
pub(crate) fn run(follow: &Follow) -> Result<ExitCode, CliError> {
    let share = follow.share()?;
    let mut client = Client::open(&follow.state.dir)?;
    client.follow(&share)?;
    let zones: Vec<&str> = share.zones.iter().map(|zone| zone.as_str()).collect();
    tell!("following {} in {}", share.provider, zones.join(", "));
    if client
        .status()
        .iter()
        .any(|feed| feed.gateways.is_empty() && feed.head.is_none())
    {
        tell!("hint: no gateway is known; add one with --gateway, or `import` bundles");
    }
    Ok(ExitCode::SUCCESS)
}

impl Follow {
    fn share(&self) -> Result<Share, CliError> {
        let Some(provider) = &self.provider else {
            return Ok(self.share.as_deref().unwrap_or_default().parse()?);
        };
        let id = |text: &String, source| CliError::Id {
            text: text.clone(),
            source,
        };
        let zone = |text: &String| text.parse().map_err(|source| id(text, source));
        let gateway = |text: &String| {
            policy::parse(text).map_err(|source| CliError::Gateway {
                text: text.clone(),
                source,
            })
        };
        Ok(Share {
            provider: provider.parse().map_err(|source| id(provider, source))?,
            zones: self.zone.iter().map(zone).collect::<Result<_, _>>()?,
            gateways: self.gateway.iter().map(gateway).collect::<Result<_, _>>()?,
            peers: Vec::new(),
        })
    }
}
