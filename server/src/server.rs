//! The server as a whole: built, run, and shut down in a written order.

use std::cell::Cell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use chrono::Utc;
use quiver_protocol::CloseCode;
use quiver_protocol::text::display_path;
use quiver_transfer::BackgroundPool;
use quiver_transfer::is_moving;
use quiver_transport::{CertificateInfo, Endpoint, Identity, LogWriter, Protocol};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::accept;
use crate::buffer_budget::BufferBudget;
use crate::certificate::{self, ExpiryWarnings};
use crate::config::{
    Config, DEFAULT_ADDRESS, DEFAULT_ADDRESS_V4, EXPIRY_CHECK_INTERVAL, HISTORY_CAPACITY,
    LIST_THREADS, MAX_LEAVING_CONNECTIONS, PROOF_REST_FACTOR, PROOF_THREADS, SHUTDOWN_TIMEOUT,
    SWEEP_INTERVAL, UploadConfig,
};
use crate::files::{Files, StoreLimits, SweepSummary};
use crate::handshake_queue::HandshakeQueue;
use crate::history::History;
use crate::metrics::Metrics;
use crate::metrics::host::HostName;
use crate::metrics::page::MetricsPage;
use crate::metrics_export;
use crate::output::Hint;
use crate::passwords::Passwords;
use crate::quota_db::QuotaDb;
use crate::registry::{Registry, Releases};
use crate::secrets::Secrets;
use crate::shared::ServerState;
use crate::stop_signals::StopSignals;
use crate::unix;

/// How long closed connections may take to say so, at the end.
const LAST_PACKETS: Duration = Duration::from_secs(1);

/// A server that is ready to run.
#[derive(Debug)]
pub struct Server {
    endpoint: Endpoint,
    shared: Arc<ServerState>,
    /// The slots that are to be released.
    releases: Releases,
    /// Where the metrics can be read, if anywhere.
    page: Option<MetricsPage>,
    /// Of its certificate.
    expiry: ExpiryWarnings,
    /// What no folder may hold that is served.
    secrets: Secrets,
    /// Where the served folder is.
    folder: PathBuf,
}

impl Server {
    /// Opens everything the server needs; it listens when this returns.
    ///
    /// # Errors
    /// What is missing or wrong, and what to do about it.
    pub fn build(config: Config, log: LogWriter) -> anyhow::Result<Self> {
        let files = Files::open_root(&config.files)
            .with_context(|| format!("cannot serve {}", display_path(&config.files)))
            .hint("make the folder, or name another with --files")?;
        let secrets = Secrets::of(&config);
        secrets.check_outside(&files.root(), &config.files)?;
        let passwords = match &config.passwords {
            Some(path) => Some(Passwords::open(path)?),
            None => None,
        };
        let (files, max_file_size) = with_uploads(files, config.uploads.as_ref())?;
        let put_timeout = config.uploads.map_or(Duration::ZERO, |uploads| uploads.put_timeout);
        let (identity, new) = certificate::load_or_create(&config.certs)?;
        let expiry = ExpiryWarnings::new(&CertificateInfo::read(identity.certificate())?);
        let endpoint = listen(config.listen, &identity)?;
        let names = config.metrics_hosts;
        let page = config.metrics.map(|address| show_metrics(address, names)).transpose()?;
        if new {
            info!("made a certificate: {}", display_path(&certificate::path(&config.certs)));
        }
        info!("fingerprint {}", identity.fingerprint());
        let history = Arc::new(History::new(HISTORY_CAPACITY));
        let (registry, releases) = Registry::in_memory(config.max_clients, history.clone());
        let shared = Arc::new(ServerState {
            registry,
            history,
            files,
            passwords,
            stopping: CancellationToken::new(),
            hurry: CancellationToken::new(),
            max_file_size,
            put_timeout,
            buffers: BufferBudget::new(config.buffer_budget),
            lists: BackgroundPool::new(LIST_THREADS),
            proofs: BackgroundPool::resting(PROOF_THREADS, || {
                if is_moving() { PROOF_REST_FACTOR } else { 0 }
            }),
            leaving: HandshakeQueue::new(MAX_LEAVING_CONNECTIONS),
            metrics: Arc::new(Metrics::new()),
            log,
        });
        let folder = config.files;
        Ok(Self { endpoint, shared, releases, page, expiry, secrets, folder })
    }

    /// Where the server listens.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> anyhow::Result<SocketAddr> {
        self.endpoint.local_addr().context("cannot tell where the server listens")
    }

    /// Serves until SIGINT, SIGTERM or SIGHUP, then stops: takes no new clients, tells the members, lets running
    /// commands end within the grace, closes the connections, and waits until their last packets are
    /// sent. A second SIGINT or SIGTERM skips the grace. Returns when the process must be gone.
    ///
    /// # Errors
    /// Where signals cannot be heard.
    pub async fn run(self) -> anyhow::Result<Instant> {
        let Self { endpoint, shared, mut releases, page, expiry, secrets, folder } = self;
        let mut stop_signals = StopSignals::listen().context("cannot hear signals")?;
        let deadline = Cell::new(None);
        unix::ignore_file_size_signal().context("cannot hear SIGXFSZ")?;
        info!("listening on {}", endpoint.local_addr().context("cannot tell the address")?);
        let read = async {
            if let Some(page) = page {
                info!("metrics at {}", page.url());
                page.show(metrics_export::registry(shared.clone(), SystemTime::now())).await;
            }
            std::future::pending::<()>().await;
        };
        let signals = async {
            stop_signals.stop().await;
            deadline.set(Some(Instant::now() + SHUTDOWN_TIMEOUT));
            info!("stopping: running transfers may end");
            shared.stopping.cancel();
            stop_signals.stop_at_once().await;
            warn!("stopping at once");
            shared.hurry.cancel();
            std::future::pending::<()>().await;
        };
        let watching = async {
            if let Some(passwords) = &shared.passwords {
                passwords.watch().await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = signals => {}
            () = watching => {}
            () = sweep(&shared) => {}
            () = shared.files.follow_path(move |root| secrets.check_outside(root, &folder)) => {}
            () = watch_expiry(expiry) => {}
            () = releases.process() => {}
            // Until the last connection has ended: how a server stops is worth seeing.
            () = read => {}
            () = accept::run(&endpoint, shared.clone()) => {}
        }
        releases.close();
        endpoint.close(CloseCode::ShuttingDown);
        endpoint.wait_idle(LAST_PACKETS).await;
        info!("stopped");
        Ok(deadline.get().unwrap_or_else(Instant::now))
    }
}

/// Runs at start, then every `SWEEP_INTERVAL` and whenever another folder is served. Never returns.
async fn sweep(shared: &ServerState) {
    let mut times = tokio::time::interval(SWEEP_INTERVAL);
    while shared.files.accepts_uploads() {
        tokio::select! {
            _ = times.tick() => {}
            () = shared.files.root_replaced() => {}
        }
        match shared.files.sweep(SystemTime::now()).await {
            Ok(SweepSummary { removed: 0, remaining }) => {
                debug!("{remaining} unfinished uploads are kept")
            }
            Ok(SweepSummary { removed, remaining }) => {
                info!(
                    "removed {removed} unfinished uploads nobody came back for; {remaining} are kept"
                );
            }
            Err(reason) => error!("cannot look after unfinished uploads: {reason}"),
        }
    }
    std::future::pending().await
}

/// The folder, in which files may be stored if the settings say so; and how large they may be.
fn with_uploads(files: Files, uploads: Option<&UploadConfig>) -> anyhow::Result<(Files, u64)> {
    let Some(uploads) = uploads else { return Ok((files, 0)) };
    let UploadConfig { state, max_file_size, quota, keep_free, .. } = uploads;
    let quota_db = QuotaDb::open(state, *quota)
        .context("cannot remember who stores what")
        .hint("name a folder with --state that no other server uses")?;
    let max_file_size = max_file_size.unwrap_or(u64::MAX);
    let limits = StoreLimits { max_file_size, keep_free: *keep_free };
    let files = files.with_store(quota_db, limits);
    files.settle_unfinished().context("cannot tell who stores what")?;
    Ok((files, max_file_size))
}

/// Takes the address that the metrics are to be read at.
fn show_metrics(address: SocketAddr, names: Vec<HostName>) -> anyhow::Result<MetricsPage> {
    let page = MetricsPage::listen(address, names)
        .with_context(|| format!("cannot show metrics on {address}"))
        .hint("choose another address with --metrics, like 9464 or 127.0.0.1:9464")?;
    if !address.ip().is_loopback() {
        warn!("everybody who reaches {} can read the metrics", page.address());
    }
    Ok(page)
}

/// Listens where it was typed; else at the default address, on IPv4 alone where the system has no IPv6.
fn listen(typed: Option<SocketAddr>, identity: &Identity) -> anyhow::Result<Endpoint> {
    let endpoint =
        match Endpoint::listen(typed.unwrap_or(DEFAULT_ADDRESS), identity, &[Protocol::QUIVER_1]) {
            Err(error) if typed.is_none() && error.is_without_ipv6() => {
                warn!("no IPv6 on this machine: listening on IPv4 alone ({error})");
                Endpoint::listen(DEFAULT_ADDRESS_V4, identity, &[Protocol::QUIVER_1])
            }
            endpoint => endpoint,
        };
    endpoint.hint("choose another address with --listen, like 127.0.0.1:0 or 0.0.0.0:4433")
}

/// Warns about the certificate's dates. Runs at start, then every `EXPIRY_CHECK_INTERVAL`. Never returns.
async fn watch_expiry(mut warnings: ExpiryWarnings) {
    let mut times = tokio::time::interval(EXPIRY_CHECK_INTERVAL);
    loop {
        times.tick().await;
        if let Some(warning) = warnings.due(Utc::now()) {
            warn!("{warning}");
        }
    }
}

#[cfg(test)]
mod tests;
