//! Whether this process may read or change a file or folder, checked without opening it if the
//! kernel supports that.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{Access, AtFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::path::Arg;

use super::stat;

/// Whether this process may read a file, or enter and read a folder. Does not follow links.
#[must_use]
pub fn is_readable(folder: impl AsFd, name: impl Arg + Copy, is_folder: bool) -> bool {
    let folder = folder.as_fd();
    let wanted = if is_folder { Access::READ_OK | Access::EXEC_OK } else { Access::READ_OK };
    let flags = AtFlags::EACCESS | AtFlags::SYMLINK_NOFOLLOW;
    match rustix::fs::accessat(folder, name, wanted, flags) {
        // Linux before 5.8 has no such call, and container runtimes of that time forbid it.
        Err(Errno::NOSYS | Errno::PERM) => can_open(folder, name, is_folder),
        result => result.is_ok(),
    }
}

/// Like [`is_readable`], by opening it. Devices and pipes are not opened, because that may have
/// side effects.
fn can_open(folder: BorrowedFd<'_>, name: impl Arg + Copy, is_folder: bool) -> bool {
    let mut flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    if is_folder {
        flags |= OFlags::DIRECTORY;
    } else if !stat(folder, name).is_ok_and(|found| found.is_file()) {
        return false;
    }
    let opened = rustix::fs::openat(folder, name, flags, Mode::empty());
    // Only a process that may enter a folder can look up a name in it.
    opened.is_ok_and(|opened| !is_folder || stat(&opened, ".").is_ok())
}

/// Checks whether this process may create files in a folder, as far as that is known without
/// creating one.
///
/// # Errors
/// An I/O error: `PermissionDenied` if it may not, `ReadOnlyFilesystem`.
pub fn check_writable(folder: impl AsFd) -> io::Result<()> {
    let folder = folder.as_fd();
    let create = Access::WRITE_OK | Access::EXEC_OK;
    match rustix::fs::accessat(folder, ".", create, AtFlags::EACCESS) {
        // As in `is_readable`. The older call checks the real user, who is nearly always the
        // effective one.
        Err(Errno::NOSYS | Errno::PERM) if has_equal_ids() => {
            Ok(rustix::fs::accessat(folder, ".", create, AtFlags::empty())?)
        }
        // The permission is unknown until the file is created.
        Err(Errno::NOSYS) => Ok(()),
        result => Ok(result?),
    }
}

/// Whether the real and the effective ids of this process are equal.
fn has_equal_ids() -> bool {
    use rustix::process::{getegid, geteuid, getgid, getuid};
    getuid() == geteuid() && getgid() == getegid()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn opening_gives_the_same_result_as_accessat() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for mode in [0o000, 0o400, 0o600, 0o644, 0o7777] {
            fs::write(at(&format!("{mode:o}")), "").unwrap();
            fs::set_permissions(at(&format!("{mode:o}")), Permissions::from_mode(mode)).unwrap();
            fs::create_dir(at(&format!("d{mode:o}"))).unwrap();
            fs::set_permissions(at(&format!("d{mode:o}")), Permissions::from_mode(mode)).unwrap();
        }
        std::os::unix::fs::symlink("644", at("link")).unwrap();
        std::os::unix::fs::symlink("d644", at("dlink")).unwrap();
        let dir = File::open(folder.path()).unwrap();
        let names = fs::read_dir(folder.path()).unwrap();
        for name in names.map(|name| name.unwrap().file_name().into_string().unwrap()) {
            let is_folder = name.starts_with('d');
            // The kernel checks a link itself, which is always readable.
            if !name.ends_with("link") {
                let may = is_readable(&dir, name.as_str(), is_folder);
                assert_eq!(can_open(dir.as_fd(), name.as_str(), is_folder), may, "{name}");
            } else {
                assert!(!can_open(dir.as_fd(), name.as_str(), is_folder), "{name}");
            }
        }
        assert!(!can_open(dir.as_fd(), "missing", false));
        for entry in fs::read_dir(folder.path()).unwrap() {
            let _ = fs::set_permissions(entry.unwrap().path(), Permissions::from_mode(0o700));
        }
    }

    #[test]
    fn a_pipe_is_never_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        let dir = File::open(folder.path()).unwrap();
        assert!(!can_open(dir.as_fd(), "pipe", false));
    }
}
