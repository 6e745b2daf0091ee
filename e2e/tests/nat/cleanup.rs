//! What a lab leaves behind: nothing, neither after a drop, nor after a panic, nor after its test was killed.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Command, Stdio};

use quiver_e2e::nat_lab::{Gateway, Lab, Side, lab_available};

use crate::probe::lab_behind;

/// Starts a program on the host that starts another one, which never end by themselves, and waits for both.
fn start_programs(command: &mut Command) -> Child {
    let script = "sh -c 'echo started; sleep infinity' & wait";
    let mut child = command.args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "started\n");
    child
}

/// Waits until both programs were killed: each has the standard output open.
fn expect_kill(mut child: Child) {
    child.stdout.take().unwrap().read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
}

#[test]
fn a_drop_kills_the_programs_on_all_hosts() {
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
    let children = hosts.map(|host| start_programs(&mut host.command("sh")));
    drop(lab);
    children.into_iter().for_each(expect_kill);
}

#[test]
fn a_panic_kills_the_programs() {
    if !lab_available() {
        return;
    }
    let mut child = None;
    let result = catch_unwind(AssertUnwindSafe(|| {
        let lab = lab_behind(Gateway::FullCone);
        child = Some(start_programs(&mut lab.server().command("sh")));
        panic!("a test that fails");
    }));
    assert!(result.is_err());
    expect_kill(child.unwrap());
}

#[test]
fn a_new_lab_kills_the_programs_of_tests_that_were_killed() {
    if !lab_available() {
        return;
    }
    // No process has this id and this start time.
    let of_killed_test = start_programs(
        Command::new("sh").env("NAT_LAB_OWNER", format!("{}-1", std::process::id())),
    );
    let first = lab_behind(Gateway::Public);
    expect_kill(of_killed_test);
    // Programs of running tests stay.
    let mut running = start_programs(&mut first.server().command("sh"));
    let _second = lab_behind(Gateway::Public);
    assert!(running.try_wait().unwrap().is_none());
    drop(first);
    expect_kill(running);
}

#[test]
fn labs_can_be_built_in_continuous_integration() {
    if std::env::var_os("CI").is_some() {
        assert_eq!(Lab::available(), Ok(()));
    }
}
