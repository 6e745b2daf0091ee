//! The folder here that files from the server go to: what stands there already, and what has room.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use cap_std::fs::Dir;
use quiver_protocol::{FilePath, Timestamp};
use quiver_transfer::file_system::{UnsetAttributes, free_space, set_modified, stat};
use quiver_transfer::{is_partial_name, partial_length};

use super::confined_folder::TargetTree;
use super::plan::{ItemKind, PlanItemState};
use crate::unix;

/// The folder. What is said of paths below it never follows a link.
#[derive(Debug)]
pub struct TargetFolder {
    below: TargetTree,
    /// From the root.
    path: PathBuf,
    /// As it was typed.
    typed: PathBuf,
}

impl TargetFolder {
    /// Opens the folder.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(typed: &Path) -> io::Result<Self> {
        let below = TargetTree::open(typed)?;
        Ok(Self { below, path: typed.canonicalize()?, typed: typed.to_owned() })
    }

    /// The folder a target lies in. Blocks.
    ///
    /// # Errors
    /// What the system says: where something else than a folder stands in the way, too.
    pub fn parent(&self, target: &FilePath) -> io::Result<Arc<Dir>> {
        self.below.parent(target).map(|(folder, _)| folder)
    }

    /// The same where it is known already: nothing blocks.
    #[must_use]
    pub fn known_parent(&self, target: &FilePath) -> Option<Arc<Dir>> {
        self.below.known_parent(target)
    }

    /// The folder as it was typed.
    #[must_use]
    pub fn typed(&self) -> &Path {
        &self.typed
    }

    /// The folder's path from the root.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A target's path from the root.
    #[must_use]
    pub fn absolute(&self, target: &FilePath) -> PathBuf {
        self.path.join(target.as_str())
    }

    /// A target's path as people see it.
    #[must_use]
    pub fn shown(&self, target: &FilePath) -> PathBuf {
        if self.typed == Path::new(".") {
            target.as_str().into()
        } else {
            self.typed.join(target.as_str())
        }
    }

    /// How something that is to go to `target` compares to what is there; `part` tells the number of the
    /// part that an earlier attempt may have left. Blocks.
    #[must_use]
    pub fn look(
        &self,
        target: &FilePath,
        kind: ItemKind,
        part: impl FnOnce() -> u64,
    ) -> PlanItemState {
        if is_partial_name(target.file_name()) {
            return PlanItemState::Blocked(
                "names like this are kept for files on their way".to_owned(),
            );
        }
        self.compare(target, kind, part)
            .unwrap_or_else(|error| PlanItemState::Blocked(in_the_way(&error)))
    }

    fn compare(
        &self,
        target: &FilePath,
        kind: ItemKind,
        part: impl FnOnce() -> u64,
    ) -> io::Result<PlanItemState> {
        let (folder, name) = match self.below.parent(target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(PlanItemState::New),
            other => other?,
        };
        let there = match stat(&folder, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            other => Some(other?),
        };
        Ok(match (kind, there) {
            (ItemKind::Folder { .. }, None) => PlanItemState::New,
            (ItemKind::Folder { .. }, Some(there)) if there.is_dir() => PlanItemState::Same,
            (ItemKind::Folder { .. }, Some(there)) if there.is_symlink() => {
                PlanItemState::Blocked("a symbolic link stands there".to_owned())
            }
            (ItemKind::Folder { .. }, Some(_)) => {
                PlanItemState::Blocked("a file stands there".to_owned())
            }
            (ItemKind::File { .. }, None) => match partial_length(&folder, part())? {
                Some(length) if length > 0 => PlanItemState::Partial(length),
                _ => PlanItemState::New,
            },
            (ItemKind::File { .. }, Some(there)) if there.is_dir() => {
                PlanItemState::Blocked("a folder stands there".to_owned())
            }
            (ItemKind::File { size, .. }, Some(there))
                if there.is_file() && there.len() == size =>
            {
                if size == 0 {
                    PlanItemState::Same
                } else {
                    PlanItemState::SameSize
                }
            }
            // A server's file system that does not tell sizes gives 0 for files that are not empty.
            (ItemKind::File { size: 0, .. }, Some(there)) if there.is_file() => {
                PlanItemState::SameSize
            }
            (ItemKind::File { .. }, Some(_)) => PlanItemState::Differs,
        })
    }

    /// Makes a folder, or takes the one that is there. Blocks.
    ///
    /// # Errors
    /// What the system says.
    pub fn make_folder(&self, target: &FilePath) -> io::Result<()> {
        let (folder, name) = self.below.parent(target)?;
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

    /// Gives a folder the time of its last change; what could not be set. Blocks.
    ///
    /// # Errors
    /// What the system says of the folders above it.
    pub fn date_folder(
        &self,
        target: &FilePath,
        modified: Timestamp,
    ) -> io::Result<UnsetAttributes> {
        let (folder, name) = self.below.parent(target)?;
        Ok(set_modified(&folder, name, SystemTime::from(modified.0)))
    }

    /// Bytes that this user may still store there. Blocks.
    ///
    /// # Errors
    /// What the system says.
    pub fn room(&self) -> io::Result<u64> {
        free_space(self.below.root())
    }

    /// A file that stands there, to be read. Blocks.
    ///
    /// # Errors
    /// What the system says; a link is not followed.
    pub fn read(&self, target: &FilePath) -> io::Result<std::fs::File> {
        let (folder, name) = self.below.parent(target)?;
        super::confined_folder::read(&folder, name)
    }
}

/// `a.txt` becomes `a (2).txt`, then `a (3).txt`; `copy` is the number.
#[must_use]
pub fn another_name(name: &str, copy: u32) -> String {
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => format!("{stem} ({copy}).{extension}"),
        _ => format!("{name} ({copy})"),
    }
}

/// What stands in the way of a path.
fn in_the_way(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotADirectory || unix::is_link(error) {
        "a file or a symbolic link stands where its folder should be".to_owned()
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
    fn what_stands_there_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("notes/sub")).unwrap();
        fs::write(at("notes/a"), "12345").unwrap();
        fs::write(at("notes/.quiver-00000000000000ab.part"), "123").unwrap();
        std::os::unix::fs::symlink(at("notes"), at("link")).unwrap();
        let place = TargetFolder::open(folder.path()).unwrap();
        let moment = Timestamp::from(SystemTime::UNIX_EPOCH);
        let file = |name: &str, size| {
            place.look(&path(name), ItemKind::File { size, modified: moment }, || 0xab)
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
            |name: &str| place.look(&path(name), ItemKind::Folder { modified: moment }, || 0);
        assert_eq!(folder("notes/sub"), PlanItemState::Same);
        assert_eq!(folder("notes/new"), PlanItemState::New);
        assert!(is_blocked(folder("notes/a")));
        assert!(is_blocked(folder("link")));
        place.make_folder(&path("notes/sub")).unwrap();
        place.make_folder(&path("notes/new")).unwrap();
        place.date_folder(&path("notes/new"), moment).unwrap();
        let made = fs::metadata(at("notes/new")).unwrap();
        assert_eq!(made.modified().unwrap(), SystemTime::UNIX_EPOCH);
        assert!(place.make_folder(&path("link")).is_err());
        assert!(place.make_folder(&path("link/new")).is_err());
    }

    #[test]
    fn a_second_file_of_a_name_has_a_number() {
        assert_eq!(another_name("a.txt", 2), "a (2).txt");
        assert_eq!(another_name("a.tar.gz", 3), "a.tar (3).gz");
        assert_eq!(another_name("a", 2), "a (2)");
        assert_eq!(another_name(".hidden", 2), ".hidden (2)");
    }
}
