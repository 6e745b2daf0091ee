//! Disks that are full, closed or missing: exit code 8, clear words, and nothing half is left.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs;
use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use quiver_e2e::disk::{SmallDisk, small_disks_available};
use quiver_e2e::process::{Process, ProgramOutput};
use quiver_e2e::quiver::{finish, names};
use quiver_e2e::{Home, Server};

const MIB: usize = 1024 * 1024;

/// Gets `big` onto a disk of one MiB on which `used` bytes are taken, and the names that are on the disk
/// afterwards.
async fn get_onto_a_small_disk(
    home: &Home,
    server: &Server,
    used: usize,
) -> (ProgramOutput, Vec<String>) {
    let disk = SmallDisk::mount(&home.folder(), "1m");
    fs::write(disk.folder().join("used"), vec![0; used]).unwrap();
    let quiver = home.quiver_as(server, "Ron", ["get", "big"]);
    let finished = finish(Process::start(&mut disk.command_inside(&quiver.command()))).await;
    (finished, names(&disk.folder()))
}

#[tokio::test]
async fn a_disk_that_fills_up_leaves_nothing_half() {
    if !small_disks_available() {
        return;
    }
    let server = Server::start().await;
    for (when, used, size, goes_on) in [
        ("at the first block", MIB, 10, None),
        ("at the first of several", MIB, 2 * MIB, None),
        ("in the middle", 0, 2 * MIB, Some(50)),
        ("at the last byte", 0, MIB + 1, Some(99)),
    ] {
        server.add_file("big", vec![7; size]);
        let home = Home::new();
        let (finished, names) = get_onto_a_small_disk(&home, &server, used).await;
        assert_eq!(finished.code(), 8, "{when}: {}", finished.stderr);
        let (there, how) = match goes_on {
            None => (1, String::new()),
            Some(share) => {
                (2, format!("; the same command, or quiver resume, continues at {share} %"))
            }
        };
        assert_eq!((names.len(), &*names[there - 1]), (there, "used"), "{when}: {names:?}");
        assert!(!names.contains(&"big".to_owned()), "{when}");
        let said = format!(
            "error: cannot store big: No space left on device\n\
             hint: free some space, or store elsewhere with -o DIR{how}\n"
        );
        assert_eq!(finished.stderr, said, "{when}");
    }
    // What fits exactly fits.
    server.add_file("big", vec![7; MIB]);
    let home = Home::new();
    let (finished, names) = get_onto_a_small_disk(&home, &server, 0).await;
    finished.expect(0);
    assert_eq!(names, ["big", "used"]);
}

#[tokio::test]
async fn a_folder_one_may_not_write_to_is_named() {
    let server = Server::start().await;
    server.add_file("a", "content");
    let home = Home::new();
    fs::set_permissions(home.folder(), Permissions::from_mode(0o555)).unwrap();
    let mut command = home.quiver_as(&server, "Ron", ["get", "a"]).unprivileged();
    let finished = finish(Process::start(&mut command)).await;
    finished.expect(8);
    let said = "error: cannot store a: Permission denied\nhint: store elsewhere with -o DIR\n";
    assert_eq!(finished.stderr, said);
    assert!(home.names().is_empty());
}

#[tokio::test]
async fn a_folder_that_is_missing_or_none_is_named() {
    let server = Server::start().await;
    server.add_file("a", "content");
    let home = Home::new();
    fs::write(home.file("file"), "").unwrap();
    for (folder, why) in [
        (
            "missing",
            "error: cannot store missing: No such file or directory\n\
            hint: -o needs an existing folder\n",
        ),
        ("file", "error: cannot store file: Not a directory\n"),
    ] {
        let finished = home.quiver_as(&server, "Ron", ["get", "a", "-o", folder]).run().await;
        assert_eq!(finished.expect(8).stderr, why);
    }
    assert_eq!(home.names(), ["file"]);
    assert_eq!(server.log().count("connection from"), 0, "nothing was asked for");
}

#[tokio::test]
async fn output_that_is_not_taken_is_a_failure() {
    let server = Server::start().await;
    server.add_file("a", "content");
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
        let quiver = home.quiver_as(&server, "Ron", [""; 0]).arguments(arguments);
        let finished = quiver.run_with_output(full).await;
        assert_eq!(finished.code(), 8, "{arguments:?}: {}", finished.stderr);
        let why = "error: cannot write to standard output: No space left on device";
        assert!(finished.stderr.contains(why), "{arguments:?}: {}", finished.stderr);
    }
    server.log().wait_for("not delivered: a to Client 4: Ron").await;
    assert_eq!(server.log().count("delivered a (7 bytes) to Client 4"), 0);
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_gets_no_complaint() {
    let server = Server::start().await;
    server.add_file("a", vec![7; 4 * MIB]);
    let home = Home::new();
    for arguments in [&["list"][..], &["get", "a", "-o", "-"], &["man"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = home.quiver_as(&server, "Ron", [""; 0]).arguments(arguments).command();
        command.stdin(Stdio::null()).stdout(writer);
        let process = Process::start_with_stdio(&mut command);
        drop(command);
        let finished = finish(process).await;
        assert_eq!(finished.code(), 1, "{arguments:?}: {}", finished.stderr);
        assert_eq!(finished.stderr, "", "{arguments:?}");
    }
}
