//! Whether this process may read or change something, asked without doing it where the kernel can tell.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{Access, AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::stat;

/// Whether this process may read a file, or enter a folder and read it. No link is followed.
#[must_use]
pub fn is_readable(folder: impl AsFd, name: &str, is_folder: bool) -> bool {
    let folder = folder.as_fd();
    let wanted = if is_folder { Access::READ_OK | Access::EXEC_OK } else { Access::READ_OK };
    let flags = AtFlags::EACCESS | AtFlags::SYMLINK_NOFOLLOW;
    match rustix::fs::accessat(folder, name, wanted, flags) {
        // Before Linux 5.8 there is no such call, and containers of that time forbid it.
        Err(Errno::NOSYS | Errno::PERM) => can_be_opened(folder, name, is_folder),
        answer => answer.is_ok(),
    }
}

/// The same, found out by opening it. Devices and pipes are not opened, for that may set something in motion.
fn can_be_opened(folder: BorrowedFd<'_>, name: &str, is_folder: bool) -> bool {
    let mut flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    if is_folder {
        flags |= OFlags::DIRECTORY;
    } else if !stat(folder, name).is_ok_and(|found| found.is_file()) {
        return false;
    }
    let opened = rustix::fs::openat(folder, name, flags, Mode::empty());
    // A name in a folder can be looked up by those alone who may enter it.
    opened.is_ok_and(|opened| !is_folder || stat(&opened, ".").is_ok())
}

/// Whether this process may create files in a folder, as far as that can be told without one.
///
/// # Errors
/// What the system says: `PermissionDenied` where it may not, `ReadOnlyFilesystem`.
pub fn check_writable(folder: impl AsFd) -> io::Result<()> {
    let folder = folder.as_fd();
    let create = Access::WRITE_OK | Access::EXEC_OK;
    match rustix::fs::accessat(folder, ".", create, AtFlags::EACCESS) {
        // As above. The older call asks for the real user, who is nearly always the same.
        Err(Errno::NOSYS | Errno::PERM) if acts_for_itself() => {
            Ok(rustix::fs::accessat(folder, ".", create, AtFlags::empty())?)
        }
        // It cannot be told: creating the file will.
        Err(Errno::NOSYS) => Ok(()),
        answer => Ok(answer?),
    }
}

fn acts_for_itself() -> bool {
    use rustix::process::{getegid, geteuid, getgid, getuid};
    getuid() == geteuid() && getgid() == getegid()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn opening_tells_the_same_as_the_kernel() {
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
            // A link itself may be read, which helps nobody.
            if !name.ends_with("link") {
                let may = is_readable(&dir, &name, is_folder);
                assert_eq!(can_be_opened(dir.as_fd(), &name, is_folder), may, "{name}");
            } else {
                assert!(!can_be_opened(dir.as_fd(), &name, is_folder), "{name}");
            }
        }
        assert!(!can_be_opened(dir.as_fd(), "missing", false));
        for entry in fs::read_dir(folder.path()).unwrap() {
            let _ = fs::set_permissions(entry.unwrap().path(), Permissions::from_mode(0o700));
        }
    }

    #[test]
    fn a_pipe_is_not_opened() {
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
        assert!(!can_be_opened(dir.as_fd(), "pipe", false));
    }
}
