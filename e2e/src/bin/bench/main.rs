//! Measures Quiver beside its peers on this machine, in one alternating run; prints medians and ratios.
//!
//! Knows the programs only as their users do: processes, files, and messages on a connection.

#![expect(clippy::print_stdout, reason = "a benchmark's product is what it prints")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark that cannot go on stops")]

mod latency;
mod process;
mod transfer;

use std::path::PathBuf;

use clap::Parser;

/// Measure Quiver beside scp on this machine.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Cli {
    /// Bytes of the file that is moved, in MiB
    #[arg(long, default_value_t = 1024)]
    size: u64,
    /// How often each program moves it; medians count
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Where the files are; a tmpfs, so that no disk is measured
    #[arg(long, default_value = "/dev/shm")]
    folder: PathBuf,
    /// Exit with an error where a goal is missed
    #[arg(long)]
    check: bool,
}

/// What the figures must reach.
mod goals {
    /// The rate of a get over scp's with aes128-gcm.
    pub(crate) const OVER_SCP: f64 = 1.3;
    /// Memory of server and client, each, in MiB.
    pub(crate) const MEMORY: f64 = 64.0;
}

fn main() {
    let cli = Cli::parse();
    let bench = process::Bench::start(&cli.folder, cli.size * 1024 * 1024);
    let transfers = transfer::measure(&bench, cli.rounds);
    let latency = latency::measure(&bench);
    let server_memory = bench.server_memory();

    println!("get of {} MiB, {} rounds, medians:", cli.size, cli.rounds);
    for result in &transfers {
        println!(
            "  {:<24} {:>7.0} MB/s   {:>5.2} CPU-s/GiB",
            result.name, result.rate, result.processor
        );
    }
    let (quiver, scp) = (&transfers[0], &transfers[1]);
    let ratio = quiver.rate / scp.rate;
    println!("  quiver over scp: {ratio:.2} (goal {:.1})", goals::OVER_SCP);
    println!("memory at most: server {server_memory:.0} MiB, client {:.0} MiB", quiver.memory);
    println!("message round trip, ms:      p50     p99");
    for (name, times) in [("idle", &latency.idle), ("beside a get", &latency.loaded)] {
        println!("  {name:<22} {:>8.3} {:>7.3}", times.median, times.p99);
    }

    let missed = [
        (ratio < goals::OVER_SCP, "the rate over scp's"),
        (server_memory > goals::MEMORY, "the server's memory"),
        (quiver.memory > goals::MEMORY, "the client's memory"),
    ];
    let missed: Vec<_> =
        missed.iter().filter(|(missed, _)| *missed).map(|(_, goal)| *goal).collect();
    if cli.check && !missed.is_empty() {
        println!("missed: {}", missed.join(", "));
        std::process::exit(1);
    }
}
