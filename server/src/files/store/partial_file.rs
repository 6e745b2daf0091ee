//! Opens the partial file of an upload: the owner's resumable one, a temporary one, or none. Writes
//! no content.

use std::fs::File;
use std::io;

use cap_std::fs::Dir;
use quiver_protocol::text::display_safe;
use quiver_protocol::{FilePath, PutRequest};
use quiver_transfer::{PartialFile, SMALL, partial_length};
use tracing::warn;

use super::{FilesError, UploadStore};
use crate::quota_db::{Owner, QuotaDb};
use crate::unix;

/// How many random ids are tried for a temporary partial file; they hardly ever collide.
const TEMPORARY_ID_ATTEMPTS: usize = 8;

/// What an upload does if another one has its partial file locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockedPolicy {
    /// It waits: the caller makes the other upload release the partial file.
    Wait,
    /// It starts over, with a temporary partial file.
    StartOver,
}

/// The partial file that an upload writes to.
#[derive(Debug)]
pub(super) enum StagedPartialFile {
    /// The partial file of this id, which the next attempt can resume.
    Resumable(PartialFile, u64),
    /// A partial file of this upload alone.
    Temporary(PartialFile),
    /// None: a small file without a partial file is written in one step.
    NotNeeded,
    /// Another upload has the partial file locked.
    Locked,
}

impl UploadStore {
    /// Opens the partial file for an upload. `path_id` is the id of its owner's resumable one for
    /// the path.
    pub(super) fn open_partial_file(
        &self,
        folder: &Dir,
        request: &PutRequest,
        path_id: Option<u64>,
        locked_policy: LockedPolicy,
    ) -> Result<StagedPartialFile, FilesError> {
        let is_small = request.size.is_some_and(|size| size <= SMALL);
        let id = path_id.filter(|_| request.size.is_some());
        if is_small {
            let length = id.map_or(Ok(None), |id| partial_length(folder, id));
            if length.map_err(FilesError::from_change)?.unwrap_or(0) == 0 {
                // No partial file is created, which would fail in such a folder: the client must
                // not send content that cannot be stored.
                unix::check_writable(folder).map_err(FilesError::from_change)?;
                return Ok(StagedPartialFile::NotNeeded);
            }
        }
        if let Some(id) = id {
            match PartialFile::open(folder, id) {
                Ok(partial_file) => {
                    let content = partial_file.content().map_err(FilesError::Disk)?;
                    if is_usable(&content, &request.path)? {
                        return Ok(StagedPartialFile::Resumable(partial_file, id));
                    }
                }
                // A small file does not wait: sending it again is faster than waiting for the other
                // upload.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if locked_policy == LockedPolicy::Wait && !is_small {
                        return Ok(StagedPartialFile::Locked);
                    }
                }
                // Something else has the name, or this system has no locks.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::AlreadyExists | io::ErrorKind::Unsupported
                    ) => {}
                Err(error) => return Err(FilesError::from_change(error)),
            }
        }
        let partial_file =
            create_temporary(folder, &self.quota_db).map_err(FilesError::from_change)?;
        Ok(StagedPartialFile::Temporary(partial_file))
    }

    /// Removes the partial file that an owner's earlier attempt left, if no upload has it: the file
    /// is stored now.
    pub(super) fn remove_resumable(&self, folder: &Dir, id: u64, owner: &Owner) {
        if !self.quota_db.is_resumable(id) {
            return;
        }
        // If it is locked, a later upload has it.
        if let Ok(partial_file) = PartialFile::open(folder, id) {
            if let Err(error) = self.quota_db.remove_partial_file(id, owner) {
                warn!("a partial file that was removed still counts: {error}");
            }
            partial_file.discard();
        }
    }
}

/// Whether an open partial file can be resumed: not if another user owns it or may write to it, nor
/// if it has a second name.
pub(super) fn is_usable(content: &File, path: &FilePath) -> Result<bool, FilesError> {
    let is_usable = unix::is_exclusively_owned(content).map_err(FilesError::Disk)?;
    if !is_usable {
        let path = display_safe(path.as_str());
        warn!("the partial file of {path} is not used: others own it, name it or may write to it");
    }
    Ok(is_usable)
}

/// Creates a partial file that no later upload resumes.
pub(super) fn create_temporary(folder: &Dir, quota_db: &QuotaDb) -> io::Result<PartialFile> {
    let mut created = PartialFile::create(folder, quota_db.new_temporary_id());
    for _ in 1..TEMPORARY_ID_ATTEMPTS {
        match created {
            // The id is in use, or the cleanup locked the new file because it took it for an
            // orphaned one.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::AlreadyExists | io::ErrorKind::WouldBlock
                ) => {}
            created => return created,
        }
        created = PartialFile::create(folder, quota_db.new_temporary_id());
    }
    created
}
