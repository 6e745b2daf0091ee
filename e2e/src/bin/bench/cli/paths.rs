//! The part of the command line that selects measurements on emulated paths.

use std::path::PathBuf;

use clap::ValueEnum;

/// A kind of measurement on emulated paths, as `--paths` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PathRow {
    /// 200 Mbit/s, 100 ms, random loss of 0, 0.1 and 1 %
    Loss,
    /// 1 Gbit/s, 200 ms, random loss of 0.01 %
    Fast,
    /// 20 Mbit/s, 40 ms, bursty loss of 2 %, a queue of 300 ms
    Radio,
    /// Queues of 1/4, 1 and 4 bandwidth-delay products
    Queues,
    /// Message round trips beside a transfer
    Messages,
    /// Shares of the link beside a TCP flow, and of two gets
    Shares,
    /// Steps of the rate during a transfer
    Steps,
}

impl PathRow {
    /// All rows in the order in which they are measured.
    pub(crate) const ALL: [Self; 7] = [
        Self::Loss,
        Self::Fast,
        Self::Radio,
        Self::Queues,
        Self::Messages,
        Self::Shares,
        Self::Steps,
    ];
}

/// What is measured on emulated paths.
#[derive(Debug)]
pub(crate) struct PathsArgs {
    /// All if empty.
    pub(crate) rows: Vec<PathRow>,
    /// All if empty.
    pub(crate) programs: Vec<PathProgram>,
    pub(crate) rounds: usize,
    /// Bytes of the file instead of each row's own.
    pub(crate) size: Option<u64>,
    pub(crate) json: Option<PathBuf>,
}

impl PathsArgs {
    pub(crate) fn wants(&self, row: PathRow) -> bool {
        self.rows.is_empty() || self.rows.contains(&row)
    }

    /// Bytes of the file where a row's own are `default`.
    pub(crate) fn bytes(&self, default: u64) -> u64 {
        self.size.unwrap_or(default)
    }
}

/// A program on an emulated path, as `--programs` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PathProgram {
    /// Quiver
    Quiver,
    /// scp over TCP BBR
    ScpBbr,
    /// scp over TCP Cubic
    ScpCubic,
    /// qcp, with its default congestion controller
    Qcp,
    /// qcp with BBR
    QcpBbr,
    /// sendme
    Sendme,
    /// iperf3 over TCP BBR
    IperfBbr,
    /// iperf3 over TCP Cubic
    IperfCubic,
}

impl PathProgram {
    /// All programs in the order in which they take turns.
    pub(crate) const ALL: [Self; 8] = [
        Self::Quiver,
        Self::ScpBbr,
        Self::ScpCubic,
        Self::Qcp,
        Self::QcpBbr,
        Self::Sendme,
        Self::IperfBbr,
        Self::IperfCubic,
    ];
}
