//! A rename that never replaces a file, on any file system.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use parking_lot::Mutex;
use rustix::fs::{AtFlags, RenameFlags};
use rustix::io::Errno;

use super::stat;

/// Held while the fallback checks a name and then renames.
static CHECK_AND_RENAME: Mutex<()> = Mutex::new(());

/// Renames a file or folder, and fails with `AlreadyExists` if the new name exists.
///
/// The rename is atomic if the file system supports it: as a rename that replaces nothing or, for a
/// file, as a hard link, which replaces nothing either. Otherwise (as with many file systems in
/// user space) the name is checked first. No other transfer of this process can create the name in
/// between; another program could, and its file would be replaced.
///
/// # Errors
/// An I/O error.
pub fn rename_noreplace(
    from: (impl AsFd, impl AsRef<Path>),
    to: (impl AsFd, impl AsRef<Path>),
) -> io::Result<()> {
    let (from, to) = ((from.0.as_fd(), from.1.as_ref()), (to.0.as_fd(), to.1.as_ref()));
    match rustix::fs::renameat_with(from.0, from.1, to.0, to.1, RenameFlags::NOREPLACE) {
        Ok(()) => return Ok(()),
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            // Folders cannot have hard links.
            if !stat(from.0, from.1)?.is_dir() {
                match rustix::fs::linkat(from.0, from.1, to.0, to.1, AtFlags::empty()) {
                    Ok(()) => {
                        // The file has its new name; the old one does no harm.
                        if let Err(error) = rustix::fs::unlinkat(from.0, from.1, AtFlags::empty()) {
                            let error = io::Error::from(error);
                            tracing::warn!("a renamed file kept its old name too: {error}");
                        }
                        return Ok(());
                    }
                    Err(error @ (Errno::EXIST | Errno::NOENT)) => return Err(error.into()),
                    // If the rename below fails as well, its error is more useful.
                    Err(_) => {}
                }
            }
        }
        // From a security policy that does not know the call. If the folder's owner forbids
        // renames, the plain rename is refused too.
        Err(Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    let _guard = CHECK_AND_RENAME.lock();
    match stat(to.0, to.1) {
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(rustix::fs::renameat(from.0, from.1, to.0, to.1)?)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    #[test]
    fn an_existing_name_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let dir = File::open(folder.path()).unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("a"), "new").unwrap();
        fs::write(at("b"), "old").unwrap();
        let refused = rename_noreplace((&dir, "a"), (&dir, "b")).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(at("b")).unwrap(), b"old");
        rename_noreplace((&dir, "a"), (&dir, "c")).unwrap();
        assert_eq!(fs::read(at("c")).unwrap(), b"new");
        assert!(!at("a").exists());
    }
}
