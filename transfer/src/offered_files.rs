//! Files and folders that a person offers, as one read-only folder. Each has a name at the top of
//! it, whatever its local path is. Knows no offers, ids or peers: the caller removes an id from the
//! start of a path.

mod list;

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use cap_fs_ext::DirExt as _;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use quiver_protocol::path::BadPath;
use quiver_protocol::{FilePath, FolderPath};
use thiserror::Error;

pub use self::list::{OfferedListing, OfferedNames};

use crate::file_system::{is_readable, stat};
use crate::served_folder::{
    FolderListing, NameMemory, ServedPathError, open_file, open_folder, open_name,
};
use crate::{Lane, Source, is_partial_name, unix};

/// The offered files and folders, by name in byte order. The first part of each path is such a
/// name. No link in an offered folder is followed.
///
/// Each offered folder is an open handle, and so is the parent of each offered file: they do not
/// follow their paths. If another folder appears at the path of an offered one, it is not served;
/// one that is moved stays offered. An offered file is opened by its name in its parent each time,
/// so a file that replaces it there is served.
#[derive(Debug, Default)]
pub struct OfferedFiles {
    entries: BTreeMap<String, OfferedEntry>,
    /// The parents of offered files, by path: many files often have the same.
    parents: HashMap<PathBuf, Arc<Dir>>,
}

/// What is offered under one name.
#[derive(Debug)]
pub enum OfferedContent {
    /// A regular file, or a folder with everything in it. A relative path starts at the working
    /// folder of the process. If the path itself is a link, its present target is offered.
    Path(PathBuf),
    /// An open file, such as a temporary one with a copy of standard input.
    OpenFile {
        /// The file, which must not be written any more.
        file: File,
        /// The modification time to report.
        modified: SystemTime,
    },
}

/// Why something cannot be offered.
#[derive(Debug, Error)]
pub enum OfferError {
    /// Its name is not a valid part of a path.
    #[error(transparent)]
    Name(BadPath),
    /// Its name is one of a partial file.
    #[error("names like this are reserved for partial files")]
    ReservedName,
    /// Another offered file or folder has its name.
    #[error("another file or folder of this name is offered")]
    DuplicateName,
    /// It does not exist, cannot be read, or is neither a file nor a folder.
    #[error(transparent)]
    Content(#[from] ServedPathError),
}

/// An offered file or folder.
#[derive(Debug)]
enum OfferedEntry {
    Folder(Arc<Dir>),
    File { parent: Arc<Dir>, name: OsString },
    OpenFile { file: File, modified: SystemTime },
}

impl OfferedFiles {
    /// Offers a file or a folder under this name. Blocks.
    ///
    /// # Errors
    /// [`OfferError`]; then nothing was added.
    pub fn add(&mut self, name: &str, content: OfferedContent) -> Result<(), OfferError> {
        FolderPath::ROOT.join(name).map_err(OfferError::Name)?;
        if is_partial_name(name) {
            return Err(OfferError::ReservedName);
        }
        if self.entries.contains_key(name) {
            return Err(OfferError::DuplicateName);
        }
        let entry = match content {
            OfferedContent::Path(path) => self.open_path(&path)?,
            OfferedContent::OpenFile { file, modified } => {
                OfferedEntry::OpenFile { file, modified }
            }
        };
        self.entries.insert(name.to_owned(), entry);
        Ok(())
    }

    /// Opens a regular file; its size is fixed from then on, unless its file system does not tell
    /// it. A small file is also read. Blocks.
    ///
    /// # Errors
    /// [`ServedPathError`].
    pub fn open(&self, path: &FilePath) -> Result<Source, ServedPathError> {
        let (name, below) = path.split_first();
        match (self.entry(name)?, below) {
            (OfferedEntry::Folder(folder), Some(below)) => open_file(folder, &below),
            (OfferedEntry::Folder(_), None) => Err(ServedPathError::NotAFile),
            (OfferedEntry::File { parent, name }, None) => open_name(parent, name),
            (OfferedEntry::OpenFile { file, modified }, None) => {
                let source = file.try_clone().and_then(Source::new).and_then(Source::load);
                Ok(source.map_err(ServedPathError::Disk)?.with_modified(*modified))
            }
            (OfferedEntry::File { .. } | OfferedEntry::OpenFile { .. }, Some(_)) => {
                Err(ServedPathError::NotAFolder)
            }
        }
    }

    /// Starts to list a folder, in whose entries' paths its own path is `listed_as`. The names of
    /// an offered folder use `memory`: more memory means that a large folder is read fewer times.
    /// The work runs in `lane`.
    ///
    /// # Errors
    /// [`ServedPathError`].
    pub async fn list<M: NameMemory>(
        self: &Arc<Self>,
        folder: &FolderPath,
        listed_as: FolderPath,
        lane: Lane,
        memory: M,
    ) -> Result<OfferedListing<M>, ServedPathError> {
        let Some((name, below)) = folder.split_first() else {
            return Ok(OfferedListing::Root(OfferedNames::new(self.clone(), listed_as, lane)));
        };
        let OfferedEntry::Folder(root) = self.entry(name)? else {
            return Err(ServedPathError::NotAFolder);
        };
        let listing = FolderListing::start(root.clone(), below, listed_as, lane, memory);
        Ok(OfferedListing::Folder(listing.await?))
    }

    fn entry(&self, name: &str) -> Result<&OfferedEntry, ServedPathError> {
        match self.entries.get(name).ok_or(ServedPathError::NotFound)? {
            // Its list would seem to be complete.
            OfferedEntry::Folder(folder) if unix::is_removed(folder) => {
                Err(ServedPathError::NotFound)
            }
            entry => Ok(entry),
        }
    }

    fn open_path(&mut self, path: &Path) -> Result<OfferedEntry, ServedPathError> {
        let path = std::path::absolute(path).map_err(ServedPathError::from_read)?;
        // Without a slash at the end, with which the system follows a link.
        let path: PathBuf = path.components().collect();
        let found = stat(rustix::fs::CWD, &path).map_err(ServedPathError::from_read)?;
        let path = if found.is_symlink() {
            path.canonicalize().map_err(ServedPathError::from_read)?
        } else {
            path
        };
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            // The root of the file system, or a path that ends with `..`.
            let folder = Dir::open_ambient_dir(&path, ambient_authority());
            return offered_folder(&folder.map_err(ServedPathError::from_read)?);
        };
        let parent_folder = self.open_parent(parent)?;
        let found = stat(&*parent_folder, name).map_err(ServedPathError::from_read)?;
        if found.is_dir() {
            let folder = parent_folder.open_dir_nofollow(name);
            return offered_folder(&folder.map_err(ServedPathError::from_read)?);
        }
        if found.is_symlink() {
            return Err(ServedPathError::SymbolicLink);
        }
        if !found.is_file() {
            return Err(ServedPathError::NotAFile);
        }
        if !is_readable(&*parent_folder, name, false) {
            return Err(ServedPathError::NotReadable);
        }
        let name = name.to_owned();
        self.parents.insert(parent.to_owned(), parent_folder.clone());
        Ok(OfferedEntry::File { parent: parent_folder, name })
    }

    fn open_parent(&self, path: &Path) -> Result<Arc<Dir>, ServedPathError> {
        if let Some(opened) = self.parents.get(path) {
            return Ok(opened.clone());
        }
        let opened = Dir::open_ambient_dir(path, ambient_authority());
        Ok(Arc::new(opened.map_err(ServedPathError::from_read)?))
    }
}

fn offered_folder(folder: &Dir) -> Result<OfferedEntry, ServedPathError> {
    // Also checks that it may be read.
    Ok(OfferedEntry::Folder(Arc::new(open_folder(folder, std::iter::once("."))?)))
}

#[cfg(test)]
mod tests;
