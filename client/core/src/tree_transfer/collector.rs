//! What the server has of a tree: its lists, folder by folder, into a plan.
//!
//! Each name is checked against what was asked for before it is used: a list may only name what lies
//! in its folder, and what a pattern stands for is decided here.

use std::sync::Arc;
use std::time::Duration;

use quiver_protocol::reply::{EntryKind, FolderEntry};
use quiver_protocol::text::display_safe;
use quiver_protocol::{FilePath, FolderPath, ListEnd};
use quiver_transport::StreamError;
use tokio::task::JoinSet;

use crate::error::{ClientError, InvalidRequest};
use crate::exchange::{self, ListItem};
use crate::reconnecting::{ReconnectingSession, RetryDeadline, SessionHandle};
use crate::reporter::Reporter;
use crate::shared_plan::Planner;
use crate::tasks::joined;
use crate::tree::{FoundEntry, ItemKind, Pattern, Plan, PlanError};

/// Entries that are looked at and planned at once.
const AT_ONCE: usize = 512;

/// Folders that a pattern with `**` may have to pass through.
const MOST_FOLDERS: usize = 100_000;

/// What the plan makes of something that the server has. Blocks.
pub(crate) type AddToPlan =
    Arc<dyn Fn(&mut Plan, FoundEntry) -> Result<(), PlanError> + Send + Sync>;

/// Folders that are listed at once.
const LISTS: usize = 3;

/// Collects from one server. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Collector {
    pub(crate) session: ReconnectingSession,
    pub(crate) planner: Planner,
    pub(crate) note: AddToPlan,
    /// How long a lost connection is made again.
    pub(crate) retry_for: Duration,
    pub(crate) reporter: Reporter,
}

/// A folder to look through for a pattern, with the open parts that it was reached with.
struct PatternSearch {
    folder: FolderPath,
    open: Vec<usize>,
}

/// What is done with each part of a list.
pub(crate) trait EntryFilter {
    /// Where an entry goes, if it is wanted.
    fn take(&mut self, entry: &FolderEntry) -> Option<FilePath>;

    /// Whether it remembers more of the entries than it may.
    fn is_full(&self) -> bool {
        false
    }
}

impl Collector {
    /// Puts what `pattern` stands for into the plan, each match under its own name; with `recursive` folders
    /// too, else they are passed over. Whether there was anything.
    ///
    /// Memory grows with the depth of the tree and the number of folders that a `**` passes through, not
    /// with the number of files.
    pub(crate) async fn matches(
        &self,
        pattern: &Pattern,
        recursive: bool,
    ) -> Result<bool, ClientError> {
        let base = pattern.base().clone();
        let mut matching = PatternFilter {
            pattern,
            recursive,
            open: Vec::new(),
            matched: false,
            inner: Vec::new(),
            most: 0,
        };
        let mut searches = vec![PatternSearch { folder: base, open: vec![0] }];
        while let Some(search) = searches.pop() {
            matching.open = search.open;
            matching.most = MOST_FOLDERS.saturating_sub(searches.len());
            self.folder(search.folder, &mut matching).await?;
            searches.append(&mut matching.inner);
        }
        Ok(matching.matched)
    }

    /// Adds what is in the plan's folders, and in theirs. How many names the server does not serve.
    pub(crate) async fn contents(&self) -> Result<u64, ClientError> {
        let (mut number, mut not_served) = (0, 0);
        let mut running = JoinSet::new();
        loop {
            // A list that runs may add folders.
            while running.len() < LISTS
                && let Some(folder) =
                    self.planner.work(move |plan| plan.next_folder(number)).await?
            {
                number = folder.number;
                let this = self.clone();
                running.spawn(async move {
                    let mut inside = WholeFolder(FolderPath::from(folder.found.target));
                    this.folder(FolderPath::from(folder.found.source), &mut inside).await
                });
            }
            let Some(done) = running.join_next().await else { return Ok(not_served) };
            not_served += joined(done)??;
        }
    }

    /// One folder's list, over as many connections as it takes. How many names the server does not serve.
    pub(crate) async fn folder(
        &self,
        folder: FolderPath,
        take: &mut (impl EntryFilter + Send),
    ) -> Result<u64, ClientError> {
        let mut deadline = RetryDeadline::new(self.retry_for);
        let what = || match folder.as_str() {
            "" => "cannot list the files".to_owned(),
            path => format!("cannot list {}", display_safe(path)),
        };
        loop {
            let handle = self.session.handle();
            let error = match self.list(&handle, &folder, take, &mut deadline).await? {
                Ok(end) => return Ok(end.not_served),
                Err(error) => error,
            };
            // What is planned already is not planned twice.
            let renewed =
                self.session.reconnect_after(&handle, error, &mut deadline, &self.reporter);
            let failed = |error| ClientError::stream(what(), error);
            renewed.await.map_err(|not| not.into_client_error(failed))?;
        }
    }

    async fn list(
        &self,
        handle: &SessionHandle,
        folder: &FolderPath,
        take: &mut (impl EntryFilter + Send),
        deadline: &mut RetryDeadline,
    ) -> Result<Result<ListEnd, StreamError>, ClientError> {
        let mut some = Vec::with_capacity(AT_ONCE);
        let entries = exchange::list(&handle.connection, folder.clone(), handle.timeout).await;
        let mut entries = match entries {
            Ok(entries) => entries,
            Err(error) => return Ok(Err(error)),
        };
        loop {
            match entries.next().await {
                Ok(ListItem::Entry(entry)) => {
                    if let Some(target) = take.take(&entry) {
                        let kind = kind(&entry);
                        some.push(FoundEntry { source_root: 0, source: entry.path, target, kind });
                    }
                    if take.is_full() {
                        return Err(InvalidRequest::PatternTooWide.into());
                    }
                    if some.len() == AT_ONCE {
                        self.plan(std::mem::take(&mut some)).await?;
                    }
                }
                Ok(ListItem::End(end)) => {
                    self.plan(some).await?;
                    deadline.reset();
                    return Ok(Ok(end));
                }
                Err(error) => return Ok(Err(error)),
            }
        }
    }

    async fn plan(&self, some: Vec<FoundEntry>) -> Result<(), ClientError> {
        let note = self.note.clone();
        self.planner
            .work(move |plan| some.into_iter().try_for_each(|found| note(plan, found)))
            .await
    }
}

/// Entries that a pattern may stand for.
struct PatternFilter<'a> {
    pattern: &'a Pattern,
    recursive: bool,
    open: Vec<usize>,
    matched: bool,
    /// Folders in which something may match, and how many there may be.
    inner: Vec<PatternSearch>,
    most: usize,
}

impl EntryFilter for PatternFilter<'_> {
    fn is_full(&self) -> bool {
        self.inner.len() > self.most
    }

    fn take(&mut self, entry: &FolderEntry) -> Option<FilePath> {
        let name = entry.path.file_name();
        let depth = self.pattern.depth();
        let mut open: Vec<usize> =
            self.open.iter().flat_map(|&at| self.pattern.next(at, name)).collect();
        open.sort_unstable();
        open.dedup();
        let matches = open.last() == Some(&depth);
        open.retain(|&at| at < depth);
        if entry.kind == EntryKind::Folder && !open.is_empty() {
            self.inner.push(PatternSearch { folder: FolderPath::from(entry.path.clone()), open });
        }
        if !matches || (entry.kind == EntryKind::Folder && !self.recursive) {
            return None;
        }
        self.matched = true;
        // A part of a path is a path.
        FilePath::parse(name).ok()
    }
}

/// Entries of a folder that goes into another, with all that is in it.
pub(crate) struct WholeFolder(pub(crate) FolderPath);

impl EntryFilter for WholeFolder {
    fn take(&mut self, entry: &FolderEntry) -> Option<FilePath> {
        // What is legal in the server's folder is so in one that is not longer.
        self.0.join(entry.path.file_name()).ok()
    }
}

fn kind(entry: &FolderEntry) -> ItemKind {
    match entry.kind {
        EntryKind::Folder => ItemKind::Folder { modified: entry.modified },
        EntryKind::File => ItemKind::File { size: entry.size, modified: entry.modified },
    }
}
