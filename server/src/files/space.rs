//! Space on the disk: the free space, the space that must stay free, and reservations for running
//! uploads, so that two uploads cannot both count on the same bytes.

use std::io;
use std::sync::Arc;

use cap_std::fs::Dir;
use parking_lot::{Mutex, MutexGuard};

use super::FilesError;
use crate::unix;

/// The free space of one disk.
#[derive(Debug)]
pub(super) struct FreeSpace {
    /// Bytes that stay free.
    keep_free: u64,
    /// Bytes that running uploads have yet to write.
    reserved: Mutex<u64>,
}

/// Reserved space for the rest of a file. Dropping it releases the space.
#[derive(Debug)]
pub(super) struct SpaceReservation {
    free_space: Arc<FreeSpace>,
    bytes: u64,
}

impl FreeSpace {
    pub(super) fn new(keep_free: u64) -> Arc<Self> {
        Arc::new(Self { keep_free, reserved: Mutex::new(0) })
    }

    /// Free bytes that are not reserved, without those that must stay free.
    pub(super) fn available(&self, folder: &Dir) -> io::Result<u64> {
        let reserved = *self.reserved();
        self.unreserved(folder, reserved)
    }

    /// Reserves `bytes`.
    pub(super) fn reserve(
        self: &Arc<Self>,
        folder: &Dir,
        bytes: u64,
    ) -> Result<SpaceReservation, FilesError> {
        let mut reservation = SpaceReservation { free_space: self.clone(), bytes: 0 };
        reservation.grow(folder, bytes)?;
        Ok(reservation)
    }

    fn unreserved(&self, folder: &Dir, reserved: u64) -> io::Result<u64> {
        let free = unix::free_space(folder)?;
        Ok(free.saturating_sub(self.keep_free).saturating_sub(reserved))
    }

    fn reserved(&self) -> MutexGuard<'_, u64> {
        self.reserved.lock()
    }
}

impl SpaceReservation {
    /// Reserves more, for a file of unknown size.
    pub(super) fn grow(&mut self, folder: &Dir, bytes: u64) -> Result<(), FilesError> {
        let mut reserved = self.free_space.reserved();
        // `statfs` does not wait for the disk: the kernel knows the numbers.
        let unreserved = self.free_space.unreserved(folder, *reserved);
        if unreserved.map_err(FilesError::Disk)? < bytes {
            return Err(FilesError::DiskFull);
        }
        *reserved += bytes;
        self.bytes += bytes;
        Ok(())
    }

    /// Releases `bytes` that were written: from now on they are missing from the disk's free space.
    pub(super) fn release_written(&mut self, bytes: u64) {
        self.set(self.bytes.saturating_sub(bytes));
    }

    /// Sets the reservation to the bytes that are yet to be written, as after a partial file was
    /// truncated.
    pub(super) fn set(&mut self, bytes: u64) {
        let mut reserved = self.free_space.reserved();
        *reserved = reserved.saturating_sub(self.bytes).saturating_add(bytes);
        self.bytes = bytes;
    }
}

impl Drop for SpaceReservation {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_uploads_cannot_reserve_the_same_space() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(folder.path(), cap_std::ambient_authority()).unwrap();
        let free = unix::free_space(&dir).unwrap();
        // Other programs use this disk too. Half of the free space must stay free, and a third is
        // reserved: the margins are wide enough for their changes.
        let free_space = FreeSpace::new(free / 2);
        let first = free_space.reserve(&dir, free / 3).unwrap();
        assert!(matches!(free_space.reserve(&dir, free / 3), Err(FilesError::DiskFull)));
        assert!(matches!(free_space.reserve(&dir, u64::MAX), Err(FilesError::DiskFull)));
        drop(first);
        let mut second = free_space.reserve(&dir, free / 3).unwrap();
        second.release_written(free / 3);
        assert!(free_space.available(&dir).unwrap() >= free / 3);
        drop(second);
        assert_eq!(*free_space.reserved(), 0);
    }
}
