//! Where content comes from: a file whose length is fixed when it is opened, memory, a pipe, a file whose file
//! system does not tell its length. Knows nothing of streams.
//!
//! Procfs, sysfs and some FUSE file systems give a size of 0, or of a page, to files that have other content.

mod read;

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::thread;
use std::time::{Duration, SystemTime};

use quiver_protocol::ContentPrefix;

use self::read::{fill, read_to_fill};
use crate::background::Lane;
use crate::send_error::SendError;
use crate::unix;
use crate::{HashedPrefix, SMALL};

/// Bytes of each read of a file of unknown length: the first has all of a [small](SMALL) one.
const READ: usize = SMALL as usize;

/// How often, and how many times, a file is looked at again that has a new time and its old size.
const LOOK_EVERY: Duration = Duration::from_millis(1);
const LOOKS: usize = 50;

/// Where content comes from.
pub struct Source(pub(crate) ContentSource);

pub(crate) enum ContentSource {
    /// As many bytes as it had when it was opened.
    File(OpenFile),
    /// The same of a small one, all read.
    Memory(LoadedContent),
    /// As many as there are until its end.
    Unsized(UnsizedFile),
    /// As many as come.
    Pipe(Box<dyn Read + Send + Sync>),
}

#[derive(Debug)]
pub(crate) struct OpenFile {
    file: File,
    pub(crate) size: u64,
    executable: bool,
    modified: SystemTime,
    seen: ContentStamp,
}

/// A file of unknown length.
pub(crate) struct UnsizedFile {
    file: File,
    /// What was read of it already, and how much of that was taken.
    head: Vec<u8>,
    taken: usize,
    executable: bool,
    modified: SystemTime,
}

pub(crate) struct LoadedContent {
    bytes: Vec<u8>,
    executable: bool,
    modified: SystemTime,
}

/// What tells an appended file from a rewritten one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ContentStamp {
    size: u64,
    modified: SystemTime,
}

impl Source {
    /// Takes an open file and fixes its length. One of size 0 is read from, once, for not all of them are empty.
    ///
    /// # Errors
    /// What the system says of its size and time.
    pub fn new(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Self::with_metadata(file, &metadata)
    }

    /// The same, with what was just asked of the file.
    ///
    /// # Errors
    /// What the system says of its time.
    pub fn with_metadata(file: File, metadata: &Metadata) -> io::Result<Self> {
        let (seen, executable) = (ContentStamp::of(metadata)?, unix::is_executable(metadata));
        let modified = seen.modified;
        // No blocks: nothing at all, a hole, or a file system that gives any size.
        let is_doubtful = seen.size > SMALL && unix::has_no_blocks(metadata);
        if is_doubtful && read_to_fill(&file, &mut [0], seen.size - 1)? == 0 {
            return Self::without_size(file);
        }
        if seen.size == 0 {
            let unsized_file = UnsizedFile::begin(file, executable, modified)?;
            if !unsized_file.head.is_empty() {
                return Ok(Self(ContentSource::Unsized(unsized_file)));
            }
            let file = OpenFile { size: 0, executable, modified, file: unsized_file.file, seen };
            return Ok(Self(ContentSource::File(file)));
        }
        Ok(Self(ContentSource::File(OpenFile {
            size: seen.size,
            executable,
            modified,
            file,
            seen,
        })))
    }

    /// Takes an open file whose size is known to be [wrong](SendError::WrongSize): it is read to its end.
    ///
    /// # Errors
    /// What the system says.
    pub fn without_size(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let (executable, modified) = (unix::is_executable(&metadata), metadata.modified()?);
        Ok(Self(ContentSource::Unsized(UnsizedFile::begin(file, executable, modified)?)))
    }

    /// Reads a [small](SMALL) file at once, so that nobody waits for another thread when it is sent. What is
    /// small is told by its content, where its file system gives another size. Blocks.
    ///
    /// # Errors
    /// What the system says.
    pub fn load(self) -> io::Result<Self> {
        let mut file = match self.0 {
            ContentSource::File(file) if file.size <= SMALL => file,
            ContentSource::Unsized(file) => return file.load().map(Self),
            other => return Ok(Self(other)),
        };
        let mut bytes = vec![0; usize::try_from(file.size).unwrap_or(0)];
        let length = read_to_fill(&file.file, &mut bytes, 0)?;
        let is_whole = if length < bytes.len() {
            // Either it ends there in truth, or it has just been cut.
            bytes.truncate(length);
            file.is_as_seen()?
        } else {
            match file.check() {
                Ok(()) => true,
                Err(SendError::Disk(error)) => return Err(error),
                Err(_) => false,
            }
        };
        if !is_whole {
            // That it has changed is said when it is sent.
            return Ok(Self(ContentSource::File(file)));
        }
        let OpenFile { executable, modified, .. } = file;
        Ok(Self(ContentSource::Memory(LoadedContent { bytes, executable, modified })))
    }

    /// Copies a file of unknown length into `spool`, an empty file without a name, so that its length is known.
    /// `None` where it has more than `limit` bytes. Other sources stay as they are. Blocks.
    ///
    /// # Errors
    /// What the system says.
    pub fn copy_to_file(self, spool: File, limit: u64) -> io::Result<Option<Self>> {
        let mut file = match self.0 {
            ContentSource::Unsized(file) => file,
            other => return Ok(Some(Self(other))),
        };
        let (executable, modified) = (file.executable, file.modified);
        let size = io::copy(&mut (&mut file).take(limit.saturating_add(1)), &mut &spool)?;
        if size > limit {
            return Ok(None);
        }
        let seen = ContentStamp::of(&spool.metadata()?)?;
        Ok(Some(Self(ContentSource::File(OpenFile {
            size,
            executable,
            modified,
            file: spool,
            seen,
        }))))
    }

    /// All of it, hashed; `None` where it has shrunk, or is a pipe.
    ///
    /// # Errors
    /// What the system says.
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

    /// Takes what comes out of a pipe, up to its end. It is read on blocking threads.
    #[must_use]
    pub fn from_pipe(pipe: impl Read + Send + Sync + 'static) -> Self {
        Self(ContentSource::Pipe(Box::new(pipe)))
    }

    /// Bytes of a file; `None` of a pipe, and of a file whose file system does not tell.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        match &self.0 {
            ContentSource::File(file) => Some(file.size),
            ContentSource::Memory(LoadedContent { bytes, .. }) => Some(bytes.len() as u64),
            ContentSource::Unsized(_) | ContentSource::Pipe(_) => None,
        }
    }

    /// When a file's content was last modified; `None` of a pipe.
    #[must_use]
    pub fn modified(&self) -> Option<SystemTime> {
        match &self.0 {
            ContentSource::File(file) => Some(file.modified),
            ContentSource::Memory(loaded) => Some(loaded.modified),
            ContentSource::Unsized(file) => Some(file.modified),
            ContentSource::Pipe(_) => None,
        }
    }

    /// Whether a file is a program of its owner's.
    #[must_use]
    pub fn is_executable(&self) -> bool {
        match &self.0 {
            ContentSource::File(file) => file.executable,
            ContentSource::Memory(loaded) => loaded.executable,
            ContentSource::Unsized(file) => file.executable,
            ContentSource::Pipe(_) => false,
        }
    }

    /// Checks whether a file begins as somebody says: with so many bytes of this hash. If so, content
    /// need not be sent but from there on. A file is read in `lane`, where there is one, else on blocking
    /// threads.
    ///
    /// # Errors
    /// What the system says.
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

    /// What follows `from`, where it is in memory and no more than a block.
    pub(crate) fn rest(&self, from: &HashedPrefix, block: usize) -> Option<&[u8]> {
        let ContentSource::Memory(LoadedContent { bytes, .. }) = &self.0 else { return None };
        let rest = bytes.get(usize::try_from(from.length).ok()?..)?;
        (rest.len() <= block).then_some(rest)
    }

    /// Whether what was read so far may be believed.
    pub(crate) fn check(&mut self) -> Result<(), SendError> {
        match &mut self.0 {
            ContentSource::File(file) => file.check(),
            ContentSource::Memory(_) | ContentSource::Unsized(_) | ContentSource::Pipe(_) => Ok(()),
        }
    }

    /// Reads up to `most` bytes of what comes at `offset` to the front of `buffer`; fewer only at the end, where
    /// there are none. A file is to be [checked](Self::check) after that.
    pub(crate) fn read(
        &mut self,
        buffer: &mut [u8],
        offset: u64,
        most: usize,
    ) -> Result<usize, SendError> {
        match &mut self.0 {
            ContentSource::File(file) => file.read(buffer, offset, most),
            ContentSource::Memory(LoadedContent { bytes, .. }) => {
                let at = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                let length = most.min(bytes.len() - at);
                buffer[..length].copy_from_slice(&bytes[at..at + length]);
                Ok(length)
            }
            ContentSource::Unsized(file) => Ok(fill(file, &mut buffer[..most])?),
            ContentSource::Pipe(pipe) => Ok(fill(pipe, &mut buffer[..most])?),
        }
    }
}

impl UnsizedFile {
    /// Reads once. Such files are read from their beginning to their end and never again, by so many bytes at a
    /// time: some do not give the same twice, some nothing to a read that begins inside, and some refuse a read
    /// of an odd length.
    fn begin(file: File, executable: bool, modified: SystemTime) -> io::Result<Self> {
        let mut begun = Self { file, head: Vec::new(), taken: 0, executable, modified };
        begun.read_on()?;
        Ok(begun)
    }

    /// Adds what one more read gives to the head; how much that was.
    fn read_on(&mut self) -> io::Result<usize> {
        let before = self.head.len();
        self.head.resize(before + READ, 0);
        let read = loop {
            match self.file.read(&mut self.head[before..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.head.truncate(before + read.as_ref().map_or(0, |length| *length));
        read
    }

    /// All of it, where it is small.
    fn load(mut self) -> io::Result<ContentSource> {
        while self.head.len() as u64 <= SMALL {
            if self.read_on()? == 0 {
                let Self { head: bytes, executable, modified, .. } = self;
                return Ok(ContentSource::Memory(LoadedContent { bytes, executable, modified }));
            }
        }
        Ok(ContentSource::Unsized(self))
    }
}

impl Read for UnsizedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.head.len() {
            self.taken = 0;
            self.head.clear();
            self.read_on()?;
        }
        let rest = &self.head[self.taken..];
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.taken += length;
        Ok(length)
    }
}

impl OpenFile {
    fn read(&self, buffer: &mut [u8], offset: u64, most: usize) -> Result<usize, SendError> {
        let left = self.size.saturating_sub(offset);
        let length = usize::try_from(left).map_or(most, |left| left.min(most));
        if read_to_fill(&self.file, &mut buffer[..length], offset)? < length {
            let wrong = self.is_as_seen()?;
            return Err(if wrong { SendError::WrongSize } else { SendError::Changed });
        }
        Ok(length)
    }

    /// Whether its size and time are still the same. One that ends before that size had it never.
    fn is_as_seen(&self) -> io::Result<bool> {
        Ok(ContentStamp::of(&self.file.metadata()?)? == self.seen)
    }

    /// What is appended does not matter: it moves the time and the end. A new time at an old size
    /// means that content was rewritten. Times have the grain of the kernel's tick, so what is
    /// rewritten within a few milliseconds of the opening may go unseen.
    pub(crate) fn check(&mut self) -> Result<(), SendError> {
        let mut now = ContentStamp::of(&self.file.metadata()?)?;
        for _ in 0..LOOKS {
            if now.size != self.seen.size || now.modified == self.seen.modified {
                break;
            }
            // The kernel sets the time of an append before its size, and may be held up in between.
            thread::park_timeout(LOOK_EVERY);
            now = ContentStamp::of(&self.file.metadata()?)?;
        }
        let appended = now.size > self.seen.size;
        if now.size < self.size || (now.modified != self.seen.modified && !appended) {
            return Err(SendError::Changed);
        }
        self.seen = now;
        Ok(())
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("size", &self.size()).finish_non_exhaustive()
    }
}

impl ContentStamp {
    fn of(metadata: &Metadata) -> io::Result<Self> {
        Ok(Self { size: metadata.len(), modified: metadata.modified()? })
    }
}

#[cfg(test)]
mod tests;
