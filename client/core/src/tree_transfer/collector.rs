//! Collects the server's files into a plan, folder by folder.
//!
//! Each name is checked before it is used: an entry of a list must lie in the listed folder, and
//! patterns are matched by the client.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quiver_protocol::reply::{EntryKind, FolderEntry};
use quiver_protocol::text::display_safe;
use quiver_protocol::{FolderPath, ListEnd};
use quiver_transport::StreamError;
use tokio::task::JoinSet;

use super::entry_filter::{EntryFilter, WholeFolder};
use super::existence::exists_on_server;
use super::not_served::left_out_of;
use super::pattern_filter::{Matches, PatternFilter};
use crate::error::{ClientError, InvalidRequest};
use crate::exchange::{self, ListItem};
use crate::reconnecting::{ReconnectingSession, RetryDeadline, SessionHandle};
use crate::reporter::Reporter;
use crate::shared_plan::SharedPlan;
use crate::tasks::joined;
use crate::tree::{FoundEntry, ItemKind, LeftOut, Pattern, Plan, PlanError};

/// Entries added to the plan in one call.
const PLAN_BATCH: usize = 512;

/// Adds an entry of the server to the plan. Blocks.
pub(crate) type AddToPlan =
    Arc<dyn Fn(&mut Plan, FoundEntry) -> Result<(), PlanError> + Send + Sync>;

/// Folders listed at once.
const CONCURRENT_LISTS: usize = 3;

/// Collects the files of one server. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Collector {
    pub(crate) listed: ListedEntries,
    pub(crate) session: ReconnectingSession,
    /// How long a list may send nothing; `None` for the timeout of the session.
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) plan: SharedPlan,
    pub(crate) add_to_plan: AddToPlan,
    /// How long to reconnect after a lost connection.
    pub(crate) retry_for: Duration,
    pub(crate) reporter: Reporter,
}

/// The entries of all lists, and their limit. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ListedEntries {
    count: Arc<AtomicU64>,
    max: u64,
}

impl ListedEntries {
    /// None yet, of at most `max`.
    pub(crate) fn new(max: u64) -> Self {
        Self { count: Arc::default(), max }
    }

    fn add_one(&self) -> Result<(), ClientError> {
        if self.count.fetch_add(1, Ordering::Relaxed) < self.max {
            Ok(())
        } else {
            Err(InvalidRequest::PlanTooLarge.into())
        }
    }

    /// Forgets the entries of a list that is requested again.
    fn remove(&self, entries: u64) {
        self.count.fetch_sub(entries, Ordering::Relaxed);
    }
}

impl Collector {
    /// Adds every match of `pattern` to the plan under its own name or `stored_as`; folders only with `recursive`.
    /// A name that is spelled like a part of the pattern is preferred to others that match it.
    /// Returns whether anything matched, and what was left out that would have matched.
    ///
    /// Memory grows with the depth of the tree and the number of folders that a `**` searches, not
    /// with the number of files.
    pub(crate) async fn add_matches(
        &self,
        pattern: &Pattern,
        stored_as: Option<&str>,
        recursive: bool,
    ) -> Result<Matches, ClientError> {
        let mut pattern = pattern.clone();
        while let Some(path) = pattern.literal_path() {
            let Self { session, reporter, retry_for, idle_timeout, .. } = self;
            if !exists_on_server(session, reporter, *retry_for, *idle_timeout, path).await? {
                break;
            }
            pattern = pattern.take_literally();
        }
        let mut filter = PatternFilter::new(&pattern, stored_as, recursive);
        while let Some(folder) = filter.next_folder() {
            let end = self.add_folder(folder.clone(), &mut filter).await?;
            filter.leave_out(&folder, end);
        }
        Ok(filter.into_matches())
    }

    /// Adds the contents of the plan's folders, recursively. Returns what the server does not serve.
    pub(crate) async fn add_contents(&self) -> Result<LeftOut, ClientError> {
        let (mut number, mut left_out) = (0, LeftOut::default());
        let mut running = JoinSet::new();
        loop {
            // A running list may add folders.
            while running.len() < CONCURRENT_LISTS
                && let Some(folder) = self.plan.with(move |plan| plan.next_folder(number)).await?
            {
                number = folder.number;
                let this = self.clone();
                running.spawn(async move {
                    let mut filter = WholeFolder(FolderPath::from(folder.found.target));
                    let source = FolderPath::from(folder.found.source);
                    let end = this.add_folder(source.clone(), &mut filter).await?;
                    Ok(left_out_of(&source, end))
                });
            }
            let Some(done) = running.join_next().await else { return Ok(left_out) };
            left_out.append(joined(done)??);
        }
    }

    /// Adds the entries of one folder that pass the filter, over as many connections as it takes.
    /// Returns the end of the list.
    pub(crate) async fn add_folder(
        &self,
        folder: FolderPath,
        filter: &mut (impl EntryFilter + Send),
    ) -> Result<ListEnd, ClientError> {
        let mut deadline = RetryDeadline::new(self.retry_for);
        let what = || match folder.as_str() {
            "" => "cannot list the files".to_owned(),
            path => format!("cannot list {}", display_safe(path)),
        };
        loop {
            let handle = self.session.handle();
            let error = match self.list_once(&handle, &folder, filter, &mut deadline).await? {
                Ok(end) => return Ok(end),
                Err(error) => error,
            };
            // Entries that are in the plan already are not added again.
            let renewed =
                self.session.reconnect_after(&handle, error, &mut deadline, &self.reporter);
            let failed = |error| ClientError::stream(what(), error);
            renewed.await.map_err(|failure| failure.into_client_error(failed))?;
        }
    }

    async fn list_once(
        &self,
        handle: &SessionHandle,
        folder: &FolderPath,
        filter: &mut (impl EntryFilter + Send),
        deadline: &mut RetryDeadline,
    ) -> Result<Result<ListEnd, StreamError>, ClientError> {
        let mut batch = Vec::with_capacity(PLAN_BATCH);
        let idle_timeout = self.idle_timeout.unwrap_or(handle.timeout);
        let entries = exchange::list(&handle.connection, folder.clone(), idle_timeout).await;
        let mut entries = match entries {
            Ok(entries) => entries,
            Err(error) => return Ok(Err(error)),
        };
        let mut listed = 0;
        loop {
            match entries.next().await {
                Ok(ListItem::Entry(entry)) => {
                    listed += 1;
                    self.listed.add_one()?;
                    if let Some(target) = filter.target(&entry) {
                        let kind = kind(&entry);
                        batch.push(FoundEntry { source_root: 0, source: entry.path, target, kind });
                    }
                    if filter.is_full() {
                        return Err(InvalidRequest::PatternTooWide.into());
                    }
                    if batch.len() == PLAN_BATCH {
                        self.add_batch(std::mem::take(&mut batch)).await?;
                    }
                }
                Ok(ListItem::End(end)) => {
                    self.add_batch(batch).await?;
                    deadline.reset();
                    return Ok(Ok(end));
                }
                Err(error) => {
                    self.listed.remove(listed);
                    return Ok(Err(error));
                }
            }
        }
    }

    async fn add_batch(&self, batch: Vec<FoundEntry>) -> Result<(), ClientError> {
        let add_to_plan = self.add_to_plan.clone();
        self.plan
            .with(move |plan| batch.into_iter().try_for_each(|found| add_to_plan(plan, found)))
            .await
    }
}

fn kind(entry: &FolderEntry) -> ItemKind {
    match entry.kind {
        EntryKind::Folder => ItemKind::Folder { modified: entry.modified },
        EntryKind::File => ItemKind::File { size: entry.size, modified: entry.modified },
    }
}
