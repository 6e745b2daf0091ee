//! Writes log lines on a separate thread, so that a thread that logs never waits for the output.
//! Lines that the output does not accept are dropped and counted. Does not format lines.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, ThreadId};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::unix;

/// Bytes of lines that may wait for the output: some seconds of a busy server's log.
const QUEUE_LIMIT: usize = 1024 * 1024;

/// How long the thread waits for further lines after the first line that follows a pause.
const BATCH_DELAY: Duration = Duration::from_millis(1);

/// How often a failed output is tried again while there are dropped lines to report.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Queues log lines for the writing thread. Cheap to clone.
///
/// Each write is one whole line, and always succeeds.
#[derive(Clone)]
pub struct LogWriter(Arc<LogWriterShared>);

/// Logs that a number of lines were dropped.
type DroppedLinesReporter = Box<dyn Fn(u64) + Send + Sync>;

struct LogWriterShared {
    state: Mutex<LogWriterState>,
    /// Notified when there are lines to write.
    work: Condvar,
    /// Notified when all lines were written or dropped.
    idle: Condvar,
    dropped: AtomicU64,
    report_dropped: DroppedLinesReporter,
    writer_thread: OnceLock<ThreadId>,
}

#[derive(Default)]
struct LogWriterState {
    queue: VecDeque<Box<[u8]>>,
    /// Bytes in the queue.
    bytes: usize,
    /// Whether new lines are dropped: from the first line that does not fit the queue until the
    /// queue is empty, so that the log has one gap and one report of it.
    is_dropping: bool,
    /// Dropped lines that were not reported yet.
    unreported: u64,
    /// The line that `report_dropped` has logged.
    report_line: Option<Box<[u8]>>,
    is_writing: bool,
}

/// The output, and the result of the last write.
struct LogOutput {
    file: File,
    has_failed: bool,
    /// Whether an error interrupted the last line, of which the output has only the beginning.
    has_partial_line: bool,
}

impl LogWriter {
    /// Starts the thread that writes to `output`. After lines were dropped, and once the output
    /// works again, that thread calls `report_dropped` with their number, which logs one line
    /// through this writer.
    ///
    /// The thread never ends and does not keep the process alive.
    ///
    /// # Errors
    /// If the system cannot start a thread.
    pub fn start(
        output: File,
        report_dropped: impl Fn(u64) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(LogWriterShared {
            state: Mutex::default(),
            work: Condvar::new(),
            idle: Condvar::new(),
            dropped: AtomicU64::new(0),
            report_dropped: Box::new(report_dropped),
            writer_thread: OnceLock::new(),
        });
        let worker = shared.clone();
        let output = LogOutput { file: output, has_failed: false, has_partial_line: false };
        thread::Builder::new().name("log".to_owned()).spawn(move || worker.run(output))?;
        Ok(Self(shared))
    }

    /// Number of lines that were dropped since the start.
    #[must_use]
    pub fn dropped_lines(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Waits until all lines logged so far were written or dropped, for at most `timeout`.
    pub fn flush(&self, timeout: Duration) {
        let mut state = self.0.lock();
        let is_busy = |state: &mut LogWriterState| state.is_writing || !state.queue.is_empty();
        // The caller is about to exit and does not need to know whether the timeout passed.
        self.0.idle.wait_while_for(&mut state, is_busy, timeout);
    }
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.enqueue(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for LogWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogWriter")
            .field("dropped_lines", &self.dropped_lines())
            .finish_non_exhaustive()
    }
}

impl LogWriterShared {
    fn enqueue(&self, line: &[u8]) {
        let mut state = self.lock();
        if self.writer_thread.get() == Some(&thread::current().id()) {
            state.report_line = Some(line.into());
            return;
        }
        state.is_dropping |= state.bytes + line.len() > QUEUE_LIMIT;
        if state.is_dropping {
            self.drop_line(&mut state);
        } else {
            state.bytes += line.len();
            state.queue.push_back(line.into());
        }
        self.work.notify_one();
    }

    fn drop_line(&self, state: &mut LogWriterState) {
        state.unreported += 1;
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    fn run(&self, mut output: LogOutput) {
        // Fails only if it is set already, and nothing else sets it.
        let _ = self.writer_thread.set(thread::current().id());
        let mut state = self.lock();
        // Whether a line was taken since the last pause.
        let mut is_busy = false;
        loop {
            if let Some(line) = state.queue.pop_front() {
                state.bytes -= line.len();
                state.is_writing = true;
                is_busy = true;
                drop(state);
                // After a failure the dropped lines are reported first, at the position of the gap.
                let is_written =
                    (!output.has_failed || self.write_report(&mut output)) && output.write(&line);
                state = self.lock();
                if !is_written {
                    self.drop_line(&mut state);
                }
                continue;
            }
            state.is_dropping = false;
            if state.unreported > 0 && !output.has_failed {
                state.is_writing = true;
                drop(state);
                self.write_report(&mut output);
                state = self.lock();
                continue;
            }
            state.is_writing = false;
            self.idle.notify_all();
            state = if std::mem::take(&mut is_busy) && state.unreported == 0 {
                drop(state);
                self.pause()
            } else {
                self.wait(state, &mut output)
            };
        }
    }

    /// Lets lines gather. Until the thread waits for lines again, a thread that logs need not wake
    /// it, which costs more than writing a line.
    fn pause(&self) -> MutexGuard<'_, LogWriterState> {
        thread::park_timeout(BATCH_DELAY);
        self.lock()
    }

    /// Waits for a line. Meanwhile, if dropped lines are unreported, tries a failed output again.
    fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, LogWriterState>,
        output: &mut LogOutput,
    ) -> MutexGuard<'a, LogWriterState> {
        if state.unreported == 0 {
            self.work.wait(&mut state);
            drop(state);
            return self.pause();
        }
        if self.work.wait_for(&mut state, RETRY_INTERVAL).timed_out() {
            state.is_writing = true;
            drop(state);
            self.write_report(output);
            state = self.lock();
        }
        state
    }

    /// Writes a report of the dropped lines. Returns whether the output accepted it.
    fn write_report(&self, output: &mut LogOutput) -> bool {
        let count = self.lock().unreported;
        (self.report_dropped)(count);
        // There is no line if the log's filter rejects the report.
        let line = self.lock().report_line.take();
        let is_written = line.is_none_or(|line| output.write(&line));
        if is_written {
            self.lock().unreported -= count;
        }
        is_written
    }

    fn lock(&self) -> MutexGuard<'_, LogWriterState> {
        self.state.lock()
    }
}

impl LogOutput {
    /// Writes a whole line. Returns whether the output accepted all of it.
    fn write(&mut self, line: &[u8]) -> bool {
        let result = self.end_partial_line().and_then(|()| self.write_all(line));
        self.has_failed = result.is_err();
        result.is_ok()
    }

    fn end_partial_line(&mut self) -> io::Result<()> {
        if self.has_partial_line {
            self.write_all(b"\n")?;
            self.has_partial_line = false;
        }
        Ok(())
    }

    fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let length = bytes.len();
        while !bytes.is_empty() {
            match self.file.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Another process that shares the output has made it non-blocking.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    unix::wait_until_writable(&self.file)?;
                }
                Err(error) => {
                    self.has_partial_line |= bytes.len() < length;
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
