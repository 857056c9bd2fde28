//! What the node listens on for phones: gateway and intake.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;

use super::view::View;
use super::{StartError, Tasks};
use crate::admin;
use crate::clock;
use crate::config::Config;
use crate::gateway::{self, GatewayState};
use crate::http::{self, Limits, Tls};
use crate::intake::professional::{self, Professional};
use crate::intake::{self, IntakeState, Setup};
use crate::publisher;
use crate::store::Store;

pub(super) async fn start_gateway(
    config: &Config,
    store: &Store,
    view: View,
    tasks: &Tasks,
) -> Result<Option<String>, StartError> {
    let Some(listen) = config.gateway.listen else {
        return Ok(None);
    };
    let listener = bind("gateway.listen", listen).await?;
    let address = listener.local_addr()?;
    let state = GatewayState {
        store: store.clone(),
        clock: Arc::new(clock::now),
        max_bytes: config.retain.max_bytes,
        conditions: Arc::new(move |now| view.conditions(now)),
    };
    let router = gateway::router(state);
    let serving = http::serve(
        listener,
        None,
        router,
        Limits::default(),
        tasks.stop.clone(),
    );
    tasks.spawn("gateway", serving);
    Ok(Some(format!("http://{address}")))
}

/// Where seed reports will be taken, bound and not yet served.
pub(super) struct Intake {
    listener: TcpListener,
    tls: Option<Tls>,
}

impl Intake {
    /// Where clients send reports.
    pub(super) fn url(&self) -> io::Result<String> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        Ok(format!("{scheme}://{}", self.listener.local_addr()?))
    }
}

pub(super) async fn bind_intake(config: &Config) -> Result<Option<Intake>, StartError> {
    let intake = config.provider.as_ref().map(|provider| &provider.intake);
    let Some((intake, listen)) = intake.and_then(|intake| Some((intake, intake.listen?))) else {
        return Ok(None);
    };
    let tls = match (&intake.tls_cert, &intake.tls_key) {
        (Some(cert), Some(key)) => Some(Tls::from_files(cert, key)?),
        _ => None,
    };
    let listener = bind("provider.intake.listen", listen).await?;
    Ok(Some(Intake { listener, tls }))
}

pub(super) fn start_intake(
    dir: &Path,
    config: &Config,
    store: &Store,
    intake: Intake,
    publisher: &publisher::PublisherHandle,
    tasks: &Tasks,
) -> Result<(), StartError> {
    let Some(provider) = &config.provider else {
        return Ok(());
    };
    let submitters = provider.intake.submitters.as_ref();
    let state = IntakeState::new(Setup {
        store: store.clone(),
        publisher: provider.name.clone(),
        modes: config.modes(),
        code_key: admin::code_key(dir)?,
        accepted: Arc::clone(&publisher.accepted),
        clock: Arc::new(clock::now),
        behind_proxy: intake.tls.is_none(),
        submitters: submitters.map(|path| dir.join(path)),
        tcn_self_reports: provider.intake.tcn_self_reports()?,
    });
    let mut router = intake::router(state);
    if let Some(page) = professional(dir, config, store, intake.tls.is_some())? {
        router = router.merge(professional::router(page));
    }
    let serving = http::serve(
        intake.listener,
        intake.tls,
        router,
        Limits::default(),
        tasks.stop.clone(),
    );
    tasks.spawn("intake", serving);
    Ok(())
}

/// The professional's page, where the configuration has one.
fn professional(
    dir: &Path,
    config: &Config,
    store: &Store,
    tls: bool,
) -> Result<Option<Professional>, StartError> {
    let provider = config.provider.as_ref();
    let Some((provider, users)) = provider.and_then(|own| Some((own, own.users(dir)?))) else {
        return Ok(None);
    };
    let settings = professional::Settings {
        store: store.clone(),
        code_key: admin::code_key(dir)?,
        provider: provider.id()?,
        name: provider.name.clone(),
        zones: config
            .own_feeds()?
            .into_iter()
            .map(|feed| feed.zone)
            .collect(),
        users,
        tls,
        clock: Arc::new(clock::now),
        ticks: Arc::new(|| tokio::time::Instant::now().into_std()),
    };
    let page = Professional::new(settings).map_err(|_| StartError::Random)?;
    Ok(Some(page))
}

async fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Listen {
            key,
            address,
            source,
        })
}
