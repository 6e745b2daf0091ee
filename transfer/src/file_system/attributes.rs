//! A file's time and permissions. If the system refuses to set them, the content is still stored
//! safely: the caller reports a warning, not a failure.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Mode, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;
use rustix::path::Arg;

/// The attributes of a stored file or folder that could not be set, each with the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UnsetAttributes {
    modified: Option<Errno>,
    permissions: Option<Errno>,
}

impl UnsetAttributes {
    /// Whether every attribute was set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// From the results of setting the time and the permissions.
    pub(crate) fn from_results(
        modified: Result<(), Errno>,
        permissions: Result<(), Errno>,
    ) -> Self {
        Self { modified: modified.err(), permissions: permissions.err() }
    }
}

/// `its time (Operation not permitted)`
impl fmt::Display for UnsetAttributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attributes = [("its time", self.modified), ("its permissions", self.permissions)];
        let mut separator = "";
        for (what, error) in attributes {
            if let Some(error) = error {
                let why = io::Error::from(error).to_string();
                // Without the error code, as in `Operation not permitted (os error 1)`.
                let why = why.split_once(" (os error").map_or(why.as_str(), |(why, _)| why);
                write!(f, "{separator}{what} ({why})")?;
                separator = " and ";
            }
        }
        Ok(())
    }
}

/// Sets when a file or folder was last modified, by its name in a folder; `.` is the folder itself.
/// Does not follow links, and needs no permission to read.
pub fn set_modified(folder: impl AsFd, name: impl Arg, modified: SystemTime) -> UnsetAttributes {
    let set = rustix::fs::utimensat(folder, name, &timestamps(modified), AtFlags::SYMLINK_NOFOLLOW);
    UnsetAttributes { modified: set.err(), permissions: None }
}

/// Sets when an open file was last modified.
pub(crate) fn set_file_modified(file: &File, modified: SystemTime) -> Result<(), Errno> {
    rustix::fs::futimens(file, &timestamps(modified))
}

/// The permissions of a file: who may read, write and run it. Without the bits by which a program
/// runs as another user, because they are a statement about the old content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Permissions(Mode);

impl Permissions {
    /// Those of the file of this name; `None` if there is no file, or something else.
    ///
    /// # Errors
    /// An I/O error.
    pub(crate) fn of_file(folder: impl AsFd, name: &str) -> io::Result<Option<Self>> {
        match super::stat(folder, name) {
            Ok(found) if found.is_file() => Ok(Some(Self::from_raw(found.mode()))),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Those of an open file.
    pub(crate) fn of_open(file: &File) -> Result<Self, Errno> {
        Ok(Self::from_raw(rustix::fs::fstat(file)?.st_mode))
    }

    fn from_raw(mode: u32) -> Self {
        Self(Mode::from_raw_mode(mode) & (Mode::RWXU | Mode::RWXG | Mode::RWXO))
    }

    /// Without what `other` does not permit to other users. The owner's are kept.
    pub(crate) fn restricted_to(self, other: Self) -> Self {
        Self(self.0 & (other.0 | Mode::RWXU))
    }

    /// Gives them to an open file, unless it has them.
    pub(crate) fn apply(self, file: &File) -> Result<(), Errno> {
        if Self::of_open(file)? == self { Ok(()) } else { rustix::fs::fchmod(file, self.0) }
    }
}

/// Makes an open file executable for all users who may read it.
pub(crate) fn make_executable(file: &File) -> Result<(), Errno> {
    let mode = Mode::from_raw_mode(rustix::fs::fstat(file)?.st_mode);
    let readers = mode & (Mode::RUSR | Mode::RGRP | Mode::ROTH);
    let runners = Mode::from_raw_mode(readers.as_raw_mode() >> 2);
    rustix::fs::fchmod(file, mode | runners)
}

/// The timestamps to set; the time of the last access is kept.
fn timestamps(modified: SystemTime) -> Timestamps {
    let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    Timestamps { last_access, last_modification: timespec(modified) }
}

/// Converts to the kernel's format: whole seconds, negative before 1970, plus nanoseconds.
fn timespec(time: SystemTime) -> Timespec {
    let seconds = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => {
            Timespec { tv_sec: seconds(after.as_secs()), tv_nsec: after.subsec_nanos().into() }
        }
        Err(error) => {
            let before = error.duration();
            match before.subsec_nanos() {
                0 => {
                    Timespec { tv_sec: 0_i64.saturating_sub_unsigned(before.as_secs()), tv_nsec: 0 }
                }
                nanoseconds => Timespec {
                    tv_sec: (-1_i64).saturating_sub_unsigned(before.as_secs()),
                    tv_nsec: (1_000_000_000 - nanoseconds).into(),
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::fs::CWD;

    use super::*;
    use crate::file_system::stat;

    #[test]
    fn every_time_is_set_exactly() {
        // A file system in memory keeps every time; others clamp times.
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let moments = [
            UNIX_EPOCH,
            UNIX_EPOCH + Duration::new(1, 999_999_999),
            UNIX_EPOCH - Duration::new(0, 1),
            UNIX_EPOCH - Duration::new(7, 0),
            UNIX_EPOCH - Duration::new(62_167_219_200, 999_999_999),
            UNIX_EPOCH + Duration::new(253_402_300_799, 999_999_999),
            UNIX_EPOCH - Duration::from_secs(1 << 63),
            UNIX_EPOCH + Duration::from_secs(i64::MAX as u64),
        ];
        for moment in moments {
            assert!(set_modified(CWD, folder.path(), moment).is_empty());
            assert_eq!(stat(CWD, folder.path()).unwrap().modified(), moment);
        }
    }

    #[test]
    fn attributes_that_could_not_be_set_are_named() {
        assert!(UnsetAttributes::default().is_empty());
        let unset = UnsetAttributes::from_results(Err(Errno::PERM), Err(Errno::OPNOTSUPP));
        let expected =
            "its time (Operation not permitted) and its permissions (Operation not supported)";
        assert_eq!(unset.to_string(), expected);
        let missing = set_modified(CWD, "/nowhere/at/all", UNIX_EPOCH);
        assert_eq!(missing.to_string(), "its time (No such file or directory)");
    }
}
