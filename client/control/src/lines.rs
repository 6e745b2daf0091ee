//! Lines of JSON on a socket: bounded in length, and in the time that one may take.

use std::io;
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout, timeout_at};

/// How long the rest of a line may take after its first byte.
pub(crate) const LINE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the other process may take to read a line. It is then cut off.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads lines.
#[derive(Debug)]
pub(crate) struct LineReader<R> {
    reader: R,
    /// Bytes of a line, without its line break.
    max_line: usize,
    buffer: Vec<u8>,
    /// Bytes of the buffer that contain no line break.
    searched: usize,
    /// When the first byte of an incomplete line was read.
    started: Option<Instant>,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    pub(crate) fn new(reader: R, max_line: usize) -> Self {
        Self { reader, max_line, buffer: Vec::new(), searched: 0, started: None }
    }

    /// Reads the next line; `None` at the end. Between lines it waits for at most `idle`, if that is given. Cancel-safe.
    ///
    /// # Errors
    /// The system's error; `InvalidData` for a line that is too long or incomplete, `TimedOut`.
    pub(crate) async fn next(&mut self, idle: Option<Duration>) -> io::Result<Option<Vec<u8>>> {
        let idle_end = idle.map(|idle| Instant::now() + idle);
        loop {
            if let Some(line) = self.take_line()? {
                return Ok(Some(line));
            }
            let deadline = match self.started {
                Some(started) => Some(started + LINE_TIMEOUT),
                None => idle_end,
            };
            self.buffer.reserve(4096);
            let read = self.reader.read_buf(&mut self.buffer);
            let read = match deadline {
                Some(deadline) => timeout_at(deadline, read).await?,
                None => read.await,
            };
            match read? {
                0 if self.buffer.is_empty() => return Ok(None),
                0 => return Err(io::ErrorKind::InvalidData.into()),
                _ => drop(self.started.get_or_insert_with(Instant::now)),
            }
        }
    }

    fn take_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let found = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n');
        let end = found.map(|position| self.searched + position);
        if end.unwrap_or(self.buffer.len()) > self.max_line {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let Some(end) = end else {
            self.searched = self.buffer.len();
            return Ok(None);
        };
        let rest = self.buffer.split_off(end + 1);
        let mut line = std::mem::replace(&mut self.buffer, rest);
        line.truncate(end);
        self.searched = 0;
        self.started = (!self.buffer.is_empty()).then(Instant::now);
        Ok(Some(line))
    }
}

/// Writes a message as a line.
///
/// # Errors
/// The system's error, or `TimedOut`.
pub(crate) async fn write(
    writer: &mut (impl AsyncWrite + Unpin),
    message: &impl Serialize,
) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    timeout(WRITE_TIMEOUT, writer.write_all(&line)).await?
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    #[tokio::test]
    async fn lines_are_cut_where_they_end() {
        let (mut writer, reader) = duplex(64);
        let mut lines = LineReader::new(reader, 8);
        writer.write_all(b"one\n\n12345678\npart").await.unwrap();
        for line in ["one", "", "12345678"] {
            assert_eq!(lines.next(None).await.unwrap().unwrap(), line.as_bytes());
        }
        drop(writer);
        assert_eq!(lines.next(None).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_refused_before_it_ends() {
        for text in ["123456789", "123456789\n"] {
            let (mut writer, reader) = duplex(64);
            let mut lines = LineReader::new(reader, 8);
            writer.write_all(text.as_bytes()).await.unwrap();
            let error = lines.next(None).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_incomplete_line_times_out_and_a_silent_process_only_if_asked() {
        let (mut writer, reader) = duplex(64);
        let mut lines = LineReader::new(reader, 8);
        let waited = timeout(Duration::from_secs(3600), lines.next(None)).await;
        assert!(waited.is_err(), "it has waited");
        let idle = lines.next(Some(Duration::from_secs(1))).await.unwrap_err();
        assert_eq!(idle.kind(), io::ErrorKind::TimedOut);
        writer.write_all(b"ha").await.unwrap();
        // Each byte does not start the time again.
        let drip = async {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if writer.write_all(b"l").await.is_err() {
                    return;
                }
            }
        };
        let started = Instant::now();
        let error = tokio::select! {
            read = lines.next(None) => read.unwrap_err(),
            () = drip => panic!("it reads"),
        };
        assert_eq!((error.kind(), started.elapsed()), (io::ErrorKind::TimedOut, LINE_TIMEOUT));
    }
}
