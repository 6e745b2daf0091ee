//! What a lab leaves behind: nothing, neither after a drop, nor after a panic, nor after its test was killed.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;

use quiver_e2e::nat_lab::{Gateway, Lab, Side, lab_available};
use quiver_e2e::process::Process;
use quiver_e2e::{TIMEOUT, wait_within};

use crate::probe::lab_behind;

/// Starts a shell that starts another one, which never end by themselves.
fn start_programs(mut command: Command) -> Process {
    Process::start(command.args(["-c", "sh -c 'echo started; sleep infinity' & wait"]))
}

async fn wait_for_start(process: &Process) {
    let started = process.stdout.wait(|line| (line == "started").then_some(()));
    wait_within(TIMEOUT, "the start of the programs", started).await.unwrap();
}

/// Waits until both programs were killed: each has the standard output open.
async fn expect_kill(mut process: Process) {
    assert_eq!(process.wait_for_exit(TIMEOUT).await.signal(), Some(9));
}

#[tokio::test]
async fn a_drop_kills_the_programs_on_all_hosts() {
    if !lab_available() {
        return;
    }
    let lab = lab_behind(Gateway::CarrierGrade);
    let hosts = [
        lab.server(),
        lab.third_host(),
        lab.internet(),
        lab.client(Side::A),
        lab.client(Side::B),
        lab.gateway(Side::A),
        lab.carrier(Side::A).unwrap(),
    ];
    let programs = hosts.map(|host| start_programs(host.command("sh")));
    for process in &programs {
        wait_for_start(process).await;
    }
    drop(lab);
    for process in programs {
        expect_kill(process).await;
    }
}

#[tokio::test]
async fn a_panic_kills_the_programs() {
    if !lab_available() {
        return;
    }
    let lab = lab_behind(Gateway::FullCone);
    let process = start_programs(lab.server().command("sh"));
    wait_for_start(&process).await;
    let result = catch_unwind(AssertUnwindSafe(|| {
        let _lab = lab;
        panic!("a test that fails");
    }));
    assert!(result.is_err());
    expect_kill(process).await;
}

#[tokio::test]
async fn a_new_lab_kills_the_programs_of_tests_that_were_killed() {
    if !lab_available() {
        return;
    }
    // No process has this id and this start time. Another test's lab may kill the programs too.
    let mut command = Command::new("sh");
    command.env("NAMESPACE_OWNER", format!("{}-1", std::process::id()));
    let of_killed_test = start_programs(command);
    let first = lab_behind(Gateway::Public);
    expect_kill(of_killed_test).await;
    let running = start_programs(first.server().command("sh"));
    wait_for_start(&running).await;
    let second = lab_behind(Gateway::Public);
    // It does not kill the programs of running tests: this one is no zombie either.
    let status = fs::read_to_string(format!("/proc/{}/status", running.id())).unwrap();
    assert!(status.contains("State:\tS"), "{status}");
    drop(second);
    drop(first);
    expect_kill(running).await;
}

#[test]
fn labs_can_be_built_in_continuous_integration() {
    if std::env::var_os("CI").is_some() {
        assert_eq!(Lab::available(), Ok(()));
    }
}
