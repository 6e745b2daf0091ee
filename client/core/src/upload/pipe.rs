//! A stream as content, such as standard input: read on a thread of its own that is never waited for, so that a
//! program whose input is silent can still end at once.

use std::io::{self, Read};
use std::sync::Arc;
use std::thread;

use parking_lot::{Condvar, Mutex, MutexGuard};
use quiver_protocol::chunk::BLOCK;

/// What has come so far; reading it may be ended from outside.
#[derive(Debug)]
pub(super) struct PipeReader {
    shared: Arc<PipeShared>,
    piece: Vec<u8>,
    taken: usize,
    ended: bool,
}

/// The other side of a [`PipeReader`]. Cheap to clone.
#[derive(Clone)]
pub(crate) struct PipeInput {
    shared: Arc<PipeShared>,
    /// Until it is read.
    stream: Arc<Mutex<Option<Box<dyn Read + Send>>>>,
}

/// Ends what reads the pipe, when dropped.
#[derive(Debug)]
pub(super) struct PipeEnd(Arc<PipeShared>);

/// Between the thread that reads standard input and the one that wants it.
#[derive(Debug, Default)]
struct PipeShared {
    state: Mutex<PipeState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct PipeState {
    /// One waits while one is taken. An empty one is the last.
    next: Option<io::Result<Vec<u8>>>,
    /// Whether somebody waits for one.
    waiting: bool,
    /// Whether nobody wants the rest.
    over: bool,
}

impl PipeInput {
    /// Of a stream that is not read yet.
    pub(super) fn new(stream: Box<dyn Read + Send>) -> Self {
        Self { shared: Arc::default(), stream: Arc::new(Mutex::new(Some(stream))) }
    }

    /// Reads the stream from now on; once.
    pub(super) fn start(&self) -> io::Result<PipeReader> {
        let taken = || io::Error::other("the stream is being read already");
        let stream = self.stream.lock().take().ok_or_else(taken)?;
        let fill = self.shared.clone();
        thread::Builder::new().name("input".to_owned()).spawn(move || fill.fill(stream))?;
        Ok(PipeReader { shared: self.shared.clone(), piece: Vec::new(), taken: 0, ended: false })
    }

    /// Whether somebody waits for what does not come.
    pub(super) fn is_waiting(&self) -> bool {
        self.shared.lock().waiting
    }

    /// Whoever waits for more stops waiting when this is dropped.
    pub(super) fn end_on_drop(&self) -> PipeEnd {
        PipeEnd(self.shared.clone())
    }
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        self.0.lock().over = true;
        self.0.changed.notify_all();
    }
}

impl Read for PipeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.piece.len() && !self.ended {
            self.piece = self.shared.take()?;
            self.taken = 0;
            self.ended = self.piece.is_empty();
        }
        let length = buffer.len().min(self.piece.len() - self.taken);
        buffer[..length].copy_from_slice(&self.piece[self.taken..self.taken + length]);
        self.taken += length;
        Ok(length)
    }
}

impl PipeShared {
    /// Reads to the end, or until nobody wants the rest.
    fn fill(&self, mut input: impl Read) {
        loop {
            let mut buffer = vec![0; BLOCK];
            let piece = match input.read(&mut buffer) {
                Ok(count) => {
                    buffer.truncate(count);
                    Ok(buffer)
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let is_last = piece.as_ref().map_or(true, Vec::is_empty);
            let mut state = self.wait_while(|state| state.next.is_some() && !state.over);
            if state.over {
                return;
            }
            state.next = Some(piece);
            drop(state);
            self.changed.notify_all();
            if is_last {
                return;
            }
        }
    }

    /// The next piece. What was read already is not wanted either, once nobody wants the rest.
    fn take(&self) -> io::Result<Vec<u8>> {
        self.lock().waiting = true;
        let mut state = self.wait_while(|state| state.next.is_none() && !state.over);
        state.waiting = false;
        if state.over {
            return Err(io::Error::other("nobody wants the rest"));
        }
        let next = state.next.take();
        drop(state);
        self.changed.notify_all();
        next.unwrap_or_else(|| Ok(Vec::new()))
    }

    fn wait_while(&self, mut holds: impl FnMut(&PipeState) -> bool) -> MutexGuard<'_, PipeState> {
        let mut state = self.lock();
        self.changed.wait_while(&mut state, |state| holds(state));
        state
    }

    fn lock(&self) -> MutexGuard<'_, PipeState> {
        self.state.lock()
    }
}

impl std::fmt::Debug for PipeInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pipe that a thread fills from what a story writes.
    fn pipe() -> (PipeReader, PipeInput, io::PipeWriter, thread::JoinHandle<()>) {
        let (reader, writer) = io::pipe().unwrap();
        let shared = Arc::new(PipeShared::default());
        let fill = shared.clone();
        let thread = thread::spawn(move || fill.fill(reader));
        let pipe = PipeReader { shared: shared.clone(), piece: Vec::new(), taken: 0, ended: false };
        (pipe, PipeInput { shared, stream: Arc::default() }, writer, thread)
    }

    #[test]
    fn what_comes_is_read_to_its_end() {
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
        // And nothing comes after it.
        assert_eq!(pipe.read(&mut [0; 8]).unwrap(), 0);
        thread.join().unwrap();
    }

    #[test]
    fn whoever_waits_is_told_that_nobody_wants_the_rest() {
        let (mut pipe, input, _writer, _thread) = pipe();
        let end = input.end_on_drop();
        let reader = thread::spawn(move || pipe.read(&mut [0; 8]));
        while !input.is_waiting() {
            thread::yield_now();
        }
        drop(end);
        assert!(reader.join().unwrap().is_err());
    }

    #[test]
    fn who_comes_to_wait_later_is_told_too() {
        use std::io::Write as _;
        let (mut pipe, input, mut writer, thread) = pipe();
        writer.write_all(b"a beginning").unwrap();
        // It has come, and nobody has taken it.
        while input.shared.lock().next.is_none() {
            thread::yield_now();
        }
        drop(input.end_on_drop());
        assert!(pipe.read(&mut [0; 64]).is_err());
        // The thread that reads ends with the next thing it hears.
        drop(writer);
        thread.join().unwrap();
    }
}
