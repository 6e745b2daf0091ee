//! The objects of the server's commands about certificates and accounts.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;
use std::process::{Command, Stdio};

use quiver_e2e::process::Process;
use quiver_e2e::quiver::finish;
use quiver_e2e::{Home, binary};

use super::Checker;

pub(super) async fn check(checker: &mut Checker) {
    let home = Home::new();
    fs::write(home.file("password"), "secret\n").unwrap();
    let add: &[&str] = &["user", "add", "Ron", "--passwords", "p", "--password-stdin"];
    for (code, words, headings) in [
        (1, &["cert", "show"][..], &[][..]),
        (0, &["cert", "new"], &["Certificate"]),
        (0, &["cert", "show"], &["Certificate"]),
        (1, &["cert", "new"], &[]),
        (0, add, &["Changed account"]),
        (0, &["user", "list", "--passwords", "p"], &["Account"]),
        (0, &["user", "remove", "Ron", "--passwords", "p"], &["Changed account"]),
        (1, &["user", "remove", "Ron", "--passwords", "p"], &[]),
        (2, &["user", "remove"], &[]),
    ] {
        let mut command = Command::new(binary::server());
        command.args(words).arg("--json").current_dir(home.folder()).stdout(Stdio::piped());
        command.stdin(fs::File::open(home.file("password")).unwrap());
        let output = finish(Process::start_with_stdio(&mut command)).await;
        checker.check_output(code, &output, headings);
    }
}
