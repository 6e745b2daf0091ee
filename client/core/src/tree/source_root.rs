//! What a folder here holds that is to go to the server. Links are not followed: they, and whatever else
//! is no file and no folder, are named and left out.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use quiver_protocol::path::BadPath;
use quiver_protocol::{FilePath, FolderPath, Timestamp};
use quiver_transfer::SMALL;
use quiver_transfer::file_system::{FileStat, stat};

use super::confined_folder::{self, TargetTree};
use super::plan::{FoundEntry, ItemKind};
use crate::unix;

/// Something that was named: a file, or a folder with what is in it.
#[derive(Debug)]
pub struct SourceRoot {
    below: TargetTree,
    /// What its files are below, as it was typed.
    typed: PathBuf,
}

/// Something that does not go to the server.
#[derive(Debug)]
pub struct Skipped {
    /// Where it is, as people see it.
    pub path: PathBuf,
    /// Why.
    pub reason: SkipReason,
}

/// Why something does not go to the server.
#[derive(Debug)]
pub enum SkipReason {
    /// It is no file and no folder; what it is instead, with its article.
    Kind(&'static str),
    /// The server would not take a name like this.
    Name(BadPath),
    /// Its name is not UTF-8.
    NotUtf8,
    /// It cannot be looked at.
    Unreadable(io::Error),
}

impl SourceRoot {
    /// The folder that is written `typed`, for what is below it.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(typed: &Path) -> io::Result<Self> {
        // A name alone lies in the current folder.
        let folder = if typed.as_os_str().is_empty() { Path::new(".") } else { typed };
        Ok(Self { below: TargetTree::open(folder)?, typed: typed.to_owned() })
    }

    /// A source's path as people see it.
    #[must_use]
    pub fn shown(&self, source: &FilePath) -> PathBuf {
        if self.typed == Path::new(".") {
            source.as_str().into()
        } else {
            self.typed.join(source.as_str())
        }
    }

    /// A source that was named itself: also where a link leads to it. Blocks.
    ///
    /// # Errors
    /// What the system says; the reason where it is neither a file nor a folder.
    pub fn named(&self, source: &FilePath) -> io::Result<Result<ItemKind, &'static str>> {
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

    /// What is in a folder; the root is what was named itself. Blocks.
    ///
    /// # Errors
    /// Where the folder cannot be read, or `each` gives up.
    pub fn list<E: From<Skipped>>(
        &self,
        source_root: u32,
        source: &FolderPath,
        target: &FolderPath,
        mut each: impl FnMut(Result<FoundEntry, Skipped>) -> Result<(), E>,
    ) -> Result<(), E> {
        let here = FilePath::parse(source.as_str());
        let here = here.map_or_else(|_| self.typed.clone(), |path| self.shown(&path));
        let unreadable =
            |error| Skipped { path: here.clone(), reason: SkipReason::Unreadable(error) };
        let folder = self.below.folder(source.as_str()).map_err(unreadable)?;
        for entry in folder.entries().map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name();
            let odd = |reason| Skipped { path: here.join(&name), reason };
            let kind = match stat(&folder, &name).map(|found| kind(&found)) {
                Ok(Ok(kind)) => kind,
                Ok(Err(is)) => {
                    each(Err(odd(SkipReason::Kind(is))))?;
                    continue;
                }
                // It went while we looked.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    each(Err(odd(SkipReason::Unreadable(error))))?;
                    continue;
                }
            };
            let Some(text) = name.to_str() else {
                each(Err(odd(SkipReason::NotUtf8)))?;
                continue;
            };
            each(match (source.join(text), target.join(text)) {
                (Ok(source), Ok(target)) => Ok(FoundEntry { source_root, source, target, kind }),
                (Err(rule), _) | (_, Err(rule)) => Err(odd(SkipReason::Name(rule))),
            })?;
        }
        Ok(())
    }

    /// A file, to be read. Blocks.
    ///
    /// # Errors
    /// What the system says; a link is not followed.
    pub fn read(&self, source: &FilePath) -> io::Result<File> {
        let (folder, name) = self.below.parent(source)?;
        confined_folder::read(&folder, name)
    }

    /// Whether anything can be read of a file, whatever size it is said to have. Blocks.
    ///
    /// # Errors
    /// As of [`read`](Self::read).
    pub fn has_content(&self, source: &FilePath) -> io::Result<bool> {
        // All that such a file gives to one read: some give nothing to a shorter one.
        let mut buffer = vec![0; SMALL as usize];
        Ok(self.read(source)?.read(&mut buffer)? > 0)
    }
}

/// A file or folder, or what else it is.
fn kind(found: &FileStat) -> Result<ItemKind, &'static str> {
    let modified = Timestamp::from(found.modified());
    if found.is_file() {
        Ok(ItemKind::File { size: found.len(), modified })
    } else if found.is_dir() {
        Ok(ItemKind::Folder { modified })
    } else if found.is_symlink() {
        Err("a symbolic link")
    } else {
        Err("neither a file nor a folder")
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn files_and_folders_are_found_and_the_rest_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join("notes").join(name);
        fs::create_dir_all(at("sub")).unwrap();
        fs::write(at("a"), "12345").unwrap();
        fs::write(at("aux"), "").unwrap();
        fs::write(folder.path().join("notes").join(OsStr::from_bytes(b"\xff")), "").unwrap();
        std::os::unix::fs::symlink(at("a"), at("link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        let source_root = SourceRoot::open(folder.path()).unwrap();
        let (mut found, mut odd) = (Vec::new(), Vec::new());
        let notes = FolderPath::parse("notes").unwrap();
        let list = source_root.list(0, &notes, &FolderPath::parse("x/notes").unwrap(), |entry| {
            match entry {
                Ok(entry) => found.push(entry),
                Err(entry) => odd.push(entry),
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
        assert_eq!(odd.len(), 4, "{odd:?}");
        let is = |name: &str| odd.iter().find(|odd| odd.path == at(name)).map(|odd| &odd.reason);
        assert!(matches!(is("link"), Some(SkipReason::Kind("a symbolic link"))));
        assert!(matches!(is("aux"), Some(SkipReason::Name(BadPath::Reserved))));
        assert!(matches!(is("socket"), Some(SkipReason::Kind(_))));
        let path = |text: &str| FilePath::parse(text).unwrap();
        assert!(source_root.read(&path("notes/a")).is_ok());
        assert!(source_root.read(&path("notes/link")).is_err());
        assert!(source_root.read(&path("notes/sub")).is_err());
        // What was typed may be a link.
        assert!(matches!(
            source_root.named(&path("notes/link")),
            Ok(Ok(ItemKind::File { size: 5, .. }))
        ));
    }
}
