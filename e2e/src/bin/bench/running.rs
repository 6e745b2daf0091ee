//! Processes that end with their handles, and everything at once when this program is interrupted.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process, set_child_subreaper};
use tokio::signal::unix::{SignalKind, signal};

use crate::proc;

/// Whether everything is being ended.
static ENDING: AtomicBool = AtomicBool::new(false);

/// Folders that must not outlive this program.
static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// What Ctrl-C leaves as the exit code of a shell's command (128 and the signal's number).
const INTERRUPTED: i32 = 130;

/// Makes sure that nothing outlives this program, however it is asked to end.
pub(crate) fn guard() {
    // What a server's session leaves behind becomes this process's child, and is found by its id.
    let _ = set_child_subreaper(Some(rustix::process::getpid()));
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        wait_if_ending();
        told(panic);
    }));
    std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut interrupt = signal(SignalKind::interrupt()).unwrap();
            let mut terminate = signal(SignalKind::terminate()).unwrap();
            let mut hangup = signal(SignalKind::hangup()).unwrap();
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
        });
        ENDING.store(true, Ordering::SeqCst);
        end_descendants(std::process::id());
        for folder in FOLDERS.lock().drain(..) {
            let _ = fs::remove_dir_all(folder);
        }
        std::process::exit(INTERRUPTED);
    });
}

/// A new folder that is removed with its handle, or when this program is interrupted.
pub(crate) fn folder(parent: &std::path::Path) -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("quiver-bench-").tempdir_in(parent).unwrap();
    FOLDERS.lock().push(folder.path().to_owned());
    folder
}

/// Where everything is being ended, what fails does so for that reason, and is nobody's news.
fn wait_if_ending() {
    while ENDING.load(Ordering::SeqCst) {
        std::thread::park();
    }
}

/// A process that ends with its handle, and its descendants with it.
#[derive(Debug)]
pub(crate) struct Running(Child);

impl Running {
    /// Starts a command.
    pub(crate) fn start(command: &mut Command) -> Self {
        wait_if_ending();
        match command.spawn() {
            Ok(child) => Self(child),
            Err(error) => panic!("cannot start {command:?}: {error}"),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            let descendants = proc::descendants(self.id());
            let _ = self.0.kill();
            descendants.into_iter().for_each(end);
        }
        let _ = self.0.wait();
    }
}

/// Ends whatever this process started, until nothing is left.
fn end_descendants(pid: u32) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while let Some(alive) = living(pid) {
        alive.into_iter().for_each(end);
        if Instant::now() > deadline {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// The descendants that have not ended: what has is without memory, even if nobody waited for it yet.
fn living(pid: u32) -> Option<Vec<u32>> {
    let mut alive = proc::descendants(pid);
    alive.retain(|pid| proc::peak_memory(*pid).is_some());
    (!alive.is_empty()).then_some(alive)
}

fn end(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended by itself.
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Waits until `done`, asked again and again.
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not within 30 s");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}
