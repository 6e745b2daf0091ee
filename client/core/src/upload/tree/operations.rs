//! The operations of a planned upload.

use std::fs::File;
use std::io;
use std::sync::Arc;

use quiver_protocol::text::display_safe;
use quiver_protocol::{ContentPrefix, FilePath, FolderPath, Refusal, RefusalCode, Timestamp};
use quiver_transfer::{DiskPool, Source};
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tracing::debug;

use crate::error::ClientError;
use crate::exchange::{self, PutError, PutOffer, StoredReceipt};
use crate::notice::Notice;
use crate::outcomes::affects_all;
use crate::reconnecting::SessionHandle;
use crate::transfer_context::TransferContext;
use crate::transfers::{PlannedCopy, TransferEvent, UploadedFile};
use crate::tree::{ItemKind, PlanItem, SourceRoot, copy_name};
use crate::tree_transfer::{
    MAX_COPIES, Placement, TransferOperations, compare_content, copy_path, exists_on_server,
    is_small,
};
use crate::upload::{UploadContext, UploadItem, UploadSource, is_exists_refusal, to_client_error};

/// Uploads the items of a plan.
#[derive(Clone)]
pub(super) struct UploadOperations {
    pub(super) context: UploadContext,
    pub(super) source_roots: Arc<Vec<Arc<SourceRoot>>>,
    /// Reads small files.
    pub(super) disk_pool: DiskPool,
    /// The folder of all targets, if it does not exist on the server yet.
    pub(super) missing: Option<Arc<MissingFolder>>,
    /// Whether to replace files that appear at a target after the plan was made.
    pub(super) overwrite: bool,
}

/// The outcome of an attempt to upload a small file.
enum SmallFileOutcome {
    /// The server has stored it.
    Stored(StoredReceipt),
    /// The connection was lost; `all_sent` if that was after the last byte, so that the file may be
    /// stored.
    Lost { all_sent: bool },
}

/// A missing folder. The first file that needs it makes it.
pub(super) struct MissingFolder {
    folder: FolderPath,
    made: OnceCell<()>,
}

impl MissingFolder {
    pub(super) fn new(folder: FolderPath) -> Self {
        Self { folder, made: OnceCell::new() }
    }
}

impl TransferOperations for UploadOperations {
    fn context(&self) -> &TransferContext {
        &self.context.shared
    }

    fn server_path<'a>(&self, file: &'a PlanItem) -> &'a FilePath {
        &file.found.target
    }

    fn open_local(&self, file: &PlanItem) -> io::Result<File> {
        self.source_root(file).open_file(&file.found.source)
    }

    async fn make_folder(&self, folder: &PlanItem) -> Result<(), ClientError> {
        self.send_make_folder(&folder.found.target, None).await
    }

    async fn set_folder_times(&self, folders: Vec<PlanItem>) -> Result<(), ClientError> {
        for PlanItem { found, .. } in folders {
            if let ItemKind::Folder { modified } = found.kind
                && let Err(failure) = self.send_make_folder(&found.target, Some(modified)).await
            {
                if failure.is_lost_connection() {
                    return Err(failure);
                }
                // A folder that keeps its new time is no reason to fail: its contents are stored.
                debug!(folder = found.target.as_str(), %failure, "folder time not set");
            }
        }
        Ok(())
    }

    async fn transfer(
        &self,
        item: PlanItem,
        placement: Placement,
    ) -> Result<Option<u64>, ClientError> {
        if let Some(MissingFolder { folder, made }) = self.missing.as_deref()
            && let Ok(folder) = FilePath::parse(folder.as_str())
        {
            made.get_or_try_init(|| self.send_make_folder(&folder, None)).await?;
        }
        let found = &item.found;
        self.context.shared.set_current_file(found.target.clone());
        let source = UploadSource::InTree(self.source_root(&item).clone(), found.source.clone());
        let replace =
            placement == Placement::Replace || (self.overwrite && placement == Placement::Create);
        let mut upload = UploadItem { source, path: found.target.clone(), replace };
        if placement != Placement::KeepBoth {
            return match self.upload_planned(&item, &upload).await {
                // The file may have appeared meanwhile: the server stores what a killed run had
                // sent before it notices that the connection is gone.
                Err(failure)
                    if is_exists_refusal(&failure)
                        && self.is_already_stored(&item, &upload.path).await? =>
                {
                    Ok(None)
                }
                stored => stored.map(|stored| Some(stored.size)),
            };
        }
        for copy in 2..MAX_COPIES {
            upload.path = target_copy(&found.target, copy)?;
            match Box::pin(self.context.upload_file(&upload)).await {
                // An earlier run may have stored this copy.
                Err(failure) if is_exists_refusal(&failure) => {
                    if self.is_already_stored(&item, &upload.path).await? {
                        return Ok(None);
                    }
                }
                Err(failure) => return Err(failure),
                Ok(stored) => {
                    let (kept, stored_at) = (found.target.to_string(), upload.path.to_string());
                    let notice = Notice::KeptBoth { kept, stored: stored_at };
                    self.context.shared.reporter.notify(notice).await;
                    return Ok(Some(stored.size));
                }
            }
        }
        Err(self.exists_error(&item))
    }

    async fn planned_copy(&self, file: &PlanItem) -> Result<PlannedCopy, ClientError> {
        let TransferContext { session, reporter, retry_for, .. } = &self.context.shared;
        for copy in 2..MAX_COPIES {
            let path = target_copy(&file.found.target, copy)?;
            let exists =
                exists_on_server(session, reporter, *retry_for, None, path.clone()).await?;
            if !exists || self.is_already_stored(file, &path).await? {
                return Ok(PlannedCopy { target: path.to_string(), is_stored: exists });
            }
        }
        Err(self.exists_error(file))
    }

    async fn report_same(&self, file: &PlanItem, content: ContentPrefix) {
        let source = self.source_root(file).display_path(&file.found.source);
        let (path, source) = (file.found.target.clone(), source.display().to_string());
        let same = UploadedFile::already_there(path, source, content);
        self.context.shared.reporter.report(TransferEvent::Uploaded(Arc::new(same))).await;
    }

    fn blocked_error(&self, item: &PlanItem, why: &str) -> ClientError {
        let what = format!("cannot put {}", display_safe(item.found.target.as_str()));
        ClientError::refused(what, Refusal::new(RefusalCode::Exists, why))
    }

    fn exists_error(&self, item: &PlanItem) -> ClientError {
        ClientError::exists_on_server(&item.found.target)
    }
}

impl UploadOperations {
    fn source_root(&self, item: &PlanItem) -> &Arc<SourceRoot> {
        &self.source_roots[item.found.source_root as usize]
    }

    /// Whether the file on the server at `path` has the content of the local file.
    async fn is_already_stored(
        &self,
        item: &PlanItem,
        path: &FilePath,
    ) -> Result<bool, ClientError> {
        let (source_root, source) = (self.source_root(item).clone(), item.found.source.clone());
        let open = move || source_root.open_file(&source);
        match compare_content(&self.context.shared, &self.disk_pool, path, open).await {
            Err(failure) if affects_all(&failure) => Err(failure),
            // A file that cannot be read counts as different.
            same => Ok(same.is_ok_and(|same| same.is_some())),
        }
    }

    /// Uploads a file to its planned target.
    async fn upload_planned(
        &self,
        item: &PlanItem,
        upload: &UploadItem,
    ) -> Result<StoredReceipt, ClientError> {
        let may_be_stored = if is_small(item) {
            match self.upload_small(item, upload).await? {
                SmallFileOutcome::Stored(stored) => return Ok(stored),
                SmallFileOutcome::Lost { all_sent } => all_sent,
            }
        } else {
            false
        };
        // Boxed: this large future is rarely needed, and would be moved along with every small
        // file.
        Box::pin(self.context.upload_unconfirmed_file(upload, may_be_stored)).await
    }

    /// Uploads a small file in one attempt.
    async fn upload_small(
        &self,
        item: &PlanItem,
        upload: &UploadItem,
    ) -> Result<SmallFileOutcome, ClientError> {
        let started = Instant::now();
        let handle = self.context.shared.session.handle();
        let (source_root, source) = (self.source_root(item).clone(), item.found.source.clone());
        let read = self.disk_pool.run(move || Source::new(source_root.open_file(&source)?)?.load());
        let source = read.await.unwrap_or_else(|ending| Err(io::Error::other(ending)));
        let source = source.map_err(|error| to_client_error(upload, PutError::Source(error)))?;
        let offer = PutOffer { path: upload.path.clone(), replace: upload.replace, resume: false };
        let mut all_sent = false;
        let sent = async {
            let sending = exchange::put(&handle.connection, source, &offer, handle.timeout).await?;
            let sent_bytes = sending.sent_bytes();
            let stored =
                sending.send(self.context.shared.rate_limit.as_ref(), &|| false, |_| {}).await;
            all_sent = sent_bytes.is_complete();
            stored
        };
        let error = match sent.await {
            Ok(stored) => {
                self.count_small(&stored);
                self.context.report_uploaded(upload, stored, started).await;
                return Ok(SmallFileOutcome::Stored(stored));
            }
            Err(PutError::Stream(error)) => error,
            Err(error) => return Err(to_client_error(upload, error)),
        };
        match handle.check_connection_loss(error).await {
            Ok(()) => Ok(SmallFileOutcome::Lost { all_sent }),
            Err(error) => Err(to_client_error(upload, error.into())),
        }
    }

    /// Counts the bytes of a small file.
    fn count_small(&self, stored: &StoredReceipt) {
        if let Some(transfer) = self.context.shared.reporter.transfer() {
            transfer.counters.add_sent(stored.sent);
            transfer.counters.add_acknowledged(stored.size);
        }
    }

    async fn send_make_folder(
        &self,
        path: &FilePath,
        modified: Option<Timestamp>,
    ) -> Result<(), ClientError> {
        let what = || format!("cannot make {}", display_safe(path.as_str()));
        let make = |handle: SessionHandle| async move {
            let (connection, timeout) = (&handle.connection, handle.timeout);
            exchange::make_folder(connection, path.clone(), modified, timeout).await
        };
        let TransferContext { session, retry_for, reporter, .. } = &self.context.shared;
        session.retry(*retry_for, reporter, what, make).await.map(drop)
    }
}

/// The path of a numbered copy on the server.
fn target_copy(target: &FilePath, copy: u32) -> Result<FilePath, ClientError> {
    copy_path(target, copy).map_err(|rule| {
        let what = format!("cannot put {}", display_safe(&copy_name(target.file_name(), copy)));
        ClientError::refused(what, Refusal::from(rule))
    })
}
