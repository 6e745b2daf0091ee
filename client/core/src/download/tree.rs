//! Downloads of folders and patterns: planned from the server's lists, many small files at once.

mod operations;

use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use quiver_protocol::reply::FolderEntry;
use quiver_protocol::text::display_safe;
use quiver_protocol::{ClientName, FilePath, FolderPath, Refusal, RefusalCode};
use quiver_transfer::DiskPool;

use self::operations::DownloadOperations;
use crate::download::destination::root_as_file;
use crate::download::{DownloadContext, DownloadItem, DownloadTarget, NOT_DOWNLOADED};
use crate::error::{ClientError, InvalidRequest, PeerError};
use crate::journal::{self, Direction};
use crate::outcomes::{Outcomes, affects_all};
use crate::question::{Answer, Question};
use crate::reporter::Reporter;
use crate::request::TransferOptions;
use crate::shared_plan::SharedPlan;
use crate::tasks::blocking;
use crate::transfers::TransferState;
use crate::tree::{
    FoundEntry, ItemCount, LeftOut, LeftOutReason, Pattern, PlanItem, PlanItemState, TargetFolder,
};
use crate::tree_transfer::{
    AddToPlan, Collector, EntryFilter, Executor, ListedEntries, Matches, SpaceLimits,
    journal_entry, left_out_of,
};
use crate::typed_path;

/// Entries that the sender of an offer may list beyond twice the number of files that it has offered: folders, and files
/// that were added since. A list without end must not fill this machine's disk.
const SPARE_ENTRIES: u64 = 100_000;

/// How long the sender of an offer may take to read its pipe, before it lists the file: longer than offers last. A lost
/// connection is noticed long before.
const PIPE_TIMEOUT: Duration = Duration::from_secs(8 * 24 * 3600);

/// A download of folders and patterns.
#[derive(Debug)]
pub(crate) struct TreeDownload {
    /// The typed text of each pattern, and the parsed pattern.
    patterns: Vec<(String, Pattern)>,
    /// The new name of the only file or folder.
    stored_as: Option<String>,
    options: TransferOptions,
    /// `None` for a stream.
    folder: Option<Arc<TargetFolder>>,
    /// The offer of another client whose contents are downloaded, in place of patterns.
    offer: Option<OfferedTree>,
}

/// The contents of an offer: everything below its id, without the id itself.
#[derive(Debug, Clone)]
pub(crate) struct OfferedTree {
    /// The sender.
    pub(crate) from: ClientName,
    /// The folder with the offered files, called like the offer's id.
    pub(crate) root: FolderPath,
    /// Files that were offered.
    pub(crate) files: u64,
    /// Their bytes; `None` if the sender did not know.
    pub(crate) bytes: Option<u64>,
    /// Set to what is stored of it, by a download that succeeds.
    pub(crate) stored: Arc<OnceLock<ItemCount>>,
}

impl OfferedTree {
    fn max_entries(&self) -> u64 {
        self.files.saturating_mul(2).saturating_add(SPARE_ENTRIES)
    }

    fn list_error(&self, error: ClientError) -> ClientError {
        match error {
            ClientError::Invalid(InvalidRequest::PlanTooLarge) => {
                PeerError::MoreThanOffered { from: self.from.clone() }.into()
            }
            // The path is an id, which a person has never seen.
            ClientError::Refused { refusal, .. } => {
                ClientError::refused(format!("cannot list the files of {}", self.from), refusal)
            }
            error => error,
        }
    }
}

/// What is not in the plan of a download.
struct UnplannedFiles {
    /// Errors for patterns that match nothing on the server.
    missing: Vec<ClientError>,
    /// What the server does not serve.
    left_out: LeftOut,
    /// Number of offered files and folders that the sender does not list, at the least.
    missing_offered: u64,
}

impl TreeDownload {
    /// Parses the patterns and opens the target folder. Without a folder the content is streamed.
    ///
    /// # Errors
    /// [`ClientError`]: no request was sent to the server.
    pub(crate) fn prepare(
        paths: &[String],
        folder: Option<&Path>,
        stored_as: Option<String>,
        options: &TransferOptions,
    ) -> Result<Self, ClientError> {
        if folder.is_none() && (options.recursive || options.dry_run) {
            return Err(InvalidRequest::TreeToStream.into());
        }
        let mut patterns = Vec::new();
        for typed in paths {
            let pattern = parse_pattern(typed, options.recursive)?;
            // With a new name there is a single file or folder.
            let pattern = if stored_as.is_some() { pattern.as_literal() } else { pattern };
            patterns.push((typed.clone(), pattern));
        }
        let open = |path: &Path| {
            let failed = |source| ClientError::Target { path: path.to_owned(), source };
            TargetFolder::open(path).map(Arc::new).map_err(failed)
        };
        let folder = folder.map(open).transpose()?;
        Ok(Self { patterns, stored_as, options: options.clone(), folder, offer: None })
    }

    /// Opens the target folder of an offer's contents.
    ///
    /// # Errors
    /// [`ClientError::Target`].
    pub(crate) fn of_offer(
        offer: OfferedTree,
        folder: &Path,
        options: &TransferOptions,
    ) -> Result<Self, ClientError> {
        let failed = |source| ClientError::Target { path: folder.to_owned(), source };
        let folder = Some(TargetFolder::open(folder).map(Arc::new).map_err(failed)?);
        let (patterns, stored_as, options) = (Vec::new(), None, options.clone());
        Ok(Self { patterns, stored_as, options, folder, offer: Some(offer) })
    }

    /// Makes the plan and executes it.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::SomeFailed`] if some of several files failed.
    pub(crate) async fn run(self, context: DownloadContext) -> Result<(), ClientError> {
        let plan = SharedPlan::new().await?;
        let UnplannedFiles { missing, left_out, missing_offered } =
            self.build_plan(&context, &plan).await?;
        let files = plan.with(|plan| plan.count_files()).await?;
        // The sender may have offered any number.
        let missing_count =
            missing.len() + u32::try_from(missing_offered).unwrap_or(u32::MAX) as usize;
        let planned = usize::try_from(files.saturating_add(left_out.missing_count()));
        let file_count = planned.unwrap_or(usize::MAX).saturating_add(missing_count);
        let mut outcomes =
            Outcomes::new(context.shared.reporter.clone(), file_count, NOT_DOWNLOADED);
        let has_missing = !missing.is_empty();
        for error in missing {
            outcomes.add_failure(error).await;
        }
        outcomes.add_left_out(&left_out).await;
        if let Some(offer) = self.offer.as_ref().filter(|_| missing_offered > 0) {
            let from = offer.from.clone();
            let (offered, found) = (offer.files, offer.files.saturating_sub(missing_offered));
            let error = PeerError::LessThanOffered { from, offered, found }.into();
            if files == 0 {
                return Err(error);
            }
            outcomes.add_failures(error, missing_count).await;
        }
        if files == 0 && has_missing {
            return outcomes.result();
        }
        let Some(folder) = &self.folder else {
            return stream_files(&context, &plan, outcomes).await;
        };
        let available = free_space(folder).await?;
        let space = SpaceLimits { available, max_file_size: u64::MAX, kept_free: None };
        let throughput = context.shared.throughput.clone();
        // An offer is recorded elsewhere.
        let entry = self.offer.is_none().then(|| {
            let selection = self.journal_selection(folder);
            journal_entry(Direction::Get, &context.shared.session, selection)
        });
        let (folder, overwrite) = (folder.clone(), self.options.on_conflict.replaces());
        let disk_pool = DiskPool::default();
        let sender = self.offer.as_ref().map(|offer| offer.from.clone());
        let operations =
            DownloadOperations { context, folder: folder.clone(), sender, disk_pool, overwrite };
        let executor = Executor::new(operations, plan.clone(), throughput, outcomes, entry);
        let display_name =
            |item: &PlanItem| folder.display_path(&item.found.target).display().to_string();
        let no_space = |why| {
            let path = folder.typed().to_owned();
            ClientError::Target { path, source: io::Error::other(why) }
        };
        executor.execute(&self.options, space, &left_out, display_name, no_space).await?;
        if let Some(offer) = &self.offer {
            // Without the files that this person has decided to skip.
            let stored = plan.with(|plan| {
                let (pending, same) = (plan.pending()?, plan.count_in_state(&PlanItemState::Same)?);
                let (files, bytes) = (pending.files + same.files, pending.bytes + same.bytes);
                Ok(ItemCount { files, bytes })
            });
            // Set once: this is the only run.
            let _ = offer.stored.set(stored.await?);
        }
        Ok(())
    }

    /// The selection as recorded in the journal, from which a later run can repeat the request.
    fn journal_selection(&self, folder: &TargetFolder) -> journal::TreeSelection {
        journal::TreeSelection {
            named: self.patterns.iter().map(|(typed, _)| typed.clone()).collect(),
            folder: folder.path().to_owned(),
            to: FolderPath::ROOT,
            stored_as: self.stored_as.clone(),
            recursive: self.options.recursive,
            on_conflict: self.options.on_conflict.decision(),
        }
    }

    async fn build_plan(
        &self,
        context: &DownloadContext,
        plan: &SharedPlan,
    ) -> Result<UnplannedFiles, ClientError> {
        let max_entries = self.offer.as_ref().map_or(u64::MAX, OfferedTree::max_entries);
        let collector = Collector {
            listed: ListedEntries::new(max_entries),
            session: context.shared.session.clone(),
            idle_timeout: None,
            plan: plan.clone(),
            add_to_plan: add_to_plan(context, self.folder.clone()),
            retry_for: context.shared.retry_for,
            reporter: context.shared.reporter.clone(),
        };
        let (mut missing, mut left_out) = (Vec::new(), LeftOut::default());
        for (typed, pattern) in &self.patterns {
            let stored_as = self.stored_as.as_deref();
            let found = collector.add_matches(pattern, stored_as, self.options.recursive).await;
            let error = match found {
                Ok(Matches { has_matched: true, left_out: unmatched }) => {
                    left_out.append(unmatched);
                    continue;
                }
                Ok(Matches { left_out: unmatched, .. }) => {
                    let error = no_match(typed, pattern, &unmatched);
                    // The error of a name says why that is left out.
                    if pattern.may_match_many() {
                        left_out.append(unmatched);
                    }
                    error
                }
                Err(error) if affects_all(&error) => return Err(error),
                Err(error) => error,
            };
            missing.push(error);
        }
        let mut missing_offered = 0;
        if let Some(offer) = &self.offer {
            let idle_timeout = offer.bytes.is_none().then_some(PIPE_TIMEOUT);
            let root = Collector { idle_timeout, ..collector.clone() };
            let listed = root.add_folder(offer.root.clone(), &mut OfferedNames).await;
            // Each name at the top was offered.
            let end = listed.map_err(|error| offer.list_error(error))?;
            missing_offered = end.not_served;
            left_out.append(left_out_of(&offer.root, end).of_offer());
        }
        if self.options.recursive {
            let listed = collector.add_contents().await;
            left_out.append(match &self.offer {
                Some(offer) => listed.map_err(|error| offer.list_error(error))?.of_offer(),
                None => listed?,
            });
        }
        if let Some(offer) = &self.offer {
            let found = check_offer(offer, plan, &context.shared.reporter).await?;
            missing_offered = missing_offered.max(offer.files.saturating_sub(found.files));
        }
        Ok(UnplannedFiles { missing, left_out, missing_offered })
    }
}

/// Selects the top-level entries of an offer. Names that begin with a dot could change how programs behave in the
/// target folder, so they are left out.
struct OfferedNames;

impl EntryFilter for OfferedNames {
    fn target(&mut self, entry: &FolderEntry) -> Option<FilePath> {
        let name = entry.path.file_name();
        if name.starts_with('.') { None } else { FilePath::parse(name).ok() }
    }
}

/// Stops if the sender lists more than it has offered, unless the person agrees. Returns how much it lists.
async fn check_offer(
    offer: &OfferedTree,
    plan: &SharedPlan,
    reporter: &Reporter,
) -> Result<ItemCount, ClientError> {
    let found = plan.with(|plan| plan.total()).await?;
    let offered = offer.bytes.unwrap_or(u64::MAX);
    if found.bytes <= offered && found.files <= offer.files {
        return Ok(found);
    }
    let from = offer.from.clone();
    let question = Question::MoreThanOffered { from: from.clone(), offered, found: found.bytes };
    if reporter.ask(question).await == Some(Answer::Confirm(true)) {
        return Ok(found);
    }
    Err(PeerError::MoreThanOffered { from }.into())
}

/// Writes one file after the other into the stream. Each is verified.
async fn stream_files(
    context: &DownloadContext,
    plan: &SharedPlan,
    mut outcomes: Outcomes,
) -> Result<(), ClientError> {
    context.shared.reporter.set_phase(TransferState::Running).await;
    let (mut number, mut is_aborted) = (0, false);
    loop {
        let items = plan.items_after(number).await?;
        let Some(last) = items.last() else { return outcomes.result() };
        number = last.number;
        for item in items {
            if is_aborted {
                outcomes.add_not_started(1);
                continue;
            }
            let file = DownloadItem::new(item.found.source, DownloadTarget::Stream);
            if let Err(error) = context.download_file(&file).await {
                is_aborted |= affects_all(&error);
                outcomes.add_failure(error).await;
            }
        }
    }
}

/// Parses typed text as a pattern.
fn parse_pattern(typed: &str, recursive: bool) -> Result<Pattern, ClientError> {
    let path = typed_path::strict(typed);
    let pattern = match path.as_str() {
        // The root means everything in it.
        "" if recursive && !typed.is_empty() => "*",
        "" => return Err(root_as_file(typed)),
        pattern => pattern,
    };
    Pattern::parse(pattern).map_err(|rule| {
        ClientError::refused(format!("cannot get {}", display_safe(typed)), Refusal::from(rule))
    })
}

/// The error for typed text that matches nothing that is served.
fn no_match(typed: &str, pattern: &Pattern, left_out: &LeftOut) -> ClientError {
    let what = format!("cannot get {}", display_safe(typed));
    if pattern.may_match_many() {
        return ClientError::refused(what, Refusal::new(RefusalCode::NotFound, "nothing matches"));
    }
    // As a get of the name alone is refused.
    let refusal = match left_out.named().first().map(|entry| &entry.reason) {
        None => Refusal::new(RefusalCode::NotFound, "no such file or folder"),
        Some(LeftOutReason::Unreadable(why)) => Refusal::new(RefusalCode::Forbidden, why.clone()),
        Some(reason) => Refusal::new(RefusalCode::NotFound, reason.to_string()),
    };
    ClientError::refused(what, refusal)
}

async fn free_space(folder: &Arc<TargetFolder>) -> Result<u64, ClientError> {
    let folder = folder.clone();
    blocking(move || {
        let failed = |source| ClientError::Target { path: folder.typed().to_owned(), source };
        folder.free_space().map_err(failed)
    })
    .await
}

/// Returns the function that adds a server entry to the plan, compared with the local target.
fn add_to_plan(context: &DownloadContext, folder: Option<Arc<TargetFolder>>) -> AddToPlan {
    let server = context.shared.session.server_ref().fingerprint;
    Arc::new(move |plan, found: FoundEntry| {
        let state = folder.as_ref().map_or(PlanItemState::New, |folder| {
            let partial_id = || {
                let path = folder.absolute(&found.target);
                journal::file_id(Direction::Get, server, &found.source, &path)
            };
            folder.compare(&found.target, found.kind, partial_id)
        });
        plan.add(&found, &state).map(drop)
    })
}
