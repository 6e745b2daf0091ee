//! State shared by all files of a download or upload: the session, the reporter and the counters.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use quiver_protocol::FilePath;
use quiver_transfer::{RateLimit, ThreadLoad, TransferBottleneck};
use quiver_transport::PathFacts;
use tokio::time::Instant;

use crate::error::ClientError;
use crate::journal::{Journal, UnfinishedFiles, UnfinishedShare};
use crate::outcomes::Outcomes;
use crate::reconnecting::{ReconnectingSession, SessionHandle};
use crate::reporter::Reporter;
use crate::request::TransferOptions;
use crate::throughput::ThroughputMeter;
use crate::transfers::{TransferEvent, TransferState};

/// State shared by all files of a transfer. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct TransferContext {
    pub(crate) session: ReconnectingSession,
    pub(crate) reporter: Reporter,
    /// Where files are recorded that a later run can resume.
    pub(crate) journal: Journal,
    pub(crate) unfinished: UnfinishedFiles,
    /// Whether each file is reported.
    pub(crate) reports_files: bool,
    /// Whether the files are those of a tree, whose plan has their sizes.
    is_tree: bool,
    /// How long to try to reconnect after a lost connection.
    pub(crate) retry_for: Duration,
    /// Whether the transfer has a single file.
    pub(crate) is_single_file: bool,
    pub(crate) throughput: Arc<Mutex<ThroughputMeter>>,
    pub(crate) rate_limit: Option<RateLimit>,
}

/// The files of a transfer that were named one by one.
pub(crate) struct NamedFiles<T> {
    pub(crate) items: Vec<T>,
    /// Requested files that need no transfer.
    pub(crate) already_there: Vec<SameFile>,
    /// Errors of requested files that cannot be read, or whose existing target is not replaced.
    pub(crate) failed: Vec<ClientError>,
    /// The words that follow the number of failed files in the error text.
    pub(crate) failure_text: &'static str,
    /// Number of files transferred at once.
    pub(crate) concurrency: usize,
}

/// A file whose target has the same content already.
#[derive(Debug)]
pub(crate) struct SameFile {
    pub(crate) path: FilePath,
    /// The target as shown to users.
    pub(crate) target: String,
    pub(crate) size: u64,
    /// What is reported of it.
    pub(crate) event: TransferEvent,
}

impl TransferContext {
    /// Makes the context for `file_count` files, named one by one or in a tree.
    pub(crate) fn new(
        session: ReconnectingSession,
        reporter: Reporter,
        options: &TransferOptions,
        file_count: usize,
        is_tree: bool,
    ) -> Self {
        let (journal, unfinished) = if options.journal {
            (session.journal().clone(), session.unfinished().clone())
        } else {
            (Journal::none(), UnfinishedFiles::default())
        };
        Self {
            session,
            reporter,
            journal,
            unfinished,
            reports_files: !is_tree || options.report_files,
            is_tree,
            retry_for: options.retry_for,
            is_single_file: file_count == 1,
            throughput: Arc::new(Mutex::new(ThroughputMeter::with_limit(options.rate_limit))),
            rate_limit: options.rate_limit.map(RateLimit::new),
        }
    }

    /// Transfers named files. `display_names` returns the path and the target of a file, `work`
    /// transfers it and returns its size. With several files each failure is reported when it
    /// happens; with a single file it is the result.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::SomeFailed`] if some of several files failed.
    pub(crate) async fn transfer_all<T, W>(
        &self,
        files: NamedFiles<T>,
        display_names: impl Fn(&T) -> (FilePath, String),
        work: impl Fn(T) -> W,
    ) -> Result<(), ClientError>
    where
        W: Future<Output = Result<u64, ClientError>> + Send + 'static,
    {
        let NamedFiles { items, already_there, failed, failure_text, concurrency } = files;
        let (started, load) = (Instant::now(), ThreadLoad::start());
        let file_count = items.len() + already_there.len() + failed.len();
        let mut outcomes = Outcomes::new(self.reporter.clone(), file_count, failure_text);
        for error in failed {
            outcomes.add_failure(error).await;
        }
        let add = |item: T| {
            let (path, target) = display_names(&item);
            (self.add_file(path.clone(), target), path, item)
        };
        let items: Vec<_> = items.into_iter().map(add).collect();
        if let Some(transfer) = self.reporter.transfer() {
            transfer.counters.set_files(items.len() as u64);
        }
        for SameFile { path, target, size, event } in already_there {
            if let Some(transfer) = self.reporter.transfer() {
                transfer.files.add_same(path, target, size);
            }
            self.reporter.report(event).await;
        }
        self.reporter.set_phase(TransferState::Running).await;
        let transfer_one = |(number, path, item): (u64, FilePath, T)| {
            let (context, work) = (self.clone(), work(item));
            async move {
                context.set_current_file(path);
                let done = work.await;
                context.finish_file(number, done.as_ref().copied());
                done.map(drop)
            }
        };
        outcomes.run_all(items, concurrency, transfer_one).await?;
        outcomes.report_throughput(&self.throughput, started.elapsed(), load.is_busy()).await;
        outcomes.result()
    }

    /// Adds a file to the transfer's list. Returns its number there.
    fn add_file(&self, path: FilePath, target: String) -> u64 {
        self.reporter.transfer().map_or(0, |transfer| transfer.files.add(path, target))
    }

    /// Records the outcome of a file: its size, or its error.
    fn finish_file(&self, number: u64, outcome: Result<u64, &ClientError>) {
        if let Some(transfer) = self.reporter.transfer() {
            transfer.files.finish(number, outcome.map(Some));
        }
    }

    /// Sets the file that was started last.
    pub(crate) fn set_current_file(&self, path: FilePath) {
        if let Some(transfer) = self.reporter.transfer() {
            transfer.set_current_file(path);
        }
    }

    /// Adds the size of a file to the total, once per file. The total of a tree is known from its
    /// plan.
    pub(crate) fn add_bytes(&self, size: u64) {
        if let Some(transfer) = self.reporter.transfer().filter(|_| !self.is_tree) {
            transfer.counters.add_bytes(size);
        }
    }

    /// Counts a finished file, of whose `size` bytes this run transferred `transferred`.
    pub(crate) fn count(
        &self,
        size: u64,
        transferred: u64,
        took: Duration,
        limited_by: Option<TransferBottleneck>,
    ) {
        self.throughput.lock().add_file(transferred, took, limited_by);
        if let Some(transfer) = self.reporter.transfer() {
            transfer.counters.add_done(size);
        }
    }

    /// Waits until the transfer is not paused, and returns a session for the next attempt.
    pub(crate) async fn wait_for_session(&self) -> SessionHandle {
        if let Some(transfer) = self.reporter.transfer() {
            transfer.control.wait_until_running().await;
        }
        // Taken after the pause, during which the session may have been renewed.
        self.session.handle()
    }

    /// Runs an attempt. Returns `None` if the transfer is paused meanwhile. An attempt that has
    /// transferred all of its content (`is_whole`) is never interrupted: the file may get its name
    /// at any moment.
    pub(crate) async fn unless_paused<T>(
        &self,
        is_whole: &AtomicBool,
        attempt: impl Future<Output = T>,
    ) -> Option<T> {
        let Some(transfer) = self.reporter.transfer() else { return Some(attempt.await) };
        let paused = async {
            transfer.control.wait_until_paused().await;
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

    /// The path to the other end now.
    pub(crate) fn path_facts(&self) -> PathFacts {
        PathFacts::of(&self.session.handle().connection)
    }

    /// Adds to an error how much of the file can be resumed, if any.
    pub(crate) fn with_unfinished_share(
        &self,
        error: ClientError,
        percent: Option<u64>,
    ) -> ClientError {
        // An offer is continued by accepting it again, not by a resume.
        if self.session.is_with_peer() || !self.journal.exists() {
            return error;
        }
        error.with_unfinished_share(percent.map(|percent| {
            if self.is_single_file {
                UnfinishedShare::Percent(percent)
            } else {
                UnfinishedShare::Several
            }
        }))
    }
}
