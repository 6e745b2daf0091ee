//! What becomes of several files that move at once, or of several transfers: each failure is told when it happens,
//! and all of them make one error.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::error::{ClientError, Failures};
use crate::reporter::Reporter;
use crate::tasks::joined;
use crate::throughput::ThroughputMeter;
use crate::transfers::TransferEvent;

/// Files that move at once: enough to hide a round trip per file, few enough for control traffic to pass.
pub(crate) const FILES_AT_ONCE: usize = 4;

/// What is over sooner needs no word about its speed.
const WORTH_A_WORD: Duration = Duration::from_secs(1);

/// What became of several files, or transfers.
pub(crate) struct Outcomes {
    reporter: Reporter,
    failures: Failures,
}

impl Outcomes {
    pub(crate) fn new(reporter: Reporter, asked: usize, what: &'static str) -> Self {
        Self { reporter, failures: Failures::new(asked, what) }
    }

    /// How many have failed, those too that were not begun.
    pub(crate) fn failures(&self) -> usize {
        self.failures.failed_count()
    }

    /// One more was asked for than was known.
    pub(crate) fn one_more(&mut self) {
        self.failures.add_item();
    }

    /// So many fewer are to be done than was known.
    pub(crate) fn fewer(&mut self, count: usize) {
        self.failures.remove_items(count);
    }

    /// So many were not even begun.
    pub(crate) fn skipped(&mut self, count: usize) {
        self.failures.add_not_started(count);
    }

    /// One of several is told at once, a single one is left to the caller.
    pub(crate) async fn failed(&mut self, error: ClientError) {
        self.failed_all(error, 1).await;
    }

    /// The same of one failure that several share.
    pub(crate) async fn failed_all(&mut self, error: ClientError, count: usize) {
        if let Some(error) = self.failures.add(error, count) {
            self.reporter.failed(error).await;
        }
    }

    /// What became of some that were dealt with together.
    pub(crate) async fn together(&mut self, result: Result<(), ClientError>) {
        match result {
            Ok(()) => {}
            // Each was told.
            Err(ClientError::SomeFailed { failed, code, .. }) => {
                self.failures.add_reported(failed, code);
            }
            Err(error) => self.failed(error).await,
        }
    }

    /// Does the work of all of them, so many at once. After a failure that the others would only share, such as
    /// the loss of the connection, no more are begun.
    pub(crate) async fn all<T, W>(
        &mut self,
        waiting: Vec<T>,
        at_once: usize,
        work: impl Fn(T) -> W,
    ) -> Result<(), ClientError>
    where
        W: Future<Output = Result<(), ClientError>> + Send + 'static,
    {
        let mut waiting = waiting.into_iter();
        let mut running = JoinSet::new();
        let mut ends = false;
        loop {
            while !ends
                && running.len() < at_once
                && let Some(item) = waiting.next()
            {
                running.spawn(work(item));
            }
            let Some(done) = running.join_next().await else { break };
            if let Err(error) = joined(done)? {
                ends |= is_shared(&error);
                self.failed(error).await;
            }
        }
        self.skipped(waiting.len());
        Ok(())
    }

    /// Tells how fast it was, where there was something to wait for. `is_busy` tells whether this processor hardly
    /// had a rest.
    pub(crate) async fn tell_throughput(
        &self,
        meter: &Mutex<ThroughputMeter>,
        took: Duration,
        is_busy: bool,
    ) {
        let Some(throughput) = meter.lock().total(took, is_busy) else { return };
        if let Some(transfer) = self.reporter.transfer() {
            transfer.was_limited_by(throughput.limited_by);
        }
        if took >= WORTH_A_WORD {
            self.reporter.event(TransferEvent::Throughput(throughput)).await;
        }
    }

    pub(crate) fn result(self) -> Result<(), ClientError> {
        self.failures.result()
    }
}

/// Whether what has not begun would fail in the same way.
pub(crate) fn is_shared(error: &ClientError) -> bool {
    error.is_lost_connection() || matches!(error, ClientError::Output(_))
}
