//! The local files and folders of an upload. Links in a folder are not followed: they, and
//! everything that is neither a file nor a folder, are reported and skipped.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use quiver_protocol::{FilePath, FolderPath, Timestamp};
use quiver_transfer::file_system::{FileStat, is_readable, stat};
use quiver_transfer::{SMALL, is_partial_name};
use rustix::io::Errno;

use super::confined_folder::{self, ConfinedFolder};
use super::left_out::LeftOutReason;
use super::plan::{FoundEntry, ItemKind};
use crate::unix;

/// The folder that contains the files of one or more named paths.
#[derive(Debug)]
pub struct SourceRoot {
    folder: ConfinedFolder,
    /// The folder's path as typed.
    typed: PathBuf,
}

/// An entry that is not uploaded.
#[derive(Debug)]
pub struct Skipped {
    /// Its path as shown to users.
    pub path: PathBuf,
    /// Why it is skipped.
    pub reason: LeftOutReason,
}

impl SourceRoot {
    /// Opens the folder at `typed`.
    ///
    /// # Errors
    /// An I/O error.
    pub fn open(typed: &Path) -> io::Result<Self> {
        // An empty path is the current folder.
        let folder = if typed.as_os_str().is_empty() { Path::new(".") } else { typed };
        Ok(Self { folder: ConfinedFolder::open(folder)?, typed: typed.to_owned() })
    }

    /// Returns a source's path as shown to users.
    #[must_use]
    pub fn display_path(&self, source: &FilePath) -> PathBuf {
        if self.typed == Path::new(".") {
            source.as_str().into()
        } else {
            self.typed.join(source.as_str())
        }
    }

    /// Returns the kind of a source that was named itself. Follows links. Blocks.
    ///
    /// # Errors
    /// An I/O error. The inner error says what the source is if it is neither a file nor a folder.
    pub fn named_kind(&self, source: &FilePath) -> io::Result<Result<ItemKind, &'static str>> {
        let metadata = std::fs::metadata(self.typed.join(source.as_str()))?;
        let modified = Timestamp::from(metadata.modified()?);
        Ok(if metadata.is_dir() {
            Ok(ItemKind::Folder { modified })
        } else {
            match unix::kind(&metadata) {
                None => Ok(ItemKind::File { size: metadata.len(), modified }),
                Some(is) => Err(is),
            }
        })
    }

    /// Calls `each` for every entry of a folder. Blocks.
    ///
    /// # Errors
    /// A [`Skipped`] error if the folder cannot be read, or the error of `each`.
    pub fn list<E: From<Skipped>>(
        &self,
        source_root: u32,
        source: &FolderPath,
        target: &FolderPath,
        mut each: impl FnMut(Result<FoundEntry, Skipped>) -> Result<(), E>,
    ) -> Result<(), E> {
        let path = FilePath::parse(source.as_str());
        let path = path.map_or_else(|_| self.typed.clone(), |path| self.display_path(&path));
        let unreadable = |error: io::Error| Skipped {
            path: path.clone(),
            reason: LeftOutReason::unreadable(&error),
        };
        let folder = self.folder.open_folder(source.as_str()).map_err(unreadable)?;
        for entry in folder.entries().map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name();
            let skipped = |reason| Skipped { path: path.join(&name), reason };
            // Of an unfinished transfer; the server takes no file of such a name.
            if name.to_str().is_some_and(is_partial_name) {
                each(Err(skipped(LeftOutReason::Kind("a partial file"))))?;
                continue;
            }
            let kind = match stat(&folder, &name).map(|found| kind(&found)) {
                Ok(Ok(kind)) => kind,
                Ok(Err(is)) => {
                    each(Err(skipped(LeftOutReason::Kind(is))))?;
                    continue;
                }
                // It was removed meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    each(Err(skipped(LeftOutReason::unreadable(&error))))?;
                    continue;
                }
            };
            let Some(text) = name.to_str() else {
                each(Err(skipped(LeftOutReason::NotUtf8)))?;
                continue;
            };
            if !is_readable(&folder, text, matches!(kind, ItemKind::Folder { .. })) {
                let denied = io::Error::from(Errno::ACCESS);
                each(Err(skipped(LeftOutReason::unreadable(&denied))))?;
                continue;
            }
            each(match (source.join(text), target.join(text)) {
                (Ok(source), Ok(target)) => Ok(FoundEntry { source_root, source, target, kind }),
                (Err(rule), _) | (_, Err(rule)) => Err(skipped(LeftOutReason::Name(rule))),
            })?;
        }
        Ok(())
    }

    /// Opens a file for reading. Blocks.
    ///
    /// # Errors
    /// An I/O error. Links are not followed.
    pub fn open_file(&self, source: &FilePath) -> io::Result<File> {
        let (folder, name) = self.folder.parent(source)?;
        confined_folder::open_regular(&folder, name)
    }

    /// Whether a file has content, whatever size the file system reports. Blocks.
    ///
    /// # Errors
    /// As of [`open_file`](Self::open_file).
    pub fn has_content(&self, source: &FilePath) -> io::Result<bool> {
        // Some such files return nothing to a read with a small buffer.
        let mut buffer = vec![0; SMALL as usize];
        Ok(self.open_file(source)?.read(&mut buffer)? > 0)
    }
}

/// Returns the kind of an entry, or what it is if neither a file nor a folder.
fn kind(found: &FileStat) -> Result<ItemKind, &'static str> {
    let modified = Timestamp::from(found.modified());
    if found.is_file() {
        Ok(ItemKind::File { size: found.len(), modified })
    } else if found.is_dir() {
        Ok(ItemKind::Folder { modified })
    } else if found.is_symlink() {
        Err("a symbolic link")
    } else if found.is_pipe() {
        Err("a pipe")
    } else if found.is_socket() {
        Err("a socket")
    } else {
        Err("a device")
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt as _;

    use quiver_protocol::path::BadPath;

    use super::*;

    #[test]
    fn files_and_folders_are_listed_and_other_entries_are_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join("notes").join(name);
        fs::create_dir_all(at("sub")).unwrap();
        fs::write(at("a"), "12345").unwrap();
        fs::write(at("aux"), "").unwrap();
        fs::write(folder.path().join("notes").join(OsStr::from_bytes(b"\xff")), "").unwrap();
        std::os::unix::fs::symlink(at("a"), at("link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        let source_root = SourceRoot::open(folder.path()).unwrap();
        let (mut found, mut skipped) = (Vec::new(), Vec::new());
        let notes = FolderPath::parse("notes").unwrap();
        let list = source_root.list(0, &notes, &FolderPath::parse("x/notes").unwrap(), |entry| {
            match entry {
                Ok(entry) => found.push(entry),
                Err(entry) => skipped.push(entry),
            }
            Ok::<_, Skipped>(())
        });
        list.unwrap();
        found.sort_by(|one, other| one.source.cmp(&other.source));
        let paths: Vec<_> =
            found.iter().map(|found| (found.source.as_str(), found.target.as_str())).collect();
        assert_eq!(paths, [("notes/a", "x/notes/a"), ("notes/sub", "x/notes/sub")]);
        assert!(matches!(found[0].kind, ItemKind::File { size: 5, .. }));
        assert!(matches!(found[1].kind, ItemKind::Folder { .. }));
        assert_eq!(skipped.len(), 4, "{skipped:?}");
        let is = |name: &str| {
            skipped.iter().find(|skipped| skipped.path == at(name)).map(|skipped| &skipped.reason)
        };
        assert!(matches!(is("link"), Some(LeftOutReason::Kind("a symbolic link"))));
        assert!(matches!(is("aux"), Some(LeftOutReason::Name(BadPath::ReservedName))));
        assert!(matches!(is("socket"), Some(LeftOutReason::Kind("a socket"))));
        let path = |text: &str| FilePath::parse(text).unwrap();
        assert!(source_root.open_file(&path("notes/a")).is_ok());
        assert!(source_root.open_file(&path("notes/link")).is_err());
        assert!(source_root.open_file(&path("notes/sub")).is_err());
        // A path that was named itself may be a link.
        assert!(matches!(
            source_root.named_kind(&path("notes/link")),
            Ok(Ok(ItemKind::File { size: 5, .. }))
        ));
    }
}
