//! The part of a put: found again, temporary, or none. Knows whose it is, and nothing of what comes.

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

/// How many numbers are tried for a temporary part; random ones hardly ever collide.
const NUMBERS: usize = 8;

/// What a put does whose part another one has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfLocked {
    /// Nothing yet: its caller sees to it that the other one lets go.
    Wait,
    /// It starts over, with a temporary part.
    StartOver,
}

/// What a put writes to.
#[derive(Debug)]
pub(super) enum StagedPart {
    /// The part of this number, which the next attempt finds again.
    Resumable(PartialFile, u64),
    /// A part of this put alone.
    Temporary(PartialFile),
    /// None: a small file that nothing is here of comes whole.
    Unneeded,
    /// Another put has the part.
    Locked,
}

impl UploadStore {
    /// What a put writes to whose owner's part for the path has the number `path_id`.
    pub(super) fn part(
        &self,
        folder: &Dir,
        put: &PutRequest,
        path_id: Option<u64>,
        if_locked: IfLocked,
    ) -> Result<StagedPart, FilesError> {
        let is_small = put.size.is_some_and(|size| size <= SMALL);
        let id = path_id.filter(|_| put.size.is_some());
        if is_small {
            let kept = id.map_or(Ok(None), |id| partial_length(folder, id));
            if kept.map_err(FilesError::of_change)?.unwrap_or(0) == 0 {
                // A part would be refused here: nobody is to send what cannot be stored.
                unix::check_writable(folder).map_err(FilesError::of_change)?;
                return Ok(StagedPart::Unneeded);
            }
        }
        if let Some(id) = id {
            match PartialFile::open(folder, id) {
                Ok(part) => {
                    if is_usable(&part.content().map_err(FilesError::Disk)?, &put.path)? {
                        return Ok(StagedPart::Resumable(part, id));
                    }
                }
                // A small file is there sooner than another put lets go.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if if_locked == IfLocked::Wait && !is_small {
                        return Ok(StagedPart::Locked);
                    }
                }
                // Something else has its name, or nothing can be locked here.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::AlreadyExists | io::ErrorKind::Unsupported
                    ) => {}
                Err(error) => return Err(FilesError::of_change(error)),
            }
        }
        let part = temporary(folder, &self.quota_db).map_err(FilesError::of_change)?;
        Ok(StagedPart::Temporary(part))
    }

    /// Removes what an owner's earlier attempt left of a file that is stored now.
    pub(super) fn remove_waiting_part(&self, folder: &Dir, id: u64, owner: &Owner) {
        if !self.quota_db.is_waiting(id) {
            return;
        }
        // Where it is locked, a later put has it.
        if let Ok(part) = PartialFile::open(folder, id) {
            if let Err(error) = self.quota_db.removed_part(id, owner) {
                warn!("a partial file that was removed still counts: {error}");
            }
            part.discard();
        }
    }
}

/// Whether an open part can be gone on with: what others could change, or have under another name, is not.
pub(super) fn is_usable(part: &File, path: &FilePath) -> Result<bool, FilesError> {
    let is_usable = unix::is_mine_alone(part).map_err(FilesError::Disk)?;
    if !is_usable {
        let path = display_safe(path.as_str());
        warn!("the partial file of {path} is not used: others own it, name it or may write to it");
    }
    Ok(is_usable)
}

/// A part that no later put goes on with.
pub(super) fn temporary(folder: &Dir, quota_db: &QuotaDb) -> io::Result<PartialFile> {
    let mut created = PartialFile::create(folder, quota_db.temporary_part_id());
    for _ in 1..NUMBERS {
        match created {
            // Or the cleanup took it for one that was left over.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::AlreadyExists | io::ErrorKind::WouldBlock
                ) => {}
            created => return created,
        }
        created = PartialFile::create(folder, quota_db.temporary_part_id());
    }
    created
}
