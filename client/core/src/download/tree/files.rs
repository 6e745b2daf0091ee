//! The way of files from the server to here.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use cap_std::fs::Dir;
use quiver_protocol::{ContentHash, FilePath};
use quiver_transfer::file_system::{UnsetAttributes, stat};
use quiver_transfer::{
    DiskPool, FileAttributes, PartialFile, ReplacePolicy, TransferThrottle, is_stored,
    store_new_file,
};
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use crate::download::{DownloadContext, DownloadItem, DownloadTarget, explain};
use crate::error::ClientError;
use crate::exchange::{self, GetError, ReceivedFile, StorageTarget};
use crate::journal::{self, Direction};
use crate::notice::Notice;
use crate::outcomes::is_shared;
use crate::progress::TotalProgressMeter;

use crate::tasks::blocking;
use crate::transfer_context::TransferContext;
use crate::tree::{ItemKind, PlanItem, PlanItemState, TargetFolder, another_name};
use crate::tree_transfer::{COPIES, Placement, TreeTransfer, beside, is_same_as, is_small};

/// Files of a tree from the server.
#[derive(Clone)]
pub(super) struct TreeDownloads {
    pub(super) context: DownloadContext,
    pub(super) folder: Arc<TargetFolder>,
    /// Who stores small files.
    pub(super) disk_pool: DiskPool,
    /// Whether what comes into the way meanwhile is replaced.
    pub(super) overwrite: bool,
}

/// What is beside a file that stays.
#[derive(PartialEq, Eq)]
enum BesideFile {
    /// A name that nothing has.
    Free,
    /// The other one, which an earlier run has stored.
    There,
}

impl TreeTransfer for TreeDownloads {
    fn context(&self) -> &TransferContext {
        &self.context.shared
    }

    fn count(&mut self, total: TotalProgressMeter) {
        self.context.shared.total = Some(total);
    }

    fn remote<'a>(&self, file: &'a PlanItem) -> &'a FilePath {
        &file.found.source
    }

    fn read(&self, file: &PlanItem) -> io::Result<std::fs::File> {
        self.folder.read(&file.found.target)
    }

    async fn make_folder(&self, folder: &PlanItem) -> Result<(), ClientError> {
        let (place, target) = (self.folder.clone(), folder.found.target.clone());
        let failed =
            |source| ClientError::Target { path: self.folder.shown(&folder.found.target), source };
        blocking(move || Ok(place.make_folder(&target))).await?.map_err(failed)
    }

    async fn date_folders(&self, folders: Vec<PlanItem>) -> Result<(), ClientError> {
        let place = self.folder.clone();
        let unset = blocking(move || {
            let mut first = None;
            for PlanItem { found, .. } in folders {
                let ItemKind::Folder { modified } = found.kind else { continue };
                match place.date_folder(&found.target, modified) {
                    Ok(unset) if unset.is_empty() => {}
                    Ok(unset) => {
                        debug!(folder = found.target.as_str(), %unset, "not dated");
                        first.get_or_insert_with(|| (place.shown(&found.target), unset));
                    }
                    // It was moved or removed meanwhile.
                    Err(error) => debug!(folder = found.target.as_str(), %error, "not dated"),
                }
            }
            Ok(first)
        });
        if let Some((shown, unset)) = unset.await? {
            self.context.shared.reporter.attributes_not_set(&shown, unset).await;
        }
        Ok(())
    }

    async fn transfer(
        &self,
        item: PlanItem,
        placement: Placement,
    ) -> Result<Option<u64>, ClientError> {
        let began = Instant::now();
        let replace = if placement == Placement::Replace {
            ReplacePolicy::Existing
        } else {
            ReplacePolicy::Never
        };
        let found = &item.found;
        let folder = self.parent_of(&found.target).await?;
        let (name, path) =
            (found.target.file_name().to_owned(), self.folder.absolute(&found.target));
        let mut target = StorageTarget { folder, name, path, replace };
        if placement == Placement::Beside
            && self.step_aside(&mut target, &item).await? == BesideFile::There
        {
            return Ok(None);
        }
        let shown = self.folder.shown(&found.target).with_file_name(&target.name);
        let place = DownloadTarget::File(target.clone(), shown.clone());
        let file = DownloadItem { path: found.source.clone(), place };
        let small = is_small(&item) && !matches!(item.state, PlanItemState::Begun(_));
        let may_replace = self.overwrite && placement == Placement::Free;
        let got = if small { self.small(&file, &target, may_replace).await? } else { None };
        if may_replace {
            target.replace = ReplacePolicy::Existing;
        }
        let small = got.is_some();
        let (got, received) = match got {
            Some(got) => (got, got.size),
            // Rare, and large: what nearly all files do without is not moved along with them.
            None => Box::pin(self.context.store(&file, &target)).await?,
        };
        if small {
            self.count_small(got.size);
        }
        self.context.done(&file, got, received, began).await;
        if placement == Placement::Beside {
            let kept = self.folder.shown(&found.target).display().to_string();
            let stored = shown.display().to_string();
            self.context.shared.reporter.notice(Notice::KeptBoth { kept, stored }).await;
        }
        Ok(Some(got.size))
    }

    fn blocked(&self, item: &PlanItem, why: &str) -> ClientError {
        let path = self.folder.shown(&item.found.target);
        ClientError::Target { path, source: io::Error::other(why.to_owned()) }
    }

    fn exists(&self, item: &PlanItem) -> ClientError {
        ClientError::Exists(self.folder.shown(&item.found.target))
    }
}

impl TreeDownloads {
    /// The folder that a file goes to.
    async fn parent_of(&self, target: &FilePath) -> Result<Arc<Dir>, ClientError> {
        if let Some(folder) = self.folder.known_parent(target) {
            return Ok(folder);
        }
        let failed = |source| ClientError::Target { path: self.folder.shown(target), source };
        let (place, target) = (self.folder.clone(), target.clone());
        // All that goes there asks at once: a thread for each would only wait for the first.
        let folder = self.disk_pool.run(move || place.parent(&target)).await;
        folder.map_err(|_| ClientError::Interrupted)?.map_err(failed)
    }

    /// Takes a name that nothing has, unless an earlier run has done so.
    async fn step_aside(
        &self,
        target: &mut StorageTarget,
        item: &PlanItem,
    ) -> Result<BesideFile, ClientError> {
        let found = &item.found;
        let shown: PathBuf = self.folder.shown(&found.target);
        for copy in 2..COPIES {
            let name = another_name(found.target.file_name(), copy);
            let (folder, other) = (target.folder.clone(), name.clone());
            let there = blocking(move || Ok(stat(&folder, other))).await?;
            match there {
                Ok(there) => {
                    // A size of 0 may be what a file system says that tells none.
                    let is_alike = |size| there.is_file() && (size == 0 || there.len() == size);
                    if matches!(found.kind, ItemKind::File { size, .. } if is_alike(size))
                        && self.has(item, copy).await?
                    {
                        return Ok(BesideFile::There);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    target.path.set_file_name(&name);
                    target.name = name;
                    return Ok(BesideFile::Free);
                }
                Err(source) => return Err(ClientError::Target { path: shown, source }),
            }
        }
        Err(ClientError::Exists(shown))
    }

    /// Whether a copy here is the server's file.
    async fn has(&self, item: &PlanItem, copy: u32) -> Result<bool, ClientError> {
        let Ok(beside) = beside(&item.found.target, copy) else { return Ok(false) };
        let place = self.folder.clone();
        let read = move || place.read(&beside);
        let (disk_pool, source) = (&self.disk_pool, &item.found.source);
        match is_same_as(&self.context.shared, disk_pool, source, read).await {
            Err(failure) if is_shared(&failure) => Err(failure),
            // What cannot be read is another one.
            same => Ok(same.unwrap_or(false)),
        }
    }

    /// A small file came, in one go.
    fn count_small(&self, bytes: u64) {
        if let Some(transfer) = self.context.shared.reporter.transfer() {
            transfer.counters.add_received(bytes);
        }
    }

    /// A small file in one go, from one stream into memory, and from there under its name in one visit to the
    /// disk. `None` where it takes the long way: it has grown, something of it is here, or its connection was
    /// lost.
    async fn small(
        &self,
        file: &DownloadItem,
        target: &StorageTarget,
        may_replace: bool,
    ) -> Result<Option<ReceivedFile>, ClientError> {
        let handle = self.context.shared.session.handle();
        let small = async {
            let path = &file.path;
            let mut content =
                exchange::get(&handle.connection, path, None, handle.patience).await?;
            if !content.is_small() {
                return Ok(None);
            }
            let (bytes, mut came) = content.receive_small().await?;
            let since = Instant::now();
            let stored = self.store(path, target, may_replace, bytes, content.attributes()).await;
            let Some(unset) = stored.map_err(GetError::Disk)? else { return Ok(None) };
            came.record_commit(since.elapsed(), unset);
            Ok(Some(content.acknowledge(&came, &TransferThrottle::default()).await))
        };
        let got = match small.await {
            Ok(Some(got)) => got,
            Ok(None) => return Ok(None),
            Err(GetError::Stream(error)) => {
                return match handle.is_lost(error).await {
                    Ok(()) => Ok(None),
                    Err(error) => Err(explain(file, error.into())),
                };
            }
            Err(error) => return Err(explain(file, error)),
        };
        if let Some(total) = &self.context.shared.total {
            total.grow(got.size);
        }
        if let Some(limit) = &self.context.shared.rate_limit {
            sleep_until(limit.take(got.size)).await;
        }
        Ok(Some(got))
    }

    /// Gives it its name; the attributes that could not be set. `None` where an earlier attempt has left
    /// something: it has no name then.
    async fn store(
        &self,
        path: &FilePath,
        target: &StorageTarget,
        may_replace: bool,
        bytes: Vec<u8>,
        finish: FileAttributes,
    ) -> io::Result<Option<UnsetAttributes>> {
        let mut target = target.clone();
        let server = self.context.shared.session.origin().fingerprint;
        let id = journal::id(Direction::Get, server, path, &target.path);
        let stored = self.disk_pool.run(move || {
            if target.replace == ReplacePolicy::Never {
                match store_new_file(&target.folder, &target.name, &bytes, finish) {
                    Ok(Some(unset)) => return Ok(Some(unset)),
                    Ok(None) => {}
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        // By another run of the same.
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
            let mut part = match PartialFile::create(&target.folder, id) {
                Ok(part) => part,
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
            part.write_all(&bytes)?;
            match part.commit(&target.name, target.replace, finish) {
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

/// Whether a target is a file with these bytes, as where another run of the same was first.
fn has_bytes(target: &StorageTarget, bytes: &[u8]) -> io::Result<bool> {
    let blake3 = ContentHash(*blake3::hash(bytes).as_bytes());
    is_stored(&target.folder, &target.name, bytes.len() as u64, blake3)
}
