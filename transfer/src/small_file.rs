//! Stores a small file in one step: it is unnamed until it is complete, so that there is nothing to
//! clean up.

use std::fs::File;
use std::io::{self, Write as _};

use cap_std::fs::Dir;

use crate::FileAttributes;
use crate::file_system::{UnsetAttributes, sync_file, sync_folder};
use crate::unix;

/// Stores a file under a new name: flushes the file, gives it the name, and flushes the folder. If
/// this is interrupted, either the whole file or nothing is left. Returns the attributes that could
/// not be set, or `None` if the file system or the kernel does not support unnamed files: then the
/// caller uses a [`PartialFile`](super::PartialFile). Blocks for as long as the disk takes.
///
/// # Errors
/// An I/O error: `AlreadyExists` if the name exists.
pub fn store_new_file(
    folder: &Dir,
    name: &str,
    bytes: &[u8],
    attributes: FileAttributes,
) -> io::Result<Option<UnsetAttributes>> {
    let Some((file, unset)) = UnnamedFile::write(folder, bytes, attributes)? else {
        return Ok(None);
    };
    if !file.give_name(folder, name)? {
        return Ok(None);
    }
    sync_folder(folder)?;
    Ok(Some(unset))
}

/// A complete file, flushed to disk, without a name. If it is dropped without one, it is removed.
#[derive(Debug)]
pub struct UnnamedFile(File);

impl UnnamedFile {
    /// Writes a file and flushes it; also returns the attributes that could not be set. `None` if
    /// the file system or the kernel does not support unnamed files. Blocks for as long as the disk
    /// takes.
    ///
    /// # Errors
    /// An I/O error.
    pub fn write(
        folder: &Dir,
        bytes: &[u8],
        attributes: FileAttributes,
    ) -> io::Result<Option<(Self, UnsetAttributes)>> {
        let Some(mut file) = unix::create_unnamed(folder) else { return Ok(None) };
        file.write_all(bytes)?;
        let unset = attributes.apply(&file, None);
        sync_file(&file)?;
        Ok(Some((Self(file), unset)))
    }

    /// Gives the file a new name in the folder in which it was written. The caller flushes the
    /// folder. `false` if the system does not allow this to the process.
    ///
    /// # Errors
    /// An I/O error: `AlreadyExists` if the name exists.
    pub fn give_name(&self, folder: &Dir, name: &str) -> io::Result<bool> {
        unix::link_unnamed(&self.0, folder, name)
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
    fn a_new_file_is_stored_whole_with_its_attributes() {
        let (temporary, dir) = folder();
        let modified = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_234_567_891);
        let attributes = FileAttributes { modified: Some(modified), executable: true };
        assert_eq!(
            store_new_file(&dir, "a", b"content", attributes).unwrap(),
            Some(UnsetAttributes::default())
        );
        let path = temporary.path().join("a");
        assert_eq!(fs::read(&path).unwrap(), b"content");
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(metadata.modified().unwrap(), modified);
        assert_eq!(std::os::unix::fs::MetadataExt::mode(&metadata) & 0o100, 0o100);
        // The file has the default permissions.
        let other = temporary.path().join("other");
        fs::write(&other, "").unwrap();
        let permissions =
            |path| std::os::unix::fs::MetadataExt::mode(&fs::metadata(path).unwrap()) & 0o666;
        assert_eq!(permissions(path), permissions(other));
    }

    #[test]
    fn an_existing_file_is_not_replaced() {
        let (temporary, dir) = folder();
        let assert_refused = |name: &str| {
            let refused =
                store_new_file(&dir, name, b"new", FileAttributes::default()).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        };
        fs::write(temporary.path().join("a"), "old").unwrap();
        std::os::unix::fs::symlink("nowhere", temporary.path().join("link")).unwrap();
        assert_refused("a");
        assert_refused("link");
        assert_eq!(fs::read(temporary.path().join("a")).unwrap(), b"old");
        assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 2);
    }
}
