//! Where the bytes of a file go that comes: into its part, as far as room and quota allow.

use std::io::{self, Write};
use std::sync::Arc;

use cap_std::fs::Dir;
use parking_lot::Mutex;

use super::{FilesError, StagedResources, gone, lock};

/// Where the bytes go.
#[derive(Debug)]
pub struct PartialFileSink {
    pub(super) folder: Dir,
    pub(super) sized: bool,
    pub(super) held: Arc<Mutex<StagedResources>>,
}

impl Write for PartialFileSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let held = &mut *lock(&self.held);
        let part = held.part.as_mut().ok_or_else(gone)?;
        let reservation = held.reservation.as_mut().ok_or_else(gone)?;
        let length = bytes.len() as u64;
        if !self.sized {
            reservation.grow(length).map_err(no_room)?;
            held.space.more(&self.folder, length).map_err(no_room)?;
        }
        reservation.record_part().map_err(no_room)?;
        let count = part.write(bytes)?;
        held.space.used(if self.sized { count as u64 } else { length });
        held.written += count as u64;
        reservation.holds(held.written);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        lock(&self.held).part.as_mut().map_or(Ok(()), Write::flush)
    }
}

/// The reason goes along: see [`FilesError::of_write`].
fn no_room(reason: impl Into<FilesError>) -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, reason.into())
}

impl FilesError {
    /// What a [`PartialFileSink`] said.
    #[must_use]
    pub fn of_write(error: io::Error) -> Self {
        if error.get_ref().is_some_and(|reason| reason.is::<Self>()) {
            return error
                .into_inner()
                .and_then(|reason| reason.downcast::<Self>().ok())
                .map_or(Self::NoSpace, |reason| *reason);
        }
        Self::of_change(error)
    }
}
