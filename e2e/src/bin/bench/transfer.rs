//! How fast a file moves, and what it costs.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::process::{Bench, built, children_processor, peak_memory};

/// Medians over all rounds.
pub(crate) struct Transfer {
    pub(crate) name: &'static str,
    /// 10^6 bytes a second, from the start of the client's process to its end.
    pub(crate) rate: f64,
    /// Processor seconds per GiB, both ends.
    pub(crate) processor: f64,
    /// The client's memory at most, in MiB.
    pub(crate) memory: f64,
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Quiver and scp in turns, so that what else the machine does hits both.
pub(crate) fn measure(bench: &Bench, rounds: usize) -> Vec<Transfer> {
    type Program = (&'static str, fn(&Bench) -> Command);
    let programs: [Program; 2] = [("quiver get", quiver), ("scp aes128-gcm", scp)];
    let mut samples = vec![Vec::new(); programs.len()];
    for round in 0..=rounds {
        for (program, samples) in programs.iter().zip(&mut samples) {
            let sample = run(bench, program.1(bench));
            // The first round warms caches up and does not count.
            if round > 0 {
                samples.push(sample);
            }
        }
    }
    programs
        .iter()
        .zip(samples)
        .map(|((name, _), samples)| Transfer {
            name,
            rate: median(samples.iter().map(|sample| bench.size as f64 / 1e6 / sample.0)),
            processor: median(
                samples.iter().map(|sample| sample.1 * (1 << 30) as f64 / bench.size as f64),
            ),
            memory: samples.iter().map(|sample| sample.2).fold(0.0, f64::max),
        })
        .collect()
}

fn quiver(bench: &Bench) -> Command {
    let mut command = Command::new(built("quiver"));
    command
        .arg("--server")
        .arg(bench.server.to_string())
        .arg("--cert")
        .arg(bench.at("certs/server.pem"))
        .args(["--name", "bench", "--quiet", "get", "big", "-o"])
        .arg(bench.at("got"))
        .env("XDG_STATE_HOME", bench.at("state"))
        .env("XDG_CONFIG_HOME", bench.at("config"))
        .env("XDG_DATA_HOME", bench.at("data"));
    command
}

fn scp(bench: &Bench) -> Command {
    let mut command = Command::new("scp");
    command
        .args(["-q", "-B", "-c", "aes128-gcm@openssh.com", "-P", &bench.ssh_port.to_string(), "-i"])
        .arg(bench.at("ssh/user"))
        .args([
            "-F",
            "none",
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
        ])
        .args(["-o", "LogLevel=ERROR"])
        .arg(format!("127.0.0.1:{}", bench.at("files/big").display()))
        .arg(bench.at("got"));
    command
}

/// Seconds, processor seconds of both ends, and the client's peak memory in MiB.
fn run(bench: &Bench, mut command: Command) -> (f64, f64, f64) {
    let target = bench.at("got/big");
    // A target that is there would be refused, or rewritten at another price.
    let _ = fs::remove_file(&target);
    let before = bench.servers_processor() + children_processor();
    let began = Instant::now();
    let mut child = command.stdin(Stdio::null()).spawn().expect("the client is installed");
    let pid = child.id();
    let watcher = std::thread::spawn(move || {
        let mut peak = 0.0_f64;
        while let Some(now) = peak_memory(pid) {
            peak = peak.max(now);
            std::thread::park_timeout(Duration::from_millis(5));
        }
        peak
    });
    let status = child.wait().unwrap();
    let seconds = began.elapsed().as_secs_f64();
    assert!(status.success(), "{command:?} failed");
    assert_eq!(fs::metadata(&target).unwrap().len(), bench.size);
    let processor = bench.servers_processor() + children_processor() - before;
    (seconds, processor, watcher.join().unwrap())
}
