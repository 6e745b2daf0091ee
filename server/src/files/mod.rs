//! The folder whose files clients may have. Nothing outside it can be named: every path is walked
//! from one open directory, part by part, and no link is followed. Nobody else in this crate knows
//! paths on disk.

use std::io;
use std::path::Path;
use std::sync::Arc;

use cap_fs_ext::{DirExt as _, FollowSymlinks, OpenOptionsFollowExt as _};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use quiver_protocol::reply::{Entry, EntryKind};
use quiver_protocol::{FilePath, FolderPath, Timestamp};
use quiver_transport::content::{Source, is_part_name};
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::task;

use crate::config::LISTS;
use crate::unix;

/// A rooted directory.
#[derive(Debug)]
pub struct Files {
    root: Arc<Dir>,
    /// A list holds a folder's names in memory, so there are only so many at once.
    lists: Semaphore,
}

/// What is in a folder.
#[derive(Debug, PartialEq, Eq)]
pub struct Listing {
    /// What get and list serve, by path in byte order.
    pub entries: Vec<Entry>,
    /// How many other names there are: links, pipes, devices, illegal names, parts
    /// of transfers, what may not be read.
    pub not_served: u64,
}

/// Why a file or folder is not served.
#[derive(Debug, Error)]
pub enum FilesError {
    /// Nothing is there.
    #[error("no such file or folder")]
    NotFound,
    /// It is a folder, a pipe, a socket or a device.
    #[error("not a regular file")]
    NotAFile,
    /// It is no folder.
    #[error("not a folder")]
    NotAFolder,
    /// The server's user may not read it.
    #[error("the server may not read it")]
    Forbidden,
    /// It is a symbolic link, or lies behind one.
    #[error("symbolic links are not served")]
    Link,
    /// The disk failed.
    #[error("{0}")]
    Disk(io::Error),
}

impl Files {
    /// Opens the folder at `path`.
    ///
    /// # Errors
    /// What the system says.
    pub fn open_root(path: &Path) -> io::Result<Self> {
        let root = Dir::open_ambient_dir(path, ambient_authority())?;
        Ok(Self { root: Arc::new(root), lists: Semaphore::new(LISTS) })
    }

    /// Opens a regular file; its length is fixed from here on.
    ///
    /// # Errors
    /// [`FilesError`].
    pub async fn open(&self, path: &FilePath) -> Result<Source, FilesError> {
        let (root, path) = (self.root.clone(), path.clone());
        blocking(move || open(&root, &path)).await
    }

    /// Lists a folder.
    ///
    /// # Errors
    /// [`FilesError`].
    pub async fn list(&self, folder: &FolderPath) -> Result<Listing, FilesError> {
        // The semaphore is never closed.
        let _permit = self.lists.acquire().await;
        let (root, folder) = (self.root.clone(), folder.clone());
        blocking(move || list(&root, &folder)).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FilesError> + Send + 'static,
) -> Result<T, FilesError> {
    match task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is going down.
        Err(error) => Err(FilesError::Disk(io::Error::other(error))),
    }
}

fn open(root: &Dir, path: &FilePath) -> Result<Source, FilesError> {
    let parts: Vec<&str> = path.parts().collect();
    let Some((name, folders)) = parts.split_last() else { return Err(FilesError::NotFound) };
    if is_part_name(name) {
        return Err(FilesError::NotFound);
    }
    let folder = walk(root, folders.iter().copied())?;
    let mut options = OpenOptions::new();
    // Opened without waiting (a pipe would), then asked what it is: no name can change in between.
    unix::without_waiting(options.read(true)).follow(FollowSymlinks::No);
    let file = folder.open_with(name, &options).map_err(|error| {
        if is_link(&folder, name) { FilesError::Link } else { FilesError::of(error) }
    })?;
    if !file.metadata().map_err(FilesError::Disk)?.is_file() {
        return Err(FilesError::NotAFile);
    }
    Source::new(file.into_std()).map_err(FilesError::Disk)
}

fn list(root: &Dir, path: &FolderPath) -> Result<Listing, FilesError> {
    let folder = walk(root, path.parts())?;
    let mut listing = Listing { entries: Vec::new(), not_served: 0 };
    for entry in folder.entries().map_err(FilesError::of)? {
        let name = entry.map_err(FilesError::of)?.file_name();
        match name.to_str().and_then(|name| served(&folder, path, name)) {
            Some(entry) => listing.entries.push(entry),
            None => listing.not_served += 1,
        }
    }
    listing
        .entries
        .sort_unstable_by(|a, b| a.path.as_str().as_bytes().cmp(b.path.as_str().as_bytes()));
    Ok(listing)
}

/// The entry of a name that get or list would serve.
fn served(folder: &Dir, path: &FolderPath, name: &str) -> Option<Entry> {
    if is_part_name(name) {
        return None;
    }
    let path = path.join(name).ok()?;
    let metadata = folder.symlink_metadata(name).ok()?;
    let (kind, size) = if metadata.is_file() {
        (EntryKind::File, metadata.len())
    } else if metadata.is_dir() {
        (EntryKind::Folder, 0)
    } else {
        return None;
    };
    let readable = unix::may_read(folder, name, kind == EntryKind::Folder);
    let modified = Timestamp::from(metadata.modified().ok()?.into_std());
    readable.then_some(Entry { path, kind, size, modified })
}

fn walk<'a>(root: &Dir, parts: impl Iterator<Item = &'a str>) -> Result<Dir, FilesError> {
    let mut folder = root.try_clone().map_err(FilesError::Disk)?;
    for part in parts {
        folder = folder.open_dir_nofollow(part).map_err(|error| {
            if is_link(&folder, part) { FilesError::Link } else { FilesError::of(error) }
        })?;
        // Whoever may enter a folder but not read it could have files there that no list shows.
        if !unix::may_read(&folder, ".", true) {
            return Err(FilesError::Forbidden);
        }
    }
    Ok(folder)
}

fn is_link(folder: &Dir, name: &str) -> bool {
    folder.symlink_metadata(name).is_ok_and(|metadata| metadata.is_symlink())
}

impl FilesError {
    fn of(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::InvalidFilename => Self::NotFound,
            io::ErrorKind::PermissionDenied => Self::Forbidden,
            io::ErrorKind::NotADirectory => Self::NotAFolder,
            // A socket cannot be opened.
            _ if unix::is_no_file(&error) => Self::NotAFile,
            _ => Self::Disk(error),
        }
    }
}

#[cfg(test)]
mod tests;
