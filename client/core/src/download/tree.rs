//! `get` of folders and patterns: planned from the server's lists, many small files at once.

mod operations;

use std::io;
use std::path::Path;
use std::sync::Arc;

use quiver_protocol::text::display_safe;
use quiver_protocol::{FolderPath, Refusal, RefusalCode};
use quiver_transfer::DiskPool;

use self::operations::TreeDownloads;
use crate::download::{DownloadContext, DownloadItem, DownloadTarget, NOT_ARRIVED};
use crate::error::{ClientError, InvalidRequest};
use crate::journal::{self, Direction};
use crate::outcomes::{Outcomes, affects_all};
use crate::request::TransferOptions;
use crate::shared_plan::Planner;
use crate::tasks::blocking;
use crate::transfers::TransferState;
use crate::tree::{FoundEntry, Pattern, PlanItem, PlanItemState, TargetFolder};
use crate::tree_transfer::{AddToPlan, Collector, Executor, SpaceNeeded, entry};

/// A download of folders and patterns.
#[derive(Debug)]
pub(crate) struct TreeDownload {
    /// As they were typed, and what they stand for.
    patterns: Vec<(String, Pattern)>,
    options: TransferOptions,
    /// `None` for a stream.
    folder: Option<Arc<TargetFolder>>,
}

/// What the server had of an order.
struct CollectedFiles {
    /// What stands for nothing there.
    missing: Vec<ClientError>,
    /// Names that it does not serve.
    not_served: u64,
}

impl TreeDownload {
    /// Checks everything that can be checked here. Without a folder the content is streamed.
    ///
    /// # Errors
    /// [`ClientError`]: nothing was asked of the server.
    pub(crate) fn prepare(
        paths: &[String],
        folder: Option<&Path>,
        options: &TransferOptions,
    ) -> Result<Self, ClientError> {
        if folder.is_none() && (options.recursive || options.dry_run) {
            return Err(InvalidRequest::TreeToStream.into());
        }
        let mut patterns = Vec::new();
        for typed in paths {
            patterns.push((typed.clone(), pattern(typed, options.recursive)?));
        }
        let open = |path: &Path| {
            let failed = |source| ClientError::Target { path: path.to_owned(), source };
            TargetFolder::open(path).map(Arc::new).map_err(failed)
        };
        Ok(Self { patterns, options: options.clone(), folder: folder.map(open).transpose()? })
    }

    /// Plans, and does it.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::SomeFailed`] where some of several failed.
    pub(crate) async fn run(self, context: DownloadContext) -> Result<(), ClientError> {
        let planner = Planner::new().await?;
        let CollectedFiles { missing, not_served } = self.gather(&context, &planner).await?;
        let files = planner.work(|plan| plan.files()).await?;
        let asked = usize::try_from(files).unwrap_or(usize::MAX).saturating_add(missing.len());
        let mut outcomes = Outcomes::new(context.shared.reporter.clone(), asked, NOT_ARRIVED);
        for error in missing {
            outcomes.add_failure(error).await;
        }
        if files == 0 && outcomes.failed_count() > 0 {
            return outcomes.result();
        }
        let Some(folder) = &self.folder else {
            return pour(&context, &planner, outcomes).await;
        };
        let room = SpaceNeeded { free: room(folder).await?, largest: u64::MAX };
        let throughput = context.shared.throughput.clone();
        let entry = entry(Direction::Get, &context.shared.session, self.tree(folder));
        let (folder, overwrite) = (folder.clone(), self.options.on_conflict.replaces());
        let disk_pool = DiskPool::default();
        let downloads = TreeDownloads { context, folder: folder.clone(), disk_pool, overwrite };
        let executor = Executor::new(downloads, planner, throughput, outcomes, Some(entry));
        let shown = |item: &PlanItem| folder.shown(&item.found.target).display().to_string();
        let does_not_fit = |why| {
            let path = folder.typed().to_owned();
            ClientError::Target { path, source: io::Error::other(why) }
        };
        executor.go(&self.options, room, not_served, shown, does_not_fit).await
    }

    /// What it takes to ask for the same again.
    fn tree(&self, folder: &TargetFolder) -> journal::TreeSelection {
        journal::TreeSelection {
            named: self.patterns.iter().map(|(typed, _)| typed.clone()).collect(),
            folder: folder.path().to_owned(),
            to: FolderPath::ROOT,
            stored_as: None,
            recursive: self.options.recursive,
            on_conflict: self.options.on_conflict.decision(),
        }
    }

    async fn gather(
        &self,
        context: &DownloadContext,
        planner: &Planner,
    ) -> Result<CollectedFiles, ClientError> {
        let collector = Collector {
            session: context.shared.session.clone(),
            planner: planner.clone(),
            note: note(context, self.folder.clone()),
            retry_for: context.shared.retry_for,
            reporter: context.shared.reporter.clone(),
        };
        let mut missing = Vec::new();
        for (typed, pattern) in &self.patterns {
            let found = collector.matches(pattern, self.options.recursive).await;
            let nothing = match found {
                Ok(false) => nothing(typed, pattern),
                Ok(true) => continue,
                Err(error) if affects_all(&error) => return Err(error),
                Err(error) => error,
            };
            missing.push(nothing);
        }
        let not_served = if self.options.recursive { collector.contents().await? } else { 0 };
        Ok(CollectedFiles { missing, not_served })
    }
}

/// One file after the other into the stream, each verified.
async fn pour(
    context: &DownloadContext,
    planner: &Planner,
    mut outcomes: Outcomes,
) -> Result<(), ClientError> {
    context.shared.reporter.set_phase(TransferState::Running).await;
    let (mut number, mut ends) = (0, false);
    loop {
        let items = planner.after(number).await?;
        let Some(last) = items.last() else { return outcomes.result() };
        number = last.number;
        for item in items {
            if ends {
                outcomes.add_not_started(1);
                continue;
            }
            let file = DownloadItem { path: item.found.source, place: DownloadTarget::Stream };
            if let Err(error) = context.one(&file).await {
                ends |= affects_all(&error);
                outcomes.add_failure(error).await;
            }
        }
    }
}

/// What was typed, as a pattern.
fn pattern(typed: &str, recursive: bool) -> Result<Pattern, ClientError> {
    // A folder as it is shown: with a slash at its end. The slash alone is everything.
    let meant = match typed.strip_suffix('/').unwrap_or(typed) {
        "" if recursive => "*",
        meant => meant,
    };
    Pattern::parse(meant).map_err(|error| {
        let refusal = Refusal::new(RefusalCode::BadPath, error.to_string());
        ClientError::refused(format!("cannot get {}", display_safe(typed)), refusal)
    })
}

/// Why nothing is fetched for what was typed.
fn nothing(typed: &str, pattern: &Pattern) -> ClientError {
    let why = if pattern.is_open() { "nothing there matches" } else { "no such file or folder" };
    let what = format!("cannot get {}", display_safe(typed));
    ClientError::refused(what, Refusal::new(RefusalCode::NotFound, why))
}

async fn room(folder: &Arc<TargetFolder>) -> Result<u64, ClientError> {
    let folder = folder.clone();
    blocking(move || {
        let failed = |source| ClientError::Target { path: folder.typed().to_owned(), source };
        folder.room().map_err(failed)
    })
    .await
}

/// Plans what the server has, with what is there of it.
fn note(context: &DownloadContext, folder: Option<Arc<TargetFolder>>) -> AddToPlan {
    let server = context.shared.session.server_ref().fingerprint;
    Arc::new(move |plan, found: FoundEntry| {
        let state = folder.as_ref().map_or(PlanItemState::New, |folder| {
            let partial = || {
                let path = folder.absolute(&found.target);
                journal::file_id(Direction::Get, server, &found.source, &path)
            };
            folder.look(&found.target, found.kind, partial)
        });
        plan.add(&found, &state).map(drop)
    })
}
