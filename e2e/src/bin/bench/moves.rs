//! Something moves: how fast, and what it costs. All programs in turns, so that what else the machine
//! does hits them alike.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::cast::Cast;
use crate::peers::sendme::{self, Sender};
use crate::peers::{Call, Job, Peer};
use crate::proc;
use crate::running::Running;
use crate::stage::{FILES, Stage, remove};

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// One time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// From the start of the client's process to its end.
    pub(crate) seconds: f64,
    /// Processor seconds, both ends.
    pub(crate) processor: f64,
    /// MiB at most, all processes of an end added up.
    pub(crate) client_memory: f64,
    pub(crate) server_memory: f64,
}

/// Medians over all rounds; of memory, the most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moved {
    pub(crate) peer: Peer,
    pub(crate) seconds: f64,
    pub(crate) processor: f64,
    pub(crate) client_memory: f64,
    pub(crate) server_memory: f64,
}

/// Every peer that can do it does the job, in turns.
pub(crate) fn in_turns(cast: &Cast, job: &Job, rounds: usize) -> Vec<Moved> {
    let peers = cast.able(job);
    let mut samples = vec![Vec::new(); peers.len()];
    for round in 0..=rounds {
        for (peer, samples) in peers.iter().zip(&mut samples) {
            // The first round warms caches up, and shows that what arrives is what was sent.
            let sample = once(cast, *peer, job, round == 0);
            if round > 0 {
                samples.push(sample);
            }
        }
    }
    peers.into_iter().zip(samples).map(|(peer, samples)| Moved::of(peer, &samples)).collect()
}

impl Moved {
    pub(crate) fn of(peer: Peer, samples: &[Sample]) -> Self {
        let most = |value: fn(&Sample) -> f64| samples.iter().map(value).fold(0.0, f64::max);
        Self {
            peer,
            seconds: median(samples.iter().map(|sample| sample.seconds)),
            processor: median(samples.iter().map(|sample| sample.processor)),
            client_memory: most(|sample| sample.client_memory),
            server_memory: most(|sample| sample.server_memory),
        }
    }
}

/// What a peer had, if it took part.
pub(crate) fn of(moved: &[Moved], peer: Peer) -> Option<&Moved> {
    moved.iter().find(|moved| moved.peer == peer)
}

/// The middle value; of an even count, the higher of both.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// One peer does a job once. `compare`: every byte that arrived is compared with what was sent.
pub(crate) fn once(cast: &Cast, peer: Peer, job: &Job, compare: bool) -> Sample {
    let sender = (peer == Peer::Sendme).then(|| {
        let content = cast.stage.at(FILES).join(&job.name);
        Sender::start(&cast.stage, &content)
    });
    let call = Call {
        job,
        stage: &cast.stage,
        quiver: cast.quiver.address,
        sshd: cast.sshd.as_ref(),
        nginx: cast.nginx.as_ref(),
        sender: sender.as_ref(),
    };
    let arrived = call.target().join(&job.name);
    // A target that is there would be refused, or rewritten at another price.
    remove(&arrived);
    let server = match peer {
        Peer::Quiver => cast.quiver.id(),
        Peer::Curl => cast.nginx.as_ref().expect("its server runs").id(),
        Peer::Sendme => sender.as_ref().expect("its sender runs").id(),
        _ => cast.sshd.as_ref().expect("its server runs").id(),
    };
    let settled = || {
        if let Some(sshd) = &cast.sshd {
            sshd.wait_for_sessions();
        }
    };
    let sample = run(&cast.stage, call.command(peer), server, settled);
    let what = format!("{}: {}", peer.name(), arrived.display());
    assert_eq!(contents(&arrived), (job.files, job.bytes), "{what} (files, bytes)");
    if compare {
        let mut diff = Command::new("diff");
        let same = diff.args(["-rq"]).arg(call.source()).arg(&arrived).status().unwrap().success();
        assert!(same, "{what} is not what was sent");
    }
    remove(&arrived);
    drop(sender);
    remove(&cast.stage.at(sendme::STORE));
    sample
}

/// How many files there are, and their bytes.
fn contents(path: &Path) -> (u64, u64) {
    let Ok(metadata) = fs::symlink_metadata(path) else { return (0, 0) };
    if !metadata.is_dir() {
        return (1, metadata.len());
    }
    let inside = fs::read_dir(path).unwrap().map(|entry| contents(&entry.unwrap().path()));
    inside.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

/// Runs a client to its end, beside the server it talks to. `settled` waits until the server is done too.
pub(crate) fn run(stage: &Stage, mut command: Command, server: u32, settled: impl Fn()) -> Sample {
    settled();
    proc::tree(server).into_iter().for_each(proc::forget_peak_memory);
    let processor = || proc::tree_processor(server) + proc::children_processor();
    let before = processor();
    let complaints = stage.at("complaints");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&complaints).unwrap());
    let began = Instant::now();
    let mut client = Running::start(&mut command);
    let over = Arc::new(AtomicBool::new(false));
    let watchers = [client.id(), server].map(|pid| watch(pid, over.clone()));
    let status = client.child().wait().unwrap();
    let seconds = began.elapsed().as_secs_f64();
    over.store(true, Ordering::Relaxed);
    if !status.success() {
        let said = fs::read(&complaints).unwrap_or_default();
        panic!("{command:?} failed: {status}\n{}", String::from_utf8_lossy(&said));
    }
    settled();
    let processor = processor() - before;
    let [client_memory, server_memory] = watchers.map(|watcher| {
        watcher.thread().unpark();
        watcher.join().unwrap()
    });
    Sample { seconds, processor, client_memory, server_memory }
}

/// Adds up the peaks of a process and all its descendants, until `over`.
fn watch(pid: u32, over: Arc<AtomicBool>) -> std::thread::JoinHandle<f64> {
    std::thread::spawn(move || {
        let mut peaks = HashMap::new();
        loop {
            let last = over.load(Ordering::Relaxed);
            for pid in proc::tree(pid) {
                if let Some(peak) = proc::peak_memory(pid) {
                    peaks.insert(pid, peak);
                }
            }
            if last {
                return peaks.values().sum();
            }
            std::thread::park_timeout(LOOK);
        }
    })
}
