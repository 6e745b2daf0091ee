//! Where content comes from: a file whose length is fixed when it is opened, memory, a pipe. Knows nothing of
//! streams.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::time::SystemTime;

use quiver_protocol::Prefix;

use super::send::SendError;
use super::{Hashed, SMALL};
use crate::background::Lane;
use crate::unix;

/// Where content comes from.
pub struct Source(pub(super) Origin);

pub(super) enum Origin {
    /// As many bytes as it had when it was opened.
    File(OpenFile),
    /// The same of a small one, all read.
    Memory(Loaded),
    /// As many as come.
    Pipe(Box<dyn Read + Send + Sync>),
}

#[derive(Debug)]
pub(super) struct OpenFile {
    file: File,
    pub(super) size: u64,
    executable: bool,
    seen: Stamp,
}

pub(super) struct Loaded {
    bytes: Vec<u8>,
    executable: bool,
    modified: SystemTime,
}

/// What tells an appended file from a rewritten one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    size: u64,
    modified: SystemTime,
}

impl Source {
    /// Takes an open file and fixes its length.
    ///
    /// # Errors
    /// What the system says of its size and time.
    pub fn new(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Self::of(file, &metadata)
    }

    /// The same, with what was just asked of the file.
    ///
    /// # Errors
    /// What the system says of its time.
    pub fn of(file: File, metadata: &Metadata) -> io::Result<Self> {
        let (seen, executable) = (Stamp::of(metadata)?, unix::is_executable(metadata));
        Ok(Self(Origin::File(OpenFile { size: seen.size, executable, file, seen })))
    }

    /// Reads a [small](SMALL) file at once, so that nobody waits for another thread when it is sent. Blocks.
    ///
    /// # Errors
    /// What the system says.
    pub fn load(self) -> io::Result<Self> {
        let mut file = match self.0 {
            Origin::File(file) if file.size <= SMALL => file,
            other => return Ok(Self(other)),
        };
        let mut bytes = vec![0; usize::try_from(file.size).unwrap_or(0)];
        let read = match file.file.read_exact_at(&mut bytes, 0) {
            Ok(()) => file.check(),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(SendError::Changed),
            Err(error) => Err(error.into()),
        };
        match read {
            Ok(()) => {
                let (executable, modified) = (file.executable, file.seen.modified);
                Ok(Self(Origin::Memory(Loaded { bytes, executable, modified })))
            }
            Err(SendError::Disk(error)) => Err(error),
            // That it has changed is said when it is sent.
            Err(SendError::Changed | SendError::Stream(_)) => Ok(Self(Origin::File(file))),
        }
    }

    /// All of it, hashed; `None` where it has shrunk, or is a pipe.
    ///
    /// # Errors
    /// What the system says.
    pub async fn whole(&self) -> io::Result<Option<Hashed>> {
        match &self.0 {
            Origin::Memory(Loaded { bytes, .. }) => Ok(Some(Hashed::of_bytes(bytes))),
            Origin::File(file) => Hashed::of(&file.file, file.size).await,
            Origin::Pipe(_) => Ok(None),
        }
    }

    /// Takes what comes out of a pipe, up to its end. It is read on blocking threads.
    #[must_use]
    pub fn pipe(pipe: impl Read + Send + Sync + 'static) -> Self {
        Self(Origin::Pipe(Box::new(pipe)))
    }

    /// Bytes of a file; `None` of a pipe.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        match &self.0 {
            Origin::File(file) => Some(file.size),
            Origin::Memory(Loaded { bytes, .. }) => Some(bytes.len() as u64),
            Origin::Pipe(_) => None,
        }
    }

    /// When a file's content was last modified; `None` of a pipe.
    #[must_use]
    pub fn modified(&self) -> Option<SystemTime> {
        match &self.0 {
            Origin::File(file) => Some(file.seen.modified),
            Origin::Memory(loaded) => Some(loaded.modified),
            Origin::Pipe(_) => None,
        }
    }

    /// Whether a file is a program of its owner's.
    #[must_use]
    pub fn is_executable(&self) -> bool {
        match &self.0 {
            Origin::File(file) => file.executable,
            Origin::Memory(loaded) => loaded.executable,
            Origin::Pipe(_) => false,
        }
    }

    /// Checks whether a file begins as somebody says: with so many bytes of this hash. If so, content
    /// need not be sent but from there on. A file is read in `lane`, where there is one, else on blocking
    /// threads.
    ///
    /// # Errors
    /// What the system says.
    pub async fn proves(&self, claim: Prefix, lane: Option<&Lane>) -> io::Result<Option<Hashed>> {
        let hashed = match &self.0 {
            Origin::File(OpenFile { file, size, .. }) if claim.size <= *size => match lane {
                Some(lane) => Hashed::of_in_lane(file, claim.size, lane).await?,
                None => Hashed::of(file, claim.size).await?,
            },
            Origin::Memory(Loaded { bytes, .. }) => usize::try_from(claim.size)
                .ok()
                .and_then(|length| bytes.get(..length))
                .map(Hashed::of_bytes),
            Origin::File(_) | Origin::Pipe(_) => None,
        };
        Ok(hashed.filter(|hashed| hashed.prefix() == claim))
    }

    /// What follows `from`, where it is in memory and no more than a block.
    pub(super) fn rest(&self, from: &Hashed, block: usize) -> Option<&[u8]> {
        let Origin::Memory(Loaded { bytes, .. }) = &self.0 else { return None };
        let rest = bytes.get(usize::try_from(from.length).ok()?..)?;
        (rest.len() <= block).then_some(rest)
    }

    /// Whether what was read so far may be believed.
    pub(super) fn check(&mut self) -> Result<(), SendError> {
        match &mut self.0 {
            Origin::File(file) => file.check(),
            Origin::Memory(_) | Origin::Pipe(_) => Ok(()),
        }
    }

    /// Reads up to `most` bytes of what comes at `offset` to the front of `buffer`; fewer only at the end, where
    /// there are none. A file is to be [checked](Self::check) after that.
    pub(super) fn read(
        &mut self,
        buffer: &mut [u8],
        offset: u64,
        most: usize,
    ) -> Result<usize, SendError> {
        match &mut self.0 {
            Origin::File(file) => file.read(buffer, offset, most),
            Origin::Memory(Loaded { bytes, .. }) => {
                let at = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                let length = most.min(bytes.len() - at);
                buffer[..length].copy_from_slice(&bytes[at..at + length]);
                Ok(length)
            }
            Origin::Pipe(pipe) => {
                let mut length = 0;
                while length < most {
                    match pipe.read(&mut buffer[length..most]) {
                        Ok(0) => break,
                        Ok(count) => length += count,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                Ok(length)
            }
        }
    }
}

impl OpenFile {
    fn read(&self, buffer: &mut [u8], offset: u64, most: usize) -> Result<usize, SendError> {
        let left = self.size.saturating_sub(offset);
        let length = usize::try_from(left).map_or(most, |left| left.min(most));
        self.file.read_exact_at(&mut buffer[..length], offset).map_err(|error| {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                SendError::Changed
            } else {
                SendError::Disk(error)
            }
        })?;
        Ok(length)
    }

    /// What is appended does not matter: it moves the time and the end. A new time at an old size
    /// means that content was rewritten. Times have the grain of the kernel's tick, so what is
    /// rewritten within a few milliseconds of the opening may go unseen.
    pub(super) fn check(&mut self) -> Result<(), SendError> {
        let now = Stamp::of(&self.file.metadata()?)?;
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

impl Stamp {
    fn of(metadata: &Metadata) -> io::Result<Self> {
        Ok(Self { size: metadata.len(), modified: metadata.modified()? })
    }
}
