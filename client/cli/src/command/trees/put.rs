//! `put` of folders: planned from what is here, compared with the server's lists, many small files at once.

mod kept;
mod leave;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quiver_protocol::text::display_safe;
use quiver_protocol::{FilePath, FolderPath, Refusal, RefusalCode};
use quiver_transfer::DiskPool;
use quiver_transport::StreamError;

use self::leave::{Away, Missing};
use super::collect::{Collector, Inside, Note};
use super::course::{Course, Voice, Way as _, Will};
use super::report::Room;
use super::{Planner, entry};
use crate::cli;
use crate::command::get::passing;
use crate::command::put::{NOT_STORED, Store, target, unreadable};
use crate::command::tally::Tally;
use crate::connection::Hold;
use crate::failure::{Exit, Failure};
use quiver_client::action;
use quiver_client::journal::{self, Direction};
use quiver_client::tree::{
    Decision, Found, Item, Kind, Odd, Oddity, Plan, PlanError, State, Trunk,
};

/// What was ordered.
#[derive(Debug)]
pub(crate) struct PutTrees {
    trunks: Vec<Arc<Trunk>>,
    named: Vec<Named>,
    to: FolderPath,
    will: Will,
    /// What it takes to ask for the same again; `None` where that cannot be written down.
    tree: Option<journal::Tree>,
    recursive: bool,
}

/// Something that was named.
#[derive(Debug)]
enum Named {
    /// A file or a folder, under a name.
    One(Found),
    /// What is in a folder, without the folder: its number.
    Contents(u32),
}

/// What was found here and is not in the plan.
#[derive(Default)]
struct Strange {
    failures: Vec<Failure>,
    /// Links and the like, as people see them, and what they are.
    left_out: Vec<(PathBuf, &'static str)>,
}

/// Why a folder here was not read to its end.
enum Unread {
    Odd(Odd),
    Plan(PlanError),
}

impl PutTrees {
    /// Checks everything that can be checked here. What was typed is named from the folder `from`; nothing is
    /// the current one.
    ///
    /// # Errors
    /// [`Failure`]: nothing was dialled.
    pub(crate) fn prepare(
        arguments: &cli::Put,
        to: FolderPath,
        from: &Path,
    ) -> Result<Self, Failure> {
        let mut trunks = Vec::new();
        let mut known: HashMap<PathBuf, u32> = HashMap::new();
        let mut named = Vec::new();
        for file in &arguments.files {
            let failed = |error| unreadable(file, error);
            let here = from.join(file);
            // A folder that a link leads to is one all the same where it was named.
            let is_link = here.symlink_metadata().map_err(failed)?.is_symlink();
            let real = if is_link { here.canonicalize().map_err(failed)? } else { here };
            // The current folder, one above it, the root: they have no name of their own.
            let has_name = is_link || file.file_name().is_some();
            let below = real.parent().filter(|_| has_name && real.file_name().is_some());
            let base = below.unwrap_or(&real).to_owned();
            let trunk = if let Some(number) = known.get(&base) {
                *number
            } else {
                let number = u32::try_from(trunks.len()).unwrap_or(u32::MAX);
                trunks.push(Arc::new(Trunk::open(&base).map_err(failed)?));
                known.insert(base, number);
                number
            };
            let name = real.file_name().filter(|_| has_name);
            named.push(Self::named(arguments, &to, file, name, trunk, &trunks)?);
        }
        let will = Will::of(&arguments.many, arguments.overwrite);
        let recursive = arguments.many.recursive;
        let typed = arguments.files.iter().map(|file| file.to_str().map(str::to_owned));
        let tree = typed.collect::<Option<_>>().zip(current(from)).map(|(named, folder)| {
            let (to, stored_as) = (to.clone(), arguments.stored_as.clone());
            journal::Tree { named, folder, to, stored_as, recursive, differing: will.said() }
        });
        Ok(Self { trunks, named, to, will, tree, recursive })
    }

    fn named(
        arguments: &cli::Put,
        to: &FolderPath,
        typed: &Path,
        name: Option<&OsStr>,
        trunk: u32,
        trunks: &[Arc<Trunk>],
    ) -> Result<Named, Failure> {
        let is_a_folder = || Failure::NotAFile { path: typed.to_owned(), is: "a folder" };
        let Some(name) = name else {
            return if arguments.many.recursive {
                Ok(Named::Contents(trunk))
            } else {
                Err(is_a_folder())
            };
        };
        let target = target(to, typed, arguments.stored_as.as_deref())?;
        let what = || format!("cannot put {}", display_safe(&typed.to_string_lossy()));
        let source = name.to_str().map(FilePath::parse);
        let Some(source) = source else {
            let why = format!("{}: its name is not UTF-8", what());
            return Err(Failure::usage(why, "another name, here, would do"));
        };
        let source = source.map_err(|rule| Failure::refused(what(), Refusal::from(rule)))?;
        let kind =
            trunks[trunk as usize].named(&source).map_err(|error| unreadable(typed, error))?;
        match kind {
            Ok(Kind::Folder { .. }) if !arguments.many.recursive => Err(is_a_folder()),
            Ok(kind) => Ok(Named::One(Found { trunk, source, target, kind })),
            Err(is) => Err(Failure::NotAFile { path: typed.to_owned(), is }),
        }
    }

    /// Plans, and does it.
    ///
    /// # Errors
    /// [`Failure`]; [`Failure::Several`] where some of several failed.
    pub(crate) async fn run(self, store: Store) -> Result<(), Failure> {
        let planner = Planner::new().await?;
        let strange = self.gather(&planner).await?;
        let files = planner.work(|plan| plan.files()).await?;
        let failed = strange.failures.len();
        let asked = usize::try_from(files).unwrap_or(usize::MAX).saturating_add(failed);
        let mut tally = Tally::new(store.output.clone(), asked, NOT_STORED);
        for (path, is) in &strange.left_out {
            let path = path.to_string_lossy();
            store.output.say(format!("{}: left out, it is {is}", display_safe(&path))).await;
        }
        for failure in strange.failures {
            tally.failed(failure).await;
        }
        let is_there = self.look(&store, &planner).await?;
        if self.will.is_dry_run() {
            kept::look(&store, &planner, &self.trunks).await?;
        }
        let to = self.to.clone();
        let missing = (self.recursive && !is_there).then(|| Arc::new(Missing::new(to)));
        let room = room(&store).await?;
        let voice = Voice::of(&store.output, store.json, &store.pace);
        let left_out = strange.left_out.len() as u64;
        let overwrite = self.will.said() == Some(Decision::Replace);
        let (trunks, disk_pool) = (Arc::new(self.trunks), DiskPool::default());
        let way = Away { store, trunks, disk_pool, missing, overwrite };
        let tree = self.tree.map(|tree| entry(Direction::Put, way.link(), tree));
        let course = Course::new(way, planner, voice, tally, tree);
        let shown = |item: &Item| item.found.target.to_string();
        let does_not_fit = |why: String| {
            let refusal = Refusal::new(RefusalCode::NoSpace, why);
            Failure::refused("cannot put the files", refusal)
        };
        course.go(self.will, room, left_out, shown, does_not_fit).await
    }

    /// Puts what is here into the plan.
    async fn gather(&self, planner: &Planner) -> Result<Strange, Failure> {
        let mut strange = Strange::default();
        for named in &self.named {
            match named {
                Named::One(found) => {
                    let found = found.clone();
                    planner.work(move |plan| plan.add(&found, &State::New)).await?;
                }
                Named::Contents(trunk) => {
                    let (source, target) = (FolderPath::ROOT, self.to.clone());
                    self.list(planner, *trunk, source, target, &mut strange).await?;
                }
            }
        }
        let mut number = 0;
        loop {
            let folder = planner.work(move |plan| plan.next_folder(number)).await?;
            let Some(Item { number: next, found, .. }) = folder else { return Ok(strange) };
            number = next;
            let (source, target) = (FolderPath::from(found.source), FolderPath::from(found.target));
            self.list(planner, found.trunk, source, target, &mut strange).await?;
        }
    }

    async fn list(
        &self,
        planner: &Planner,
        number: u32,
        source: FolderPath,
        target: FolderPath,
        strange: &mut Strange,
    ) -> Result<(), Failure> {
        let trunk = self.trunks[number as usize].clone();
        let listed = planner.work(move |plan| {
            let mut odd = Vec::new();
            let end = trunk.list(number, &source, &target, |entry| {
                match entry {
                    Ok(found) => drop(plan.add(&found, &State::New).map_err(Unread::Plan)?),
                    Err(entry) => odd.push(entry),
                }
                Ok(())
            });
            match end {
                Ok(()) => {}
                Err(Unread::Odd(unreadable)) => odd.push(unreadable),
                Err(Unread::Plan(error)) => return Err(error),
            }
            Ok(odd)
        });
        for odd in listed.await? {
            strange.add(odd);
        }
        Ok(())
    }

    /// Looks at what the server has where the files are to go; whether it has that folder at all.
    async fn look(&self, store: &Store, planner: &Planner) -> Result<bool, Failure> {
        let trunks = self.trunks.clone();
        let note: Note = Arc::new(move |plan: &mut Plan, there: Found| {
            let Some(Item { number, found, .. }) = plan.at(&there.target)? else { return Ok(()) };
            let mut state = compare(found.kind, there.kind);
            // A file system that does not tell sizes gives 0 for files that are not empty.
            if is_empty_file(found.kind) && matches!(there.kind, Kind::File { .. }) {
                let has_content = trunks[found.trunk as usize].has_content(&found.source);
                // What cannot be read is told when it is to move.
                state = match (has_content.unwrap_or(false), is_empty_file(there.kind)) {
                    (true, true) => State::Differs,
                    (true, false) => State::Alike,
                    (false, _) => state,
                };
            }
            plan.set(number, &state)
        });
        let link = store.link.clone();
        let collector =
            Collector { link, planner: planner.clone(), note, patience: store.patience };
        let listed = collector.folder(self.to.clone(), &mut Inside(self.to.clone())).await;
        match listed {
            Err(failure) if failure.exit() == Exit::NotFound => return Ok(false),
            listed => listed.map(drop)?,
        }
        let mut number = 0;
        loop {
            let folder = planner.work(move |plan| plan.next_folder(number)).await?;
            let Some(folder) = folder else { return Ok(true) };
            number = folder.number;
            if folder.state == State::Same {
                let there = FolderPath::from(folder.found.target);
                collector.folder(there.clone(), &mut Inside(there)).await?;
            }
        }
    }
}

impl Strange {
    fn add(&mut self, Odd { path, oddity }: Odd) {
        let shown = path.to_string_lossy();
        let what = format!("cannot put {}", display_safe(&shown));
        match oddity {
            Oddity::Kind(is) => self.left_out.push((path, is)),
            Oddity::Name(rule) => {
                self.failures.push(Failure::refused(what, Refusal::from(rule)));
            }
            Oddity::NotUtf8 => {
                let why = format!("{what}: its name is not UTF-8");
                let hint = "put FILE --as NAME stores it under another name";
                self.failures.push(Failure::usage(why, hint));
            }
            Oddity::Unreadable(error) => self.failures.push(unreadable(&path, error)),
        }
    }
}

/// A folder from the root; nothing is the current one.
fn current(folder: &Path) -> Option<PathBuf> {
    if folder.is_absolute() { Some(folder.to_owned()) } else { std::env::current_dir().ok() }
}

fn is_empty_file(kind: Kind) -> bool {
    matches!(kind, Kind::File { size: 0, .. })
}

/// How something here compares to what the server has in its place.
fn compare(here: Kind, there: Kind) -> State {
    match (here, there) {
        (Kind::Folder { .. }, Kind::Folder { .. }) => State::Same,
        (Kind::Folder { .. }, Kind::File { .. }) => {
            State::Blocked("a file stands there".to_owned())
        }
        (Kind::File { .. }, Kind::Folder { .. }) => {
            State::Blocked("a folder stands there".to_owned())
        }
        (Kind::File { size: 0, .. }, Kind::File { size: 0, .. }) => State::Same,
        (Kind::File { size: here, .. }, Kind::File { size: there, .. }) if here == there => {
            State::Alike
        }
        (Kind::File { .. }, Kind::File { .. }) => State::Differs,
    }
}

/// What the server has room for.
async fn room(store: &Store) -> Result<Room, Failure> {
    let mut hold = Hold::new(store.patience);
    loop {
        let line = store.link.line();
        let what = "cannot ask what fits";
        let error = match action::space(&line.connection, line.patience).await {
            Ok(space) => return Ok(Room { free: space.available, largest: space.max_file_size }),
            Err(error) => error,
        };
        let why: StreamError = match passing(&line, error).await {
            Ok(why) => why,
            Err(error) => return Err(Failure::stream(what, error)),
        };
        match store.link.again(&line.connection, &why, &mut hold).await {
            Ok(()) => {}
            Err(None) => return Err(Failure::stream(what, why)),
            Err(Some(failure)) => return Err(failure),
        }
    }
}

impl From<Odd> for Unread {
    fn from(odd: Odd) -> Self {
        Self::Odd(odd)
    }
}
