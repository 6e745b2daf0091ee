//! The command line, and the workload it selects.

mod paths;

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

pub(crate) use paths::{PathProgram, PathRow, PathsArgs};

/// Measure Quiver and its peers on this machine.
#[derive(Debug, Parser)]
#[command(name = "bench", max_term_width = 100)]
pub(crate) struct BenchArgs {
    /// Only these benchmarks, separated by commas [default: all]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "BENCHMARK")]
    pub(crate) only: Vec<Benchmark>,
    /// Rounds of each measurement, whose medians are reported [default: 7, quick: 3]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: Option<u16>,
    /// MiB of the large file [default: 1024, quick: 256]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=65_536))]
    size: Option<u64>,
    /// A short run with small files, for a first impression; not for the documentation
    #[arg(long, conflicts_with = "write")]
    pub(crate) quick: bool,
    /// The folder for all files; a tmpfs, so that no disk is measured
    #[arg(long, default_value = "/dev/shm", value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// A folder on a disk with 21 GiB free: also measures the client's memory for a sparse file of
    /// 20 GiB there, which takes minutes
    #[arg(long, value_name = "DIR")]
    pub(crate) disk: Option<PathBuf>,
    /// Measure on emulated long and lossy paths instead (as root): on all, or these [default rounds: 5]
    #[arg(
        long, value_enum, value_delimiter = ',', num_args = 0.., value_name = "ROW",
        conflicts_with_all = ["only", "quick", "disk", "write", "seed"]
    )]
    paths: Option<Vec<PathRow>>,
    /// With --paths: only these programs, separated by commas [default: all]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PROGRAM", requires = "paths")]
    programs: Vec<PathProgram>,
    /// With --paths: append each measurement to FILE, as a line of JSON
    #[arg(long, value_name = "FILE", requires = "paths")]
    json: Option<PathBuf>,
    /// Exit with an error if a goal is missed
    #[arg(long)]
    pub(crate) check: bool,
    /// Seed for the points at which the benchmark resume kills [default: random]
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Write tables and plots into docs/performance.md and docs/plots
    #[arg(long)]
    pub(crate) write: bool,
    /// This process has a network namespace of its own, in which the loopback's MTU may change
    /// (scripts/bench creates one)
    #[arg(long, hide = true)]
    pub(crate) own_network: bool,
}

/// A benchmark, as `--only` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Benchmark {
    /// One large file from the server
    Get,
    /// One large file to the server
    Put,
    /// Files of 1 KiB to 1 GiB
    Sizes,
    /// 10,000 files of 4 KiB
    Files,
    /// 200,000 files of 1 KiB
    Many,
    /// Message round trips, alone and beside gets and puts
    Latency,
    /// A get and messages beside a client that misuses the server
    Misuse,
    /// A large get and put whose client or server is killed
    Resume,
    /// A get and a bare QUIC stream at a path MTU of 1452
    Mtu,
    /// One large file from client to client, and a member beside a relay
    Peers,
    /// The server's memory for 16 gets of one member
    Memory,
    /// The first byte of a sparse file of 100 GiB
    FirstByte,
    /// The client's memory for a sparse file of 20 GiB (needs --disk)
    Disk,
}

impl Benchmark {
    /// All benchmarks in the order in which they run.
    pub(crate) const ALL: [Self; 13] = [
        Self::Get,
        Self::Put,
        Self::Sizes,
        Self::Files,
        Self::Many,
        Self::Latency,
        Self::Misuse,
        Self::Resume,
        Self::Mtu,
        Self::Peers,
        Self::Memory,
        Self::FirstByte,
        Self::Disk,
    ];
}

/// The size of the measurements.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workload {
    pub(crate) rounds: usize,
    /// Bytes of the large file.
    pub(crate) size: u64,
    /// Number of files of 4 KiB.
    pub(crate) files: u64,
    /// Number of files of 1 KiB.
    pub(crate) many: u64,
}

impl BenchArgs {
    pub(crate) fn wants(&self, benchmark: Benchmark) -> bool {
        self.only.is_empty() || self.only.contains(&benchmark)
    }

    /// What to measure on emulated paths, if that is asked for.
    pub(crate) fn paths(&self) -> Option<PathsArgs> {
        Some(PathsArgs {
            rows: self.paths.clone()?,
            programs: self.programs.clone(),
            rounds: self.rounds.map_or(5, usize::from),
            size: self.size.map(|mib| mib * 1024 * 1024),
            json: self.json.clone(),
        })
    }

    pub(crate) fn workload(&self) -> Workload {
        let (rounds, mib, files, many) =
            if self.quick { (3, 256, 2_000, 20_000) } else { (7, 1024, 10_000, 200_000) };
        Workload {
            rounds: self.rounds.map_or(rounds, usize::from),
            size: self.size.unwrap_or(mib) * 1024 * 1024,
            files,
            many,
        }
    }
}

/// Formats a size with a binary unit.
pub(crate) fn format_size(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let exact = units.into_iter().find(|(shift, _)| bytes > 0 && bytes.is_multiple_of(1 << shift));
    exact.map_or_else(|| format!("{bytes} B"), |(shift, unit)| format!("{} {unit}", bytes >> shift))
}

/// Formats a count with thousands separators.
pub(crate) fn format_count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_definition_is_valid() {
        BenchArgs::command().debug_assert();
    }

    #[test]
    fn benchmarks_are_selected_by_name() {
        let cli = BenchArgs::try_parse_from(["bench", "--only", "get,first-byte"]).unwrap();
        let wanted: Vec<_> =
            Benchmark::ALL.into_iter().filter(|benchmark| cli.wants(*benchmark)).collect();
        assert_eq!(wanted, [Benchmark::Get, Benchmark::FirstByte]);
    }

    #[test]
    fn rows_and_programs_of_paths_are_selected_by_name() {
        let paths = |arguments: &[&str]| {
            let line = ["bench"].iter().chain(arguments);
            BenchArgs::try_parse_from(line).unwrap().paths()
        };
        assert!(paths(&[]).is_none());
        assert!(PathRow::ALL.iter().all(|row| paths(&["--paths"]).unwrap().wants(*row)));
        let chosen =
            paths(&["--paths", "loss,radio", "--programs", "quiver,scp-bbr", "--size", "2"])
                .unwrap();
        let wanted: Vec<_> = PathRow::ALL.into_iter().filter(|row| chosen.wants(*row)).collect();
        assert_eq!(wanted, [PathRow::Loss, PathRow::Radio]);
        assert_eq!(chosen.programs, [PathProgram::Quiver, PathProgram::ScpBbr]);
        assert_eq!((chosen.rounds, chosen.bytes(1)), (5, 2 << 20));
        assert!(BenchArgs::try_parse_from(["bench", "--programs", "quiver"]).is_err());
    }

    #[test]
    fn quick_results_cannot_be_written_to_the_documentation() {
        assert!(BenchArgs::try_parse_from(["bench", "--quick", "--write"]).is_err());
    }

    #[test]
    fn numbers_have_separators_and_units() {
        assert_eq!(
            [999, 1000, 200_000, 1_234_567].map(format_count),
            ["999", "1,000", "200,000", "1,234,567"]
        );
        assert_eq!(
            [0, 1000, 1024, 32 << 10, 1 << 30].map(format_size),
            ["0 B", "1000 B", "1 KiB", "32 KiB", "1 GiB"]
        );
    }
}
