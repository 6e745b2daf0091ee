//! Builds the server, runs it, and shuts it down in a fixed order.

use std::cell::Cell;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use chrono::Utc;
use quiver_protocol::text::display_path;
use quiver_protocol::{CloseCode, units};
use quiver_transfer::BackgroundPool;
use quiver_transfer::has_active_transfers;
use quiver_transport::{
    BufferBudget, CertificateInfo, Endpoint, EndpointSettings, Identity, LogWriter, Protocol,
    WindowPolicy,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::accept;
use crate::certificate::{self, ExpiryWarnings};
use crate::config::{
    COUNT_TIMEOUT, Config, EXPIRY_CHECK_INTERVAL, HISTORY_CAPACITY, LIST_THREADS,
    MAX_COUNTED_NAMES, MAX_LEAVING_CONNECTIONS, PROOF_REST_FACTOR, PROOF_THREADS, SHUTDOWN_TIMEOUT,
    SWEEP_INTERVAL, UploadConfig,
};
use crate::files::{Files, StoreLimits, SweepSummary, UnreservedSpace};
use crate::handshake_queue::HandshakeQueue;
use crate::history::History;
use crate::introductions::Introductions;
use crate::listen_address::ListenAddress;
use crate::metrics::Metrics;
use crate::metrics::host::HostName;
use crate::metrics::page::MetricsPage;
use crate::metrics_export;
use crate::output::Hint;
use crate::passwords::Passwords;
use crate::quota_db::QuotaDb;
use crate::registry::{Registry, ReleaseQueue};
use crate::relay::RelayUsages;
use crate::secrets::Secrets;
use crate::server_state::ServerState;
use crate::start_summary::StartSummary;
use crate::stop_signals::StopSignals;
use crate::unix;

/// How long the server waits at the end for the last packets of closed connections.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// A server that is ready to run.
#[derive(Debug)]
pub struct Server {
    endpoint: Endpoint,
    state: Arc<ServerState>,
    releases: ReleaseQueue,
    /// `None` where metrics are off.
    metrics_page: Option<MetricsPage>,
    expiry_warnings: ExpiryWarnings,
    /// Paths that the served folder must not contain.
    secrets: Secrets,
    /// The path of the served folder.
    files_path: PathBuf,
    summary: StartSummary,
}

impl Server {
    /// Opens everything the server needs. The server listens when this returns.
    ///
    /// # Errors
    /// The first problem found, with a hint.
    pub fn build(config: Config, log: LogWriter) -> anyhow::Result<Self> {
        let files = Files::open_root(&config.files)
            .with_context(|| format!("cannot serve {}", display_path(&config.files)))
            .hint("make the folder, or name another with --files")?;
        let secrets = Secrets::of(&config);
        let summary = StartSummary::new(&config);
        secrets.check_outside(&files.root(), &config.files)?;
        let passwords = match &config.passwords {
            Some(path) => Some(Passwords::open(path)?),
            None => None,
        };
        let (files, max_file_size) = enable_uploads(files, config.uploads.as_ref())?;
        let put_timeout = config.uploads.map_or(Duration::ZERO, |uploads| uploads.put_timeout);
        let (identity, is_new) = certificate::load_or_create(&config.certs)?;
        let expiry_warnings = ExpiryWarnings::new(&CertificateInfo::read(identity.certificate())?);
        let buffer_budget = BufferBudget::new(config.buffer_budget);
        let windows = WindowPolicy::new(buffer_budget.clone());
        let settings = EndpointSettings { congestion: config.congestion, windows: windows.clone() };
        let endpoint = listen(config.listen, &identity, &settings)?;
        let names = config.metrics_hosts;
        let metrics_page =
            config.metrics.map(|address| bind_metrics_page(address, names)).transpose()?;
        if is_new {
            info!("made a certificate: {}", display_path(&certificate::path(&config.certs)));
        }
        info!("fingerprint {}", identity.fingerprint());
        let history = Arc::new(History::new(HISTORY_CAPACITY));
        let (registry, releases) = Registry::in_memory(config.max_clients, history.clone());
        let state = Arc::new(ServerState {
            registry,
            history,
            introductions: Introductions::default(),
            relays: config.relay.map(RelayUsages::new),
            files,
            passwords,
            stopping: CancellationToken::new(),
            abort: CancellationToken::new(),
            max_file_size,
            put_timeout,
            buffer_budget,
            windows,
            list_pool: BackgroundPool::new(LIST_THREADS),
            proof_pool: BackgroundPool::with_pauses(PROOF_THREADS, || {
                if has_active_transfers() { PROOF_REST_FACTOR } else { 0 }
            }),
            closing: HandshakeQueue::new(MAX_LEAVING_CONNECTIONS),
            metrics: Arc::new(Metrics::new()),
            log,
        });
        let files_path = config.files;
        Ok(Self {
            endpoint,
            state,
            releases,
            metrics_page,
            expiry_warnings,
            secrets,
            files_path,
            summary,
        })
    }

    /// The address on which the server listens.
    ///
    /// # Errors
    /// The system's error.
    pub fn local_addr(&self) -> anyhow::Result<SocketAddr> {
        self.endpoint.local_addr().context("cannot tell where the server listens")
    }

    /// Serves until SIGINT, SIGTERM or SIGHUP, then stops: takes no new clients, tells the members, lets running
    /// commands end within the grace period, closes the connections, and waits until their last packets are
    /// sent. A second SIGINT or SIGTERM skips the grace period. Returns the time by which the process must exit.
    ///
    /// # Errors
    /// The system does not let the server receive signals.
    pub async fn run(self) -> anyhow::Result<Instant> {
        let Self {
            endpoint,
            state,
            mut releases,
            metrics_page,
            expiry_warnings,
            secrets,
            files_path,
            summary,
        } = self;
        let mut stop_signals = StopSignals::listen().context("cannot receive signals")?;
        let deadline = Cell::new(None);
        unix::ignore_file_size_signal().context("cannot receive SIGXFSZ")?;
        let address = endpoint.local_addr().context("cannot tell the address")?;
        info!("listening on {address}");
        let log_summary = async {
            log_summary(&summary, &state.files, address).await;
            std::future::pending::<()>().await;
        };
        let serve_metrics = async {
            if let Some(page) = metrics_page {
                info!("metrics at {}", page.url());
                page.serve(metrics_export::build_registry(state.clone(), SystemTime::now())).await;
            }
            std::future::pending::<()>().await;
        };
        let handle_signals = async {
            stop_signals.wait_for_stop().await;
            deadline.set(Some(Instant::now() + SHUTDOWN_TIMEOUT));
            info!("stopping: running transfers may end");
            state.stopping.cancel();
            stop_signals.wait_for_abort().await;
            warn!("stopping at once");
            state.abort.cancel();
            std::future::pending::<()>().await;
        };
        let watch_passwords = async {
            if let Some(passwords) = &state.passwords {
                passwords.watch().await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = handle_signals => {}
            () = watch_passwords => {}
            () = log_summary => {}
            () = sweep(&state) => {}
            () = state.files.follow_path(move |root| secrets.check_outside(root, &files_path)) => {}
            () = watch_expiry(expiry_warnings) => {}
            () = releases.process() => {}
            // Metrics are served until the last connection has ended, so that they show the stop too.
            () = serve_metrics => {}
            () = accept::run(&endpoint, state.clone()) => {}
        }
        releases.close();
        endpoint.close(CloseCode::ShuttingDown);
        endpoint.wait_idle(DRAIN_TIMEOUT).await;
        info!("stopped");
        Ok(deadline.get().unwrap_or_else(Instant::now))
    }
}

/// Runs at start, then every `SWEEP_INTERVAL` and whenever another folder is served. Never returns.
async fn sweep(state: &ServerState) {
    let mut interval = tokio::time::interval(SWEEP_INTERVAL);
    while state.files.accepts_uploads() {
        tokio::select! {
            _ = interval.tick() => {}
            () = state.files.root_replaced() => {}
        }
        match state.files.sweep(SystemTime::now()).await {
            Ok(SweepSummary { removed: 0, remaining }) => debug!("kept {remaining} partial files"),
            Ok(SweepSummary { removed, remaining }) => {
                info!("removed {removed} expired partial files, kept {remaining}");
            }
            Err(reason) => error!("cannot clean up partial files: {reason}"),
        }
    }
    std::future::pending().await
}

/// The served folder, with uploads if configured; and the size limit of a file, in bytes.
fn enable_uploads(files: Files, uploads: Option<&UploadConfig>) -> anyhow::Result<(Files, u64)> {
    let Some(uploads) = uploads else { return Ok((files, 0)) };
    let UploadConfig { state, max_file_size, quota, keep_free, .. } = uploads;
    let quota_db = QuotaDb::open(state, *quota)
        .context("cannot open the quota database")
        .hint("name a folder with --state that no other server uses")?;
    let max_file_size = max_file_size.unwrap_or(u64::MAX);
    let limits = StoreLimits { max_file_size, keep_free: *keep_free };
    let files = files.with_store(quota_db, limits);
    files.settle_unfinished().context("cannot settle unfinished changes of files")?;
    match files.disk_space() {
        Ok(UnreservedSpace { available: 0, kept_free }) => {
            let (free, kept) = units::compared_bytes(kept_free, *keep_free);
            warn!(
                "nothing can be stored: {free} of the disk are free, and --keep-free keeps {kept}"
            );
        }
        Ok(_) => {}
        Err(error) => warn!("cannot read how much space the disk has: {error}"),
    }
    Ok((files, max_file_size))
}

/// Listens for readers of the metrics, and warns where other machines can read them.
fn bind_metrics_page(address: SocketAddr, names: Vec<HostName>) -> anyhow::Result<MetricsPage> {
    let page = MetricsPage::listen(address, names)
        .with_context(|| format!("cannot show metrics on {address}"))
        .hint("choose another address with --metrics, like 9464 or 127.0.0.1:9464")?;
    if !address.ip().is_loopback() {
        warn!("anyone who can reach {} can read the metrics", page.address());
    }
    Ok(page)
}

/// Listens on `address`; on every address of a system without IPv6, on IPv4 alone.
fn listen(
    address: ListenAddress,
    identity: &Identity,
    settings: &EndpointSettings,
) -> anyhow::Result<Endpoint> {
    let listen =
        |address| Endpoint::listen(address, identity, &[Protocol::QUIVER_1], settings.clone());
    let endpoint = match address {
        ListenAddress::One(address) => listen(address),
        ListenAddress::Every { port } => match listen((Ipv6Addr::UNSPECIFIED, port).into()) {
            Err(error) if error.is_ipv6_unavailable() => {
                warn!("no IPv6 on this machine: listening on IPv4 alone ({error})");
                listen((Ipv4Addr::UNSPECIFIED, port).into())
            }
            endpoint => endpoint,
        },
    };
    endpoint.hint("choose another address with --listen, like 127.0.0.1:0 or 0.0.0.0:4433")
}

/// Logs what is served, and how to connect.
async fn log_summary(summary: &StartSummary, files: &Files, address: SocketAddr) {
    info!("{}", summary.connecting(address));
    // Fails only while the runtime shuts down.
    if let Ok(count) = files.count(MAX_COUNTED_NAMES, COUNT_TIMEOUT).await {
        info!("{}", summary.serving(count));
    }
}

/// Warns about the certificate's dates. Runs at start, then every `EXPIRY_CHECK_INTERVAL`. Never returns.
async fn watch_expiry(mut warnings: ExpiryWarnings) {
    let mut interval = tokio::time::interval(EXPIRY_CHECK_INTERVAL);
    loop {
        interval.tick().await;
        if let Some(warning) = warnings.next_warning(Utc::now()) {
            warn!("{warning}");
        }
    }
}

#[cfg(test)]
mod tests;
