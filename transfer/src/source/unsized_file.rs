//! A file whose file system does not report its length: it is read once, from start to end.

use std::fs::File;
use std::io::{self, Read};
use std::time::SystemTime;

use super::{ContentSource, LoadedContent};
use crate::SMALL;

/// Bytes of each read of a file of unknown length: a [small](SMALL) file needs only one.
const READ_SIZE: usize = SMALL as usize;

/// A file of unknown length.
pub(crate) struct UnsizedFile {
    pub(super) file: File,
    /// Bytes that were already read, and how many of them were consumed.
    pub(super) buffered: Vec<u8>,
    consumed: usize,
    pub(super) executable: bool,
    pub(super) modified: SystemTime,
}

impl UnsizedFile {
    /// Opens the file and reads once. Such files are read from start to end only once, with reads
    /// of a fixed size: some give other content the second time, some give nothing to a read that
    /// starts inside, and some refuse a read of another length.
    pub(super) fn open(file: File, executable: bool, modified: SystemTime) -> io::Result<Self> {
        let mut opened = Self { file, buffered: Vec::new(), consumed: 0, executable, modified };
        opened.read_more()?;
        Ok(opened)
    }

    /// Reads once more into `buffered`, and returns the number of bytes.
    fn read_more(&mut self) -> io::Result<usize> {
        let before = self.buffered.len();
        self.buffered.resize(before + READ_SIZE, 0);
        let read = loop {
            match self.file.read(&mut self.buffered[before..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buffered.truncate(before + read.as_ref().map_or(0, |length| *length));
        read
    }

    /// Reads the whole file if it is small.
    pub(super) fn load(mut self) -> io::Result<ContentSource> {
        while self.buffered.len() as u64 <= SMALL {
            if self.read_more()? == 0 {
                let Self { buffered: bytes, executable, modified, .. } = self;
                return Ok(ContentSource::Memory(LoadedContent { bytes, executable, modified }));
            }
        }
        Ok(ContentSource::Unsized(self))
    }
}

impl Read for UnsizedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.consumed == self.buffered.len() {
            self.consumed = 0;
            self.buffered.clear();
            self.read_more()?;
        }
        let rest = &self.buffered[self.consumed..];
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.consumed += length;
        Ok(length)
    }
}
