//! Metadata of a name in a folder. cap-std panics on the smallest time that a file can have; this
//! module accepts every time.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, FileType};
use rustix::path::Arg;

/// Metadata of a file, a folder or a symbolic link itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStat {
    kind: FileType,
    mode: u32,
    inode: u64,
    size: u64,
    modified: SystemTime,
}

/// Reads the metadata of a name in a folder. Does not follow links, and opens nothing.
///
/// # Errors
/// An I/O error.
pub fn stat(folder: impl AsFd, name: impl Arg) -> io::Result<FileStat> {
    let found = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileStat {
        kind: FileType::from_raw_mode(found.st_mode),
        mode: found.st_mode,
        inode: found.st_ino,
        // No file system has negative sizes.
        size: u64::try_from(found.st_size).unwrap_or(0),
        modified: system_time(found.st_mtime, found.st_mtime_nsec),
    })
}

impl FileStat {
    /// Its type and permissions, as in `stat(2)`.
    pub(crate) fn mode(&self) -> u32 {
        self.mode
    }

    /// Its number in its file system.
    #[must_use]
    pub fn inode(&self) -> u64 {
        self.inode
    }

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

    /// Whether it is a named pipe.
    #[must_use]
    pub fn is_pipe(&self) -> bool {
        self.kind == FileType::Fifo
    }

    /// Whether it is a socket.
    #[must_use]
    pub fn is_socket(&self) -> bool {
        self.kind == FileType::Socket
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

/// Converts a file's time: any number of seconds, also before 1970.
fn system_time(seconds: i64, nanoseconds: impl TryInto<u32>) -> SystemTime {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let whole =
        if seconds < 0 { UNIX_EPOCH.checked_sub(whole) } else { UNIX_EPOCH.checked_add(whole) };
    // Invalid fractions of a second are clamped.
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
    fn every_number_of_seconds_is_converted() {
        let half = Duration::from_millis(500);
        assert_eq!(system_time(0, 500_000_000), UNIX_EPOCH + half);
        assert_eq!(system_time(-1, 500_000_000), UNIX_EPOCH - half);
        let far = Duration::from_secs(1 << 63);
        assert_eq!(system_time(i64::MIN, 0), UNIX_EPOCH - far);
        assert_eq!(
            system_time(i64::MIN, 999_999_999),
            UNIX_EPOCH - (far - Duration::from_nanos(999_999_999))
        );
        assert!(system_time(i64::MAX, 999_999_999) > system_time(i64::MAX, 0));
        assert_eq!(system_time(1, u64::MAX), system_time(1, 0), "no nanoseconds");
    }

    #[test]
    fn the_metadata_of_a_file_with_any_time_is_read() {
        // A file system in memory keeps every time; others clamp times.
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let path = folder.path().join("a");
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        for seconds in [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX] {
            // The kernel keeps no fraction of the first and the last second.
            let fraction = if [i64::MIN, i64::MAX].contains(&seconds) { 0 } else { 999_999_999 };
            let time = Timespec { tv_sec: seconds, tv_nsec: fraction };
            let times = Timestamps { last_access: time, last_modification: time };
            utimensat(CWD, &path, &times, AtFlags::empty()).unwrap();
            let found = stat(CWD, &path).unwrap();
            assert_eq!(found.modified(), system_time(seconds, fraction));
            assert!(found.is_file() && found.len() == 1 << 40);
        }
    }
}
