//! Cleanup: removes old partial files, and corrects the rows of the quota database that do not
//! match the stored files.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use cap_std::fs::Dir;
use quiver_protocol::{FilePath, FolderPath};
use quiver_transfer::file_system::{stat, try_lock};
use quiver_transfer::served_folder::open_folder;
use quiver_transfer::{PARTIAL_PREFIX, PARTIAL_SUFFIX, PartialFile, is_partial_name};

use super::FilesError;
use super::parent::open_parent;
use super::store::UploadStore;
use super::tree_copy::remove_tree;
use crate::quota_db::FOLDER_SIZE;
use crate::unix::{PinnedInode, open_entry};

/// How long the quota database remembers the owner of a missing file.
const MISSING_RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long a partial file is kept for its next attempt, counted from the last write.
const MAX_PARTIAL_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Rows of the quota database that are read in one query.
const ROWS_PER_PAGE: u32 = 1000;

/// The partial files that a sweep found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SweepSummary {
    /// Partial files that were removed: too old, or useless.
    pub removed: u64,
    /// Partial files that remain, including those of running uploads.
    pub remaining: u64,
}

/// Goes through all folders. It only reads the folders' entries, and waits for no upload. The quota
/// database describes the served folder, so its rows are corrected only while `is_served` returns
/// true: `root` may have been replaced.
pub(super) fn sweep(
    root: &Dir,
    store: &UploadStore,
    now: SystemTime,
    is_served: &dyn Fn() -> bool,
) -> Result<SweepSummary, FilesError> {
    settle_unfinished(root, store)?;
    let quota_db = store.quota_db();
    let mut summary = SweepSummary::default();
    let (expected, mut found_sizes) = (quota_db.resumable_ids(), HashMap::new());
    let mut folders = vec![FolderPath::ROOT];
    while let Some(path) = folders.pop() {
        // An unreadable folder has no partial files of this server; a removed one has none any
        // more.
        let Ok(folder) = open_folder(root, path.parts()) else { continue };
        let Ok(entries) = folder.entries() else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let (Some(name), Ok(kind)) = (name.to_str(), entry.file_type()) else { continue };
            let (mut is_dir, mut is_file) = (kind.is_dir(), kind.is_file());
            // Some file systems do not report an entry's type along with its name.
            if !is_dir
                && !is_file
                && let Ok(found) = stat(&folder, name)
            {
                (is_dir, is_file) = (found.is_dir(), found.is_file());
            }
            if is_dir && is_partial_name(name) {
                summary.removed += u64::from(remove_abandoned_copy(store, &folder, name));
            } else if is_dir {
                folders.extend(path.join(name).ok().map(|path| folder_path(&path)));
            } else if is_file && is_partial_name(name) {
                let is_useless = is_old(&folder, name, now) || is_orphaned(store, &folder, name);
                if is_useless && remove(&folder, name) {
                    summary.removed += 1;
                } else if let (Some(id), Ok(found)) = (partial_file_id(name), stat(&folder, name)) {
                    found_sizes.insert(id, found.len());
                    summary.remaining += 1;
                }
            }
        }
    }
    if is_served() {
        quota_db.correct_partial_files(&expected, &found_sizes)?;
        restore_returned_files(root, store, now, is_served)?;
        correct_changed_files(root, store, now, is_served)?;
    }
    Ok(summary)
}

/// Settles the renames and replacements that are still recorded, because the process was killed or
/// its quota database failed. The inode that has the name now tells whether the change was made.
/// Also runs before clients connect.
pub(super) fn settle_unfinished(root: &Dir, store: &UploadStore) -> Result<(), FilesError> {
    let _lock = store.path_locks().lock_all();
    let quota_db = store.quota_db();
    let (renames, replacements) = quota_db.unsettled_changes()?;
    if renames.is_empty() && replacements.is_empty() {
        return Ok(());
    }
    for rename in renames {
        let is_done = inode_number(root, &rename.target) == Some(rename.inode);
        quota_db.settle_rename(&rename, is_done)?;
    }
    for replacement in replacements {
        let is_done = inode_number(root, &replacement.path) != Some(replacement.inode);
        quota_db.settle_replacement(&replacement.path, is_done)?;
    }
    quota_db.recount()?;
    Ok(())
}

fn inode_number(root: &Dir, path: &str) -> Option<u64> {
    let path = FilePath::parse(path).ok()?;
    let (folder, name) = open_parent(root, &path).ok()?;
    PinnedInode::open(&folder, name).ok().map(|inode| inode.number)
}

/// Whether an earlier process left this partial file, and no upload can resume it.
fn is_orphaned(store: &UploadStore, folder: &Dir, name: &str) -> bool {
    let Ok(found) = stat(folder, name) else { return false };
    let is_useless = found.is_empty()
        || partial_file_id(name).is_some_and(|id| store.quota_db().is_temporary(id));
    is_useless && found.modified() < store.started_at()
}

/// Removes a folder that an earlier process copied, or moved, to another disk; returns whether it
/// did.
fn remove_abandoned_copy(store: &UploadStore, folder: &Dir, name: &str) -> bool {
    let is_temporary = partial_file_id(name).is_some_and(|id| store.quota_db().is_temporary(id));
    let is_older = stat(folder, name).is_ok_and(|found| found.modified() < store.started_at());
    if !is_temporary || !is_older {
        return false;
    }
    // Locked by the copy, until that has its final name.
    let lock = open_entry(folder, name).and_then(|opened| Ok((try_lock(&opened)?, opened)));
    lock.is_ok() && remove_tree(folder, name, true).is_ok()
}

fn folder_path(path: &FilePath) -> FolderPath {
    // Every valid file path is a valid folder path.
    FolderPath::parse(path.as_str()).unwrap_or(FolderPath::ROOT)
}

fn is_old(folder: &Dir, name: &str, now: SystemTime) -> bool {
    let found = stat(folder, name);
    found.is_ok_and(|found| {
        now.duration_since(found.modified()).is_ok_and(|age| age > MAX_PARTIAL_AGE)
    })
}

/// Removes a partial file unless a transfer has it locked; returns whether it was removed.
fn remove(folder: &Dir, name: &str) -> bool {
    match partial_file_id(name).map(|id| PartialFile::open(folder, id)) {
        Some(Ok(partial_file)) => {
            partial_file.discard();
            true
        }
        _ => false,
    }
}

/// The id in a partial file's name, in the form that [`PartialFile`] writes.
fn partial_file_id(name: &str) -> Option<u64> {
    let hex = name.strip_prefix(PARTIAL_PREFIX)?.strip_suffix(PARTIAL_SUFFIX)?;
    let id = u64::from_str_radix(hex, 16).ok()?;
    (format!("{id:016x}") == hex).then_some(id)
}

/// Corrects the rows of files and folders that were changed or removed by other programs than this
/// server.
fn correct_changed_files(
    root: &Dir,
    store: &UploadStore,
    now: SystemTime,
    is_served: &dyn Fn() -> bool,
) -> Result<(), FilesError> {
    let quota_db = store.quota_db();
    let mut last = String::new();
    loop {
        let rows = quota_db.files_after(&last, ROWS_PER_PAGE)?;
        let Some((path, _)) = rows.last() else { return Ok(()) };
        last.clone_from(path);
        for (path, counted) in rows {
            let file = FilePath::parse(&path).ok();
            let size = || file.as_ref().and_then(|path| counted_size(root, path));
            if size() != Some(counted) {
                // A row is written before its file gets its name. Without the lock such a file
                // would seem missing.
                let _lock = store.path_locks().lock(&path);
                if !is_served() {
                    return Ok(());
                }
                quota_db.correct_file(&path, counted, size(), now)?;
            }
        }
    }
}

/// Restores the rows of missing files that exist again, as after a disk was unmounted for a while:
/// they count for their owners again.
fn restore_returned_files(
    root: &Dir,
    store: &UploadStore,
    now: SystemTime,
    is_served: &dyn Fn() -> bool,
) -> Result<(), FilesError> {
    let quota_db = store.quota_db();
    let oldest = now.checked_sub(MISSING_RETENTION).unwrap_or(SystemTime::UNIX_EPOCH);
    quota_db.forget_missing(oldest)?;
    let mut last = String::new();
    loop {
        let rows = quota_db.missing_after(&last, ROWS_PER_PAGE)?;
        let Some((path, _)) = rows.last() else { return Ok(()) };
        last.clone_from(path);
        for (path, counted) in rows {
            let file = FilePath::parse(&path).ok();
            let size = || file.as_ref().and_then(|path| counted_size(root, path));
            if size() == Some(counted) {
                let _lock = store.path_locks().lock(&path);
                if is_served() && size() == Some(counted) {
                    quota_db.restore_missing(&path)?;
                }
            }
        }
    }
}

/// The bytes that a file or folder counts against a quota.
fn counted_size(root: &Dir, path: &FilePath) -> Option<u64> {
    let (folder, name) = open_parent(root, path).ok()?;
    let found = stat(&folder, name).ok()?;
    match () {
        () if found.is_file() => Some(found.len()),
        () if found.is_dir() => Some(FOLDER_SIZE),
        () => None,
    }
}
