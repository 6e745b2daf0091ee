//! Runs several files or transfers concurrently, reports each failure when it happens, and combines all failures into
//! one error.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::error::{ClientError, ErrorCode, Failures, PeerError};
use crate::reporter::Reporter;
use crate::tasks::joined;
use crate::throughput::ThroughputMeter;
use crate::transfers::TransferEvent;
use crate::tree::LeftOut;

/// How many files a transfer moves concurrently: enough to hide a round trip per file, few enough to leave capacity
/// for control traffic.
pub(crate) const FILES_AT_ONCE: usize = 4;

/// The throughput of a shorter transfer is not reported.
const MIN_REPORTED_DURATION: Duration = Duration::from_secs(1);

/// The outcomes of several files or transfers.
pub(crate) struct Outcomes {
    reporter: Reporter,
    failures: Failures,
}

impl Outcomes {
    pub(crate) fn new(reporter: Reporter, total: usize, what: &'static str) -> Self {
        Self { reporter, failures: Failures::new(total, what) }
    }

    /// The number of failed items, including those that were not started.
    pub(crate) fn failed_count(&self) -> usize {
        self.failures.failed_count()
    }

    /// Adds an item that was not counted yet.
    pub(crate) fn add_item(&mut self) {
        self.failures.add_item();
    }

    /// Removes items that need no work.
    pub(crate) fn remove_items(&mut self, count: usize) {
        self.failures.remove_items(count);
    }

    /// Counts items as failed that were not started.
    pub(crate) fn add_not_started(&mut self, count: usize) {
        self.failures.add_not_started(count);
    }

    /// Reports what is left out. What misses content counts as failed.
    pub(crate) async fn add_left_out(&mut self, left_out: &LeftOut) {
        if left_out.count() == 0 {
            return;
        }
        self.reporter.report(TransferEvent::LeftOut(Arc::new(left_out.clone()))).await;
        let missing = usize::try_from(left_out.missing_count()).unwrap_or(usize::MAX);
        if missing > 0 {
            self.failures.add_reported(missing, ErrorCode::Partial);
        }
    }

    /// Adds a failure. It is reported at once, unless there is one item only, whose failure is the result.
    pub(crate) async fn add_failure(&mut self, error: ClientError) {
        self.add_failures(error, 1).await;
    }

    /// Adds a failure that `count` items share.
    pub(crate) async fn add_failures(&mut self, error: ClientError, count: usize) {
        if let Some(error) = self.failures.add(error, count) {
            self.reporter.report_failure(error).await;
        }
    }

    /// Adds the result of a group of items.
    pub(crate) async fn add_group(&mut self, result: Result<(), ClientError>) {
        match result {
            Ok(()) => {}
            // Each of them was reported.
            Err(ClientError::SomeFailed { failed, code, .. }) => {
                self.failures.add_reported(failed, code);
            }
            Err(error) => self.add_failure(error).await,
        }
    }

    /// Runs the work of all items, `concurrency` at a time. Starts no more after a failure that would affect the
    /// other items too, such as the loss of the connection.
    pub(crate) async fn run_all<T, W>(
        &mut self,
        waiting: Vec<T>,
        concurrency: usize,
        work: impl Fn(T) -> W,
    ) -> Result<(), ClientError>
    where
        W: Future<Output = Result<(), ClientError>> + Send + 'static,
    {
        let mut waiting = waiting.into_iter();
        let mut running = JoinSet::new();
        let mut is_stopping = false;
        loop {
            while !is_stopping
                && running.len() < concurrency
                && let Some(item) = waiting.next()
            {
                running.spawn(work(item));
            }
            let Some(done) = running.join_next().await else { break };
            if let Err(error) = joined(done)? {
                is_stopping |= affects_all(&error);
                self.add_failure(error).await;
            }
        }
        self.add_not_started(waiting.len());
        Ok(())
    }

    /// Reports the throughput of a transfer that took long enough. `is_busy` says whether the local processor was
    /// busy almost all of the time.
    pub(crate) async fn report_throughput(
        &self,
        meter: &Mutex<ThroughputMeter>,
        took: Duration,
        is_busy: bool,
    ) {
        let Some(throughput) = meter.lock().throughput(took, is_busy) else { return };
        if let Some(transfer) = self.reporter.transfer() {
            transfer.set_limited_by(throughput.limited_by);
        }
        if took >= MIN_REPORTED_DURATION {
            self.reporter.report(TransferEvent::Throughput(throughput)).await;
        }
    }

    pub(crate) fn result(self) -> Result<(), ClientError> {
        self.failures.result()
    }
}

/// Whether the failure would affect items too that have not started.
pub(crate) fn affects_all(error: &ClientError) -> bool {
    error.is_lost_connection()
        || matches!(
            error,
            ClientError::Output(_) | ClientError::Peer(PeerError::MoreThanOffered { .. })
        )
}
