//! The local folder that a download writes to: existing files, partial files and free space.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use cap_std::fs::Dir;
use quiver_protocol::limits::PATH_PART;
use quiver_protocol::{FilePath, Timestamp};
use quiver_transfer::file_system::{UnsetAttributes, free_space, set_modified, stat};
use quiver_transfer::{is_partial_name, partial_length};

use super::confined_folder::{self, ConfinedFolder};
use super::plan::{ItemKind, PlanItemState};
use crate::unix;

/// Bytes of the longest extension that the name of a copy keeps. A longer end is no extension.
const MAX_EXTENSION: usize = 32;

/// A download's folder. Links in it are never followed.
#[derive(Debug)]
pub struct TargetFolder {
    folder: ConfinedFolder,
    /// The absolute path.
    path: PathBuf,
    /// The path as typed.
    typed: PathBuf,
}

impl TargetFolder {
    /// Opens a folder.
    ///
    /// # Errors
    /// An I/O error.
    pub fn open(typed: &Path) -> io::Result<Self> {
        let folder = ConfinedFolder::open(typed)?;
        Ok(Self { folder, path: typed.canonicalize()?, typed: typed.to_owned() })
    }

    /// Opens the folder that contains a target. Blocks.
    ///
    /// # Errors
    /// An I/O error, also if a parent is not a folder.
    pub fn parent(&self, target: &FilePath) -> io::Result<Arc<Dir>> {
        self.folder.parent(target).map(|(folder, _)| folder)
    }

    /// Like [`parent`](Self::parent), if that folder is cached: never blocks.
    #[must_use]
    pub fn cached_parent(&self, target: &FilePath) -> Option<Arc<Dir>> {
        self.folder.cached_parent(target)
    }

    /// Returns the folder's path as typed.
    #[must_use]
    pub fn typed(&self) -> &Path {
        &self.typed
    }

    /// Returns the folder's absolute path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns a target's absolute path.
    #[must_use]
    pub fn absolute(&self, target: &FilePath) -> PathBuf {
        self.path.join(target.as_str())
    }

    /// Returns a target's path as shown to users.
    #[must_use]
    pub fn display_path(&self, target: &FilePath) -> PathBuf {
        if self.typed == Path::new(".") {
            target.as_str().into()
        } else {
            self.typed.join(target.as_str())
        }
    }

    /// Compares an item with what exists at its target. `partial_id` returns the id of the partial
    /// file that an earlier attempt may have left. Blocks.
    #[must_use]
    pub fn compare(
        &self,
        target: &FilePath,
        kind: ItemKind,
        partial_id: impl FnOnce() -> u64,
    ) -> PlanItemState {
        if is_partial_name(target.file_name()) {
            return PlanItemState::Blocked("such names are reserved for partial files".to_owned());
        }
        self.try_compare(target, kind, partial_id)
            .unwrap_or_else(|error| PlanItemState::Blocked(blocked_reason(&error)))
    }

    fn try_compare(
        &self,
        target: &FilePath,
        kind: ItemKind,
        partial_id: impl FnOnce() -> u64,
    ) -> io::Result<PlanItemState> {
        let (folder, name) = match self.folder.parent(target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(PlanItemState::New),
            other => other?,
        };
        let existing = match stat(&folder, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            other => Some(other?),
        };
        Ok(match (kind, existing) {
            (ItemKind::Folder { .. }, None) => PlanItemState::New,
            (ItemKind::Folder { .. }, Some(existing)) if existing.is_dir() => PlanItemState::Same,
            (ItemKind::Folder { .. }, Some(existing)) if existing.is_symlink() => {
                PlanItemState::Blocked("a symbolic link has that name".to_owned())
            }
            (ItemKind::Folder { .. }, Some(_)) => {
                PlanItemState::Blocked("a file has that name".to_owned())
            }
            (ItemKind::File { .. }, None) => match partial_length(&folder, partial_id())? {
                Some(length) if length > 0 => PlanItemState::Partial(length),
                _ => PlanItemState::New,
            },
            (ItemKind::File { .. }, Some(existing)) if existing.is_dir() => {
                PlanItemState::Blocked("a folder has that name".to_owned())
            }
            (ItemKind::File { size, .. }, Some(existing))
                if existing.is_file() && existing.len() == size =>
            {
                if size == 0 {
                    PlanItemState::Same
                } else {
                    PlanItemState::SameSize
                }
            }
            // A server's file system that does not report sizes gives 0 for files that are not
            // empty.
            (ItemKind::File { size: 0, .. }, Some(existing)) if existing.is_file() => {
                PlanItemState::SameSize
            }
            (ItemKind::File { .. }, Some(_)) => PlanItemState::Differs,
        })
    }

    /// Makes a folder unless it exists. Blocks.
    ///
    /// # Errors
    /// An I/O error.
    pub fn make_folder(&self, target: &FilePath) -> io::Result<()> {
        let (folder, name) = self.folder.parent(target)?;
        match folder.create_dir(name) {
            Err(error)
                if error.kind() == io::ErrorKind::AlreadyExists
                    && stat(&folder, name)?.is_dir() =>
            {
                Ok(())
            }
            other => other,
        }
    }

    /// Sets the modification time of a folder. Returns the attributes that could not be set.
    /// Blocks.
    ///
    /// # Errors
    /// An I/O error of a parent folder.
    pub fn set_folder_time(
        &self,
        target: &FilePath,
        modified: Timestamp,
    ) -> io::Result<UnsetAttributes> {
        let (folder, name) = self.folder.parent(target)?;
        Ok(set_modified(&folder, name, SystemTime::from(modified.0)))
    }

    /// Returns the bytes that this user may still store in the folder. Blocks.
    ///
    /// # Errors
    /// An I/O error.
    pub fn free_space(&self) -> io::Result<u64> {
        free_space(self.folder.root())
    }

    /// Opens an existing file for reading. Blocks.
    ///
    /// # Errors
    /// An I/O error. Links are not followed.
    pub fn open_file(&self, target: &FilePath) -> io::Result<std::fs::File> {
        let (folder, name) = self.folder.parent(target)?;
        confined_folder::open_regular(&folder, name)
    }
}

/// Returns the name of a copy: `a.txt` becomes `a (2).txt` for `copy` 2. The stem is shortened where
/// the name would be too long.
#[must_use]
pub fn copy_name(name: &str, copy: u32) -> String {
    let (stem, end) = match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && extension.len() <= MAX_EXTENSION => {
            (stem, format!(" ({copy}).{extension}"))
        }
        _ => (name, format!(" ({copy})")),
    };
    let stem = &stem[..stem.floor_char_boundary(PATH_PART - end.len())];
    format!("{stem}{end}")
}

/// Returns why a target is blocked.
fn blocked_reason(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotADirectory || unix::is_link(error) {
        "a parent folder is a file or a symbolic link".to_owned()
    } else {
        error.to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn path(text: &str) -> FilePath {
        FilePath::parse(text).unwrap()
    }

    #[test]
    fn an_item_is_compared_with_its_target() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("notes/sub")).unwrap();
        fs::write(at("notes/a"), "12345").unwrap();
        fs::write(at("notes/.quiver-00000000000000ab.part"), "123").unwrap();
        std::os::unix::fs::symlink(at("notes"), at("link")).unwrap();
        let target_folder = TargetFolder::open(folder.path()).unwrap();
        let modified = Timestamp::from(SystemTime::UNIX_EPOCH);
        let file = |name: &str, size| {
            target_folder.compare(&path(name), ItemKind::File { size, modified }, || 0xab)
        };
        let is_blocked = |state| matches!(state, PlanItemState::Blocked(_));
        assert_eq!(file("notes/a", 5), PlanItemState::SameSize);
        assert_eq!(file("notes/a", 6), PlanItemState::Differs);
        assert_eq!(file("notes/b", 6), PlanItemState::Partial(3));
        assert_eq!(file("other/b", 6), PlanItemState::New);
        assert_eq!(file("link", 6), PlanItemState::Differs);
        assert!(is_blocked(file("notes/sub", 6)));
        assert!(is_blocked(file("link/a", 5)));
        assert!(is_blocked(file("notes/a/b", 5)));
        assert!(is_blocked(file(".quiver-00000000000000ab.part", 5)));
        let folder =
            |name: &str| target_folder.compare(&path(name), ItemKind::Folder { modified }, || 0);
        assert_eq!(folder("notes/sub"), PlanItemState::Same);
        assert_eq!(folder("notes/new"), PlanItemState::New);
        assert!(is_blocked(folder("notes/a")));
        assert!(is_blocked(folder("link")));
        target_folder.make_folder(&path("notes/sub")).unwrap();
        target_folder.make_folder(&path("notes/new")).unwrap();
        target_folder.set_folder_time(&path("notes/new"), modified).unwrap();
        let metadata = fs::metadata(at("notes/new")).unwrap();
        assert_eq!(metadata.modified().unwrap(), SystemTime::UNIX_EPOCH);
        assert!(target_folder.make_folder(&path("link")).is_err());
        assert!(target_folder.make_folder(&path("link/new")).is_err());
    }

    #[test]
    fn a_copy_gets_a_numbered_name() {
        assert_eq!(copy_name("a.txt", 2), "a (2).txt");
        assert_eq!(copy_name("a.tar.gz", 3), "a.tar (3).gz");
        assert_eq!(copy_name("a", 2), "a (2)");
        assert_eq!(copy_name(".hidden", 2), ".hidden (2)");
        assert_eq!(copy_name(&format!("{}.txt", "n".repeat(251)), 2).len(), PATH_PART);
        // A character of 3 bytes is left out as a whole.
        let name = copy_name(&format!("{}.txt", "\u{20ac}".repeat(83)), 10);
        assert_eq!(name, format!("{} (10).txt", "\u{20ac}".repeat(82)));
        let name = copy_name(&format!("a.{}", "e".repeat(253)), u32::MAX);
        assert_eq!(name, format!("a.{} (4294967295)", "e".repeat(240)));
    }
}
