//! The prefix of a file, identified by its hash: content that need not be sent again.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use quiver_protocol::{ContentHash, ContentPrefix};

use crate::background::Lane;
use crate::blocking;

/// Bytes per second at which the peer must be able to read and hash an offered prefix, while it
/// hashes four of them. The timeout for an offered prefix depends on its length accordingly.
pub(crate) const PROOF_RATE: u64 = 32 * 1024 * 1024;

/// Bytes that are hashed before other work gets the thread, and before an abandoned proof ends: a
/// few milliseconds.
const STEP: u64 = 16 * 1024 * 1024;

/// The same on a low-priority thread, where other lanes wait for their turn: half a millisecond, or
/// about twenty if other threads use the whole processor.
const LANE_STEP: u64 = 4 * 1024 * 1024;

/// Bytes of one read.
const READ_SIZE: usize = 256 * 1024;

/// A hashed prefix of a file; the hash continues with the bytes after it.
#[derive(Debug, Clone, Default)]
pub struct HashedPrefix {
    /// Boxed, because it has two KiB, which would be copied with every move.
    pub(crate) hasher: Box<blake3::Hasher>,
    pub(crate) length: u64,
}

impl HashedPrefix {
    /// The empty prefix: content from the start.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Hashes bytes in memory.
    #[must_use]
    pub fn hash_bytes(bytes: &[u8]) -> Self {
        let mut hashed = Self::empty();
        hashed.hasher.update(bytes);
        hashed.length = bytes.len() as u64;
        hashed
    }

    /// Hashes the first `length` bytes of an open file; `None` if the file is shorter. Takes as
    /// long as reading them, on blocking threads. Hashing ends soon after the future is dropped.
    ///
    /// # Errors
    /// An I/O error.
    pub async fn hash_file(file: &File, length: u64) -> io::Result<Option<Self>> {
        let (hashed, is_whole) = Self::hash_up_to(file, length, STEP, None).await?;
        Ok(is_whole.then_some(hashed))
    }

    /// Like [`hash_file`](Self::hash_file), on the threads of a
    /// [`BackgroundPool`](crate::BackgroundPool): one step in each turn of the lane.
    ///
    /// # Errors
    /// An I/O error.
    pub async fn hash_file_in_lane(
        file: &File,
        length: u64,
        lane: &Lane,
    ) -> io::Result<Option<Self>> {
        let (hashed, is_whole) = Self::hash_up_to(file, length, LANE_STEP, Some(lane)).await?;
        Ok(is_whole.then_some(hashed))
    }

    /// Hashes an open file to its end. Takes as long as reading it, on blocking threads. Hashing
    /// ends soon after the future is dropped.
    ///
    /// # Errors
    /// An I/O error.
    pub async fn hash_whole_file(file: &File) -> io::Result<Self> {
        let (hashed, _) = Self::hash_up_to(file, u64::MAX, STEP, None).await?;
        Ok(hashed)
    }

    /// Hashes up to `length` bytes, and returns whether the file has that many.
    async fn hash_up_to(
        file: &File,
        length: u64,
        step: u64,
        lane: Option<&Lane>,
    ) -> io::Result<(Self, bool)> {
        let mut next = HashStep { hashed: Self::empty(), file: file.try_clone()?, end: 0 };
        while next.hashed.length < length {
            next.end = length.min(next.hashed.length + step);
            let is_whole;
            (next, is_whole) = match lane {
                Some(lane) => lane.run(move || next.run()).await.map_err(io::Error::other)?,
                None => blocking::run(move || next.run()).await.map_err(io::Error::from)?,
            }?;
            if !is_whole {
                return Ok((next.hashed, false));
            }
        }
        Ok((next.hashed, true))
    }

    /// Its length in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Its length and hash, as sent on the wire.
    #[must_use]
    pub fn prefix(&self) -> ContentPrefix {
        let blake3 = ContentHash(*self.hasher.finalize().as_bytes());
        ContentPrefix { size: self.length, blake3 }
    }

    /// Hashes up to the offset `end`, and returns whether the file is that long.
    fn hash_to(&mut self, file: &File, end: u64) -> io::Result<bool> {
        let mut buffer = vec![0; READ_SIZE];
        while self.length < end {
            let wanted =
                usize::try_from(end - self.length).map_or(READ_SIZE, |left| left.min(READ_SIZE));
            match file.read_at(&mut buffer[..wanted], self.length) {
                Ok(0) => return Ok(false),
                Ok(count) => {
                    self.hasher.update(&buffer[..count]);
                    self.length += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// A hashing step.
struct HashStep {
    hashed: HashedPrefix,
    file: File,
    /// Offset in the file at which the step ends.
    end: u64,
}

impl HashStep {
    /// Runs the step, and returns itself and whether the file was long enough.
    fn run(mut self) -> io::Result<(Self, bool)> {
        let is_whole = self.hashed.hash_to(&self.file, self.end)?;
        Ok((self, is_whole))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[tokio::test]
    async fn a_prefix_has_the_hash_of_its_bytes() {
        let content: Vec<u8> = (0..STEP as usize + 70_000).map(|at| (at % 251) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        let pool = crate::BackgroundPool::new(1);
        let lane = pool.lane(1);
        for length in
            [0, 1, READ_SIZE, READ_SIZE + 1, STEP as usize, STEP as usize + 1, content.len()]
        {
            let hashed = HashedPrefix::hash_file(&file, length as u64).await.unwrap().unwrap();
            let blake3 = ContentHash(*blake3::hash(&content[..length]).as_bytes());
            assert_eq!(hashed.prefix(), ContentPrefix { size: length as u64, blake3 });
            let in_lane = HashedPrefix::hash_file_in_lane(&file, length as u64, &lane)
                .await
                .unwrap()
                .unwrap();
            assert_eq!(in_lane.prefix(), hashed.prefix());
        }
        assert!(HashedPrefix::hash_file(&file, content.len() as u64 + 1).await.unwrap().is_none());
        let all = HashedPrefix::hash_whole_file(&file).await.unwrap();
        assert_eq!(all.prefix(), HashedPrefix::hash_bytes(&content).prefix());
    }
}
