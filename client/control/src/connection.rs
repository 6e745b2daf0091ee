//! A connection with another process: its requests with their replies, and the changes that it watches.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWrite;
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::failure::Failure;
use crate::lines::{self, LineReader};
use crate::messages::{
    ControlEvent, ControlEventContent, ControlOutcome, ControlReply, ControlRequest, MAX_REQUEST,
    ProcessSnapshot, RequestNumber,
};
use crate::shared_source::SharedSource;
use crate::source::{Steering, TransferChanges};
use crate::unix::check_user;
use crate::view::{TransferStage, TransferView};

/// How long a process that does not watch may send nothing.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a request may take: an offer is withdrawn over the network.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The least time between two events.
pub(crate) const EVENT_INTERVAL: Duration = Duration::from_millis(250);

/// What a process knows that watches.
#[derive(Debug)]
struct Watcher {
    changes: TransferChanges,
    has_changed: bool,
    last: Instant,
    last_event: u64,
    shown: BTreeMap<String, TransferView>,
}

/// Serves a process until it leaves or is cut off, or this one ends.
///
/// # Errors
/// Why it was cut off.
pub(crate) async fn serve(
    stream: UnixStream,
    shared: &SharedSource,
    mut stopping: watch::Receiver<bool>,
) -> io::Result<()> {
    check_user(&stream)?;
    let (reader, mut writer) = stream.into_split();
    let mut lines = LineReader::new(reader, MAX_REQUEST);
    let mut watcher: Option<Watcher> = None;
    loop {
        let idle = watcher.is_none().then_some(IDLE_TIMEOUT);
        tokio::select! {
            line = lines.next(idle) => match line? {
                Some(line) => answer(&line, shared, &mut watcher, &mut writer).await?,
                None => return Ok(()),
            },
            () = due(&mut watcher) => {
                if let Some(watcher) = &mut watcher {
                    watcher.report(shared, &mut writer).await?;
                }
            }
            () = stopped(&mut stopping) => {
                if let Some(watcher) = &mut watcher {
                    watcher.report(shared, &mut writer).await?;
                }
                return Ok(());
            }
        }
    }
}

/// Waits until a watcher gets an event; without one, for ever.
async fn due(watcher: &mut Option<Watcher>) {
    match watcher {
        Some(watcher) => watcher.due().await,
        None => std::future::pending().await,
    }
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // Fails if this process ends without notice.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

async fn answer(
    line: &[u8],
    shared: &SharedSource,
    watcher: &mut Option<Watcher>,
    writer: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    // What is no request ends the connection.
    let RequestNumber { id } = serde_json::from_slice(line)?;
    let request = serde_json::from_slice::<ControlRequest>(line).map_err(|_| {
        Failure::invalid("there is no such request, or something in it is missing or invalid")
    });
    let replied = async {
        match request? {
            ControlRequest::Transfers => Ok(snapshot(shared).await),
            ControlRequest::WatchTransfers => {
                let changes = shared.source.changes();
                let watcher = watcher.insert(Watcher {
                    changes,
                    has_changed: false,
                    last: Instant::now(),
                    last_event: 0,
                    shown: BTreeMap::new(),
                });
                Ok(watcher.snapshot(shared).await)
            }
            ControlRequest::Pause { transfer } => steer(shared, &transfer, Steering::Pause).await,
            ControlRequest::Resume { transfer } => steer(shared, &transfer, Steering::Resume).await,
            ControlRequest::Cancel { transfer } => steer(shared, &transfer, Steering::Cancel).await,
            ControlRequest::TransferFiles { transfer, after, limit } => {
                let name = transfer.parse().map_err(|_| not_a_name(&transfer))?;
                shared.source.files(name, after, limit).await
            }
        }
    };
    let outcome = match timeout(REQUEST_TIMEOUT, replied).await {
        Ok(Ok(value)) => ControlOutcome::Ok(value),
        Ok(Err(failure)) => ControlOutcome::Error(failure),
        Err(_) => ControlOutcome::Error(Failure::new("connection", "the request timed out")),
    };
    lines::write(writer, &ControlReply { id, outcome }).await
}

async fn steer(
    shared: &SharedSource,
    transfer: &str,
    steering: Steering,
) -> Result<Value, Failure> {
    let name = transfer.parse().map_err(|_| not_a_name(transfer))?;
    shared.source.steer(name, steering).await
}

fn not_a_name(transfer: &str) -> Failure {
    Failure::new("not_found", format!("there is no transfer {transfer}"))
}

async fn snapshot(shared: &SharedSource) -> Value {
    let snapshot =
        ProcessSnapshot { transfers: shared.transfers().await, journal: shared.journal() };
    // Fails only for maps with other keys than texts, which no message has.
    serde_json::to_value(snapshot).unwrap_or(Value::Null)
}

impl Watcher {
    /// The state from which the events go on.
    async fn snapshot(&mut self, shared: &SharedSource) -> Value {
        self.changes.clear();
        let transfers = shared.transfers().await;
        let reply = json!({ "transfers": transfers });
        self.shown = transfers.into_iter().map(|view| (view.transfer.clone(), view)).collect();
        reply
    }

    /// Waits until there may be something to report, but not more often than the interval says. Cancel-safe.
    async fn due(&mut self) {
        let is_moving =
            |view: &TransferView| !view.state.is_over() && view.state != TransferStage::Paused;
        if !self.has_changed && !self.shown.values().any(is_moving) {
            self.changes.next().await;
            self.has_changed = true;
        }
        sleep_until(self.last + EVENT_INTERVAL).await;
    }

    /// Sends what has changed.
    async fn report(
        &mut self,
        shared: &SharedSource,
        writer: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<()> {
        // Before the transfers are read: a later change is reported next.
        self.changes.clear();
        (self.has_changed, self.last) = (false, Instant::now());
        let transfers = shared.transfers().await;
        let mut present: BTreeMap<_, _> =
            transfers.into_iter().map(|view| (view.transfer.clone(), view)).collect();
        let gone: Vec<_> =
            self.shown.keys().filter(|name| !present.contains_key(*name)).cloned().collect();
        let changed: Vec<_> = present
            .iter()
            .filter(|(name, view)| self.shown.get(*name) != Some(view))
            .map(|(_, view)| view.clone())
            .collect();
        std::mem::swap(&mut self.shown, &mut present);
        if changed.is_empty() && gone.is_empty() {
            return Ok(());
        }
        self.last_event += 1;
        let content = ControlEventContent::Transfers { transfers: changed, gone };
        lines::write(writer, &ControlEvent { event: self.last_event, content }).await
    }
}
