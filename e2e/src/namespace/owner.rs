//! The processes in namespaces: a variable in their environment says which test started them. Ends those of a
//! network that is removed, and those of tests that were killed.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::deadline::TIMEOUT;

const VARIABLE: &str = "NAMESPACE_OWNER";

/// Marks a process that `command` will start, so that a later test ends it if this one is killed.
pub fn mark_as_owned(command: &mut Command) {
    let assignment = variable();
    if let Some((name, value)) = assignment.split_once('=') {
        command.env(name, value);
    }
}

/// The assignment that marks a process as started by this one.
pub(crate) fn variable() -> String {
    let id = std::process::id();
    format!("{VARIABLE}={id}-{}", start_time(id).expect("this process exists"))
}

/// Kills all processes in the namespaces, and waits until they have ended. Skips this process.
pub(crate) fn kill_processes_in(namespaces: &[u64]) {
    // Repeated because a process may start another one before it is killed.
    while kill_where(|process| {
        fs::metadata(process.join("ns/net")).is_ok_and(|file| namespaces.contains(&file.ino()))
    }) {}
}

/// Kills the processes whose test has ended without removing its networks, as a killed test does.
pub(crate) fn kill_abandoned_processes() {
    kill_where(|process| {
        let Ok(environment) = fs::read(process.join("environ")) else { return false };
        let mut variables = environment.split(|byte| *byte == 0);
        let owner = variables.find_map(|variable| {
            let value = std::ffi::OsStr::from_bytes(variable).to_str()?.strip_prefix(VARIABLE)?;
            let (id, start) = value.strip_prefix('=')?.split_once('-')?;
            Some((id.parse::<u32>().ok()?, start.to_owned()))
        });
        owner.is_some_and(|(id, start)| start_time(id) != Some(start))
    });
}

/// Kills the processes that `is_chosen` chooses by their folder in `/proc`. Returns whether there were any.
fn kill_where(is_chosen: impl Fn(&Path) -> bool) -> bool {
    let mut found = false;
    for entry in fs::read_dir("/proc").expect("/proc is mounted").flatten() {
        let id = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
        let Some(id) = id.and_then(Pid::from_raw) else { continue };
        if id == rustix::process::getpid() {
            continue;
        }
        // Opened before the check, so that it cannot refer to a later process with the same id.
        let Ok(process) = pidfd_open(id, PidfdFlags::empty()) else { continue };
        if !is_chosen(&entry.path()) {
            continue;
        }
        found = true;
        // Fails only if the process has just ended.
        let _ = pidfd_send_signal(&process, Signal::KILL);
        let timeout = Timespec { tv_sec: TIMEOUT.as_secs().cast_signed(), tv_nsec: 0 };
        let ended = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&timeout));
        // Not a panic, because a panicking test removes its lab too.
        if ended != Ok(1) {
            eprintln!("process {id} has not ended after {TIMEOUT:?}");
            return false;
        }
    }
    found
}

/// When a process started, in ticks since the machine did (proc(5): starttime).
fn start_time(id: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name in parentheses may contain anything; the fields after it are counted from 3.
    let fields = stat.rsplit_once(')')?.1;
    fields.split_whitespace().nth(19).map(ToOwned::to_owned)
}
