//! Log lines, written by a thread of their own: who logs never waits for the output. What the output does not
//! take is dropped and counted. Knows nothing of what the lines say.

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
const QUEUE: usize = 1024 * 1024;

/// How long the first line after a pause waits for others.
const GATHER: Duration = Duration::from_millis(1);

/// How often an output that failed is tried again while there are dropped lines to report.
const RETRY: Duration = Duration::from_secs(1);

/// The log's output. Cheap to clone; a write is one whole line, and always succeeds.
#[derive(Clone)]
pub struct LogWriter(Arc<LogWriterShared>);

/// Logs that so many lines were dropped.
type DroppedLinesReport = Box<dyn Fn(u64) + Send + Sync>;

struct LogWriterShared {
    state: Mutex<LogWriterState>,
    /// There are lines to write.
    work: Condvar,
    /// All lines were written or dropped.
    idle: Condvar,
    dropped: AtomicU64,
    report: DroppedLinesReport,
    writer: OnceLock<ThreadId>,
}

#[derive(Default)]
struct LogWriterState {
    queue: VecDeque<Box<[u8]>>,
    /// Bytes in the queue.
    bytes: usize,
    /// A line found the queue full. Until the queue is empty again all lines are dropped, so that there is one
    /// gap in the log and one report of it.
    is_full: bool,
    /// Lines that were dropped and not reported.
    unreported: u64,
    /// The line that `report` made.
    report_line: Option<Box<[u8]>>,
    is_writing: bool,
}

/// The output, and what became of the last write.
struct LogOutput {
    file: File,
    has_failed: bool,
    /// The last line was cut off by an error.
    is_cut: bool,
}

impl LogWriter {
    /// Starts the thread that writes to `output`. Once dropped lines can be reported, `report` is called on that
    /// thread with their number: it logs one line, through this writer.
    ///
    /// The thread never ends and does not keep the process alive.
    ///
    /// # Errors
    /// Where no thread can be had.
    pub fn start(output: File, report: impl Fn(u64) + Send + Sync + 'static) -> io::Result<Self> {
        let shared = Arc::new(LogWriterShared {
            state: Mutex::default(),
            work: Condvar::new(),
            idle: Condvar::new(),
            dropped: AtomicU64::new(0),
            report: Box::new(report),
            writer: OnceLock::new(),
        });
        let (worker, output) =
            (shared.clone(), LogOutput { file: output, has_failed: false, is_cut: false });
        thread::Builder::new().name("log".to_owned()).spawn(move || worker.run(output))?;
        Ok(Self(shared))
    }

    /// Lines that were dropped since the start.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Waits until all lines so far were written or dropped, and no longer than `timeout`.
    pub fn flush(&self, timeout: Duration) {
        let mut state = self.0.lock();
        let is_busy = |state: &mut LogWriterState| state.is_writing || !state.queue.is_empty();
        // Whether it was in time makes no difference to who is about to end.
        self.0.idle.wait_while_for(&mut state, is_busy, timeout);
    }
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for LogWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogWriter").field("dropped", &self.dropped()).finish_non_exhaustive()
    }
}

impl LogWriterShared {
    fn add(&self, line: &[u8]) {
        let mut state = self.lock();
        if self.writer.get() == Some(&thread::current().id()) {
            state.report_line = Some(line.into());
            return;
        }
        state.is_full |= state.bytes + line.len() > QUEUE;
        if state.is_full {
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
        // Set once, here.
        let _ = self.writer.set(thread::current().id());
        let mut state = self.lock();
        loop {
            if let Some(line) = state.queue.pop_front() {
                state.bytes -= line.len();
                state.is_writing = true;
                drop(state);
                // After a failure the gap is reported first, where it is.
                let is_written =
                    (!output.has_failed || self.report(&mut output)) && output.write(&line);
                state = self.lock();
                if !is_written {
                    self.drop_line(&mut state);
                }
                continue;
            }
            state.is_full = false;
            if state.unreported > 0 && !output.has_failed {
                state.is_writing = true;
                drop(state);
                self.report(&mut output);
                state = self.lock();
                continue;
            }
            state.is_writing = false;
            self.idle.notify_all();
            state = self.wait(state, &mut output);
        }
    }

    /// Waits for a line; in the meantime tries an output that has failed.
    fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, LogWriterState>,
        output: &mut LogOutput,
    ) -> MutexGuard<'a, LogWriterState> {
        if state.unreported == 0 {
            self.work.wait(&mut state);
            drop(state);
            // Who logs the next lines wakes nobody: waking a thread costs more than a line does.
            thread::park_timeout(GATHER);
            return self.lock();
        }
        if self.work.wait_for(&mut state, RETRY).timed_out() {
            state.is_writing = true;
            drop(state);
            self.report(output);
            state = self.lock();
        }
        state
    }

    /// Reports the lines that were dropped; whether the output took it.
    fn report(&self, output: &mut LogOutput) -> bool {
        let count = self.lock().unreported;
        (self.report)(count);
        // Where the log's filter leaves the report out, there is nothing to write.
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
    /// Writes a whole line; whether all of it was taken.
    fn write(&mut self, line: &[u8]) -> bool {
        let result = self.finish_cut_line().and_then(|()| self.write_all(line));
        self.has_failed = result.is_err();
        result.is_ok()
    }

    fn finish_cut_line(&mut self) -> io::Result<()> {
        if self.is_cut {
            self.write_all(b"\n")?;
            self.is_cut = false;
        }
        Ok(())
    }

    fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let whole = bytes.len();
        while !bytes.is_empty() {
            match self.file.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Another process has made it non-blocking: for this one too.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    unix::wait_until_writable(&self.file)?;
                }
                Err(error) => {
                    self.is_cut |= bytes.len() < whole;
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
