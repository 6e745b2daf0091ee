//! A stream as content, such as standard input. A thread of its own reads it and is never joined,
//! so that a client whose input is silent can still exit at once.

use std::io::{self, Read};
use std::sync::Arc;
use std::thread;

use parking_lot::{Condvar, Mutex, MutexGuard};
use quiver_protocol::chunk::BLOCK;

/// Reads the stream's content. Fails once the upload has ended.
#[derive(Debug)]
pub(super) struct PipeReader {
    shared: Arc<PipeShared>,
    block: Vec<u8>,
    offset: usize,
    is_at_end: bool,
}

/// The upload's handle of a stream. Cheap to clone.
#[derive(Clone)]
pub(crate) struct PipeInput {
    shared: Arc<PipeShared>,
    /// Taken when reading starts.
    stream: Arc<Mutex<Option<Box<dyn Read + Send>>>>,
}

/// Makes reads of the pipe fail when dropped.
#[derive(Debug)]
pub(super) struct PipeCloseGuard(Arc<PipeShared>);

/// Shared by the thread that reads the stream and the thread that uses its content.
#[derive(Debug, Default)]
struct PipeShared {
    state: Mutex<PipeState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct PipeState {
    /// The next block, one ahead of the reader. An empty block is the end.
    next: Option<io::Result<Vec<u8>>>,
    /// Whether a [`PipeReader`] waits for a block.
    is_reader_waiting: bool,
    /// Whether the upload has ended and needs no more content.
    is_closed: bool,
}

impl PipeInput {
    /// Wraps a stream without reading it yet.
    pub(super) fn new(stream: Box<dyn Read + Send>) -> Self {
        Self { shared: Arc::default(), stream: Arc::new(Mutex::new(Some(stream))) }
    }

    /// Starts to read the stream. Fails if it was started before.
    pub(super) fn start(&self) -> io::Result<PipeReader> {
        let already_read = || io::Error::other("the stream is already being read");
        let stream = self.stream.lock().take().ok_or_else(already_read)?;
        let filler = self.shared.clone();
        thread::Builder::new().name("input".to_owned()).spawn(move || filler.fill(stream))?;
        Ok(PipeReader {
            shared: self.shared.clone(),
            block: Vec::new(),
            offset: 0,
            is_at_end: false,
        })
    }

    /// Whether a reader waits for content that the stream has not delivered yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.shared.lock().is_reader_waiting
    }

    /// Returns a guard; dropping it ends waiting and further reads with an error.
    pub(super) fn close_on_drop(&self) -> PipeCloseGuard {
        PipeCloseGuard(self.shared.clone())
    }
}

impl Drop for PipeCloseGuard {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.changed.notify_all();
    }
}

impl Read for PipeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.offset == self.block.len() && !self.is_at_end {
            self.block = self.shared.take()?;
            self.offset = 0;
            self.is_at_end = self.block.is_empty();
        }
        let length = buffer.len().min(self.block.len() - self.offset);
        buffer[..length].copy_from_slice(&self.block[self.offset..self.offset + length]);
        self.offset += length;
        Ok(length)
    }
}

impl PipeShared {
    /// Reads the stream to its end, or until the pipe is closed.
    fn fill(&self, mut input: impl Read) {
        loop {
            let mut buffer = vec![0; BLOCK];
            let block = match input.read(&mut buffer) {
                Ok(count) => {
                    buffer.truncate(count);
                    Ok(buffer)
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let is_last = block.as_ref().map_or(true, Vec::is_empty);
            let mut state = self.wait_while(|state| state.next.is_some() && !state.is_closed);
            if state.is_closed {
                return;
            }
            state.next = Some(block);
            drop(state);
            self.changed.notify_all();
            if is_last {
                return;
            }
        }
    }

    /// Waits for the next block. Fails once the pipe is closed, even if a block is ready.
    fn take(&self) -> io::Result<Vec<u8>> {
        self.lock().is_reader_waiting = true;
        let mut state = self.wait_while(|state| state.next.is_none() && !state.is_closed);
        state.is_reader_waiting = false;
        if state.is_closed {
            return Err(io::Error::other("the upload has ended"));
        }
        let next = state.next.take();
        drop(state);
        self.changed.notify_all();
        next.unwrap_or_else(|| Ok(Vec::new()))
    }

    fn wait_while(
        &self,
        mut condition: impl FnMut(&PipeState) -> bool,
    ) -> MutexGuard<'_, PipeState> {
        let mut state = self.lock();
        self.changed.wait_while(&mut state, |state| condition(state));
        state
    }

    fn lock(&self) -> MutexGuard<'_, PipeState> {
        self.state.lock()
    }
}

impl std::fmt::Debug for PipeInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PipeInput").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pipe that a thread fills with what the test writes.
    fn pipe() -> (PipeReader, PipeInput, io::PipeWriter, thread::JoinHandle<()>) {
        let (reader, writer) = io::pipe().unwrap();
        let shared = Arc::new(PipeShared::default());
        let filler = shared.clone();
        let thread = thread::spawn(move || filler.fill(reader));
        let pipe =
            PipeReader { shared: shared.clone(), block: Vec::new(), offset: 0, is_at_end: false };
        (pipe, PipeInput { shared, stream: Arc::default() }, writer, thread)
    }

    #[test]
    fn the_reader_reads_the_stream_to_its_end() {
        use std::io::Write as _;
        let (mut pipe, input, mut writer, thread) = pipe();
        let content: Vec<u8> = (0..u8::MAX).cycle().take(3 * BLOCK + 7).collect();
        let mut read = Vec::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                writer.write_all(&content).unwrap();
                drop(writer);
            });
            pipe.read_to_end(&mut read).unwrap();
        });
        assert!(read == content);
        assert!(!input.is_waiting());
        // Further reads return no bytes.
        assert_eq!(pipe.read(&mut [0; 8]).unwrap(), 0);
        thread.join().unwrap();
    }

    #[test]
    fn a_waiting_reader_fails_when_the_pipe_is_closed() {
        let (mut pipe, input, _writer, _thread) = pipe();
        let guard = input.close_on_drop();
        let reader = thread::spawn(move || pipe.read(&mut [0; 8]));
        while !input.is_waiting() {
            thread::yield_now();
        }
        drop(guard);
        assert!(reader.join().unwrap().is_err());
    }

    #[test]
    fn a_read_after_the_pipe_is_closed_fails() {
        use std::io::Write as _;
        let (mut pipe, input, mut writer, thread) = pipe();
        writer.write_all(b"a beginning").unwrap();
        // The thread has read it, and the reader has not taken it.
        while input.shared.lock().next.is_none() {
            thread::yield_now();
        }
        drop(input.close_on_drop());
        assert!(pipe.read(&mut [0; 64]).is_err());
        // The thread ends with the next read.
        drop(writer);
        thread.join().unwrap();
    }
}
