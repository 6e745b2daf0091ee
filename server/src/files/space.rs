//! Space on the disks of the served folder: the free space, the space that must stay free, and
//! reservations for running uploads, so that two uploads cannot both count on the same bytes.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cap_std::fs::Dir;
use parking_lot::Mutex;
use tracing::warn;

use super::FilesError;
use crate::unix::{self, DiskId};

/// The shortest time between two warnings of the log that something does not fit.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// The free space of all disks: other ones than that of the top folder may be mounted below it.
#[derive(Debug)]
pub(super) struct FreeSpace {
    /// Bytes that stay free on each.
    keep_free: u64,
    /// Bytes that running uploads have yet to write, by disk. A disk without any has no entry.
    reserved: Mutex<BTreeMap<DiskId, u64>>,
    /// When the log was last told that something does not fit.
    warned: Mutex<Option<Instant>>,
}

/// Reserved space for the rest of a file. Dropping it releases the space.
#[derive(Debug)]
pub(super) struct SpaceReservation {
    free_space: Arc<FreeSpace>,
    disk: DiskId,
    bytes: u64,
}

/// Free bytes of a disk that are not reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnreservedSpace {
    /// Those that can be used.
    pub available: u64,
    /// Those that must stay free.
    pub kept_free: u64,
}

impl FreeSpace {
    pub(super) fn new(keep_free: u64) -> Arc<Self> {
        Arc::new(Self { keep_free, reserved: Mutex::default(), warned: Mutex::default() })
    }

    /// Free bytes that are not reserved.
    pub(super) fn unreserved(&self, folder: &Dir) -> io::Result<UnreservedSpace> {
        let disk = unix::disk_id(folder)?;
        let reserved = self.reserved.lock().get(&disk).copied().unwrap_or(0);
        self.without_reserved(folder, reserved)
    }

    /// Reserves `bytes` on the disk of a folder.
    pub(super) fn reserve(
        self: &Arc<Self>,
        folder: &Dir,
        bytes: u64,
    ) -> Result<SpaceReservation, FilesError> {
        let disk = unix::disk_id(folder).map_err(FilesError::Disk)?;
        let mut reservation = SpaceReservation { free_space: self.clone(), disk, bytes: 0 };
        reservation.grow(folder, bytes)?;
        Ok(reservation)
    }

    /// Tells the log that something does not fit, but not for each attempt of a client.
    fn warn(&self, why: &FilesError) {
        let mut warned = self.warned.lock();
        if warned.is_none_or(|last| last.elapsed() >= WARNING_INTERVAL) {
            *warned = Some(Instant::now());
            warn!("an upload does not fit: {why}");
        }
    }

    fn without_reserved(&self, folder: &Dir, reserved: u64) -> io::Result<UnreservedSpace> {
        // `statfs` does not wait for the disk: the kernel knows the numbers.
        let free = unix::free_space(folder)?.saturating_sub(reserved);
        let kept_free = free.min(self.keep_free);
        Ok(UnreservedSpace { available: free - kept_free, kept_free })
    }
}

impl SpaceReservation {
    /// Reserves more, for a file of unknown size. The folder is on the same disk.
    pub(super) fn grow(&mut self, folder: &Dir, bytes: u64) -> Result<(), FilesError> {
        let mut all = self.free_space.reserved.lock();
        let reserved = all.get(&self.disk).copied().unwrap_or(0);
        let unreserved = self.free_space.without_reserved(folder, reserved);
        let UnreservedSpace { available, kept_free } = unreserved.map_err(FilesError::Disk)?;
        if available < bytes {
            let error = if available.saturating_add(kept_free) < bytes {
                FilesError::DiskFull
            } else {
                FilesError::KeptFree { keep_free: self.free_space.keep_free }
            };
            self.free_space.warn(&error);
            return Err(error);
        }
        self.bytes += bytes;
        all.insert(self.disk, reserved + bytes);
        Ok(())
    }

    /// Releases `bytes` that were written: from now on they are missing from the disk's free space.
    pub(super) fn release_written(&mut self, bytes: u64) {
        self.set(self.bytes.saturating_sub(bytes));
    }

    /// Sets the reservation to the bytes that are yet to be written, as after a partial file was
    /// truncated.
    pub(super) fn set(&mut self, bytes: u64) {
        let mut all = self.free_space.reserved.lock();
        let reserved = all.remove(&self.disk).unwrap_or(0);
        let reserved = reserved.saturating_sub(self.bytes).saturating_add(bytes);
        if reserved > 0 {
            all.insert(self.disk, reserved);
        }
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
        let refused = free_space.reserve(&dir, free / 3).unwrap_err();
        assert!(matches!(refused, FilesError::KeptFree { .. }), "{refused}");
        assert!(matches!(free_space.reserve(&dir, u64::MAX), Err(FilesError::DiskFull)));
        drop(first);
        let mut second = free_space.reserve(&dir, free / 3).unwrap();
        second.release_written(free / 3);
        assert!(free_space.unreserved(&dir).unwrap().available >= free / 3);
        drop(second);
        assert!(free_space.reserved.lock().is_empty());
    }
}
