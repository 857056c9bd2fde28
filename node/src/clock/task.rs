//! The clock's task: reads it now and then, asks gateways for the time, keeps what outlives a
//! restart.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwether_formats::descriptor::Gateway;
use bellwether_formats::id::ProviderId;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Clock, dates};
use crate::config::{Config, ConfigError};
use crate::store::{Store, StoreError};

/// Time between two readings.
const READ: Duration = Duration::from_secs(5);

/// Time between two times that what was believed is made durable: less than what a restart may take
/// without a doubt, so that a node that crashes is not held.
const KEEP: Duration = Duration::from_mins(5);

/// Time between two questions to gateways, while all is well.
const ASK: Duration = Duration::from_mins(10);

/// The same while the clock is in doubt.
const ASK_IN_DOUBT: Duration = Duration::from_secs(30);

/// Whose gateways are asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The provider whose descriptor names them.
    pub provider: ProviderId,
    /// Whoever runs this node: gateways of the same have the same clock, maybe.
    pub operator: String,
}

impl Asked {
    /// Those of a provider; none are asked by a node that signs nothing.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the provider's id is none.
    pub fn of(config: &Config) -> Result<Option<Self>, ConfigError> {
        let Some(provider) = &config.provider else {
            return Ok(None);
        };
        Ok(Some(Self {
            provider: provider.id()?,
            operator: config.operator.clone(),
        }))
    }
}

/// Runs until `stop`. A provider's gateways, if it is one, have been asked once before.
///
/// # Errors
///
/// [`StoreError`] if the disk fails.
pub async fn run(
    clock: Clock,
    store: Store,
    asked: Option<Asked>,
    stop: CancellationToken,
) -> Result<(), StoreError> {
    let mut keep_at = Instant::now();
    let mut ask_at = Instant::now() + ASK_IN_DOUBT;
    let mut doubted = false;
    loop {
        let keep = keep_at <= Instant::now();
        if keep {
            keep_at = Instant::now() + KEEP;
        }
        let (reading, kept) = (clock.clone(), store.clone());
        let read = tokio::task::spawn_blocking(move || {
            let read = reading.read(&kept)?;
            // On a disk that takes no writes, what was lived is not kept: deletion waits longer for it.
            if keep
                && let Err(error) = reading.keep(&kept)
                && !error.is_read_only()
            {
                return Err(error);
            }
            Ok::<_, StoreError>(read)
        });
        // It panics nowhere; and if the runtime ends, so does this.
        let Ok(read) = read.await else { return Ok(()) };
        let doubt = read?.doubt;
        match &doubt {
            Some(doubt) if !doubted => tracing::error!(%doubt, "the clock is not believed"),
            None if doubted => tracing::warn!("the clock is believed again"),
            _ => {}
        }
        doubted = doubt.is_some();
        if let Some(asked) = asked.as_ref().filter(|_| ask_at <= Instant::now()) {
            ask_dates(&clock, &store, asked).await?;
            let pause = if doubted { ASK_IN_DOUBT } else { ASK };
            ask_at = Instant::now() + pause;
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(READ) => {}
        }
    }
}

/// Asks the gateways of a provider's descriptor what time it is, one of each operator, all at once.
/// Takes some seconds at most, whoever does not answer.
///
/// # Errors
///
/// [`StoreError`] if the disk fails.
pub async fn ask_dates(clock: &Clock, store: &Store, asked: &Asked) -> Result<(), StoreError> {
    let (store, provider) = (store.clone(), asked.provider);
    let held = tokio::task::spawn_blocking(move || store.descriptor(&provider));
    let Ok(held) = held.await else { return Ok(()) };
    let gateways = held?.map(|held| held.gateways.clone()).unwrap_or_default();
    let agent = dates::agent();
    let questions = of_others(&gateways, &asked.operator)
        .into_iter()
        .map(|(operator, url)| {
            let (clock, agent) = (clock.clone(), agent.clone());
            tokio::task::spawn_blocking(move || {
                if let Some(utc) = dates::ask(&agent, &url) {
                    clock.date(operator, utc);
                }
            })
        });
    let all = futures::future::join_all(questions.collect::<Vec<_>>());
    // A look-up of names may outlast its own patience.
    let _ = tokio::time::timeout(dates::PATIENCE, all).await;
    Ok(())
}

/// One gateway of each operator but one's own.
fn of_others(gateways: &[Gateway], own: &str) -> BTreeMap<String, String> {
    let mut asked = BTreeMap::new();
    for gateway in gateways.iter().filter(|gateway| gateway.operator != own) {
        let (operator, url) = (gateway.operator.clone(), gateway.url.clone());
        asked.entry(operator).or_insert(url);
    }
    asked
}
