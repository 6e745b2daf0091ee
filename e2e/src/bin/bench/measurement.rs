//! Measures the duration, processor time and memory of transfers. The programs alternate, so that other load of
//! the machine affects all of them.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::child_process::ChildProcess;
use crate::fixtures::{FILES, WorkFolder, remove};
use crate::peers::croc::CrocSender;
use crate::peers::sendme::{self, SendmeSender};
use crate::peers::{Invocation, Job, Peer};
use crate::proc;
use crate::testbed::Testbed;

/// Interval of the memory samples.
const MEMORY_INTERVAL: Duration = Duration::from_millis(10);

/// The measured values of one transfer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// From the start of the client's process to its end.
    pub(crate) seconds: f64,
    /// Processor seconds of both ends.
    pub(crate) processor: f64,
    /// Peak memory in MiB, summed over the processes of an end.
    pub(crate) client_memory: f64,
    pub(crate) server_memory: f64,
}

/// Medians of all rounds of a peer; of memory, the maximum.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measurement {
    pub(crate) peer: Peer,
    pub(crate) seconds: f64,
    pub(crate) processor: f64,
    pub(crate) client_memory: f64,
    pub(crate) server_memory: f64,
}

/// Measures a job with each peer that can do it. The peers alternate.
pub(crate) fn measure_in_turns(testbed: &Testbed, job: &Job, rounds: usize) -> Vec<Measurement> {
    let peers = testbed.peers_for(job);
    let mut samples = vec![Vec::new(); peers.len()];
    for round in 0..=rounds {
        for (peer, samples) in peers.iter().zip(&mut samples) {
            // The first round warms up caches, and compares the content.
            let sample = measure_once(testbed, *peer, job, round == 0);
            if round > 0 {
                samples.push(sample);
            }
        }
    }
    peers
        .into_iter()
        .zip(samples)
        .map(|(peer, samples)| Measurement::from_samples(peer, &samples))
        .collect()
}

impl Measurement {
    pub(crate) fn from_samples(peer: Peer, samples: &[Sample]) -> Self {
        let maximum = |value: fn(&Sample) -> f64| samples.iter().map(value).fold(0.0, f64::max);
        Self {
            peer,
            seconds: median(samples.iter().map(|sample| sample.seconds)),
            processor: median(samples.iter().map(|sample| sample.processor)),
            client_memory: maximum(|sample| sample.client_memory),
            server_memory: maximum(|sample| sample.server_memory),
        }
    }
}

/// The measurement of a peer, if it was measured.
pub(crate) fn find(measurements: &[Measurement], peer: Peer) -> Option<&Measurement> {
    measurements.iter().find(|measurement| measurement.peer == peer)
}

/// The median; of an even count, the higher of the two middle values.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Runs a job once with one peer. If `compare` is set, compares the received content with the source byte by byte.
pub(crate) fn measure_once(testbed: &Testbed, peer: Peer, job: &Job, compare: bool) -> Sample {
    let content = testbed.work_folder.path(FILES).join(&job.name);
    let sendme =
        (peer == Peer::Sendme).then(|| SendmeSender::start(&testbed.work_folder, &content));
    let croc = (peer == Peer::Croc).then(|| CrocSender::start(&testbed.work_folder, &content));
    let invocation = Invocation {
        job,
        work_folder: &testbed.work_folder,
        quiver: testbed.quiver.address,
        sshd: testbed.sshd.as_ref(),
        nginx: testbed.nginx.as_ref(),
        sendme: sendme.as_ref(),
        croc: croc.as_ref(),
    };
    let received = invocation.target().join(&job.name);
    // An existing target would be refused, or overwritten at another cost.
    remove(&received);
    let server = match peer {
        Peer::Quiver => testbed.quiver.id(),
        Peer::Curl => testbed.nginx.as_ref().expect("its server is running").id(),
        Peer::Sendme => sendme.as_ref().expect("its sender is running").id(),
        Peer::Croc => croc.as_ref().expect("its sender is running").id(),
        _ => testbed.sshd.as_ref().expect("its server is running").id(),
    };
    let wait_for_server = || {
        if let Some(sshd) = &testbed.sshd {
            sshd.wait_for_sessions();
        }
    };
    let sample = run(&testbed.work_folder, invocation.command(peer), server, wait_for_server);
    let what = format!("{}: {}", peer.name(), received.display());
    assert_eq!(count_files(&received), (job.files, job.bytes), "{what} (files, bytes)");
    if compare {
        let mut diff = Command::new("diff");
        let same =
            diff.args(["-rq"]).arg(invocation.source()).arg(&received).status().unwrap().success();
        assert!(same, "{what} differs from the source");
    }
    remove(&received);
    drop((sendme, croc));
    remove(&testbed.work_folder.path(sendme::STORE));
    sample
}

/// The number of files and their bytes.
fn count_files(path: &Path) -> (u64, u64) {
    let Ok(metadata) = fs::symlink_metadata(path) else { return (0, 0) };
    if !metadata.is_dir() {
        return (1, metadata.len());
    }
    let entries = fs::read_dir(path).unwrap().map(|entry| count_files(&entry.unwrap().path()));
    entries.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

/// Runs a client until it exits. `wait_for_server` waits until its server has finished too.
pub(crate) fn run(
    work_folder: &WorkFolder,
    mut command: Command,
    server: u32,
    wait_for_server: impl Fn(),
) -> Sample {
    wait_for_server();
    proc::tree(server).into_iter().for_each(proc::reset_peak_memory);
    let processor = || proc::tree_processor(server) + proc::children_processor();
    let before = processor();
    let stderr = work_folder.path("stderr");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&stderr).unwrap());
    let started = Instant::now();
    let mut client = ChildProcess::start(&mut command);
    let is_done = Arc::new(AtomicBool::new(false));
    let watchers = [client.id(), server].map(|pid| sample_memory(pid, is_done.clone()));
    let status = client.child().wait().unwrap();
    let seconds = started.elapsed().as_secs_f64();
    is_done.store(true, Ordering::Relaxed);
    if !status.success() {
        let output = fs::read(&stderr).unwrap_or_default();
        panic!("{command:?} failed: {status}\n{}", String::from_utf8_lossy(&output));
    }
    wait_for_server();
    let processor = processor() - before;
    let [client_memory, server_memory] = watchers.map(|watcher| {
        watcher.thread().unpark();
        watcher.join().unwrap()
    });
    Sample { seconds, processor, client_memory, server_memory }
}

/// Sums the memory peaks of a process and all its descendants, sampled until `is_done`.
fn sample_memory(pid: u32, is_done: Arc<AtomicBool>) -> std::thread::JoinHandle<f64> {
    std::thread::spawn(move || {
        let mut peaks = HashMap::new();
        loop {
            let last = is_done.load(Ordering::Relaxed);
            for pid in proc::tree(pid) {
                if let Some(peak) = proc::peak_memory(pid) {
                    peaks.insert(pid, peak);
                }
            }
            if last {
                return peaks.values().sum();
            }
            std::thread::park_timeout(MEMORY_INTERVAL);
        }
    })
}
