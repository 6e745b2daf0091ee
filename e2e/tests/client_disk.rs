//! Disks that are full, closed or missing: exit code 8, clear words, and nothing half is left.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]
#![expect(clippy::print_stderr, reason = "a story that cannot be told here says so")]

use std::fs;
use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use quiver_e2e::process::{Finished, Process};
use quiver_e2e::quiver::finish;
use quiver_e2e::server::is_root;
use quiver_e2e::{Home, Server};

const MIB: usize = 1024 * 1024;

/// `unshare`, so that what is mounted is gone with the last process that sees it.
fn namespace() -> Command {
    let mut command = Command::new("unshare");
    command.args(if is_root() { &["--mount"][..] } else { &["--mount", "--map-root-user"] });
    command
}

/// Whether a small disk can be had. In continuous integration it must.
fn small_disks() -> bool {
    let folder = tempfile::tempdir().unwrap();
    let mount = ["--", "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs"];
    let tried = namespace().args(mount).arg(folder.path()).stdin(Stdio::null()).output();
    let works = tried.is_ok_and(|tried| tried.status.success());
    assert!(works || std::env::var_os("CI").is_none(), "no tmpfs can be mounted");
    if !works {
        eprintln!("SKIPPED: mounting a tmpfs takes root or user namespaces");
    }
    works
}

/// Gets `big` onto a disk of one MiB on which `used` bytes are taken. Standard output is what is on the
/// disk afterwards.
async fn get_onto_a_small_disk(home: &Home, server: &Server, used: usize) -> Finished {
    const SCRIPT: &str = "mount -t tmpfs -o size=1m tmpfs . && cd \"$PWD\" && \
        head -c \"$0\" /dev/zero > used && \"$@\"; code=$?; ls -A; exit $code";
    let quiver = home.with(server, "Ron", ["get", "big"]);
    let inner = quiver.command();
    let mut command = namespace();
    command.args(["--", "sh", "-c", SCRIPT]).arg(used.to_string());
    command.arg(inner.get_program()).args(inner.get_args());
    command.current_dir(home.folder());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    finish(Process::start(&mut command)).await
}

#[tokio::test]
async fn a_disk_that_fills_up_leaves_nothing_half() {
    if !small_disks() {
        return;
    }
    let server = Server::start().await;
    for (when, used, size, goes_on) in [
        ("at the first block", MIB, 10, None),
        ("at the first of several", MIB, 2 * MIB, None),
        ("in the middle", 0, 2 * MIB, Some(50)),
        ("at the last byte", 0, MIB + 1, Some(99)),
    ] {
        server.offer("big", vec![7; size]);
        let home = Home::new();
        let finished = get_onto_a_small_disk(&home, &server, used).await;
        assert_eq!(finished.code(), 8, "{when}: {}", finished.stderr);
        let (there, how) = match goes_on {
            None => (1, String::new()),
            Some(share) => {
                (2, format!("; the same command, or quiver resume, goes on at {share} %"))
            }
        };
        let names: Vec<_> = finished.stdout.lines().collect();
        assert_eq!((names.len(), names.last()), (there, Some(&"used")), "{when}: {names:?}");
        assert!(!names.contains(&"big"), "{when}");
        let said = format!(
            "error: cannot store big: No space left on device\n\
             hint: make room, or store elsewhere with -o DIR{how}\n"
        );
        assert_eq!(finished.stderr, said, "{when}");
    }
    // What fits exactly fits.
    server.offer("big", vec![7; MIB]);
    let home = Home::new();
    assert_eq!(get_onto_a_small_disk(&home, &server, 0).await.expect(0).stdout, "big\nused\n");
}

#[tokio::test]
async fn a_folder_one_may_not_write_to_is_named() {
    let server = Server::start().await;
    server.offer("a", "content");
    let home = Home::new();
    fs::set_permissions(home.folder(), Permissions::from_mode(0o555)).unwrap();
    let mut command = home.with(&server, "Ron", ["get", "a"]).unprivileged();
    let finished = finish(Process::start(&mut command)).await;
    finished.expect(8);
    let said = "error: cannot store a: Permission denied\nhint: store elsewhere with -o DIR\n";
    assert_eq!(finished.stderr, said);
    assert!(home.names().is_empty());
}

#[tokio::test]
async fn a_folder_that_is_missing_or_none_is_named() {
    let server = Server::start().await;
    server.offer("a", "content");
    let home = Home::new();
    fs::write(home.file("file"), "").unwrap();
    for (folder, why) in [
        (
            "missing",
            "error: cannot store missing: No such file or directory\n\
            hint: -o takes a folder that exists\n",
        ),
        ("file", "error: cannot store file: Not a directory\n"),
    ] {
        let finished = home.with(&server, "Ron", ["get", "a", "-o", folder]).run().await;
        assert_eq!(finished.expect(8).stderr, why);
    }
    assert_eq!(home.names(), ["file"]);
    assert_eq!(server.log().count("connection from"), 0, "nothing was asked for");
}

#[tokio::test]
async fn output_that_is_not_taken_is_a_failure() {
    let server = Server::start().await;
    server.offer("a", "content");
    let home = Home::new();
    for arguments in [
        &["list"][..],
        &["status", "--json"],
        &["message", "Hello"],
        &["get", "a", "-o", "-"],
        &["get", "a", "--json"],
        &["man"],
        &["completions", "bash"],
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let quiver = home.with(&server, "Ron", [""; 0]).and(arguments);
        let finished = quiver.run_into(full).await;
        assert_eq!(finished.code(), 8, "{arguments:?}: {}", finished.stderr);
        let why = "error: cannot write to standard output: No space left on device";
        assert!(finished.stderr.contains(why), "{arguments:?}: {}", finished.stderr);
    }
    assert_eq!(server.log().count("delivered a (7 bytes) to Client 4"), 0, "nobody has it");
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_gets_no_complaint() {
    let server = Server::start().await;
    server.offer("a", vec![7; 4 * MIB]);
    let home = Home::new();
    for arguments in [&["list"][..], &["get", "a", "-o", "-"], &["man"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = home.with(&server, "Ron", [""; 0]).and(arguments).command();
        command.stdin(Stdio::null()).stdout(writer);
        let process = Process::start_as_is(&mut command);
        drop(command);
        let finished = finish(process).await;
        assert_eq!(finished.code(), 1, "{arguments:?}: {}", finished.stderr);
        assert_eq!(finished.stderr, "", "{arguments:?}");
    }
}
