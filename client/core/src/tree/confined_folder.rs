//! Access to a folder and the folders in it. Links in it are never followed.

use std::io;
use std::path::Path;
use std::sync::Arc;

use cap_fs_ext::DirExt as _;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};
use parking_lot::Mutex;
use quiver_protocol::FilePath;

use crate::unix;

/// A folder whose subfolders are opened without following links.
#[derive(Debug)]
pub(super) struct ConfinedFolder {
    root: Arc<Dir>,
    /// The folder opened last: files are processed folder by folder.
    last: Mutex<Option<(String, Arc<Dir>)>>,
}

impl ConfinedFolder {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let root = Dir::open_ambient_dir(path, cap_std::ambient_authority())?;
        Ok(Self { root: Arc::new(reopen_for_sync(root)), last: Mutex::new(None) })
    }

    /// Returns the folder itself.
    pub(super) fn root(&self) -> &Arc<Dir> {
        &self.root
    }

    /// Returns the folder that contains a path, and the name in it.
    pub(super) fn parent<'a>(&self, path: &'a FilePath) -> io::Result<(Arc<Dir>, &'a str)> {
        Ok((self.open_folder(parent_path(path))?, path.file_name()))
    }

    /// Like [`parent`](Self::parent), if that folder is cached: never blocks.
    pub(super) fn cached_parent(&self, path: &FilePath) -> Option<Arc<Dir>> {
        let parent = parent_path(path);
        if parent.is_empty() {
            return Some(self.root.clone());
        }
        let last = self.last.lock();
        last.as_ref().filter(|(cached, _)| cached == parent).map(|(_, folder)| folder.clone())
    }

    /// Opens a folder by its path; an empty path is the folder itself. A link in the path is an
    /// error.
    pub(super) fn open_folder(&self, path: &str) -> io::Result<Arc<Dir>> {
        if path.is_empty() {
            return Ok(self.root.clone());
        }
        let mut last = self.last.lock();
        if let Some((cached, folder)) = &*last
            && cached == path
        {
            return Ok(folder.clone());
        }
        let mut folder = None;
        for part in path.split('/') {
            let parent: &Dir = folder.as_ref().unwrap_or(&self.root);
            folder = Some(parent.open_dir_nofollow(part)?);
        }
        let folder =
            folder.map_or_else(|| self.root.clone(), |folder| Arc::new(reopen_for_sync(folder)));
        *last = Some((path.to_owned(), folder.clone()));
        Ok(folder)
    }
}

/// Reopens a folder for reading, so that it can be synced: the handles of a path walk cannot.
/// Without this each file stored in it would need a folder handle of its own. Returns the given
/// handle if the folder may not be read.
fn reopen_for_sync(folder: Dir) -> Dir {
    match folder.open(".") {
        Ok(opened) => Dir::from_std_file(opened.into_std()),
        Err(_) => folder,
    }
}

/// Opens a regular file for reading. Never follows a link, and never waits for the other end of a
/// pipe.
pub(crate) fn open_regular(folder: &Dir, name: &str) -> io::Result<std::fs::File> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(unix::SAFE_OPEN_FLAGS);
    let file = folder.open_with(name, &options)?.into_std();
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is not a regular file any more"))
    }
}

/// Returns the path of the containing folder; empty for the root.
fn parent_path(path: &FilePath) -> &str {
    path.as_str().rsplit_once('/').map_or("", |(parent, _)| parent)
}
