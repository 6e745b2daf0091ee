//! Reads that fill a buffer as far as there is content.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;

/// Reads until the buffer is full or the content ends; returns the number of bytes.
pub(super) fn read_full(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match from.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// Like [`read_full`], for a file from `offset` on.
pub(super) fn read_full_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    struct ReadPosition<'a>(&'a File, u64);
    impl Read for ReadPosition<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.0.read_at(buffer, self.1)?;
            self.1 += count as u64;
            Ok(count)
        }
    }
    read_full(&mut ReadPosition(file, offset), buffer)
}
