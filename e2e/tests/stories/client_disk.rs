//! Folders and outputs that are full, not writable or missing: exit code 8, an error that names them, and no
//! incomplete file under the final name.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;
use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use quiver_e2e::disk::{SmallDisk, small_disks_available};
use quiver_e2e::process::{Process, ProgramOutput};
use quiver_e2e::quiver::{finish, names};
use quiver_e2e::{Home, Server};

const MIB: usize = 1024 * 1024;

/// Runs `get big` on a disk of one MiB, `used` bytes of which are taken. Returns the output, and the names on the
/// disk afterwards.
async fn get_onto_a_small_disk(
    home: &Home,
    server: &Server,
    used: usize,
) -> (ProgramOutput, Vec<String>) {
    let disk = SmallDisk::mount(&home.folder(), "1m");
    fs::write(disk.folder().join("used"), vec![0; used]).unwrap();
    let quiver = home.quiver_as(server, "Ron", ["get", "big"]);
    let output = finish(Process::start(&mut disk.command_inside(&quiver.command()))).await;
    (output, names(&disk.folder()))
}

#[tokio::test]
async fn a_get_onto_a_full_disk_leaves_at_most_a_partial_file() {
    if !small_disks_available() {
        return;
    }
    let server = Server::start().await;
    for (when, used, size, resumes_at) in [
        ("at the first block", MIB, 10, None),
        ("at the first of several", MIB, 2 * MIB, None),
        ("in the middle", 0, 2 * MIB, Some(50)),
        ("at the last byte", 0, MIB + 1, Some(99)),
    ] {
        server.add_file("big", vec![7; size]);
        let home = Home::new();
        let (output, names) = get_onto_a_small_disk(&home, &server, used).await;
        assert_eq!(output.code(), 8, "{when}: {}", output.stderr);
        let (count, resume_hint) = match resumes_at {
            None => (1, String::new()),
            Some(share) => {
                (2, format!("; the same command, or quiver resume, continues at {share} %"))
            }
        };
        assert_eq!((names.len(), &*names[count - 1]), (count, "used"), "{when}: {names:?}");
        assert!(!names.contains(&"big".to_owned()), "{when}");
        let expected = format!(
            "error: cannot store big: No space left on device\n\
             hint: free some space, or store elsewhere with -o DIR{resume_hint}\n"
        );
        assert_eq!(output.stderr, expected, "{when}");
    }
    // A file of exactly the free space is stored.
    server.add_file("big", vec![7; MIB]);
    let home = Home::new();
    let (output, names) = get_onto_a_small_disk(&home, &server, 0).await;
    output.expect(0);
    assert_eq!(names, ["big", "used"]);
}

#[tokio::test]
async fn a_get_into_a_folder_without_write_permission_names_the_file() {
    let server = Server::start().await;
    server.add_file("a", "content");
    let home = Home::new();
    fs::set_permissions(home.folder(), Permissions::from_mode(0o555)).unwrap();
    let mut command = home.quiver_as(&server, "Ron", ["get", "a"]).unprivileged();
    let output = finish(Process::start(&mut command)).await;
    output.expect(8);
    let expected = "error: cannot store a: Permission denied\nhint: store elsewhere with -o DIR\n";
    assert_eq!(output.stderr, expected);
    assert!(home.names().is_empty());
}

#[tokio::test]
async fn a_get_into_a_missing_folder_or_a_file_names_the_path() {
    let server = Server::start().await;
    server.add_file("a", "content");
    let home = Home::new();
    fs::write(home.file("file"), "").unwrap();
    for (folder, why) in [
        (
            "missing",
            "error: cannot store missing: No such file or directory\n\
            hint: make that folder first, or name another one\n",
        ),
        (
            "missing.txt",
            "error: cannot store missing.txt: No such file or directory\n\
            hint: get FILE --as missing.txt stores a single file under that name\n",
        ),
        (
            "file",
            "error: cannot store file: Not a directory\n\
            hint: get FILE --as file stores a single file under that name\n",
        ),
    ] {
        let output = home.quiver_as(&server, "Ron", ["get", "a", "-o", folder]).run().await;
        assert_eq!(output.expect(8).stderr, why);
    }
    assert_eq!(home.names(), ["file"]);
    assert_eq!(server.log().count("connection from"), 0, "the client connected");
}

#[tokio::test]
async fn commands_fail_if_standard_output_is_full() {
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
        let output = quiver.run_with_output(full).await;
        assert_eq!(output.code(), 8, "{arguments:?}: {}", output.stderr);
        let why = "cannot write to standard output: No space left on device";
        assert!(output.stderr.contains(why), "{arguments:?}: {}", output.stderr);
    }
    server.log().wait_for("not delivered: a to Client 4: Ron").await;
    assert_eq!(server.log().count("delivered a (7 B) to Client 4"), 0);
}

#[tokio::test]
async fn a_closed_output_pipe_causes_no_error_message() {
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
        let output = finish(process).await;
        assert_eq!(output.code(), 141, "{arguments:?}: {}", output.stderr);
        assert_eq!(output.stderr, "", "{arguments:?}");
    }
}
