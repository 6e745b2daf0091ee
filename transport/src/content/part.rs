//! A file on its way to its name: beside the target, under a name of its own, until it is whole.

use std::io::{self, Write};

use cap_std::fs::{Dir, File, OpenOptions};

use crate::unix;

/// What a part's name begins with.
pub const PART_PREFIX: &str = ".quiver-";

/// What a part's name ends with; 16 hex digits stand between.
pub const PART_SUFFIX: &str = ".part";

/// Whether a file name is one that parts have. Such files are never listed, sent or taken as targets.
#[must_use]
pub fn is_part_name(name: &str) -> bool {
    let middle = name.strip_prefix(PART_PREFIX).and_then(|rest| rest.strip_suffix(PART_SUFFIX));
    middle.is_some_and(|hex| hex.len() == 16 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// What to do where the final name is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replace {
    /// Refuse, and leave what is there.
    Never,
    /// Put the new file in its place, in one step.
    Existing,
}

/// A file under its temporary name. Dropped without a commit, it is removed.
#[derive(Debug)]
pub struct PartFile {
    folder: Dir,
    name: String,
    file: File,
    committed: bool,
}

impl PartFile {
    /// Creates a part in `folder`; `id` is a random number that makes its name. Never an existing
    /// file, never through a link.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(folder: &Dir, id: u64) -> io::Result<Self> {
        let name = format!("{PART_PREFIX}{id:016x}{PART_SUFFIX}");
        let file = folder.open_with(&name, OpenOptions::new().write(true).create_new(true))?;
        Ok(Self { folder: folder.try_clone()?, name, file, committed: false })
    }

    /// Flushes the content to disk, renames it to `target` in its folder, and makes the name durable.
    /// Blocks for as long as the disk needs.
    ///
    /// # Errors
    /// What the system says: `AlreadyExists` where the name is taken and not to be replaced. The
    /// part is then gone, and what stood under the name is as it was.
    pub fn commit(mut self, target: &str, replace: Replace) -> io::Result<()> {
        self.file.sync_all()?;
        match replace {
            Replace::Never => unix::rename_new(&self.folder, &self.name, target)?,
            Replace::Existing => self.folder.rename(&self.name, &self.folder, target)?,
        }
        self.committed = true;
        unix::sync_folder(&self.folder)
    }
}

impl Write for PartFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.committed {
            // Nobody is left to tell; the name says what it is.
            let _ = self.folder.remove_file(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folder() -> (tempfile::TempDir, Dir) {
        let temporary = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(temporary.path(), cap_std::ambient_authority()).unwrap();
        (temporary, dir)
    }

    fn names(folder: &tempfile::TempDir) -> Vec<String> {
        let entries = fs::read_dir(folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_part_becomes_a_file_only_by_commit() {
        let (temporary, dir) = folder();
        let mut part = PartFile::create(&dir, 0xab).unwrap();
        part.write_all(b"content").unwrap();
        assert_eq!(names(&temporary), [".quiver-00000000000000ab.part"]);
        assert!(is_part_name(&names(&temporary)[0]));
        part.commit("a.txt", Replace::Never).unwrap();
        assert_eq!(names(&temporary), ["a.txt"]);
        assert_eq!(fs::read(temporary.path().join("a.txt")).unwrap(), b"content");
    }

    #[test]
    fn an_abandoned_part_leaves_nothing() {
        let (temporary, dir) = folder();
        drop(PartFile::create(&dir, 1).unwrap());
        assert!(names(&temporary).is_empty());
    }

    #[test]
    fn a_taken_name_is_replaced_only_when_told() {
        let (temporary, dir) = folder();
        fs::write(temporary.path().join("a"), "old").unwrap();
        let part = PartFile::create(&dir, 1).unwrap();
        let refused = part.commit("a", Replace::Never).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(temporary.path().join("a")).unwrap(), b"old");
        assert_eq!(names(&temporary), ["a"]);
        let part = PartFile::create(&dir, 1).unwrap();
        part.commit("a", Replace::Existing).unwrap();
        assert_eq!(fs::read(temporary.path().join("a")).unwrap(), b"");
    }

    #[test]
    fn an_existing_part_is_not_touched() {
        let (temporary, dir) = folder();
        let name = ".quiver-0000000000000001.part";
        std::os::unix::fs::symlink("/dev/null", temporary.path().join(name)).unwrap();
        assert_eq!(PartFile::create(&dir, 1).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }
}
