//! iperf3: a TCP flow without files, to compare with and to compete with.

use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use quiver_e2e::path_emulator::PathEmulator;
use quiver_e2e::sockets::{SocketKind, listen_address};
use serde_json::Value;

use super::timeline::Timeline;
use crate::child_process::{ChildProcess, wait_until};

pub(crate) const PROGRAM: &str = "iperf3";

/// The first line of its version.
pub(crate) fn version() -> String {
    let output = Command::new(PROGRAM).arg("--version").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next().unwrap_or_default().split(" (").next().unwrap_or_default().to_owned()
}

/// Starts a server for one measurement on the server's host.
pub(crate) fn start_server(path: &PathEmulator) -> ChildProcess {
    path.server().run(|| {
        let mut command = Command::new(PROGRAM);
        command.args(["--server", "--one-off", "--bind", &path.server_address().to_string()]);
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = ChildProcess::start(command);
        wait_until("iperf3 listens", || listen_address(server.id(), SocketKind::Tcp).is_some());
        server
    })
}

/// A client that transfers a number of bytes, from the server if `is_get`.
pub(crate) fn command_for_bytes(server: IpAddr, bytes: u64, is_get: bool) -> Command {
    let mut command = client(server, is_get);
    command.args(["--bytes", &bytes.to_string()]);
    command
}

/// A client that transfers for a number of seconds.
pub(crate) fn command_for_seconds(server: IpAddr, seconds: u64, is_get: bool) -> Command {
    let mut command = client(server, is_get);
    command.args(["--time", &seconds.to_string()]);
    command
}

/// What a client's report says of the bytes received over time.
pub(crate) fn timeline(report: &str) -> Option<Timeline> {
    let report: Value = serde_json::from_str(report).ok()?;
    let (mut timeline, mut received) = (Timeline::default(), 0);
    timeline.push(Duration::ZERO, 0);
    for interval in report["intervals"].as_array()? {
        let sum = &interval["sum"];
        received += sum["bytes"].as_u64()?;
        timeline.push(Duration::try_from_secs_f64(sum["end"].as_f64()?).ok()?, received);
    }
    Some(timeline)
}

fn client(server: IpAddr, is_get: bool) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["--client", &server.to_string(), "--json", "--interval", "1"]);
    command.args(is_get.then_some("--reverse"));
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeline_of_a_report_adds_its_intervals() {
        let report = r#"{"intervals": [{"sum": {"end": 1.0, "bytes": 100}}, {"sum": {"end": 2.5, "bytes": 50}}]}"#;
        let timeline = timeline(report).unwrap();
        let received = [900, 1000, 2500].map(|at| timeline.bytes_until(Duration::from_millis(at)));
        assert_eq!(received, [0, 100, 150]);
        assert!(super::timeline(r#"{"error": "no"}"#).is_none());
    }
}
