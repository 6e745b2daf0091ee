//! `get`: several files at once, each to a place that was settled before anything was asked for.

mod fetch;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cap_std::fs::Dir;
use quiver_protocol::text::display_safe;
use quiver_protocol::{FilePath, Refusal};
use quiver_transport::content::{Replace, is_part_name};
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::fetch::Fetch;
pub(super) use self::fetch::passing;
use crate::action::{GetError, Got, Target};
use crate::cli;
use crate::connection::Link;
use crate::failure::{Exit, Failure};
use crate::journal::Entry;
use crate::limit::Limit;
use crate::output::human::{self, Pace};
use crate::output::{Face, Output};
use crate::unix;

/// Files on their way at once: enough to hide a round trip per file, few enough for chat to pass.
pub(super) const AT_ONCE: usize = 4;

/// What is over sooner needs no word about its speed.
const WORTH_A_PACE: Duration = Duration::from_secs(1);

/// How a file's arrival is said to a person.
pub type Receipt = Arc<dyn Fn(&FilePath, Got) -> String + Send + Sync>;

/// Who would be asked where nobody can be.
pub type Nobody = fn(&str) -> std::future::Ready<Result<bool, Failure>>;

/// Nobody can be asked.
pub const NOBODY: Option<Nobody> = None;

/// Files to fetch and where to put them.
#[derive(Debug)]
pub struct Order {
    items: Vec<Item>,
    limit: Option<Limit>,
    /// Targets that exist and that the person wants to keep.
    kept: Vec<PathBuf>,
    manner: Manner,
}

/// How files are fetched.
#[derive(Debug, Clone, Copy)]
struct Manner {
    json: bool,
    /// Start over, whatever is here.
    anew: bool,
    /// How long a lost server is waited for.
    patience: Duration,
}

#[derive(Debug, Clone)]
struct Item {
    path: FilePath,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    /// A folder, the name in it, and the path as people see it.
    File(Target, PathBuf),
    Stdout,
}

impl Order {
    /// Checks everything that can be checked here: the paths, the folder, the names in it. `replace`
    /// is asked whether a file that exists may be replaced; `None` where nobody can be asked.
    ///
    /// # Errors
    /// [`Failure`]: nothing was asked of the server.
    pub async fn prepare(
        arguments: &cli::Get,
        mut replace: Option<impl AsyncFnMut(&str) -> Result<bool, Failure>>,
    ) -> Result<Self, Failure> {
        let paths: Vec<FilePath> =
            arguments.paths.iter().map(|typed| parse(typed)).collect::<Result<_, _>>()?;
        let manner = Manner {
            json: arguments.json,
            anew: arguments.no_resume,
            patience: Duration::from_secs(arguments.hold.patience),
        };
        let mut kept = Vec::new();
        let limit = arguments.limit.map(Limit::new);
        if arguments.output == Path::new("-") {
            if manner.json {
                let what = "--json and the content cannot share standard output";
                return Err(Failure::usage(what, "-o DIR stores the files"));
            }
            let item = |path| Item { path, place: Place::Stdout };
            return Ok(Self { items: paths.into_iter().map(item).collect(), limit, kept, manner });
        }
        let mut names = HashSet::new();
        if let Some(twice) = paths.iter().find(|path| !names.insert(path.file_name())) {
            let what = format!("two files would be stored as {}", display_safe(twice.file_name()));
            return Err(Failure::usage(what, "fetch one of them with -o into another folder"));
        }
        let (folder, root) = open(&arguments.output)?;
        let mut items = Vec::new();
        for path in paths {
            let name = path.file_name().to_owned();
            let shown = if arguments.output == Path::new(".") {
                PathBuf::from(&name)
            } else {
                arguments.output.join(&name)
            };
            let taken = is_taken(&folder, &name, &shown)?;
            if taken && !arguments.overwrite {
                let Some(ask) = &mut replace else { return Err(Failure::Exists(shown)) };
                let question = format!("{} exists already. Replace it? [y/N] ", shown.display());
                if !ask(&question).await? {
                    kept.push(shown);
                    continue;
                }
            }
            // Where nothing stood a moment ago, nothing is replaced.
            let replace = if taken { Replace::Existing } else { Replace::Never };
            let target = Target { folder: folder.clone(), path: root.join(&name), name, replace };
            items.push(Item { path, place: Place::File(target, shown) });
        }
        Ok(Self { items, limit, kept, manner })
    }

    /// The same for files that were asked for earlier: each goes on to where it was to go. Also those
    /// that cannot, with the reason.
    #[must_use]
    pub fn of_entries(entries: &[Entry], arguments: &cli::Resume) -> (Self, Vec<Failure>) {
        let (mut items, mut failed) = (Vec::new(), Vec::new());
        for entry in entries {
            match Item::of_entry(entry) {
                Ok(item) => items.push(item),
                Err(failure) => failed.push(failure),
            }
        }
        let patience = Duration::from_secs(arguments.hold.patience);
        let manner = Manner { json: arguments.json, anew: false, patience };
        (Self { items, limit: None, kept: Vec::new(), manner }, failed)
    }

    /// Where the files go, from the root.
    pub fn targets(&self) -> impl Iterator<Item = &Path> {
        self.items.iter().filter_map(|item| match &item.place {
            Place::File(target, _) => Some(target.path.as_path()),
            Place::Stdout => None,
        })
    }

    /// How many files were asked for.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.items.len() + self.kept.len()
    }

    /// Why there is nothing to fetch, where that is so: the person keeps every file they have.
    #[must_use]
    pub fn nothing_to_do(&self) -> Option<Failure> {
        let kept = self.kept.first().filter(|_| self.items.is_empty())?;
        Some(Failure::Exists(kept.clone()))
    }

    /// Whether the content goes to standard output.
    #[must_use]
    pub fn is_streamed(&self) -> bool {
        self.items.iter().any(|item| matches!(item.place, Place::Stdout))
    }

    /// Fetches the files. Of several each is reported when it is done; one alone is the result.
    ///
    /// # Errors
    /// [`Failure`]; [`Failure::Several`] where some of several failed. Dropped before it is done,
    /// what has arrived so far is there for the next attempt.
    pub fn fetch(
        self,
        link: &Link,
        output: Output,
        receipt: Receipt,
    ) -> impl Future<Output = Result<(), Failure>> + Send + use<> {
        let limit = self.limit.as_ref().map(Limit::rate);
        let fetch = Fetch {
            link: link.clone(),
            output,
            receipt,
            json: self.manner.json,
            patience: self.manner.patience,
            anew: self.manner.anew,
            alone: self.asked() == 1,
            pace: Arc::new(Mutex::new(Pace { limit, ..Pace::default() })),
            limit: self.limit.clone(),
        };
        self.run(fetch)
    }

    async fn run(self, fetch: Fetch) -> Result<(), Failure> {
        let (asked, output) = (self.asked(), fetch.output.clone());
        let (pace, began, processor) = (fetch.pace.clone(), Instant::now(), unix::processor_time());
        // One after the other where they share a pipe.
        let at_once = if self.is_streamed() { 1 } else { AT_ONCE };
        let mut tally = Tally::new(output, asked, "files did not arrive");
        for kept in self.kept {
            tally.failed(Failure::Exists(kept)).await;
        }
        let mut waiting = self.items.into_iter();
        let mut running = JoinSet::new();
        let mut lost = false;
        loop {
            while !lost
                && running.len() < at_once
                && let Some(item) = waiting.next()
            {
                let fetch = fetch.clone();
                running.spawn(async move { fetch.one(&item).await });
            }
            let Some(done) = running.join_next().await else { break };
            match done {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => {
                    // What was not begun would only fail in the same way.
                    lost |= failure.is_lost_connection() || matches!(failure, Failure::Output(_));
                    tally.failed(failure).await;
                }
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                // The runtime is going down.
                Err(_) => return Err(Failure::Interrupted),
            }
        }
        tally.skipped(waiting.len());
        let processor = unix::processor_time().saturating_sub(processor);
        tally.say_pace(&pace, began.elapsed(), processor).await;
        tally.result()
    }
}

/// What became of several files.
pub(super) struct Tally {
    output: Output,
    asked: usize,
    /// What is said of those that failed.
    what: &'static str,
    failed: usize,
    exits: Vec<Exit>,
    last: Option<Failure>,
}

impl Tally {
    pub(super) fn new(output: Output, asked: usize, what: &'static str) -> Self {
        Self { output, asked, what, failed: 0, exits: Vec::new(), last: None }
    }

    /// So many were not even begun.
    pub(super) fn skipped(&mut self, count: usize) {
        self.failed += count;
    }

    /// One of several is reported at once, a single one is left to the caller.
    pub(super) async fn failed(&mut self, failure: Failure) {
        self.failed += 1;
        self.exits.push(failure.exit());
        if self.asked > 1 {
            self.output.failure(&failure).await;
        }
        self.last = Some(failure);
    }

    /// Where nobody else talks, and there was something to wait for.
    pub(super) async fn say_pace(&self, pace: &Mutex<Pace>, took: Duration, processor: Duration) {
        if self.output.face() == Face::Prompt || took < WORTH_A_PACE {
            return;
        }
        let sum = *pace.lock().unwrap_or_else(PoisonError::into_inner);
        if sum.received > 0 {
            self.output.say(human::pace(&Pace { took, processor, ..sum })).await;
        }
    }

    pub(super) fn result(self) -> Result<(), Failure> {
        let Some(last) = self.last else { return Ok(()) };
        if self.asked == 1 || matches!(last, Failure::Output(_)) {
            return Err(last);
        }
        let (failed, asked, what) = (self.failed, self.asked, self.what);
        Err(Failure::Several { failed, asked, what, exit: together(&self.exits, failed == asked) })
    }
}

/// The exit code of several failures: their own where they are all and alike.
pub(super) fn together(exits: &[Exit], all: bool) -> Exit {
    match exits {
        _ if !all => Exit::Partial,
        [first, rest @ ..] if rest.iter().all(|exit| exit == first) => *first,
        _ => Exit::Other,
    }
}

fn explain(item: &Item, error: GetError) -> Failure {
    match (&item.place, error) {
        (Place::Stdout, GetError::Disk(error)) => Failure::Output(error),
        (Place::File(_, shown), GetError::Disk(source)) => {
            if source.kind() == io::ErrorKind::AlreadyExists {
                Failure::Exists(shown.clone())
            } else {
                Failure::Target { path: shown.clone(), source }
            }
        }
        (place, source) => {
            let path = item.path.to_string();
            Failure::Get { path, source, streamed: matches!(place, Place::Stdout) }
        }
    }
}

fn parse(typed: &str) -> Result<FilePath, Failure> {
    FilePath::parse(typed).map_err(|rule| {
        Failure::refused(format!("cannot get {}", display_safe(typed)), Refusal::from(rule))
    })
}

impl Item {
    /// What was asked for in an earlier run, checked as if it were asked for now.
    fn of_entry(entry: &Entry) -> Result<Self, Failure> {
        let shown = entry.local.clone();
        let failed = |source| Failure::Target { path: entry.local.clone(), source };
        let (Some(parent), Some(name)) = (shown.parent(), shown.file_name()) else {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        };
        let name = name.to_str().map(FilePath::parse).and_then(Result::ok);
        let name = name.filter(|name| name.parts().count() == 1);
        let name = name.ok_or_else(|| failed(io::ErrorKind::InvalidFilename.into()))?.to_string();
        let (folder, root) = open(parent)?;
        if root.join(&name) != entry.local {
            return Err(failed(io::Error::other("its folder has moved")));
        }
        let taken = is_taken(&folder, &name, &shown)?;
        if taken && !entry.overwrite {
            return Err(Failure::Exists(shown));
        }
        let replace = if taken { Replace::Existing } else { Replace::Never };
        let target = Target { folder, path: root.join(&name), name, replace };
        Ok(Self { path: entry.path.clone(), place: Place::File(target, shown) })
    }
}

/// A folder, and its path from the root.
fn open(path: &Path) -> Result<(Arc<Dir>, PathBuf), Failure> {
    let failed = |source| Failure::Target { path: path.to_owned(), source };
    let folder = Dir::open_ambient_dir(path, cap_std::ambient_authority()).map_err(failed)?;
    Ok((Arc::new(folder), path.canonicalize().map_err(failed)?))
}

/// Whether something stands under the name: a folder there can never be replaced by a file.
fn is_taken(folder: &Dir, name: &str, shown: &Path) -> Result<bool, Failure> {
    let failed = |source| Failure::Target { path: shown.to_owned(), source };
    if is_part_name(name) {
        return Err(failed(io::Error::other("such names are kept for files on their way")));
    }
    match folder.symlink_metadata(name) {
        Ok(metadata) if metadata.is_dir() => Err(failed(io::ErrorKind::IsADirectory.into())),
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests;
