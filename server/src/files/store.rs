//! A file that comes: its place is looked at, its room reserved, its part opened; at its end it stands
//! under its name and is somebody's. Knows nothing of streams.

mod sink;

use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use cap_std::fs::Dir;
use quiver_protocol::reply::Space;
use quiver_protocol::{FilePath, Put};
use quiver_transport::content::{
    Finish, Hashed, PartFile, Replace, SMALL, part_content, part_length, store_new,
};
use quiver_transport::{Crew, Lane};

pub use self::sink::Sink;
use super::space::{Promise, Room};
use super::walk::place;
use super::{FilesError, blocking};
use crate::holds::{Hold, Holder, Holds};
use crate::ledger::{Claim, Ledger, Owner};
use crate::unix;

/// What every put has to fit into. Bytes.
#[derive(Debug, Clone, Copy)]
pub struct StoreLimits {
    /// One file; `u64::MAX` where only the disk is the limit.
    pub max_file_size: u64,
    /// What stays free on the disk.
    pub keep_free: u64,
}

/// What it takes to change anything.
#[derive(Debug)]
pub(super) struct Store {
    ledger: Arc<Ledger>,
    holds: Holds,
    room: Arc<Room>,
    max_file_size: u64,
}

/// A file that may come. Dropped, it leaves its part for the next attempt, if one was kept for it.
#[derive(Debug)]
pub struct Staged {
    root: Arc<Dir>,
    folder: Dir,
    put: Put,
    id: Option<u64>,
    /// Bytes in the part at the beginning.
    kept: u64,
    held: Arc<Mutex<Held>>,
    crew: Crew,
}

/// What a put has until its end; shared with a write that may outlive it.
#[derive(Debug)]
struct Held {
    /// `None` of a small file that comes whole, and of a transfer that is over.
    part: Option<PartFile>,
    written: u64,
    promise: Promise,
    claim: Option<Claim>,
    /// The last to go.
    _hold: Option<Hold>,
}

impl Store {
    pub(super) fn new(ledger: Ledger, limits: StoreLimits) -> Self {
        let StoreLimits { max_file_size, keep_free } = limits;
        let (ledger, room) = (Arc::new(ledger), Room::new(keep_free));
        Self { ledger, holds: Holds::default(), room, max_file_size }
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(super) fn space(&self, root: &Dir, owner: &Owner) -> Result<Space, FilesError> {
        let room = self.room.available(root).map_err(FilesError::Disk)?;
        let available = room.min(self.ledger.available(owner));
        Ok(Space { available, max_file_size: self.max_file_size })
    }

    pub(super) fn holder(&self, put: &Put, owner: &Owner) -> Option<Holder> {
        self.part_id(put, owner).and_then(|id| self.holds.holder(id))
    }

    /// What an owner's put to a path would go on with, to be read.
    pub(super) fn kept(
        &self,
        root: &Dir,
        path: &FilePath,
        owner: &Owner,
    ) -> Result<Option<File>, FilesError> {
        let (folder, _) = place(root, path)?;
        if !owner.is_somebody() {
            return Ok(None);
        }
        let id = self.ledger.part_id(owner, path.as_str());
        part_content(&folder, id).map_err(FilesError::Disk)
    }

    /// The number of the part of an owner's put, where that can be known again.
    fn part_id(&self, put: &Put, owner: &Owner) -> Option<u64> {
        let is_known = put.size.is_some() && owner.is_somebody();
        is_known.then(|| self.ledger.part_id(owner, put.path.as_str()))
    }

    /// The part of an owner's put that can be known again, or else a new one of nobody's. A small file that
    /// nothing is here of comes whole, and needs none.
    fn part(
        &self,
        folder: &Dir,
        put: &Put,
        owner: &Owner,
    ) -> Result<(Option<PartFile>, Option<u64>), FilesError> {
        let is_small = put.size.is_some_and(|size| size <= SMALL);
        let id = self.part_id(put, owner);
        if is_small {
            let kept = id.map_or(Ok(None), |id| part_length(folder, id));
            if kept.map_err(FilesError::of_change)?.is_none() {
                // A part would be refused here: nobody is to send what cannot be stored.
                unix::check_writable(folder).map_err(FilesError::of_change)?;
                return Ok((None, None));
            }
        }
        if let Some(id) = id {
            match PartFile::open(folder, id) {
                Ok(part) => return Ok((Some(part), Some(id))),
                // Another put has it, or something else has its name.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::AlreadyExists
                    ) => {}
                Err(error) => return Err(FilesError::of_change(error)),
            }
        }
        Ok((Some(nobodys(folder, put).map_err(FilesError::of_change)?), None))
    }
}

/// A part that is not known again.
fn nobodys(folder: &Dir, put: &Put) -> io::Result<PartFile> {
    PartFile::create(folder, RandomState::new().hash_one(put.path.as_str()))
}

pub(super) fn stage(
    root: Arc<Dir>,
    store: Arc<Store>,
    put: Put,
    owner: Owner,
    by: Option<Holder>,
    crew: Crew,
) -> Result<Staged, FilesError> {
    let size = put.size.unwrap_or(0);
    if size > store.max_file_size {
        return Err(FilesError::TooLarge { limit: store.max_file_size });
    }
    let (folder, name) = place(&root, &put.path)?;
    check_place(&folder, name, put.replace)?;
    let (mut part, id) = store.part(&folder, &put, &owner)?;
    let mut kept = part.as_ref().map_or(Ok(0), PartFile::length).map_err(FilesError::Disk)?;
    if let Some(part) = part.as_mut().filter(|_| kept > size) {
        part.go_on_at(0).map_err(FilesError::of_change)?;
        kept = 0;
    }
    let promise = store.room.promise(&folder, size - kept)?;
    let claim = store.ledger.claim(&owner, size, id)?;
    let hold = id.zip(by).map(|(id, by)| store.holds.take(id, by));
    let held = Held { part, written: kept, promise, claim: Some(claim), _hold: hold };
    Ok(Staged { root, folder, put, id, kept, held: Arc::new(Mutex::new(held)), crew })
}

/// Whether a file may get this name: nothing is there, or a file that may give way.
fn check_place(folder: &Dir, name: &str, replace: bool) -> Result<(), FilesError> {
    match folder.symlink_metadata(name) {
        Ok(found) if found.is_symlink() => Err(FilesError::Link),
        Ok(found) if found.is_file() && replace => Ok(()),
        Ok(_) => Err(FilesError::Exists),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(FilesError::of(error)),
    }
}

impl Staged {
    /// Where it will stand.
    #[must_use]
    pub fn path(&self) -> &FilePath {
        &self.put.path
    }

    /// Whether it comes whole, and fits into memory with many others.
    #[must_use]
    pub fn is_small(&self) -> Option<u64> {
        self.put.size.filter(|size| *size <= SMALL && self.kept == 0)
    }

    /// What an earlier attempt left, read and hashed: nothing, where there was none. Takes as long as
    /// reading it does, in `lane`.
    ///
    /// # Errors
    /// [`FilesError::Disk`].
    pub async fn kept(&self, lane: &Lane) -> Result<Hashed, FilesError> {
        if self.kept == 0 {
            return Ok(Hashed::nothing());
        }
        let content = lock(&self.held).part.as_ref().map(PartFile::content);
        let content = content.unwrap_or_else(|| Err(gone())).map_err(FilesError::Disk)?;
        let hashed =
            Hashed::of_in_lane(&content, self.kept, lane).await.map_err(FilesError::Disk)?;
        Ok(hashed.unwrap_or_default())
    }

    /// Where the bytes from `offset` on go; what the part has beyond is dropped.
    ///
    /// # Errors
    /// [`FilesError`].
    pub async fn sink(&self, offset: u64) -> Result<Sink, FilesError> {
        let folder = self.folder.try_clone().map_err(FilesError::Disk)?;
        let (held, size) = (self.held.clone(), self.put.size);
        blocking(move || {
            {
                let held = &mut *lock(&held);
                let part = held.part.as_mut().ok_or_else(gone).map_err(FilesError::Disk)?;
                part.go_on_at(offset).map_err(FilesError::of_change)?;
                held.written = offset;
                held.promise.set(size.map_or(0, |size| size - offset));
            }
            Ok(Sink { folder, sized: size.is_some(), held })
        })
        .await
    }

    /// Gives the file its name, flushed to disk. All of it has gone into the sink, which must be dropped,
    /// and was verified. `done` hears what came of it, also where nobody waits for that any more.
    ///
    /// # Errors
    /// [`FilesError`]; what stood under the name then still does, and the part is gone.
    pub async fn commit(
        self,
        size: u64,
        done: impl FnOnce(&Result<(), FilesError>) + Send + 'static,
    ) -> Result<(), FilesError> {
        blocking(move || {
            let result = self.finish(size, None);
            done(&result);
            result
        })
        .await
    }

    /// Stores a small file, all of whose bytes came and were verified, and gives it its name: the whole in one
    /// visit to the disk. `done` hears what came of it.
    ///
    /// # Errors
    /// [`FilesError`]; what stood under the name then still does, and the part is gone.
    pub async fn commit_small(
        self,
        bytes: Vec<u8>,
        done: impl FnOnce(&Result<(), FilesError>) + Send + 'static,
    ) -> Result<(), FilesError> {
        let crew = self.crew.clone();
        let stored = crew.work(move || {
            let result = match self.write(&bytes) {
                Ok(()) => self.finish(bytes.len() as u64, Some(&bytes)),
                Err(error) => {
                    // What cannot be removed now, the janitor will find.
                    let _ = self.remove();
                    Err(FilesError::of_change(error))
                }
            };
            done(&result);
            result
        });
        stored.await.unwrap_or_else(|ending| Err(FilesError::Disk(io::Error::other(ending))))
    }

    /// Into the part, where there is one.
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let held = &mut *lock(&self.held);
        if let Some(part) = held.part.as_mut() {
            part.go_on_at(0)?;
            part.write_all(bytes)?;
            held.promise.set(0);
        }
        Ok(())
    }

    /// `whole` is all of a file that has no part.
    fn finish(self, size: u64, whole: Option<&[u8]>) -> Result<(), FilesError> {
        let Self { root, folder, put, id, held, .. } = self;
        let (part, claim) = {
            let mut held = lock(&held);
            (held.part.take(), held.claim.take())
        };
        let Some(claim) = claim else { return Err(FilesError::Disk(gone())) };
        let name = put.path.file_name();
        let committed = check_still_there(&root, &folder, &put).and_then(|()| {
            let replace = if put.replace { Replace::Existing } else { Replace::Never };
            let modified = put.modified.map(|moment| SystemTime::from(moment.0));
            let finish = Finish { modified, executable: put.executable };
            let stored = match (part, whole) {
                (Some(part), _) => part.commit(name, replace, finish),
                (None, Some(bytes)) => store_whole(&folder, &put, bytes, replace, finish),
                (None, None) => Err(gone()),
            };
            stored.map_err(FilesError::of_change)
        });
        if let Err(error) = committed {
            // Whole, and yet of no use: what stands in its way would stand there the next time.
            if let Some(Ok(part)) = id.map(|id| PartFile::open(&folder, id)) {
                part.discard();
            }
            claim.without_part()?;
            return Err(error);
        }
        if let Err(error) = claim.settle(put.path.as_str(), size) {
            // The file stands, verified: that is what the client must know.
            tracing::error!("a stored file counts against no quota: {error}");
        }
        Ok(())
    }

    /// Removes what came.
    pub async fn discard(self) {
        // There is nobody to tell: what cannot be removed now, the janitor will find.
        let _ = blocking(move || self.remove()).await;
    }

    fn remove(self) -> Result<(), FilesError> {
        let (part, claim) = {
            let mut held = lock(&self.held);
            (held.part.take(), held.claim.take())
        };
        if let Some(part) = part {
            part.discard();
        }
        claim.map_or(Ok(()), |claim| claim.without_part().map_err(FilesError::from))
    }
}

/// Stores a small file for which there is no part.
fn store_whole(
    folder: &Dir,
    put: &Put,
    bytes: &[u8],
    replace: Replace,
    finish: Finish,
) -> io::Result<()> {
    let name = put.path.file_name();
    if replace == Replace::Never && store_new(folder, name, bytes, finish)? {
        return Ok(());
    }
    let mut part = nobodys(folder, put)?;
    part.write_all(bytes)?;
    part.commit(name, replace, finish)
}

/// Whether the folder is still where it was, with the name still free: somebody may have moved it.
fn check_still_there(root: &Dir, folder: &Dir, put: &Put) -> Result<(), FilesError> {
    let (now, name) = place(root, &put.path)?;
    if !unix::is_same_folder(&now, folder).map_err(FilesError::Disk)? {
        return Err(FilesError::NotFound);
    }
    check_place(folder, name, put.replace)
}

fn gone() -> io::Error {
    io::Error::other("the transfer is over")
}

/// What is behind this lock is whole after every statement, so a panic elsewhere spoils nothing.
fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
