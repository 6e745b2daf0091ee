//! `get`: several files at once, each to a place that was settled before anything was asked for.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cap_std::fs::Dir;
use quiver_protocol::text::display_safe;
use quiver_protocol::{FilePath, Refusal};
use quiver_transport::Connection;
use quiver_transport::content::{Replace, is_part_name};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::action::{self, GetError, Got, Target};
use crate::cli;
use crate::connection::Session;
use crate::failure::{Exit, Failure};
use crate::limit::{Gate, Limit};
use crate::output::{Output, json};
use crate::unix;

/// Files on their way at once: enough to hide a round trip per file, few enough for chat to pass.
pub(super) const AT_ONCE: usize = 4;

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
    json: bool,
    limit: Option<Limit>,
    /// Targets that exist and that the person wants to keep.
    kept: Vec<PathBuf>,
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
        let (json, mut kept) = (arguments.json, Vec::new());
        let limit = arguments.limit.map(Limit::new);
        if arguments.output == Path::new("-") {
            if json {
                let what = "--json and the content cannot share standard output";
                return Err(Failure::usage(what, "-o DIR stores the files"));
            }
            let item = |path| Item { path, place: Place::Stdout };
            return Ok(Self { items: paths.into_iter().map(item).collect(), json, limit, kept });
        }
        let mut names = HashSet::new();
        if let Some(twice) = paths.iter().find(|path| !names.insert(path.file_name())) {
            let what = format!("two files would be stored as {}", display_safe(twice.file_name()));
            return Err(Failure::usage(what, "fetch one of them with -o into another folder"));
        }
        let folder = Arc::new(open(&arguments.output)?);
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
            let target = Target { folder: folder.clone(), name, replace };
            items.push(Item { path, place: Place::File(target, shown) });
        }
        Ok(Self { items, json, limit, kept })
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
    /// what has not arrived is gone.
    pub fn fetch(
        self,
        session: &Session,
        output: Output,
        receipt: Receipt,
    ) -> impl Future<Output = Result<(), Failure>> + Send + use<> {
        let fetch = Fetch {
            connection: session.connection.clone(),
            patience: session.patience,
            permits: session.content.clone(),
            output,
            receipt,
            json: self.json,
            limit: self.limit.clone(),
        };
        self.run(fetch)
    }

    async fn run(self, fetch: Fetch) -> Result<(), Failure> {
        let (asked, output) = (self.asked(), fetch.output.clone());
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
        tally.result()
    }
}

/// What all files of an order have in common.
#[derive(Clone)]
struct Fetch {
    connection: Connection,
    patience: Duration,
    permits: Arc<Semaphore>,
    output: Output,
    receipt: Receipt,
    json: bool,
    limit: Option<Limit>,
}

impl Fetch {
    async fn one(&self, item: &Item) -> Result<(), Failure> {
        let path = &item.path;
        let result = self.content(item).await;
        let got = result.map_err(|error| explain(item, error))?;
        if self.json {
            let target = match &item.place {
                Place::File(_, shown) => shown.display().to_string(),
                Place::Stdout => String::new(),
            };
            let file = json::File { path, size: got.size, blake3: got.blake3, target };
            self.output.data(json::line(&file) + "\n").await
        } else {
            self.output.say((self.receipt)(path, got)).await;
            Ok(())
        }
    }

    async fn content(&self, item: &Item) -> Result<Got, GetError> {
        // Nobody closes the semaphore.
        let _permit = self.permits.acquire().await;
        let content = action::get(&self.connection, &item.path, self.patience).await?;
        let mut bar = self.output.bars().bar(item.path.as_str(), content.size());
        let (gate, mut before) = (Gate::default(), 0);
        let progress = |bytes: u64| {
            bar.at(bytes);
            if let Some(limit) = &self.limit {
                gate.close_until(limit.take(bytes.saturating_sub(before)));
                before = bytes;
            }
        };
        match &item.place {
            Place::File(target, _) => gate.pass(content.store(target, progress)).await,
            Place::Stdout => {
                let stdout = unix::raw_stdout().map_err(GetError::Disk)?;
                gate.pass(content.pour(stdout, progress)).await
            }
        }
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
fn together(exits: &[Exit], all: bool) -> Exit {
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

fn open(path: &Path) -> Result<Dir, Failure> {
    Dir::open_ambient_dir(path, cap_std::ambient_authority())
        .map_err(|source| Failure::Target { path: path.to_owned(), source })
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
