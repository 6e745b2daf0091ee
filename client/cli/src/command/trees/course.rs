//! A plan, carried out: folders first, then what is in them, many small files at once. The same for both
//! directions.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use quiver_protocol::FilePath;
use quiver_transfer::ThreadLoad;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::compare::compare;
use super::report::{self, Room};
use super::{AT_ONCE, Planner, weight};
use crate::cli;
use crate::command::tally::{Tally, ended, is_shared};
use crate::connection::Link;
use crate::failure::Failure;
use crate::output::human::{self, Summary};
use crate::output::{Output, Pace, Total, json};
use quiver_client::journal::{Entry, Share, TreeRecord};
use quiver_client::tree::{Decision, Item, Kind, State};

/// A direction: how what is planned gets where it goes.
pub(super) trait Way: Clone + Send + Sync + 'static {
    /// What is said of files that have moved.
    const DONE: &'static str;

    /// What moves from now on shows in one bar.
    fn share(&mut self, bar: Total);

    /// The way to the server.
    fn link(&self) -> &Link;

    /// How long a lost server is waited for.
    fn patience(&self) -> Duration;

    /// Where a file is on the server, or will be.
    fn remote<'a>(&self, file: &'a Item) -> &'a FilePath;

    /// The file here, to be read. Blocks.
    ///
    /// # Errors
    /// What the system says.
    fn read(&self, file: &Item) -> io::Result<File>;

    /// Makes a folder that is not there.
    fn make_folder(&self, folder: &Item) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Gives folders the time of their last change, once nothing changes in them any more.
    fn date_folders(&self, folders: Vec<Item>) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Moves a file; how many bytes it has. `None` where it was to go beside another, and is there.
    fn carry(
        &self,
        file: Item,
        manner: Manner,
    ) -> impl Future<Output = Result<Option<u64>, Failure>> + Send;

    /// Why something does not move.
    fn blocked(&self, item: &Item, why: &str) -> Failure;

    /// The same of a file that differs from one that is to stay.
    fn exists(&self, item: &Item) -> Failure;
}

/// Where a file goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Where nothing is.
    Free,
    /// Into the place of another.
    Replace,
    /// Beside another, under a name that nothing has.
    Beside,
}

/// What all directions need to tell how it goes.
#[derive(Clone)]
pub(super) struct Voice {
    pub(super) output: Output,
    pub(super) json: bool,
    pub(super) pace: Arc<Mutex<Pace>>,
}

/// What the person wants.
#[derive(Debug, Clone, Copy)]
pub(super) struct Will {
    /// Only to know what would be done.
    dry_run: bool,
    /// What becomes of files that differ, where that was said.
    said: Option<Decision>,
}

impl Will {
    pub(super) fn of(many: &cli::Many, overwrite: bool) -> Self {
        Self { dry_run: many.dry_run, said: many.said(overwrite) }
    }

    /// Whether nothing is to move.
    pub(super) fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// What was said of files that differ.
    pub(super) fn said(&self) -> Option<Decision> {
        self.said
    }
}

impl Voice {
    pub(super) fn of(output: &Output, json: bool, pace: &Arc<Mutex<Pace>>) -> Self {
        Self { output: output.clone(), json, pace: pace.clone() }
    }
}

/// A plan under way.
pub(super) struct Course<W> {
    way: W,
    planner: Planner,
    voice: Voice,
    tally: Tally,
    /// What is written down of it; `None` where that cannot be.
    entry: Option<Entry>,
    summary: Summary,
    running: JoinSet<Result<Option<u64>, Failure>>,
    /// What may be on its way at once.
    lanes: Arc<Semaphore>,
    /// Whether all that has not begun would fail in the same way.
    ends: bool,
}

impl<W: Way> Course<W> {
    pub(super) fn new(
        way: W,
        planner: Planner,
        voice: Voice,
        tally: Tally,
        entry: Option<Entry>,
    ) -> Self {
        Self {
            way,
            planner,
            voice,
            tally,
            entry,
            summary: Summary::default(),
            running: JoinSet::new(),
            lanes: Arc::new(Semaphore::new(AT_ONCE as usize)),
            ends: false,
        }
    }

    /// From the plan to its end: what is alike is compared, what would be done is shown, or else what differs
    /// is decided, and all of it done. `left_out` counts what was found and is not in the plan.
    ///
    /// # Errors
    /// [`Failure`]; [`Failure::Several`] where some of several failed.
    pub(super) async fn go(
        mut self,
        will: Will,
        room: Room,
        left_out: u64,
        shown: impl Fn(&Item) -> String + Send + Sync,
        does_not_fit: impl FnOnce(String) -> Failure + Send,
    ) -> Result<(), Failure> {
        self.summary.left_out = left_out;
        compare(&self.way, &self.planner).await?;
        if will.dry_run {
            if let Some(decision) = will.said {
                self.planner.work(move |plan| plan.decide_all(decision)).await?;
            }
            let Voice { output, json, .. } = &self.voice;
            report::show(&self.planner, output, *json, room, shown).await?;
            return self.tally.result();
        }
        self.planner.decide(will.said, &self.voice.output, shown).await?;
        if let Some(why) = report::does_not_fit(&self.planner, room).await? {
            return Err(does_not_fit(why));
        }
        self.run().await
    }

    /// Everything that is to move. Ends with a line for the person, or an object for a program.
    async fn run(mut self) -> Result<(), Failure> {
        let (began, watch) = (Instant::now(), ThreadLoad::begin());
        let moving = self.planner.work(|plan| plan.moving()).await?;
        let mut record = self.record();
        // What is over at once is not worth it.
        if let Some(record) = record.as_mut().filter(|_| moving.files > 0) {
            record.begin().await;
        }
        let name = format!("{} files", moving.files);
        self.way.share(self.voice.output.bars().total(&name, moving.bytes));
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
        let (took, is_busy) = (began.elapsed(), watch.is_busy());
        self.summary.failed = self.tally.failures() as u64;
        let Voice { output, json, pace } = self.voice;
        // Its bar goes before the last words.
        drop(self.way);
        if json {
            output.data(json::line(&json::Summed::new(&self.summary)) + "\n").await?;
        } else {
            output.say(human::summary(&self.summary, W::DONE, took)).await;
        }
        self.tally.say_pace(&pace, took, is_busy).await;
        if !self.ends {
            if let Some(record) = record {
                record.done();
            }
            return self.tally.result();
        }
        // The rest was not even begun.
        let share = record.filter(TreeRecord::is_written).map(|_| Share::Several);
        self.tally.result().map_err(|failure| match failure {
            several @ Failure::Several { .. } => several.goes_on(share),
            one => one,
        })
    }

    fn record(&mut self) -> Option<TreeRecord> {
        let (entry, link) = (self.entry.take()?, self.way.link());
        Some(TreeRecord::new(link.journal(), link.unfinished(), entry))
    }

    async fn item(&mut self, item: Item) -> Result<(), Failure> {
        if matches!(item.found.kind, Kind::Folder { .. }) {
            return self.folder(&item).await;
        }
        let manner = match (&item.state, item.decision) {
            _ if self.ends => {
                self.tally.skipped(1);
                return Ok(());
            }
            (State::Same, _) => {
                self.summary.same += 1;
                return Ok(());
            }
            (State::Blocked(why), _) => {
                self.failed(self.way.blocked(&item, why)).await;
                return Ok(());
            }
            (State::New | State::Begun(_), _) => Manner::Free,
            (State::Alike | State::Differs, Some(Decision::Replace)) => Manner::Replace,
            (State::Alike | State::Differs, Some(Decision::KeepBoth)) => Manner::Beside,
            (State::Alike | State::Differs, Some(Decision::Skip)) => {
                self.summary.kept += 1;
                return Ok(());
            }
            (State::Alike | State::Differs, None) => {
                self.failed(self.way.exists(&item)).await;
                return Ok(());
            }
        };
        self.start(item, manner).await
    }

    async fn folder(&mut self, folder: &Item) -> Result<(), Failure> {
        let made = match &folder.state {
            _ if self.ends => Ok(()),
            State::New => self.way.make_folder(folder).await,
            State::Blocked(why) => Err(self.way.blocked(folder, why)),
            _ => Ok(()),
        };
        if let Err(failure) = made {
            self.tally.one_more();
            self.failed(failure).await;
        }
        Ok(())
    }

    /// Begins as soon as there is a lane.
    async fn start(&mut self, file: Item, manner: Manner) -> Result<(), Failure> {
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
            // Nobody closes the semaphore.
            let _lane = lane;
            way.carry(file, manner).await
        });
        Ok(())
    }

    async fn done(
        &mut self,
        done: Result<Result<Option<u64>, Failure>, JoinError>,
    ) -> Result<(), Failure> {
        match ended(done)? {
            Ok(None) => self.summary.same += 1,
            Ok(Some(bytes)) => {
                self.summary.moved += 1;
                self.summary.bytes += bytes;
            }
            Err(failure) => self.failed(failure).await,
        }
        Ok(())
    }

    async fn failed(&mut self, failure: Failure) {
        self.ends |= is_shared(&failure);
        self.tally.failed(failure).await;
    }

    /// Those in a folder before it.
    async fn date_folders(&self) -> Result<(), Failure> {
        if self.ends {
            return Ok(());
        }
        let mut number = None;
        loop {
            let folders = self.planner.work(move |plan| plan.folders_before(number)).await?;
            let Some(last) = folders.last() else { return Ok(()) };
            number = Some(last.number);
            let there = |folder: &Item| matches!(folder.state, State::New | State::Same);
            self.way.date_folders(folders.into_iter().filter(there).collect()).await?;
        }
    }
}
