//! Space on the disk: what is free, what must stay free, and what is reserved for running uploads, so that two of
//! them cannot both take the last of it.

use std::io;
use std::sync::Arc;

use cap_std::fs::Dir;
use parking_lot::{Mutex, MutexGuard};

use super::FilesError;
use crate::unix;

/// The space of one disk.
#[derive(Debug)]
pub(super) struct FreeSpace {
    /// Bytes that stay free.
    keep_free: u64,
    /// Bytes that running uploads have still to write.
    reserved: Mutex<u64>,
}

/// Space for the rest of a file. Dropped, it is given back.
#[derive(Debug)]
pub(super) struct SpaceReservation {
    room: Arc<FreeSpace>,
    left: u64,
}

impl FreeSpace {
    pub(super) fn new(keep_free: u64) -> Arc<Self> {
        Arc::new(Self { keep_free, reserved: Mutex::new(0) })
    }

    /// Bytes that are not reserved, beside those that stay free.
    pub(super) fn available(&self, folder: &Dir) -> io::Result<u64> {
        let reserved = *self.reserved();
        self.free(folder, reserved)
    }

    /// Reserves as many bytes.
    pub(super) fn reserve(
        self: &Arc<Self>,
        folder: &Dir,
        bytes: u64,
    ) -> Result<SpaceReservation, FilesError> {
        let mut reservation = SpaceReservation { room: self.clone(), left: 0 };
        reservation.more(folder, bytes)?;
        Ok(reservation)
    }

    fn free(&self, folder: &Dir, reserved: u64) -> io::Result<u64> {
        let free = unix::free_space(folder)?;
        Ok(free.saturating_sub(self.keep_free).saturating_sub(reserved))
    }

    fn reserved(&self) -> MutexGuard<'_, u64> {
        self.reserved.lock()
    }
}

impl SpaceReservation {
    /// Reserves more, for a file of unknown size.
    pub(super) fn more(&mut self, folder: &Dir, bytes: u64) -> Result<(), FilesError> {
        let mut reserved = self.room.reserved();
        // Asking the disk takes no waiting: the kernel has the numbers.
        if self.room.free(folder, *reserved).map_err(FilesError::Disk)? < bytes {
            return Err(FilesError::NoSpace);
        }
        *reserved += bytes;
        self.left += bytes;
        Ok(())
    }

    /// So many bytes were written: the disk itself counts them from here on.
    pub(super) fn used(&mut self, bytes: u64) {
        self.set(self.left.saturating_sub(bytes));
    }

    /// So many bytes are still to come, after what was there before has given its space back.
    pub(super) fn set(&mut self, left: u64) {
        let mut reserved = self.room.reserved();
        *reserved = reserved.saturating_sub(self.left).saturating_add(left);
        self.left = left;
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
    fn the_last_room_is_promised_once() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(folder.path(), cap_std::ambient_authority()).unwrap();
        let free = unix::free_space(&dir).unwrap();
        // Others use this disk too: about half of what is free is kept free, and a quarter asked for.
        let room = FreeSpace::new(free / 2);
        let first = room.reserve(&dir, free / 3).unwrap();
        assert!(matches!(room.reserve(&dir, free / 3), Err(FilesError::NoSpace)));
        assert!(matches!(room.reserve(&dir, u64::MAX), Err(FilesError::NoSpace)));
        drop(first);
        let mut second = room.reserve(&dir, free / 3).unwrap();
        second.used(free / 3);
        assert!(room.available(&dir).unwrap() >= free / 3);
        drop(second);
        assert_eq!(*room.reserved(), 0);
    }
}
