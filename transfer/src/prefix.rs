//! The beginning of a file, proved by its hash: what need not cross the wire again.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use quiver_protocol::{ContentHash, ContentPrefix};

use crate::background::Lane;
use crate::blocking;

/// Bytes a second of an offered beginning that the other side must be able to read and hash, four of them at once.
/// Longer beginnings are waited for accordingly.
pub(crate) const PROOF_RATE: u64 = 32 * 1024 * 1024;

/// Bytes that are read and hashed before somebody else may have the thread, and before a proof that
/// nobody wants any more ends: a few milliseconds.
const STRIDE: u64 = 16 * 1024 * 1024;

/// The same on a thread of low priority, where others wait for their turn: half a millisecond, and some
/// twenty beside threads that take all of the processor.
const LANE_STRIDE: u64 = 4 * 1024 * 1024;

/// Bytes of one read.
const READ: usize = 256 * 1024;

/// So many bytes of a file's beginning, hashed; the hash goes on with what follows them.
#[derive(Debug, Clone, Default)]
pub struct HashedPrefix {
    /// Two KiB, which would be copied wherever this goes.
    pub(crate) hasher: Box<blake3::Hasher>,
    pub(crate) length: u64,
}

impl HashedPrefix {
    /// No byte: content from the beginning.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// All of these bytes.
    #[must_use]
    pub fn hash_bytes(bytes: &[u8]) -> Self {
        let mut hashed = Self::empty();
        hashed.hasher.update(bytes);
        hashed.length = bytes.len() as u64;
        hashed
    }

    /// The first `length` bytes of an open file; `None` where it is shorter. Takes as long as reading
    /// them does, on blocking threads; dropped, it ends soon.
    ///
    /// # Errors
    /// What the system says.
    pub async fn hash_file(file: &File, length: u64) -> io::Result<Option<Self>> {
        let (hashed, is_whole) = Self::up_to(file, length, STRIDE, None).await?;
        Ok(is_whole.then_some(hashed))
    }

    /// The same on the threads of a [`BackgroundPool`](crate::BackgroundPool), a stride each time it is the
    /// lane's turn.
    ///
    /// # Errors
    /// What the system says.
    pub async fn hash_file_in_lane(
        file: &File,
        length: u64,
        lane: &Lane,
    ) -> io::Result<Option<Self>> {
        let (hashed, is_whole) = Self::up_to(file, length, LANE_STRIDE, Some(lane)).await?;
        Ok(is_whole.then_some(hashed))
    }

    /// All of an open file, however long it is. Takes as long as reading it does, on blocking threads; dropped,
    /// it ends soon.
    ///
    /// # Errors
    /// What the system says.
    pub async fn hash_whole_file(file: &File) -> io::Result<Self> {
        let (hashed, _) = Self::up_to(file, u64::MAX, STRIDE, None).await?;
        Ok(hashed)
    }

    /// What there is of the first `length` bytes, and whether that is all of them.
    async fn up_to(
        file: &File,
        length: u64,
        stride: u64,
        lane: Option<&Lane>,
    ) -> io::Result<(Self, bool)> {
        let mut next = HashStep { hashed: Self::empty(), file: file.try_clone()?, end: 0 };
        while next.hashed.length < length {
            next.end = length.min(next.hashed.length + stride);
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

    /// How many bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// What is said of them on the wire.
    #[must_use]
    pub fn prefix(&self) -> ContentPrefix {
        let blake3 = ContentHash(*self.hasher.finalize().as_bytes());
        ContentPrefix { size: self.length, blake3 }
    }

    /// Whether the file was long enough.
    fn read_to(&mut self, file: &File, end: u64) -> io::Result<bool> {
        let mut buffer = vec![0; READ];
        while self.length < end {
            let wanted = usize::try_from(end - self.length).map_or(READ, |left| left.min(READ));
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

/// What is hashed in one step.
struct HashStep {
    hashed: HashedPrefix,
    file: File,
    /// Where in the file it ends.
    end: u64,
}

impl HashStep {
    /// Itself, hashed as far as it goes, and whether the file was long enough.
    fn run(mut self) -> io::Result<(Self, bool)> {
        let is_whole = self.hashed.read_to(&self.file, self.end)?;
        Ok((self, is_whole))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[tokio::test]
    async fn a_beginning_has_the_hash_of_its_bytes() {
        let content: Vec<u8> = (0..STRIDE as usize + 70_000).map(|at| (at % 251) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        let pool = crate::BackgroundPool::new(1);
        let lane = pool.lane(1);
        for length in [0, 1, READ, READ + 1, STRIDE as usize, STRIDE as usize + 1, content.len()] {
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
