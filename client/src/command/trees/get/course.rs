//! A plan, carried out: folders first, then what is in them, many small files at once.

use std::io::{self, Write as _};
use std::sync::Arc;

use cap_std::fs::Dir;
use quiver_protocol::text::display_safe;
use quiver_transport::content::{Finish, PartFile, Replace};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use crate::action::{self, GetError, Got, Target};
use crate::command::get::{Fetch, Item as File, Place as Goal, explain, passing};
use crate::command::tally::{Tally, ended, is_shared};
use crate::command::trees::{AT_ONCE, Planner, is_small, on_a_thread, weight};
use crate::failure::Failure;
use crate::journal::{self, Direction};
use crate::output::human::{self, Summary};
use crate::output::json;
use crate::tree::{Decision, Item, Kind, Place, State, another_name};
use crate::unix;

/// More copies of one name than this nobody wants.
const COPIES: u32 = 1000;

/// Under way.
pub(super) struct Course {
    fetch: Fetch,
    planner: Planner,
    tally: Tally,
    pub(super) summary: Summary,
    running: JoinSet<Result<u64, Failure>>,
    /// What may be on its way at once.
    lanes: Arc<Semaphore>,
    /// The folder that the last file went to: most follow in the same one.
    folder: Option<(String, Arc<Dir>)>,
    /// Whether all that has not begun would fail in the same way.
    ends: bool,
}

/// A file on its way to its place.
struct OnItsWay {
    fetch: Fetch,
    place: Arc<Place>,
    item: Item,
    target: Target,
    /// Whether it gets a name that nothing has.
    beside: bool,
}

impl Course {
    pub(super) fn new(fetch: Fetch, planner: Planner, tally: Tally) -> Self {
        Self {
            fetch,
            planner,
            tally,
            summary: Summary::default(),
            running: JoinSet::new(),
            lanes: Arc::new(Semaphore::new(AT_ONCE as usize)),
            folder: None,
            ends: false,
        }
    }

    /// One file after the other to standard output, each verified.
    pub(super) async fn pour(mut self) -> Result<(), Failure> {
        let mut number = 0;
        loop {
            let items = self.planner.after(number).await?;
            let Some(last) = items.last() else { return self.tally.result() };
            number = last.number;
            for item in items {
                if self.ends {
                    self.tally.skipped(1);
                    continue;
                }
                let file = File { path: item.found.source, place: Goal::Stdout };
                if let Err(failure) = self.fetch.one(&file).await {
                    self.failed(failure).await;
                }
            }
        }
    }

    /// Everything that is to move. Ends with a line for the person, or an object for a program.
    pub(super) async fn run(mut self, place: Arc<Place>) -> Result<(), Failure> {
        let (began, processor) = (Instant::now(), unix::processor_time());
        let moving = self.planner.work(|plan| plan.moving()).await?;
        let name = format!("{} files", moving.files);
        self.fetch.total = Some(self.fetch.output.bars().total(&name, moving.bytes));
        let mut number = 0;
        loop {
            let items = self.planner.after(number).await?;
            let Some(last) = items.last() else { break };
            number = last.number;
            for item in items {
                self.item(item, &place).await?;
            }
        }
        while let Some(done) = self.running.join_next().await {
            self.done(done).await?;
        }
        self.date_folders(&place).await?;
        let took = began.elapsed();
        // The bar goes before the last words.
        self.fetch.total = None;
        if self.fetch.json {
            self.fetch.output.data(json::line(&json::Summed::new(&self.summary)) + "\n").await?;
        } else {
            self.fetch.output.say(human::summary(&self.summary, "received", took)).await;
        }
        let processor = unix::processor_time().saturating_sub(processor);
        self.tally.say_pace(&self.fetch.pace, took, processor).await;
        self.tally.result()
    }

    async fn item(&mut self, item: Item, place: &Arc<Place>) -> Result<(), Failure> {
        let target = item.found.target.clone();
        let failed = |source| Failure::Target { path: place.shown(&target), source };
        if matches!(item.found.kind, Kind::Folder { .. }) {
            let made = match &item.state {
                _ if self.ends => return Ok(()),
                State::New => {
                    let (place, target) = (place.clone(), target.clone());
                    on_a_thread(move || Ok(place.make_folder(&target))).await?
                }
                State::Blocked(why) => Err(io::Error::other(why.clone())),
                _ => Ok(()),
            };
            if let Err(error) = made {
                self.tally.one_more();
                self.failed(failed(error)).await;
            }
            return Ok(());
        }
        let (replace, beside) = match (&item.state, item.decision) {
            _ if self.ends => {
                self.summary.failed += 1;
                self.tally.skipped(1);
                return Ok(());
            }
            (State::Same, _) => {
                self.summary.same += 1;
                return Ok(());
            }
            (State::Blocked(why), _) => {
                self.failed(failed(io::Error::other(why.clone()))).await;
                return Ok(());
            }
            (State::New | State::Begun(_), _) => (Replace::Never, false),
            (State::Alike | State::Differs, Some(Decision::Replace)) => (Replace::Existing, false),
            (State::Alike | State::Differs, Some(Decision::KeepBoth)) => (Replace::Never, true),
            (State::Alike | State::Differs, Some(Decision::Skip)) => {
                self.summary.kept += 1;
                return Ok(());
            }
            (State::Alike | State::Differs, None) => {
                self.failed(Failure::Exists(place.shown(&target))).await;
                return Ok(());
            }
        };
        let folder = match self.folder(&item, place).await? {
            Ok(folder) => folder,
            Err(error) => {
                self.failed(failed(error)).await;
                return Ok(());
            }
        };
        let name = target.file_name().to_owned();
        let target = Target { folder, name, path: place.absolute(&target), replace };
        self.start(item, target, beside, place).await
    }

    /// The folder that a file goes to.
    async fn folder(
        &mut self,
        item: &Item,
        place: &Arc<Place>,
    ) -> Result<io::Result<Arc<Dir>>, Failure> {
        let target = &item.found.target;
        let above = target.as_str().rsplit_once('/').map_or("", |(above, _)| above);
        if let Some((known, folder)) = &self.folder
            && known == above
        {
            return Ok(Ok(folder.clone()));
        }
        let (place, target) = (place.clone(), target.clone());
        let folder = on_a_thread(move || Ok(place.parent(&target))).await?;
        if let Ok(folder) = &folder {
            self.folder = Some((above.to_owned(), folder.clone()));
        }
        Ok(folder)
    }

    /// Begins as soon as there is a lane.
    async fn start(
        &mut self,
        item: Item,
        target: Target,
        beside: bool,
        place: &Arc<Place>,
    ) -> Result<(), Failure> {
        let lane = loop {
            let lane = self.lanes.clone().acquire_many_owned(weight(&item));
            tokio::select! {
                biased;
                Some(done) = self.running.join_next() => self.done(done).await?,
                lane = lane => break lane,
            }
        };
        let way =
            OnItsWay { fetch: self.fetch.clone(), place: place.clone(), item, target, beside };
        self.running.spawn(async move {
            // Nobody closes the semaphore.
            let _lane = lane;
            way.arrive().await
        });
        Ok(())
    }

    async fn done(&mut self, done: Result<Result<u64, Failure>, JoinError>) -> Result<(), Failure> {
        match ended(done)? {
            Ok(bytes) => {
                self.summary.moved += 1;
                self.summary.bytes += bytes;
            }
            Err(failure) => self.failed(failure).await,
        }
        Ok(())
    }

    async fn failed(&mut self, failure: Failure) {
        self.ends |= is_shared(&failure);
        self.summary.failed += 1;
        self.tally.failed(failure).await;
    }

    /// Folders have the time of their last change once nothing changes in them any more.
    async fn date_folders(&self, place: &Arc<Place>) -> Result<(), Failure> {
        let mut number = None;
        loop {
            let folders = self.planner.work(move |plan| plan.folders_before(number)).await?;
            let Some(last) = folders.last() else { return Ok(()) };
            number = Some(last.number);
            let place = place.clone();
            on_a_thread(move || {
                for Item { found, state, .. } in folders {
                    if let (Kind::Folder { modified }, State::New | State::Same) =
                        (found.kind, state)
                        && let Err(error) = place.date_folder(&found.target, modified)
                    {
                        // A time is a courtesy: what is in the folder is what counts.
                        debug!(folder = found.target.as_str(), %error, "not dated");
                    }
                }
                Ok(())
            })
            .await?;
        }
    }
}

impl OnItsWay {
    /// Bytes of the file that stands at its place now.
    async fn arrive(mut self) -> Result<u64, Failure> {
        let began = Instant::now();
        if self.beside {
            self.step_aside().await?;
        }
        let place = Goal::File(self.target.clone(), self.shown());
        let file = File { path: self.item.found.source.clone(), place };
        let small = is_small(&self.item) && !matches!(self.item.state, State::Begun(_));
        let got = if small { self.small(&file).await? } else { None };
        let (got, received) = match got {
            Some(got) => (got, got.size),
            None => self.fetch.store(&file, &self.target).await?,
        };
        self.fetch.say(&file, got, received, began).await?;
        if self.beside {
            let (here, beside) = (self.place.shown(&self.item.found.target), self.shown());
            let (here, beside) = (here.display().to_string(), beside.display().to_string());
            let said = format!("{} stays, beside {}", display_safe(&here), display_safe(&beside));
            self.fetch.output.say(said).await;
        }
        Ok(got.size)
    }

    fn shown(&self) -> std::path::PathBuf {
        self.place.shown(&self.item.found.target).with_file_name(&self.target.name)
    }

    /// Takes a name that nothing has.
    async fn step_aside(&mut self) -> Result<(), Failure> {
        let Target { folder, name, .. } = self.target.clone();
        let shown = self.shown();
        let free = on_a_thread(move || {
            for copy in 2..COPIES {
                let name = another_name(&name, copy);
                match folder.symlink_metadata(&name) {
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(name),
                    Err(source) => return Err(Failure::Target { path: shown, source }),
                }
            }
            Err(Failure::Exists(shown))
        });
        self.target.name = free.await?;
        self.target.path.set_file_name(&self.target.name);
        Ok(())
    }

    /// A small file in one go, from one stream into memory, and from there under its name in one visit to the
    /// disk. `None` where it takes the long way: it has grown, something of it is here, or its connection was
    /// lost.
    async fn small(&self, file: &File) -> Result<Option<Got>, Failure> {
        let line = self.fetch.link.line();
        let small = async {
            let path = &file.path;
            let mut content = action::get(&line.connection, path, None, line.patience).await?;
            if !content.is_small() {
                return Ok(None);
            }
            let (bytes, got) = content.take().await?;
            if !self.store(bytes, content.finish()).await.map_err(GetError::Disk)? {
                return Ok(None);
            }
            content.acknowledge(got).await;
            Ok(Some(got))
        };
        let got = match small.await {
            Ok(Some(got)) => got,
            Ok(None) => return Ok(None),
            Err(GetError::Stream(error)) => {
                return match passing(&line, error).await {
                    Ok(_) => Ok(None),
                    Err(error) => Err(explain(file, error.into())),
                };
            }
            Err(error) => return Err(explain(file, error)),
        };
        if let Some(total) = &self.fetch.total {
            total.grow(got.size);
        }
        if let Some(limit) = &self.fetch.limit {
            sleep_until(limit.take(got.size)).await;
        }
        Ok(Some(got))
    }

    /// Whether it is under its name now; not, where an earlier attempt has left something.
    async fn store(&self, bytes: Vec<u8>, finish: Finish) -> io::Result<bool> {
        let target = self.target.clone();
        let server = self.fetch.link.origin().fingerprint;
        let id = journal::id(Direction::Get, server, &self.item.found.source, &target.path);
        let (fetch, size) = (self.fetch.clone(), bytes.len() as u64);
        let stored = on_a_thread(move || {
            let began = std::time::Instant::now();
            let mut part = match PartFile::create(&target.folder, id) {
                Ok(part) => part,
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::AlreadyExists | io::ErrorKind::WouldBlock
                    ) =>
                {
                    return Ok(Ok(false));
                }
                Err(error) => return Ok(Err(error)),
            };
            let stored = part
                .write_all(&bytes)
                .and_then(|()| part.commit(&target.name, target.replace, finish));
            fetch.came(size, began.elapsed());
            Ok(stored.map(|()| true))
        });
        // The runtime is going down where the thread did not do it.
        stored.await.unwrap_or_else(|failure| Err(io::Error::other(failure.to_string())))
    }
}
