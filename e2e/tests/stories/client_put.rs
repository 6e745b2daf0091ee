//! `quiver put` with a real server: the server stores the content that the client sent, or refuses it with a reason.

use std::fs;
use std::fs::{File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::Duration;

use quiver_e2e::disk::small_disks_available;
use quiver_e2e::process::{Process, ProgramOutput, Signal};
use quiver_e2e::quiver::{finish, names};
use quiver_e2e::random::Random;
use quiver_e2e::{Home, PromptUser, Server, TIMEOUT};
use quiver_protocol::units;
use serde_json::Value;

const MIB: usize = 1024 * 1024;

async fn server() -> Server {
    Server::options().argument("--allow-upload").start().await
}

/// Runs `quiver put` as Ron.
async fn put(home: &Home, server: &Server, arguments: &[&str]) -> ProgramOutput {
    home.quiver_as(server, "Ron", ["put"]).arguments(arguments).run().await
}

#[tokio::test]
async fn put_stores_files_of_every_size_unchanged() {
    let server = server().await;
    let home = Home::new();
    let mut random = Random::new(21);
    for size in [0, 1, 1023, 1024, 1025, 256 * 1024, 64 * MIB] {
        let name = format!("{size}.bin");
        fs::write(home.file(&name), random.bytes(size)).unwrap();
        let output = put(&home, &server, &[&name]).await;
        assert_eq!(output.expect(0).stdout, "");
        let shown = units::bytes(size as u64);
        let expected = format!("{name}: {shown} stored and verified\n");
        assert!(output.stderr.starts_with(&expected), "{}", output.stderr);
        let (local, remote) = (fs::read(home.file(&name)), fs::read(server.files().join(&name)));
        assert!(local.unwrap() == remote.unwrap(), "{name}");
    }
    assert_eq!(names(&server.files()).len(), 7);
}

#[tokio::test]
async fn put_stores_unusual_file_names_and_refuses_a_long_one() {
    let server = server().await;
    fs::create_dir(server.files().join("notes")).unwrap();
    let home = Home::new();
    let long = format!("{}.txt", "n".repeat(251));
    let all = ["with space", "it's \"quoted\"", "\u{1f980}", "-rf", ".hidden", &long];
    for name in all {
        fs::write(home.file(name), name).unwrap();
    }
    let arguments: Vec<&str> = ["--to", "notes/", "--"].into_iter().chain(all).collect();
    put(&home, &server, &arguments).await.expect(0);
    for name in all {
        let stored = server.files().join("notes").join(name);
        assert_eq!(fs::read_to_string(stored).unwrap(), name);
    }
    put(&home, &server, &["--", "-rf"]).await.expect(0);
    assert_eq!(fs::read_to_string(server.files().join("-rf")).unwrap(), "-rf");
    let name = format!("{long}x");
    let output = put(&home, &server, &["--as", &name, "--", "-rf"]).await;
    assert!(output.expect(2).stderr.contains("longer than 255 bytes"), "{}", output.stderr);
    assert_eq!(server.stored_names(), ["-rf", "notes"]);
}

#[tokio::test]
async fn put_keeps_the_modification_time_and_the_executable_bit() {
    let server = server().await;
    let home = Home::new();
    fs::write(home.file("tool"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(home.file("tool"), Permissions::from_mode(0o755)).unwrap();
    let modified = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    File::options().write(true).open(home.file("tool")).unwrap().set_modified(modified).unwrap();
    put(&home, &server, &["tool"]).await.expect(0);
    let metadata = fs::metadata(server.files().join("tool")).unwrap();
    assert_eq!(metadata.modified().unwrap(), modified);
    assert_eq!(metadata.permissions().mode() & 0o100, 0o100);
}

#[tokio::test]
async fn put_replaces_a_file_only_with_overwrite() {
    let server = server().await;
    server.add_file("a", "old");
    let home = Home::new();
    for name in ["a", "b"] {
        fs::write(home.file(name), "new").unwrap();
    }
    let output = put(&home, &server, &["a"]).await;
    output.expect(1);
    assert!(output.stderr.contains("hint: --overwrite replaces"), "{}", output.stderr);
    put(&home, &server, &["a", "b"]).await.expect(10);
    assert_eq!(fs::read_to_string(server.files().join("a")).unwrap(), "old");
    assert_eq!(fs::read_to_string(server.files().join("b")).unwrap(), "new");
    put(&home, &server, &["a", "--overwrite"]).await.expect(0);
    assert_eq!(fs::read_to_string(server.files().join("a")).unwrap(), "new");
    // A folder is never replaced.
    fs::create_dir(server.files().join("c")).unwrap();
    fs::write(home.file("c"), "").unwrap();
    put(&home, &server, &["c", "--overwrite"]).await.expect(1);
    assert!(server.files().join("c").is_dir());
}

#[tokio::test]
async fn put_stores_standard_input_unchanged() {
    let server = server().await;
    let home = Home::new();
    let content = Random::new(22).bytes(3 * MIB + 7);
    fs::write(home.file("input"), &content).unwrap();
    let mut command =
        home.quiver_as(&server, "Ron", ["put", "-", "--as", "piped", "--json"]).command();
    command.stdin(File::open(home.file("input")).unwrap()).stdout(Stdio::piped());
    let output = finish(Process::start_with_stdio(&mut command)).await;
    let object: Value = serde_json::from_str(&output.expect(0).stdout).unwrap();
    assert_eq!((&object["size"], &object["source"]), (&content.len().into(), &"-".into()));
    assert_eq!(object["blake3"], blake3::hash(&content).to_hex().as_str());
    assert!(fs::read(server.files().join("piped")).unwrap() == content);
    // get writes the same content to standard output.
    let received = home.file("received");
    let get = home.quiver_as(&server, "Ron", ["get", "piped", "-o", "-"]);
    get.run_with_output(File::create(&received).unwrap()).await.expect(0);
    assert!(fs::read(received).unwrap() == content);
}

#[tokio::test]
async fn ctrl_c_ends_a_put_whose_input_stalls() {
    let server = server().await;
    let home = Home::new();
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut command = home.quiver_as(&server, "Ron", ["put", "-", "--as", "slow"]).command();
    command.stdin(reader).stdout(Stdio::piped());
    let mut process = Process::start_with_stdio(&mut command);
    drop(command);
    writer.write_all(b"a beginning").unwrap();
    server.log().wait_for("Client 1: Ron").await;
    process.signal(Signal::INT);
    let start = std::time::Instant::now();
    assert_eq!(process.wait_for_exit(TIMEOUT).await.code(), Some(130));
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    server.log().wait_for("Client 1: Ron has disconnected").await;
    assert!(server.stored_names().is_empty());
}

#[tokio::test]
async fn two_concurrent_puts_of_one_name_store_one_complete_file() {
    let server = server().await;
    let homes = [Home::new(), Home::new()];
    let contents = [31, 32].map(|seed| Random::new(seed).bytes(8 * MIB));
    let mut running = Vec::new();
    for (home, content) in homes.iter().zip(&contents) {
        fs::write(home.file("same"), content).unwrap();
    }
    for (home, name) in homes.iter().zip(["Ron", "Ben"]) {
        running.push(home.quiver_as(&server, name, ["put", "same", "--overwrite"]).start());
    }
    for process in &mut running {
        assert_eq!(process.wait_for_exit(TIMEOUT).await.code(), Some(0));
    }
    let stored = fs::read(server.files().join("same")).unwrap();
    assert!(contents.contains(&stored));
    assert_eq!(names(&server.files()), ["same"]);
}

#[tokio::test]
async fn put_reports_a_full_server() {
    if !small_disks_available() {
        return;
    }
    let server = Server::options()
        .argument("--allow-upload")
        .argument("--keep-free=0")
        .disk("1m")
        .start()
        .await;
    let home = Home::new();
    fs::write(home.file("a"), vec![7; 2 * MIB]).unwrap();
    let output = put(&home, &server, &["a"]).await;
    output.expect(1);
    assert!(output.stderr.contains("hint: free space with rm"), "{}", output.stderr);
    // The size of piped input is unknown at the start.
    let mut command = home.quiver_as(&server, "Ron", ["put", "-", "--as", "piped"]).command();
    command.stdin(File::open(home.file("a")).unwrap()).stdout(Stdio::piped());
    let output = finish(Process::start_with_stdio(&mut command)).await;
    output.expect(1);
    assert!(output.stderr.contains("hint: free space with rm"), "{}", output.stderr);
    assert!(server.stored_names().is_empty());
}

#[tokio::test]
async fn put_needs_the_permission_to_upload() {
    let server = Server::options()
        .account("Ron", "secret")
        .uploader("Ben", "secret")
        .argument("--allow-upload")
        .start()
        .await;
    let home = Home::new();
    fs::write(home.file("a"), "content").unwrap();
    fs::write(home.file("password"), "secret\n").unwrap();
    fs::set_permissions(home.file("password"), Permissions::from_mode(0o600)).unwrap();
    let arguments = ["put", "a", "--password-file", "password"];
    let output = home.quiver_as(&server, "Ron", arguments).run().await;
    output.expect(1);
    assert!(output.stderr.contains("read-only for you"), "{}", output.stderr);
    assert!(server.stored_names().is_empty());
    let other = Home::new();
    fs::write(other.file("a"), "content").unwrap();
    fs::copy(home.file("password"), other.file("password")).unwrap();
    other.quiver_as(&server, "Ben", arguments).run().await.expect(0);
    assert_eq!(server.stored_names(), ["a"]);
}

#[tokio::test]
async fn put_names_a_file_without_read_permission() {
    let server = server().await;
    let home = Home::new();
    fs::write(home.file("a"), "content").unwrap();
    fs::set_permissions(home.file("a"), Permissions::from_mode(0o000)).unwrap();
    let mut command = home.quiver_as(&server, "Ron", ["put", "a"]).unprivileged();
    let output = finish(Process::start(&mut command)).await;
    assert!(output.expect(8).stderr.contains("cannot read a: Permission denied"));
}

#[tokio::test]
async fn put_stores_the_others_if_some_of_several_files_cannot_be_read() {
    let (server, home) = (server().await, Home::new());
    fs::create_dir(home.file("folder")).unwrap();
    for (name, options) in [("a.txt", &[][..]), ("b.txt", &["-r"])] {
        fs::write(home.file(name), "content").unwrap();
        let (failing, error) = match options {
            [] => ("folder", "error: cannot put folder: it is a folder"),
            _ => ("absent", "error: cannot read absent: "),
        };
        let output = put(&home, &server, &[options, &[failing, name, "missing"]].concat()).await;
        let stderr = &output.expect(10).stderr;
        for expected in
            [error, "error: cannot read missing: ", "error: 2 of 3 files were not stored"]
        {
            assert!(stderr.contains(expected), "{expected}: {stderr}");
        }
        assert_eq!(fs::read_to_string(server.files().join(name)).unwrap(), "content");
    }
    // Without any file that can be read, the server is not changed.
    for options in [&[][..], &["-r"]] {
        let output = put(&home, &server, &[options, &["missing", "absent"]].concat()).await;
        let stderr = &output.expect(10).stderr;
        assert!(stderr.contains("error: 2 of 2 files were not stored"), "{stderr}");
    }
    assert_eq!(names(&server.files()), ["a.txt", "b.txt"]);
    put(&home, &server, &["missing"]).await.expect(7);
    put(&home, &server, &["-r", "missing"]).await.expect(7);
}

#[tokio::test]
async fn the_client_keeps_its_rate_limit_in_both_directions() {
    let server = server().await;
    let home = Home::new();
    fs::write(home.file("a"), vec![7; 3_000_000]).unwrap();
    for arguments in [["put", "a"], ["get", "a"]] {
        let start = std::time::Instant::now();
        let quiver = home.quiver_as(&server, "Ron", arguments);
        quiver.arguments(["--limit", "1.5MB/s"]).run().await.expect(0);
        assert!(start.elapsed() > Duration::from_millis(1700), "{:?}", start.elapsed());
        // Not there already for the get.
        fs::remove_file(home.file("a")).ok();
    }
}

#[tokio::test]
async fn put_works_at_the_prompt() {
    let server = server().await;
    server.add_file("taken", "old");
    fs::create_dir(server.files().join("notes")).unwrap();
    let home = Home::new();
    for name in ["a.txt", "with space.txt", "taken"] {
        fs::write(home.file(name), "new").unwrap();
    }
    let mut ron = PromptUser::sign_in(&home, &server, "Ron");
    assert_eq!(ron.enter("put a.txt"), "File stored successfully.");
    assert_eq!(ron.enter("put \"with space.txt\" --to notes"), "File stored successfully.");
    assert_eq!(fs::read_to_string(server.files().join("notes/with space.txt")).unwrap(), "new");
    ron.terminal.type_line("put taken");
    ron.terminal.wait_for_end("taken exists on the server already. Replace it? [y/N]");
    ron.terminal.type_line("n");
    ron.terminal.wait_for("Nothing was stored.");
    assert_eq!(fs::read_to_string(server.files().join("taken")).unwrap(), "old");
    assert!(ron.enter("put it there").contains("/say put it there sends the line as a message"));
    assert_eq!(ron.enter("/say put it there"), "Server: put it there ACK");
    fs::write(home.file("a.txt"), "newer").unwrap();
    ron.terminal.type_text("put a.t\t");
    ron.terminal.wait_for_end("put a.txt");
    ron.press(" --overwrite\r");
    ron.terminal.wait_until("the third file", |screen| {
        screen.matches("File stored successfully.").count() == 3 && screen.ends_with("\nRon:")
    });
    assert_eq!(fs::read_to_string(server.files().join("a.txt")).unwrap(), "newer");
    ron.exit();
}
