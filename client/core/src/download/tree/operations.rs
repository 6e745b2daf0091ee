//! The operations of a planned download.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use cap_std::fs::Dir;
use quiver_protocol::{ClientName, ContentHash, ContentPrefix, FilePath};
use quiver_transfer::file_system::{UnsetAttributes, stat};
use quiver_transfer::{
    DiskPool, FileAttributes, PartialFile, ReplacePolicy, TransferThrottle, is_stored,
    store_new_file,
};
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use crate::download::{
    DownloadContext, DownloadItem, DownloadTarget, OfferedFile, to_client_error,
};
use crate::error::ClientError;
use crate::exchange::{self, GetError, ReceivedFile, StorageTarget};
use crate::journal::{self, Direction};
use crate::notice::Notice;
use crate::outcomes::affects_all;
use crate::tasks::blocking;
use crate::transfer_context::TransferContext;
use crate::transfers::{DownloadedFile, PlannedCopy, TransferEvent};
use crate::tree::{ItemKind, PlanItem, PlanItemState, TargetFolder, copy_name};
use crate::tree_transfer::{
    MAX_COPIES, Placement, TransferOperations, compare_content, copy_path, is_small,
};

/// Downloads the items of a plan.
#[derive(Clone)]
pub(super) struct DownloadOperations {
    pub(super) context: DownloadContext,
    pub(super) folder: Arc<TargetFolder>,
    /// The sender of an offer; `None` for files of the server.
    pub(super) sender: Option<ClientName>,
    /// Stores small files.
    pub(super) disk_pool: DiskPool,
    /// Whether to replace files that appear at a target after the plan was made.
    pub(super) overwrite: bool,
}

/// The target of a copy that is stored next to an existing file.
#[derive(PartialEq, Eq)]
enum CopyTarget {
    /// A name that is not in use.
    Free,
    /// A file with the same content, stored by an earlier run.
    AlreadyStored,
}

impl TransferOperations for DownloadOperations {
    fn context(&self) -> &TransferContext {
        &self.context.shared
    }

    fn server_path<'a>(&self, file: &'a PlanItem) -> &'a FilePath {
        &file.found.source
    }

    fn open_local(&self, file: &PlanItem) -> io::Result<std::fs::File> {
        self.folder.open_file(&file.found.target)
    }

    async fn make_folder(&self, folder: &PlanItem) -> Result<(), ClientError> {
        let (target_folder, target) = (self.folder.clone(), folder.found.target.clone());
        let failed = |source| ClientError::Target {
            path: self.folder.display_path(&folder.found.target),
            source,
        };
        blocking(move || Ok(target_folder.make_folder(&target))).await?.map_err(failed)
    }

    async fn set_folder_times(&self, folders: Vec<PlanItem>) -> Result<(), ClientError> {
        let target_folder = self.folder.clone();
        let unset = blocking(move || {
            let mut first = None;
            for PlanItem { found, .. } in folders {
                let ItemKind::Folder { modified } = found.kind else { continue };
                match target_folder.set_folder_time(&found.target, modified) {
                    Ok(unset) if unset.is_empty() => {}
                    Ok(unset) => {
                        debug!(folder = found.target.as_str(), %unset, "folder time not set");
                        first.get_or_insert_with(|| {
                            (target_folder.display_path(&found.target), unset)
                        });
                    }
                    // The folder was moved or removed meanwhile.
                    Err(error) => {
                        debug!(folder = found.target.as_str(), %error, "folder time not set");
                    }
                }
            }
            Ok(first)
        });
        if let Some((shown_path, unset)) = unset.await? {
            self.context.shared.reporter.warn_unset_attributes(&shown_path, unset).await;
        }
        Ok(())
    }

    async fn transfer(
        &self,
        item: PlanItem,
        placement: Placement,
    ) -> Result<Option<u64>, ClientError> {
        let started = Instant::now();
        let replace = if placement == Placement::Replace {
            ReplacePolicy::Existing
        } else {
            ReplacePolicy::Never
        };
        let found = &item.found;
        let mut target = self.storage_target(&found.target, replace).await?;
        if placement == Placement::KeepBoth
            && self.choose_copy_name(&mut target, &item).await? == CopyTarget::AlreadyStored
        {
            return Ok(None);
        }
        let shown_path = self.folder.display_path(&found.target).with_file_name(&target.name);
        let download_target = DownloadTarget::File(target.clone(), shown_path.clone());
        let path = found.source.clone();
        let file = match (&self.sender, found.kind) {
            (Some(from), ItemKind::File { size, .. }) => {
                let offered = OfferedFile { from: from.clone(), size };
                DownloadItem::of_offer(path, download_target, offered)
            }
            _ => DownloadItem::new(path, download_target),
        };
        self.context.shared.set_current_file(file.shown.clone());
        let small = is_small(&item) && !matches!(item.state, PlanItemState::Partial(_));
        let may_replace = self.overwrite && placement == Placement::Create;
        let got =
            if small { self.download_small(&file, &target, may_replace).await? } else { None };
        if may_replace {
            target.replace = ReplacePolicy::Existing;
        }
        let small = got.is_some();
        let (got, received) = match got {
            Some(got) => (got, got.size),
            // Boxed: this large future is rarely needed, and would be moved along with every small
            // file.
            None => Box::pin(self.context.store_file(&file, &target)).await?,
        };
        if small {
            self.count_small(got.size);
        }
        self.context.report_downloaded(&file, got, received, started).await;
        if placement == Placement::KeepBoth {
            let kept = self.folder.display_path(&found.target).display().to_string();
            let stored = shown_path.display().to_string();
            self.context.shared.reporter.notify(Notice::KeptBoth { kept, stored }).await;
        }
        Ok(Some(got.size))
    }

    async fn planned_copy(&self, file: &PlanItem) -> Result<PlannedCopy, ClientError> {
        let found = &file.found;
        let mut target = self.storage_target(&found.target, ReplacePolicy::Never).await?;
        let copy = self.choose_copy_name(&mut target, file).await?;
        let shown_path = self.folder.display_path(&found.target).with_file_name(&target.name);
        let is_stored = copy == CopyTarget::AlreadyStored;
        Ok(PlannedCopy { target: shown_path.display().to_string(), is_stored })
    }

    async fn report_same(&self, file: &PlanItem, content: ContentPrefix) {
        // The end of an offer has its own line.
        if self.sender.is_none() {
            let target = self.folder.display_path(&file.found.target);
            let same = DownloadedFile::already_there(file.found.source.clone(), target, content);
            let reporter = &self.context.shared.reporter;
            reporter.report(TransferEvent::Downloaded(Arc::new(same))).await;
        }
    }

    fn blocked_error(&self, item: &PlanItem, why: &str) -> ClientError {
        let path = self.folder.display_path(&item.found.target);
        ClientError::Target { path, source: io::Error::other(why.to_owned()) }
    }

    fn exists_error(&self, item: &PlanItem) -> ClientError {
        ClientError::Exists(self.folder.display_path(&item.found.target))
    }
}

impl DownloadOperations {
    async fn storage_target(
        &self,
        target: &FilePath,
        replace: ReplacePolicy,
    ) -> Result<StorageTarget, ClientError> {
        let folder = self.parent_of(target).await?;
        let (name, path) = (target.file_name().to_owned(), self.folder.absolute(target));
        Ok(StorageTarget { folder, name, path, replace })
    }

    /// Opens the folder of a target.
    async fn parent_of(&self, target: &FilePath) -> Result<Arc<Dir>, ClientError> {
        if let Some(folder) = self.folder.cached_parent(target) {
            return Ok(folder);
        }
        let failed =
            |source| ClientError::Target { path: self.folder.display_path(target), source };
        let (target_folder, target) = (self.folder.clone(), target.clone());
        // All files of a folder ask at once; a thread for each would only wait for the first one.
        let folder = self.disk_pool.run(move || target_folder.parent(&target)).await;
        folder.map_err(|_| ClientError::Interrupted)?.map_err(failed)
    }

    /// Sets the target to an unused copy name, or to the one under which an earlier run has stored
    /// the file.
    async fn choose_copy_name(
        &self,
        target: &mut StorageTarget,
        item: &PlanItem,
    ) -> Result<CopyTarget, ClientError> {
        let found = &item.found;
        let shown_path: PathBuf = self.folder.display_path(&found.target);
        for copy in 2..MAX_COPIES {
            let name = copy_name(found.target.file_name(), copy);
            let (folder, candidate) = (target.folder.clone(), name.clone());
            let existing = blocking(move || Ok(stat(&folder, candidate))).await?;
            match existing {
                Ok(existing) => {
                    // A file system that does not report sizes gives 0.
                    let may_be_same =
                        |size| existing.is_file() && (size == 0 || existing.len() == size);
                    if matches!(found.kind, ItemKind::File { size, .. } if may_be_same(size))
                        && self.copy_has_server_content(item, copy).await?
                    {
                        target.name = name;
                        return Ok(CopyTarget::AlreadyStored);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    target.path.set_file_name(&name);
                    target.name = name;
                    return Ok(CopyTarget::Free);
                }
                Err(source) => return Err(ClientError::Target { path: shown_path, source }),
            }
        }
        Err(ClientError::Exists(shown_path))
    }

    /// Whether a local copy has the content of the server's file.
    async fn copy_has_server_content(
        &self,
        item: &PlanItem,
        copy: u32,
    ) -> Result<bool, ClientError> {
        let Ok(copy_path) = copy_path(&item.found.target, copy) else { return Ok(false) };
        let target_folder = self.folder.clone();
        let open = move || target_folder.open_file(&copy_path);
        let (disk_pool, source) = (&self.disk_pool, &item.found.source);
        match compare_content(&self.context.shared, disk_pool, source, open).await {
            Err(failure) if affects_all(&failure) => Err(failure),
            // A file that cannot be read counts as different.
            same => Ok(same.is_ok_and(|same| same.is_some())),
        }
    }

    /// Counts the bytes of a small file.
    fn count_small(&self, bytes: u64) {
        if let Some(transfer) = self.context.shared.reporter.transfer() {
            transfer.counters.add_received(bytes);
        }
    }

    /// Downloads a small file in one step: from one stream into memory, and under its name in one
    /// call of the disk pool. `None` if the file must be downloaded as a resumable file: it has
    /// grown, a partial file exists, or the connection was lost.
    async fn download_small(
        &self,
        file: &DownloadItem,
        target: &StorageTarget,
        may_replace: bool,
    ) -> Result<Option<ReceivedFile>, ClientError> {
        let handle = self.context.shared.session.handle();
        let download = async {
            let path = &file.path;
            let mut content = exchange::get(&handle.connection, path, None, handle.timeout).await?;
            file.check_size(content.size())?;
            if !content.is_small() {
                return Ok(None);
            }
            let (bytes, mut received) = content.receive_small().await?;
            let stored_since = Instant::now();
            let stored =
                self.store_small(path, target, may_replace, bytes, content.attributes()).await;
            let Some(unset) = stored.map_err(GetError::Disk)? else { return Ok(None) };
            received.record_commit(stored_since.elapsed(), unset);
            Ok(Some(content.acknowledge(&received, &TransferThrottle::default()).await))
        };
        let got = match download.await {
            Ok(Some(got)) => got,
            Ok(None) => return Ok(None),
            Err(GetError::Stream(error)) => {
                return match handle.check_connection_loss(error).await {
                    Ok(()) => Ok(None),
                    Err(error) => Err(to_client_error(file, error.into())),
                };
            }
            Err(error) => return Err(to_client_error(file, error)),
        };
        if let Some(limit) = &self.context.shared.rate_limit {
            sleep_until(limit.take(got.size)).await;
        }
        Ok(Some(got))
    }

    /// Stores the bytes under the target name, and returns the attributes that could not be set.
    /// `None` if an earlier attempt left a partial file; nothing is stored then.
    async fn store_small(
        &self,
        path: &FilePath,
        target: &StorageTarget,
        may_replace: bool,
        bytes: Vec<u8>,
        finish: FileAttributes,
    ) -> io::Result<Option<UnsetAttributes>> {
        let mut target = target.clone();
        let server = self.context.shared.session.server_ref().fingerprint;
        let id = journal::file_id(Direction::Get, server, path, &target.path);
        let stored = self.disk_pool.run(move || {
            if target.replace == ReplacePolicy::Never {
                match store_new_file(&target.folder, &target.name, &bytes, finish) {
                    Ok(Some(unset)) => return Ok(Some(unset)),
                    Ok(None) => {}
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        // Another run may have stored the same file.
                        if has_bytes(&target, &bytes)? {
                            return Ok(Some(UnsetAttributes::default()));
                        }
                        if !may_replace {
                            return Err(error);
                        }
                    }
                    Err(error) => return Err(error),
                }
            }
            if may_replace {
                target.replace = ReplacePolicy::Existing;
            }
            let mut partial = match PartialFile::create(&target.folder, id) {
                Ok(partial) => partial,
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::AlreadyExists | io::ErrorKind::WouldBlock
                    ) =>
                {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
            if may_replace {
                partial.restrict_to(&target.name)?;
            }
            partial.write_all(&bytes)?;
            match partial.commit(&target.name, target.replace, finish) {
                Err(error)
                    if error.kind() == io::ErrorKind::AlreadyExists
                        && has_bytes(&target, &bytes)? =>
                {
                    Ok(Some(UnsetAttributes::default()))
                }
                committed => committed.map(Some),
            }
        });
        stored.await.unwrap_or_else(|ending| Err(io::Error::other(ending)))
    }
}

/// Whether the target is a file with these bytes, for example stored by another run.
fn has_bytes(target: &StorageTarget, bytes: &[u8]) -> io::Result<bool> {
    let blake3 = ContentHash(*blake3::hash(bytes).as_bytes());
    is_stored(&target.folder, &target.name, bytes.len() as u64, blake3)
}
