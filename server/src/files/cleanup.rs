//! Cleanup: removes old partial files, and brings the quota database in line with the files that are stored now.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use cap_std::fs::Dir;
use quiver_protocol::{FilePath, FolderPath};
use quiver_transfer::file_system::stat;
use quiver_transfer::{PARTIAL_PREFIX, PARTIAL_SUFFIX, PartialFile, is_partial_name};

use super::FilesError;
use super::store::UploadStore;
use super::walk::{place, walk};
use crate::quota_db::FOLDER_SIZE;
use crate::unix::Inode;

/// How long the owner of a file is remembered that is not there any more.
const MISSING: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long a part waits for its next attempt, from the last byte on.
const AGE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Rows of the quota database that are looked at at once.
const PAGE: u32 = 1000;

/// What a sweep found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SweepSummary {
    /// Parts that were too old.
    pub removed: u64,
    /// Parts that stay, those that puts have now too.
    pub kept: u64,
}

/// Goes through all folders. Reads what they hold, and waits for nobody.
/// Stops where the folder is not the one that is `served` any more: the rows are of what is in that one.
pub(super) fn sweep(
    root: &Dir,
    store: &UploadStore,
    now: SystemTime,
    served: &dyn Fn() -> bool,
) -> Result<SweepSummary, FilesError> {
    settle_unfinished(root, store)?;
    let quota_db = store.quota_db();
    let mut swept = SweepSummary::default();
    let (waiting, mut parts) = (quota_db.waiting_parts(), HashMap::new());
    let mut folders = vec![FolderPath::ROOT];
    while let Some(path) = folders.pop() {
        // What cannot be read, or is gone by now, holds nothing of ours.
        let Ok(folder) = walk(root, path.parts()) else { continue };
        let Ok(entries) = folder.entries() else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let (Some(name), Ok(kind)) = (name.to_str(), entry.file_type()) else { continue };
            let (mut is_dir, mut is_file) = (kind.is_dir(), kind.is_file());
            // Not every file system tells along with a name what it stands for.
            if !is_dir
                && !is_file
                && let Ok(found) = stat(&folder, name)
            {
                (is_dir, is_file) = (found.is_dir(), found.is_file());
            }
            if is_dir {
                folders.extend(path.join(name).ok().map(|path| folder_path(&path)));
            } else if is_file && is_partial_name(name) {
                let is_useless = is_old(&folder, name, now) || is_left_over(store, &folder, name);
                if is_useless && remove(&folder, name) {
                    swept.removed += 1;
                } else if let (Some(id), Ok(found)) = (id(name), stat(&folder, name)) {
                    parts.insert(id, found.len());
                    swept.kept += 1;
                }
            }
        }
    }
    if served() {
        quota_db.found_parts(&waiting, &parts)?;
        look_for_missing(root, store, now, served)?;
        look_at_files(root, store, now, served)?;
    }
    Ok(swept)
}

/// Settles the renames and replaced files that were recorded when a process was killed, or when its quota database
/// failed: the inode that has the name now tells whether the change happened. Also runs before clients connect.
pub(super) fn settle_unfinished(root: &Dir, store: &UploadStore) -> Result<(), FilesError> {
    let _lock = store.names().lock_all();
    let quota_db = store.quota_db();
    let (renames, replaced) = quota_db.unfinished()?;
    if renames.is_empty() && replaced.is_empty() {
        return Ok(());
    }
    for rename in renames {
        let happened = inode(root, &rename.target) == Some(rename.inode);
        quota_db.end_rename(&rename, happened)?;
    }
    for older in replaced {
        let happened = inode(root, &older.path) != Some(older.inode);
        quota_db.end_replacement(&older.path, happened)?;
    }
    quota_db.recount()?;
    Ok(())
}

fn inode(root: &Dir, path: &str) -> Option<u64> {
    let path = FilePath::parse(path).ok()?;
    let (folder, name) = place(root, &path).ok()?;
    Inode::of(&folder, name).ok().map(|inode| inode.number)
}

/// Whether a part was left by an earlier process and no upload can resume it.
fn is_left_over(store: &UploadStore, folder: &Dir, name: &str) -> bool {
    let Ok(found) = stat(folder, name) else { return false };
    let is_useless =
        found.is_empty() || id(name).is_some_and(|id| store.quota_db().is_temporary(id));
    is_useless && found.modified() < store.started()
}

fn folder_path(path: &FilePath) -> FolderPath {
    // Every path of a file is one of a folder.
    FolderPath::parse(path.as_str()).unwrap_or(FolderPath::ROOT)
}

fn is_old(folder: &Dir, name: &str, now: SystemTime) -> bool {
    let found = stat(folder, name);
    found.is_ok_and(|found| now.duration_since(found.modified()).is_ok_and(|age| age > AGE))
}

/// Whether the part is gone: not where a transfer has it now.
fn remove(folder: &Dir, name: &str) -> bool {
    match id(name).map(|id| PartialFile::open(folder, id)) {
        Some(Ok(part)) => {
            part.discard();
            true
        }
        _ => false,
    }
}

/// The number in a part's name, as [`PartialFile`] writes it.
fn id(name: &str) -> Option<u64> {
    let hex = name.strip_prefix(PARTIAL_PREFIX)?.strip_suffix(PARTIAL_SUFFIX)?;
    let id = u64::from_str_radix(hex, 16).ok()?;
    (format!("{id:016x}") == hex).then_some(id)
}

/// Files and folders that were changed or removed by somebody else than a client count as what they are now.
fn look_at_files(
    root: &Dir,
    store: &UploadStore,
    now: SystemTime,
    served: &dyn Fn() -> bool,
) -> Result<(), FilesError> {
    let quota_db = store.quota_db();
    let mut last = String::new();
    loop {
        let rows = quota_db.files_after(&last, PAGE)?;
        let Some((path, _)) = rows.last() else { return Ok(()) };
        last.clone_from(path);
        for (path, counted) in rows {
            let file = FilePath::parse(&path).ok();
            let size = || file.as_ref().and_then(|path| size(root, path));
            if size() != Some(counted) {
                // The row is written before the name: without the lock a file that gets its name now seems missing.
                let _lock = store.names().lock(&path);
                if !served() {
                    return Ok(());
                }
                quota_db.found(&path, counted, size(), now)?;
            }
        }
    }
}

/// Files that were missing, as while a disk was not mounted, and are there again count for their owners again.
fn look_for_missing(
    root: &Dir,
    store: &UploadStore,
    now: SystemTime,
    served: &dyn Fn() -> bool,
) -> Result<(), FilesError> {
    let quota_db = store.quota_db();
    quota_db.forget_missing(now.checked_sub(MISSING).unwrap_or(SystemTime::UNIX_EPOCH))?;
    let mut last = String::new();
    loop {
        let rows = quota_db.missing_after(&last, PAGE)?;
        let Some((path, _)) = rows.last() else { return Ok(()) };
        last.clone_from(path);
        for (path, counted) in rows {
            let file = FilePath::parse(&path).ok();
            let is_there = || file.as_ref().and_then(|path| size(root, path)) == Some(counted);
            if is_there() {
                let _lock = store.names().lock(&path);
                if served() && is_there() {
                    quota_db.is_back(&path)?;
                }
            }
        }
    }
}

/// What a file or folder counts.
fn size(root: &Dir, path: &FilePath) -> Option<u64> {
    let (folder, name) = place(root, path).ok()?;
    let found = stat(&folder, name).ok()?;
    match () {
        () if found.is_file() => Some(found.len()),
        () if found.is_dir() => Some(FOLDER_SIZE),
        () => None,
    }
}
