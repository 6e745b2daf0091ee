//! A rename that replaces nothing, on any file system.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use parking_lot::Mutex;
use rustix::fs::{AtFlags, RenameFlags};
use rustix::io::Errno;

use super::stat;

/// Held while a name is looked up and taken in two steps.
static TWO_STEPS: Mutex<()> = Mutex::new(());

/// Gives a file or folder another name, and refuses with `AlreadyExists` where that is taken.
///
/// In one step where the file system can: by a rename that replaces nothing, or, of a file, by a hard link,
/// which replaces nothing either. Where it can do neither (many that run in user space), the name is looked up
/// and then taken. No other transfer of this process takes the name in between; another program could, and its
/// file would be replaced.
///
/// # Errors
/// What the system says.
pub fn rename_noreplace(
    from: (impl AsFd, impl AsRef<Path>),
    to: (impl AsFd, impl AsRef<Path>),
) -> io::Result<()> {
    let (from, to) = ((from.0.as_fd(), from.1.as_ref()), (to.0.as_fd(), to.1.as_ref()));
    match rustix::fs::renameat_with(from.0, from.1, to.0, to.1, RenameFlags::NOREPLACE) {
        Ok(()) => return Ok(()),
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            // Folders have no hard links.
            if !stat(from.0, from.1)?.is_dir() {
                match rustix::fs::linkat(from.0, from.1, to.0, to.1, AtFlags::empty()) {
                    Ok(()) => {
                        // It has its new name: one name too many harms nothing.
                        if let Err(error) = rustix::fs::unlinkat(from.0, from.1, AtFlags::empty()) {
                            let error = io::Error::from(error);
                            tracing::warn!("a renamed file kept its old name too: {error}");
                        }
                        return Ok(());
                    }
                    Err(error @ (Errno::EXIST | Errno::NOENT)) => return Err(error.into()),
                    // Whatever was in the way of a link, a rename tells what is in its own way.
                    Err(_) => {}
                }
            }
        }
        // By a security policy that does not know the call. Where it is the folder's owner who says so, the
        // plain rename is refused too.
        Err(Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    let _guard = TWO_STEPS.lock();
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
    fn a_taken_name_is_refused() {
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
