//! A program that runs: what it says, signals to it, what it holds, its end. Knows nothing of what the
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

use crate::deadline::within;

/// A started program. Dropped, it is killed and reaped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    status: Option<ExitStatus>,
    readers: Vec<JoinHandle<()>>,
    /// Standard output, as it comes.
    pub stdout: Lines,
    /// Standard error, as it comes.
    pub stderr: Lines,
}

/// What a program that has ended said.
#[derive(Debug)]
pub struct Finished {
    /// Its exit status.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Finished {
    /// Its exit code.
    ///
    /// # Panics
    /// Where a signal ended it.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("ended by a signal: {self:?}"))
    }

    /// Expects an exit code.
    ///
    /// # Panics
    /// Where it is another, with all that was said.
    #[track_caller]
    pub fn expect(&self, code: i32) -> &Self {
        assert_eq!(self.code(), code, "{}{}", self.stdout, self.stderr);
        self
    }
}

/// What a process holds in memory, in KiB.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Resident now.
    pub resident: u64,
    /// The most that was ever resident.
    pub peak: u64,
}

impl Process {
    /// Starts a program, with nothing on its standard input.
    ///
    /// # Panics
    /// Where it cannot be started.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        Self::start_as_is(command.stdin(Stdio::null()).stdout(Stdio::piped()))
    }

    /// Starts a program with the standard input and output that the command has. There are lines of an
    /// output that is piped.
    ///
    /// # Panics
    /// Where it cannot be started.
    #[must_use]
    pub fn start_as_is(command: &mut Command) -> Self {
        Self::start_with_stderr(command, Stdio::piped())
    }

    /// The same with another standard error, of which there are no lines unless it is piped.
    ///
    /// # Panics
    /// Where it cannot be started.
    #[must_use]
    pub fn start_with_stderr(command: &mut Command, stderr: impl Into<Stdio>) -> Self {
        command.stderr(stderr);
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let (stdout, stderr) = (Lines::default(), Lines::default());
        let mut readers = Vec::new();
        match child.stderr.take() {
            Some(output) => readers.push(stderr.collect(output)),
            None => stderr.lock().closed = true,
        }
        match child.stdout.take() {
            Some(output) => readers.push(stdout.collect(output)),
            None => stdout.lock().closed = true,
        }
        Self { child, status: None, readers, stdout, stderr }
    }

    /// The process's number. It stays this process's until it is dropped or its end was seen.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// Where the process's end was seen already.
    pub fn signal(&self, signal: Signal) {
        assert!(self.status.is_none(), "the process has ended");
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, signal)
            .expect("a process that is not reaped takes signals");
    }

    /// Waits for the end of the process.
    ///
    /// # Panics
    /// When it does not end within `patience`.
    pub async fn ended(&mut self, patience: Duration) -> ExitStatus {
        within(patience, "the end of a process", async {
            self.stdout.closed().await;
            self.stderr.closed().await;
        })
        .await;
        self.reap()
    }

    /// What it holds in memory.
    ///
    /// # Panics
    /// Where the process has ended.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse().unwrap()
        };
        Memory { resident: field("VmRSS:"), peak: field("VmHWM:") }
    }

    /// How long its threads have had a processor (proc(5): utime and stime).
    ///
    /// # Panics
    /// Where the process has ended.
    #[must_use]
    pub fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap();
        // The name in parentheses may hold anything; the fields behind it are counted from 3.
        let fields = stat.rsplit_once(')').unwrap().1;
        let ticks: u64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(|ticks| ticks.parse::<u64>().unwrap())
            .sum();
        Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
    }

    /// From now on the system lets no file of its grow beyond so many bytes.
    ///
    /// # Panics
    /// Where the process has ended.
    pub fn limit_its_files(&self, bytes: u64) {
        let id = rustix::process::Pid::from_child(&self.child);
        let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
        prlimit(Some(id), Resource::Fsize, limit).expect("a child's limits can be lowered");
    }

    /// How many descriptors it has open.
    ///
    /// # Panics
    /// Where the process has ended.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.id())).unwrap().count()
    }

    /// Waits without a deadline: for a process whose output is closed, or that was killed.
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
            // Fails only for one that has just ended.
            let _ = self.child.kill();
            self.reap();
        }
    }
}

/// Runs a program to its end, with `input` on its standard input.
///
/// # Panics
/// Where it cannot be run.
#[must_use]
pub fn run(command: &mut Command, input: &[u8]) -> Finished {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    // A program that has read enough, or nothing, closes its end.
    let _ = child.stdin.take().expect("it is piped").write_all(input);
    let output = child.wait_with_output().expect("a child can be waited for");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Finished { status: output.status, stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

/// The lines a program has said so far.
#[derive(Debug, Clone)]
pub struct Lines {
    said: Arc<Mutex<Said>>,
    news: Arc<watch::Sender<()>>,
}

#[derive(Debug, Default)]
struct Said {
    lines: Vec<String>,
    closed: bool,
}

impl Default for Lines {
    fn default() -> Self {
        Self { said: Arc::default(), news: Arc::new(watch::Sender::new(())) }
    }
}

impl Lines {
    /// All lines so far.
    #[must_use]
    pub fn so_far(&self) -> Vec<String> {
        self.lock().lines.clone()
    }

    /// Waits until `find` makes something of the lines, each of which it is shown once, in order.
    /// `None` when the program closes its output before that.
    pub async fn wait<T>(&self, mut find: impl FnMut(&str) -> Option<T>) -> Option<T> {
        let mut news = self.news.subscribe();
        let mut shown = 0;
        loop {
            news.mark_unchanged();
            let (fresh, closed) = {
                let said = self.lock();
                (said.lines[shown..].to_vec(), said.closed)
            };
            shown += fresh.len();
            if let Some(found) = fresh.iter().find_map(|line| find(line)) {
                return Some(found);
            }
            if closed || news.changed().await.is_err() {
                return None;
            }
        }
    }

    /// Waits until the program closes its output.
    pub async fn closed(&self) {
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
                lines.news.send_replace(());
                line.clear();
            }
            lines.lock().closed = true;
            lines.news.send_replace(());
        })
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, Said> {
        self.said.lock()
    }
}
