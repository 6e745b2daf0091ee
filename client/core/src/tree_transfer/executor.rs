//! Executes a plan: folders before their contents, many small files at once. The same for both
//! directions.

use std::sync::Arc;

use parking_lot::Mutex;
use quiver_protocol::{ContentHash, ContentPrefix};
use quiver_transfer::ThreadLoad;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::compare::compare_same_size;
use super::conflicts::resolve_conflicts;
use super::dry_run::{self, DryRun, SpaceLimits};
use super::{CONCURRENT_WEIGHT, MAX_NAMED_SAME, Placement, TransferOperations, weight};
use crate::error::ClientError;
use crate::journal::{JournalEntry, TreeRecord, UnfinishedShare};
use crate::outcomes::{Outcomes, affects_all};
use crate::reporter::Reporter;
use crate::request::{ConflictPolicy, TransferOptions};
use crate::shared_plan::SharedPlan;
use crate::tasks::joined;
use crate::throughput::ThroughputMeter;
use crate::transfers::{Transfer, TransferEvent, TransferState, TransferSummary};
use crate::tree::{Decision, ItemKind, LeftOut, Plan, PlanItem, PlanItemState};

/// The execution of a plan.
pub(crate) struct Executor<T> {
    operations: T,
    plan: SharedPlan,
    reporter: Reporter,
    throughput: Arc<Mutex<ThroughputMeter>>,
    outcomes: Outcomes,
    /// The journal entry; `None` if the request cannot be recorded.
    entry: Option<JournalEntry>,
    summary: TransferSummary,
    /// The number of entries that are left out and count as failed.
    missing_count: u64,
    /// Running transfers, each with its item's number.
    running: JoinSet<(i64, Result<Option<u64>, ClientError>)>,
    /// Limits the weight of the files transferred at once.
    permits: Arc<Semaphore>,
    /// Whether an error occurred that all remaining items would share.
    is_aborted: bool,
    /// Whether files that are already there are reported one by one.
    names_same_files: bool,
}

impl<T: TransferOperations> Executor<T> {
    pub(crate) fn new(
        operations: T,
        plan: SharedPlan,
        throughput: Arc<Mutex<ThroughputMeter>>,
        outcomes: Outcomes,
        entry: Option<JournalEntry>,
    ) -> Self {
        Self {
            reporter: operations.context().reporter.clone(),
            operations,
            plan,
            throughput,
            outcomes,
            entry,
            summary: TransferSummary::default(),
            missing_count: 0,
            running: JoinSet::new(),
            permits: Arc::new(Semaphore::new(CONCURRENT_WEIGHT as usize)),
            is_aborted: false,
            names_same_files: false,
        }
    }

    /// Executes the plan: compares files of the same size, and then either shows the plan or
    /// decides about files that differ and transfers everything. `left_out` was reported.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::SomeFailed`] if some of several files failed.
    pub(crate) async fn execute(
        mut self,
        options: &TransferOptions,
        space: SpaceLimits,
        left_out: &LeftOut,
        display_name: impl Fn(&PlanItem) -> String + Send + Sync,
        no_space: impl FnOnce(String) -> ClientError + Send,
    ) -> Result<(), ClientError> {
        self.summary.left_out = left_out.count();
        self.missing_count = left_out.missing_count();
        if let Some(transfer) = self.transfer() {
            transfer.files.set_plan(self.plan.clone());
        }
        compare_same_size(&self.operations, &self.plan).await?;
        if options.dry_run {
            if let Some(decision) = options.on_conflict.decision() {
                self.plan.with(move |plan| plan.decide_all(decision)).await?;
            }
            let dry_run = DryRun {
                operations: &self.operations,
                plan: &self.plan,
                reporter: &self.reporter,
                space,
                left_out: left_out.count(),
                would_ask: options.on_conflict == ConflictPolicy::Ask && self.reporter.can_ask(),
            };
            // Boxed: this large future would be moved along with every transfer.
            Box::pin(dry_run.report(display_name)).await?;
            return self.outcomes.result();
        }
        resolve_conflicts(&self.plan, options.on_conflict, &self.reporter, display_name).await?;
        if let Some(why) = dry_run::check_space(&self.plan, space).await? {
            return Err(no_space(why));
        }
        self.transfer_all().await
    }

    fn transfer(&self) -> Option<&Transfer> {
        self.reporter.transfer()
    }

    /// Transfers all pending items, and reports the summary.
    async fn transfer_all(mut self) -> Result<(), ClientError> {
        let (started, load) = (Instant::now(), ThreadLoad::start());
        let pending = self.plan.with(|plan| plan.pending()).await?;
        self.names_same_files = self.names_same_files().await?;
        let mut record = self.take_record();
        // Without a file to transfer the journal entry is not worth writing.
        if let Some(record) = record.as_mut().filter(|_| pending.files > 0) {
            record.start().await;
        }
        if let Some(transfer) = self.transfer() {
            transfer.counters.set_files(pending.files);
            transfer.counters.set_bytes(pending.bytes);
        }
        self.reporter.set_phase(TransferState::Running).await;
        let mut number = 0;
        loop {
            let items = self.plan.items_after(number).await?;
            let Some(last) = items.last() else { break };
            number = last.number;
            for item in items {
                self.process_item(item).await?;
            }
        }
        while let Some(done) = self.running.join_next().await {
            self.finish_transfer(done).await?;
        }
        self.set_folder_times().await?;
        let (took, is_busy) = (started.elapsed(), load.is_busy());
        // What is left out is counted as such.
        let failed = self.outcomes.failed_count() as u64;
        self.summary.failed = failed.saturating_sub(self.missing_count);
        self.summary.took = took;
        self.reporter.report(TransferEvent::Summary(self.summary)).await;
        self.outcomes.report_throughput(&self.throughput, took, is_busy).await;
        if !self.is_aborted {
            if let Some(record) = record {
                record.finish();
            }
            return self.outcomes.result();
        }
        // The remaining items were not started.
        let share = record.filter(TreeRecord::is_written).map(|_| UnfinishedShare::Several);
        self.outcomes.result().map_err(|error| match error {
            several @ ClientError::SomeFailed { .. } => several.with_unfinished_share(share),
            one => one,
        })
    }

    fn take_record(&mut self) -> Option<TreeRecord> {
        let (entry, context) = (self.entry.take()?, self.operations.context());
        Some(TreeRecord::new(&context.journal, &context.unfinished, entry))
    }

    async fn process_item(&mut self, item: PlanItem) -> Result<(), ClientError> {
        if matches!(item.found.kind, ItemKind::Folder { .. }) {
            return self.process_folder(&item).await;
        }
        let placement = match (&item.state, item.decision) {
            _ if self.is_aborted => {
                self.outcomes.add_not_started(1);
                return Ok(());
            }
            (PlanItemState::Same, _) => {
                self.summary.same += 1;
                self.finish_item(item.number, Ok(None));
                self.report_same(&item).await;
                return Ok(());
            }
            (PlanItemState::Blocked(why), _) => {
                let failure = self.operations.blocked_error(&item, why);
                self.finish_item(item.number, Err(&failure));
                self.fail(failure).await;
                return Ok(());
            }
            (PlanItemState::New | PlanItemState::Partial(_), _) => Placement::Create,
            (PlanItemState::SameSize | PlanItemState::Differs, Some(Decision::Replace)) => {
                Placement::Replace
            }
            (PlanItemState::SameSize | PlanItemState::Differs, Some(Decision::KeepBoth)) => {
                Placement::KeepBoth
            }
            (PlanItemState::SameSize | PlanItemState::Differs, Some(Decision::Skip)) => {
                self.summary.kept += 1;
                self.finish_item(item.number, Ok(None));
                return Ok(());
            }
            (PlanItemState::SameSize | PlanItemState::Differs, None) => {
                let failure = self.operations.exists_error(&item);
                self.finish_item(item.number, Err(&failure));
                self.fail(failure).await;
                return Ok(());
            }
        };
        self.start(item, placement).await
    }

    /// Reports a file that is already there. An empty file has the same content without a comparison.
    async fn report_same(&self, item: &PlanItem) {
        if let ItemKind::File { size, .. } = item.found.kind
            && self.names_same_files
        {
            let blake3 = item.blake3.unwrap_or_else(|| ContentHash(*blake3::hash(b"").as_bytes()));
            self.operations.report_same(item, ContentPrefix { size, blake3 }).await;
        }
    }

    /// Whether files that are already there are named: where each file is reported, and for a few files outside of
    /// folders.
    async fn names_same_files(&self) -> Result<bool, ClientError> {
        if self.operations.context().reports_files {
            return Ok(true);
        }
        let has_few = |plan: &mut Plan| {
            let same = plan.count_in_state(&PlanItemState::Same)?;
            Ok(same.files <= MAX_NAMED_SAME && plan.next_folder(0)?.is_none())
        };
        self.plan.with(has_few).await
    }

    async fn process_folder(&mut self, folder: &PlanItem) -> Result<(), ClientError> {
        if self.is_aborted {
            return Ok(());
        }
        let made = match &folder.state {
            PlanItemState::New => self.operations.make_folder(folder).await,
            PlanItemState::Blocked(why) => Err(self.operations.blocked_error(folder, why)),
            _ => Ok(()),
        };
        self.finish_item(folder.number, made.as_ref().map(|()| None));
        if let Err(failure) = made {
            self.outcomes.add_item();
            self.fail(failure).await;
        }
        Ok(())
    }

    /// Starts a file as soon as its weight is free and the transfer is not paused.
    async fn start(&mut self, file: PlanItem, placement: Placement) -> Result<(), ClientError> {
        while self.transfer().is_some_and(|transfer| transfer.control.is_paused()) {
            let reporter = self.reporter.clone();
            let running = async {
                if let Some(transfer) = reporter.transfer() {
                    transfer.control.wait_until_running().await;
                }
            };
            tokio::select! {
                biased;
                Some(done) = self.running.join_next() => self.finish_transfer(done).await?,
                () = running => {}
            }
        }
        let permit = loop {
            let permit = self.permits.clone().acquire_many_owned(weight(&file));
            tokio::select! {
                biased;
                Some(done) = self.running.join_next() => self.finish_transfer(done).await?,
                permit = permit => break permit,
            }
        };
        let operations = self.operations.clone();
        self.running.spawn(async move {
            // Held until the transfer ends.
            let _permit = permit;
            let number = file.number;
            (number, operations.transfer(file, placement).await)
        });
        Ok(())
    }

    async fn finish_transfer(
        &mut self,
        done: Result<(i64, Result<Option<u64>, ClientError>), JoinError>,
    ) -> Result<(), ClientError> {
        let (number, done) = joined(done.map(Ok))??;
        self.finish_item(number, done.as_ref().copied());
        match done {
            Ok(None) => self.summary.same += 1,
            Ok(Some(bytes)) => {
                self.summary.moved += 1;
                self.summary.bytes += bytes;
            }
            Err(error) => self.fail(error).await,
        }
        Ok(())
    }

    fn finish_item(&self, number: i64, outcome: Result<Option<u64>, &ClientError>) {
        if let Some(transfer) = self.transfer() {
            transfer.files.finish(u64::try_from(number).unwrap_or(0), outcome);
        }
    }

    async fn fail(&mut self, failure: ClientError) {
        self.is_aborted |= affects_all(&failure);
        self.outcomes.add_failure(failure).await;
    }

    /// Sets the times of all folders: a folder after its subfolders.
    async fn set_folder_times(&self) -> Result<(), ClientError> {
        if self.is_aborted {
            return Ok(());
        }
        let mut number = None;
        loop {
            let folders = self.plan.with(move |plan| plan.folders_before(number)).await?;
            let Some(last) = folders.last() else { return Ok(()) };
            number = Some(last.number);
            let exists = |folder: &PlanItem| {
                matches!(folder.state, PlanItemState::New | PlanItemState::Same)
            };
            self.operations.set_folder_times(folders.into_iter().filter(exists).collect()).await?;
        }
    }
}
