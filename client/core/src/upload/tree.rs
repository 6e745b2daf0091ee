//! `put` of folders: planned from what is here, compared with the server's lists, many small files at once.

mod operations;
mod resumable;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quiver_protocol::text::display_safe;
use quiver_protocol::{FilePath, FolderPath, Refusal, RefusalCode};
use quiver_transfer::DiskPool;

use self::operations::{MissingFolder, TreeUploads};
use crate::error::{ClientError, ErrorCode, InvalidRequest};
use crate::exchange;
use crate::journal::{self, Direction};
use crate::notice::Notice;
use crate::outcomes::Outcomes;
use crate::reconnecting::SessionHandle;
use crate::request::TransferOptions;
use crate::shared_plan::Planner;
use crate::transfer_context::TransferContext;
use crate::tree::{
    FoundEntry, ItemKind, Plan, PlanError, PlanItem, PlanItemState, SkipReason, Skipped, SourceRoot,
};
use crate::tree_transfer::{AddToPlan, Collector, Executor, SpaceNeeded, WholeFolder, entry};
use crate::upload::{NOT_STORED, UploadContext, target, unreadable};

/// An upload of folders.
#[derive(Debug)]
pub(crate) struct TreeUpload {
    source_roots: Vec<Arc<SourceRoot>>,
    named: Vec<NamedSource>,
    to: FolderPath,
    options: TransferOptions,
    /// What it takes to ask for the same again; `None` where that cannot be written down.
    tree: Option<journal::TreeSelection>,
}

/// Something that was named.
#[derive(Debug)]
enum NamedSource {
    /// A file or a folder, under a name.
    One(FoundEntry),
    /// What is in a folder, without the folder: its number.
    Contents(u32),
}

/// What was found here and is not in the plan.
#[derive(Default)]
struct LeftOut {
    failures: Vec<ClientError>,
    /// Links and the like, as people see them, and what they are.
    left_out: Vec<(PathBuf, &'static str)>,
}

/// Why a folder here was not read to its end.
enum UnreadFolder {
    Skipped(Skipped),
    Plan(PlanError),
}

impl TreeUpload {
    /// Checks everything that can be checked here. What was typed is named from the folder `from`; nothing is
    /// the current one.
    ///
    /// # Errors
    /// [`ClientError`]: nothing was dialled.
    pub(crate) fn prepare(
        paths: &[PathBuf],
        stored_as: Option<String>,
        to: FolderPath,
        options: &TransferOptions,
        from: &Path,
    ) -> Result<Self, ClientError> {
        let mut source_roots = Vec::new();
        let mut known: HashMap<PathBuf, u32> = HashMap::new();
        let mut named = Vec::new();
        for file in paths {
            let failed = |error| unreadable(file, error);
            let here = from.join(file);
            // A folder that a link leads to is one all the same where it was named.
            let is_link = here.symlink_metadata().map_err(failed)?.is_symlink();
            let real = if is_link { here.canonicalize().map_err(failed)? } else { here };
            // The current folder, one above it, the root: they have no name of their own.
            let has_name = is_link || file.file_name().is_some();
            let below = real.parent().filter(|_| has_name && real.file_name().is_some());
            let base = below.unwrap_or(&real).to_owned();
            let source_root = if let Some(number) = known.get(&base) {
                *number
            } else {
                let number = u32::try_from(source_roots.len()).unwrap_or(u32::MAX);
                source_roots.push(Arc::new(SourceRoot::open(&base).map_err(failed)?));
                known.insert(base, number);
                number
            };
            let name = real.file_name().filter(|_| has_name);
            let root = (source_root, &*source_roots[source_root as usize]);
            let stored_as = stored_as.as_deref();
            named.push(Self::named(options.recursive, stored_as, &to, file, name, root)?);
        }
        let typed = paths.iter().map(|file| file.to_str().map(str::to_owned));
        let tree = typed.collect::<Option<_>>().zip(current(from)).map(|(named, folder)| {
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
        Ok(Self { source_roots, named, to, options: options.clone(), tree })
    }

    fn named(
        recursive: bool,
        stored_as: Option<&str>,
        to: &FolderPath,
        typed: &Path,
        name: Option<&OsStr>,
        (source_root, root): (u32, &SourceRoot),
    ) -> Result<NamedSource, ClientError> {
        let is_a_folder = || ClientError::NotAFile { path: typed.to_owned(), is: "a folder" };
        let Some(name) = name else {
            return if recursive {
                Ok(NamedSource::Contents(source_root))
            } else {
                Err(is_a_folder())
            };
        };
        let target = target(to, typed, stored_as)?;
        let what = || format!("cannot put {}", display_safe(&typed.to_string_lossy()));
        let source = name.to_str().map(FilePath::parse);
        let Some(source) = source else {
            return Err(InvalidRequest::RootNotUtf8(typed.to_owned()).into());
        };
        let source = source.map_err(|rule| ClientError::refused(what(), Refusal::from(rule)))?;
        let kind = root.named(&source).map_err(|error| unreadable(typed, error))?;
        match kind {
            Ok(ItemKind::Folder { .. }) if !recursive => Err(is_a_folder()),
            Ok(kind) => Ok(NamedSource::One(FoundEntry { source_root, source, target, kind })),
            Err(is) => Err(ClientError::NotAFile { path: typed.to_owned(), is }),
        }
    }

    /// Plans, and does it.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::SomeFailed`] where some of several failed.
    pub(crate) async fn run(self, context: UploadContext) -> Result<(), ClientError> {
        let planner = Planner::new().await?;
        let not_planned = self.gather(&planner).await?;
        let files = planner.work(|plan| plan.files()).await?;
        let failed = not_planned.failures.len();
        let asked = usize::try_from(files).unwrap_or(usize::MAX).saturating_add(failed);
        let reporter = context.shared.reporter.clone();
        let mut outcomes = Outcomes::new(reporter.clone(), asked, NOT_STORED);
        let left_out = not_planned.left_out.len() as u64;
        for (path, kind) in not_planned.left_out {
            reporter.notify(Notice::Skipped { path, kind }).await;
        }
        for error in not_planned.failures {
            outcomes.add_failure(error).await;
        }
        let is_there = self.look(&context, &planner).await?;
        if self.options.dry_run {
            resumable::look(&context, &planner, &self.source_roots).await?;
        }
        let to = self.to.clone();
        let missing =
            (self.options.recursive && !is_there).then(|| Arc::new(MissingFolder::new(to)));
        let room = room(&context).await?;
        let throughput = context.shared.throughput.clone();
        let overwrite = self.options.on_conflict.replaces();
        let (source_roots, disk_pool) = (Arc::new(self.source_roots), DiskPool::default());
        let uploads = TreeUploads { context, source_roots, disk_pool, missing, overwrite };
        let tree =
            self.tree.map(|tree| entry(Direction::Put, &uploads.context.shared.session, tree));
        let executor = Executor::new(uploads, planner, throughput, outcomes, tree);
        let shown = |item: &PlanItem| item.found.target.to_string();
        let does_not_fit = |why: String| {
            let refusal = Refusal::new(RefusalCode::NoSpace, why);
            ClientError::refused("cannot put the files", refusal)
        };
        executor.go(&self.options, room, left_out, shown, does_not_fit).await
    }

    /// Puts what is here into the plan.
    async fn gather(&self, planner: &Planner) -> Result<LeftOut, ClientError> {
        let mut not_planned = LeftOut::default();
        for named in &self.named {
            match named {
                NamedSource::One(found) => {
                    let found = found.clone();
                    planner.work(move |plan| plan.add(&found, &PlanItemState::New)).await?;
                }
                NamedSource::Contents(source_root) => {
                    let (source, target) = (FolderPath::ROOT, self.to.clone());
                    self.list(planner, *source_root, source, target, &mut not_planned).await?;
                }
            }
        }
        let mut number = 0;
        loop {
            let folder = planner.work(move |plan| plan.next_folder(number)).await?;
            let Some(PlanItem { number: next, found, .. }) = folder else { return Ok(not_planned) };
            number = next;
            let (source, target) = (FolderPath::from(found.source), FolderPath::from(found.target));
            self.list(planner, found.source_root, source, target, &mut not_planned).await?;
        }
    }

    async fn list(
        &self,
        planner: &Planner,
        number: u32,
        source: FolderPath,
        target: FolderPath,
        not_planned: &mut LeftOut,
    ) -> Result<(), ClientError> {
        let source_root = self.source_roots[number as usize].clone();
        let listed = planner.work(move |plan| {
            let mut odd = Vec::new();
            let end = source_root.list(number, &source, &target, |entry| {
                match entry {
                    Ok(found) => {
                        plan.add(&found, &PlanItemState::New).map_err(UnreadFolder::Plan)?;
                    }
                    Err(entry) => odd.push(entry),
                }
                Ok(())
            });
            match end {
                Ok(()) => {}
                Err(UnreadFolder::Skipped(unreadable)) => odd.push(unreadable),
                Err(UnreadFolder::Plan(error)) => return Err(error),
            }
            Ok(odd)
        });
        for odd in listed.await? {
            not_planned.add(odd);
        }
        Ok(())
    }

    /// Looks at what the server has where the files are to go; whether it has that folder at all.
    async fn look(&self, context: &UploadContext, planner: &Planner) -> Result<bool, ClientError> {
        let source_roots = self.source_roots.clone();
        let note: AddToPlan = Arc::new(move |plan: &mut Plan, there: FoundEntry| {
            let Some(PlanItem { number, found, .. }) = plan.at(&there.target)? else {
                return Ok(());
            };
            let mut state = compare(found.kind, there.kind);
            // A file system that does not tell sizes gives 0 for files that are not empty.
            if is_empty_file(found.kind) && matches!(there.kind, ItemKind::File { .. }) {
                let has_content =
                    source_roots[found.source_root as usize].has_content(&found.source);
                // What cannot be read is told when it is to move.
                state = match (has_content.unwrap_or(false), is_empty_file(there.kind)) {
                    (true, true) => PlanItemState::Differs,
                    (true, false) => PlanItemState::SameSize,
                    (false, _) => state,
                };
            }
            plan.set(number, &state)
        });
        let collector = Collector {
            session: context.shared.session.clone(),
            planner: planner.clone(),
            note,
            retry_for: context.shared.retry_for,
            reporter: context.shared.reporter.clone(),
        };
        let listed = collector.folder(self.to.clone(), &mut WholeFolder(self.to.clone())).await;
        match listed {
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(false),
            listed => listed.map(drop)?,
        }
        let mut number = 0;
        loop {
            let folder = planner.work(move |plan| plan.next_folder(number)).await?;
            let Some(folder) = folder else { return Ok(true) };
            number = folder.number;
            if folder.state == PlanItemState::Same {
                let there = FolderPath::from(folder.found.target);
                collector.folder(there.clone(), &mut WholeFolder(there)).await?;
            }
        }
    }
}

impl LeftOut {
    fn add(&mut self, Skipped { path, reason }: Skipped) {
        let shown = path.to_string_lossy();
        let what = format!("cannot put {}", display_safe(&shown));
        match reason {
            SkipReason::Kind(is) => self.left_out.push((path, is)),
            SkipReason::Name(rule) => {
                self.failures.push(ClientError::refused(what, Refusal::from(rule)));
            }
            SkipReason::NotUtf8 => {
                self.failures.push(InvalidRequest::EntryNotUtf8(path).into());
            }
            SkipReason::Unreadable(error) => self.failures.push(unreadable(&path, error)),
        }
    }
}

/// A folder from the root; nothing is the current one.
fn current(folder: &Path) -> Option<PathBuf> {
    if folder.is_absolute() { Some(folder.to_owned()) } else { std::env::current_dir().ok() }
}

fn is_empty_file(kind: ItemKind) -> bool {
    matches!(kind, ItemKind::File { size: 0, .. })
}

/// How something here compares to what the server has in its place.
fn compare(here: ItemKind, there: ItemKind) -> PlanItemState {
    match (here, there) {
        (ItemKind::Folder { .. }, ItemKind::Folder { .. }) => PlanItemState::Same,
        (ItemKind::Folder { .. }, ItemKind::File { .. }) => {
            PlanItemState::Blocked("a file stands there".to_owned())
        }
        (ItemKind::File { .. }, ItemKind::Folder { .. }) => {
            PlanItemState::Blocked("a folder stands there".to_owned())
        }
        (ItemKind::File { size: 0, .. }, ItemKind::File { size: 0, .. }) => PlanItemState::Same,
        (ItemKind::File { size: here, .. }, ItemKind::File { size: there, .. })
            if here == there =>
        {
            PlanItemState::SameSize
        }
        (ItemKind::File { .. }, ItemKind::File { .. }) => PlanItemState::Differs,
    }
}

/// What the server has room for.
async fn room(context: &UploadContext) -> Result<SpaceNeeded, ClientError> {
    let what = || "cannot ask what fits".to_owned();
    let ask = |handle: SessionHandle| async move {
        exchange::query_space(&handle.connection, handle.timeout).await
    };
    let TransferContext { session, retry_for, reporter, .. } = &context.shared;
    let space = session.retry(*retry_for, reporter, what, ask).await?;
    Ok(SpaceNeeded { free: space.available, largest: space.max_file_size })
}

impl From<Skipped> for UnreadFolder {
    fn from(odd: Skipped) -> Self {
        Self::Skipped(odd)
    }
}
