//! The way of files from here to the server.

use std::fs::File;
use std::io;
use std::sync::Arc;

use quiver_protocol::text::display_safe;
use quiver_protocol::{FilePath, FolderPath, Refusal, RefusalCode, Timestamp};
use quiver_transfer::{DiskPool, Source};
use quiver_transport::StreamError;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tracing::debug;

use crate::error::ClientError;
use crate::exchange::{self, PutError, PutOffer, StoredReceipt};
use crate::notice::Notice;
use crate::outcomes::is_shared;
use crate::progress::TotalProgressMeter;
use crate::reconnecting::SessionHandle;
use crate::transfer_context::TransferContext;
use crate::tree::{ItemKind, PlanItem, SourceRoot, another_name};
use crate::tree_transfer::{COPIES, Placement, TreeTransfer, beside, is_same_as, is_small};
use crate::upload::{UploadContext, UploadItem, UploadSource, explain};

/// Files of a tree to the server.
#[derive(Clone)]
pub(super) struct TreeUploads {
    pub(super) context: UploadContext,
    pub(super) source_roots: Arc<Vec<Arc<SourceRoot>>>,
    /// Who reads small files.
    pub(super) disk_pool: DiskPool,
    /// The folder they all go to, where the server does not have it yet.
    pub(super) missing: Option<Arc<MissingFolder>>,
    /// Whether what comes into the way meanwhile is replaced.
    pub(super) overwrite: bool,
}

/// What became of a small file.
enum SmallFileOutcome {
    /// It is there.
    Stored(StoredReceipt),
    /// Its connection was lost, maybe after all of it had been sent.
    Lost { all: bool },
}

/// A folder that is to be made by the first who needs it.
pub(super) struct MissingFolder {
    folder: FolderPath,
    made: OnceCell<()>,
}

impl MissingFolder {
    pub(super) fn new(folder: FolderPath) -> Self {
        Self { folder, made: OnceCell::new() }
    }
}

impl TreeTransfer for TreeUploads {
    fn context(&self) -> &TransferContext {
        &self.context.shared
    }

    fn count(&mut self, total: TotalProgressMeter) {
        self.context.shared.total = Some(total);
    }

    fn remote<'a>(&self, file: &'a PlanItem) -> &'a FilePath {
        &file.found.target
    }

    fn read(&self, file: &PlanItem) -> io::Result<File> {
        self.source_root(file).read(&file.found.source)
    }

    async fn make_folder(&self, folder: &PlanItem) -> Result<(), ClientError> {
        self.folder(&folder.found.target, None).await
    }

    async fn date_folders(&self, folders: Vec<PlanItem>) -> Result<(), ClientError> {
        for PlanItem { found, .. } in folders {
            if let ItemKind::Folder { modified } = found.kind
                && let Err(failure) = self.folder(&found.target, Some(modified)).await
            {
                if failure.is_lost_connection() {
                    return Err(failure);
                }
                // A time is a courtesy: what is in the folder is what counts.
                debug!(folder = found.target.as_str(), %failure, "not dated");
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
            made.get_or_try_init(|| self.folder(&folder, None)).await?;
        }
        let found = &item.found;
        let source = UploadSource::Below(self.source_root(&item).clone(), found.source.clone());
        let replace =
            placement == Placement::Replace || (self.overwrite && placement == Placement::Free);
        let mut upload = UploadItem { source, path: found.target.clone(), replace };
        if placement != Placement::Beside {
            return match self.plainly(&item, &upload).await {
                // It came meanwhile: what a killed run had sent is stored until the server has noticed.
                Err(failure) if is_taken(&failure) && self.is_it(&item, &upload.path).await? => {
                    Ok(None)
                }
                stored => stored.map(|stored| Some(stored.size)),
            };
        }
        for copy in 2..COPIES {
            upload.path = beside(&found.target, copy).map_err(|rule| {
                let name = another_name(found.target.file_name(), copy);
                let what = format!("cannot put {}", display_safe(&name));
                ClientError::refused(what, Refusal::from(rule))
            })?;
            match Box::pin(self.context.one(&upload)).await {
                // By an earlier run, maybe.
                Err(failure) if is_taken(&failure) => {
                    if self.is_it(&item, &upload.path).await? {
                        return Ok(None);
                    }
                }
                Err(failure) => return Err(failure),
                Ok(stored) => {
                    let (kept, stored_at) = (found.target.to_string(), upload.path.to_string());
                    let notice = Notice::KeptBoth { kept, stored: stored_at };
                    self.context.shared.reporter.notice(notice).await;
                    return Ok(Some(stored.size));
                }
            }
        }
        Err(self.exists(&item))
    }

    fn blocked(&self, item: &PlanItem, why: &str) -> ClientError {
        let what = format!("cannot put {}", display_safe(item.found.target.as_str()));
        ClientError::refused(what, Refusal::new(RefusalCode::Exists, why))
    }

    fn exists(&self, item: &PlanItem) -> ClientError {
        ClientError::kept(&item.found.target)
    }
}

impl TreeUploads {
    fn source_root(&self, item: &PlanItem) -> &Arc<SourceRoot> {
        &self.source_roots[item.found.source_root as usize]
    }

    /// Whether the server has a file under another path.
    async fn is_it(&self, item: &PlanItem, path: &FilePath) -> Result<bool, ClientError> {
        let (source_root, source) = (self.source_root(item).clone(), item.found.source.clone());
        let read = move || source_root.read(&source);
        match is_same_as(&self.context.shared, &self.disk_pool, path, read).await {
            Err(failure) if is_shared(&failure) => Err(failure),
            // What cannot be read is another one.
            same => Ok(same.unwrap_or(false)),
        }
    }

    /// A file to the place that was planned for it.
    async fn plainly(
        &self,
        item: &PlanItem,
        upload: &UploadItem,
    ) -> Result<StoredReceipt, ClientError> {
        let may_be_there = if is_small(item) {
            match self.small(item, upload).await? {
                SmallFileOutcome::Stored(stored) => return Ok(stored),
                SmallFileOutcome::Lost { all } => all,
            }
        } else {
            false
        };
        // Large, and not moved along with the many small files.
        Box::pin(self.context.one_that_may_be_there(upload, may_be_there)).await
    }

    /// A small file in one go, as long as its connection lives.
    async fn small(
        &self,
        item: &PlanItem,
        upload: &UploadItem,
    ) -> Result<SmallFileOutcome, ClientError> {
        let began = Instant::now();
        let handle = self.context.shared.session.handle();
        let (source_root, source) = (self.source_root(item).clone(), item.found.source.clone());
        let read = self.disk_pool.run(move || Source::new(source_root.read(&source)?)?.load());
        let source = read.await.unwrap_or_else(|ending| Err(io::Error::other(ending)));
        let source = source.map_err(|error| explain(upload, PutError::Source(error)))?;
        let offer = PutOffer { path: upload.path.clone(), replace: upload.replace, resume: false };
        let mut all = false;
        let sent = async {
            let sending =
                exchange::put(&handle.connection, source, &offer, handle.patience).await?;
            let handed = sending.sent_bytes();
            let stored =
                sending.send(self.context.shared.rate_limit.as_ref(), &|| false, |_| {}).await;
            all = handed.is_complete();
            stored
        };
        let error = match sent.await {
            Ok(stored) => {
                if let Some(total) = &self.context.shared.total {
                    total.grow(stored.size);
                }
                self.count_small(&stored);
                self.context.done(upload, stored, began).await;
                return Ok(SmallFileOutcome::Stored(stored));
            }
            Err(PutError::Stream(error)) => error,
            Err(error) => return Err(explain(upload, error)),
        };
        match handle.is_lost(error).await {
            Ok(()) => Ok(SmallFileOutcome::Lost { all }),
            Err(error) => Err(explain(upload, error.into())),
        }
    }

    /// A small file was sent, in one go.
    fn count_small(&self, stored: &StoredReceipt) {
        if let Some(transfer) = self.context.shared.reporter.transfer() {
            transfer.counters.add_sent(stored.sent);
            transfer.counters.add_acknowledged(stored.size);
        }
    }

    async fn folder(
        &self,
        path: &FilePath,
        modified: Option<Timestamp>,
    ) -> Result<(), ClientError> {
        let what = || format!("cannot make {}", display_safe(path.as_str()));
        let make = |handle: SessionHandle| async move {
            let (connection, patience) = (&handle.connection, handle.patience);
            exchange::make_folder(connection, path.clone(), modified, patience).await
        };
        let TransferContext { session, retry_for, reporter, .. } = &self.context.shared;
        session.retry(*retry_for, reporter, what, make).await.map(drop)
    }
}

fn is_taken(failure: &ClientError) -> bool {
    matches!(
        failure,
        ClientError::Put { source: PutError::Stream(StreamError::Refused(refusal)), .. }
            if refusal.code == RefusalCode::Exists
    )
}
