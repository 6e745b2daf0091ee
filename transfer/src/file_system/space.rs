//! Free space, if the file system reports it.

use std::io;
use std::os::fd::AsFd;

/// Bytes that this process may still write to the file system of a folder. `u64::MAX` if that is
/// unknown: some file systems do not report it, or report that they have no size. On these, a write
/// fails when the disk is full.
///
/// # Errors
/// An I/O error.
pub fn free_space(folder: impl AsFd) -> io::Result<u64> {
    match rustix::fs::fstatvfs(folder) {
        Ok(disk) if disk.f_blocks == 0 => Ok(u64::MAX),
        Ok(disk) => Ok(disk.f_bavail.saturating_mul(disk.f_frsize)),
        Err(error) if super::is_unsupported(error) => Ok(u64::MAX),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn a_file_system_without_a_size_reports_unlimited_space() {
        assert_eq!(free_space(File::open("/proc").unwrap()).unwrap(), u64::MAX);
        let folder = tempfile::tempdir().unwrap();
        assert!(free_space(File::open(folder.path()).unwrap()).unwrap() < u64::MAX);
    }
}
