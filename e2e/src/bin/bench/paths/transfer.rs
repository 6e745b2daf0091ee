//! One transfer of a file over an emulated path: its time with everything before and after the content, and what the path
//! did meanwhile.

use std::fs::{self, File};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use quiver_e2e::path_emulator::{LinkCounters, LinkSettings};
use serde_json::json;

use super::iperf;
use super::testbed::{PathTestbed, content_direction, kind_name};
use super::validity::ValidityCheck;
use crate::child_process::ChildProcess;
use crate::cli::PathProgram;
use crate::fixtures::{FILES, remove};
use crate::peers::sendme::{self, SendmeSender};
use crate::peers::{Invocation, Job, Peer};

/// A transfer that takes so many times longer than the link needs for the content is stopped.
const LIMIT: f64 = 4.0;
/// A shorter transfer is not stopped earlier than this.
const SHORTEST_LIMIT: Duration = Duration::from_secs(20);
/// Interval of the checks whether a client has exited.
const INTERVAL: Duration = Duration::from_millis(2);

/// What one transfer has reached.
#[derive(Debug, Clone)]
pub(crate) struct PathTransfer {
    /// From the start of the client's process to its exit.
    pub(crate) seconds: f64,
    /// Content over time as a share of the link's rate. Of a stopped transfer, what the path has delivered until then:
    /// an upper bound.
    pub(crate) share: f64,
    pub(crate) end: TransferEnd,
    /// Of the direction of the content.
    pub(crate) counters: LinkCounters,
    /// Whether the emulator could not keep up.
    pub(crate) is_void: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TransferEnd {
    Complete,
    /// It was stopped at the time limit.
    Stopped,
    /// With the client's message.
    Failed(String),
}

/// Transfers a file with one program over the path as it is. `name` is that of the path, for the record.
pub(crate) fn measure(
    testbed: &PathTestbed,
    program: PathProgram,
    job: &Job,
    link: &LinkSettings,
    name: &str,
) -> PathTransfer {
    let path = &testbed.path;
    if let Some(control) = program.tcp_congestion_control() {
        assert!(path.set_tcp_congestion_control(control), "{control} was there before");
    }
    let content = testbed.work_folder.path(FILES).join(&job.name);
    let sendme = (program.peer() == Some(Peer::Sendme))
        .then(|| path.server().run(|| SendmeSender::start(&testbed.work_folder, &content)));
    let iperf = program.peer().is_none().then(|| iperf::start_server(path));
    let invocation = Invocation {
        job,
        work_folder: &testbed.work_folder,
        quiver: testbed.quiver.address,
        sshd: testbed.sshd.as_ref(),
        nginx: None,
        sendme: sendme.as_ref(),
        croc: None,
    };
    let received = invocation.target().join(&job.name);
    testbed.work_folder.remove_transferred();
    testbed.drain();
    let direction = content_direction(job.kind);
    let (before, validity) = (path.counters(direction), ValidityCheck::start(path));
    path.restart_peaks(direction);
    let rate = link.rate.expect("a path with a rate") as f64;
    let ideal = job.bytes as f64 * 8.0 / rate;
    let limit = Duration::from_secs_f64(ideal * LIMIT).max(SHORTEST_LIMIT);
    let (seconds, end) = run(testbed, program.command(&invocation, link), limit);
    let (counters, is_void) = (path.counters(direction).since(&before), validity.is_void());
    let end = match (&end, program.peer()) {
        (TransferEnd::Complete, Some(_)) => check_size(&received, job.bytes),
        _ => end,
    };
    let bytes = match end {
        TransferEnd::Complete => job.bytes,
        TransferEnd::Stopped => counters.bytes_out,
        TransferEnd::Failed(_) => 0,
    };
    // Also what a killed client would resume the next time.
    testbed.work_folder.remove_transferred();
    drop((sendme, iperf));
    remove(&testbed.work_folder.path(sendme::STORE));
    let share = bytes as f64 * 8.0 / seconds / rate;
    let transfer = PathTransfer { seconds, share, end, counters, is_void };
    record(testbed, program, job, name, &transfer);
    transfer
}

/// Runs a client until it exits, or kills it at the limit.
fn run(
    testbed: &PathTestbed,
    mut command: std::process::Command,
    limit: Duration,
) -> (f64, TransferEnd) {
    let errors = testbed.work_folder.path("stderr");
    let stderr = File::create(&errors).unwrap();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
    testbed.path.client().run(|| {
        let start = Instant::now();
        let mut client = ChildProcess::start(&mut command);
        let status: Option<ExitStatus> = loop {
            match client.child().try_wait().unwrap() {
                Some(status) => break Some(status),
                None if start.elapsed() > limit => break None,
                None => std::thread::park_timeout(INTERVAL),
            }
        };
        let seconds = start.elapsed().as_secs_f64();
        let end = match status {
            None => TransferEnd::Stopped,
            Some(status) if status.success() => TransferEnd::Complete,
            Some(status) => {
                let output = fs::read(&errors).unwrap_or_default();
                let output = String::from_utf8_lossy(&output).trim().to_owned();
                TransferEnd::Failed(format!("{status}: {output}"))
            }
        };
        (seconds, end)
    })
}

fn check_size(received: &std::path::Path, bytes: u64) -> TransferEnd {
    match fs::metadata(received) {
        Ok(metadata) if metadata.len() == bytes => TransferEnd::Complete,
        Ok(metadata) => TransferEnd::Failed(format!("it has {} bytes", metadata.len())),
        Err(error) => TransferEnd::Failed(error.to_string()),
    }
}

fn record(
    testbed: &PathTestbed,
    program: PathProgram,
    job: &Job,
    name: &str,
    transfer: &PathTransfer,
) {
    let end = match &transfer.end {
        TransferEnd::Complete => "complete",
        TransferEnd::Stopped => "stopped",
        TransferEnd::Failed(message) => {
            eprintln!("{} failed: {message}", program.name());
            message
        }
    };
    testbed.record(&json!({
        "measurement": "transfer",
        "path": name,
        "program": program.name(),
        "direction": kind_name(job.kind),
        "bytes": job.bytes,
        "seconds": transfer.seconds,
        "share_of_link": transfer.share,
        "end": end,
        "void": transfer.is_void,
        "link": transfer.counters.to_json(),
    }));
}
