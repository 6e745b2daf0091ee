//! The programs that are measured on emulated paths, and how each is called. Programs over TCP are measured with one of
//! TCP's congestion controllers each.

use std::path::Path;
use std::process::Command;

use quiver_e2e::path_emulator::LinkSettings;

use super::iperf;
use crate::cli::PathProgram;
use crate::peers::{Invocation, Peer, TransferKind, find};

impl PathProgram {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Quiver => "quiver",
            Self::ScpBbr => "scp, TCP BBR",
            Self::ScpCubic => "scp, TCP Cubic",
            Self::Qcp => "qcp",
            Self::QcpBbr => "qcp, BBR",
            Self::Sendme => "sendme",
            Self::IperfBbr => "iperf3, TCP BBR",
            Self::IperfCubic => "iperf3, TCP Cubic",
        }
    }

    /// What is measured. Both ends of sendme are the same program, so it has only one direction.
    pub(crate) fn kinds(self) -> &'static [TransferKind] {
        match self {
            Self::Sendme => &[TransferKind::Get],
            _ => &[TransferKind::Get, TransferKind::Put],
        }
    }

    /// The program among the peers of all benchmarks; `None` for iperf3.
    pub(crate) fn peer(self) -> Option<Peer> {
        match self {
            Self::Quiver => Some(Peer::Quiver),
            Self::ScpBbr | Self::ScpCubic => Some(Peer::ScpFast),
            Self::Qcp | Self::QcpBbr => Some(Peer::Qcp),
            Self::Sendme => Some(Peer::Sendme),
            Self::IperfBbr | Self::IperfCubic => None,
        }
    }

    /// TCP's congestion controller, if it uses TCP for content.
    pub(crate) fn tcp_congestion_control(self) -> Option<&'static str> {
        match self {
            Self::ScpBbr | Self::IperfBbr => Some("bbr"),
            Self::ScpCubic | Self::IperfCubic => Some("cubic"),
            Self::Quiver | Self::Qcp | Self::QcpBbr | Self::Sendme => None,
        }
    }

    /// The versions of its programs.
    ///
    /// # Errors
    /// What is missing.
    pub(crate) fn versions(self) -> Result<Vec<String>, String> {
        match self.peer() {
            Some(peer) => peer.versions(),
            None if find(Path::new(iperf::PROGRAM)).is_some() => Ok(vec![iperf::version()]),
            None => Err(format!("{} is not installed", iperf::PROGRAM)),
        }
    }

    /// The command of the client. `link` is what the user knows of the path: qcp takes its rate and round-trip time.
    pub(crate) fn command(self, invocation: &Invocation<'_>, link: &LinkSettings) -> Command {
        let Some(peer) = self.peer() else {
            let is_get = invocation.job.kind == TransferKind::Get;
            return iperf::command_for_bytes(invocation.quiver.ip(), invocation.job.bytes, is_get);
        };
        let mut command = invocation.command(peer);
        if peer == Peer::Qcp {
            // Bytes a second; qcp sizes its windows by them (its manual: "tuning").
            let rate = (link.rate.unwrap_or(1_000_000_000) / 8).to_string();
            let round_trip = (2 * link.delay).as_millis().to_string();
            command.args(["--rx", &rate, "--tx", &rate, "--rtt", &round_trip]);
        }
        if self == Self::QcpBbr {
            command.args(["--congestion", "bbr"]);
        }
        command
    }
}
