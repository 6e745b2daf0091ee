//! Named files that exist on both sides: those with the same content need no transfer. Sizes come from the server's
//! lists, and hashes are compared only where the sizes are equal.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::path::{Path, absolute};

use chrono::Utc;
use quiver_protocol::text::display_safe;
use quiver_protocol::{ContentPrefix, FilePath, FolderPath, Timestamp};
use quiver_transfer::DiskPool;
use quiver_transport::StreamError;
use tokio::task::JoinSet;
use tracing::debug;

use crate::error::ClientError;
use crate::exchange::{self, ListItem};
use crate::journal::{Direction, JournalEntry, SingleFile, TransferSubject};
use crate::outcomes::{FILES_AT_ONCE, affects_all};
use crate::reconnecting::SessionHandle;
use crate::tasks::joined;
use crate::transfer_context::TransferContext;
use crate::tree_transfer::compare_content;
use crate::unfinished;

/// Opens a local file for reading. Blocks.
pub(crate) type OpenLocal = Box<dyn FnOnce() -> io::Result<File> + Send>;

/// Returns the sizes of those files that exist on the server. If a folder cannot be listed, its files are missing: their
/// transfer reports the reason.
///
/// # Errors
/// [`ClientError`] if the connection is lost.
pub(crate) async fn server_sizes(
    context: &TransferContext,
    paths: Vec<FilePath>,
) -> Result<HashMap<FilePath, u64>, ClientError> {
    let mut folders: BTreeMap<FolderPath, Vec<FilePath>> = BTreeMap::new();
    for path in paths {
        folders.entry(path.parent()).or_default().push(path);
    }
    let mut sizes = HashMap::new();
    for (folder, mut paths) in folders {
        paths.sort_unstable();
        match list_sizes(context, &folder, &paths).await {
            Ok(found) => sizes.extend(found),
            Err(failure) if affects_all(&failure) => return Err(failure),
            Err(_) => {}
        }
    }
    Ok(sizes)
}

/// Lists a folder up to the last of the sorted paths.
async fn list_sizes(
    context: &TransferContext,
    folder: &FolderPath,
    paths: &[FilePath],
) -> Result<Vec<(FilePath, u64)>, ClientError> {
    let what = || format!("cannot list {}", display_safe(folder.as_str()));
    let list = |handle: SessionHandle| async move {
        let mut found = Vec::new();
        let mut entries =
            exchange::list(&handle.connection, folder.clone(), handle.timeout).await?;
        while let ListItem::Entry(entry) = entries.next().await? {
            // Entries are sorted by path.
            if paths.last().is_none_or(|last| entry.path > *last) {
                break;
            }
            if paths.binary_search(&entry.path).is_ok() {
                found.push((entry.path, entry.size));
            }
        }
        Ok::<_, StreamError>(found)
    };
    context.session.retry(context.retry_for, &context.reporter, what, list).await
}

/// Returns size and hash of those local files whose content the server has under the same path. A file that cannot be
/// read is left out: its transfer reports the reason.
///
/// # Errors
/// [`ClientError`] if the connection is lost.
pub(crate) async fn find_same(
    context: &TransferContext,
    files: Vec<(FilePath, OpenLocal)>,
    server_sizes: &HashMap<FilePath, u64>,
) -> Result<HashMap<FilePath, ContentPrefix>, ClientError> {
    let disk_pool = DiskPool::default();
    let mut waiting = files
        .into_iter()
        .filter_map(|(path, open)| server_sizes.get(&path).map(|size| (path, *size, open)));
    let (mut running, mut same) = (JoinSet::new(), HashMap::new());
    loop {
        while running.len() < FILES_AT_ONCE
            && let Some((path, server_size, open)) = waiting.next()
        {
            let (context, disk_pool) = (context.clone(), disk_pool.clone());
            running.spawn(async move {
                let open = move || open_if_same_size(open, server_size);
                match compare_content(&context, &disk_pool, &path, open).await {
                    Ok(content) => Ok(content.map(|content| (path, content))),
                    Err(failure) if affects_all(&failure) => Err(failure),
                    Err(_) => Ok(None),
                }
            });
        }
        let Some(done) = running.join_next().await else { return Ok(same) };
        same.extend(joined(done)??);
    }
}

/// Removes the local partial file and the journal entry that an interrupted transfer of a file has left, which is complete
/// now.
pub(crate) async fn forget_unfinished(
    context: &TransferContext,
    direction: Direction,
    path: &FilePath,
    local: &Path,
) {
    let Ok(local) = absolute(local) else { return };
    let file = SingleFile { path: path.clone(), local, size: 0, overwrite: false };
    let entry = JournalEntry {
        direction,
        server: context.session.server_ref().clone(),
        started: Timestamp(Utc::now()),
        subject: TransferSubject::File(file),
    };
    if let Err(error) = unfinished::remove(&context.journal, &entry).await {
        debug!(%error, "cannot forget an unfinished transfer");
    }
}

/// Opens a local file; an error if the size alone proves that it differs. Some file systems report 0 as the size of
/// files that are not empty.
fn open_if_same_size(open: OpenLocal, server_size: u64) -> io::Result<File> {
    let file = open()?;
    let size = file.metadata()?.len();
    if size == server_size || size == 0 || server_size == 0 {
        Ok(file)
    } else {
        Err(io::Error::other("the size differs"))
    }
}
