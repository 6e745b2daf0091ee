//! Child processes that are killed with their handles, and all of them when this program is interrupted.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process, set_child_subreaper};
use tokio::signal::unix::{SignalKind, signal};

use crate::proc;

/// Whether this program is stopping.
static STOPPING: AtomicBool = AtomicBool::new(false);

/// Folders that are removed when this program is interrupted.
static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// The exit code after Ctrl-C, by a shell's convention (128 plus the signal's number).
const INTERRUPTED: i32 = 130;

/// Installs the handlers that kill all child processes and remove all folders when a signal ends this program.
pub(crate) fn install_cleanup() {
    // Orphans of a server's session become children of this process, which finds them by its own id.
    let _ = set_child_subreaper(Some(rustix::process::getpid()));
    let default_hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        wait_if_stopping();
        default_hook(panic);
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
        STOPPING.store(true, Ordering::SeqCst);
        kill_descendants(std::process::id());
        for folder in FOLDERS.lock().drain(..) {
            let _ = fs::remove_dir_all(folder);
        }
        std::process::exit(INTERRUPTED);
    });
}

/// Creates a folder that is removed with its handle, or when this program is interrupted.
pub(crate) fn temporary_folder(parent: &std::path::Path) -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("quiver-bench-").tempdir_in(parent).unwrap();
    FOLDERS.lock().push(folder.path().to_owned());
    folder
}

/// Blocks for ever if this program is stopping: failures are then caused by the stop, and must not be reported.
fn wait_if_stopping() {
    while STOPPING.load(Ordering::SeqCst) {
        std::thread::park();
    }
}

/// A process that is killed with its descendants when its handle is dropped.
#[derive(Debug)]
pub(crate) struct ChildProcess(Child);

impl ChildProcess {
    /// Starts a command.
    pub(crate) fn start(command: &mut Command) -> Self {
        wait_if_stopping();
        quiver_e2e::namespace::mark_as_owned(command);
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

impl Drop for ChildProcess {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            let descendants = proc::descendants(self.id());
            let _ = self.0.kill();
            descendants.into_iter().for_each(kill);
        }
        let _ = self.0.wait();
    }
}

/// Kills all descendants of a process, until none is left.
fn kill_descendants(pid: u32) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while let Some(alive) = living_descendants(pid) {
        alive.into_iter().for_each(kill);
        if Instant::now() > deadline {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// The descendants that have not exited. An exited process has no memory, even before it was waited for.
fn living_descendants(pid: u32) -> Option<Vec<u32>> {
    let mut alive = proc::descendants(pid);
    alive.retain(|pid| proc::peak_memory(*pid).is_some());
    (!alive.is_empty()).then_some(alive)
}

fn kill(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // Fails if it has exited by itself.
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Polls `condition` until it is true.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not within 30 s");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}
