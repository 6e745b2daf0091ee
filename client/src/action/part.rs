//! The part of a file that is here so far: found again by the next attempt, held across those of one
//! run. Knows the disk, nothing of servers or of what is said to people.

use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write};
use std::sync::Arc;

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};
use parking_lot::{Mutex, MutexGuard};
use quiver_protocol::ContentHash;
use quiver_transport::content::{Finish, PartFile};
use quiver_transport::file_system::{Unset, sync_folder};
use tokio::task;

use super::Target;
use crate::journal::Kept;
use crate::unix;

/// How many names are tried for a part; random ones hardly ever collide.
const PART_NAMES: usize = 8;

/// A part, held and locked until this is dropped, committed or discarded.
#[derive(Debug)]
pub struct KeptPart {
    slot: Arc<Mutex<Slot>>,
    is_kept: bool,
}

#[derive(Debug)]
struct Slot {
    /// `None` once it has its final name, or none any more.
    file: Option<PartFile>,
    /// Which of the sinks may write: a block of an attempt that was given up may still be under way.
    turn: u64,
    kept: Kept,
}

/// Where an attempt writes to. Useless once the next one has begun.
#[derive(Debug)]
pub(super) struct Sink {
    slot: Arc<Mutex<Slot>>,
    turn: u64,
}

impl KeptPart {
    /// The part that `id` stands for in a folder, with what an earlier attempt has left in it; `anew`
    /// forgets that. Where another process has it, or somebody else could write to it, an empty one
    /// that nobody finds again.
    ///
    /// # Errors
    /// What the system says.
    pub async fn open(folder: Arc<Dir>, id: u64, anew: bool) -> io::Result<Self> {
        on_disk(move || {
            let (mut file, is_kept) = match PartFile::open(&folder, id) {
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
                file.go_on_at(0)?;
            }
            let kept = Kept::default();
            kept.set(file.length()?);
            let slot = Slot { file: Some(file), turn: 0, kept };
            Ok(Self { slot: Arc::new(Mutex::new(slot)), is_kept })
        })
        .await
    }

    /// Whether the next attempt will find it.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// How many bytes are in it, at any time.
    #[must_use]
    pub fn kept(&self) -> Kept {
        lock(&self.slot).kept.clone()
    }

    /// How many bytes are in it, and a handle to read them with. No attempt that was given up writes
    /// any more then.
    ///
    /// # Errors
    /// What the system says.
    pub async fn content(&self) -> io::Result<(u64, File)> {
        let slot = self.slot.clone();
        on_disk(move || {
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
        let _ = on_disk(move || Ok(lock(&slot).file.take().map(PartFile::discard))).await;
    }

    /// Drops what is in it beyond `offset`; what is written goes there.
    pub(super) async fn sink(&self, offset: u64) -> io::Result<Sink> {
        let slot = self.slot.clone();
        on_disk(move || {
            let mut held = lock(&slot);
            held.turn += 1;
            let turn = held.turn;
            held.file.as_mut().ok_or_else(gone)?.go_on_at(offset)?;
            held.kept.set(offset);
            drop(held);
            Ok(Sink { slot, turn })
        })
        .await
    }

    /// Gives it its final name; the attributes that could not be set. `blake3` is the hash of all of it: where another
    /// run was first, and has stored the same content under that name, this is removed. Where it fails, the
    /// partial file stays as it is, and this has it no more.
    pub(super) async fn commit(
        &self,
        target: &Target,
        finish: Finish,
        blake3: ContentHash,
    ) -> io::Result<Unset> {
        let (slot, target) = (self.slot.clone(), target.clone());
        on_disk(move || {
            let Target { folder, name, replace, .. } = &target;
            let mut file = lock(&slot).file.take().ok_or_else(gone)?;
            match file.try_commit(name, *replace, finish) {
                Err(error)
                    if error.kind() == io::ErrorKind::AlreadyExists
                        && is_stored(folder, name, file.length()?, blake3)? =>
                {
                    file.discard();
                    Ok(Unset::default())
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
pub(crate) fn is_stored(
    folder: &Dir,
    name: &str,
    size: u64,
    blake3: ContentHash,
) -> io::Result<bool> {
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

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut slot = lock(&self.slot);
        if slot.turn != self.turn {
            return Err(io::Error::other("another attempt has begun"));
        }
        let result = slot.file.as_mut().ok_or_else(gone)?.write(bytes);
        if let Ok(count) = &result {
            slot.kept.grow(*count as u64);
        }
        result
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock()
}

fn gone() -> io::Error {
    io::Error::other("the part is gone")
}

fn create(folder: &Dir) -> io::Result<PartFile> {
    let random = RandomState::new();
    for attempt in 1..PART_NAMES {
        match PartFile::create(folder, random.hash_one(attempt)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other,
        }
    }
    PartFile::create(folder, random.hash_one(0))
}

/// Disks block; the thread that drives QUIC must not.
async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is going down.
        Err(error) => Err(io::Error::other(error)),
    }
}
