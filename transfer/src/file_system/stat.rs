//! What a name in a folder stands for. cap-std panics where a time is the smallest that a file can have; this
//! takes any.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, FileType};
use rustix::path::Arg;

/// What a name stands for. A symbolic link stands for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStat {
    kind: FileType,
    size: u64,
    modified: SystemTime,
}

/// Looks at a name in a folder. No link is followed, and nothing is opened.
///
/// # Errors
/// What the system says.
pub fn stat(folder: impl AsFd, name: impl Arg) -> io::Result<FileStat> {
    let found = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileStat {
        kind: FileType::from_raw_mode(found.st_mode),
        // No file system has negative sizes.
        size: u64::try_from(found.st_size).unwrap_or(0),
        modified: moment(found.st_mtime, found.st_mtime_nsec),
    })
}

impl FileStat {
    /// Whether it is a regular file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.kind == FileType::RegularFile
    }

    /// Whether it is a folder.
    #[must_use]
    pub fn is_dir(&self) -> bool {
        self.kind == FileType::Directory
    }

    /// Whether it is a symbolic link.
    #[must_use]
    pub fn is_symlink(&self) -> bool {
        self.kind == FileType::Symlink
    }

    /// Its size in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.size
    }

    /// Whether its size is 0.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// When its content was last modified.
    #[must_use]
    pub fn modified(&self) -> SystemTime {
        self.modified
    }
}

/// A file's time as the standard library has it: any number of seconds, before 1970 too.
fn moment(seconds: i64, nanoseconds: impl TryInto<u32>) -> SystemTime {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let whole =
        if seconds < 0 { UNIX_EPOCH.checked_sub(whole) } else { UNIX_EPOCH.checked_add(whole) };
    // A fraction beyond a second is not one.
    let fraction = nanoseconds.try_into().unwrap_or(0).min(999_999_999);
    let whole = whole.unwrap_or(UNIX_EPOCH);
    whole.checked_add(Duration::from_nanos(fraction.into())).unwrap_or(whole)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use rustix::fs::{CWD, Timespec, Timestamps, utimensat};

    use super::*;

    #[test]
    fn every_number_of_seconds_is_a_moment() {
        let half = Duration::from_millis(500);
        assert_eq!(moment(0, 500_000_000), UNIX_EPOCH + half);
        assert_eq!(moment(-1, 500_000_000), UNIX_EPOCH - half);
        let far = Duration::from_secs(1 << 63);
        assert_eq!(moment(i64::MIN, 0), UNIX_EPOCH - far);
        assert_eq!(
            moment(i64::MIN, 999_999_999),
            UNIX_EPOCH - (far - Duration::from_nanos(999_999_999))
        );
        assert!(moment(i64::MAX, 999_999_999) > moment(i64::MAX, 0));
        assert_eq!(moment(1, u64::MAX), moment(1, 0), "no nanoseconds");
    }

    #[test]
    fn a_file_of_any_time_can_be_looked_at() {
        // A file system in memory keeps every time, others clamp them.
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let path = folder.path().join("a");
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        for seconds in [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX] {
            // The kernel knows no fraction of the first and the last second.
            let fraction = if [i64::MIN, i64::MAX].contains(&seconds) { 0 } else { 999_999_999 };
            let time = Timespec { tv_sec: seconds, tv_nsec: fraction };
            let times = Timestamps { last_access: time, last_modification: time };
            utimensat(CWD, &path, &times, AtFlags::empty()).unwrap();
            let found = stat(CWD, &path).unwrap();
            assert_eq!(found.modified(), moment(seconds, fraction));
            assert!(found.is_file() && found.len() == 1 << 40);
        }
    }
}
