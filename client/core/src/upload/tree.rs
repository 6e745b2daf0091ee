//! Uploads of folders: planned from the local files, compared with the server's lists, many small
//! files at once.

mod open_roots;
mod operations;
mod resumable;

use std::mem::take;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quiver_protocol::reply::AvailableSpace;
use quiver_protocol::text::display_safe;
use quiver_protocol::{FilePath, FolderPath, Refusal, RefusalCode};
use quiver_transfer::DiskPool;

use self::open_roots::{OpenRoots, locate};
use self::operations::{MissingFolder, UploadOperations};
use crate::error::{ClientError, ErrorCode, InvalidRequest};
use crate::exchange;
use crate::journal::{self, Direction};
use crate::outcomes::Outcomes;
use crate::reconnecting::SessionHandle;
use crate::request::TransferOptions;
use crate::shared_plan::SharedPlan;
use crate::transfer_context::TransferContext;
use crate::tree::{
    FoundEntry, ItemKind, LeftOut, Plan, PlanError, PlanItem, PlanItemState, Skipped, SourceRoot,
};
use crate::tree_transfer::{
    AddToPlan, Collector, Executor, ListedEntries, SpaceLimits, WholeFolder, journal_entry,
};
use crate::upload::{NOT_STORED, UploadContext, target_path, unreadable};

/// An upload of folders.
#[derive(Debug)]
pub(crate) struct TreeUpload {
    source_roots: Vec<Arc<SourceRoot>>,
    named: Vec<NamedSource>,
    /// Errors of named paths that cannot be read. With a single path there are none: its error ends the request.
    unreadable: Vec<ClientError>,
    to: FolderPath,
    options: TransferOptions,
    /// The selection as recorded in the journal, from which a later run can repeat the request.
    /// `None` if its paths are not UTF-8.
    journal_selection: Option<journal::TreeSelection>,
}

/// A path that was named.
#[derive(Debug)]
enum NamedSource {
    /// A file or a folder, stored under a name.
    Entry(FoundEntry),
    /// The contents of a folder without the folder itself: its index in `source_roots`.
    Contents(u32),
}

/// Why a local folder could not be listed to its end.
enum ListFolderError {
    Skipped(Skipped),
    Plan(PlanError),
}

impl TreeUpload {
    /// Checks all paths. Relative paths start at `from`; an empty `from` is the current folder.
    ///
    /// # Errors
    /// [`ClientError`]: no connection was made.
    pub(crate) fn prepare(
        paths: &[PathBuf],
        stored_as: Option<String>,
        to: FolderPath,
        options: &TransferOptions,
        from: &Path,
    ) -> Result<Self, ClientError> {
        let mut roots = OpenRoots::default();
        let (mut named, mut unreadable) = (Vec::new(), Vec::new());
        for file in paths {
            let stored_as = stored_as.as_deref();
            match Self::named_source(options.recursive, stored_as, &to, (file, from), &mut roots) {
                Ok(source) => named.push(source),
                Err(failure @ (ClientError::Source { .. } | ClientError::NotAFile { .. }))
                    if paths.len() > 1 =>
                {
                    unreadable.push(failure);
                }
                Err(failure) => return Err(failure),
            }
        }
        let typed = paths.iter().map(|file| file.to_str().map(str::to_owned));
        let journal_selection =
            typed.collect::<Option<_>>().zip(absolute_folder(from)).map(|(named, folder)| {
                let (recursive, on_conflict) = (options.recursive, options.on_conflict.decision());
                journal::TreeSelection {
                    named,
                    folder,
                    to: to.clone(),
                    stored_as,
                    recursive,
                    on_conflict,
                }
            });
        let (source_roots, options) = (roots.opened, options.clone());
        Ok(Self { source_roots, named, unreadable, to, options, journal_selection })
    }

    fn named_source(
        recursive: bool,
        stored_as: Option<&str>,
        to: &FolderPath,
        (typed, from): (&Path, &Path),
        roots: &mut OpenRoots,
    ) -> Result<NamedSource, ClientError> {
        let failed = |error| unreadable(typed, error);
        let (base, name) = locate(&from.join(typed), stored_as.is_some()).map_err(failed)?;
        if name.is_none() && stored_as.is_some() {
            return Err(InvalidRequest::NameForRoot.into());
        }
        let (source_root, root) = roots.open(base).map_err(failed)?;
        let folder_error = || ClientError::NotAFile { path: typed.to_owned(), is: "a folder" };
        let Some(name) = name else {
            return if recursive {
                Ok(NamedSource::Contents(source_root))
            } else {
                Err(folder_error())
            };
        };
        let target = target_path(to, typed, stored_as)?;
        let what = || format!("cannot put {}", display_safe(&typed.to_string_lossy()));
        let source = name.to_str().map(FilePath::parse);
        let Some(source) = source else {
            return Err(InvalidRequest::RootNotUtf8(typed.to_owned()).into());
        };
        let source = source.map_err(|rule| ClientError::refused(what(), Refusal::from(rule)))?;
        let kind = root.named_kind(&source).map_err(failed)?;
        match kind {
            Ok(ItemKind::Folder { .. }) if !recursive => Err(folder_error()),
            Ok(kind) => Ok(NamedSource::Entry(FoundEntry { source_root, source, target, kind })),
            Err(is) => Err(ClientError::NotAFile { path: typed.to_owned(), is }),
        }
    }

    /// Makes the plan and executes it.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::SomeFailed`] if some of several files failed.
    pub(crate) async fn run(mut self, context: UploadContext) -> Result<(), ClientError> {
        let plan = SharedPlan::new().await?;
        let left_out = self.build_plan(&plan).await?;
        let files = plan.with(|plan| plan.count_files()).await?;
        let planned = usize::try_from(files.saturating_add(left_out.missing_count()));
        let file_count = planned.unwrap_or(usize::MAX).saturating_add(self.unreadable.len());
        let reporter = context.shared.reporter.clone();
        let mut outcomes = Outcomes::new(reporter, file_count, NOT_STORED);
        for failure in take(&mut self.unreadable) {
            outcomes.add_failure(failure).await;
        }
        if self.named.is_empty() {
            return outcomes.result();
        }
        outcomes.add_left_out(&left_out).await;
        let target_exists = self.compare_with_server(&context, &plan).await?;
        if self.options.dry_run {
            resumable::find_resumable(&context, &plan, &self.source_roots).await?;
        }
        let to = self.to.clone();
        let missing =
            (self.options.recursive && !target_exists).then(|| Arc::new(MissingFolder::new(to)));
        let space = query_space(&context, self.target_folder()).await?;
        let throughput = context.shared.throughput.clone();
        let overwrite = self.options.on_conflict.replaces();
        let (source_roots, disk_pool) = (Arc::new(self.source_roots), DiskPool::default());
        let operations = UploadOperations { context, source_roots, disk_pool, missing, overwrite };
        let entry = self
            .journal_selection
            .map(|tree| journal_entry(Direction::Put, &operations.context.shared.session, tree));
        let executor = Executor::new(operations, plan, throughput, outcomes, entry);
        let display_name = |item: &PlanItem| item.found.target.to_string();
        let no_space = |why: String| {
            let refusal = Refusal::new(RefusalCode::NoSpace, why);
            ClientError::refused("cannot put the files", refusal)
        };
        executor.execute(&self.options, space, &left_out, display_name, no_space).await
    }

    /// The server's folder whose disk takes the files.
    fn target_folder(&self) -> FolderPath {
        match self.named.as_slice() {
            [NamedSource::Entry(FoundEntry { target, kind: ItemKind::Folder { .. }, .. })] => {
                target.clone().into()
            }
            _ => self.to.clone(),
        }
    }

    /// Adds the local files and folders to the plan.
    async fn build_plan(&self, plan: &SharedPlan) -> Result<LeftOut, ClientError> {
        let mut left_out = LeftOut::default();
        for named in &self.named {
            match named {
                NamedSource::Entry(found) => {
                    let found = found.clone();
                    plan.with(move |plan| plan.add(&found, &PlanItemState::New)).await?;
                }
                NamedSource::Contents(source_root) => {
                    let (source, target) = (FolderPath::ROOT, self.to.clone());
                    self.add_folder(plan, *source_root, source, target, &mut left_out).await?;
                }
            }
        }
        let mut number = 0;
        loop {
            let folder = plan.with(move |plan| plan.next_folder(number)).await?;
            let Some(PlanItem { number: next, found, .. }) = folder else { return Ok(left_out) };
            number = next;
            let (source, target) = (FolderPath::from(found.source), FolderPath::from(found.target));
            self.add_folder(plan, found.source_root, source, target, &mut left_out).await?;
        }
    }

    async fn add_folder(
        &self,
        plan: &SharedPlan,
        root_index: u32,
        source: FolderPath,
        target: FolderPath,
        left_out: &mut LeftOut,
    ) -> Result<(), ClientError> {
        let source_root = self.source_roots[root_index as usize].clone();
        let listed = plan.with(move |plan| {
            let mut left_out = LeftOut::default();
            let mut leave_out = |Skipped { path, reason }: Skipped| {
                left_out.add(path.to_string_lossy().into_owned(), reason);
            };
            let end = source_root.list(root_index, &source, &target, |entry| {
                match entry {
                    Ok(found) => {
                        plan.add(&found, &PlanItemState::New).map_err(ListFolderError::Plan)?;
                    }
                    Err(entry) => leave_out(entry),
                }
                Ok(())
            });
            match end {
                Ok(()) => {}
                Err(ListFolderError::Skipped(unreadable)) => leave_out(unreadable),
                Err(ListFolderError::Plan(error)) => return Err(error),
            }
            Ok(left_out)
        });
        left_out.append(listed.await?);
        Ok(())
    }

    /// Compares the plan with the server's lists. Returns whether the target folder exists on the
    /// server.
    async fn compare_with_server(
        &self,
        context: &UploadContext,
        plan: &SharedPlan,
    ) -> Result<bool, ClientError> {
        let source_roots = self.source_roots.clone();
        let add_to_plan: AddToPlan = Arc::new(move |plan: &mut Plan, on_server: FoundEntry| {
            let Some(PlanItem { number, found, .. }) = plan.find_target(&on_server.target)? else {
                return Ok(());
            };
            let mut state = compare_kinds(found.kind, on_server.kind);
            // A file system that does not report sizes gives 0 for files that are not empty.
            if is_empty_file(found.kind) && matches!(on_server.kind, ItemKind::File { .. }) {
                let has_content =
                    source_roots[found.source_root as usize].has_content(&found.source);
                // A file that cannot be read is reported when it is to be sent.
                state = match (has_content.unwrap_or(false), is_empty_file(on_server.kind)) {
                    (true, true) => PlanItemState::Differs,
                    (true, false) => PlanItemState::SameSize,
                    (false, _) => state,
                };
            }
            plan.set_state(number, &state)
        });
        let collector = Collector {
            listed: ListedEntries::new(u64::MAX),
            session: context.shared.session.clone(),
            idle_timeout: None,
            plan: plan.clone(),
            add_to_plan,
            retry_for: context.shared.retry_for,
            reporter: context.shared.reporter.clone(),
        };
        let listed = collector.add_folder(self.to.clone(), &mut WholeFolder(self.to.clone())).await;
        match listed {
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(false),
            listed => listed.map(drop)?,
        }
        let mut number = 0;
        loop {
            let folder = plan.with(move |plan| plan.next_folder(number)).await?;
            let Some(folder) = folder else { return Ok(true) };
            number = folder.number;
            if folder.state == PlanItemState::Same {
                let on_server = FolderPath::from(folder.found.target);
                collector.add_folder(on_server.clone(), &mut WholeFolder(on_server)).await?;
            }
        }
    }
}

/// The absolute path of a folder; an empty path is the current folder.
fn absolute_folder(folder: &Path) -> Option<PathBuf> {
    if folder.is_absolute() { Some(folder.to_owned()) } else { std::env::current_dir().ok() }
}

fn is_empty_file(kind: ItemKind) -> bool {
    matches!(kind, ItemKind::File { size: 0, .. })
}

/// Compares a local item with the server's item at its target.
fn compare_kinds(local: ItemKind, on_server: ItemKind) -> PlanItemState {
    match (local, on_server) {
        (ItemKind::Folder { .. }, ItemKind::Folder { .. }) => PlanItemState::Same,
        (ItemKind::Folder { .. }, ItemKind::File { .. }) => {
            PlanItemState::Blocked("a file has that name".to_owned())
        }
        (ItemKind::File { .. }, ItemKind::Folder { .. }) => {
            PlanItemState::Blocked("a folder has that name".to_owned())
        }
        (ItemKind::File { size: 0, .. }, ItemKind::File { size: 0, .. }) => PlanItemState::Same,
        (ItemKind::File { size: local, .. }, ItemKind::File { size: on_server, .. })
            if local == on_server =>
        {
            PlanItemState::SameSize
        }
        (ItemKind::File { .. }, ItemKind::File { .. }) => PlanItemState::Differs,
    }
}

/// Asks the server for the free space in a folder, and its largest accepted file.
async fn query_space(
    context: &UploadContext,
    folder: FolderPath,
) -> Result<SpaceLimits, ClientError> {
    let what = || "cannot query the free space".to_owned();
    let query = |handle: SessionHandle| {
        let folder = folder.clone();
        async move { exchange::query_space(&handle.connection, folder, handle.timeout).await }
    };
    let TransferContext { session, retry_for, reporter, .. } = &context.shared;
    let space = session.retry(*retry_for, reporter, what, query).await?;
    let AvailableSpace { available, max_file_size, kept_free } = space;
    Ok(SpaceLimits { available, max_file_size, kept_free })
}

impl From<Skipped> for ListFolderError {
    fn from(skipped: Skipped) -> Self {
        Self::Skipped(skipped)
    }
}
