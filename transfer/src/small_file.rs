//! A small file that gets its name in one step: until then it has none, and nothing to clean up.

use std::fs::File;
use std::io::{self, Write as _};

use cap_std::fs::Dir;

use crate::FileAttributes;
use crate::file_system::{UnsetAttributes, sync_file, sync_folder};
use crate::unix;

/// Stores a file under a name that nothing has, flushed to disk before it has it, and the name after. Wherever
/// this ends, nothing is left of it but the whole file. `None` where this file system, or this system, knows
/// no files without a name: a [part](super::PartialFile) does the same in more steps. Else the attributes that
/// could not be set. Blocks for as long as the disk needs.
///
/// # Errors
/// What the system says: `AlreadyExists` where the name is taken.
pub fn store_new_file(
    folder: &Dir,
    name: &str,
    bytes: &[u8],
    finish: FileAttributes,
) -> io::Result<Option<UnsetAttributes>> {
    let Some((file, unset)) = UnnamedFile::write(folder, bytes, finish)? else { return Ok(None) };
    if !file.give_name(folder, name)? {
        return Ok(None);
    }
    sync_folder(folder)?;
    Ok(Some(unset))
}

/// A whole file, flushed to disk, that has no name yet. Dropped without one, it is gone.
#[derive(Debug)]
pub struct UnnamedFile(File);

impl UnnamedFile {
    /// Writes a file and flushes it; the attributes that could not be set. `None` where this file system, or this
    /// system, knows no files without a name. Blocks for as long as the disk needs.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(
        folder: &Dir,
        bytes: &[u8],
        finish: FileAttributes,
    ) -> io::Result<Option<(Self, UnsetAttributes)>> {
        let Some(mut file) = unix::nameless(folder) else { return Ok(None) };
        file.write_all(bytes)?;
        let unset = finish.apply(&file);
        sync_file(&file)?;
        Ok(Some((Self(file), unset)))
    }

    /// Gives the file a name that nothing has, in the folder it was written in. The caller flushes the folder.
    /// `false` where the system does not let this process.
    ///
    /// # Errors
    /// What the system says: `AlreadyExists` where the name is taken.
    pub fn give_name(&self, folder: &Dir, name: &str) -> io::Result<bool> {
        unix::give_name(&self.0, folder, name)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, SystemTime};

    use super::*;

    fn folder() -> (tempfile::TempDir, Dir) {
        let temporary = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(temporary.path(), cap_std::ambient_authority()).unwrap();
        (temporary, dir)
    }

    #[test]
    fn a_new_file_is_there_whole_with_its_time_and_its_rights() {
        let (temporary, dir) = folder();
        let modified = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_234_567_891);
        let finish = FileAttributes { modified: Some(modified), executable: true };
        assert_eq!(
            store_new_file(&dir, "a", b"content", finish).unwrap(),
            Some(UnsetAttributes::default())
        );
        let path = temporary.path().join("a");
        assert_eq!(fs::read(&path).unwrap(), b"content");
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(metadata.modified().unwrap(), modified);
        assert_eq!(std::os::unix::fs::MetadataExt::mode(&metadata) & 0o100, 0o100);
        // Who may read it is as with any other file.
        let other = temporary.path().join("other");
        fs::write(&other, "").unwrap();
        let rights =
            |path| std::os::unix::fs::MetadataExt::mode(&fs::metadata(path).unwrap()) & 0o666;
        assert_eq!(rights(path), rights(other));
    }

    #[test]
    fn what_has_the_name_already_stays() {
        let (temporary, dir) = folder();
        let taken = |name: &str| {
            let refused =
                store_new_file(&dir, name, b"new", FileAttributes::default()).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        };
        fs::write(temporary.path().join("a"), "old").unwrap();
        std::os::unix::fs::symlink("nowhere", temporary.path().join("link")).unwrap();
        taken("a");
        taken("link");
        assert_eq!(fs::read(temporary.path().join("a")).unwrap(), b"old");
        assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 2);
    }
}
