//! System calls that fail on purpose, by strace(1).

use std::path::Path;
use std::process::{Command, Stdio};

/// Whether calls can be made to fail; says so where they cannot. In continuous integration they must.
///
/// # Panics
/// Where they must and cannot.
#[must_use]
pub fn faults() -> bool {
    let mut probe = with_fault("getppid", "ENOSYS", Path::new("/dev/null"));
    let tried = probe.arg("true").stdin(Stdio::null()).output();
    let works = tried.is_ok_and(|tried| tried.status.success());
    assert!(works || std::env::var_os("CI").is_none(), "strace does not work");
    if !works {
        eprintln!("SKIPPED: making system calls fail takes strace");
    }
    works
}

/// The beginning of a command line whose rest is a program in which every `call` to the system, or those that a `when`
/// of strace(1) names, as in `socket:when=1`, fails with `error`. What strace sees goes to `log`.
#[must_use]
pub fn with_fault(call: &str, error: &str, log: &Path) -> Command {
    let (name, when) = call.split_once(':').unwrap_or((call, ""));
    let when = if when.is_empty() { String::new() } else { format!(":{when}") };
    let mut command = Command::new("strace");
    command.arg("--follow-forks").arg("--output").arg(log);
    command.arg(format!("--trace={name}"));
    command.arg(format!("--inject={name}:error={error}{when}")).arg("--");
    // strace keeps signals for itself: a program that it leaves behind must not live on.
    command.args(["setpriv", "--pdeathsig", "KILL", "--"]);
    command
}

/// The number of the program that a strace of this number runs.
///
/// # Panics
/// Where there is none.
#[must_use]
pub fn traced(strace: u32) -> u32 {
    let children = std::fs::read_to_string(format!("/proc/{strace}/task/{strace}/children"));
    let children = children.expect("the processes that strace has started");
    children.split_whitespace().next().expect("a program").parse().expect("a number")
}
