//! Sources of content: a file whose length is fixed when it is opened, memory, a pipe, or a file
//! whose file system does not report its length. Knows nothing of streams.
//!
//! Procfs, sysfs and some FUSE file systems report a wrong size, of 0 or of a page.

mod identity;
mod read;
mod unsized_file;

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::thread;
use std::time::{Duration, SystemTime};

use quiver_protocol::ContentPrefix;

pub(crate) use self::identity::FileIdentity;
use self::read::{read_full, read_full_at};
use self::unsized_file::UnsizedFile;
use crate::background::Lane;
use crate::send_error::SendError;
use crate::unix;
use crate::{HashedPrefix, SMALL};

/// Interval and maximum number of further checks of a file with a new time and its old size.
const RECHECK_INTERVAL: Duration = Duration::from_millis(1);
const MAX_RECHECKS: usize = 50;

/// The content of one file or pipe.
pub struct Source(pub(crate) ContentSource);

pub(crate) enum ContentSource {
    /// A file, with the size it had when it was opened.
    File(OpenFile),
    /// A small file that was read completely.
    Memory(LoadedContent),
    /// A file of unknown length, read to its end.
    Unsized(UnsizedFile),
    /// A pipe, read to its end.
    Pipe(Box<dyn Read + Send + Sync>),
}

#[derive(Debug)]
pub(crate) struct OpenFile {
    file: File,
    pub(crate) size: u64,
    executable: bool,
    modified: SystemTime,
    stamp: ContentStamp,
    /// Its identity when it was opened; `None` for a temporary file.
    identity: Option<FileIdentity>,
}

pub(crate) struct LoadedContent {
    bytes: Vec<u8>,
    executable: bool,
    modified: SystemTime,
}

/// Distinguishes an appended file from a rewritten one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ContentStamp {
    size: u64,
    modified: SystemTime,
}

impl Source {
    /// Takes an open file and fixes its length. Reads a file of size 0 once: it may have content.
    ///
    /// # Errors
    /// An I/O error while reading its size and time.
    pub fn new(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Self::with_metadata(file, &metadata)
    }

    /// Like [`new`](Self::new), with metadata that was just read.
    ///
    /// # Errors
    /// An I/O error while reading its time.
    pub fn with_metadata(file: File, metadata: &Metadata) -> io::Result<Self> {
        let (stamp, executable) =
            (ContentStamp::from_metadata(metadata)?, unix::is_executable(metadata));
        let (modified, identity) = (stamp.modified, Some(FileIdentity::from_metadata(metadata)));
        // No blocks: an empty file, a hole, or a file system that reports any size.
        let is_doubtful = stamp.size > SMALL && unix::has_no_blocks(metadata);
        if is_doubtful && read_full_at(&file, &mut [0], stamp.size - 1)? == 0 {
            return Self::without_size(file);
        }
        if stamp.size == 0 {
            let unsized_file = UnsizedFile::open(file, executable, modified)?;
            if !unsized_file.buffered.is_empty() {
                return Ok(Self(ContentSource::Unsized(unsized_file)));
            }
            let file = OpenFile {
                size: 0,
                executable,
                modified,
                file: unsized_file.file,
                stamp,
                identity,
            };
            return Ok(Self(ContentSource::File(file)));
        }
        Ok(Self(ContentSource::File(OpenFile {
            size: stamp.size,
            executable,
            modified,
            file,
            stamp,
            identity,
        })))
    }

    /// Takes an open file of [wrong](SendError::WrongSize) size, which is read to its end.
    ///
    /// # Errors
    /// An I/O error.
    pub fn without_size(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let (executable, modified) = (unix::is_executable(&metadata), metadata.modified()?);
        Ok(Self(ContentSource::Unsized(UnsizedFile::open(file, executable, modified)?)))
    }

    /// Reads a [small](SMALL) file, so that sending it needs no other thread. A file of unknown
    /// length is small if its content is. Blocks.
    ///
    /// # Errors
    /// An I/O error.
    pub fn load(self) -> io::Result<Self> {
        let mut file = match self.0 {
            ContentSource::File(file) if file.size <= SMALL => file,
            ContentSource::Unsized(file) => return file.load().map(Self),
            other => return Ok(Self(other)),
        };
        let mut bytes = vec![0; usize::try_from(file.size).unwrap_or(0)];
        let length = read_full_at(&file.file, &mut bytes, 0)?;
        let is_whole = if length < bytes.len() {
            // Either the reported size is wrong, or the file was just truncated.
            bytes.truncate(length);
            file.is_unchanged()?
        } else {
            match file.check_unchanged() {
                Ok(()) => true,
                Err(SendError::Disk(error)) => return Err(error),
                Err(_) => false,
            }
        };
        if !is_whole {
            // The change is reported when the file is sent.
            return Ok(Self(ContentSource::File(file)));
        }
        let OpenFile { executable, modified, .. } = file;
        Ok(Self(ContentSource::Memory(LoadedContent { bytes, executable, modified })))
    }

    /// Copies a file of unknown length into `target`, an empty unnamed file, so that its length is
    /// known. `None` if it has more than `limit` bytes. Returns other sources unchanged. Blocks.
    ///
    /// # Errors
    /// An I/O error.
    pub fn copy_to_file(self, target: File, limit: u64) -> io::Result<Option<Self>> {
        let mut file = match self.0 {
            ContentSource::Unsized(file) => file,
            other => return Ok(Some(Self(other))),
        };
        let (executable, modified) = (file.executable, file.modified);
        let size = io::copy(&mut (&mut file).take(limit.saturating_add(1)), &mut &target)?;
        if size > limit {
            return Ok(None);
        }
        let stamp = ContentStamp::from_metadata(&target.metadata()?)?;
        Ok(Some(Self(ContentSource::File(OpenFile {
            size,
            executable,
            modified,
            file: target,
            stamp,
            identity: None,
        }))))
    }

    /// Hashes all content; `None` if the file has shrunk, or for a pipe.
    ///
    /// # Errors
    /// An I/O error.
    pub async fn hash_all(&self) -> io::Result<Option<HashedPrefix>> {
        match &self.0 {
            ContentSource::Memory(LoadedContent { bytes, .. }) => {
                Ok(Some(HashedPrefix::hash_bytes(bytes)))
            }
            ContentSource::File(file) => HashedPrefix::hash_file(&file.file, file.size).await,
            ContentSource::Unsized(file) => {
                HashedPrefix::hash_whole_file(&file.file).await.map(Some)
            }
            ContentSource::Pipe(_) => Ok(None),
        }
    }

    /// Takes a pipe, which is read to its end on blocking threads.
    #[must_use]
    pub fn from_pipe(pipe: impl Read + Send + Sync + 'static) -> Self {
        Self(ContentSource::Pipe(Box::new(pipe)))
    }

    /// Size of the file in bytes; `None` for a pipe, and for a file of unknown length.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        match &self.0 {
            ContentSource::File(file) => Some(file.size),
            ContentSource::Memory(LoadedContent { bytes, .. }) => Some(bytes.len() as u64),
            ContentSource::Unsized(_) | ContentSource::Pipe(_) => None,
        }
    }

    /// When the file's content was last modified; `None` for a pipe.
    #[must_use]
    pub fn modified(&self) -> Option<SystemTime> {
        match &self.0 {
            ContentSource::File(file) => Some(file.modified),
            ContentSource::Memory(loaded) => Some(loaded.modified),
            ContentSource::Unsized(file) => Some(file.modified),
            ContentSource::Pipe(_) => None,
        }
    }

    /// Gives the content another modification time. A pipe has none.
    #[must_use]
    pub fn with_modified(mut self, time: SystemTime) -> Self {
        match &mut self.0 {
            ContentSource::File(file) => file.modified = time,
            ContentSource::Memory(loaded) => loaded.modified = time,
            ContentSource::Unsized(file) => file.modified = time,
            ContentSource::Pipe(_) => {}
        }
        self
    }

    /// Identifies the file and the state in which it was opened; `None` for any other source, and
    /// for a temporary file.
    pub(crate) fn identity(&self) -> Option<FileIdentity> {
        match &self.0 {
            ContentSource::File(file) => file.identity,
            ContentSource::Memory(_) | ContentSource::Unsized(_) | ContentSource::Pipe(_) => None,
        }
    }

    /// Whether the file is executable for its owner.
    #[must_use]
    pub fn is_executable(&self) -> bool {
        match &self.0 {
            ContentSource::File(file) => file.executable,
            ContentSource::Memory(loaded) => loaded.executable,
            ContentSource::Unsized(file) => file.executable,
            ContentSource::Pipe(_) => false,
        }
    }

    /// Returns the hashed prefix of the file if it matches `claim`, so that only the content after
    /// it has to be sent. A file is read in `lane` if there is one, else on blocking threads.
    ///
    /// # Errors
    /// An I/O error.
    pub async fn verify_prefix(
        &self,
        claim: ContentPrefix,
        lane: Option<&Lane>,
    ) -> io::Result<Option<HashedPrefix>> {
        let hashed = match &self.0 {
            ContentSource::File(OpenFile { file, size, .. }) if claim.size <= *size => match lane {
                Some(lane) => HashedPrefix::hash_file_in_lane(file, claim.size, lane).await?,
                None => HashedPrefix::hash_file(file, claim.size).await?,
            },
            ContentSource::Memory(LoadedContent { bytes, .. }) => usize::try_from(claim.size)
                .ok()
                .and_then(|length| bytes.get(..length))
                .map(HashedPrefix::hash_bytes),
            ContentSource::File(_) | ContentSource::Unsized(_) | ContentSource::Pipe(_) => None,
        };
        Ok(hashed.filter(|hashed| hashed.prefix() == claim))
    }

    /// The content after `from`, if it is in memory and fits into one block.
    pub(crate) fn remaining_in_memory(&self, from: &HashedPrefix, block: usize) -> Option<&[u8]> {
        let ContentSource::Memory(LoadedContent { bytes, .. }) = &self.0 else { return None };
        let rest = bytes.get(usize::try_from(from.length).ok()?..)?;
        (rest.len() <= block).then_some(rest)
    }

    /// Checks that the content read so far is valid.
    pub(crate) fn check_unchanged(&mut self) -> Result<(), SendError> {
        match &mut self.0 {
            ContentSource::File(file) => file.check_unchanged(),
            ContentSource::Memory(_) | ContentSource::Unsized(_) | ContentSource::Pipe(_) => Ok(()),
        }
    }

    /// Reads up to `max` bytes at `offset` into the start of `buffer`; fewer only at the end, where
    /// the result is 0. The caller must [check](Self::check_unchanged) a file after that.
    pub(crate) fn read(
        &mut self,
        buffer: &mut [u8],
        offset: u64,
        max: usize,
    ) -> Result<usize, SendError> {
        match &mut self.0 {
            ContentSource::File(file) => file.read(buffer, offset, max),
            ContentSource::Memory(LoadedContent { bytes, .. }) => {
                let at = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                let length = max.min(bytes.len() - at);
                buffer[..length].copy_from_slice(&bytes[at..at + length]);
                Ok(length)
            }
            ContentSource::Unsized(file) => Ok(read_full(file, &mut buffer[..max])?),
            ContentSource::Pipe(pipe) => Ok(read_full(pipe, &mut buffer[..max])?),
        }
    }
}

impl OpenFile {
    fn read(&self, buffer: &mut [u8], offset: u64, max: usize) -> Result<usize, SendError> {
        let left = self.size.saturating_sub(offset);
        let length = usize::try_from(left).map_or(max, |left| left.min(max));
        if read_full_at(&self.file, &mut buffer[..length], offset)? < length {
            let is_unchanged = self.is_unchanged()?;
            return Err(if is_unchanged { SendError::WrongSize } else { SendError::Changed });
        }
        Ok(length)
    }

    /// Whether size and time are unchanged. Then a file that ends early never had its size.
    fn is_unchanged(&self) -> io::Result<bool> {
        Ok(ContentStamp::from_metadata(&self.file.metadata()?)? == self.stamp)
    }

    /// Fails if the file was truncated, or rewritten: then its time has changed and its size has
    /// not. Appended bytes, which change both, are ignored. Times have the resolution of the
    /// kernel's tick: a rewrite within a few milliseconds after the open may go unnoticed.
    pub(crate) fn check_unchanged(&mut self) -> Result<(), SendError> {
        let mut now = ContentStamp::from_metadata(&self.file.metadata()?)?;
        for _ in 0..MAX_RECHECKS {
            if now.size != self.stamp.size || now.modified == self.stamp.modified {
                break;
            }
            // The kernel sets the time of an append before its size, with a possible delay.
            thread::park_timeout(RECHECK_INTERVAL);
            now = ContentStamp::from_metadata(&self.file.metadata()?)?;
        }
        let appended = now.size > self.stamp.size;
        if now.size < self.size || (now.modified != self.stamp.modified && !appended) {
            return Err(SendError::Changed);
        }
        self.stamp = now;
        Ok(())
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("size", &self.size()).finish_non_exhaustive()
    }
}

impl ContentStamp {
    fn from_metadata(metadata: &Metadata) -> io::Result<Self> {
        Ok(Self { size: metadata.len(), modified: metadata.modified()? })
    }
}

#[cfg(test)]
mod tests;
