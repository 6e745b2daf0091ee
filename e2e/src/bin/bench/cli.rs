//! What was typed, and what it means for the measurements.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Measure Quiver beside its peers on this machine.
#[derive(Debug, Parser)]
#[command(name = "bench", max_term_width = 100)]
pub(crate) struct BenchArgs {
    /// Only these parts, separated by commas [default: all]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PART")]
    pub(crate) only: Vec<Part>,
    /// How often each program does the same; medians count [default: 7, quick: 3]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: Option<u16>,
    /// MiB of the file that is moved [default: 1024, quick: 256]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=65_536))]
    size: Option<u64>,
    /// A short run of small amounts, to see where one stands; nothing for the documentation
    #[arg(long, conflicts_with = "write")]
    pub(crate) quick: bool,
    /// Where the files are; a tmpfs, so that no disk is measured
    #[arg(long, default_value = "/dev/shm", value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// A folder on a disk with 21 GiB free: the client's memory for a sparse file of 20 GiB is
    /// measured there too, which takes minutes
    #[arg(long, value_name = "DIR")]
    pub(crate) disk: Option<PathBuf>,
    /// Exit with an error where a goal is missed
    #[arg(long)]
    pub(crate) check: bool,
    /// Where the part resume kills; the same seed, the same points [default: another each time]
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Write tables and plots into docs/performance.md and docs/plots
    #[arg(long)]
    pub(crate) write: bool,
    /// This process has a network namespace of its own, in which the loopback's MTU may change
    /// (scripts/bench makes one)
    #[arg(long, hide = true)]
    pub(crate) own_network: bool,
}

/// A part of the measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
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
    /// A get and messages beside another client that misuses the server
    Misuse,
    /// One large file each way, and kills of either end
    Resume,
    /// A get and a bare QUIC stream at a path MTU of 1452
    Mtu,
    /// The server's memory for 16 gets of one member
    Memory,
    /// The first byte of a sparse file of 100 GiB
    FirstByte,
    /// The client's memory for a sparse file of 20 GiB (needs --disk)
    Disk,
}

impl Part {
    /// In the order in which they are measured.
    pub(crate) const ALL: [Self; 12] = [
        Self::Get,
        Self::Put,
        Self::Sizes,
        Self::Files,
        Self::Many,
        Self::Latency,
        Self::Misuse,
        Self::Resume,
        Self::Mtu,
        Self::Memory,
        Self::FirstByte,
        Self::Disk,
    ];
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Amount {
    pub(crate) rounds: usize,
    /// Bytes of the large file.
    pub(crate) size: u64,
    /// Files of 4 KiB.
    pub(crate) files: u64,
    /// Files of 1 KiB.
    pub(crate) many: u64,
}

impl BenchArgs {
    pub(crate) fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    pub(crate) fn amount(&self) -> Amount {
        let (rounds, mib, files, many) =
            if self.quick { (3, 256, 2_000, 20_000) } else { (7, 1024, 10_000, 200_000) };
        Amount {
            rounds: self.rounds.map_or(rounds, usize::from),
            size: self.size.unwrap_or(mib) * 1024 * 1024,
            files,
            many,
        }
    }
}

/// A size as people say it.
pub(crate) fn size(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let exact = units.into_iter().find(|(shift, _)| bytes > 0 && bytes.is_multiple_of(1 << shift));
    exact.map_or_else(|| format!("{bytes} B"), |(shift, unit)| format!("{} {unit}", bytes >> shift))
}

/// A count as people write it.
pub(crate) fn count(number: u64) -> String {
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
    fn the_definition_is_sound() {
        BenchArgs::command().debug_assert();
    }

    #[test]
    fn parts_are_chosen_by_name() {
        let cli = BenchArgs::try_parse_from(["bench", "--only", "get,first-byte"]).unwrap();
        let wanted: Vec<_> = Part::ALL.into_iter().filter(|part| cli.wants(*part)).collect();
        assert_eq!(wanted, [Part::Get, Part::FirstByte]);
    }

    #[test]
    fn quick_figures_are_not_for_the_documentation() {
        assert!(BenchArgs::try_parse_from(["bench", "--quick", "--write"]).is_err());
    }

    #[test]
    fn numbers_are_written_as_people_write_them() {
        assert_eq!(
            [999, 1000, 200_000, 1_234_567].map(count),
            ["999", "1,000", "200,000", "1,234,567"]
        );
        assert_eq!(
            [0, 1000, 1024, 32 << 10, 1 << 30].map(size),
            ["0 B", "1000 B", "1 KiB", "32 KiB", "1 GiB"]
        );
    }
}
