//! What all files of one download or upload have in common: the session, where it is told how it goes, and the
//! numbers of all of them together.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use quiver_protocol::FilePath;
use quiver_transfer::{RateLimit, ThreadLoad, TransferBottleneck};
use tokio::time::Instant;

use crate::error::ClientError;
use crate::journal::UnfinishedShare;
use crate::outcomes::Outcomes;
use crate::progress::{ProgressMeter, TotalProgressMeter};
use crate::reconnecting::{ReconnectingSession, SessionHandle};
use crate::reporter::Reporter;
use crate::request::TransferOptions;
use crate::throughput::ThroughputMeter;
use crate::transfers::{TransferEvent, TransferState};

/// What all files of a transfer have in common. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct TransferContext {
    pub(crate) session: ReconnectingSession,
    pub(crate) reporter: Reporter,
    /// Whether each file is told of.
    pub(crate) reports: bool,
    /// The progress of all of them, where they share one.
    pub(crate) total: Option<TotalProgressMeter>,
    /// How long a lost connection is made again.
    pub(crate) retry_for: Duration,
    /// Whether there is one file only.
    pub(crate) is_alone: bool,
    pub(crate) throughput: Arc<Mutex<ThroughputMeter>>,
    pub(crate) rate_limit: Option<RateLimit>,
}

/// What differs between a download and an upload of named files.
pub(crate) struct NamedFiles<T> {
    pub(crate) items: Vec<T>,
    /// Why some of those that were asked for stay as they are.
    pub(crate) kept: Vec<ClientError>,
    /// What is said of files that failed.
    pub(crate) what: &'static str,
    /// How many move at once.
    pub(crate) at_once: usize,
}

impl TransferContext {
    /// For `asked` files, which were named one by one or are in a tree.
    pub(crate) fn new(
        session: ReconnectingSession,
        reporter: Reporter,
        options: &TransferOptions,
        asked: usize,
        is_tree: bool,
    ) -> Self {
        Self {
            session,
            reporter,
            reports: !is_tree || options.report_files,
            total: None,
            retry_for: options.retry_for,
            is_alone: asked == 1,
            throughput: Arc::new(Mutex::new(ThroughputMeter::within(options.rate_limit))),
            rate_limit: options.rate_limit.map(RateLimit::new),
        }
    }

    /// Moves files that were named: `shown` is the path and the target of one, `work` moves it and has its bytes. Of
    /// several each failure is told when it happens; one alone is the result.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::Several`] where some of several failed.
    pub(crate) async fn move_all<T, W>(
        &self,
        files: NamedFiles<T>,
        shown: impl Fn(&T) -> (FilePath, String),
        work: impl Fn(T) -> W,
    ) -> Result<(), ClientError>
    where
        W: Future<Output = Result<u64, ClientError>> + Send + 'static,
    {
        let NamedFiles { items, kept, what, at_once } = files;
        let (began, load) = (Instant::now(), ThreadLoad::start());
        let mut outcomes = Outcomes::new(self.reporter.clone(), items.len() + kept.len(), what);
        for error in kept {
            outcomes.failed(error).await;
        }
        let number = |item: T| (self.number(shown(&item)), item);
        let items: Vec<_> = items.into_iter().map(number).collect();
        if let Some(transfer) = self.reporter.transfer() {
            transfer.counters.set_files(items.len() as u64);
        }
        self.reporter.phase(TransferState::Running).await;
        let one = |(number, item): (u64, T)| {
            let (context, work) = (self.clone(), work(item));
            async move {
                let done = work.await;
                context.settle(number, done.as_ref().ok().copied());
                done.map(drop)
            }
        };
        outcomes.all(items, at_once, one).await?;
        outcomes.tell_throughput(&self.throughput, began.elapsed(), load.is_busy()).await;
        outcomes.result()
    }

    /// A file for those who look at the transfer; its number there.
    fn number(&self, (path, target): (FilePath, String)) -> u64 {
        self.reporter.transfer().map_or(0, |transfer| transfer.files.add(path, target))
    }

    /// What became of a file: its bytes, or that it failed.
    fn settle(&self, number: u64, done: Option<u64>) {
        if let Some(transfer) = self.reporter.transfer() {
            transfer.files.settle(number, done.is_some(), done);
        }
    }

    /// The progress of one file, of which `offset` bytes are there already.
    pub(crate) async fn meter(
        &self,
        path: &FilePath,
        size: Option<u64>,
        offset: u64,
    ) -> ProgressMeter {
        if let Some(total) = &self.total {
            return total.part(offset);
        }
        let (meter, progress) = ProgressMeter::new(path.as_str(), size, offset);
        self.reporter.event(TransferEvent::Started(progress)).await;
        meter
    }

    /// The size of a file became known; once for each. Those of a tree are known from its plan.
    pub(crate) fn add_bytes(&self, size: u64) {
        if let Some(transfer) = self.reporter.transfer().filter(|_| self.total.is_none()) {
            transfer.counters.add_bytes(size);
        }
    }

    /// Counts a file that has its name: `moved` of its `size` bytes moved in this run.
    pub(crate) fn count(
        &self,
        size: u64,
        moved: u64,
        took: Duration,
        limited_by: Option<TransferBottleneck>,
    ) {
        self.throughput.lock().moved(moved, took, limited_by);
        if let Some(transfer) = self.reporter.transfer() {
            transfer.counters.add_done(size);
        }
    }

    /// A session for an attempt to move a file, once the transfer may run.
    pub(crate) async fn session_to_run(&self) -> SessionHandle {
        if let Some(transfer) = self.reporter.transfer() {
            transfer.control.running().await;
        }
        // Not before: the session may have been renewed in the pause.
        self.session.handle()
    }

    /// An attempt to move a file; `None` where the transfer was paused in the middle of it. Once all of the content
    /// has moved (`is_whole`), it comes to its end: the file may have its name at any moment.
    pub(crate) async fn unless_paused<T>(
        &self,
        is_whole: &AtomicBool,
        attempt: impl Future<Output = T>,
    ) -> Option<T> {
        let Some(transfer) = self.reporter.transfer() else { return Some(attempt.await) };
        let paused = async {
            transfer.control.paused().await;
            if is_whole.load(Ordering::Acquire) {
                pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            done = attempt => Some(done),
            () = paused => None,
        }
    }

    /// An error, with how much is kept of the file where something is.
    pub(crate) fn broken_off(&self, error: ClientError, share: Option<u64>) -> ClientError {
        error.resumable(share.map(|share| {
            if self.is_alone { UnfinishedShare::Of(share) } else { UnfinishedShare::Several }
        }))
    }
}
