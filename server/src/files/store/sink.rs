//! Writes the content of an upload into its partial file, within its space and quota.

use std::io::{self, Write};
use std::sync::Arc;

use cap_std::fs::Dir;
use parking_lot::Mutex;

use super::{FilesError, StagedResources, lock, transfer_ended};

/// The writer of an upload's content.
#[derive(Debug)]
pub struct PartialFileSink {
    pub(super) folder: Dir,
    pub(super) is_size_known: bool,
    pub(super) resources: Arc<Mutex<StagedResources>>,
}

impl Write for PartialFileSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let resources = &mut *lock(&self.resources);
        let partial_file = resources.partial_file.as_mut().ok_or_else(transfer_ended)?;
        let quota = resources.quota.as_mut().ok_or_else(transfer_ended)?;
        let length = bytes.len() as u64;
        if !self.is_size_known {
            quota.grow(length).map_err(out_of_space)?;
            resources.space.grow(&self.folder, length).map_err(out_of_space)?;
        }
        quota.record_partial_file().map_err(out_of_space)?;
        let count = partial_file.write(bytes)?;
        resources.space.release_written(if self.is_size_known { count as u64 } else { length });
        resources.written += count as u64;
        quota.set_partial_length(resources.written);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        lock(&self.resources).partial_file.as_mut().map_or(Ok(()), Write::flush)
    }
}

/// An error that contains its reason: [`FilesError::from_sink`] takes it out again.
fn out_of_space(reason: impl Into<FilesError>) -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, reason.into())
}

impl FilesError {
    /// The error of a [`PartialFileSink`].
    #[must_use]
    pub fn from_sink(error: io::Error) -> Self {
        if error.get_ref().is_some_and(|reason| reason.is::<Self>()) {
            return error
                .into_inner()
                .and_then(|reason| reason.downcast::<Self>().ok())
                .map_or(Self::DiskFull, |reason| *reason);
        }
        Self::from_change(error)
    }
}
