//! Room on the disk: what is free, what must stay free, and what running puts were promised, so that two
//! of them cannot both take the last of it.

use std::io;
use std::sync::Arc;

use cap_std::fs::Dir;
use parking_lot::{Mutex, MutexGuard};

use super::FilesError;
use crate::unix;

/// The room of one disk.
#[derive(Debug)]
pub(super) struct Room {
    /// Bytes that stay free.
    keep_free: u64,
    /// Bytes that running puts have still to write.
    promised: Mutex<u64>,
}

/// Room for the rest of a file. Dropped, it is given back.
#[derive(Debug)]
pub(super) struct Promise {
    room: Arc<Room>,
    left: u64,
}

impl Room {
    pub(super) fn new(keep_free: u64) -> Arc<Self> {
        Arc::new(Self { keep_free, promised: Mutex::new(0) })
    }

    /// Bytes that nobody was promised, beside those that stay free.
    pub(super) fn available(&self, folder: &Dir) -> io::Result<u64> {
        let promised = *self.promised();
        self.free(folder, promised)
    }

    /// Promises as many bytes.
    pub(super) fn promise(
        self: &Arc<Self>,
        folder: &Dir,
        bytes: u64,
    ) -> Result<Promise, FilesError> {
        let mut promise = Promise { room: self.clone(), left: 0 };
        promise.more(folder, bytes)?;
        Ok(promise)
    }

    fn free(&self, folder: &Dir, promised: u64) -> io::Result<u64> {
        let free = unix::free_space(folder)?;
        Ok(free.saturating_sub(self.keep_free).saturating_sub(promised))
    }

    fn promised(&self) -> MutexGuard<'_, u64> {
        self.promised.lock()
    }
}

impl Promise {
    /// Promises more, for a file whose size nobody knew.
    pub(super) fn more(&mut self, folder: &Dir, bytes: u64) -> Result<(), FilesError> {
        let mut promised = self.room.promised();
        // Asking the disk takes no waiting: the kernel has the numbers.
        if self.room.free(folder, *promised).map_err(FilesError::Disk)? < bytes {
            return Err(FilesError::NoSpace);
        }
        *promised += bytes;
        self.left += bytes;
        Ok(())
    }

    /// So many bytes were written: the disk itself counts them from here on.
    pub(super) fn used(&mut self, bytes: u64) {
        self.set(self.left.saturating_sub(bytes));
    }

    /// So many bytes are still to come, after what was there before has given its room back.
    pub(super) fn set(&mut self, left: u64) {
        let mut promised = self.room.promised();
        *promised = promised.saturating_sub(self.left).saturating_add(left);
        self.left = left;
    }
}

impl Drop for Promise {
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
        let room = Room::new(free / 2);
        let first = room.promise(&dir, free / 3).unwrap();
        assert!(matches!(room.promise(&dir, free / 3), Err(FilesError::NoSpace)));
        assert!(matches!(room.promise(&dir, u64::MAX), Err(FilesError::NoSpace)));
        drop(first);
        let mut second = room.promise(&dir, free / 3).unwrap();
        second.used(free / 3);
        assert!(room.available(&dir).unwrap() >= free / 3);
        drop(second);
        assert_eq!(*room.promised(), 0);
    }
}
