//! A running program: its output, signals to it, its resources and its exit. Knows nothing of what the
//! program does.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

pub use rustix::process::Signal;
use rustix::process::{Resource, Rlimit, prlimit};
use tokio::sync::watch;

use crate::deadline::wait_within;

/// A started program. A drop kills and reaps it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    status: Option<ExitStatus>,
    readers: Vec<JoinHandle<()>>,
    /// The lines of standard output so far.
    pub stdout: Lines,
    /// The lines of standard error so far.
    pub stderr: Lines,
}

/// The exit status and the output of a program that has exited.
#[derive(Debug)]
pub struct ProgramOutput {
    /// Its exit status.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl ProgramOutput {
    /// Its exit code.
    ///
    /// # Panics
    /// If a signal ended it.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("ended by a signal: {self:?}"))
    }

    /// Checks the exit code.
    ///
    /// # Panics
    /// If it is another; the message contains the output.
    #[track_caller]
    pub fn expect(&self, code: i32) -> &Self {
        assert_eq!(self.code(), code, "{}{}", self.stdout, self.stderr);
        self
    }
}

/// A process's memory, in KiB.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Resident now.
    pub resident: u64,
    /// The peak of the resident memory.
    pub peak: u64,
}

impl Process {
    /// Starts a program with an empty standard input.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        Self::start_with_stdio(command.stdin(Stdio::null()).stdout(Stdio::piped()))
    }

    /// Starts a program with the standard input and output of the command. The lines of the output are
    /// collected if it is piped.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start_with_stdio(command: &mut Command) -> Self {
        Self::start_with_stderr(command, Stdio::piped())
    }

    /// Like [`start_with_stdio`](Self::start_with_stdio) with another standard error, whose lines are collected
    /// if it is piped.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start_with_stderr(command: &mut Command, stderr: impl Into<Stdio>) -> Self {
        command.stderr(stderr);
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let (stdout, stderr) = (Lines::default(), Lines::default());
        let mut readers = Vec::new();
        match child.stderr.take() {
            Some(output) => readers.push(stderr.collect(output)),
            None => stderr.lock().is_closed = true,
        }
        match child.stdout.take() {
            Some(output) => readers.push(stdout.collect(output)),
            None => stdout.lock().is_closed = true,
        }
        Self { child, status: None, readers, stdout, stderr }
    }

    /// The process id. It stays valid until the process is dropped or was waited for.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// If the process was waited for already.
    pub fn signal(&self, signal: Signal) {
        assert!(self.status.is_none(), "the process has ended");
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, signal)
            .expect("a process that is not reaped takes signals");
    }

    /// Waits for the process to exit.
    ///
    /// # Panics
    /// If it does not exit within `limit`.
    pub async fn wait_for_exit(&mut self, limit: Duration) -> ExitStatus {
        wait_within(limit, "the end of a process", async {
            self.stdout.wait_for_close().await;
            self.stderr.wait_for_close().await;
        })
        .await;
        self.reap()
    }

    /// Its memory.
    ///
    /// # Panics
    /// If the process has exited.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse().unwrap()
        };
        Memory { resident: field("VmRSS:"), peak: field("VmHWM:") }
    }

    /// The processor time of its threads.
    ///
    /// # Panics
    /// If the process has exited.
    #[must_use]
    pub fn processor_time(&self) -> Duration {
        processor_time(self.id())
    }

    /// The bytes that it has read from files and pipes (proc(5): rchar). Not those of sockets. It may have exited, if
    /// it was not waited for.
    ///
    /// # Panics
    /// If it was waited for already.
    #[must_use]
    pub fn read_bytes(&self) -> u64 {
        assert!(self.status.is_none(), "the process has ended");
        let io = std::fs::read_to_string(format!("/proc/{}/io", self.id())).unwrap();
        let count = io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap();
        count.parse().unwrap()
    }

    /// Limits the size of the files it writes from now on (RLIMIT_FSIZE).
    ///
    /// # Panics
    /// If the process has exited.
    pub fn limit_file_size(&self, bytes: u64) {
        let id = rustix::process::Pid::from_child(&self.child);
        let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
        prlimit(Some(id), Resource::Fsize, limit).expect("a child's limits can be lowered");
    }

    /// The number of its open file descriptors.
    ///
    /// # Panics
    /// If the process has exited.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.id())).unwrap().count()
    }

    /// Waits without a timeout, for a process whose output is closed or that was killed.
    fn reap(&mut self) -> ExitStatus {
        if let Some(status) = self.status {
            return status;
        }
        let status = self.child.wait().expect("a child can be waited for");
        self.status = Some(status);
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.status.is_none() {
            // Fails only if the process has just exited.
            let _ = self.child.kill();
            self.reap();
        }
    }
}

/// The processor time of the threads of a process (proc(5): utime and stime).
///
/// # Panics
/// If there is no such process.
#[must_use]
pub fn processor_time(id: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    // The name in parentheses may contain anything; the fields after it are counted from 3.
    let fields = stat.rsplit_once(')').unwrap().1;
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
}

/// Runs a program until it exits, with `input` on its standard input.
///
/// # Panics
/// If it cannot be run.
#[must_use]
pub fn run(command: &mut Command, input: &[u8]) -> ProgramOutput {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    // Fails if the program exits before it has read all input.
    let _ = child.stdin.take().expect("it is piped").write_all(input);
    let output = child.wait_with_output().expect("a child can be waited for");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ProgramOutput {
        status: output.status,
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

/// The lines of a program's output so far.
#[derive(Debug, Clone)]
pub struct Lines {
    buffer: Arc<Mutex<LineBuffer>>,
    changed: Arc<watch::Sender<()>>,
}

#[derive(Debug, Default)]
struct LineBuffer {
    lines: Vec<String>,
    is_closed: bool,
}

impl Default for Lines {
    fn default() -> Self {
        Self { buffer: Arc::default(), changed: Arc::new(watch::Sender::new(())) }
    }
}

impl Lines {
    /// All lines so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lock().lines.clone()
    }

    /// Waits until `find` returns a value for a line, and returns that value. `find` is called once for each
    /// line, in order. `None` if the program closes its output first.
    pub async fn wait<T>(&self, mut find: impl FnMut(&str) -> Option<T>) -> Option<T> {
        let mut changed = self.changed.subscribe();
        let mut read = 0;
        loop {
            changed.mark_unchanged();
            let (new_lines, is_closed) = {
                let buffer = self.lock();
                (buffer.lines[read..].to_vec(), buffer.is_closed)
            };
            read += new_lines.len();
            if let Some(found) = new_lines.iter().find_map(|line| find(line)) {
                return Some(found);
            }
            if is_closed || changed.changed().await.is_err() {
                return None;
            }
        }
    }

    /// Waits until the program closes its output.
    pub async fn wait_for_close(&self) {
        self.wait(|_| None::<()>).await;
    }

    fn collect(&self, output: impl Read + Send + 'static) -> JoinHandle<()> {
        let lines = self.clone();
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            while output.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                let text = String::from_utf8_lossy(&line);
                lines.lock().lines.push(text.trim_end_matches('\n').to_owned());
                lines.changed.send_replace(());
                line.clear();
            }
            lines.lock().is_closed = true;
            lines.changed.send_replace(());
        })
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, LineBuffer> {
        self.buffer.lock()
    }
}
