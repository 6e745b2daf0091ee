//! The start of a file of the server, in memory: for a look at it, which is no transfer.

use std::io::{self, Write};
use std::sync::Arc;

use parking_lot::Mutex;
use quiver_protocol::FilePath;
use quiver_protocol::text::display_safe;
use quiver_transfer::TransferThrottle;

use super::Client;
use crate::error::ClientError;
use crate::exchange::{self, GetError};

/// The start of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStart {
    /// Its first bytes. Verified only if these are all.
    pub content: Vec<u8>,
    /// Bytes of the whole file.
    pub size: u64,
}

/// Keeps so many bytes, and fails then.
#[derive(Debug, Clone)]
struct BoundedBuffer {
    content: Arc<Mutex<Vec<u8>>>,
    limit: usize,
}

impl Client {
    /// Reads at most `limit` bytes of a file of the server into memory. Stops the server once they are received, and is
    /// not listed among the transfers.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn read_start(&self, path: &FilePath, limit: u64) -> Result<FileStart, ClientError> {
        let failed = |error: GetError| {
            let what = || format!("cannot read {}", display_safe(path.as_str()));
            match error {
                GetError::Stream(error) => ClientError::stream(what(), error),
                source => ClientError::Get { path: path.to_string(), source, streamed: false },
            }
        };
        let handle = self.command_handle().await?;
        // The semaphore is never closed.
        let _permit = handle.content_permits.acquire().await;
        let incoming = exchange::get(&handle.connection, path, None, handle.timeout).await;
        let incoming = incoming.map_err(failed)?;
        let size = incoming.size();
        let limit = usize::try_from(limit.min(size)).unwrap_or(usize::MAX);
        let buffer = BoundedBuffer { content: Arc::default(), limit };
        let received =
            incoming.write_to_pipe(buffer.clone(), &TransferThrottle::default(), |_| {}).await;
        let content = std::mem::take(&mut *buffer.content.lock());
        match received {
            Ok(_) => Ok(FileStart { content, size }),
            // As much as is wanted.
            Err(GetError::Disk(_)) if content.len() == limit => Ok(FileStart { content, size }),
            Err(error) => Err(failed(error)),
        }
    }
}

impl Write for BoundedBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut content = self.content.lock();
        let left = self.limit - content.len();
        if left == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        let taken = &bytes[..bytes.len().min(left)];
        content.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_takes_no_more_than_its_limit() {
        let mut buffer = BoundedBuffer { content: Arc::default(), limit: 5 };
        buffer.write_all(b"abc").unwrap();
        assert!(buffer.write_all(b"defg").is_err());
        assert_eq!(*buffer.content.lock(), b"abcde");
    }
}
