//! A plan, carried out: folders first, then what is in them, many small files at once. The same for both
//! directions.

use std::sync::Arc;

use parking_lot::Mutex;
use quiver_transfer::ThreadLoad;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::compare::compare;
use super::decide::decide;
use super::dry_run::{self, SpaceNeeded};
use super::{AT_ONCE, Placement, TreeTransfer, weight};
use crate::error::ClientError;
use crate::journal::{JournalEntry, TreeRecord, UnfinishedShare};
use crate::outcomes::{Outcomes, is_shared};
use crate::planner::Planner;
use crate::progress::TotalProgressMeter;
use crate::reporter::Reporter;
use crate::request::TransferOptions;
use crate::tasks::joined;
use crate::throughput::ThroughputMeter;
use crate::transfers::{Transfer, TransferEvent, TransferState, TransferSummary};
use crate::tree::{Decision, ItemKind, PlanItem, PlanItemState};

/// A plan that is carried out.
pub(crate) struct Executor<W> {
    way: W,
    planner: Planner,
    reporter: Reporter,
    throughput: Arc<Mutex<ThroughputMeter>>,
    outcomes: Outcomes,
    /// What is written down of it; `None` where that cannot be.
    entry: Option<JournalEntry>,
    summary: TransferSummary,
    /// With the number of each.
    running: JoinSet<(i64, Result<Option<u64>, ClientError>)>,
    /// What may move at once.
    lanes: Arc<Semaphore>,
    /// Whether all that has not begun would fail in the same way.
    ends: bool,
}

impl<W: TreeTransfer> Executor<W> {
    pub(crate) fn new(
        way: W,
        planner: Planner,
        throughput: Arc<Mutex<ThroughputMeter>>,
        outcomes: Outcomes,
        entry: Option<JournalEntry>,
    ) -> Self {
        Self {
            reporter: way.context().reporter.clone(),
            way,
            planner,
            throughput,
            outcomes,
            entry,
            summary: TransferSummary::default(),
            running: JoinSet::new(),
            lanes: Arc::new(Semaphore::new(AT_ONCE as usize)),
            ends: false,
        }
    }

    /// From the plan to its end: what is alike is compared, what would be done is shown, or else what differs
    /// is decided, and all of it done. `left_out` counts what was found and is not in the plan.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::Several`] where some of several failed.
    pub(crate) async fn go(
        mut self,
        options: &TransferOptions,
        room: SpaceNeeded,
        left_out: u64,
        shown: impl Fn(&PlanItem) -> String + Send + Sync,
        does_not_fit: impl FnOnce(String) -> ClientError + Send,
    ) -> Result<(), ClientError> {
        self.summary.left_out = left_out;
        if let Some(transfer) = self.transfer() {
            transfer.files.plan(self.planner.clone());
        }
        compare(&self.way, &self.planner).await?;
        if options.dry_run {
            if let Some(decision) = options.on_conflict.decision() {
                self.planner.work(move |plan| plan.decide_all(decision)).await?;
            }
            dry_run::tell(&self.planner, &self.reporter, room, shown).await?;
            return self.outcomes.result();
        }
        decide(&self.planner, options.on_conflict, &self.reporter, shown).await?;
        if let Some(why) = dry_run::does_not_fit(&self.planner, room).await? {
            return Err(does_not_fit(why));
        }
        self.run().await
    }

    fn transfer(&self) -> Option<&Transfer> {
        self.reporter.transfer()
    }

    /// Everything that is to move, and the summary.
    async fn run(mut self) -> Result<(), ClientError> {
        let (began, load) = (Instant::now(), ThreadLoad::start());
        let moving = self.planner.work(|plan| plan.moving()).await?;
        let mut record = self.record();
        // What is over at once is not worth it.
        if let Some(record) = record.as_mut().filter(|_| moving.files > 0) {
            record.begin().await;
        }
        if let Some(transfer) = self.transfer() {
            transfer.counters.set_files(moving.files);
            transfer.counters.set_bytes(moving.bytes);
        }
        self.reporter.phase(TransferState::Running).await;
        let (total, progress) =
            TotalProgressMeter::new(&format!("{} files", moving.files), moving.bytes);
        self.reporter.event(TransferEvent::Started(progress)).await;
        self.way.count(total);
        let mut number = 0;
        loop {
            let items = self.planner.after(number).await?;
            let Some(last) = items.last() else { break };
            number = last.number;
            for item in items {
                self.item(item).await?;
            }
        }
        while let Some(done) = self.running.join_next().await {
            self.done(done).await?;
        }
        self.date_folders().await?;
        let (took, is_busy) = (began.elapsed(), load.is_busy());
        self.summary.failed = self.outcomes.failures() as u64;
        self.summary.took = took;
        // Its progress is over before the last words.
        drop(self.way);
        self.reporter.event(TransferEvent::Summary(self.summary)).await;
        self.outcomes.tell_throughput(&self.throughput, took, is_busy).await;
        if !self.ends {
            if let Some(record) = record {
                record.done();
            }
            return self.outcomes.result();
        }
        // The rest was not even begun.
        let share = record.filter(TreeRecord::is_written).map(|_| UnfinishedShare::Several);
        self.outcomes.result().map_err(|error| match error {
            several @ ClientError::Several { .. } => several.resumable(share),
            one => one,
        })
    }

    fn record(&mut self) -> Option<TreeRecord> {
        let (entry, session) = (self.entry.take()?, &self.way.context().session);
        Some(TreeRecord::new(session.journal(), session.unfinished(), entry))
    }

    async fn item(&mut self, item: PlanItem) -> Result<(), ClientError> {
        if matches!(item.found.kind, ItemKind::Folder { .. }) {
            return self.folder(&item).await;
        }
        let placement = match (&item.state, item.decision) {
            _ if self.ends => {
                self.outcomes.skipped(1);
                return Ok(());
            }
            (PlanItemState::Same, _) => {
                self.summary.same += 1;
                self.settle(item.number, true, None);
                return Ok(());
            }
            (PlanItemState::Blocked(why), _) => {
                self.settle(item.number, false, None);
                self.failed(self.way.blocked(&item, why)).await;
                return Ok(());
            }
            (PlanItemState::New | PlanItemState::Begun(_), _) => Placement::Free,
            (PlanItemState::Alike | PlanItemState::Differs, Some(Decision::Replace)) => {
                Placement::Replace
            }
            (PlanItemState::Alike | PlanItemState::Differs, Some(Decision::KeepBoth)) => {
                Placement::Beside
            }
            (PlanItemState::Alike | PlanItemState::Differs, Some(Decision::Skip)) => {
                self.summary.kept += 1;
                self.settle(item.number, true, None);
                return Ok(());
            }
            (PlanItemState::Alike | PlanItemState::Differs, None) => {
                self.settle(item.number, false, None);
                self.failed(self.way.exists(&item)).await;
                return Ok(());
            }
        };
        self.start(item, placement).await
    }

    async fn folder(&mut self, folder: &PlanItem) -> Result<(), ClientError> {
        if self.ends {
            return Ok(());
        }
        let made = match &folder.state {
            PlanItemState::New => self.way.make_folder(folder).await,
            PlanItemState::Blocked(why) => Err(self.way.blocked(folder, why)),
            _ => Ok(()),
        };
        self.settle(folder.number, made.is_ok(), None);
        if let Err(failure) = made {
            self.outcomes.one_more();
            self.failed(failure).await;
        }
        Ok(())
    }

    /// Begins as soon as there is a lane, and the transfer is not paused.
    async fn start(&mut self, file: PlanItem, placement: Placement) -> Result<(), ClientError> {
        while self.transfer().is_some_and(|transfer| transfer.control.is_paused()) {
            let reporter = self.reporter.clone();
            let running = async {
                if let Some(transfer) = reporter.transfer() {
                    transfer.control.running().await;
                }
            };
            tokio::select! {
                biased;
                Some(done) = self.running.join_next() => self.done(done).await?,
                () = running => {}
            }
        }
        let lane = loop {
            let lane = self.lanes.clone().acquire_many_owned(weight(&file));
            tokio::select! {
                biased;
                Some(done) = self.running.join_next() => self.done(done).await?,
                lane = lane => break lane,
            }
        };
        let way = self.way.clone();
        self.running.spawn(async move {
            // The semaphore is never closed.
            let _lane = lane;
            let number = file.number;
            (number, way.transfer(file, placement).await)
        });
        Ok(())
    }

    async fn done(
        &mut self,
        done: Result<(i64, Result<Option<u64>, ClientError>), JoinError>,
    ) -> Result<(), ClientError> {
        let (number, done) = joined(done.map(Ok))??;
        self.settle(number, done.is_ok(), done.as_ref().ok().copied().flatten());
        match done {
            Ok(None) => self.summary.same += 1,
            Ok(Some(bytes)) => {
                self.summary.moved += 1;
                self.summary.bytes += bytes;
            }
            Err(error) => self.failed(error).await,
        }
        Ok(())
    }

    fn settle(&self, number: i64, is_done: bool, size: Option<u64>) {
        if let Some(transfer) = self.transfer() {
            transfer.files.settle(u64::try_from(number).unwrap_or(0), is_done, size);
        }
    }

    async fn failed(&mut self, failure: ClientError) {
        self.ends |= is_shared(&failure);
        self.outcomes.failed(failure).await;
    }

    /// Those in a folder before it.
    async fn date_folders(&self) -> Result<(), ClientError> {
        if self.ends {
            return Ok(());
        }
        let mut number = None;
        loop {
            let folders = self.planner.work(move |plan| plan.folders_before(number)).await?;
            let Some(last) = folders.last() else { return Ok(()) };
            number = Some(last.number);
            let there = |folder: &PlanItem| {
                matches!(folder.state, PlanItemState::New | PlanItemState::Same)
            };
            self.way.date_folders(folders.into_iter().filter(there).collect()).await?;
        }
    }
}
