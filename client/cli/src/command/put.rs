//! `put`: several files at once, each checked here before anything is dialled.

mod store;

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use quiver_protocol::text::{display_path, display_safe};
use quiver_protocol::{FilePath, FolderPath, Refusal};
use quiver_transfer::ThreadLoad;
use tokio::time::Instant;

pub(super) use self::store::Store;
use super::folder;
use super::get::AT_ONCE;
use super::tally::Tally;
use super::trees::PutTrees;
use crate::cli;
use crate::connection::{Link, Session};
use crate::failure::Failure;
use crate::output::{Output, Pace};
use quiver_client::action::{self, Listed, PutError, Stored};
use quiver_client::journal::{self, OneFile};
use quiver_client::tree::{Decision, Trunk};
use quiver_client::unix;
use quiver_transfer::RateLimit;

/// What is said of files that failed.
pub(super) const NOT_STORED: &str = "files were not stored";

/// How a stored file is said to a person.
pub type StoredReceipt = Arc<dyn Fn(&FilePath, Stored) -> String + Send + Sync>;

/// Files to store on the server.
#[derive(Debug)]
pub struct Upload {
    work: Work,
    folder: FolderPath,
    overwrite: bool,
    resume: bool,
    /// Whether an earlier run has begun it.
    again: bool,
    json: bool,
    /// How long a lost server is waited for.
    patience: Duration,
    limit: Option<RateLimit>,
    /// Files that exist on the server and that the person wants to keep.
    kept: Vec<FilePath>,
}

#[derive(Debug)]
enum Work {
    /// Each was named.
    Files(Vec<Item>),
    /// What folders hold.
    Trees(PutTrees),
}

/// A file, and where it goes.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) origin: Origin,
    pub(super) path: FilePath,
    pub(super) replace: bool,
}

/// Where a file comes from.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    /// As it was typed.
    File(PathBuf),
    /// Below a folder that was typed.
    Below(Arc<Trunk>, FilePath),
    Stdin,
}

impl Upload {
    /// Checks everything that can be checked here: the files, their names, the folder's.
    ///
    /// # Errors
    /// [`Failure`]: nothing was dialled.
    pub fn prepare(arguments: &cli::Put) -> Result<Self, Failure> {
        let to = folder(&arguments.to).map_err(|refusal| {
            Failure::refused(format!("cannot put into {}", display_safe(&arguments.to)), refusal)
        })?;
        let from_input = arguments.files.iter().any(|file| file == Path::new("-"));
        if from_input && arguments.files.len() > 1 {
            let what = "standard input and files cannot be put together";
            return Err(Failure::usage(what, "two commands can; ./- is a file called -"));
        }
        if from_input && arguments.stored_as.is_none() {
            let what = "what comes from standard input has no name";
            return Err(Failure::usage(what, "put - --as NAME gives it one"));
        }
        if arguments.stored_as.is_some() && arguments.files.len() > 1 {
            let what = "--as names one file, and there are several";
            return Err(Failure::usage(what, "put them one by one"));
        }
        if arguments.many.takes_a_plan() {
            if from_input {
                let what = "standard input takes no plan: it is what it is";
                return Err(Failure::usage(what, "put - --as NAME stores it"));
            }
            // As it is typed, so that what is said of it is.
            let trees = PutTrees::prepare(arguments, to.clone(), Path::new(""))?;
            return Ok(Self::of(arguments, to, Work::Trees(trees)));
        }
        let mut items = Vec::new();
        for file in &arguments.files {
            let origin = if from_input { Origin::Stdin } else { Origin::File(file.clone()) };
            if let Origin::File(file) = &origin {
                open(file)?;
            }
            let path = target(&to, file, arguments.stored_as.as_deref())?;
            items.push(Item { origin, path, replace: arguments.overwrite });
        }
        let mut paths = HashSet::new();
        if let Some(twice) = items.iter().find(|item| !paths.insert(&item.path)) {
            let what =
                format!("two files would be stored as {}", display_safe(twice.path.as_str()));
            return Err(Failure::usage(what, "put one of them with --to into another folder"));
        }
        Ok(Self::of(arguments, to, Work::Files(items)))
    }

    /// For files that were begun earlier: each goes on to where it was to go. Also those that cannot, with the
    /// reason.
    #[must_use]
    pub fn of_files<'a>(
        files: impl Iterator<Item = &'a OneFile>,
        arguments: &cli::Resume,
    ) -> (Self, Vec<Failure>) {
        let (mut items, mut failed) = (Vec::new(), Vec::new());
        for file in files {
            let origin = Origin::File(file.local.clone());
            match open(&file.local) {
                Ok(_) => {
                    items.push(Item { origin, path: file.path.clone(), replace: file.overwrite });
                }
                Err(failure) => failed.push(failure),
            }
        }
        let put = again(arguments);
        let upload = Self::of(&put, FolderPath::ROOT, Work::Files(items));
        (Self { again: true, ..upload }, failed)
    }

    /// The same for a tree: what it holds is planned anew, and what the server has stays.
    ///
    /// # Errors
    /// [`Failure`]: nothing was dialled.
    pub fn of_tree(tree: &journal::Tree, arguments: &cli::Resume) -> Result<Self, Failure> {
        let put = cli::Put {
            files: tree.named.iter().map(PathBuf::from).collect(),
            many: cli::Many::of(tree.recursive, tree.differing),
            to: tree.to.as_str().to_owned(),
            stored_as: tree.stored_as.clone(),
            overwrite: tree.differing == Some(Decision::Replace),
            ..again(arguments)
        };
        let trees = PutTrees::prepare(&put, tree.to.clone(), &tree.folder)?;
        Ok(Self::of(&put, tree.to.clone(), Work::Trees(trees)))
    }

    fn of(arguments: &cli::Put, folder: FolderPath, work: Work) -> Self {
        Self {
            work,
            folder,
            overwrite: arguments.overwrite,
            resume: !arguments.no_resume,
            again: false,
            json: arguments.json,
            patience: Duration::from_secs(arguments.hold.patience),
            limit: arguments.limit.map(RateLimit::new),
            kept: Vec::new(),
        }
    }

    fn items(&self) -> &[Item] {
        match &self.work {
            Work::Files(items) => items,
            Work::Trees(_) => &[],
        }
    }

    /// Makes sure that the server takes files from this client, and asks about those that exist there
    /// already. Where nobody can be asked, the server refuses them.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn settle(
        &mut self,
        session: &Session,
        ask: Option<impl AsyncFnMut(&str) -> Result<bool, Failure>>,
    ) -> Result<(), Failure> {
        may_change(session, "cannot put files")?;
        let Some(mut ask) = ask.filter(|_| !self.overwrite) else { return Ok(()) };
        let there = self.there(session).await;
        let Work::Files(items) = &mut self.work else { return Ok(()) };
        for mut item in std::mem::take(items) {
            if there.contains(&item.path) {
                let shown = display_safe(item.path.as_str()).into_owned();
                let question = format!("{shown} exists on the server already. Replace it? [y/N] ");
                if !ask(&question).await? {
                    self.kept.push(item.path);
                    continue;
                }
                item.replace = true;
            }
            items.push(item);
        }
        Ok(())
    }

    /// Which of the files exist. Where the folder cannot be listed, the put itself says why.
    async fn there(&self, session: &Session) -> HashSet<FilePath> {
        let mut there = HashSet::new();
        let Some(last) = self.items().iter().map(|item| &item.path).max() else { return there };
        let asked = action::list(&session.connection, self.folder.clone(), session.patience).await;
        let Ok(mut entries) = asked else { return there };
        while let Ok(Listed::Entry(entry)) = entries.next().await {
            // They come in order.
            if entry.path > *last {
                break;
            }
            if self.items().iter().any(|item| item.path == entry.path) {
                there.insert(entry.path);
            }
        }
        there
    }

    /// How many files are to be stored, those too that the person keeps; several, where nobody knows yet.
    #[must_use]
    pub fn asked(&self) -> usize {
        match &self.work {
            Work::Files(items) => items.len() + self.kept.len(),
            Work::Trees(_) => usize::MAX,
        }
    }

    /// Whether the content comes from standard input.
    #[must_use]
    pub fn is_streamed(&self) -> bool {
        self.items().iter().any(|item| matches!(item.origin, Origin::Stdin))
    }

    /// Why there is nothing to store, where that is so: the person keeps what the server has.
    #[must_use]
    pub fn nothing_to_do(&self) -> Option<Failure> {
        let kept = self.kept.first().filter(|_| self.items().is_empty())?;
        Some(Failure::kept(kept))
    }

    /// Stores the files. Of several each is reported when it is done; one alone is the result.
    ///
    /// # Errors
    /// [`Failure`]; [`Failure::Several`] where some of several failed. Dropped before it is done, the
    /// server keeps what it has for the next attempt.
    pub fn store(
        self,
        link: &Link,
        output: Output,
        receipt: StoredReceipt,
    ) -> impl Future<Output = Result<(), Failure>> + Send + use<> {
        let limit = self.limit.as_ref().map(RateLimit::rate);
        let store = Store {
            link: link.clone(),
            output,
            receipt: Some(receipt).filter(|_| matches!(self.work, Work::Files(_))),
            total: None,
            json: self.json,
            resume: self.resume,
            patience: self.patience,
            again: self.again,
            alone: self.asked() == 1,
            pace: Arc::new(Mutex::new(Pace::within(limit))),
            limit: self.limit.clone(),
        };
        self.run(store)
    }

    async fn run(self, store: Store) -> Result<(), Failure> {
        if !self.is_streamed() {
            store.link.note_what_is_not_kept(journal::Direction::Put).await;
        }
        let asked = self.asked();
        let items = match self.work {
            Work::Trees(trees) => return trees.run(store).await,
            Work::Files(items) => items,
        };
        let (pace, began, watch) = (store.pace.clone(), Instant::now(), ThreadLoad::begin());
        let mut tally = Tally::new(store.output.clone(), asked, NOT_STORED);
        for kept in &self.kept {
            tally.failed(Failure::kept(kept)).await;
        }
        let one = |item: Item| {
            let store = store.clone();
            async move { store.one(&item).await.map(drop) }
        };
        tally.all(items, AT_ONCE, one).await?;
        tally.say_pace(&pace, began.elapsed(), watch.is_busy()).await;
        tally.result()
    }
}

/// How what was begun earlier is stored.
fn again(arguments: &cli::Resume) -> cli::Put {
    cli::Put {
        files: Vec::new(),
        many: cli::Many::default(),
        to: String::new(),
        stored_as: None,
        overwrite: false,
        no_resume: false,
        hold: arguments.hold.clone(),
        limit: None,
        json: arguments.json,
    }
}

/// Where a local file will stand.
pub(super) fn target(
    to: &FolderPath,
    file: &Path,
    name: Option<&str>,
) -> Result<FilePath, Failure> {
    let what = format!("cannot put {}", display_path(file));
    let name = match (name, file.file_name()) {
        (Some(name), _) => name,
        (None, Some(own)) => own.to_str().ok_or_else(|| {
            let why = format!("{what}: its name is not UTF-8");
            Failure::usage(why, "--as NAME stores it under another name")
        })?,
        (None, None) => return Err(Failure::NotAFile { path: file.to_owned(), is: "a folder" }),
    };
    if name.contains('/') {
        let why = format!("{} is a path where a name is expected", display_safe(name));
        return Err(Failure::usage(why, "--to DIR says the folder"));
    }
    to.join(name).map_err(|rule| Failure::refused(what, Refusal::from(rule)))
}

/// Opens a regular file, or what a link leads to.
fn open(path: &Path) -> Result<File, Failure> {
    let failed = |error| unreadable(path, error);
    // Opening some devices does something: they are not even opened.
    is_regular(path, &std::fs::metadata(path).map_err(failed)?)?;
    let file = unix::open_without_waiting(path).map_err(failed)?;
    is_regular(path, &file.metadata().map_err(failed)?)?;
    Ok(file)
}

fn is_regular(path: &Path, metadata: &std::fs::Metadata) -> Result<(), Failure> {
    let refused = |is| Err(Failure::NotAFile { path: path.to_owned(), is });
    unix::kind(metadata).map_or(Ok(()), refused)
}

pub(super) fn unreadable(path: &Path, source: std::io::Error) -> Failure {
    Failure::Source { path: path.to_owned(), source }
}

pub(super) fn explain(item: &Item, error: PutError) -> Failure {
    match (error, &item.origin) {
        (PutError::Source(error), Origin::File(path)) => unreadable(path, error),
        (PutError::Source(error), Origin::Below(trunk, source)) => {
            unreadable(&trunk.shown(source), error)
        }
        (PutError::Source(source), Origin::Stdin) => {
            Failure::Source { path: "standard input".into(), source }
        }
        (source, origin) => Failure::Put { path: shown(origin), source },
    }
}

fn shown(origin: &Origin) -> String {
    origin.path().display().to_string()
}

impl Origin {
    fn path(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Below(trunk, source) => trunk.shown(source),
            Self::Stdin => PathBuf::from("-"),
        }
    }
}

/// Whether the server lets this client change anything.
pub(super) fn may_change(session: &Session, what: &str) -> Result<(), Failure> {
    if session.welcome.upload { Ok(()) } else { Err(Failure::ReadOnly { what: what.to_owned() }) }
}

#[cfg(test)]
mod tests;
