//! The part of a file that is here so far: found again by the next attempt, held across those of one
//! run. Knows the disk, no streams.

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
use crate::{FileAttributes, PartialFile, ReplacePolicy, blocking, unix};

/// How many names are tried for a part; random ones hardly ever collide.
const PART_NAMES: usize = 8;

/// Where a file is stored.
#[derive(Debug, Clone)]
pub struct StorageTarget {
    /// The folder.
    pub folder: Arc<Dir>,
    /// Its name there: one part of a path.
    pub name: String,
    /// Both, from the root: what the file is known by.
    pub path: PathBuf,
    /// What happens to a file that has this name.
    pub replace: ReplacePolicy,
}

/// A part, held and locked until this is dropped, committed or discarded.
#[derive(Debug)]
pub struct ResumableFile {
    slot: Arc<Mutex<PartialSlot>>,
    is_kept: bool,
}

#[derive(Debug)]
struct PartialSlot {
    /// `None` once it has its final name, or none any more.
    file: Option<PartialFile>,
    /// Which of the sinks may write: a block of an attempt that was given up may still be under way.
    turn: u64,
    kept: StoredBytes,
}

/// Where an attempt writes to. Useless once the next one has begun.
#[derive(Debug)]
pub(crate) struct PartialSink {
    slot: Arc<Mutex<PartialSlot>>,
    turn: u64,
}

/// Bytes of a file that are on a disk, for who counts them and who asks. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct StoredBytes(Arc<AtomicU64>);

impl StoredBytes {
    /// So many they are now.
    pub fn set(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    /// So many more.
    pub fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    /// How many they are.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl ResumableFile {
    /// The part that `id` stands for in a folder, with what an earlier attempt has left in it; `anew`
    /// forgets that. Where another process has it, or somebody else could write to it, an empty one
    /// that nobody finds again.
    ///
    /// # Errors
    /// What the system says.
    pub async fn open(folder: Arc<Dir>, id: u64, anew: bool) -> io::Result<Self> {
        blocking::run_io(move || {
            let (mut file, is_kept) = match PartialFile::open(&folder, id) {
                Ok(file) if unix::is_mine_alone(&file.content()?)? => (file, true),
                Ok(_) => (create(&folder)?, false),
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock
                            | io::ErrorKind::AlreadyExists
                            | io::ErrorKind::Unsupported
                    ) =>
                {
                    (create(&folder)?, false)
                }
                Err(error) => return Err(error),
            };
            if anew {
                file.truncate_to(0)?;
            }
            let kept = StoredBytes::default();
            kept.set(file.length()?);
            let slot = PartialSlot { file: Some(file), turn: 0, kept };
            Ok(Self { slot: Arc::new(Mutex::new(slot)), is_kept })
        })
        .await
    }

    /// Whether the next attempt will find it.
    #[must_use]
    pub fn is_resumable(&self) -> bool {
        self.is_kept
    }

    /// How many bytes are in it, at any time.
    #[must_use]
    pub fn stored_bytes(&self) -> StoredBytes {
        lock(&self.slot).kept.clone()
    }

    /// How many bytes are in it, and a handle to read them with. No attempt that was given up writes
    /// any more then.
    ///
    /// # Errors
    /// What the system says.
    pub async fn content(&self) -> io::Result<(u64, File)> {
        let slot = self.slot.clone();
        blocking::run_io(move || {
            let mut slot = lock(&slot);
            slot.turn += 1;
            let file = slot.file.as_ref().ok_or_else(gone)?;
            Ok((file.length()?, file.content()?))
        })
        .await
    }

    /// Removes it.
    pub async fn discard(self) {
        let slot = self.slot;
        // It has no name then whatever is said of it.
        let _ =
            blocking::run_io(move || Ok(lock(&slot).file.take().map(PartialFile::discard))).await;
    }

    /// Drops what is in it beyond `offset`; what is written goes there.
    pub(crate) async fn sink(&self, offset: u64) -> io::Result<PartialSink> {
        let slot = self.slot.clone();
        blocking::run_io(move || {
            let mut held = lock(&slot);
            held.turn += 1;
            let turn = held.turn;
            held.file.as_mut().ok_or_else(gone)?.truncate_to(offset)?;
            held.kept.set(offset);
            drop(held);
            Ok(PartialSink { slot, turn })
        })
        .await
    }

    /// Gives it its final name; the attributes that could not be set. `blake3` is the hash of all of it: where another
    /// run was first, and has stored the same content under that name, this is removed. Where it fails, the
    /// partial file stays as it is, and this has it no more.
    pub(crate) async fn commit(
        &self,
        target: &StorageTarget,
        finish: FileAttributes,
        blake3: ContentHash,
    ) -> io::Result<UnsetAttributes> {
        let (slot, target) = (self.slot.clone(), target.clone());
        blocking::run_io(move || {
            let StorageTarget { folder, name, replace, .. } = &target;
            let mut file = lock(&slot).file.take().ok_or_else(gone)?;
            match file.try_commit(name, *replace, finish) {
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

/// Whether a name stands for a file with this content; its name is durable then. Blocks for as long as reading it
/// takes.
///
/// # Errors
/// What the system says; whatever cannot be read is another content.
pub fn is_stored(folder: &Dir, name: &str, size: u64, blake3: ContentHash) -> io::Result<bool> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(unix::NO_SURPRISES);
    let Ok(file) = folder.open_with(name, &options) else { return Ok(false) };
    if !file.metadata().is_ok_and(|found| found.is_file() && found.len() == size) {
        return Ok(false);
    }
    let mut hasher = blake3::Hasher::new();
    if hasher.update_reader(&file).is_err() || ContentHash(*hasher.finalize().as_bytes()) != blake3
    {
        return Ok(false);
    }
    // The run that stored it may have come no further than to the name.
    sync_folder(folder)?;
    Ok(true)
}

impl Write for PartialSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut slot = lock(&self.slot);
        if slot.turn != self.turn {
            return Err(io::Error::other("another attempt has begun"));
        }
        let result = slot.file.as_mut().ok_or_else(gone)?.write(bytes);
        if let Ok(count) = &result {
            slot.kept.add(*count as u64);
        }
        result
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lock(slot: &Mutex<PartialSlot>) -> MutexGuard<'_, PartialSlot> {
    slot.lock()
}

fn gone() -> io::Error {
    io::Error::other("the part is gone")
}

fn create(folder: &Dir) -> io::Result<PartialFile> {
    let random = RandomState::new();
    for attempt in 1..PART_NAMES {
        match PartialFile::create(folder, random.hash_one(attempt)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other,
        }
    }
    PartialFile::create(folder, random.hash_one(0))
}
