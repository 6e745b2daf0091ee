//! Copies a file or folder to another disk, for a move that cannot be a rename. The copy has a
//! temporary name until the caller gives it its final one; it is verified and flushed by then.
//! Knows no locks of paths and no quota.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cap_std::fs::Dir;
use quiver_transfer::file_system::{
    FileLock, FileStat, rename_noreplace, stat, sync_file, try_lock,
};
use quiver_transfer::is_partial_name;

use super::FilesError;
use crate::unix;

/// How many files and folders are copied at most: their list is kept in memory.
const MAX_ENTRIES: usize = 100_000;

/// Bytes that are read and written at once.
const BLOCK: usize = 256 * 1024;

/// A file or folder with everything in it, as found on the disk. Equal if nothing has changed.
/// Partial files are left out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Snapshot(Vec<SnapshotEntry>);

#[derive(Debug, PartialEq, Eq)]
struct SnapshotEntry {
    /// The path below the file or folder; empty for itself.
    path: PathBuf,
    inode: u64,
    kind: EntryKind,
}

/// What a copy must have too.
#[derive(Debug, PartialEq, Eq)]
enum EntryKind {
    File {
        size: u64,
        modified: SystemTime,
    },
    /// Its time changes with the names in it, which are compared anyway.
    Folder,
}

/// A copy under a temporary name. Removed when dropped, unless it has got its final name.
#[derive(Debug)]
pub(super) struct TreeCopy {
    folder: Dir,
    name: String,
    inode: u64,
    is_folder: bool,
    has_final_name: bool,
    /// Shows the cleanup that this process uses it; `None` if the file system has no locks.
    _lock: Option<FileLock>,
    handle: File,
}

impl Snapshot {
    /// Reads the names, sizes and times of a file or folder. Blocks.
    ///
    /// # Errors
    /// [`FilesError::ContainsLinks`], [`FilesError::TooManyEntries`], or that of reading it.
    pub(super) fn read(folder: &Dir, name: &str) -> Result<Self, FilesError> {
        let found = stat(folder, name).map_err(FilesError::from_read)?;
        let mut entries = vec![SnapshotEntry::new(PathBuf::new(), &found)?];
        let mut next = 0;
        while let Some(entry) = entries.get(next) {
            next += 1;
            if entry.kind != EntryKind::Folder {
                continue;
            }
            let path = entry.path.clone();
            let below = open_below(folder, name, &path).map_err(FilesError::from_read)?;
            for name in sorted_names(&below).map_err(FilesError::from_read)? {
                if entries.len() == MAX_ENTRIES {
                    return Err(FilesError::TooManyEntries { limit: MAX_ENTRIES });
                }
                let found = stat(&below, &name).map_err(FilesError::from_read)?;
                entries.push(SnapshotEntry::new(path.join(name), &found)?);
            }
        }
        Ok(Self(entries))
    }

    /// The bytes of all files.
    pub(super) fn bytes(&self) -> u64 {
        let sizes = self.0.iter().map(|entry| match entry.kind {
            EntryKind::File { size, .. } => size,
            EntryKind::Folder => 0,
        });
        sizes.sum()
    }

    /// Whether it is a folder.
    pub(super) fn is_folder(&self) -> bool {
        matches!(self.0.as_slice(), [SnapshotEntry { kind: EntryKind::Folder, .. }, ..])
    }
}

impl SnapshotEntry {
    fn new(path: PathBuf, found: &FileStat) -> Result<Self, FilesError> {
        let kind = if found.is_file() {
            EntryKind::File { size: found.len(), modified: found.modified() }
        } else if found.is_dir() {
            EntryKind::Folder
        } else {
            return Err(FilesError::ContainsLinks);
        };
        Ok(Self { path, inode: found.inode(), kind })
    }
}

impl TreeCopy {
    /// Copies the file or folder `name` of the folder `from` into the folder `to`, as
    /// `temporary_name`. Reads each file of the copy again, and compares its hash. Stops once
    /// `is_cancelled`. Blocks.
    ///
    /// # Errors
    /// [`FilesError`], also [`FilesError::ChangedMeanwhile`] and [`FilesError::Cancelled`]; nothing
    /// is left then.
    pub(super) fn make(
        (from, name): (&Dir, &str),
        snapshot: &Snapshot,
        to: &Dir,
        temporary_name: String,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Self, FilesError> {
        let is_folder = snapshot.is_folder();
        let handle = if is_folder {
            to.create_dir(&temporary_name).and_then(|()| unix::open_entry(to, &temporary_name))
        } else {
            unix::create_private(to, &temporary_name)
        };
        let handle = handle.map_err(FilesError::from_change)?;
        let folder = to.try_clone().map_err(FilesError::Disk)?;
        let found = stat(to, &temporary_name).map_err(FilesError::from_change)?;
        // A file system without locks has no other server that could remove it.
        let lock = try_lock(&handle).ok();
        let copy = Self {
            folder,
            name: temporary_name,
            inode: found.inode(),
            is_folder,
            has_final_name: false,
            _lock: lock,
            handle,
        };
        for entry in &snapshot.0 {
            copy.add(from, name, entry, is_cancelled)?;
        }
        // Inner folders first: what is stored in a folder changes its time.
        for entry in snapshot.0.iter().rev().filter(|entry| entry.kind == EntryKind::Folder) {
            let original = open_below(from, name, &entry.path).map_err(FilesError::from_read)?;
            let copied = copy.open_below(&entry.path).map_err(FilesError::from_change)?;
            unix::copy_attributes(&original, &copied).map_err(FilesError::from_change)?;
            unix::sync_folder(&copied).map_err(FilesError::Disk)?;
        }
        Ok(copy)
    }

    /// Its inode's number.
    pub(super) fn inode(&self) -> u64 {
        self.inode
    }

    /// Gives it its final name; `replace` replaces a file of that name. The caller flushes the
    /// folder.
    ///
    /// # Errors
    /// An I/O error: the copy is removed when this is dropped.
    pub(super) fn give_name(&mut self, name: &str, replace: bool) -> io::Result<()> {
        if replace {
            self.folder.rename(&self.name, &self.folder, name)?;
        } else {
            rename_noreplace((&self.folder, &self.name), (&self.folder, name))?;
        }
        self.has_final_name = true;
        Ok(())
    }

    /// Copies one file, or creates one folder.
    fn add(
        &self,
        from: &Dir,
        name: &str,
        entry: &SnapshotEntry,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<(), FilesError> {
        let (parents, entry_name) = (entry.path.parent(), entry.path.file_name());
        let size = match entry.kind {
            EntryKind::File { size, .. } => size,
            EntryKind::Folder => {
                let Some((parents, entry_name)) = parents.zip(entry_name) else { return Ok(()) };
                let parent = self.open_below(parents).map_err(FilesError::from_change)?;
                return parent.create_dir(entry_name).map_err(FilesError::from_change);
            }
        };
        let (original, copied) = match parents.zip(entry_name) {
            Some((parents, entry_name)) => {
                let folder = open_below(from, name, parents).map_err(FilesError::from_read)?;
                let parent = self.open_below(parents).map_err(FilesError::from_change)?;
                (unix::open_entry(&folder, entry_name), unix::create_private(&parent, entry_name))
            }
            None => (unix::open_entry(from, name), self.handle.try_clone()),
        };
        let original = original.map_err(FilesError::from_read)?;
        let copied = copied.map_err(FilesError::from_change)?;
        copy_verified(&original, &copied, size, is_cancelled)?;
        unix::copy_attributes(&original, &copied).map_err(FilesError::from_change)?;
        sync_file(&copied).map_err(FilesError::from_change)
    }

    fn open_below(&self, path: &Path) -> io::Result<Dir> {
        open_below(&self.folder, &self.name, path)
    }
}

impl Drop for TreeCopy {
    fn drop(&mut self) {
        if !self.has_final_name {
            // The cleanup after the next start removes what cannot be removed now.
            let _ = remove_tree(&self.folder, &self.name, self.is_folder);
        }
    }
}

/// Removes a file, or a folder with everything in it. Succeeds if it is gone already. Blocks.
///
/// # Errors
/// An I/O error.
pub(super) fn remove_tree(folder: &Dir, name: &str, is_folder: bool) -> io::Result<()> {
    let removed = if is_folder { folder.remove_dir_all(name) } else { folder.remove_file(name) };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Copies a file of this size, and reads the copy again.
fn copy_verified(
    mut from: &File,
    mut to: &File,
    size: u64,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<(), FilesError> {
    let (mut hasher, mut block, mut copied) = (blake3::Hasher::new(), vec![0; BLOCK], 0);
    loop {
        if is_cancelled() {
            return Err(FilesError::Cancelled);
        }
        let count = from.read(&mut block).map_err(FilesError::from_read)?;
        if count == 0 {
            break;
        }
        hasher.update(&block[..count]);
        to.write_all(&block[..count]).map_err(FilesError::from_change)?;
        copied += count as u64;
        if copied > size {
            return Err(FilesError::ChangedMeanwhile);
        }
    }
    if copied != size {
        return Err(FilesError::ChangedMeanwhile);
    }
    let mut check = blake3::Hasher::new();
    to.rewind().map_err(FilesError::Disk)?;
    loop {
        if is_cancelled() {
            return Err(FilesError::Cancelled);
        }
        match to.read(&mut block).map_err(FilesError::Disk)? {
            0 => break,
            count => drop(check.update(&block[..count])),
        }
    }
    if check.finalize() == hasher.finalize() {
        Ok(())
    } else {
        Err(FilesError::Disk(io::Error::other("the copy differs from the original")))
    }
}

/// Opens a folder at a path below the folder `name`. Follows no link.
fn open_below(folder: &Dir, name: &str, path: &Path) -> io::Result<Dir> {
    let mut opened = unix::open_folder(folder, OsStr::new(name))?;
    for part in path {
        opened = unix::open_folder(&opened, part)?;
    }
    Ok(opened)
}

/// The names in a folder, without those of partial files.
fn sorted_names(folder: &Dir) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in folder.entries()? {
        let name = entry?.file_name();
        if !name.to_str().is_some_and(is_partial_name) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs;

    use super::*;

    /// Copies `tree`, until `is_cancelled` was asked `limit` times.
    fn copy_with_limit(limit: u32) -> (Result<(), FilesError>, Vec<String>, u32) {
        let folder = tempfile::tempdir().unwrap();
        for path in ["tree/below", "to"] {
            fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        fs::write(folder.path().join("tree/a"), vec![7; 3 * BLOCK]).unwrap();
        fs::write(folder.path().join("tree/below/b"), "b").unwrap();
        let open = |path: &str| {
            let path = folder.path().join(path);
            Dir::open_ambient_dir(path, cap_std::ambient_authority()).unwrap()
        };
        let (from, to, asked) = (open("."), open("to"), Cell::new(0));
        let is_cancelled = || {
            asked.set(asked.get() + 1);
            asked.get() > limit
        };
        let snapshot = Snapshot::read(&from, "tree").unwrap();
        let made = TreeCopy::make((&from, "tree"), &snapshot, &to, "t".to_owned(), &is_cancelled);
        let done = made
            .and_then(|mut copy| copy.give_name("copied", false).map_err(FilesError::from_change));
        let names = fs::read_dir(folder.path().join("to")).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        (done, names.collect(), asked.get())
    }

    #[test]
    fn a_copy_that_is_cancelled_at_any_point_leaves_nothing() {
        let (done, names, asked) = copy_with_limit(u32::MAX);
        done.unwrap();
        assert_eq!(names, ["copied"]);
        assert!(asked >= 2 * 4, "while it copies, and while it checks");
        for limit in 0..asked {
            let (done, names, _) = copy_with_limit(limit);
            assert!(matches!(done, Err(FilesError::Cancelled)), "{limit}: {done:?}");
            assert_eq!(names, [""; 0], "{limit}");
        }
    }
}
