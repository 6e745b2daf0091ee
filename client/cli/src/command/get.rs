//! `get`: several files at once, each to a place that was settled before anything was asked for.

mod fetch;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cap_std::fs::Dir;
use parking_lot::Mutex;
use quiver_protocol::text::{display_path, display_safe};
use quiver_protocol::{FilePath, Refusal};
use quiver_transfer::file_system::stat;
use quiver_transfer::{Replace, ThreadLoad, is_partial_name};
use tokio::time::Instant;

pub(super) use self::fetch::{Fetch, passing};
use super::tally::Tally;
use super::trees::GetTrees;
use crate::cli;
use crate::connection::Link;
use crate::failure::Failure;
use crate::output::{Output, Pace};
use quiver_client::action::{GetError, ReceivedFile, Target};
use quiver_client::journal::{self, OneFile};
use quiver_client::tree::Decision;
use quiver_transfer::RateLimit;

/// Files on their way at once: enough to hide a round trip per file, few enough for chat to pass.
pub(super) const AT_ONCE: usize = 4;

/// What is said of files that failed.
pub(super) const NOT_ARRIVED: &str = "files did not arrive";

/// How a file's arrival is said to a person.
pub type Receipt = Arc<dyn Fn(&FilePath, ReceivedFile) -> String + Send + Sync>;

/// Who would be asked where nobody can be.
pub type Nobody = fn(&str) -> std::future::Ready<Result<bool, Failure>>;

/// Nobody can be asked.
pub const NOBODY: Option<Nobody> = None;

/// Files to fetch and where to put them.
#[derive(Debug)]
pub struct Order {
    work: Work,
    limit: Option<RateLimit>,
    /// Targets that exist and that the person wants to keep.
    kept: Vec<PathBuf>,
    manner: Manner,
}

#[derive(Debug)]
enum Work {
    /// Each was named.
    Files(Vec<Item>),
    /// What folders and patterns hold, once the server has said so.
    Trees(GetTrees),
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

/// A file, and where it goes.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) path: FilePath,
    pub(super) place: Place,
}

/// Where a file goes.
#[derive(Debug, Clone)]
pub(super) enum Place {
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
        let limit = arguments.limit.map(RateLimit::new);
        let manner = Manner {
            json: arguments.json,
            anew: arguments.no_resume,
            patience: Duration::from_secs(arguments.hold.patience),
        };
        if arguments.is_streamed() && manner.json {
            let what = "--json and the content cannot share standard output";
            return Err(Failure::usage(what, "-o DIR stores the files"));
        }
        let mut kept = Vec::new();
        if GetTrees::is_meant(arguments) {
            let work = Work::Trees(GetTrees::prepare(arguments)?);
            return Ok(Self { work, limit, kept, manner });
        }
        let paths: Vec<FilePath> =
            arguments.paths.iter().map(|typed| parse(typed)).collect::<Result<_, _>>()?;
        if arguments.is_streamed() {
            let item = |path| Item { path, place: Place::Stdout };
            let work = Work::Files(paths.into_iter().map(item).collect());
            return Ok(Self { work, limit, kept, manner });
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
                let question =
                    format!("{} exists already. Replace it? [y/N] ", display_path(&shown));
                if !ask(&question).await? {
                    kept.push(shown);
                    continue;
                }
            }
            // Where nothing stood a moment ago, nothing is replaced, unless that was said of whatever is there.
            let may_replace = taken || arguments.overwrite;
            let replace = if may_replace { Replace::Existing } else { Replace::Never };
            let target = Target { folder: folder.clone(), path: root.join(&name), name, replace };
            items.push(Item { path, place: Place::File(target, shown) });
        }
        Ok(Self { work: Work::Files(items), limit, kept, manner })
    }

    /// The same for files that were asked for earlier: each goes on to where it was to go. Also those
    /// that cannot, with the reason.
    #[must_use]
    pub fn of_files<'a>(
        files: impl Iterator<Item = &'a OneFile>,
        arguments: &cli::Resume,
    ) -> (Self, Vec<Failure>) {
        let (mut items, mut failed) = (Vec::new(), Vec::new());
        for file in files {
            match Item::of_file(file) {
                Ok(item) => items.push(item),
                Err(failure) => failed.push(failure),
            }
        }
        let patience = Duration::from_secs(arguments.hold.patience);
        let manner = Manner { json: arguments.json, anew: false, patience };
        (Self { work: Work::Files(items), limit: None, kept: Vec::new(), manner }, failed)
    }

    /// The same for a tree: what it holds is planned anew, and what is here stays.
    ///
    /// # Errors
    /// [`Failure`]: nothing was asked of the server.
    pub fn of_tree(tree: &journal::Tree, arguments: &cli::Resume) -> Result<Self, Failure> {
        let arguments = cli::Get {
            paths: tree.named.clone(),
            many: cli::Many::of(tree.recursive, tree.differing),
            output: tree.folder.clone(),
            overwrite: tree.differing == Some(Decision::Replace),
            json: arguments.json,
            limit: None,
            no_resume: false,
            hold: arguments.hold.clone(),
        };
        let patience = Duration::from_secs(arguments.hold.patience);
        let manner = Manner { json: arguments.json, anew: false, patience };
        let work = Work::Trees(GetTrees::prepare(&arguments)?);
        Ok(Self { work, limit: None, kept: Vec::new(), manner })
    }

    /// Where the files go, from the root.
    pub fn targets(&self) -> impl Iterator<Item = &Path> {
        self.items().iter().filter_map(|item| match &item.place {
            Place::File(target, _) => Some(target.path.as_path()),
            Place::Stdout => None,
        })
    }

    /// How many files were asked for; several, where nobody knows yet.
    #[must_use]
    pub fn asked(&self) -> usize {
        match &self.work {
            Work::Files(items) => items.len() + self.kept.len(),
            Work::Trees(_) => usize::MAX,
        }
    }

    fn items(&self) -> &[Item] {
        match &self.work {
            Work::Files(items) => items,
            Work::Trees(_) => &[],
        }
    }

    /// Why there is nothing to fetch, where that is so: the person keeps every file they have.
    #[must_use]
    pub fn nothing_to_do(&self) -> Option<Failure> {
        let kept = self.kept.first().filter(|_| self.items().is_empty())?;
        Some(Failure::Exists(kept.clone()))
    }

    /// Whether the content goes to standard output.
    #[must_use]
    pub fn is_streamed(&self) -> bool {
        match &self.work {
            Work::Files(items) => items.iter().any(|item| matches!(item.place, Place::Stdout)),
            Work::Trees(trees) => trees.is_streamed(),
        }
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
        let limit = self.limit.as_ref().map(RateLimit::rate);
        let fetch = Fetch {
            link: link.clone(),
            output,
            receipt: Some(receipt).filter(|_| matches!(self.work, Work::Files(_))),
            total: None,
            json: self.manner.json,
            patience: self.manner.patience,
            anew: self.manner.anew,
            alone: self.asked() == 1,
            pace: Arc::new(Mutex::new(Pace::within(limit))),
            limit: self.limit.clone(),
        };
        self.run(fetch)
    }

    async fn run(self, fetch: Fetch) -> Result<(), Failure> {
        if !self.is_streamed() {
            fetch.link.note_what_is_not_kept(journal::Direction::Get).await;
        }
        let asked = self.asked();
        let items = match self.work {
            Work::Trees(trees) => return trees.run(fetch).await,
            Work::Files(items) => items,
        };
        let (pace, began, watch) = (fetch.pace.clone(), Instant::now(), ThreadLoad::begin());
        // One after the other where they share a pipe.
        let is_streamed = items.iter().any(|item| matches!(item.place, Place::Stdout));
        let at_once = if is_streamed { 1 } else { AT_ONCE };
        let mut tally = Tally::new(fetch.output.clone(), asked, NOT_ARRIVED);
        for kept in self.kept {
            tally.failed(Failure::Exists(kept)).await;
        }
        let one = |item: Item| {
            let fetch = fetch.clone();
            async move { fetch.one(&item).await }
        };
        tally.all(items, at_once, one).await?;
        tally.say_pace(&pace, began.elapsed(), watch.is_busy()).await;
        tally.result()
    }
}

pub(super) fn explain(item: &Item, error: GetError) -> Failure {
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
    fn of_file(file: &OneFile) -> Result<Self, Failure> {
        let shown = file.local.clone();
        let failed = |source| Failure::Target { path: file.local.clone(), source };
        let (Some(parent), Some(name)) = (shown.parent(), shown.file_name()) else {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        };
        let name = name.to_str().map(FilePath::parse).and_then(Result::ok);
        let name = name.filter(|name| name.parts().count() == 1);
        let name = name.ok_or_else(|| failed(io::ErrorKind::InvalidFilename.into()))?.to_string();
        let (folder, root) = open(parent)?;
        if root.join(&name) != file.local {
            return Err(failed(io::Error::other("its folder has moved")));
        }
        let taken = is_taken(&folder, &name, &shown)?;
        if taken && !file.overwrite {
            return Err(Failure::Exists(shown));
        }
        let replace = if file.overwrite { Replace::Existing } else { Replace::Never };
        let target = Target { folder, path: root.join(&name), name, replace };
        Ok(Self { path: file.path.clone(), place: Place::File(target, shown) })
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
    if is_partial_name(name) {
        return Err(failed(io::Error::other("such names are kept for files on their way")));
    }
    match stat(folder, name) {
        Ok(metadata) if metadata.is_dir() => Err(failed(io::ErrorKind::IsADirectory.into())),
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests;
