//! Tests of the path emulator: other programs measure what it was asked to do. They need root.

#![expect(clippy::expect_used, reason = "a failure here fails the test")]

mod changes;
mod measured;
mod order;

use std::process::Command;

use quiver_e2e::path_emulator::{PathEmulator, path_tools_available};
use quiver_e2e::process::Process;

/// Whether paths can be emulated, and iperf3 and ping are there; prints a note if not.
fn tools_available() -> bool {
    path_tools_available(&[("iperf3", "iperf3"), ("ping", "iputils-ping")])
}

/// Starts `iperf3 --server` for one measurement, and waits until it listens.
fn start_iperf_server(path: &PathEmulator) -> Process {
    let mut command = path.server().command("iperf3");
    let server = Process::start(command.args(["--server", "--one-off"]));
    let deadline = std::time::Instant::now() + quiver_e2e::TIMEOUT;
    while !path.server().has_listener() {
        assert!(std::time::Instant::now() < deadline, "iperf3 does not listen");
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
    server
}

/// Runs `iperf3 --client` on the client's host with these arguments. Returns the end of its report.
fn run_iperf(path: &PathEmulator, arguments: &[&str]) -> serde_json::Value {
    let server = start_iperf_server(path);
    let mut command = path.client().command("iperf3");
    command.args(["--json", "--client", &path.server_address().to_string()]).args(arguments);
    let output = output(&mut command);
    drop(server);
    let report: serde_json::Value = serde_json::from_str(&output).expect("iperf3 prints JSON");
    report["end"].clone()
}

/// What a command prints to standard output.
fn output(command: &mut Command) -> String {
    let output = command.output().expect("the program starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {text}");
    text
}

#[test]
fn paths_can_be_emulated_in_continuous_integration() {
    if std::env::var_os("CI").is_some() {
        assert_eq!(PathEmulator::available(), Ok(()));
    }
}
