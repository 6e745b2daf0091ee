//! Folders below a folder that was named: no link leads out of it, or anywhere else.

use std::io;
use std::path::Path;
use std::sync::Arc;

use cap_fs_ext::DirExt as _;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};
use parking_lot::Mutex;
use quiver_protocol::FilePath;

use crate::unix;

/// A folder, and the way to those in it.
#[derive(Debug)]
pub(super) struct TargetTree {
    root: Arc<Dir>,
    /// The folder that was asked for last: files come folder by folder.
    last: Mutex<Option<(String, Arc<Dir>)>>,
}

impl TargetTree {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let root = Dir::open_ambient_dir(path, cap_std::ambient_authority())?;
        Ok(Self { root: Arc::new(to_be_flushed(root)), last: Mutex::new(None) })
    }

    /// The folder itself.
    pub(super) fn root(&self) -> &Arc<Dir> {
        &self.root
    }

    /// The folder that a file or folder lies in, and its name there.
    pub(super) fn parent<'a>(&self, path: &'a FilePath) -> io::Result<(Arc<Dir>, &'a str)> {
        Ok((self.folder(above(path))?, path.file_name()))
    }

    /// The same folder where it is the one that was asked for last.
    pub(super) fn known_parent(&self, path: &FilePath) -> Option<Arc<Dir>> {
        let above = above(path);
        if above.is_empty() {
            return Some(self.root.clone());
        }
        let last = self.last.lock();
        last.as_ref().filter(|(known, _)| known == above).map(|(_, folder)| folder.clone())
    }

    /// A folder by its path; the empty one is the folder itself. A link on the way is an error.
    pub(super) fn folder(&self, path: &str) -> io::Result<Arc<Dir>> {
        if path.is_empty() {
            return Ok(self.root.clone());
        }
        let mut last = self.last.lock();
        if let Some((known, folder)) = &*last
            && known == path
        {
            return Ok(folder.clone());
        }
        let mut folder = None;
        for part in path.split('/') {
            let above: &Dir = folder.as_ref().unwrap_or(&self.root);
            folder = Some(above.open_dir_nofollow(part)?);
        }
        let folder =
            folder.map_or_else(|| self.root.clone(), |folder| Arc::new(to_be_flushed(folder)));
        *last = Some((path.to_owned(), folder.clone()));
        Ok(folder)
    }
}

/// The way to a folder leads over handles that cannot be flushed. This one can, if it may be read: so that not
/// every file that is stored in it needs a handle of its own for that.
fn to_be_flushed(folder: Dir) -> Dir {
    match folder.open(".") {
        Ok(opened) => Dir::from_std_file(opened.into_std()),
        Err(_) => folder,
    }
}

/// Opens a regular file to be read: never through a link, never waiting for the other end of a pipe.
pub(super) fn read(folder: &Dir, name: &str) -> io::Result<std::fs::File> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(unix::SAFE_OPEN_FLAGS);
    let file = folder.open_with(name, &options)?.into_std();
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is no regular file any more"))
    }
}

/// The path of the folder that something lies in; the empty one for the root.
fn above(path: &FilePath) -> &str {
    path.as_str().rsplit_once('/').map_or("", |(above, _)| above)
}
