//! A partial file that the next attempt can resume, locked across the attempts of one run. Knows
//! the disk, but no streams.

use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};
use parking_lot::{Mutex, MutexGuard};
use quiver_protocol::ContentHash;

use crate::file_system::{UnsetAttributes, sync_folder};
use crate::{FileAttributes, HashedPrefix, PartialFile, ReplacePolicy, blocking, unix};

/// How many random names are tried for a partial file; collisions are very rare.
const NAME_ATTEMPTS: usize = 8;

/// Where a file is stored.
#[derive(Debug, Clone)]
pub struct StorageTarget {
    /// The folder.
    pub folder: Arc<Dir>,
    /// The file's name in the folder.
    pub name: String,
    /// The path of the file from the root, for messages.
    pub path: PathBuf,
    /// What to do if a file with this name exists.
    pub replace: ReplacePolicy,
}

/// A partial file, locked until this is dropped, committed or discarded.
#[derive(Debug)]
pub struct ResumableFile {
    state: Arc<Mutex<PartialState>>,
    is_resumable: bool,
}

#[derive(Debug)]
struct PartialState {
    /// `None` after it was committed or discarded.
    file: Option<PartialFile>,
    /// The sink with this generation may write: the last block of an abandoned attempt may still be
    /// in progress.
    generation: u64,
    stored: StoredBytes,
    /// The hash state of the whole content, if it is known.
    hashed: Option<HashedPrefix>,
}

/// Where an attempt writes to. Fails once the next attempt has started.
#[derive(Debug)]
pub(crate) struct PartialSink {
    state: Arc<Mutex<PartialState>>,
    generation: u64,
}

/// Number of bytes of a file that are on disk, shared between writer and readers. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct StoredBytes(Arc<AtomicU64>);

impl StoredBytes {
    /// Sets the number of bytes.
    pub fn set(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    /// Adds bytes.
    pub fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The number of bytes.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl ResumableFile {
    /// Opens the partial file with this `id` in the folder of its target, with the content of an
    /// earlier attempt, or empty if `discard_content`. If another process has locked it, or other users could write
    /// to it, creates an empty partial file under a random name instead, which is not resumable.
    ///
    /// # Errors
    /// An I/O error.
    pub async fn open(target: &StorageTarget, id: u64, discard_content: bool) -> io::Result<Self> {
        let StorageTarget { folder, name, replace, .. } = target.clone();
        blocking::run_io(move || {
            let (mut file, is_resumable) = match PartialFile::open(&folder, id) {
                Ok(file) if unix::is_exclusively_owned(&file.content()?)? => (file, true),
                Ok(_) => (create_random(&folder)?, false),
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock
                            | io::ErrorKind::AlreadyExists
                            | io::ErrorKind::Unsupported
                    ) =>
                {
                    (create_random(&folder)?, false)
                }
                Err(error) => return Err(error),
            };
            if replace == ReplacePolicy::Existing {
                file.restrict_to(&name)?;
            }
            if discard_content {
                file.truncate_to(0)?;
            }
            let stored = StoredBytes::default();
            stored.set(file.length()?);
            let state = PartialState { file: Some(file), generation: 0, stored, hashed: None };
            Ok(Self { state: Arc::new(Mutex::new(state)), is_resumable })
        })
        .await
    }

    /// Whether the next attempt will find it.
    #[must_use]
    pub fn is_resumable(&self) -> bool {
        self.is_resumable
    }

    /// The number of bytes in it, which can be read at any time.
    #[must_use]
    pub fn stored_bytes(&self) -> StoredBytes {
        lock(&self.state).stored.clone()
    }

    /// The number of bytes in it, and a handle for reading. Ends all writing by earlier attempts.
    ///
    /// # Errors
    /// An I/O error.
    pub async fn content(&self) -> io::Result<(u64, File)> {
        let state = self.state.clone();
        blocking::run_io(move || {
            let mut state = lock(&state);
            state.generation += 1;
            let file = state.file.as_ref().ok_or_else(missing)?;
            Ok((file.length()?, file.content()?))
        })
        .await
    }

    /// Keeps the hash state of its content, unless that has another length.
    pub fn keep_hash(&self, hashed: &HashedPrefix) {
        let mut state = lock(&self.state);
        state.hashed = (state.stored.get() == hashed.length()).then(|| hashed.clone());
    }

    /// The hash state of its content, so that the content need not be read: kept by
    /// [`keep_hash`](Self::keep_hash), or by an attempt that was moved or failed. `None` if it is
    /// unknown, as after an attempt that was dropped, or if the file no longer has that length.
    /// Ends all writing by earlier attempts.
    ///
    /// # Errors
    /// An I/O error.
    pub async fn kept_hash(&self) -> io::Result<Option<HashedPrefix>> {
        let state = self.state.clone();
        blocking::run_io(move || {
            let mut state = lock(&state);
            state.generation += 1;
            let length = state.file.as_ref().ok_or_else(missing)?.length()?;
            Ok(state.hashed.clone().filter(|hashed| hashed.length() == length))
        })
        .await
    }

    /// Removes it.
    pub async fn discard(self) {
        let state = self.state;
        // It is no longer used, even if removing it failed.
        let _ =
            blocking::run_io(move || Ok(lock(&state).file.take().map(PartialFile::discard))).await;
    }

    /// Truncates it to `offset` bytes, and returns the sink for the content after them.
    pub(crate) async fn sink(&self, offset: u64) -> io::Result<PartialSink> {
        let state = self.state.clone();
        blocking::run_io(move || {
            let mut locked = lock(&state);
            locked.generation += 1;
            let generation = locked.generation;
            locked.hashed = None;
            locked.file.as_mut().ok_or_else(missing)?.truncate_to(offset)?;
            locked.stored.set(offset);
            drop(locked);
            Ok(PartialSink { state, generation })
        })
        .await
    }

    /// Commits it under its final name, and returns the attributes that could not be set. `blake3`
    /// is the hash of the whole file: if another run has already stored the same content under that
    /// name, the partial file is removed. If the commit fails, the partial file is kept on
    /// disk, but this no longer holds it.
    pub(crate) async fn commit(
        &self,
        target: &StorageTarget,
        attributes: FileAttributes,
        blake3: ContentHash,
    ) -> io::Result<UnsetAttributes> {
        let (state, target) = (self.state.clone(), target.clone());
        blocking::run_io(move || {
            let StorageTarget { folder, name, replace, .. } = &target;
            let mut file = lock(&state).file.take().ok_or_else(missing)?;
            match file.try_commit(name, *replace, attributes) {
                Err(error)
                    if error.kind() == io::ErrorKind::AlreadyExists
                        && is_stored(folder, name, file.length()?, blake3)? =>
                {
                    file.discard();
                    Ok(UnsetAttributes::default())
                }
                committed => committed,
            }
        })
        .await
    }
}

/// Whether the file of this name has this content; then its name is flushed to disk. Blocks for as
/// long as reading the file takes.
///
/// # Errors
/// An I/O error while flushing; a file that cannot be read counts as different.
pub fn is_stored(folder: &Dir, name: &str, size: u64, blake3: ContentHash) -> io::Result<bool> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(unix::SAFE_OPEN);
    let Ok(file) = folder.open_with(name, &options) else { return Ok(false) };
    if !file.metadata().is_ok_and(|found| found.is_file() && found.len() == size) {
        return Ok(false);
    }
    let mut hasher = blake3::Hasher::new();
    if hasher.update_reader(&file).is_err() || ContentHash(*hasher.finalize().as_bytes()) != blake3
    {
        return Ok(false);
    }
    // The run that stored it may have ended before it flushed the folder.
    sync_folder(folder)?;
    Ok(true)
}

impl Write for PartialSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = lock(&self.state);
        if state.generation != self.generation {
            return Err(io::Error::other("another attempt has started"));
        }
        state.hashed = None;
        let result = state.file.as_mut().ok_or_else(missing)?.write(bytes);
        if let Ok(count) = &result {
            state.stored.add(*count as u64);
        }
        result
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lock(state: &Mutex<PartialState>) -> MutexGuard<'_, PartialState> {
    state.lock()
}

fn missing() -> io::Error {
    io::Error::other("the partial file is gone")
}

fn create_random(folder: &Dir) -> io::Result<PartialFile> {
    let random = RandomState::new();
    for attempt in 1..NAME_ATTEMPTS {
        match PartialFile::create(folder, random.hash_one(attempt)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other,
        }
    }
    PartialFile::create(folder, random.hash_one(0))
}

#[cfg(test)]
mod tests;
